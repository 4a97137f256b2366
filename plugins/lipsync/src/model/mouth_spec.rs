//! The `[mouth-shape]` and `[front]` tables of a manifest.

use std::path::PathBuf;

use serde::Deserialize;

use super::params::Parameter;

/// How much of the speech around a mouth is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// As little of the future as does, for who waits for it.
    #[default]
    Stream,
    /// As much as helps, for who has it all: `[mouth-shape.whole]`. A model without one looks as in a
    /// stream.
    Whole,
}

/// The `[front]` table: a network that others made, which turns mel columns into features that carry
/// over to people and languages the network behind it never heard. Its output has one row for so
/// many columns, so that contexts and blocks of `[mouth-shape]` are in rows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FrontSpec {
    /// The ONNX file, relative to the manifest's folder; where it is not there, it is looked for
    /// where set-up puts the models it fetches.
    pub file: PathBuf,
    /// Mel columns to a row.
    #[serde(default = "one")]
    pub columns: usize,
    /// Values in a row.
    pub features: usize,
    /// Names of the input, `[1, bands, columns * rows]`, and of the output, `[1, rows, features]`,
    /// where the shapes do not tell.
    pub input: Option<String>,
    /// See [`Self::input`].
    pub output: Option<String>,
}

fn one() -> usize {
    1
}

impl FrontSpec {
    pub(super) fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        if self.file.as_os_str().is_empty() {
            return Err(("front.file", "must not be empty"));
        }
        if !(1..=16).contains(&self.columns) {
            return Err(("front.columns", "must be from 1 to 16"));
        }
        if !(1..=65_536).contains(&self.features) {
            return Err(("front.features", "must be from 1 to 65536"));
        }
        Ok(())
    }
}

/// The `[mouth-shape.whole]` table: a network of the same inputs and outputs with other windows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WholeSpec {
    /// The ONNX file, relative to the manifest's folder.
    pub file: PathBuf,
    /// Columns, or rows of a front end, before the one it speaks of that it sees.
    pub context_before: usize,
    /// The same after that one. They are latency.
    pub context_after: usize,
    /// Columns that it is evaluated on at once.
    pub block: usize,
}

/// The `[mouth-shape]` table; the defaults are those of our own networks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MouthShapeSpec {
    /// Name of the input, where there are several.
    pub input: Option<String>,
    /// Name of the output, where the shapes do not tell.
    pub output: Option<String>,
    /// How many columns (rows, with a front end) the network sees to each side of the one it speaks
    /// of,
    pub context: usize,
    /// or of the past and of the future, where these differ. What it sees of the future is latency.
    pub context_before: Option<usize>,
    /// See [`Self::context_before`].
    pub context_after: Option<usize>,
    /// The network is evaluated on blocks of so many columns.
    pub block: usize,
    /// The channels of the output, in order.
    pub parameters: Vec<Parameter>,
    /// A second network for those who have the whole speech.
    pub whole: Option<WholeSpec>,
}

impl Default for MouthShapeSpec {
    fn default() -> Self {
        Self {
            input: None,
            output: None,
            context: 13,
            context_before: None,
            context_after: None,
            block: 8,
            parameters: vec![Parameter::Opening, Parameter::Width, Parameter::Tuck],
            whole: None,
        }
    }
}

impl MouthShapeSpec {
    /// Columns of the past that the network sees.
    pub fn before(&self) -> usize {
        self.context_before.unwrap_or(self.context)
    }

    /// Columns of the future that the network sees.
    pub fn after(&self) -> usize {
        self.context_after.unwrap_or(self.context)
    }

    /// Columns of the network's input.
    pub fn length(&self) -> usize {
        self.before() + self.block + self.after()
    }

    /// The same with the windows of `look`.
    pub fn seen(&self, look: Look) -> Self {
        match (&self.whole, look) {
            (Some(whole), Look::Whole) => Self {
                context_before: Some(whole.context_before),
                context_after: Some(whole.context_after),
                block: whole.block,
                ..self.clone()
            },
            _ => self.clone(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        let whole = self.whole.as_ref();
        for (key, columns) in [
            ("mouth-shape.context", Some(self.context)),
            ("mouth-shape.context-before", self.context_before),
            ("mouth-shape.context-after", self.context_after),
            (
                "mouth-shape.whole.context-before",
                whole.map(|whole| whole.context_before),
            ),
            (
                "mouth-shape.whole.context-after",
                whole.map(|whole| whole.context_after),
            ),
        ] {
            if columns.is_some_and(|columns| columns > 1000) {
                return Err((key, "must not be above 1000"));
            }
        }
        if !(1..=1000).contains(&self.block) {
            return Err(("mouth-shape.block", "must be from 1 to 1000"));
        }
        if whole.is_some_and(|whole| !(1..=1000).contains(&whole.block)) {
            return Err(("mouth-shape.whole.block", "must be from 1 to 1000"));
        }
        if whole.is_some_and(|whole| whole.file.as_os_str().is_empty()) {
            return Err(("mouth-shape.whole.file", "must not be empty"));
        }
        let count = |p: &Parameter| self.parameters.iter().filter(|q| *q == p).count();
        let once = |p: &Parameter| *p == Parameter::Unused || count(p) == 1;
        if count(&Parameter::Opening) != 1 || !self.parameters.iter().all(once) {
            return Err((
                "mouth-shape.parameters",
                "must name `opening`, and none but `unused` twice",
            ));
        }
        Ok(())
    }
}
