//! Speech features. No GStreamer types here.

mod columns;
mod filter_bank;
mod mel;
mod spec;
mod timeline;

pub use mel::MelStream;
pub use spec::{Filters, MelSpec, Norm, Padding, Scale, SpecError};
pub use timeline::{Placement, Timeline};

#[cfg(test)]
pub(crate) mod tests;
