//! The results of the full matrix: a line for each case in a file, as it is judged, so that a run that was
//! stopped goes on where it was; and the table of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;

use crate::case::Case;

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Right,
    /// lipflow refused it, and said why; the reason is that of `limits`.
    Told(String),
    Wrong(String),
}

impl Verdict {
    const fn word(&self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Told(_) => "told",
            Self::Wrong(_) => "wrong",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Right => "",
            Self::Told(text) | Self::Wrong(text) => text,
        }
    }

    fn read(word: &str, text: &str) -> Option<Self> {
        match word {
            "right" => Some(Self::Right),
            "told" => Some(Self::Told(text.to_owned())),
            "wrong" => Some(Self::Wrong(text.to_owned())),
            _ => None,
        }
    }

    pub const fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }
}

/// The file, and what is in it. The later of two lines of a case counts.
pub struct Results {
    file: Mutex<File>,
    pub known: BTreeMap<String, Verdict>,
}

impl Results {
    pub fn open(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut known = BTreeMap::new();
        for line in text.lines() {
            let parts: Vec<&str> = line.splitn(3, '\t').collect();
            if let [name, word, text] = parts[..]
                && let Some(verdict) = Verdict::read(word, text)
            {
                known.insert(name.to_owned(), verdict);
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let file = Mutex::new(file);
        Ok(Self { file, known })
    }

    pub fn add(&self, case: &Case, verdict: &Verdict) -> io::Result<()> {
        let text = verdict.text().replace(['\t', '\n'], " ");
        let line = format!("{case}\t{}\t{text}\n", verdict.word());
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        file.write_all(line.as_bytes())
    }
}

/// For every value of every dimension, how many cases are right, told and wrong; then what is not right.
pub fn table<'a>(cases: impl Iterator<Item = (&'a Case, Option<&'a Verdict>)>) -> String {
    // In the order of the lists, which is that in which the values come up or nearly so.
    let mut rows: Vec<((&str, String), [usize; 4])> = Vec::new();
    let mut faults = String::new();
    let mut all = [0; 4];
    for (case, verdict) in cases {
        let column = match verdict {
            Some(Verdict::Right) => 0,
            Some(Verdict::Told(_)) => 1,
            Some(Verdict::Wrong(_)) => 2,
            None => 3,
        };
        all[column] += 1;
        for key in case.words() {
            let at = rows.iter().position(|(row, _)| *row == key);
            let at = at.unwrap_or_else(|| {
                rows.push((key, [0; 4]));
                rows.len() - 1
            });
            rows[at].1[column] += 1;
        }
        if let Some(verdict @ (Verdict::Told(_) | Verdict::Wrong(_))) = verdict {
            let _ = writeln!(faults, "{}: {case}: {}", verdict.word(), verdict.text());
        }
    }
    let mut order: Vec<&str> = Vec::new();
    for ((dimension, _), _) in &rows {
        if !order.contains(dimension) {
            order.push(dimension);
        }
    }
    rows.sort_by_key(|((dimension, _), _)| order.iter().position(|d| d == dimension));
    let mut text =
        String::from("| | | right | told | wrong | not yet |\n|---|---|--:|--:|--:|--:|\n");
    for ((dimension, value), [right, told, wrong, open]) in &rows {
        let _ = writeln!(
            text,
            "| {dimension} | {value} | {right} | {told} | {wrong} | {open} |"
        );
    }
    let [right, told, wrong, open] = all;
    let _ = writeln!(text, "| all | | {right} | {told} | {wrong} | {open} |");
    text + &faults
}

#[test]
fn results_are_read_back_and_the_later_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.tsv");
    let case = Case::named("MP4 H.264", "M4A AAC", "25");
    let other = Case::named("GIF", "M4A AAC", "25");
    let wrong = Verdict::Wrong("the sound\tlasts\n1 s".into());
    let results = Results::open(&path).unwrap();
    results.add(&case, &wrong).unwrap();
    results.add(&other, &wrong).unwrap();
    results.add(&case, &Verdict::Right).unwrap();
    let known = Results::open(&path).unwrap().known;
    assert_eq!(known[&case.to_string()], Verdict::Right);
    let kept = Verdict::Wrong("the sound lasts 1 s".into());
    assert_eq!(known[&other.to_string()], kept);
    let cases = [&case, &other];
    let text = table(cases.iter().map(|c| (*c, known.get(&c.to_string()))));
    assert!(text.contains("| picture | GIF | 0 | 0 | 1 | 0 |"), "{text}");
    assert!(
        text.contains("| sound | M4A AAC | 1 | 0 | 1 | 0 |"),
        "{text}"
    );
    assert!(text.contains("| all | | 1 | 0 | 1 | 0 |"), "{text}");
}
