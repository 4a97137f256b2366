//! Runs the template `learn` over the stretches of a video that are to be read.
//!
//! Where there is more than one, each but the last ends with a seek to the next: at its end a mark is sent
//! down the pipeline behind its last frame, and when the mark has come to `facelearn`, the pipeline
//! seeks. What comes meanwhile is dropped, so that the same stretches give the same frames.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::key::Key;
use super::stretches::Stretch;
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::job;
use crate::pipeline::classify::Files;
use crate::pipeline::runner::{self, LearnCounts, Report, Watch};
use crate::pipeline::template::{Template, Values};
use crate::sync::lock;

/// The mark behind the last frame of a stretch.
const MARK: &str = "lipflow-stretch-end";

/// What is to be learnt.
pub struct Task<'a> {
    pub face: &'a Path,
    pub key: &'a Key,
    pub stretches: &'a [Stretch],
    /// When to stop reading, however far it is.
    pub deadline: Option<Instant>,
    pub output: &'a Path,
    pub watch: &'a Watch,
}

/// What was learnt, and whether the deadline cut it short.
pub struct Learnt {
    pub counts: LearnCounts,
    pub is_cut: bool,
    /// The video ended within its last stretch.
    pub has_ended: bool,
}

/// Learns, and passes on what the pipeline says meanwhile.
pub fn learn(
    task: &Task<'_>,
    cancel: &Cancel,
    report: &mut dyn FnMut(Report),
) -> Result<Learnt, Failure> {
    let invalid = |e: &dyn std::fmt::Display| Failure::new(FailureKind::TemplateInvalid).detail(e);
    let location = task.output.to_str().ok_or_else(|| {
        Failure::of(FailureKind::FaceFile, task.output)
            .because("the folder's name is not UTF-8")
            .advice("Name another in LIPFLOW_FACES")
    })?;
    let selection = &task.key.selection;
    let values = Values::new()
        .set("face", job::uri_of(task.face)?)
        .set("output", location)
        .set("source-id", task.key.source_id())
        .set("face-select", &selection.select)
        .set("face-index", &selection.index)
        .set("max-bytes", task.key.max_bytes.to_string())
        // Whoever asks has looked.
        .set("max-pixels", i64::MAX.to_string())
        .set("max-frames", i64::MAX.to_string())
        .set("max-duration", i64::MAX.to_string())
        .set("max-streams", i64::MAX.to_string());
    let (caps, depth) = task.key.form.caps();
    let values = values.set("caps", caps).set("depth", depth.to_string());
    let template = Template::load("learn").map_err(|e| invalid(&e))?;
    let pipeline = template.build(&values).map_err(|e| invalid(&e))?;
    let state = Arc::new(Mutex::new(Course::new(task.stretches, task.deadline)));
    follow(&pipeline, &state).map_err(|e| invalid(&e))?;
    let files = Files {
        face: task.face.into(),
        ..Default::default()
    };
    let mut counts = LearnCounts::default();
    let ran = runner::run(&pipeline, &files, task.watch, cancel, &mut |item| {
        if let Report::Learnt(now) = &item {
            counts = *now;
        }
        report(item);
    });
    // The thread that seeks ends when nobody can tell it anything any more.
    let mut state = lock(&state);
    state.wanted = None;
    // A face file without a face is refused by the element; to us that is an answer.
    let is_faceless = counts.frames > 0 && counts.frames_with_face == 0;
    match ran {
        Err(e)
            if !(is_faceless && matches!(e.kind, FailureKind::FaceFile | FailureKind::NoFace)) =>
        {
            return Err(e);
        }
        _ => {}
    }
    Ok(Learnt {
        counts,
        is_cut: state.is_cut,
        has_ended: state.has_ended,
    })
}

/// Where in its stretches a pipeline is.
struct Course {
    stretches: Vec<Stretch>,
    /// The one that is being read.
    current: usize,
    /// The mark is on its way, or the seek.
    is_between: bool,
    is_over: bool,
    is_cut: bool,
    has_ended: bool,
    deadline: Option<Instant>,
    /// Takes the start of the next stretch when it is time to seek.
    wanted: Option<mpsc::Sender<Duration>>,
}

/// What becomes of a frame, or of the end of the file.
#[derive(Debug, PartialEq)]
enum Verdict {
    Pass,
    Drop,
    /// It is dropped, and the mark is sent.
    Mark,
    /// It is dropped, and the end of the stream is sent.
    End,
}

impl Course {
    fn new(stretches: &[Stretch], deadline: Option<Instant>) -> Self {
        Self {
            stretches: stretches.to_vec(),
            current: 0,
            is_between: false,
            is_over: false,
            is_cut: false,
            has_ended: false,
            deadline,
            wanted: None,
        }
    }

    fn is_last(&self) -> bool {
        self.current + 1 >= self.stretches.len()
    }

    fn frame(&mut self, pts: Option<Duration>, now: Instant) -> Verdict {
        if self.is_over || self.is_between {
            return Verdict::Drop;
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.is_over = true;
            self.is_cut = true;
            return Verdict::End;
        }
        let end = self.stretches.get(self.current).and_then(|s| s.end);
        match (end, pts) {
            (Some(end), Some(pts)) if pts >= end => self.end_of_stretch(),
            _ => Verdict::Pass,
        }
    }

    fn end_of_file(&mut self) -> Verdict {
        if self.is_over {
            return Verdict::Pass;
        }
        if self.is_last() {
            self.is_over = true;
            self.has_ended = true;
            return Verdict::Pass;
        }
        if self.is_between {
            return Verdict::Drop;
        }
        self.end_of_stretch()
    }

