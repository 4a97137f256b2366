//! Files as a controller sees them: inputs by their stamp, and outputs, which get their name at once or
//! not at all. Behind the trait are local folders today ([`crate::publish::LocalStore`]); nobody above
//! it knows that.

use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::job::{IfExists, Job};
use crate::reach::Named;
use crate::stamp::Stamp;

/// What a commit may put its file in the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replace {
    /// A file that is there, or comes meanwhile, stays, and the commit fails.
    Nothing,
    /// Only the file with this stamp: what was made earlier, and nobody has touched since.
    Own(Stamp),
    /// Whatever is there.
    Anything,
}

impl Replace {
    /// What the job may replace; `own` is the stamp of what was made earlier.
    pub fn of(job: &Job, own: Option<Stamp>) -> Self {
        match (job.if_exists, own) {
            (IfExists::Overwrite, Some(own)) => Self::Own(own),
            (IfExists::Overwrite, None) => Self::Anything,
            _ => Self::Nothing,
        }
    }
}

/// Where inputs are looked at and outputs are put.
pub trait Store {
    /// Size and time of a file; None where there is none that can be asked.
    fn stamp(&self, path: &Path) -> Option<Stamp>;

    /// Whether the file is there and has this SHA-256. Reads all of it.
    fn is_of(&self, path: &Path, sha256: &str) -> bool;

    /// A place for the output that nobody sees yet; what dead writers left for it is removed.
    fn stage(&self, output: &Path, replace: Replace) -> Result<Box<dyn Staging>, Failure>;

    /// Removes what dead writers left for the output.
    fn remove_leftovers(&self, output: &Path);

    /// Removes what dead controllers' workers left below the journal's folder.
    fn remove_staged(&self, state: &Path);

    /// Waits, not for ever, until nobody that may be dead already commits the output any more.
    fn wait_for_writers(&self, output: &Path);

    /// Makes the folder that the output is to be in. What is wrong with it is said by staging.
    fn make_folder(&self, output: &Path);

    /// Bytes that may still be written in the folder, or in the nearest one above it that is there.
    fn free_space(&self, folder: &Path) -> Option<u64>;

    /// The devices of a folder, from it to the root of all; folders that are not there have none.
    fn devices(&self, folder: &Path) -> Vec<u64>;

    /// The files that the job names; none where it may use any.
    fn named(&self, job: &Job) -> Option<Named>;

    /// The files with the weights of the job's model, as they are now; none where they are in the program.
    fn weights(&self, job: &Job) -> Vec<(PathBuf, Stamp)>;
}

/// An output that is being written. Dropped, it is gone.
pub trait Staging {
    /// The file as it can be read back before it has its name.
    fn path(&self) -> &Path;

    /// Where a sink is to write, as the UTF-8 that properties need.
    fn location(&self) -> String;

    /// Has a text be in a file beside the output, under its name and that ending, before the output has its
    /// name. What is there is replaced.
    fn put_beside(&self, ending: &str, text: &str) -> Result<(), Failure>;

    /// Gives the file its name, for good.
    fn commit(self: Box<Self>) -> Result<(), Failure>;
}
