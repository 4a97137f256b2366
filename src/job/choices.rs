//! What can be chosen for a job.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// When the output ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum EndMode {
    /// With the speech.
    #[default]
    Speech,
    /// With the video; silence fills up a shorter speech.
    Video,
    /// With whichever ends first.
    Shortest,
}

/// What the face does when its video is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LoopMode {
    /// It ends.
    None,
    /// It starts again.
    Loop,
    /// It runs backwards, then forwards again.
    PingPong,
    /// The last frame stays.
    Hold,
}

impl EndMode {
    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::Video => "video",
            Self::Shortest => "shortest",
        }
    }
}

impl LoopMode {
    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Loop => "loop",
            Self::PingPong => "ping-pong",
            Self::Hold => "hold",
        }
    }
}

/// What to do when the output is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IfExists {
    /// The job fails.
    #[default]
    Refuse,
    /// The file is replaced when the new one is whole.
    Overwrite,
    /// The job is over without any work.
    Skip,
}

/// How much of a face's video a job reads to learn it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Learn {
    /// As much as the job itself makes, and ten seconds at least.
    #[default]
    Auto,
    /// All of it.
    Full,
    /// Nothing, and nothing that is known is used.
    Off,
}

/// A shift of the sound against the picture; positive is later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// Nanoseconds, at most a minute either way.
    pub nanoseconds: i64,
}

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, scale) = [("ms", 1e6), ("us", 1e3), ("s", 1e9)]
            .iter()
            .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))
            .ok_or_else(|| format!("`{text}` needs a unit, as in 40ms or -0.1s"))?;
        let nanoseconds = number
            .trim()
            .parse::<f64>()
            .map_err(|_| format!("`{text}` is not a time such as 40ms or -0.1s"))?
            * scale;
        if !nanoseconds.is_finite() || nanoseconds.abs() > 60e9 {
            return Err(format!("`{text}` is more than a minute"));
        }
        Ok(Self {
            nanoseconds: nanoseconds.round() as i64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_units_and_signs() {
        let parse = |text: &str| text.parse::<Offset>().map(|o| o.nanoseconds);
        assert_eq!(parse("40ms"), Ok(40_000_000));
        assert_eq!(parse("-0.1s"), Ok(-100_000_000));
        assert_eq!(parse("+250us"), Ok(250_000));
        for bad in ["", "40", "ms", "xs", "inf s", "infs", "3600s", "NaNms"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
