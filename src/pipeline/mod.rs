//! Pipelines: from a template's text to elements.

pub(crate) mod classify;
pub(crate) mod colour;
pub(crate) mod container;
pub(crate) mod debian;
pub(crate) mod flow;
pub(crate) mod format;
pub mod mp4;
pub(crate) mod probe;
pub(crate) mod reading;
pub(crate) mod runner;
pub(crate) mod sample;
pub mod template;
pub(crate) mod thumbnail;
pub(crate) mod verify;
