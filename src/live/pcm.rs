//! Formats of raw sound.

use std::str::FromStr;

/// The format of raw sound: `s16le,16000,1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcm {
    pub(super) format: String,
    pub(super) rate: u32,
    pub(super) channels: u32,
}

impl Pcm {
    /// Bytes of one moment, all channels of it.
    pub fn frame_size(&self) -> usize {
        let bits: String = self.format.chars().filter(char::is_ascii_digit).collect();
        bits.parse().unwrap_or(8) / 8 * self.channels as usize
    }
}

impl FromStr for Pcm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMATS: [&str; 6] = ["s16le", "s16be", "s32le", "u8", "f32le", "f64le"];
        let expected = || format!("`{text}` is not FORMAT,RATE,CHANNELS, as in s16le,16000,1");
        let mut parts = text.split(',');
        let (format, rate, channels) = match (parts.next(), parts.next(), parts.next()) {
            (Some(format), Some(rate), Some(channels)) if parts.next().is_none() => {
                (format.to_ascii_lowercase(), rate, channels)
            }
            _ => return Err(expected()),
        };
        if !FORMATS.contains(&format.as_str()) {
            return Err(format!("`{format}` is none of {}", FORMATS.join(", ")));
        }
        let rate = rate.parse().ok().filter(|r| (1000..=384_000).contains(r));
        let channels = channels.parse().ok().filter(|c| (1..=8).contains(c));
        Ok(Self {
            format,
            rate: rate.ok_or_else(expected)?,
            channels: channels.ok_or_else(expected)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_raw_sound() {
        let pcm = Pcm {
            format: "s16le".into(),
            rate: 16_000,
            channels: 1,
        };
        assert_eq!("S16LE,16000,1".parse(), Ok(pcm));
        for bad in [
            "",
            "s16le",
            "s16le,16000",
            "mp3,16000,1",
            "s16le,0,1",
            "s16le,16000,1,2",
        ] {
            assert!(bad.parse::<Pcm>().is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_of_raw_sound() {
        let size = |text: &str| text.parse::<Pcm>().unwrap().frame_size();
        assert_eq!(
            [
                size("s16le,8000,2"),
                size("u8,8000,1"),
                size("f64le,8000,3")
            ],
            [4, 1, 24]
        );
    }
}
