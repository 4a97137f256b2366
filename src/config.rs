//! What an operator says once for all work: `lipflow.toml`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Failure, FailureKind};
use crate::marks::Aigc;

const FILE: &str = "lipflow.toml";
const VARIABLE: &str = "LIPFLOW_CONFIG";

/// All that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How outputs say that they are synthetic.
    pub provenance: Provenance,
}

/// Section `[provenance]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Provenance {
    /// As `--label`.
    pub label: Option<String>,
    /// Parameter `label-position` of the templates.
    pub label_position: Option<String>,
    /// Parameter `label-opacity` of the templates.
    pub label_opacity: Option<f64>,
    /// How long the label is shown, in seconds; else to the end.
    pub label_seconds: Option<f64>,
    /// Every job has to say where it is noted that the person agrees.
    pub consent_required: bool,
    /// A record is written beside each output.
    pub record: bool,
    /// Metadata after GB 45438-2025.
    pub aigc: Option<Metadata>,
}

/// Section `[provenance.aigc]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metadata {
    /// Name or code of the service that makes the content.
    pub producer: String,
    /// Name or code of the service that spreads it.
    #[serde(default)]
    pub propagator: String,
    /// What the producer protects the label with.
    #[serde(default)]
    pub reserved_code_1: String,
    /// What the propagator protects the label with.
    #[serde(default)]
    pub reserved_code_2: String,
}

impl Metadata {
    /// As it is written into files, but for the numbers of the content.
    pub fn aigc(&self) -> Aigc {
        Aigc {
            content_propagator: self.propagator.trim().into(),
            reserved_code1: self.reserved_code_1.clone(),
            reserved_code2: self.reserved_code_2.clone(),
            ..Aigc::made_by(&self.producer)
        }
    }
}

impl Config {
    /// That of the file that is named, of the one in `LIPFLOW_CONFIG`, or else of the first that is there of the
    /// user's and the system's; nothing is configured where none is.
    pub fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let variable = std::env::var_os(VARIABLE).map(PathBuf::from);
        match named.map(Path::to_owned).or(variable) {
            Some(path) => Self::read(&path),
            None => match places().find(|path| path.is_file()) {
                Some(path) => Self::read(&path),
                None => Ok(Self::default()),
            },
        }
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Failure::of(FailureKind::Usage, path)
                .because(e)
                .advice(format_args!("Check the path in --config or {VARIABLE}"))
        })?;
        let config = Self::parse(&text).map_err(|why| {
            Failure::of(FailureKind::Usage, path)
                .because(why.trim())
                .advice("Correct the file; README.md shows one")
        })?;
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        if let Some(metadata) = &config.provenance.aigc {
            metadata.aigc().check()?;
        }
        Ok(config)
    }
}

/// Where the file may be: the user's folder before the system's.
fn places() -> impl Iterator<Item = PathBuf> {
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".config")));
    home.into_iter()
        .chain([PathBuf::from("/etc")])
        .map(|folder| folder.join("lipflow").join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_once_is_read_and_what_is_not_known_refused() {
        let config = Config::parse(
            "[provenance]\nlabel = \"zh\"\nlabel-seconds = 5\nconsent-required = true\n\
             [provenance.aigc]\nproducer = \"001191110102MAD55U9H0F10002\"\n",
        )
        .unwrap();
        assert_eq!(config.provenance.label.as_deref(), Some("zh"));
        assert_eq!(config.provenance.label_seconds, Some(5.0));
        assert!(config.provenance.consent_required);
        let aigc = config.provenance.aigc.unwrap().aigc();
        assert_eq!(
            (aigc.label.as_str(), aigc.content_producer.len()),
            ("1", 27)
        );
        assert_eq!(Config::parse(""), Ok(Config::default()));
        for (text, word) in [
            ("[provenance]\nlable = \"zh\"\n", "lable"),
            ("[provenence]\n", "provenence"),
            ("[provenance.aigc]\n", "producer"),
            (
                "[provenance.aigc]\nproducer = \"0011911\\\"\"\n",
                "ContentProducer",
            ),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
