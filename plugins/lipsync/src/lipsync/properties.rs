//! The element's properties, and the settings behind them.

use std::sync::Arc;

use gst::glib;
use gst::prelude::*;

use super::settings::{Settings, VoiceSettings};
use crate::property::{self, path, path_value};
use crate::runtime::Provider;

/// All properties; `stats` is the element's own.
pub fn specs() -> Vec<glib::ParamSpec> {
    let default = Settings::default();
    vec![
        glib::ParamSpecString::builder("model-file")
            .nick("Model file")
            .blurb("ONNX model or manifest (.toml) to draw with; none is the best embedded one")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("execution-provider")
            .nick("Execution provider")
            .blurb("Where the model runs: auto, cpu, cuda, tensorrt or openvino. One that is asked for and fails is an error")
            .default_value(default.execution_provider.as_str())
            .mutable_ready()
            .build(),
        property::device(default.device),
        property::threads(
            default.threads,
            "Threads of the model on the CPU (0 = one for the embedded model, all cores for a generator)",
        ),
        glib::ParamSpecUInt::builder("batch-size")
            .nick("Batch size")
            .blurb("Frames that a generator draws at once (0 = 4, or what the model insists on)")
            .maximum(256)
            .default_value(default.batch_size)
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("model-instance-id")
            .nick("Model instance")
            .blurb("Elements of this process with the same name here share one loaded model; a generator's batch-size is then that of all streams together, and a frame waits 20 ms at most for those of others (unset = a small model of its own, or a shared generator with batches of its own)")
            .mutable_ready()
            .build(),
        audio_offset(),
        strength(),
        glib::ParamSpecBoolean::builder("passthrough")
            .nick("Passthrough")
            .blurb("Leave the frames as they are; they go on at the same time, and the end is the same")
            .default_value(default.passthrough)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("end-mode", default.end_mode)
            .nick("End mode")
            .blurb("What ends the output")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("look", default.look)
            .nick("Look")
            .blurb("How much of the speech around a frame the model hears; whole adds seconds to the latency (models with both looks, as the default one)")
            .mutable_ready()
            .build(),
        face_file(),
        glib::ParamSpecUInt::builder("look-ahead")
            .nick("Look-ahead")
            .blurb("Frames that are held back to choose among the face's own mouths; each adds to the latency (mouth-shape models)")
            .maximum(50)
            .default_value(default.look_ahead)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Frames, frames without a face, position, and times in nanoseconds since the start")
            .read_only()
            .build(),
    ]
}

/// Of the element, and of each pad that takes speech.
pub fn audio_offset() -> glib::ParamSpec {
    glib::ParamSpecInt64::builder("audio-offset")
        .nick("Audio offset")
        .blurb("Nanoseconds by which the mouth moves later than the sound (negative: earlier)")
        .minimum(-5_000_000_000)
        .maximum(5_000_000_000)
        .default_value(VoiceSettings::default().audio_offset)
        .controllable()
        .mutable_playing()
        .build()
}

/// Of the element, and of each pad that takes speech.
pub fn strength() -> glib::ParamSpec {
    glib::ParamSpecDouble::builder("strength")
        .nick("Strength")
        .blurb("Scales the movement of the mouth (mouth-shape models)")
        .minimum(0.0)
        .maximum(3.0)
        .default_value(VoiceSettings::default().strength)
        .controllable()
        .mutable_playing()
        .build()
}

/// Of the element, and of each pad that takes speech.
pub fn face_file() -> glib::ParamSpec {
    glib::ParamSpecString::builder("face-file")
        .nick("Face file")
        .blurb("What facelearn has learnt of the face: mouths are drawn from it (mouth-shape models); without it, from the frames so far. Where it changes while frames are drawn, it is drawn from as soon as a frame is in it")
        .mutable_playing()
        .build()
}

/// Sets what a property stands for that the element and each pad have.
pub fn set_voice(
    voice: &mut VoiceSettings,
    name: &str,
    value: &glib::Value,
) -> Result<(), Box<dyn std::error::Error>> {
    match name {
        "audio-offset" => voice.audio_offset = value.get()?,
        "strength" => voice.strength = value.get()?,
        "face-file" => voice.face_file = path(value)?,
        _ => return Err("it can't be set".into()),
    }
    Ok(())
}

/// The value of a property that the element and each pad have.
pub fn get_voice(voice: &VoiceSettings, name: &str) -> Option<glib::Value> {
    Some(match name {
        "audio-offset" => voice.audio_offset.to_value(),
        "strength" => voice.strength.to_value(),
        "face-file" => path_value(voice.face_file.as_deref()),
        _ => return None,
    })
}

/// Sets what the property `name` stands for.
pub fn set(
    settings: &mut Settings,
    name: &str,
    value: &glib::Value,
) -> Result<(), Box<dyn std::error::Error>> {
    match name {
        "model-file" => settings.model_file = path(value)?,
        "execution-provider" => {
            let name = value.get::<Option<String>>()?;
            settings.execution_provider = name.unwrap_or_else(|| Provider::default().name().into());
        }
        "device" => settings.device = value.get()?,
        "threads" => settings.threads = value.get()?,
        "batch-size" => settings.batch_size = value.get()?,
        "model-instance-id" => settings.model_instance_id = property::text(value)?,
        "passthrough" => settings.passthrough = value.get()?,
        "end-mode" => settings.end_mode = value.get()?,
        "look" => settings.look = value.get()?,
        "look-ahead" => settings.look_ahead = value.get()?,
        _ => set_voice(Arc::make_mut(&mut settings.voice), name, value)?,
    }
    Ok(())
}

/// The value of the property `name`, if it is one of the settings.
pub fn get(settings: &Settings, name: &str) -> Option<glib::Value> {
    Some(match name {
        "model-file" => path_value(settings.model_file.as_deref()),
        "execution-provider" => settings.execution_provider.to_value(),
        "device" => settings.device.to_value(),
        "threads" => settings.threads.to_value(),
        "batch-size" => settings.batch_size.to_value(),
        "model-instance-id" => settings.model_instance_id.to_value(),
        "passthrough" => settings.passthrough.to_value(),
        "end-mode" => settings.end_mode.to_value(),
        "look" => settings.look.to_value(),
        "look-ahead" => settings.look_ahead.to_value(),
        _ => return get_voice(&settings.voice, name),
    })
}
