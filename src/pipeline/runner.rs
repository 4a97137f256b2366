//! Runs a pipeline from start to EOS: bus messages become reports, errors become failures, and no
//! wait is without a limit.

mod bus;
mod states;
mod watchdog;

pub use states::stop;

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::classify::Files;
use super::flow::Flow;
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::event::Phase;
use crate::job::Job;

use bus::{Meaning, interpret};
use states::States;
use watchdog::Watchdog;

/// How long one wait on the bus takes, and so how fast a cancellation is seen.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// What `lipsync` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub frames: u64,
    pub frames_without_face: u64,
    /// Running time at which the last frame ends.
    pub position: Duration,
    /// End of the speech that has arrived.
    pub audio_position: Duration,
    pub inference_time: Duration,
    pub render_time: Duration,
}

/// What `facelearn` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnCounts {
    pub frames: u64,
    pub frames_with_face: u64,
    pub mouths: u64,
}

/// What `lipsync` knows of those who speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speakers {
    /// Of each pad `audio_N`, in the order of their numbers, the frames in which it moved a face.
    pub frames: Vec<u64>,
    /// The most faces in one frame.
    pub most_faces: u64,
}

/// What a running pipeline has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    Phase(Phase),
    Counts(Counts),
    Learnt(LearnCounts),
    Speakers(Speakers),
    Warning { message: String, source: String },
    Message(String),
}

/// When a pipeline is given up, and what is left of it then.
#[derive(Clone, Debug)]
pub struct Watch {
    /// How long it may move nothing, whatever it says.
    pub stuck_after: Duration,
    /// Where to write its graph.
    pub graph: Option<PathBuf>,
}

impl Watch {
    pub fn of(job: &Job) -> Self {
        Self {
            stuck_after: job.stuck_after,
            graph: job.graph.clone(),
        }
    }
}

/// Plays the pipeline to its end and takes it down again; gives the last counts, or nothing if no
/// `lipsync` ever spoke.
pub fn run(
    pipeline: &gst::Pipeline,
    files: &Files,
    watch: &Watch,
    cancel: &Cancel,
    report: &mut dyn FnMut(Report),
) -> Result<Option<Counts>, Failure> {
    let states = States::of(pipeline);
    let played = play(pipeline, &states, files, watch, cancel, report);
    if played.is_err() {
        report(Report::Phase(Phase::Stopping));
    }
    let stopped = states.stop();
    let counts = played?;
    stopped?;
    Ok(counts)
}

