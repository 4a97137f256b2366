//! What the ledgers in memory share, and how it changes.

use super::*;

#[derive(Clone)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) batch: i64,
    pub(super) position: usize,
    pub(super) is_listed: bool,
    pub(super) output: PathBuf,
    pub(super) spec: Job,
    pub(super) state: JobState,
    pub(super) identity: Option<String>,
    pub(super) attempts: u32,
    pub(super) deaths: u32,
    pub(super) alone: bool,
    pub(super) controller: Option<u64>,
    pub(super) not_before: f64,
    pub(super) cancel: bool,
    pub(super) sha256: Option<String>,
    pub(super) published: Option<String>,
    pub(super) stamp: Option<Stamp>,
    pub(super) outcome: Option<Outcome>,
    pub(super) progress: Option<Progress>,
    pub(super) thumbnail: Option<Vec<u8>>,
    pub(super) epoch: i64,
    pub(super) interruptions: u32,
}

/// What is known of a file: its stamp then, its digest and what is in it.
type Known = (Stamp, Option<String>, Option<Option<Media>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) sources: Vec<String>,
    pub(super) jobs: Vec<Row>,
    pub(super) events: Vec<(i64, String)>,
    pub(super) files: HashMap<PathBuf, Known>,
    /// All that have signed in and not been forgotten, and whether they live.
    pub(super) controllers: HashMap<u64, bool>,
    pub(super) next_controller: u64,
}

impl State {
    pub(super) fn holder(&mut self, lease: Lease) -> Option<&mut Row> {
        let held = |row: &&mut Row| row.epoch == lease.epoch && row.controller.is_some();
        self.jobs
            .iter_mut()
            .find(|r| r.id == lease.job)
            .filter(held)
    }

    pub(super) fn apply(
        &mut self,
        batch: i64,
        changes: &mut [Change],
        now: f64,
    ) -> BTreeSet<Lease> {
        let mut lost = BTreeSet::new();
        for change in changes {
            if let Change::Event { event, .. } = change {
                event.id = None;
            }
            let lease = change.lease();
            if lease.is_some_and(|lease| lost.contains(&lease)) {
                continue;
            }
            if !self.apply_one(batch, change, now) {
                lost.extend(lease);
            }
        }
        lost
    }

    fn apply_one(&mut self, batch: i64, change: &mut Change, now: f64) -> bool {
        match change {
            Change::Event { event, lease } => {
                let holds = |l: &Lease| {
                    let mut rows = self.jobs.iter();
                    rows.any(|row| row.id == l.job && row.epoch == l.epoch)
                };
                if !lease.as_ref().is_none_or(holds) {
                    return false;
                }
                self.events
                    .push((batch, serde_json::to_string(event).unwrap()));
                event.id = Some(self.events.len() as i64);
                true
            }
            Change::Digest {
                path,
                stamp,
                sha256,
            } => {
                let media = self.files.remove(path);
                let media = media.filter(|(s, ..)| s == stamp).and_then(|(.., m)| m);
                let known = (stamp.clone(), Some(sha256.clone()), media);
                self.files.insert(path.clone(), known);
                true
            }
            Change::Media { path, stamp, media } => {
                let sha256 = self.files.remove(path);
                let sha256 = sha256.filter(|(s, ..)| s == stamp).and_then(|(_, d, _)| d);
                let known = (stamp.clone(), sha256, Some(*media));
                self.files.insert(path.clone(), known);
                true
            }
            Change::Thumbnail { lease, jpeg } => {
                let mut rows = self.jobs.iter_mut();
                let row = rows.find(|row| row.id == lease.job && row.epoch == lease.epoch);
                if let Some(row) = row {
                    row.thumbnail = Some(jpeg.clone());
                }
                true
            }
            Change::State { lease, state } => {
                let state = *state;
                self.holder(*lease).map(|row| row.state = state).is_some()
            }
            Change::Progress { lease, progress } => {
                let progress = Some(progress.clone());
                let row = self.holder(*lease);
                row.map(|row| row.progress = progress).is_some()
            }
            Change::Made {
                lease,
                sha256,
                identity,
            } => {
                let (sha256, identity) = (Some(sha256.clone()), identity.clone());
                let Some(row) = self.holder(*lease) else {
                    return false;
                };
                row.state = JobState::Finishing;
                row.sha256 = sha256;
                row.identity = identity;
                true
            }
            Change::Ended { lease, ending } => {
                let Some(row) = self.holder(*lease) else {
                    return false;
                };
                row.state = ending.state;
                row.outcome = Some(ending.outcome.clone());
                row.not_before = now + ending.retry_after.as_secs_f64();
                if let Some(stamp) = &ending.stamp {
                    row.published = row.sha256.clone();
                    row.stamp = Some(stamp.clone());
                }
                row.deaths += u32::from(ending.is_culprit);
                row.alone |= ending.is_suspect || ending.is_culprit;
                row.attempts -= u32::from(!ending.counts);
                row.interruptions = 0;
                row.controller = None;
                row.cancel = false;
                row.progress = None;
                true
            }
        }
    }

    pub(super) fn claim(&mut self, batch: i64, controller: u64, now: f64) -> Option<Claim> {
        let learning: Vec<_> = self
            .jobs
            .iter()
            .filter(|row| row.controller.is_some())
            .filter(|row| matches!(row.state, JobState::Probing | JobState::Loading))
            .filter_map(|row| learns(&row.spec).map(Path::to_owned))
            .collect();
        let is_solo = |row: &Row| row.interruptions > INTERRUPTIONS_IN_COMPANY;
        let row = self
            .jobs
            .iter_mut()
            .filter(|row| row.batch == batch && row.is_listed && row.state == JobState::Queued)
            .filter(|row| {
                row.not_before <= now || row.not_before > now + LONGEST_WAIT.as_secs_f64()
            })
            .min_by_key(|row| {
                let is_learning =
                    learns(&row.spec).is_some_and(|face| learning.iter().any(|l| l == face));
                (is_solo(row), is_learning, row.position)
            })?;
        row.state = JobState::Probing;
        row.controller = Some(controller);
        row.epoch += 1;
        row.attempts += 1;
        row.progress = None;
        Some(Claim {
            job: row.id,
            epoch: row.epoch,
            spec: row.spec.clone(),
            attempt: row.attempts,
            deaths: row.deaths,
            alone: row.alone,
            solo: is_solo(row),
            promised: row.sha256.clone(),
            made: row.stamp.clone().filter(|_| row.published.is_some()),
        })
    }
}
