//! A batch from what is asked for to its report, whoever asks: a command line, or a server. What has no
//! terminal, arguments or exit codes in it is here; what is shown to whom is not.
//!
//! A [`Request`] comes to a [`Plan`]; [`Batch::begin`] enters that into the journal, and [`Batch::run`] works
//! on it, telling each event to whoever listens. Nothing here prints.

mod request;
mod rows;
mod work;

pub use request::{Inputs, Request};
pub use work::{Memory, Work};

pub use crate::batch::files::Pairing;
pub use crate::supervisor::Summary;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::batch::identity::{Identifier, digest_of_speeches};
use crate::cancel::{Cancel, Stop};
use crate::clock::SystemClock;
use crate::digest;
use crate::error::Failure;
use crate::event::Event;
use crate::job::Job;
use crate::journal::{self, Begun, JobRow, Journal, Planned, Start, recover};
use crate::publish::LocalStore;
use crate::report::{self, zip::Zip};
use crate::supervisor::{Processes, Seams, Supervisor};

/// A batch as it was asked for.
pub struct Plan {
    /// In the order in which they are to be done.
    pub jobs: Vec<Planned>,
    /// What makes two starts the same batch.
    pub source: String,
    /// How to start it again.
    pub command: String,
    /// The folder that all outputs are in.
    pub root: PathBuf,
    /// Where the journal is.
    pub state: PathBuf,
    /// Where the results are collected.
    pub zip: Option<PathBuf>,
    /// Do also what is done.
    pub force: bool,
}

/// A batch whose jobs are in its journal, and which this process may work on.
pub struct Batch {
    journal: Rc<Journal>,
    begun: Begun,
    root: PathBuf,
    zip: Option<Zip>,
}

/// A batch that has ended, or was stopped.
pub struct Ended {
    /// How far it came.
    pub summary: Summary,
    /// All jobs, with how they ended.
    pub jobs: Vec<JobRow>,
    /// A line about each file that was made besides the outputs.
    pub notes: Vec<String>,
}

impl Batch {
    /// Enters the jobs. What is wrong with the plan or its places is found out before anything begins.
    ///
    /// # Errors
    /// The journal's folder or the zip file can't be used; the failure says what to do.
    pub fn begin(plan: &Plan) -> Result<Self, Failure> {
        let failed = |e: journal::Error| e.failure(&plan.state);
        let mut journal = Journal::open(&plan.state).map_err(failed)?;
        journal.sign_in().map_err(failed)?;
        recover(&journal, &LocalStore).map_err(failed)?;
        let begun = enter(plan, &journal).map_err(failed)?;
        let zip = match &plan.zip {
            Some(path) => {
                let jobs = journal.jobs(begun.batch, false).map_err(failed)?;
                Some(Zip::start(&journal, path, &plan.root, &jobs)?)
            }
            None => None,
        };
        Ok(Self {
            journal: Rc::new(journal),
            begun,
            root: plan.root.clone(),
            zip,
        })
    }

    /// What the journal made of it: its number, and how many jobs were done before.
    pub fn begun(&self) -> Begun {
        self.begun
    }

    /// Works until all is done, or as long as `stop` lets it, and writes the report. `listen` is told
    /// each event when the journal has it, and may not take long.
    ///
    /// # Errors
    /// The journal failed for good. What was made is kept, and the same plan goes on from there.
    pub fn run(
        self,
        work: &Work,
        stop: Stop,
        listen: &dyn Fn(&Event),
    ) -> Result<Ended, journal::Error> {
        let Self {
            journal,
            begun,
            root,
            zip,
        } = self;
        let folder = journal.folder().to_owned();
        let recover_aside = move || recover(&Journal::open(&folder)?, &LocalStore);
        let seams = Seams {
            ledger: journal.clone(),
            store: Rc::new(LocalStore),
            hands: Box::new(Processes::new(
                journal.folder().to_owned(),
                Arc::new(LocalStore),
                Arc::new(recover_aside),
            )),
            clock: Rc::new(SystemClock),
        };
        let emit = |event: &Event| {
            listen(event);
            if let Some(zip) = &zip {
                zip.note(event);
            }
        };
        let summary = Supervisor::new(seams, begun, work.options(), stop, emit).run()?;
        let jobs = journal.jobs(begun.batch, true)?;
        let mut notes = report::write(&journal, &root, &summary.progress, &jobs);
        notes.extend(zip.map(|zip| zip.finish(&journal)));
        Ok(Ended {
            summary,
            jobs,
            notes,
        })
    }
}

fn enter(plan: &Plan, journal: &Journal) -> journal::Result<Begun> {
    let identifier = Identifier::default();
    let digest_of = |path: &Path| {
        // Inputs that have changed since are read here, once; all others are known.
        let known = journal.known_digest(path)?;
        let read = || digest::of_file(path, &Cancel::default()).ok();
        Ok::<_, journal::Error>(known.or_else(read))
    };
    journal.begin(&Start {
        source: &plan.source,
        command: &plan.command,
        root: &plan.root,
        jobs: &plan.jobs,
        force: plan.force,
        store: &LocalStore,
        identity: &|job: &Job| {
            let (face, speech) = (digest_of(&job.face)?, digest_of_speeches(job, &digest_of)?);
            let digests = face.zip(speech);
            Ok(digests.and_then(|(face, speech)| identifier.identity(job, &face, &speech)))
        },
    })
}
