//! An output that the worker writes in a folder of its own, and its controller gives the name.

use std::path::Path;
use std::sync::mpsc;

use crate::error::{Failure, FailureKind};
use crate::path::with_ending;
use crate::publish::{Staged, output_failure};
use crate::store::Staging;

/// What the controller says of an output: whether it has its name.
pub(super) type Published = mpsc::Receiver<Result<(), Failure>>;

/// The output in the worker's folder.
pub(super) struct Handed {
    staged: Staged,
    /// Tells the controller that it is ready.
    ready: Box<dyn FnOnce() + Send>,
    published: Published,
}

impl Handed {
    pub(super) fn new(
        staged: Staged,
        ready: impl FnOnce() + Send + 'static,
        published: Published,
    ) -> Self {
        Self {
            staged,
            ready: Box::new(ready),
            published,
        }
    }
}

impl Staging for Handed {
    fn path(&self) -> &Path {
        self.staged.path()
    }

    fn location(&self) -> String {
        self.staged.location()
    }

    /// The controller moves it with the output.
    fn put_beside(&self, ending: &str, text: &str) -> Result<(), Failure> {
        let path = with_ending(self.staged.path(), ending);
        std::fs::write(&path, text).map_err(|e| output_failure(&path, &e))
    }

    /// Waits for the answer whatever else happens: the file may have its name already.
    fn commit(self: Box<Self>) -> Result<(), Failure> {
        (self.ready)();
        let answer = self.published.recv();
        answer.unwrap_or_else(|_| Err(Failure::new(FailureKind::Terminated)))
    }
}
