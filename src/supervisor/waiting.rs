//! The jobs that wait, as they are in the journal. A batch may have many thousands, and what they are
//! does not change while they wait: each is read once.

use std::collections::HashMap;

use crate::job::Job;
use crate::journal::{Lease, Ledger, Result};

#[derive(Debug, Default)]
pub struct Waiting {
    /// In their order.
    order: Vec<Lease>,
    known: HashMap<Lease, Job>,
}

impl Waiting {
    /// Looks again which jobs wait.
    pub fn read(&mut self, journal: &dyn Ledger, batch: i64) -> Result<()> {
        let order = journal.waiting(batch)?;
        let mut known = HashMap::with_capacity(order.len());
        for lease in &order {
            let job = match self.known.remove(lease) {
                Some(job) => Some(job),
                // It may have been taken in this moment.
                None => journal.spec(*lease)?,
            };
            known.extend(job.map(|job| (*lease, job)));
        }
        self.order = order;
        self.known = known;
        Ok(())
    }

    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.order.iter().filter_map(|lease| self.known.get(lease))
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }
}
