//! Gives outputs their names for a worker that may write nowhere but into a folder of its own.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::{Failure, FailureKind};
use crate::job::folder_of;
use crate::journal::Lease;
use crate::path::with_ending;
use crate::provenance::record;
use crate::publish::{StagingFolder, move_plain, output_failure, publish_staged};
use crate::reach::Reach;
use crate::store::Replace;
use crate::sync::lock;
use crate::worker::limits::Confinement;
use crate::worker::protocol::{Answer, Order};

/// What one worker writes, and what becomes of it.
pub(super) struct Publisher {
    folder: StagingFolder,
    reach: Reach,
    attempts: Mutex<HashMap<Lease, Attempt>>,
    /// False once the worker was killed: from then on its job is somebody else's.
    is_open: Mutex<bool>,
}

/// An attempt in the worker.
#[derive(Clone)]
struct Attempt {
    /// Where the worker is to write, and what it is to become; none where it does that itself.
    output: Option<Output>,
    /// The graph of a stuck pipeline: where it is written, and where it belongs.
    graph: Option<(PathBuf, PathBuf)>,
    /// The journal has it.
    may_publish: bool,
}

#[derive(Clone)]
struct Output {
    file: PathBuf,
    target: PathBuf,
    replace: Replace,
}

impl Publisher {
    /// For a worker with these limits, which gets a folder below `state`; none where it may write
    /// anywhere.
    pub(super) fn of(
        confinement: &mut Confinement,
        state: &Path,
        is_background: bool,
    ) -> io::Result<Option<Self>> {
        let Some(reach) = &mut confinement.files else {
            return Ok(None);
        };
        let folder = StagingFolder::create(state)?;
        match is_background {
            true => reach.read_in(folder.path()),
            false => reach.write_in(folder.path()),
        }
        Ok(Some(Self {
            folder,
            reach: reach.clone(),
            attempts: Mutex::default(),
            is_open: Mutex::new(true),
        }))
    }

    /// The worker's own folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The order as it is to be given: where the files are that the worker reaches.
    pub(super) fn adapt(&self, order: &Order) -> Order {
        let mut order = order.clone();
        match &mut order {
            Order::Run {
                lease,
                spec,
                replaces,
                staged,
                ..
            } => {
                let name = format!("{}-{}", lease.job, lease.epoch);
                let target = spec.output.clone();
                let target = target.filter(|target| self.reach.stages(folder_of(target)));
                let output = target.map(|target| Output {
                    file: self.folder().join(&name),
                    replace: Replace::of(spec, replaces.clone()),
                    target,
                });
                *staged = output.as_ref().map(|output| output.file.clone());
                let graph = spec.graph.take().map(|place| {
                    let file = self.folder().join(format!("{name}.dot"));
                    spec.graph = Some(file.clone());
                    (file, place)
                });
                let attempt = Attempt {
                    output,
                    graph,
                    may_publish: false,
                };
                lock(&self.attempts).insert(*lease, attempt);
            }
            Order::Publish { lease } => {
                if let Some(attempt) = lock(&self.attempts).get_mut(lease) {
                    attempt.may_publish = true;
                }
            }
            // A second name for it, which can only be read there.
            Order::Thumbnail { job, path } if self.reach.stages(folder_of(path)) => {
                let link = self.thumbnail(*job);
                let _ = fs::remove_file(&link);
                if fs::hard_link(&*path, &link).is_ok() {
                    *path = link;
                }
            }
            _ => {}
        }
        order
    }

    /// Takes note of what the worker says, and corrects what it can't know. Gives the attempt whose
    /// output it has ready.
    pub(super) fn hear(&self, answer: &mut Answer) -> Option<Lease> {
        match answer {
            Answer::Ready { lease } => return Some(*lease),
            Answer::Ended { lease, outcome, .. } => {
                let graph = lock(&self.attempts).remove(lease).and_then(|a| a.graph);
                if let Some((file, place)) = graph
                    && move_plain(&file, &place).is_ok()
                    && let Some(error) = &mut outcome.error
                {
                    let [file, place] = [file, place].map(|path| path.display().to_string());
                    error.remedy = error.remedy.replace(&file, &place);
                }
            }
            Answer::Thumbnail { job, .. } => {
                let _ = fs::remove_file(self.thumbnail(*job));
            }
            _ => {}
        }
        None
    }

    /// Gives the attempt's output its name.
    pub(super) fn publish(&self, lease: Lease) -> Result<(), Failure> {
        let attempt = lock(&self.attempts).get(&lease).cloned();
        let output = attempt.filter(|a| a.may_publish).and_then(|a| a.output);
        let Some(output) = output else {
            return Err(Failure::new(FailureKind::Internal).detail("nothing is to be published"));
        };
        let record = with_ending(&output.file, record::ENDING);
        if fs::symlink_metadata(&record).is_ok() {
            record::check_place(&output.target)?;
            let place = with_ending(&output.target, record::ENDING);
            move_plain(&record, &place).map_err(|e| output_failure(&place, &e))?;
        }
        publish_staged(&output.file, &output.target, &output.replace, || {
            Some(lock(&self.is_open)).filter(|is_open| **is_open)
        })
    }

    /// Lets nothing more be published.
    pub(super) fn close(&self) {
        *lock(&self.is_open) = false;
    }

    /// Clears up behind a worker that is gone.
    pub(super) fn clear(&self) {
        self.close();
        self.folder.remove();
    }

