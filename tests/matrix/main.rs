//! Pictures and sounds of all kinds, two things at a time, held against what ffmpeg sees and hears in them:
//! every frame by the number that is drawn in it, when it is shown, lengths, colours, what is up, and where
//! a click is. `cargo xtask media` runs all of it and prints a table.

mod case;
mod formats;
mod judge;
mod make;
mod pairs;
mod read;
#[path = "../run_support/mod.rs"]
mod run_support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use case::Case;
use formats::Begin;

/// Judges them side by side and tells each verdict; gives how many are wrong.
fn judge_all(cases: &[Case], tell: &(dyn Fn(usize, &Case, &[String]) + Sync)) -> usize {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let faults = judge::judge(case);
                    *wrong.lock().unwrap() += usize::from(!faults.is_empty());
                    tell(at, case, &faults);
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

/// Of each family of containers one, with the times that are hardest for it.
#[test]
fn the_quick_matrix() {
    let named = Case::named;
    let cases = [
        Case {
            begin: Begin::Trimmed,
            ..named("MP4 H.264", "M4A AAC", "25")
        },
        Case {
            begin: Begin::Late,
            ..named("MKV H.264", "MP3", "29.97")
        },
        Case {
            begin: Begin::Wrap,
            ..named("TS H.264", "WAV 16 bits", "30")
        },
        Case {
            shape: formats::Shape::Turned(90),
            ..named("MOV H.264", "FLAC", "30, jitter")
        },
        Case {
            template: "webm",
            output: "webm",
            ..named("WebM VP9", "Ogg Opus", "24")
        },
        Case {
            shape: formats::Shape::OddWidth,
            ..named("MKV FFV1", "AIFF", "60")
        },
        Case {
            length: None,
            ..named("MP4 H.264, no B-frames", "Ogg Vorbis", "25")
        },
        named("MPG MPEG-1", "WAV ADPCM", "25"),
        named("AVI MPEG-4", "AAC in ADTS", "15"),
        named("GIF", "M4A ALAC", "10"),
    ];
    let said = Mutex::new(Vec::new());
    judge_all(&cases, &|_, case, faults| {
        if !faults.is_empty() {
            said.lock()
                .unwrap()
                .push(format!("{case}: {}", faults.join("; ")));
        }
    });
    let said = said.into_inner().unwrap();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

/// As many cases as LIPFLOW_MATRIX_CASES says, from LIPFLOW_MATRIX_FROM on; all of them, and one of ten
/// minutes, where it says nothing.
#[test]
#[ignore = "takes long: cargo xtask media"]
fn the_full_matrix() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse::<usize>().ok())
    };
    let cover = case::cover();
    let from = number("LIPFLOW_MATRIX_FROM")
        .unwrap_or(0)
        .min(cover.cases.len());
    let most = number("LIPFLOW_MATRIX_CASES");
    let chosen = cover
        .cases
        .iter()
        .skip(from)
        .take(most.unwrap_or(usize::MAX));
    let mut cases: Vec<Case> = chosen.map(|choice| Case::of(choice)).collect();
    let last = from + cases.len();
    if most.is_none() {
        cases.push(Case {
            length: Some(600.0),
            ..Case::named("MP4 H.264", "M4A AAC", "25")
        });
    }
    let begin = Instant::now();
    let wrong = judge_all(&cases, &|at, case, faults| {
        let verdict = if faults.is_empty() {
            "ok".to_owned()
        } else {
            faults.join("; ")
        };
        println!("{:4} | {case} | {verdict}", from + at);
    });
    let met = last.checked_sub(1).map_or(0, |at| cover.met[at]);
    println!(
        "{} cases in {:.0} s: {} right, {wrong} wrong; up to case {last} of {} {met} of {} pairs have met",
        cases.len(),
        begin.elapsed().as_secs_f64(),
        cases.len() - wrong,
        cover.cases.len(),
        cover.pairs
    );
    assert_eq!(wrong, 0, "see the table above");
}
