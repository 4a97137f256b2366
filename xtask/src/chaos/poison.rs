//! Inputs that crash, hang, fail or leak, among good ones.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Findings;
use super::ground::{self, Ground, Row};
use super::running::{Next, Running};
use crate::table::Limit;

const GOOD: usize = 16;
/// Seconds after which a job that does not move is stuck.
const STUCK_AFTER: &str = "2";

/// What a poisoned job must come to.
struct Dose {
    name: &'static str,
    /// The code of the failure; none for one that is done all the same.
    code: Option<&'static str>,
    /// What the reason must say.
    says: &'static [&'static str],
    attempts: u64,
}

const DOSES: [Dose; 6] = [
    Dose {
        name: "abort",
        code: Some("worker-died"),
        says: &["SIGABRT", "while "],
        attempts: 2,
    },
    Dose {
        name: "segfault",
        code: Some("worker-died"),
        says: &["SIGSEGV", "while "],
        attempts: 2,
    },
    Dose {
        name: "hang",
        code: Some("stuck"),
        says: &["it stopped at `poison", "the last buffer was seen at `"],
        attempts: 2,
    },
    Dose {
        name: "error",
        code: Some("input-damaged"),
        says: &[],
        attempts: 1,
    },
    Dose {
        name: "leak",
        code: None,
        says: &[],
        attempts: 1,
    },
    Dose {
        name: "text",
        code: Some("not-media"),
        says: &["this is not a video"],
        attempts: 1,
    },
];

pub fn run(ground: &Ground) -> Result<Findings> {
    eprintln!("Poison: an undisturbed run of {GOOD} jobs");
    let place = ground.place("unpoisoned")?;
    ground.list(&place, &(0..GOOD).map(good).collect::<Vec<_>>())?;
    let finished = Running::start(ground, "unpoisoned", &mut batch(ground, &place))?.finish()?;
    if !finished.status.success() {
        bail!("it failed: {:?}", finished.failures());
    }

    eprintln!("Poison: the same with poisoned ones between them");
    let poisoned = ground.place("poisoned")?;
    let text = poisoned.join("text.mp4");
    std::fs::write(&text, "Once upon a time.\n".repeat(99))?;
    let mut rows: Vec<_> = (0..GOOD).map(good).collect();
    for (index, dose) in DOSES.iter().enumerate() {
        let mut row = Row::new(index, output_of(dose));
        if dose.name == "text" {
            row.face = Some(text.clone());
        } else {
            row = row.with("set.poison", dose.name);
            row = row.with("stuck-after", STUCK_AFTER);
        }
        rows.insert(2 * index + 1, row);
    }
    ground.list(&poisoned, &rows)?;
    let mut running = Running::start(ground, "poison", &mut batch(ground, &poisoned))?;
    let mut largest = 0;
    while let Next::Event(heard) = running.next(std::time::Instant::now() + LIMIT) {
        if heard.event["event"] == "result" {
            let sizes = running
                .children()
                .into_iter()
                .filter_map(super::many::resident);
            largest = sizes.max().unwrap_or(0);
        }
    }
    let finished = running.finish()?;

    let mut findings = Findings::default();
    let mut touched = Vec::new();
    for n in 0..GOOD {
        let row = good(n);
        let made = ground::sha256(&poisoned.join(&row.output));
        let expected = ground::sha256(&place.join(&row.output))?;
        if made.as_ref().ok() != Some(&expected) {
            let result = finished.result(&row.output);
            touched.push(format!("{}: {result:?}", row.output));
        }
    }
    findings.none_of("poison: good jobs that suffered", &touched);
    let state = poisoned.join("out/.lipflow");
    for dose in &DOSES {
        let result = finished.result(&output_of(dose));
        let wrong = match result {
            Some(result) => check(dose, result, &state),
            None => Some("it has no result".into()),
        };
        let reason = result.map_or(&Value::Null, |r| &r["error"]["reason"]);
        findings
            .notes
            .push(format!("poison: {}: {reason}", dose.name));
        let wrong: Vec<_> = wrong.into_iter().collect();
        findings.none_of(format!("poison: {}, wrongly ended", dose.name), &wrong);
    }
    let attempts = wrong_attempts(ground, &state, &poisoned)?;
    findings.none_of("poison: wrong number of attempts", &attempts);
    let largest = largest as f64 / 1e6;
    let name = "poison: largest worker at the end, after a leak of 300 MB";
    findings.figure(name, largest, "MB", Limit::AtMost(300.0));
    findings.none_of("poison: processes left over", &ground.strays());
    let left = ground::left_over(&poisoned.join("out"))?;
    findings.none_of("poison: files left over", &left);
    Ok(findings)
}

/// The hanging job waits for its time to be over, and for its pipeline to stop, twice.
const LIMIT: Duration = Duration::from_secs(180);

fn good(n: usize) -> Row {
    Row::new(n, format!("out/{n}.mp4"))
}

fn output_of(dose: &Dose) -> String {
    format!("out/{}.mp4", dose.name)
}

fn batch(ground: &Ground, place: &Path) -> std::process::Command {
    let mut batch = ground.batch(place, 2);
    batch.args(["--min-free", "0", "--attempts", "2", "--template"]);
    batch.arg(&ground.template);
    batch
}

/// What is wrong with how the job ended.
fn check(dose: &Dose, result: &Value, state: &Path) -> Option<String> {
    let code = result["error"]["code"].as_str();
    if code != dose.code {
        return Some(format!("{code:?} instead of {:?}", dose.code));
    }
    let reason = result["error"]["reason"].as_str().unwrap_or_default();
    if let Some(missing) = dose.says.iter().find(|says| !reason.contains(**says)) {
        return Some(format!("{reason:?} does not say {missing:?}"));
    }
    if dose.name == "hang" {
        let graph = state.join(format!("stuck-{}.dot", result["job"]));
        let is_graph = std::fs::read_to_string(&graph).is_ok_and(|t| t.contains("poison"));
        return (!is_graph).then(|| format!("no graph in {}", graph.display()));
    }
    None
}

fn wrong_attempts(ground: &Ground, state: &Path, place: &Path) -> Result<Vec<String>> {
    let mut command = ground.lipflow("jobs");
    let text = crate::process::output(command.arg("--json").arg("--state").arg(state))?;
    let jobs: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("`lipflow jobs --json` is not JSON")?;
    let mut wrong = Vec::new();
    for job in jobs {
        let output = Path::new(job["output"].as_str().unwrap_or_default());
        let dose = DOSES.iter().find(|d| output == place.join(output_of(d)));
        let expected = dose.map_or(1, |dose| dose.attempts);
        if job["attempts"] != expected {
            wrong.push(format!("{}: {}", output.display(), job["attempts"]));
        }
    }
    Ok(wrong)
}
