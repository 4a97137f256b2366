//! Pictures and sounds of all kinds, two things at a time, held against what ffmpeg sees and hears in them:
//! every frame by the number that is drawn in it, when it is shown, lengths, colours, what is up, and where
//! a click is. `cargo xtask media` runs all of it and prints a table.

mod case;
mod formats;
mod judge;
mod limits;
mod make;
mod pairs;
mod promises;
mod read;
#[path = "../run_support/mod.rs"]
mod run_support;
mod table;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::Case;
use formats::Begin;
use table::{Results, Verdict};

/// Judges them, so many at a time, and tells each verdict.
fn judge_all(cases: &[&Case], at_a_time: usize, tell: &(dyn Fn(&Case, Verdict) + Sync)) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    tell(case, judge::judge(case));
                }
            });
        }
    });
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
    judge_all(&cases.each_ref(), cores(), &|case, verdict| {
        if verdict != Verdict::Right {
            let mut said = said.lock().unwrap_or_else(|e| e.into_inner());
            said.push(format!("{case}: {verdict:?}"));
        }
    });
    let said = said.into_inner().unwrap_or_else(|e| e.into_inner());
    assert!(said.is_empty(), "{}", said.join("\n"));
}

/// What `cargo xtask media` says in the environment.
struct Asked {
    results: PathBuf,
    at_a_time: usize,
    /// Only the first so many, in which most meets.
    first: usize,
    /// Those that were wrong, once more.
    again: bool,
    /// Only those whose name has this in it.
    only: String,
}

impl Asked {
    fn read() -> Self {
        let word = |name: &str| std::env::var(format!("LIPFLOW_MATRIX_{name}")).ok();
        let number = |name: &str| word(name).and_then(|word| word.parse::<usize>().ok());
        let results = word("RESULTS").map_or_else(|| "matrix.tsv".into(), PathBuf::from);
        Self {
            results,
            at_a_time: number("AT_A_TIME").unwrap_or_else(cores),
            first: number("FIRST").unwrap_or(usize::MAX),
            again: word("AGAIN").is_some(),
            only: word("ONLY").unwrap_or_default(),
        }
    }
}

/// All pairs, and one of ten minutes. What is in the file of results is not done again.
#[test]
#[ignore = "takes long: cargo xtask media"]
fn the_full_matrix() {
    let asked = Asked::read();
    let mut cases: Vec<Case> = case::cover().cases.iter().map(|c| Case::of(c)).collect();
    cases.push(Case {
        length: Some(600.0),
        ..Case::named("MP4 H.264", "M4A AAC", "25")
    });
    cases.truncate(asked.first);
    cases.retain(|case| case.to_string().contains(&asked.only));
    let results = Results::open(&asked.results).expect("the file of results");
    let known = |case: &Case| results.known.get(&case.to_string());
    let is_open = |case: &&Case| match known(case) {
        Some(verdict) => asked.again && verdict.is_wrong(),
        None => true,
    };
    let open: Vec<&Case> = cases.iter().filter(is_open).collect();
    println!("{} cases, {} of them to do", cases.len(), open.len());
    judge_all(&open, asked.at_a_time, &|case, verdict| {
        println!("{case} | {verdict:?}");
        results.add(case, &verdict).expect("the file of results");
    });
    let known = Results::open(&asked.results).expect("it was written").known;
    let found = |case: &Case| known.get(&case.to_string());
    println!("{}", table::table(cases.iter().map(|c| (c, found(c)))));
    let wrong = cases
        .iter()
        .filter(|c| found(c).is_some_and(Verdict::is_wrong));
    assert_eq!(wrong.count(), 0, "see the table above");
}
