//! `lipsync` in small pipelines.

mod drawing;
mod live;
mod looks;
mod rig;
mod streams;
