//! `lipsync` in small pipelines.

mod drawing;
mod live;
mod rig;
mod streams;