fn play(
    pipeline: &gst::Pipeline,
    states: &States,
    files: &Files,
    watch: &Watch,
    cancel: &Cancel,
    report: &mut dyn FnMut(Report),
) -> Result<Option<Counts>, Failure> {
    let bus = pipeline
        .bus()
        .ok_or_else(|| Failure::new(FailureKind::Internal).detail("the pipeline has no bus"))?;
    let flow = Flow::watch(pipeline);
    let mut watchdog = Watchdog::new(watch.stuck_after, Instant::now());
    let mut starting = Some(states.ask(gst::State::Playing));
    let mut counts = None;
    let mut missing_plugin = None;
    let mut is_paused = false;
    loop {
        cancel.check()?;
        if cancel.is_paused() != is_paused {
            is_paused = !is_paused;
            starting = Some(states.ask(if is_paused {
                gst::State::Paused
            } else {
                gst::State::Playing
            }));
        }
        let message = bus.timed_pop(TICK);
        let meaning = message.as_ref().map_or(Meaning::Nothing, |message| {
            interpret(message, pipeline.upcast_ref(), files)
        });
        match meaning {
            Meaning::Reports(reports) => {
                for item in reports {
                    match &item {
                        Report::Phase(phase) => watchdog.is_loading = *phase == Phase::Loading,
                        Report::Counts(now) => {
                            watchdog.moved_if(counts != Some(*now));
                            counts = Some(*now);
                        }
                        // Each of its buffers is seen to move.
                        Report::Learnt(_)
                        | Report::Speakers(_)
                        | Report::Warning { .. }
                        | Report::Message(_) => {}
                    }
                    report(item);
                }
            }
            Meaning::Failed(failure) => return Err(explain(failure, missing_plugin)),
            Meaning::EndOfStream => return Ok(counts),
            Meaning::Latency => {
                let _ = pipeline.recalculate_latency();
            }
            Meaning::ClockLost if !is_paused => {
                starting = Some(states.ask(gst::State::Playing));
            }
            Meaning::MissingPlugin(missing) => missing_plugin = Some(missing),
            Meaning::ClockLost | Meaning::Nothing => {}
        }
        if let Some(Ok(Err(_))) = starting.as_ref().map(mpsc::Receiver::try_recv) {
            // The reason is on the bus, if there is one.
            let failure = bus
                .timed_pop_filtered(TICK, &[gst::MessageType::Error])
                .map(|message| interpret(&message, pipeline.upcast_ref(), files));
            return Err(match failure {
                Some(Meaning::Failed(failure)) => explain(failure, missing_plugin),
                _ => Failure::new(FailureKind::Internal).detail("the pipeline refused to start"),
            });
        }
        watchdog.moved_if(is_paused);
        let now = Instant::now();
        if watchdog.is_stuck(flow.passed(), now) {
            return Err(stuck(pipeline, &flow, watch));
        }
        if watchdog.is_quiet(now) && is_dead(pipeline) {
            return Err(Failure::new(FailureKind::InputDamaged)
                .detail("its demuxer gave up without saying why"));
        }
    }
}

/// Whether no thread is left in the pipeline that could move anything. decodebin and parsebin swallow the error
/// of a demuxer that fails while it is being added: then no error, no pad and no end ever comes.
fn is_dead(pipeline: &gst::Pipeline) -> bool {
    let (_, state, pending) = pipeline.state(gst::ClockTime::ZERO);
    // One that is still opening its files has no threads yet.
    if state < gst::State::Paused && pending == gst::State::VoidPending {
        return false;
    }
    pipeline.iterate_recurse().into_iter().all(|element| {
        element.is_ok_and(|element| {
            element.current_state() >= gst::State::Paused
                && element
                    .pads()
                    .iter()
                    .all(|pad| pad.task_state() != gst::TaskState::Started)
        })
    })
}

fn stuck(pipeline: &gst::Pipeline, flow: &Flow, watch: &Watch) -> Failure {
    let details = gst::DebugGraphDetails::all();
    // Written only where GST_DEBUG_DUMP_DOT_DIR says so.
    pipeline.debug_to_dot_file(details, "lipflow-stuck");
    let culprit = flow.culprit().unwrap_or_else(|| pipeline.name().into());
    let mut detail = format!(
        "nothing moved for {} s; it stopped at `{culprit}`",
        watch.stuck_after.as_secs_f64()
    );
    if let Some(pad) = flow.last_pad() {
        detail += &format!(", the last buffer was seen at `{pad}`");
    }
    let failure = Failure::new(FailureKind::Stuck).detail(detail);
    match &watch.graph {
        Some(path) if std::fs::write(path, pipeline.debug_to_dot_data(details)).is_ok() => failure
            .advice(format_args!(
                "Run it alone with GST_DEBUG=3 and report it with {}, the pipeline's graph",
                path.display()
            )),
        _ => failure,
    }
}

