//! The models in the program: ours with their weights, those of others without.

use std::path::{Path, PathBuf};

use super::mouth_spec::Look;
use super::{Error, Manifest};
use crate::runtime;

/// The name of the best of our models that can run.
pub const DEFAULT: &str = "default";

/// A model whose weights are in the program.
pub(super) struct Embedded {
    pub name: &'static str,
    manifest: &'static str,
    stream: &'static [u8],
    whole: Option<&'static [u8]>,
}

/// Hears with a front end that set-up fetches.
pub(super) const HEARING: Embedded = Embedded {
    name: "hearing",
    manifest: include_str!("../../../../models/hearing.toml"),
    stream: include_bytes!("../../../../models/head_stream.onnx"),
    whole: Some(include_bytes!("../../../../models/head_whole.onnx")),
};

/// Hears by itself.
pub(super) const MOUTH: Embedded = Embedded {
    name: "mouth",
    manifest: include_str!("../../../../models/mouth.toml"),
    stream: include_bytes!("../../../../models/mouth.onnx"),
    whole: None,
};

pub(super) const EMBEDDED: [&Embedded; 2] = [&HEARING, &MOUTH];

impl Embedded {
    pub fn manifest(&self) -> Result<Manifest, Error> {
        Manifest::parse(&Path::new(self.name).with_extension("toml"), self.manifest)
    }

    pub fn weights(&self, look: Look) -> &'static [u8] {
        match look {
            Look::Stream => self.stream,
            Look::Whole => self.whole.unwrap_or(self.stream),
        }
    }
}

/// Our models, the best first.
pub fn embedded() -> Result<Vec<Manifest>, Error> {
    EMBEDDED.iter().map(|model| model.manifest()).collect()
}

/// The manifests of public networks that come without weights.
pub(super) const BUNDLED: [(&str, &str); 5] = [
    (
        "wav2lip_96",
        include_str!("../../../../models/wav2lip_96.toml"),
    ),
    (
        "wav2lip_gan_96",
        include_str!("../../../../models/wav2lip_gan_96.toml"),
    ),
    (
        "wav2lip_256",
        include_str!("../../../../models/wav2lip_256.toml"),
    ),
    (
        "wav2lip_96_facefusion",
        include_str!("../../../../models/wav2lip_96_facefusion.toml"),
    ),
    (
        "edtalk_256",
        include_str!("../../../../models/edtalk_256.toml"),
    ),
];

/// The manifests of public networks, which come without weights.
pub fn bundled() -> Result<Vec<Manifest>, Error> {
    BUNDLED
        .iter()
        .map(|(name, text)| Manifest::parse(&Path::new(name).with_extension("toml"), text))
        .collect()
}

/// Where the weights of a bundled manifest are looked for, and the front ends that set-up fetches.
pub fn weights_dir() -> PathBuf {
    runtime::data_dir().join("models")
}
