//! Learnt faces on the binary, with real media: what is kept, who learns, what happens when that fails.

mod command;
mod jobs;
mod on_air;
#[path = "../run_support/mod.rs"]
mod run_support;
mod sharing;
mod support;
