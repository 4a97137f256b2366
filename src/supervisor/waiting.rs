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
    /// Not looked at yet.
    news: Vec<Lease>,
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
                None => {
                    self.news.push(*lease);
                    journal.spec(*lease)?
                }
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

    /// Those that were not there when this was asked before.
    pub fn news(&mut self) -> Vec<Job> {
        let news = std::mem::take(&mut self.news).into_iter();
        news.filter_map(|lease| self.known.get(&lease).cloned())
            .collect()
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }
}
