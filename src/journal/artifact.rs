//! What a batch leaves besides its outputs. Only a file whose content was entered here is ours, and may
//! be replaced by the next one.

use std::path::Path;

use rusqlite::params;

use super::{Journal, Result, text};
use crate::cancel::Cancel;
use crate::digest;

impl Journal {
    /// Whether the file at `path` is one that was entered.
    pub fn is_artifact(&self, path: &Path) -> Result<bool> {
        let mut statement = self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM artifacts WHERE path = ?1)")?;
        if !statement.query_row([text(path)], |row| row.get(0))? {
            return Ok(false);
        }
        // One that can't be read is nobody's to replace.
        let Ok(sha256) = digest::of_file(path, &Cancel::default()) else {
            return Ok(false);
        };
        let mut statement = self.db.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM artifacts WHERE path = ?1 AND sha256 = ?2)",
        )?;
        Ok(statement.query_row(params![text(path), sha256], |row| row.get(0))?)
    }

    /// Enters what will be at `path`, before it gets its name; what is there already stays entered.
    pub fn will_write(&self, path: &Path, sha256: &str) -> Result<()> {
        self.db.execute(
            "INSERT OR IGNORE INTO artifacts(path, sha256) VALUES (?1, ?2)",
            params![text(path), sha256],
        )?;
        Ok(())
    }

    /// Enters that what was announced is there, and nothing else.
    pub fn has_written(&self, path: &Path, sha256: &str) -> Result<()> {
        self.db.execute(
            "DELETE FROM artifacts WHERE path = ?1 AND sha256 != ?2",
            params![text(path), sha256],
        )?;
        Ok(())
    }
}
