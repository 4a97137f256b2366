//! What tells one learnt face from another: the content of the video, and all that decides what is learnt
//! of it. Names and places of files are not in it.

use gstlipsync::bank;
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::job::Job;

/// The most that a face file may weigh, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;

/// Which of several faces, in the words of the templates' parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    pub select: String,
    /// Counts only where `select` is `index`.
    pub index: String,
}

impl Default for Selection {
    fn default() -> Self {
        Self::new("largest", "0")
    }
}

impl Selection {
    pub fn new(select: &str, index: &str) -> Self {
        Self {
            select: select.into(),
            index: if select == "index" { index } else { "0" }.into(),
        }
    }

    /// The one that a job's parameters make.
    pub fn of(job: &Job) -> Self {
        Self::new(
            job.parameter("face-select").unwrap_or("largest"),
            job.parameter("face-index").unwrap_or("0"),
        )
    }
}

/// The picture that the face will be in, where that is another than its video's in 8 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Form {
    pub size: Option<(u32, u32)>,
    pub colorimetry: Option<String>,
    /// Bits of a channel, where they are more.
    pub depth: Option<u32>,
}

impl Form {
    /// As caps, and the bits of a channel at most.
    pub fn caps(&self) -> (String, u32) {
        let depth = self.depth.unwrap_or(8);
        let format = if depth > 8 { "I420_10LE" } else { "I420" };
        let mut caps = format!("video/x-raw,format={format}");
        if let Some((width, height)) = self.size {
            caps += &format!(",width={width},height={height},pixel-aspect-ratio=1/1");
        }
        if let Some(colorimetry) = &self.colorimetry {
            caps += &format!(",colorimetry={colorimetry}");
        }
        (caps, depth)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// SHA-256 of the face's video.
    pub content: String,
    pub selection: Selection,
    pub max_bytes: u64,
    pub form: Form,
    /// Of the format and of what is learnt.
    version: u32,
}

impl Key {
    pub fn new(content: String, selection: Selection, form: Form) -> Self {
        Self {
            content,
            selection,
            max_bytes: MAX_BYTES,
            form,
            version: bank::VERSION,
        }
    }

    /// What its files are called, without their endings. It begins with the content, so that all that
    /// belongs to a video is found by it.
    pub fn stem(&self) -> String {
        // Strings and numbers always become JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let all = digest::of_bytes(&json);
        format!("{}-{}", self.content, all.get(..16).unwrap_or(&all))
    }

    /// What the face file says that it was learnt from.
    pub fn source_id(&self) -> String {
        format!("sha256:{}", self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(content: &str, select: &str, index: &str) -> Key {
        Key::new(
            content.into(),
            Selection::new(select, index),
            Form::default(),
        )
    }

    #[test]
    fn all_that_decides_what_is_learnt_is_in_the_key_and_nothing_else() {
        let same = key("ab", "largest", "0");
        let stem = same.stem();
        assert!(stem.starts_with("ab-"), "{stem}");
        let others = [
            key("ac", "largest", "0"),
            key("ab", "leftmost", "0"),
            key("ab", "index", "0"),
            key("ab", "index", "1"),
            Key {
                max_bytes: MAX_BYTES / 2,
                ..same.clone()
            },
            Key {
                form: Form {
                    size: Some((320, 240)),
                    ..Form::default()
                },
                ..same.clone()
            },
            Key {
                version: bank::VERSION + 1,
                ..same.clone()
            },
        ];
        let mut stems: Vec<_> = others.iter().map(Key::stem).collect();
        stems.push(stem);
        stems.sort();
        stems.dedup();
        assert_eq!(stems.len(), 8, "{stems:?}");
        let unused = key("ab", "largest", "1");
        assert_eq!(unused, same, "no index counts");
    }
}
