//! What is given up, in which order, when the machine can't keep up: points of the face on every second
//! frame only, then every second picture. Never sound, and never that both belong together.

use std::time::{Duration, Instant};

use crate::event::Effort;

impl Effort {
    /// Frames from one run of the mesh to the next.
    pub(crate) fn mesh_interval(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::HalfMesh | Self::HalfPictures => 2,
        }
    }

    /// Frames from one picture to the next.
    pub(crate) fn stride(self) -> u64 {
        match self {
            Self::Full | Self::HalfMesh => 1,
            Self::HalfPictures => 2,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Full => "The machine keeps up again: everything is done for every frame",
            Self::HalfMesh => {
                "The machine can't keep up: the face's points are found on every second frame only. A smaller --size, or --set preset=ultrafast, would help"
            }
            Self::HalfPictures => {
                "The machine still can't keep up: every second picture is shown twice. A smaller --size, or --set preset=ultrafast, would help"
            }
        }
    }
}

/// Being later than this is too late.
const LATE: Duration = Duration::from_millis(600);
/// Being earlier than this leaves room for more.
const EASY: Duration = Duration::from_millis(400);
/// For how long, before less is done.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long, before more is tried again.
const CAUTION: Duration = Duration::from_secs(20);

/// Decides from how far the picture is behind the clock.
#[derive(Debug, Default)]
pub struct Shedder {
    effort: Effort,
    late_since: Option<Instant>,
    easy_since: Option<Instant>,
}

impl Shedder {
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Gives the new effort if it changes.
    pub fn note(&mut self, behind: Duration, now: Instant) -> Option<Effort> {
        let since = |still: bool, since: Option<Instant>| still.then(|| since.unwrap_or(now));
        self.late_since = since(behind > LATE, self.late_since);
        self.easy_since = since(behind < EASY, self.easy_since);
        let lasted = |since: Option<Instant>, limit| since.is_some_and(|s| now - s >= limit);
        let next = match self.effort {
            Effort::Full if lasted(self.late_since, PATIENCE) => Effort::HalfMesh,
            Effort::HalfMesh if lasted(self.late_since, PATIENCE) => Effort::HalfPictures,
            Effort::HalfPictures if lasted(self.easy_since, CAUTION) => Effort::HalfMesh,
            Effort::HalfMesh if lasted(self.easy_since, CAUTION) => Effort::Full,
            _ => return None,
        };
        self.effort = next;
        self.late_since = None;
        self.easy_since = None;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Efforts after so many seconds of so many milliseconds behind.
    fn efforts(course: &[(u64, u64)]) -> Vec<Effort> {
        let mut shedder = Shedder::default();
        let mut now = Instant::now();
        let mut efforts = Vec::new();
        for (seconds, behind) in course {
            for _ in 0..seconds * 2 {
                now += Duration::from_millis(500);
                efforts.extend(shedder.note(Duration::from_millis(*behind), now));
            }
        }
        efforts
    }

    #[test]
    fn less_is_done_step_by_step_and_more_again_with_caution() {
        use Effort::{Full, HalfMesh, HalfPictures};
        assert_eq!(efforts(&[(60, 200)]), []);
        assert_eq!(
            efforts(&[(1, 900), (30, 200)]),
            [],
            "a moment is no trouble"
        );
        assert_eq!(efforts(&[(3, 900)]), [HalfMesh]);
        assert_eq!(efforts(&[(9, 900)]), [HalfMesh, HalfPictures]);
        assert_eq!(
            efforts(&[(9, 900), (15, 300)]),
            [HalfMesh, HalfPictures],
            "not yet"
        );
        assert_eq!(
            efforts(&[(9, 900), (50, 300)]),
            [HalfMesh, HalfPictures, HalfMesh, Full]
        );
        assert_eq!(
            efforts(&[(9, 900), (50, 500)]),
            [HalfMesh, HalfPictures],
            "in time, but without room for more"
        );
    }
}
