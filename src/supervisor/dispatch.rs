//! Which job goes to which worker, and when there is to be one more.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Active, Cancellation, Supervisor};
use crate::cancel::Shutdown;
use crate::error::{Failure, FailureKind};
use crate::event::{Outcome, Progress};
use crate::job::{Job, THREADS};
use crate::journal::{Claim, Result};
use crate::pipeline::template::Template;
use crate::reach::{Named, Reach};
use crate::stamp::Stamp;
use crate::supervisor::hands::Worker;
use crate::supervisor::record::started;
use crate::worker::limits::{Confinement, needs_network};
use crate::worker::protocol::Order;

/// How soon a worker that could not be started is tried again; each time twice as late.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so many in a row the batch says that it waits for this.
const FAILURES_TOLD: u32 = 3;

/// How starting workers goes. One that ends before its first word has not died of a job: the program
/// itself is broken, by a bad update say, and no job may suffer from that.
#[derive(Debug, Default)]
pub(super) struct Hiring {
    failures: u32,
    next: Option<Instant>,
    reason: String,
}

impl Hiring {
    fn may_try(&self, now: Instant) -> bool {
        self.next.is_none_or(|at| now >= at)
    }

    /// Says whether somebody is to be told.
    fn failed(&mut self, reason: String, now: Instant) -> bool {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(8));
        self.failures += 1;
        self.next = Some(now + pause.min(LONGEST_PAUSE));
        self.reason = reason;
        self.failures == 1 || self.failures == FAILURES_TOLD
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Why nothing moves, where it is this.
    pub(super) fn paused(&self) -> Option<String> {
        (self.failures >= FAILURES_TOLD).then(|| {
            format!(
                "No worker can be started: {}. See `lipflow doctor`; when it can, the batch goes on by itself",
                self.reason
            )
        })
    }
}

impl Active {
    pub(super) fn new(claim: Claim, worker: u64, now: Instant) -> Self {
        Self {
            claim,
            worker,
            started: now,
            progress: Progress::default(),
            moved: now,
            promised: None,
            ran: None,
            kept: now,
            cancelled: None,
            warnings: 0,
        }
    }
}

