//! Speech features. No GStreamer types here.

mod columns;
mod filter_bank;
mod mel;
pub mod mixdown;
mod noise;
mod spec;
mod timeline;

pub use mel::MelStream;
pub use spec::{Filters, Grid, MelSpec, Norm, Padding, Scale, SpecError, Spectrum};
pub use timeline::{Placement, Timeline};

#[cfg(test)]
pub(crate) mod tests;