/// What is not installed is reported first by name, then as an error without it.
fn explain(failure: Failure, missing_plugin: Option<Failure>) -> Failure {
    match missing_plugin {
        Some(missing) => match &failure.file {
            Some(file) => missing.file(file),
            None => missing,
        },
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn launch(text: &str) -> gst::Pipeline {
        gst::init().unwrap();
        gst::parse::launch(text).unwrap().downcast().unwrap()
    }

    fn run_for_test(
        text: &str,
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<Option<Counts>, Failure> {
        let watch = Watch {
            stuck_after: limit,
            graph: None,
        };
        run(
            &launch(text),
            &Files::default(),
            &watch,
            cancel,
            &mut |_| {},
        )
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_pipeline_plays_to_its_end() {
        let played = run_for_test(
            "videotestsrc num-buffers=3 ! fakesink sync=false",
            LONG,
            &Cancel::default(),
        );
        assert_eq!(played, Ok(None));
    }

    #[test]
    fn a_stuck_pipeline_names_the_element() {
        let failure = run_for_test(
            "fakesrc ! queue ! identity name=slow sleep-time=2000000 ! fakesink",
            Duration::from_millis(500),
            &Cancel::default(),
        )
        .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Stuck);
        assert!(failure.reason().contains("`slow`"), "{failure}");
    }

    #[test]
    fn a_cancelled_pipeline_stops_soon() {
        let cancel = Cancel::default();
        let late = cancel.clone();
        let begin = Instant::now();
        let timer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            late.cancel(signal_hook::consts::SIGTERM);
        });
        let failure = run_for_test("videotestsrc ! fakesink sync=true", LONG, &cancel).unwrap_err();
        timer.join().unwrap();
        assert_eq!(failure.kind, FailureKind::Terminated);
        assert!(begin.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_at_once() {
        let failure = run_for_test(
            "filesrc location=/none/such ! fakesink",
            LONG,
            &Cancel::default(),
        )
        .unwrap_err();
        assert_eq!(failure.kind, FailureKind::InputMissing);
    }

    #[test]
    fn a_late_link_that_fails_is_fatal() {
        let path = "/usr/share/pocketsphinx/test/data/librivox";
        let Some(speech) = std::fs::read_dir(path).ok().and_then(|mut files| {
            files.find_map(|f| {
                Some(f.ok()?.path()).filter(|p| p.extension().is_some_and(|e| e == "wav"))
            })
        }) else {
            panic!("the speech of pocketsphinx-testdata is not installed");
        };
        // A sound file has no pad for the picture that the second branch waits for.
        let failure = run_for_test(
            &format!(
                "filesrc location={} ! wavparse ! decodebin name=d d. ! video/x-raw ! fakesink",
                speech.display()
            ),
            LONG,
            &Cancel::default(),
        )
        .unwrap_err();
        assert_eq!(failure.kind, FailureKind::TemplateInvalid, "{failure}");
    }

    /// An element that says each 100 ms that it works, as `lipsync` does, and moves nothing.
    #[test]
    fn heartbeats_do_not_make_the_limit_longer() {
        gst::init().unwrap();
        let pipeline = launch("fakesrc num-buffers=1 ! identity sleep-time=5000000 ! fakesink");
        let bus = pipeline.bus().unwrap();
        let says = gst::Structure::builder("lipsync-progress")
            .field("phase", "running")
            .build();
        let (over, is_over) = mpsc::channel::<()>();
        let heart = std::thread::spawn(move || {
            let beat = Duration::from_millis(100);
            while is_over.recv_timeout(beat) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = bus.post(gst::message::Element::new(says.clone()));
            }
        });
        let watch = Watch {
            stuck_after: Duration::from_secs(1),
            graph: None,
        };
        let begin = Instant::now();
        let cancel = Cancel::default();
        let mut given_up = None;
        let played = run(
            &pipeline,
            &Files::default(),
            &watch,
            &cancel,
            &mut |report| {
                if report == Report::Phase(Phase::Stopping) {
                    given_up = Some(begin.elapsed());
                }
            },
        );
        drop(over);
        heart.join().unwrap();
        assert_eq!(played.unwrap_err().kind, FailureKind::Stuck);
        let given_up = given_up.unwrap().as_secs_f64();
        assert!((1.0..3.0).contains(&given_up), "{given_up} s");
    }
}
