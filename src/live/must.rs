//! Destinations without which there is no point.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::{DestinationState, DestinationStatus};

/// One that was on air may be away for so long.
const LIMIT: Duration = Duration::from_secs(60);

/// What is known of them.
#[derive(Debug, Default)]
pub struct Must(BTreeMap<String, Known>);

#[derive(Debug)]
struct Known {
    was_on_air: bool,
    away_since: Option<Instant>,
    reason: Option<String>,
}

impl Must {
    pub fn note(&mut self, status: &DestinationStatus, now: Instant) {
        if status.state == DestinationState::Ended {
            // Somebody wanted it to end.
            self.0.remove(&status.destination);
            return;
        }
        let known = self.0.entry(status.destination.clone()).or_insert(Known {
            was_on_air: false,
            away_since: None,
            reason: None,
        });
        if status.state == DestinationState::OnAir {
            known.was_on_air = true;
            known.away_since = None;
        } else {
            known.away_since.get_or_insert(now);
            if status.reason.is_some() {
                known.reason.clone_from(&status.reason);
            }
        }
    }

    /// Why the broadcast has no point any more: one could not be reached at all, or is away for too
    /// long.
    pub fn given_up(&self, now: Instant) -> Option<String> {
        self.0.iter().find_map(|(name, known)| {
            let reason = known.reason.as_deref()?;
            let away = now - known.away_since?;
            (!known.was_on_air || away > LIMIT)
                .then(|| format!("{name} can't be reached: {reason}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: DestinationState, reason: Option<&str>) -> DestinationStatus {
        DestinationStatus {
            destination: "rtmp://host/live/...".into(),
            state,
            must: true,
            cause: None,
            reason: reason.map(str::to_owned),
            remedy: None,
            retry_in_s: None,
            packets_dropped: 0,
        }
    }

    #[test]
    fn one_that_is_never_reached_ends_it_at_once_one_that_was_has_a_minute() {
        use DestinationState::{Connecting, Ended, OnAir, Waiting};
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut must = Must::default();
        must.note(&status(Connecting, None), now);
        assert_eq!(must.given_up(later(5)), None, "it is being tried");
        must.note(&status(Waiting, Some("refused")), now);
        let reason = must.given_up(now).unwrap();
        assert_eq!(reason, "rtmp://host/live/... can't be reached: refused");

        let mut must = Must::default();
        must.note(&status(OnAir, None), now);
        must.note(&status(Waiting, Some("reset")), now);
        must.note(&status(Connecting, None), later(30));
        must.note(&status(Waiting, Some("refused")), later(40));
        assert_eq!(must.given_up(later(59)), None);
        assert!(must.given_up(later(61)).is_some());
        must.note(&status(OnAir, None), later(62));
        assert_eq!(must.given_up(later(200)), None);
        must.note(&status(Waiting, Some("reset")), later(300));
        must.note(&status(Ended, None), later(301));
        assert_eq!(must.given_up(later(999)), None, "it was dropped");
    }
}
