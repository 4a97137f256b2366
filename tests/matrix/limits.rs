//! What lipflow can't make right and tells instead, each with the reason: a case that is wrong is as it should be
//! where it was told so.

use crate::case::Case;
use crate::formats::Varies;

struct Limit {
    /// Which cases it concerns.
    concerns: fn(&Case) -> bool,
    /// What lipflow must say.
    says: &'static str,
    why: &'static str,
}

const LIMITS: [Limit; 1] = [Limit {
    concerns: |case| {
        let stands_still = case.rate.varies == Varies::Gap || case.fps() < 2.0;
        case.picture.extension == "ts" && stands_still
    },
    says: "when it goes on is an estimate",
    why: "tsdemux of GStreamer 1.22 estimates the time behind a gap of more than half a second",
}];

/// The reason, where lipflow has `said` that a limit is met.
pub fn known(case: &Case, said: &str) -> Option<&'static str> {
    let mut limits = LIMITS.iter();
    let limit = limits.find(|limit| (limit.concerns)(case) && said.contains(limit.says))?;
    Some(limit.why)
}
