//! What the messages of a pipeline's bus mean.

use std::time::Duration;

use super::{Counts, LearnCounts, Report, Speakers};
use crate::error::{Failure, FailureKind};
use crate::event::Phase;
use crate::pipeline::classify::{self, Files};

/// What one bus message means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    Reports(Vec<Report>),
    Failed(Failure),
    EndOfStream,
    Latency,
    ClockLost,
    MissingPlugin(Failure),
    Nothing,
}

/// What a bus message means; a pure function of the message.
pub(super) fn interpret(message: &gst::Message, pipeline: &gst::Object, files: &Files) -> Meaning {
    use gst::MessageView;

    let source = message.src().map(classify::path_of).unwrap_or_default();
    match message.view() {
        MessageView::Error(error) => Meaning::Failed(classify::failure_of(
            &error.error(),
            error.debug().as_deref(),
            &source,
            error.details(),
            files,
        )),
        MessageView::Warning(warning) if classify::is_fatal_warning(&warning.error()) => {
            let text = warning.debug().unwrap_or_default();
            Meaning::Failed(Failure::new(FailureKind::TemplateInvalid).detail(text))
        }
        MessageView::Warning(warning) => Meaning::Reports(vec![Report::Warning {
            message: warning.error().message().into(),
            source,
        }]),
        MessageView::Info(info) => {
            Meaning::Reports(vec![Report::Message(info.error().message().into())])
        }
        // Only the pipeline's own says that every sink is done.
        MessageView::Eos(_) if message.src() == Some(pipeline) => Meaning::EndOfStream,
        MessageView::Latency(_) => Meaning::Latency,
        MessageView::ClockLost(_) => Meaning::ClockLost,
        MessageView::Progress(progress) => {
            let (kind, _code, text) = progress.get();
            match kind {
                gst::ProgressType::Start | gst::ProgressType::Continue => Meaning::Reports(vec![
                    Report::Phase(Phase::Loading),
                    Report::Message(text.into()),
                ]),
                _ => Meaning::Nothing,
            }
        }
        MessageView::Element(element) => match element.structure() {
            Some(structure) if structure.name() == "lipsync-progress" => {
                Meaning::Reports(progress_of(structure))
            }
            Some(structure) if structure.name() == "facelearn-progress" => {
                let count = |name: &str| structure.get::<u64>(name).unwrap_or(0);
                Meaning::Reports(vec![Report::Learnt(LearnCounts {
                    frames: count("frames"),
                    frames_with_face: count("frames-with-face"),
                    mouths: count("mouths"),
                })])
            }
            Some(structure) if structure.name() == "missing-plugin" => {
                gst_pbutils::MissingPluginMessage::parse(message).map_or(
                    Meaning::Nothing,
                    |missing| {
                        let detail = missing.installer_detail();
                        Meaning::MissingPlugin(classify::missing_plugin(&detail))
                    },
                )
            }
            _ => Meaning::Nothing,
        },
        _ => Meaning::Nothing,
    }
}

fn progress_of(structure: &gst::StructureRef) -> Vec<Report> {
    let count = |name: &str| structure.get::<u64>(name).unwrap_or(0);
    let time = |name: &str| Duration::from_nanos(count(name));
    let phase = match structure.get::<&str>("phase") {
        Ok("loading") => Phase::Loading,
        Ok("draining") => Phase::Draining,
        _ => Phase::Running,
    };
    let counts = Counts {
        frames: count("frames"),
        frames_without_face: count("frames-without-face"),
        position: time("position"),
        audio_position: time("audio-position"),
        inference_time: time("inference-time"),
        render_time: time("render-time"),
    };
    vec![
        Report::Phase(phase),
        Report::Counts(counts),
        Report::Speakers(speakers_of(structure)),
    ]
}

fn speakers_of(structure: &gst::StructureRef) -> Speakers {
    let speakers = structure.get::<gst::Array>("speakers").ok();
    let mut frames: Vec<(u32, u64)> = speakers
        .iter()
        .flat_map(|speakers| speakers.iter())
        .filter_map(|speaker| {
            let speaker = speaker.get::<gst::Structure>().ok()?;
            let pad: &str = speaker.get("pad").ok()?;
            let number = pad.strip_prefix("audio_")?.parse().ok()?;
            Some((number, speaker.get("frames").ok()?))
        })
        .collect();
    frames.sort_unstable();
    Speakers {
        frames: frames.into_iter().map(|(_, frames)| frames).collect(),
        most_faces: structure.get("most-faces").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;

    #[test]
    fn lipsync_progress_is_read() {
        gst::init().unwrap();
        let structure = gst::Structure::builder("lipsync-progress")
            .field("frames", 50_u64)
            .field("frames-without-face", 2_u64)
            .field("position", 2_000_000_000_u64)
            .field("audio-position", 2_200_000_000_u64)
            .field("inference-time", 7_u64)
            .field("render-time", 8_u64)
            .field("phase", "draining")
            .field("most-faces", 3_u64)
            .field(
                "speakers",
                gst::Array::new(
                    [("audio_1", 20_u64), ("audio_0", 30_u64)].map(|(pad, frames)| {
                        gst::Structure::builder("speaker")
                            .field("pad", pad)
                            .field("frames", frames)
                            .build()
                    }),
                ),
            )
            .build();
        let bin = gst::Bin::new();
        let message = gst::message::Element::builder(structure).src(&bin).build();
        let counts = Counts {
            frames: 50,
            frames_without_face: 2,
            position: Duration::from_secs(2),
            audio_position: Duration::from_millis(2200),
            inference_time: Duration::from_nanos(7),
            render_time: Duration::from_nanos(8),
        };
        assert_eq!(
            interpret(&message, bin.upcast_ref(), &Files::default()),
            Meaning::Reports(vec![
                Report::Phase(Phase::Draining),
                Report::Counts(counts),
                Report::Speakers(Speakers {
                    frames: vec![30, 20],
                    most_faces: 3,
                }),
            ])
        );
    }

    #[test]
    fn only_the_pipelines_own_eos_is_the_end() {
        gst::init().unwrap();
        let (pipeline, sink) = (gst::Pipeline::new(), gst::Bin::new());
        let meaning = |src: &gst::Object| {
            let message = gst::message::Eos::builder().src(src).build();
            interpret(&message, pipeline.upcast_ref(), &Files::default())
        };
        assert_eq!(meaning(pipeline.upcast_ref()), Meaning::EndOfStream);
        assert_eq!(meaning(sink.upcast_ref()), Meaning::Nothing);
    }
}