    fn thumbnail(&self, job: i64) -> PathBuf {
        self.folder().join(format!("thumbnail-{job}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{JobState, Outcome, Progress};
    use crate::job::Job;
    use crate::reach::Named;

    const LEASE: Lease = Lease { job: 7, epoch: 3 };

    struct Fixture {
        folder: tempfile::TempDir,
        publisher: Publisher,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let named = Named::by(&job(folder.path())).unwrap();
            let mut confinement = Confinement {
                files: Some(Reach::to_make(&named, folder.path())),
                ..Confinement::default()
            };
            let publisher = Publisher::of(&mut confinement, folder.path(), false);
            Self {
                publisher: publisher.unwrap().unwrap(),
                folder,
            }
        }

        /// Has the job begun; gives the place where the worker writes, and that of the graph.
        fn run(&self) -> (PathBuf, PathBuf) {
            let order = Order::Run {
                lease: LEASE,
                spec: Box::new(job(self.folder.path())),
                face_digest: None,
                speech_digest: None,
                replaces: None,
                staged: None,
            };
            match self.publisher.adapt(&order) {
                Order::Run { spec, staged, .. } => (staged.unwrap(), spec.graph.unwrap()),
                order => panic!("{order:?}"),
            }
        }

        fn may_publish(&self) {
            let order = Order::Publish { lease: LEASE };
            assert_eq!(self.publisher.adapt(&order), order);
        }
    }

    fn job(folder: &Path) -> Job {
        serde_json::from_value(serde_json::json!({
            "face": "f.mp4", "speech": "s.wav", "output": folder.join("o.mp4"), "template": "file",
            "parameters": [], "end_mode": "speech", "loop_mode": null, "if_exists": "refuse",
            "stuck_after": {"secs": 30, "nanos": 0}, "graph": folder.join("stuck-7.dot"),
            "dry_run": false
        }))
        .unwrap()
    }

    #[test]
    fn an_output_gets_its_name_when_the_journal_has_it() {
        let fixture = Fixture::new();
        let (staged, _) = fixture.run();
        assert_eq!(staged.parent(), Some(fixture.publisher.folder()));
        fs::write(&staged, "whole").unwrap();
        let output = fixture.folder.path().join("o.mp4");
        assert!(fixture.publisher.publish(LEASE).is_err() && !output.exists());
        fixture.may_publish();
        let other = Lease { epoch: 4, ..LEASE };
        assert!(fixture.publisher.publish(other).is_err());
        fixture.publisher.publish(LEASE).unwrap();
        assert_eq!(fs::read_to_string(output).unwrap(), "whole");
    }

    #[test]
    fn a_record_comes_with_its_output_and_replaces_no_file_of_others() {
        let fixture = Fixture::new();
        let (staged, _) = fixture.run();
        fs::write(&staged, "whole").unwrap();
        fs::write(with_ending(&staged, record::ENDING), "record").unwrap();
        fixture.may_publish();
        let output = fixture.folder.path().join("o.mp4");
        let place = with_ending(&output, record::ENDING);
        fs::write(&place, "of others").unwrap();
        let failure = fixture.publisher.publish(LEASE).unwrap_err();
        assert_eq!(failure.kind, FailureKind::OutputExists);
        assert!(!output.exists());
        fs::remove_file(&place).unwrap();
        fixture.publisher.publish(LEASE).unwrap();
        assert_eq!(fs::read_to_string(place).unwrap(), "record");
        assert!(output.exists());
    }

    #[test]
    fn a_worker_that_was_killed_publishes_nothing() {
        let fixture = Fixture::new();
        let (staged, _) = fixture.run();
        fs::write(&staged, "whole").unwrap();
        fixture.may_publish();
        fixture.publisher.close();
        let failure = fixture.publisher.publish(LEASE).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Terminated);
        assert!(!fixture.folder.path().join("o.mp4").exists());
        let folder = fixture.publisher.folder().to_owned();
        fixture.publisher.clear();
        assert!(!folder.exists());
    }

    #[test]
    fn the_graph_of_a_stuck_pipeline_comes_to_where_it_is_looked_for() {
        let fixture = Fixture::new();
        let (_, graph) = fixture.run();
        fs::write(&graph, "digraph").unwrap();
        let failure = Failure::new(FailureKind::Stuck).advice(graph.display());
        let mut answer = Answer::Ended {
            lease: LEASE,
            outcome: Outcome::of_failure(&failure, &Progress::default()),
            stamp: None,
        };
        assert_eq!(fixture.publisher.hear(&mut answer), None);
        let place = fixture.folder.path().join("stuck-7.dot");
        assert_eq!(fs::read_to_string(&place).unwrap(), "digraph");
        let Answer::Ended { outcome, .. } = answer else {
            panic!("another answer");
        };
        assert_eq!(outcome.state, JobState::Failed);
        assert_eq!(outcome.error.unwrap().remedy, place.display().to_string());
    }

    #[test]
    fn a_picture_is_made_of_a_second_name() {
        let fixture = Fixture::new();
        let path = fixture.folder.path().join("o.mp4");
        fs::write(&path, "whole").unwrap();
        let order = Order::Thumbnail { job: 7, path };
        let Order::Thumbnail { path, .. } = fixture.publisher.adapt(&order) else {
            panic!("another order");
        };
        assert_eq!(path.parent(), Some(fixture.publisher.folder()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        let mut answer = Answer::Thumbnail { job: 7, jpeg: None };
        fixture.publisher.hear(&mut answer);
        assert!(!path.exists());
        assert!(fixture.folder.path().join("o.mp4").exists());
    }
}