impl Supervisor<'_> {
    /// Gives jobs to workers that have room.
    pub(super) fn dispatch(&mut self) -> Result<()> {
        let may_begin = self.stop.shutdown() == Shutdown::No
            && self.paused.is_none()
            && self.journal_fails_since.is_none();
        if !may_begin {
            return Ok(());
        }
        while !self.jobs.values().any(|active| active.claim.solo) {
            let Some(serial) = self.worker_with_room() else {
                break;
            };
            let Some(worker) = self.workers.get(&serial) else {
                break;
            };
            let (pid, is_empty) = (worker.pid, worker.jobs.is_empty());
            let is_idle = self.jobs.is_empty();
            let loaded = worker.weights.clone();
            let store = self.store.clone();
            let confinement = worker.confinement.clone();
            let is_unfit = |claim: &Claim| {
                are_others(&loaded, &store.weights(&claim.spec))
                    || confinement.no_network && needs_network(&claim.spec)
                    || !reaches(&confinement, store.named(&claim.spec).as_ref())
            };
            let fits = |claim: &Claim| {
                (is_empty || !claim.alone && !claim.solo)
                    && (is_idle || !claim.solo)
                    && !is_unfit(claim)
            };
            let claim = match self.held.take() {
                Some(claim) => {
                    if fits(&claim) {
                        self.keep_of(Some(claim.lease()), started(&claim, pid));
                    }
                    Some(claim)
                }
                None => self.flush_and_claim(Some((pid, &fits)))?,
            };
            let Some(claim) = claim else { break };
            if fits(&claim) {
                self.start(serial, claim);
                continue;
            }
            let is_unfit = is_unfit(&claim);
            self.options.limits.no_network &= !needs_network(&claim.spec);
            self.name_files_of(&claim.spec);
            self.held = Some(claim);
            if !is_unfit {
                break;
            }
            // It would go on with the weights in its memory, without a network, or without its files.
            if let Some(worker) = self.workers.get_mut(&serial) {
                worker.is_retired = true;
            }
            self.dismiss_retired();
        }
        Ok(())
    }

    /// The worker with the fewest jobs; one more is started if there may be.
    fn worker_with_room(&mut self) -> Option<u64> {
        let background = self.background;
        let workers = || {
            let all = self.workers.iter();
            all.filter(move |(serial, _)| Some(**serial) != background)
        };
        let count = workers().count();
        let coming = workers().filter(|(_, worker)| !worker.is_ready).count();
        let room = workers()
            .filter(|(_, worker)| worker.is_ready && !worker.is_exclusive && !worker.is_retired)
            .map(|(serial, worker)| (worker.jobs.len(), *serial))
            .min();
        match room {
            Some((0, serial)) => return Some(serial),
            Some((jobs, serial))
                if count >= self.options.workers
                    && coming == 0
                    && jobs < self.options.jobs_per_worker =>
            {
                return Some(serial);
            }
            _ => {}
        }
        let waiting = self.counts.queued + u64::from(self.held.is_some());
        if count < self.options.workers && waiting > coming as u64 {
            self.hire(false);
        }
        None
    }

    /// Starts a process; it is given work when it has said its first word.
    pub(super) fn hire(&mut self, is_background: bool) -> Option<u64> {
        let now = self.clock.now();
        if !self.hiring.may_try(now) {
            return None;
        }
        let limits = self.options.limits;
        let confinement = Confinement {
            memory: limits.memory,
            no_network: limits.no_network,
            files: limits.own_files.then(|| match is_background {
                true => Reach::to_look(&self.named, self.ledger.folder()),
                false => Reach::to_make(&self.named, self.ledger.folder()),
            }),
        };
        let serial = self.next_serial;
        self.next_serial += 1;
        match self.hands.hire(serial, is_background, &confinement) {
            Ok(pid) => {
                self.workers
                    .insert(serial, Worker::new(pid, confinement, now));
                Some(serial)
            }
            Err(error) => {
                self.hire_failed(error.to_string());
                None
            }
        }
    }

    /// The next worker is to reach what the job names; all that there is where that can be anything.
    pub(super) fn name_files_of(&mut self, job: &Job) {
        match self.store.named(job) {
            Some(named) => self.named.extend(named),
            None => self.options.limits.own_files = false,
        }
    }

    pub(super) fn hire_failed(&mut self, reason: String) {
        let message = format!("A worker could not be started: {reason}");
        if self.hiring.failed(reason, self.clock.now()) {
            self.warn(message);
        }
    }

    fn start(&mut self, serial: u64, mut claim: Claim) {
        claim.may_replace_own(&*self.store);
        if self.jobs.contains_key(&claim.job) {
            // An attempt whose lease was lost is still in its worker, at work on the same output.
            self.kill_for(claim.job, &Failure::new(FailureKind::Terminated));
        }
        let Some(worker) = self.workers.get_mut(&serial) else {
            self.held = Some(claim);
            return;
        };
        worker.weights.extend(self.store.weights(&claim.spec));
        worker.jobs.push(claim.job);
        worker.is_exclusive = claim.alone || claim.solo;
        let (job, lease) = (claim.job, claim.lease());
        let promised = claim.promised.clone().zip(claim.spec.output.clone());
        let active = Active::new(claim, serial, self.clock.now());
        self.jobs.insert(job, active);
        match promised {
            // An earlier attempt may have got further than anybody could tell.
            Some((sha256, output)) if self.store.stamp(&output).is_some() => {
                self.check(lease, output, sha256)
            }
            _ => self.order_run(job),
        }
    }

    /// Tells the job's worker to begin.
    pub(super) fn order_run(&mut self, job: i64) {
        let Some(active) = self.jobs.get(&job) else {
            return;
        };
        let (serial, claim) = (active.worker, &active.claim);
        let mut spec = claim.spec.clone();
        let (face_digest, speech_digest) =
            (self.digest_of(&spec.face), self.digest_of(&spec.speech));
        let replaces = claim.made.clone();
        if let Some(output) = &spec.output {
            self.store.make_folder(output);
        }
        spec.graph = Some(self.ledger.folder().join(format!("stuck-{job}.dot")));
        if let Some(threads) = self.options.threads {
            let template = Template::load(&spec.template).ok();
            for name in THREADS {
                let is_open = template.as_ref().is_some_and(|t| t.param(name).is_some())
                    && spec.parameter(name).is_none();
                if is_open {
                    spec.parameters.push((name.into(), threads.to_string()));
                }
            }
        }
        let order = Order::Run {
            lease: claim.lease(),
            spec: Box::new(spec),
            face_digest,
            speech_digest,
            replaces,
            staged: None,
        };
        self.orders.push((serial, order));
    }

    /// The digest of an input, where it is known; otherwise the worker reads the file.
    fn digest_of(&self, path: &Path) -> Option<String> {
        let stamp = self.store.stamp(path)?;
        self.ledger.digest(path, &stamp).ok().flatten()
    }

    /// Gives back the job that waits for a worker, where nothing begins any more.
    pub(super) fn let_go_of_held(&mut self) {
        if self.stop.shutdown() != Shutdown::No {
            self.end_held(Cancellation::Stop);
        }
    }

    pub(super) fn end_held(&mut self, why: Cancellation) {
        let Some(claim) = self.held.take() else {
            return;
        };
        // It is in no worker.
        let now = self.clock.now();
        let mut active = Active::new(claim, u64::MAX, now);
        active.cancelled = Some((now, why));
        let failure = Failure::new(FailureKind::Terminated);
        let outcome = Outcome::of_failure(&failure, &active.progress);
        self.not_done(active.claim.job, &active, outcome, None, false);
    }
}

