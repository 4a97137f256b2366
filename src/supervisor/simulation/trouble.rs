//! What happens around the machine.

use super::Simulation;
use super::machine::Scheduled;
use crate::journal::Ledger;
use crate::journal::contract::Backend;

impl<B: Backend + 'static> Simulation<B> {
    /// Something happens around the machine.
    pub(super) fn outside(&mut self, kind: usize) {
        let output = {
            let index = self.random.below(self.jobs.len() as u64) as usize;
            self.jobs[index].output.clone()
        };
        let excuse = |me: &Self| {
            me.machine.borrow_mut().excused.insert(output.clone());
        };
        match kind {
            0 | 1 if self.controllers.len() < 3 => {
                let force = self.random.permille(50);
                self.start(force);
            }
            2 | 3 => {
                if let Some(name) = self.pick() {
                    self.kill(name);
                }
            }
            4 => {
                self.machine
                    .borrow_mut()
                    .log(|| format!("foreign {}", output.display()));
                excuse(self);
                self.disk.borrow_mut().foreign(&output);
            }
            5 => {
                self.machine
                    .borrow_mut()
                    .log(|| format!("deleted {}", output.display()));
                excuse(self);
                self.disk.borrow_mut().delete(&output);
            }
            6 => {
                let is_out = !self.injection.is_out.get();
                self.machine
                    .borrow_mut()
                    .log(|| format!("ledger out: {is_out}"));
                self.injection.is_out.set(is_out);
            }
            7 => {
                let mut disk = self.disk.borrow_mut();
                disk.is_full = !disk.is_full;
                let is_full = disk.is_full;
                drop(disk);
                let mut machine = self.machine.borrow_mut();
                machine.log(|| format!("disk full: {is_full}"));
                let outputs: Vec<_> = self.jobs.iter().map(|job| job.output.clone()).collect();
                machine.excused.extend(outputs);
            }
            8 => {
                let by = self.random.between(0, 200_000) as f64 - 100_000.0;
                self.machine
                    .borrow_mut()
                    .log(|| format!("clock jumps by {by}"));
                self.jumps += by;
            }
            9 => {
                excuse(self);
                let rows = self.oracle.jobs(self.batch, false).unwrap();
                let job = rows.iter().find(|row| row.output == output);
                let Some(job) = job.map(|row| row.id) else {
                    return;
                };
                let _ = match self.random.permille(500) {
                    true => self.oracle.cancel(self.batch, &[job]),
                    false => self.oracle.retry(self.batch, &[job]),
                };
            }
            10 => {
                if let Some(name) = self.pick() {
                    self.controllers[&name].stop.ask();
                }
            }
            12 => {
                // Its machine stood still for a while, say, or somebody tidied up.
                if let Some(name) = self.pick()
                    && !self.machine.borrow().publishes_now(name)
                {
                    let text = || format!("controller {name} is taken for dead");
                    self.machine.borrow_mut().log(text);
                    let ledger = &self.controllers[&name].ledger;
                    self.backend.presume_dead(&ledger.inner);
                    self.is_suspected = true;
                    // Somebody takes its jobs over, while it works on them.
                    let mut machine = self.machine.borrow_mut();
                    machine.after(1, 400, Scheduled::Outside(0));
                }
            }
            13 => {
                // Which stays so: jobs may be tried again, but not for ever.
                self.disk.borrow_mut().is_over_quota = true;
                let mut machine = self.machine.borrow_mut();
                machine.log(|| "the quota is used up".into());
                let outputs: Vec<_> = self.jobs.iter().map(|job| job.output.clone()).collect();
                machine.excused.extend(outputs);
            }
            14 => {
                let mut disk = self.disk.borrow_mut();
                disk.is_gone = !disk.is_gone;
                let is_gone = disk.is_gone;
                drop(disk);
                let mut machine = self.machine.borrow_mut();
                machine.log(|| format!("disk gone: {is_gone}"));
            }
            11 => {
                // Somebody edits an input.
                self.machine.borrow_mut().version += 1;
            }
            _ => {}
        }
    }
}
