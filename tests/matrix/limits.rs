//! What lipflow can't make right and tells instead, each with the reason.

use crate::case::Case;

struct Limit {
    /// Which cases it concerns.
    concerns: fn(&Case) -> bool,
    /// What lipflow must say, and nothing else may be wrong.
    says: &'static str,
    why: &'static str,
}

const LIMITS: [Limit; 0] = [];

/// The reason, where all faults are of a limit that is known.
pub fn known(case: &Case, faults: &[String]) -> Option<&'static str> {
    let limit = LIMITS.iter().find(|limit| (limit.concerns)(case))?;
    let is_told = faults.iter().all(|fault| fault.contains(limit.says));
    is_told.then_some(limit.why)
}
