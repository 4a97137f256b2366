//! The properties of `facetrack`.

use std::path::PathBuf;
use std::sync::Arc;

use gst::glib;
use gst::prelude::*;

use super::FaceSelect;
use crate::face::detector::{self, Detector};
use crate::face::mesh::{self, Mesher};
use crate::face::selection::Select;
use crate::face::tracker::{Models, Options};
use crate::face::{self, Error};
use crate::property;
use crate::runtime::{self, Interrupt, Provider, Sharing};

#[derive(Clone)]
pub(super) struct Settings {
    face_select: FaceSelect,
    face_index: u32,
    max_faces: u32,
    redetect_interval: u32,
    min_score: f32,
    detector_size: u32,
    mesh_interval: u32,
    /// A name, so that one that doesn't exist is an error when the element starts.
    execution_provider: String,
    device: u32,
    threads: u32,
    model_instance_id: Option<String>,
    smooth: bool,
    pub face_file: Option<PathBuf>,
    detector_model: Option<PathBuf>,
    mesh_model: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        let options = Options::default();
        Self {
            face_select: FaceSelect::default(),
            face_index: 0,
            max_faces: options.max_faces as u32,
            redetect_interval: options.redetect_interval,
            min_score: options.min_score,
            detector_size: options.detector_size as u32,
            mesh_interval: options.mesh_interval,
            execution_provider: face::OPTIONS.provider.name().into(),
            device: face::OPTIONS.device,
            threads: face::OPTIONS.threads,
            model_instance_id: None,
            smooth: options.smooth,
            face_file: None,
            detector_model: None,
            mesh_model: None,
        }
    }
}

impl Settings {
    pub fn options(&self) -> Options {
        Options {
            select: match self.face_select {
                FaceSelect::Largest => Select::Largest,
                FaceSelect::Leftmost => Select::Leftmost,
                FaceSelect::Centre => Select::Centre,
                FaceSelect::Index => Select::Index(self.face_index as usize),
            },
            max_faces: self.max_faces as usize,
            redetect_interval: self.redetect_interval,
            min_score: self.min_score,
            detector_size: self.detector_size as usize,
            mesh_interval: self.mesh_interval,
            smooth: self.smooth,
        }
    }

    /// Where the detector and the mesh are.
    pub fn model_files(&self) -> [PathBuf; 2] {
        let path = |chosen: &Option<PathBuf>, file: &str| {
            let chosen = chosen.clone();
            chosen.unwrap_or_else(|| runtime::data_dir().join("models").join(file))
        };
        [
            path(&self.detector_model, detector::FILE),
            path(&self.mesh_model, mesh::FILE),
        ]
    }

    /// The execution provider, if there is one of that name.
    pub fn provider(&self) -> Result<Provider, Error> {
        Ok(self.execution_provider.parse()?)
    }

    /// Loads the models, or takes those that the process has loaded already. `stop` ends their runs.
    pub fn load(&self, stop: Arc<Interrupt>) -> Result<Models, Error> {
        let [detector, mesh] = self.model_files();
        let options = runtime::Options {
            provider: self.provider()?,
            device: self.device,
            threads: self.threads,
            sharing: match &self.model_instance_id {
                Some(name) => Sharing::instance(name),
                None => Sharing::Own,
            },
        };
        Ok(Models {
            detector: Detector::load(&detector, options)?,
            mesher: Mesher::load(&mesh, options)?,
            stop,
        })
    }

    pub fn set(
        &mut self,
        property: &str,
        value: &glib::Value,
    ) -> Result<(), glib::value::ValueTypeMismatchError> {
        match property {
            "face-select" => self.face_select = value.get()?,
            "face-index" => self.face_index = value.get()?,
            "max-faces" => self.max_faces = value.get()?,
            "redetect-interval" => self.redetect_interval = value.get()?,
            "min-score" => self.min_score = value.get()?,
            "detector-size" => self.detector_size = value.get()?,
            "mesh-interval" => self.mesh_interval = value.get()?,
            "execution-provider" => {
                let name = value.get::<Option<String>>()?;
                self.execution_provider =
                    name.unwrap_or_else(|| face::OPTIONS.provider.name().into());
            }
            "device" => self.device = value.get()?,
            "threads" => self.threads = value.get()?,
            "model-instance-id" => self.model_instance_id = property::text(value)?,
            "smooth" => self.smooth = value.get()?,
            "face-file" => self.face_file = property::path(value)?,
            "detector-model" => self.detector_model = property::path(value)?,
            "mesh-model" => self.mesh_model = property::path(value)?,
            _ => {}
        }
        Ok(())
    }

