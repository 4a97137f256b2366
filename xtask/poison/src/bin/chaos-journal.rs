//! Looks into a batch's journal, or fills it as a controller would: what `cargo xtask chaos` needs to
//! know and `lipflow jobs` doesn't tell.
//!
//!     chaos-journal endings FOLDER        for each job: output, state, how many attempts ended well
//!     chaos-journal finish FOLDER COUNT  enters COUNT jobs as done, and writes some bytes as their outputs

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lipflow::batch::identity::Identifier;
use lipflow::cancel::Cancel;
use lipflow::digest;
use lipflow::event::{JobState, Outcome, Progress};
use lipflow::journal::{Change, Ending, Journal, recover};
use lipflow::publish::LocalStore;
use lipflow::stamp::Stamp;
use rusqlite::{Connection, OpenFlags};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["endings", folder] => endings(Path::new(folder)),
        ["finish", folder, count] => finish(Path::new(folder), count.parse()?),
        _ => bail!("chaos-journal endings FOLDER | chaos-journal finish FOLDER COUNT"),
    }
}

fn endings(folder: &Path) -> Result<()> {
    let db =
        Connection::open_with_flags(folder.join("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = db.prepare(
        "SELECT output, state, (SELECT COUNT(*) FROM attempts WHERE job = jobs.id AND ending = 'done')
         FROM jobs WHERE listed = 1 ORDER BY position",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (output, state): (String, String) = (row.get(0)?, row.get(1)?);
        println!("{output}\t{state}\t{}", row.get::<_, i64>(2)?);
    }
    Ok(())
}

/// Does what a supervisor does for a job, but for the work.
fn finish(folder: &Path, count: usize) -> Result<()> {
    let mut journal = Journal::open(folder)?;
    journal.sign_in()?;
    recover(&journal, &LocalStore)?;
    let batch = journal.batch(None)?.context("there is no batch")?.id;
    let identifier = Identifier::default();
    for _ in 0..count {
        let claim = journal
            .apply_and_claim(batch, &mut Vec::new(), std::process::id(), &|_| None)?
            .claim
            .context("there are not as many jobs")?;
        let (job, lease, spec) = (claim.job, claim.lease(), &claim.spec);
        let mut changes = Vec::new();
        let mut digests = Vec::new();
        for path in [&spec.face, &spec.speech] {
            let sha256 = match journal.known_digest(path)? {
                Some(sha256) => sha256,
                None => {
                    let stamp = Stamp::of(path)?;
                    let sha256 = digest::of_file(path, &Cancel::default())
                        .map_err(|e| anyhow::anyhow!("{e}"))?;
                    changes.push(Change::Digest {
                        path: path.clone(),
                        stamp,
                        sha256: sha256.clone(),
                    });
                    sha256
                }
            };
            digests.push(sha256);
        }
        let identity = identifier
            .identity(spec, &digests[0], &digests[1])
            .context("the job has no identity")?;
        let output = spec.output.as_deref().context("the job has no output")?;
        let content = format!("job {job}\n");
        if let Some(folder) = output.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(output, &content)?;
        changes.push(Change::Made {
            lease,
            sha256: digest::of_bytes(content.as_bytes()),
            identity: Some(identity),
        });
        changes.push(Change::Ended {
            lease,
            ending: Ending {
                state: JobState::Done,
                outcome: Outcome::nothing(JobState::Done, &Progress::default()),
                retry_after: Duration::ZERO,
                stage: "publishing".into(),
                signal: None,
                is_culprit: false,
                is_suspect: false,
                counts: true,
                stamp: Some(Stamp::of(output)?),
            },
        });
        journal.apply(batch, &mut changes)?;
    }
    Ok(())
}
