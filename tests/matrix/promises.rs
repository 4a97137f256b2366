//! What a plan and the progress say beforehand, held against what was made.

use crate::case::Case;
use crate::read::{Heard, Seen};

/// Two packets of sound and two frames: their ends are not known to the sample before they are decoded.
const SLACK: f64 = 0.08;

/// What was promised of the output and is not so.
pub fn kept(case: &Case, told: &str, seen: &Seen, heard: &Heard) -> Vec<String> {
    let mut faults = Vec::new();
    let made = heard.seconds;
    let slack = SLACK + 2.0 / case.fps();
    let plan = told.lines().find(|line| line.starts_with("output "));
    let plan = plan
        .and_then(|line| line.split_once(';'))
        .map_or("", |(said, _)| said);
    match number_before(plan, " s") {
        Some(length) if (length - made).abs() <= slack => {}
        Some(length) => faults.push(format!("the plan says {length} s, and {made:.3} were made")),
        None => faults.push("the plan says no length".into()),
    }
    let frames = seen.times.len() as f64;
    if let Some(planned) = number_before(plan, " frames")
        && (planned - frames).abs() > 2.0 + slack * case.fps().max(25.0) + frames * 0.02
    {
        faults.push(format!(
            "the plan says {planned} frames, and {frames} were made"
        ));
    }
    let beyond = told.lines().find(|line| {
        let count = line
            .split_once("frame ")
            .and_then(|(_, rest)| rest.split_once(" of "));
        let parts = count.and_then(|(now, all)| {
            let all = all.split(',').next()?;
            Some((now.parse::<u64>().ok()?, all.parse::<u64>().ok()?))
        });
        parts.is_some_and(|(now, all)| now > all)
    });
    faults.extend(beyond.map(|line| format!("it says `{line}`")));
    faults
}

/// The number that stands before a unit, behind a comma.
fn number_before(text: &str, unit: &str) -> Option<f64> {
    let mut parts = text.split(", ");
    parts.find_map(|part| part.strip_suffix(unit)?.parse().ok())
}
