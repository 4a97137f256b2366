//! Pipelines: from a template's text to elements.

pub mod check;
pub mod debian;
pub mod template;
