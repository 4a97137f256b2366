//! Pipelines: from a template's text to elements.

pub mod classify;
pub mod colour;
pub mod container;
pub mod debian;
pub mod flow;
pub mod format;
pub mod mp4;
pub mod probe;
pub mod reading;
pub mod runner;
pub mod sample;
pub mod template;
pub mod thumbnail;
pub mod verify;
