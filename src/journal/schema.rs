//! The tables, and how an older journal becomes a present one.

use std::path::Path;

use rusqlite::Connection;

use super::{Error, Result};

const VERSION: i64 = 1;

const TABLES: &str = "
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

pub fn migrate(db: &Connection, folder: &Path) -> Result<()> {
    let version = check_version(db, folder)?;
    if version == 0 {
        // Two controllers may start at the same moment: the second finds the tables there.
        db.execute_batch("BEGIN IMMEDIATE")?;
        if check_version(db, folder)? == 0 {
            db.execute_batch(TABLES)?;
            db.pragma_update(None, "user_version", VERSION)?;
        }
        db.execute_batch("COMMIT")?;
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