    pub fn get(&self, property: &str) -> Option<glib::Value> {
        Some(match property {
            "face-select" => self.face_select.to_value(),
            "face-index" => self.face_index.to_value(),
            "max-faces" => self.max_faces.to_value(),
            "redetect-interval" => self.redetect_interval.to_value(),
            "min-score" => self.min_score.to_value(),
            "detector-size" => self.detector_size.to_value(),
            "mesh-interval" => self.mesh_interval.to_value(),
            "execution-provider" => self.execution_provider.to_value(),
            "device" => self.device.to_value(),
            "threads" => self.threads.to_value(),
            "model-instance-id" => self.model_instance_id.to_value(),
            "smooth" => self.smooth.to_value(),
            "face-file" => property::path_value(self.face_file.as_deref()),
            "detector-model" => property::path_value(self.detector_model.as_deref()),
            "mesh-model" => property::path_value(self.mesh_model.as_deref()),
            _ => return None,
        })
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    let default = Settings::default();
    vec![
        glib::ParamSpecEnum::builder_with_default("face-select", default.face_select)
            .nick("Face selection")
            .blurb("Which face is followed; the choice stays with the person while they are seen or remembered")
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("face-index")
            .nick("Face index")
            .blurb("The face that face-select=index follows, counted from the left, the leftmost being 0")
            .default_value(default.face_index)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("max-faces")
            .nick("Maximum of faces")
            .blurb("How many faces are followed with their mesh; others get a box only")
            .minimum(1)
            .maximum(64)
            .default_value(default.max_faces)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("redetect-interval")
            .nick("Redetection interval")
            .blurb("Frames between runs of the detector while the faces are followed (0 = only when one is lost)")
            .default_value(default.redetect_interval)
            .mutable_playing()
            .build(),
        glib::ParamSpecFloat::builder("min-score")
            .nick("Minimum score")
            .blurb("Least confidence of the detector that counts as a face")
            .minimum(0.0)
            .maximum(1.0)
            .default_value(default.min_score)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("detector-size")
            .nick("Detector size")
            .blurb("Long side in pixels of the picture that the detector sees; 640 finds smaller faces at four times the cost")
            .minimum(64)
            .maximum(1920)
            .default_value(default.detector_size)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("mesh-interval")
            .nick("Mesh interval")
            .blurb("Frames from one run of the mesh to the next; in between the points move on with the face (1 = every frame, more for slow machines)")
            .minimum(1)
            .maximum(30)
            .default_value(default.mesh_interval)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("smooth")
            .nick("Smooth")
            .blurb("Steady the points against the noise of the mesh; off for facelearn, which does so with what comes after too")
            .default_value(default.smooth)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("face-file")
            .nick("Face file")
            .blurb("What facelearn has learnt of this video: frames in it need no network; all others are looked at as without it")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("execution-provider")
            .nick("Execution provider")
            .blurb("Where the networks run: auto, cpu, cuda, tensorrt or openvino. One that is asked for and fails is an error")
            .default_value(default.execution_provider.as_str())
            .mutable_ready()
            .build(),
        property::device(default.device),
        glib::ParamSpecString::builder("model-instance-id")
            .nick("Model instance")
            .blurb("Elements of this process with the same name here share the loaded networks, and take turns (unset = networks of its own)")
            .mutable_ready()
            .build(),
        property::threads(
            default.threads,
            "Threads per network (0 = as many as ONNX Runtime thinks fit)",
        ),
        glib::ParamSpecString::builder("detector-model")
            .nick("Detector model")
            .blurb("Path of the face detector, a YuNet in ONNX with free height and width (unset = the one that set-up installed)")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("mesh-model")
            .nick("Mesh model")
            .blurb("Path of the face mesh of 468 points in ONNX (unset = the one that set-up installed)")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Since the start: frames, frames-with-face, frames-without-face, detector-runs, detector-time (ns), mesh-runs, mesh-time (ns)")
            .read_only()
            .build(),
    ]
}