/// Whether a worker reaches all that a job names.
fn reaches(confinement: &Confinement, named: Option<&Named>) -> bool {
    match (&confinement.files, named) {
        (None, _) => true,
        (Some(reach), Some(named)) => reach.covers(named),
        (Some(_), None) => false,
    }
}

/// Whether a worker that has loaded `loaded` has others in its memory under the name of these weights.
fn are_others(loaded: &HashMap<PathBuf, Stamp>, weights: &[(PathBuf, Stamp)]) -> bool {
    let mut weights = weights.iter();
    weights.any(|(path, stamp)| loaded.get(path).is_some_and(|loaded| loaded != stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_can_not_start_is_tried_ever_more_rarely_and_told() {
        let begin = Instant::now();
        let mut hiring = Hiring::default();
        assert!(hiring.may_try(begin));
        let told: Vec<_> = (0..9)
            .map(|_| hiring.failed("exit code 127".into(), begin))
            .collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 2, "{told:?}");
        assert!(!hiring.may_try(begin + Duration::from_secs(29)));
        assert!(hiring.may_try(begin + LONGEST_PAUSE));
        let paused = hiring.paused().unwrap();
        assert!(paused.contains("exit code 127"), "{paused}");
        hiring.succeeded();
        assert!(hiring.may_try(begin) && hiring.paused().is_none());
        hiring.failed("busy".into(), begin);
        assert_eq!(hiring.paused(), None, "once may happen");
        assert!(hiring.may_try(begin + FIRST_PAUSE));
    }

    #[test]
    fn weights_that_were_swapped_are_not_those_in_memory() {
        let stamp = |modified| Stamp { size: 9, modified };
        let loaded = HashMap::from([("a.onnx".into(), stamp(1))]);
        let others = |path: &str, modified| are_others(&loaded, &[(path.into(), stamp(modified))]);
        assert!(!are_others(&loaded, &[]), "embedded");
        assert!(!others("b.onnx", 2), "not loaded yet");
        assert!(!others("a.onnx", 1));
        assert!(others("a.onnx", 3));
    }
}
