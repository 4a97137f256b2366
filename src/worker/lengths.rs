//! Was all of an input used? What its container claims, what is in it, and what came out of it.

use std::time::Duration;

use crate::job;
use crate::pipeline::reading::odd::seconds;
use crate::pipeline::reading::{Kind, ROUNDING, Reading};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Whole,
    /// A little of it is missing, or it claims more than is in it.
    Told(String),
    /// Much of it can't be decoded, or is gone.
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
        return verdict(
            job::is_cut_short(stream.duration(), position),
            format!(
                "it lasts {}, but {} of it came out: the rest can't be decoded",
                seconds(stream.duration()),
                seconds(position)
            ),
        );
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
    verdict(job::is_cut_short(promised, end), text)
}

/// Recordings of broadcasts begin with frames that need those before them, so a little is only told.
const fn verdict(is_cut_short: bool, text: String) -> Verdict {
    match is_cut_short {
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

    fn of(promised: u64, position: u64, reading: &Reading, kind: Kind) -> Verdict {
        judge(ms(promised), ms(position), ms(40), reading, kind)
    }

    #[test]
    fn a_frame_is_the_most_that_may_be_missing_without_a_word() {
        let reading = Reading {
            streams: vec![
                stream(Kind::Video, &[40; 50]),
                stream(Kind::Audio, &[20; 110]),
            ],
            ..Reading::default()
        };
        // The container counts the sound, which lasts longer.
        assert_eq!(of(2200, 2000, &reading, Kind::Video), Verdict::Whole);
        assert_eq!(of(2200, 1960, &reading, Kind::Video), Verdict::Whole);
        let damaged = |v| matches!(v, Verdict::Damaged(_));
        assert!(damaged(of(2000, 1400, &reading, Kind::Video)));
        let told = |v| matches!(v, Verdict::Told(_));
        assert!(told(of(2000, 1880, &reading, Kind::Video)));
        assert!(told(of(2200, 2080, &reading, Kind::Audio)));
        assert!(told(of(2400, 2200, &reading, Kind::Audio)));
        assert!(damaged(of(3000, 2200, &reading, Kind::Audio)));
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
        assert_eq!(of(2500, 2000, &reading, Kind::Video), Verdict::Whole);
    }
}
