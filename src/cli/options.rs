//! Options that several commands share, beside those of a job.

use clap::Args;

use crate::job::IfExists;
use crate::progress::Style;

#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub struct ExistingOptions {
    /// Replace an output that exists, once the new one is whole
    #[arg(long)]
    overwrite: bool,
    /// Do nothing if the output exists
    #[arg(long)]
    skip_existing: bool,
}

impl From<ExistingOptions> for IfExists {
    fn from(options: ExistingOptions) -> Self {
        match (options.overwrite, options.skip_existing) {
            (true, _) => Self::Overwrite,
            (_, true) => Self::Skip,
            _ => Self::Refuse,
        }
    }
}

#[derive(Args, Debug)]
pub struct ShowOptions {
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub progress: Style,
}
