//! What an output is to carry that says that it is synthetic.

mod aigc;

pub use aigc::Aigc;

use serde::{Deserialize, Serialize};

/// What an output is to carry besides picture and sound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marks {
    /// Metadata after GB 45438-2025. Without a number of the content, the job's own is put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aigc: Option<Aigc>,
    /// Where it is noted that the person agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// A record is written beside the output.
    #[serde(default)]
    pub record: bool,
}

impl Marks {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