    fn end_of_stretch(&mut self) -> Verdict {
        if self.is_last() {
            self.is_over = true;
            return Verdict::End;
        }
        self.is_between = true;
        Verdict::Mark
    }

    /// The mark has arrived: where to go on.
    fn next(&self) -> Option<Duration> {
        self.stretches.get(self.current + 1).map(|s| s.start)
    }

    /// The pipeline was flushed by the seek.
    fn flushed(&mut self) {
        if std::mem::take(&mut self.is_between) {
            self.current += 1;
        }
    }
}

/// Holds the pipeline to its course.
fn follow(pipeline: &gst::Pipeline, course: &Arc<Mutex<Course>>) -> Result<(), String> {
    let sink_of = |name: &str| {
        let element = pipeline.by_name(name);
        element
            .and_then(|element| element.static_pad("sink"))
            .ok_or_else(|| format!("it has no element named `{name}`"))
    };
    // At the tracker, which is what takes time.
    let tracker = sink_of("facetrack")?;
    let learner = sink_of("facelearn")?;
    let (sender, wanted) = mpsc::channel::<Duration>();
    lock(course).wanted = Some(sender);
    let on_course = course.clone();
    let mask = gst::PadProbeType::BUFFER
        | gst::PadProbeType::EVENT_DOWNSTREAM
        | gst::PadProbeType::EVENT_FLUSH;
    tracker.add_probe(mask, move |pad, info| {
        let verdict = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                let pts = buffer.pts().map(Duration::from);
                lock(&on_course).frame(pts, Instant::now())
            }
            Some(gst::PadProbeData::Event(event)) => match event.type_() {
                gst::EventType::Eos => lock(&on_course).end_of_file(),
                gst::EventType::FlushStop => {
                    lock(&on_course).flushed();
                    Verdict::Pass
                }
                _ => Verdict::Pass,
            },
            _ => Verdict::Pass,
        };
        match verdict {
            Verdict::Pass => return gst::PadProbeReturn::Ok,
            Verdict::Drop => {}
            Verdict::Mark => {
                let mark = gst::Structure::new_empty(MARK);
                pad.send_event(gst::event::CustomDownstream::new(mark));
            }
            Verdict::End => {
                pad.send_event(gst::event::Eos::new());
            }
        }
        // Not `Drop`: with that, GStreamer 1.22 frees what the bindings have freed already, and says so.
        gst::PadProbeReturn::Handled
    });
    let on_course = course.clone();
    learner.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let is_mark = matches!(&info.data, Some(gst::PadProbeData::Event(event))
            if event.structure().is_some_and(|s| s.name() == MARK));
        if !is_mark {
            return gst::PadProbeReturn::Ok;
        }
        let course = lock(&on_course);
        if let (Some(start), Some(wanted)) = (course.next(), &course.wanted) {
            let _ = wanted.send(start);
        }
        gst::PadProbeReturn::Handled
    });
    // Not from a streaming thread, which a flush would wait for.
    let (pipeline, on_course) = (pipeline.downgrade(), course.clone());
    std::thread::spawn(move || {
        for start in wanted {
            let Some(pipeline) = pipeline.upgrade() else {
                return;
            };
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
            let start = gst::ClockTime::try_from(start).unwrap_or(gst::ClockTime::ZERO);
            if pipeline.seek_simple(flags, start).is_err() {
                // What can't be searched is judged by its beginning.
                let mut course = lock(&on_course);
                course.is_over = true;
                course.is_cut = true;
                drop(course);
                tracker.send_event(gst::event::Eos::new());
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(start: u64, end: Option<u64>) -> Stretch {
        let seconds = Duration::from_secs;
        Stretch {
            start: seconds(start),
            end: end.map(seconds),
        }
    }

    #[test]
    fn each_stretch_is_read_to_its_end_and_nothing_between_them() {
        let mut course = Course::new(&[stretch(0, Some(2)), stretch(8, Some(10))], None);
        let now = Instant::now();
        let frame = |course: &mut Course, ms| course.frame(Some(Duration::from_millis(ms)), now);
        assert_eq!(frame(&mut course, 1960), Verdict::Pass);
        assert_eq!(frame(&mut course, 2000), Verdict::Mark);
        assert_eq!(frame(&mut course, 2040), Verdict::Drop);
        assert_eq!(course.next(), Some(Duration::from_secs(8)));
        course.flushed();
        assert_eq!(frame(&mut course, 8000), Verdict::Pass);
        assert_eq!(frame(&mut course, 10_000), Verdict::End);
        assert_eq!(frame(&mut course, 10_040), Verdict::Drop);
        assert_eq!(course.end_of_file(), Verdict::Pass);
        assert!(!course.has_ended, "there is more in it");
    }

    #[test]
    fn a_file_that_ends_early_goes_on_with_the_next_stretch() {
        let mut course = Course::new(&[stretch(0, Some(2)), stretch(8, None)], None);
        assert_eq!(course.end_of_file(), Verdict::Mark);
        assert_eq!(course.end_of_file(), Verdict::Drop);
        course.flushed();
        assert!(!course.has_ended);
        assert_eq!(course.end_of_file(), Verdict::Pass);
        assert!(course.has_ended);
    }

    #[test]
    fn a_deadline_ends_it_and_a_flush_of_somebody_else_skips_nothing() {
        let now = Instant::now();
        let mut course = Course::new(&[stretch(0, None)], Some(now));
        assert_eq!(course.frame(None, now), Verdict::End);
        assert!(course.is_cut);
        let mut course = Course::new(&[stretch(0, Some(2)), stretch(8, None)], None);
        course.flushed();
        assert_eq!(course.current, 0);
    }
}
