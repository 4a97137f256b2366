//! The journal as a backend.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Backend, Seen};
use crate::journal::Journal;

pub struct Sqlite {
    pub state: PathBuf,
    clock: Rc<Cell<f64>>,
}

impl Backend for Sqlite {
    type Ledger = Journal;

    fn new(folder: &Path, clock: Rc<Cell<f64>>) -> Self {
        Self {
            state: folder.join(".lipflow"),
            clock,
        }
    }

    fn ledger(&self) -> Journal {
        let mut journal = Journal::open(&self.state).unwrap();
        journal.sign_in().unwrap();
        let clock = self.clock.clone();
        journal.by_clock(move || clock.get());
        // Nobody pulls a plug here.
        journal
            .db
            .pragma_update(None, "synchronous", "OFF")
            .unwrap();
        journal
    }

    fn die(&self, mut journal: Journal) {
        // The lock is dropped with the file; its entry and its jobs stay.
        journal.vanish();
    }

    fn seen(&self, journal: &Journal, job: i64) -> Option<Seen> {
        let sql = "SELECT sha256, published FROM jobs WHERE id = ?1";
        let row = journal.db.query_row(sql, [job], |row| {
            Ok(Seen {
                sha256: row.get(0)?,
                published: row.get(1)?,
            })
        });
        row.ok()
    }

    fn presume_dead(&self, journal: &Journal) {
        let lock = format!("controller-{}.lock", journal.controller());
        let _ = std::fs::remove_file(self.state.join(lock));
    }
}
