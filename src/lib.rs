//! The controller of lipflow: templates, jobs and the command line.

pub mod cancel;
pub mod error;
pub mod estimate;
pub mod event;
pub mod job;
pub mod pipeline;
pub mod progress;
pub mod publish;
pub mod worker;
