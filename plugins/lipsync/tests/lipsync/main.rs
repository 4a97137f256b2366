//! `lipsync` in small pipelines.

mod citizen;
mod drawing;
mod live;
mod looks;
mod metas;
mod rig;
mod speakers;
mod streams;
mod wiring;
