//! The controller of lipflow: templates, jobs and the command line.

pub mod pipeline;
