//! Options about what says that an output is synthetic.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, Metadata, Provenance};
use crate::error::{Failure, FailureKind};
use crate::marks::{Aigc, Marks};

/// Takes the label away that the configuration asks for.
const NO_LABEL: &str = "off";

/// What people see.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Said to be synthetic")]
pub struct LabelOptions {
    /// Writes onto the picture that it is synthetic: ai, zh, en, or a text of your own; off where the
    /// configuration asks for one
    #[arg(long, value_name = "ai|zh|en|TEXT")]
    label: Option<String>,
    /// How long the label is shown from the first frame on, 2 at least; to the end by default
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    label_seconds: Option<f64>,
    /// What holds for all work; else LIPFLOW_CONFIG, the user's lipflow/lipflow.toml, or that in /etc
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What it says.
    #[arg(skip)]
    configured: Provenance,
}

/// And what programs see.
#[derive(Args, Clone, Debug)]
pub struct MarkOptions {
    #[command(flatten)]
    label: LabelOptions,
    /// Writes metadata after GB 45438-2025 into the output: the name or the code of the service that
    /// makes it
    #[arg(long, value_name = "NAME|CODE")]
    aigc_producer: Option<String>,
    /// Where it is noted that the person agrees, which goes into a record beside the output
    #[arg(long, value_name = "REFERENCE")]
    consent: Option<String>,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (2.0..=86_400.0).contains(seconds))
        .ok_or_else(|| format!("`{text}` is not 2 to 86400 seconds"))
}

/// The text of a label that is named, or given.
fn text_of(label: &str) -> &str {
    match label {
        "ai" => "AI",
        "zh" => "AI生成合成",
        "en" => "AI-generated",
        text => text,
    }
}

impl LabelOptions {
    /// Reads the configuration, which holds where the command line says nothing.
    pub fn configure(&mut self) -> Result<&Provenance, Failure> {
        self.configured = Config::load(self.config.as_deref())?.provenance;
        Ok(&self.configured)
    }

    /// Sets the parameters of a template.
    pub fn set_parameters(&self, set: &mut dyn FnMut(&str, String)) {
        let configured = &self.configured;
        let label = self.label.as_ref().or(configured.label.as_ref());
        let Some(label) = label.filter(|label| *label != NO_LABEL) else {
            return;
        };
        set("label", text_of(label).to_owned());
        if let Some(position) = &configured.label_position {
            set("label-position", position.clone());
        }
        if let Some(opacity) = configured.label_opacity {
            set("label-opacity", opacity.to_string());
        }
        if let Some(seconds) = self.label_seconds.or(configured.label_seconds) {
            set("label-duration", format!("{seconds}s"));
        }
    }
}

impl MarkOptions {
    /// Reads the configuration, which holds where the command line says nothing.
    pub fn configure(&mut self) -> Result<(), Failure> {
        self.label.configure().map(drop)
    }

    /// Sets the option of that name, as a column of a job list does: what the operator asks for, it may
    /// add to and not take away.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let label = &mut self.label;
        match name {
            "label" if value == NO_LABEL && label.configured.label.is_some() => {
                return Err(
                    "a list can't take away the label that the configuration asks for".into(),
                );
            }
            "label" => label.label = Some(value.into()),
            "label-seconds" => label.label_seconds = Some(parse_seconds(value)?),
            "aigc-producer" => self.aigc_producer = Some(value.into()),
            _ => self.consent = Some(value.into()),
        }
        Ok(())
    }

    /// Sets the template's parameters of the label, and gives what else the output is to carry.
    pub fn marks(&self, set: &mut dyn FnMut(&str, String)) -> Result<Marks, Failure> {
        let wrong =
            |why: &str, remedy: &str| Failure::new(FailureKind::Usage).because(why).advice(remedy);
        self.label.set_parameters(set);
        let configured = &self.label.configured;
        let mut aigc = configured.aigc.as_ref().map(Metadata::aigc);
        if let Some(producer) = &self.aigc_producer {
            let made = Aigc::made_by(producer);
            let aigc = aigc.get_or_insert_with(Aigc::default);
            (aigc.label, aigc.content_producer) = (made.label, made.content_producer);
        }
        if let Some(aigc) = &aigc {
            aigc.check()
                .map_err(|why| wrong(&why, "Correct --aigc-producer, or the configuration"))?;
        }
        if configured.consent_required && self.consent.is_none() {
            return Err(wrong(
                "the configuration asks where it is noted that the person agrees",
                "Give --consent, or a column `consent`",
            ));
        }
        Ok(Marks {
            record: configured.record || aigc.is_some() || self.consent.is_some(),
            aigc,
            consent: self.consent.clone(),
        })
    }
}
