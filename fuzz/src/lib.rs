//! What reads bytes that somebody else has written, each as a function that takes any bytes and must come
//! back. `cargo fuzz` drives them with coverage (see `fuzz_targets/`), `cargo xtask fuzz` with a seeded
//! mutator, on stable Rust.

pub mod media;
pub mod mutate;
pub mod targets;
