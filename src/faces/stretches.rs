//! How much of a video is read to learn its face, and which parts of it.

use std::time::Duration;

/// The least that is worth reading: a few sentences.
pub const LEAST: Duration = Duration::from_secs(10);
/// As long as a sentence: frames that follow each other are worth more than single ones.
const SHORTEST: Duration = Duration::from_secs(2);
/// Every stretch costs a seek.
const MOST: u32 = 12;
/// What is left out must be worth a seek.
const WORTH: f64 = 1.25;
/// What was learnt of a part is enough for a job that would read up to this many times as much: else a
/// batch of ever longer speeches would learn the same face again and again.
const STRETCH: f64 = 2.0;

/// How much is to be learnt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Whole,
    /// So much of the video, spread over it.
    Part(Duration),
}

impl Amount {
    /// What a job is worth: as much as it makes itself. Where its length is not known it may be long.
    pub fn for_job(length: Option<Duration>) -> Self {
        Self::Part(length.unwrap_or(3 * LEAST).max(LEAST))
    }

    /// Whether what was learnt of `seconds` will do.
    pub fn is_met(self, seconds: f64, is_whole: bool) -> bool {
        match self {
            Self::Whole => is_whole,
            Self::Part(wanted) => is_whole || seconds * STRETCH >= wanted.as_secs_f64(),
        }
    }
}

/// A part of the video; without an end it goes to the end of the video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub start: Duration,
    pub end: Option<Duration>,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub stretches: Vec<Stretch>,
    /// The last one goes to the end and there is no gap.
    pub is_whole: bool,
    /// How long it is, where that is known.
    pub length: Option<Duration>,
}

impl Reading {
    /// What to read of a video that lasts `duration`.
    pub fn of(amount: Amount, duration: Option<Duration>) -> Self {
        let whole = |length| Self {
            stretches: vec![Stretch {
                start: Duration::ZERO,
                end: None,
            }],
            is_whole: true,
            length,
        };
        let wanted = match amount {
            Amount::Whole => return whole(duration),
            Amount::Part(wanted) => wanted,
        };
        let Some(duration) = duration else {
            // Where its end is not known, its parts are not either.
            return Self {
                stretches: vec![Stretch {
                    start: Duration::ZERO,
                    end: Some(wanted),
                }],
                is_whole: false,
                length: Some(wanted),
            };
        };
        if duration <= wanted.mul_f64(WORTH) {
            return whole(Some(duration));
        }
        let count = (wanted.as_secs_f64() / SHORTEST.as_secs_f64()) as u32;
        let count = count.clamp(1, MOST);
        let each = wanted / count;
        let step = (duration - each) / (count - 1).max(1);
        let stretches = (0..count)
            .map(|n| Stretch {
                start: step * n,
                end: Some(step * n + each),
            })
            .collect();
        Self {
            stretches,
            is_whole: false,
            length: Some(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_hour_is_sampled_and_a_minute_is_read() {
        let hour = Reading::of(Amount::for_job(Some(s(10))), Some(s(3600)));
        assert!(!hour.is_whole);
        assert_eq!(hour.stretches.len(), 5);
        let read: Duration = hour
            .stretches
            .iter()
            .map(|x| x.end.unwrap() - x.start)
            .sum();
        assert_eq!(read, s(10));
        assert_eq!(hour.stretches[0].start, s(0));
        let last = hour.stretches[4].end.unwrap();
        assert!(last > s(3599) && last <= s(3600), "{last:?}");
        let gaps = hour.stretches.windows(2);
        assert!(gaps.into_iter().all(|w| w[1].start > w[0].end.unwrap()));

        let minute = Reading::of(Amount::for_job(Some(s(50))), Some(s(60)));
        assert!(minute.is_whole, "{minute:?}");
        let long = Reading::of(Amount::for_job(Some(s(600))), Some(s(3600)));
        assert_eq!(long.stretches.len(), 12);
        assert!(Reading::of(Amount::Whole, Some(s(3600))).is_whole);
    }

    #[test]
    fn a_job_reads_as_much_as_it_makes_but_a_few_sentences_at_least() {
        assert_eq!(Amount::for_job(Some(s(2))), Amount::Part(LEAST));
        assert_eq!(Amount::for_job(Some(s(60))), Amount::Part(s(60)));
        assert_eq!(Amount::for_job(None), Amount::Part(s(30)));
        let unknown = Reading::of(Amount::for_job(None), None);
        assert_eq!(unknown.stretches[0].end, Some(s(30)));
        assert!(!unknown.is_whole);
    }

    #[test]
    fn what_was_learnt_serves_until_much_more_is_wanted() {
        let minute = Amount::Part(s(60));
        assert!(minute.is_met(30.0, false));
        assert!(!minute.is_met(20.0, false));
        assert!(minute.is_met(5.0, true), "there is no more");
        assert!(!Amount::Whole.is_met(1e6, false));
        assert!(Amount::Whole.is_met(1.0, true));
    }
}
