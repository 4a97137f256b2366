//! The tables, and how an older journal becomes a present one.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{Error, Result};
use crate::cancel::Cancel;
use crate::digest;

/// Each step is one transaction with the number of its version. (`rusqlite_migration` does the same, and
/// wants another version of rusqlite or of Rust than ours.)
///
/// Number `n` makes a journal of version `n` one of version `n + 1`.
pub(super) const STEPS: [&str; 3] = [FIRST, FENCED, FACES];
const VERSION: i64 = STEPS.len() as i64;

pub(super) const FIRST: &str = "
CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    -- What makes two starts the same batch: the list's path, or the faces, speeches and pattern.
    source TEXT NOT NULL UNIQUE,
    -- The command line, to start it again.
    command TEXT NOT NULL,
    -- The folder that all outputs are in.
    root TEXT NOT NULL,
    created REAL NOT NULL
);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batches(id),
    -- Place in the batch.
    position INTEGER NOT NULL,
    -- 0: in an earlier start of the batch, but not in the last one.
    listed INTEGER NOT NULL DEFAULT 1,
    output TEXT NOT NULL UNIQUE,
    -- The job as JSON.
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    -- Digest of inputs, template, parameters and model of what was made.
    identity TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Workers that died of it alone.
    deaths INTEGER NOT NULL DEFAULT 0,
    -- A worker died while it and others were in it: the next attempt has a worker of its own.
    alone INTEGER NOT NULL DEFAULT 0,
    -- Who works on it.
    controller TEXT,
    not_before REAL NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0,
    -- Of the output: entered before it gets its name.
    sha256 TEXT,
    -- Bytes of the published file, and its time in nanoseconds since 1970.
    size INTEGER,
    modified INTEGER,
    -- How the last attempt ended, and how far the present one is, as JSON.
    outcome TEXT,
    progress TEXT,
    thumbnail BLOB,
    finished REAL
);
CREATE INDEX jobs_of_batch ON jobs(batch, listed, state, position);
CREATE INDEX jobs_of_controller ON jobs(controller);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs(id),
    number INTEGER NOT NULL,
    controller TEXT NOT NULL,
    -- Process id.
    worker INTEGER NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    -- done, failed, cancelled, or interrupted: its controller died.
    ending TEXT,
    -- The last phase that was heard of.
    stage TEXT,
    -- What the worker died of.
    signal INTEGER,
    error TEXT
);
CREATE INDEX attempts_of_job ON attempts(job);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    batch INTEGER NOT NULL,
    -- The event as JSON, without its id.
    body TEXT NOT NULL
);
CREATE INDEX events_of_batch ON events(batch, id);
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    sha256 TEXT,
    media TEXT
);
CREATE TABLE controllers (
    name TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started REAL NOT NULL
);
";

/// Every claim gets an epoch, and what was published has a digest of its own.
const FENCED: &str = "
-- Grows whenever the job is claimed or taken away: a change that names another one comes too late.
ALTER TABLE jobs ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
-- SHA-256 of what was published under the output's name; absent where that was never ours. The other
-- one is of the present attempt.
ALTER TABLE jobs ADD COLUMN published TEXT;
-- How often its controller died while it ran.
ALTER TABLE jobs ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET published = sha256 WHERE state = 'done';
-- The stamp of a file that was left alone is not one of ours.
UPDATE jobs SET size = NULL, modified = NULL WHERE published IS NULL;
-- Report, manifest and zip files that were written, by their content.
CREATE TABLE artifacts (
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (path, sha256)
) WITHOUT ROWID;
";

/// Jobs of faces that nobody learns at the moment come first.
const FACES: &str = "
-- The face that the job learns before it begins, unless it is known; absent where it learns none.
ALTER TABLE jobs ADD COLUMN learns TEXT;
UPDATE jobs SET learns = json_extract(spec, '$.face')
WHERE COALESCE(json_extract(spec, '$.learn'), 'auto') != 'off';
";

pub fn migrate(db: &Connection, folder: &Path) -> Result<()> {
    if check_version(db, folder)? == VERSION {
        return Ok(());
    }
    // Two controllers may start at the same moment: the second finds the tables there.
    db.execute_batch("BEGIN IMMEDIATE")?;
    let version = check_version(db, folder)?;
    for (from, step) in (0..).zip(STEPS).filter(|(from, _)| *from >= version) {
        db.execute_batch(step)?;
        if from == 1 {
            adopt_reports(db)?;
        }
    }
    db.pragma_update(None, "user_version", VERSION)?;
    db.execute_batch("COMMIT")?;
    Ok(())
}

/// What was written into the root of a batch before there were [`FENCED`] journals.
const REPORTS: [&str; 2] = ["report.html", "manifest.json"];

/// Earlier versions kept no account of their reports; whatever has such a name is taken for one, as
/// they did.
fn adopt_reports(db: &Connection) -> Result<()> {
    let mut roots = db.prepare("SELECT root FROM batches")?;
    let roots = roots.query_map([], |row| row.get::<_, String>(0))?;
    for root in roots {
        let root = root?;
        for name in REPORTS {
            let path = Path::new(&root).join(name);
            if let Ok(sha256) = digest::of_file(&path, &Cancel::default()) {
                db.execute(
                    "INSERT OR IGNORE INTO artifacts(path, sha256) VALUES (?1, ?2)",
                    params![super::text(&path), sha256],
                )?;
            }
        }
    }
    Ok(())
}

/// The version of the tables; 0 where there are none.
pub fn check_version(db: &Connection, folder: &Path) -> Result<i64> {
    let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        return Err(Error::Newer {
            folder: folder.into(),
            version,
        });
    }
    Ok(version)
}
