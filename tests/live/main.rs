//! `lipflow live` on the binary: real media, real servers, and ffprobe as the viewer.

mod destinations;
mod face;
mod files;
#[path = "../live_support/mod.rs"]
mod live_support;
#[path = "../run_support/mod.rs"]
mod run_support;
mod speech;

const KEY: &str = "a-very-s3cret-key";
