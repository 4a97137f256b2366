//! Was all of an input used? What its container claims, what is in it, and what came out of it.

use std::time::Duration;

use crate::job;
use crate::pipeline::reading::odd::seconds;
use crate::pipeline::reading::{Kind, ROUNDING, Reading};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Whole,
    /// It claims more than is in it, but all that is in it was used.
    Told(String),
    /// Something in it can't be decoded, or is gone.
    Damaged(String),
}

/// `position` is where the output ended, which was to last for `promised`, and `frame` how long its frames
/// last.
pub fn judge(
    promised: Duration,
    position: Duration,
    frame: Duration,
    reading: &Reading,
    kind: Kind,
) -> Verdict {
    let Some(stream) = reading.longest(kind) else {
        return Verdict::Whole;
    };
    let slack = frame + stream.slack();
    if stream.duration() > position + slack {
        return Verdict::Damaged(format!(
            "it lasts {}, but ends after {}: the rest can't be decoded",
            seconds(stream.duration()),
            seconds(position)
        ));
    }
    // Another stream may last longer, and the first moment need not be 0.
    let streams = reading.streams.iter().filter(|s| s.kind != Kind::Other);
    let end = streams.map(|s| s.end()).max().unwrap_or_default();
    if promised <= end + slack.max(ROUNDING) {
        return Verdict::Whole;
    }
    let text = format!(
        "it says that it lasts {}, but what is in it ends after {}",
        seconds(promised),
        seconds(end)
    );
    match job::is_cut_short(promised, end) {
        true => Verdict::Damaged(text),
        false => Verdict::Told(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::reading::testing::stream;

    fn ms(v: u64) -> Duration {
        Duration::from_millis(v)
    }

    fn verdict(promised: u64, position: u64, reading: &Reading, kind: Kind) -> Verdict {
        judge(ms(promised), ms(position), ms(40), reading, kind)
    }

    #[test]
    fn a_frame_is_the_most_that_may_be_missing() {
        let reading = Reading {
            streams: vec![
                stream(Kind::Video, &[40; 50]),
                stream(Kind::Audio, &[20; 110]),
            ],
            ..Reading::default()
        };
        // The container counts the sound, which lasts longer.
        assert_eq!(verdict(2200, 2000, &reading, Kind::Video), Verdict::Whole);
        assert_eq!(verdict(2200, 1960, &reading, Kind::Video), Verdict::Whole);
        let damaged = |v| matches!(v, Verdict::Damaged(_));
        assert!(damaged(verdict(2000, 1880, &reading, Kind::Video)));
        assert!(damaged(verdict(2200, 2080, &reading, Kind::Audio)));
        let told = |v| matches!(v, Verdict::Told(_));
        assert!(told(verdict(2400, 2200, &reading, Kind::Audio)));
        assert!(damaged(verdict(3000, 2200, &reading, Kind::Audio)));
    }

    #[test]
    fn a_video_that_begins_late_is_whole() {
        let mut late = stream(Kind::Video, &[40; 50]);
        for time in &mut late.times {
            time.start += ms(500);
            time.end += ms(500);
        }
        let reading = Reading {
            streams: vec![late],
            ..Reading::default()
        };
        assert_eq!(verdict(2500, 2000, &reading, Kind::Video), Verdict::Whole);
    }
}
