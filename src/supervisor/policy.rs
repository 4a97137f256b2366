//! Decisions about failures and time: pure functions.

use std::time::Duration;

use crate::error::FailureKind;
use crate::event::Phase;

/// The first pause before another attempt; each one is four times as long as the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many workers may die of a job alone before it is set aside.
const DEATHS_ALLOWED: u32 = crate::journal::DEATHS_ALLOWED;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GiveUp,
    Retry {
        after: Duration,
        /// Whether the attempt counts against the job.
        counts: bool,
    },
}

/// A disk with less than this is full, whatever floor was asked for.
const ROOM: u64 = 16 << 20;

/// Whether a disk on which `free` bytes are left has no room for anybody's next file.
pub fn is_full(free: Option<u64>, floor: u64) -> bool {
    free.is_some_and(|free| free < floor.max(ROOM))
}

/// What becomes of a job whose attempt number `attempt`, from 1, failed; `deaths` workers died of it,
/// this attempt's included. `is_full`: its disk is.
pub fn after_failure(
    kind: FailureKind,
    attempt: u32,
    attempts: u32,
    deaths: u32,
    is_full: bool,
) -> Next {
    if kind == FailureKind::DiskFull && is_full {
        // The disk's fault, not the job's; it goes on when somebody makes room. Where there is room, the
        // file's own size is in the way, and waiting changes nothing.
        return Next::Retry {
            after: FIRST_PAUSE * 5,
            counts: false,
        };
    }
    if !may_pass(kind) || attempt >= attempts || deaths >= DEATHS_ALLOWED {
        return Next::GiveUp;
    }
    let pause = FIRST_PAUSE * 4_u32.saturating_pow(attempt.saturating_sub(1));
    Next::Retry {
        after: pause.min(LONGEST_PAUSE),
        counts: true,
    }
}

/// Whether the same job may succeed at another time.
fn may_pass(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Internal
        | FailureKind::Provider
        | FailureKind::OutputFolderMissing
        | FailureKind::OutputFolderReadOnly
        | FailureKind::DiskFull
        // Other jobs may be done, and somebody may tidy up: but not for ever.
        | FailureKind::QuotaUsedUp
        | FailureKind::OutputWrong
        | FailureKind::Stuck
        | FailureKind::WorkerDied => true,
        FailureKind::Usage
        | FailureKind::InputMissing
        | FailureKind::InputUnreadable
        | FailureKind::InputIsFolder
        | FailureKind::InputEmpty
        | FailureKind::NotMedia
        | FailureKind::InputDamaged
        | FailureKind::HeaderOnly
        | FailureKind::NoSoundTrack
        | FailureKind::NoPicture
        | FailureKind::NoFace
        | FailureKind::NoSpeaker
        | FailureKind::InputTooLarge
        | FailureKind::FormatUnsupported
        | FailureKind::MediaOdd
        | FailureKind::ModelMissing
        | FailureKind::ModelCorrupt
        | FailureKind::ModelShape
        | FailureKind::LibraryMissing
        | FailureKind::FaceFile
        | FailureKind::OutputTooLarge
        | FailureKind::CantCarry
        | FailureKind::NotMarked
        | FailureKind::OutputIsInput
        | FailureKind::OutputExists
        | FailureKind::TemplateInvalid
        | FailureKind::PluginMissing
        | FailureKind::JournalUnusable
        | FailureKind::DestinationFailed
        | FailureKind::Interrupted
        | FailureKind::Terminated => false,
    }
}

/// How long a phase may show no change. A worker watches its own pipeline and is stricter; this is for
/// workers whose watch has failed.
pub fn limit(phase: Phase, stuck_after: Duration) -> Duration {
    const MARGIN: Duration = Duration::from_secs(20);
    match phase {
        // A large input on a slow disk is read once.
        Phase::Probing => stuck_after * 20,
        // Some execution providers compile a network for minutes.
        Phase::Learning | Phase::Loading => stuck_after * 40,
        Phase::Running | Phase::Draining => stuck_after * 4,
        // Likewise for the output: it is parsed, read and synced.
        Phase::Verifying | Phase::Publishing => stuck_after * 20,
        Phase::Stopping => Duration::ZERO,
    }
    .saturating_add(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_that_pass_are_retried_with_growing_pauses() {
        let pauses: Vec<_> = (1..=4)
            .map(|attempt| after_failure(FailureKind::Stuck, attempt, 4, 0, false))
            .collect();
        let retry = |seconds| Next::Retry {
            after: Duration::from_secs(seconds),
            counts: true,
        };
        assert_eq!(pauses, [retry(1), retry(4), retry(16), Next::GiveUp]);
        assert_eq!(
            after_failure(FailureKind::Stuck, 9, 99, 0, false),
            retry(60)
        );
    }

    #[test]
    fn causes_that_stay_are_not() {
        for kind in [
            FailureKind::InputDamaged,
            FailureKind::NoFace,
            FailureKind::OutputExists,
            FailureKind::OutputTooLarge,
            FailureKind::LibraryMissing,
        ] {
            assert_eq!(
                after_failure(kind, 1, 3, 0, false),
                Next::GiveUp,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_job_that_killed_two_workers_is_set_aside() {
        let died = |deaths| after_failure(FailureKind::WorkerDied, deaths, 9, deaths, false);
        assert_ne!(died(1), Next::GiveUp);
        assert_eq!(died(2), Next::GiveUp);
    }

    #[test]
    fn a_full_disk_is_not_the_jobs_fault() {
        let next = after_failure(FailureKind::DiskFull, 7, 3, 0, true);
        assert!(
            matches!(next, Next::Retry { counts: false, .. }),
            "{next:?}"
        );
    }

    #[test]
    fn where_there_is_room_a_full_disk_is_something_else_and_attempts_count() {
        const GIGABYTE: u64 = 1 << 30;
        assert!(is_full(Some(8 << 10), 0));
        assert!(is_full(Some(GIGABYTE), 2 * GIGABYTE));
        assert!(!is_full(Some(GIGABYTE), 500_000_000));
        assert!(!is_full(None, GIGABYTE), "nobody knows");
        let next = |attempt| after_failure(FailureKind::DiskFull, attempt, 3, 0, false);
        assert!(matches!(next(2), Next::Retry { counts: true, .. }));
        assert_eq!(next(3), Next::GiveUp);
    }

    #[test]
    fn a_quota_is_no_full_disk_and_is_not_waited_for() {
        let next =
            |attempt, is_full| after_failure(FailureKind::QuotaUsedUp, attempt, 3, 0, is_full);
        assert!(matches!(next(2, false), Next::Retry { counts: true, .. }));
        assert!(matches!(next(2, true), Next::Retry { counts: true, .. }));
        assert_eq!(next(3, true), Next::GiveUp);
    }
}
