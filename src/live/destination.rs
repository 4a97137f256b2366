//! One destination: a pipeline of its own that is built again when it fails, while everything else
//! goes on.

mod cause;
mod files;
mod patience;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::Notice;
use super::address::{Address, back_off};
use super::fan::{Fan, Packet, Stream, Subscription};
use crate::event::{DestinationCause, DestinationState, DestinationStatus};
use crate::pipeline::template::{Template, Values};

use cause::{cause_of, meaning_of};
use files::{make_folder, remove_segments, segments_of, unwritten};
use patience::{Patience, STALL_LIMIT};

const TICK: Duration = Duration::from_millis(50);
/// A sink that has taken more than this takes the stream: one that is refused takes a header and a
/// packet or two before it says so.
const TAKEN: u64 = 8;
/// How often a destination that is too slow is told of.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the end of a file may take.
const END_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(4);
/// A connection that has lasted this long was a good one: pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);

/// The controller's end of a destination.
pub struct Destination {
    pub address: Address,
    /// As it is shown.
    pub name: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a destination needs from the rest.
#[derive(Clone)]
pub struct Surroundings {
    pub fan: Fan,
    pub said: mpsc::Sender<Notice>,
    /// Asks the encoder for a whole picture.
    pub want_key: Arc<dyn Fn() + Send + Sync>,
    /// What the operator set, by the names of templates.
    pub values: Arc<BTreeMap<String, Values>>,
}

impl Destination {
    /// `name` is how it is shown.
    pub fn start(
        address: Address,
        name: String,
        must: bool,
        surroundings: Surroundings,
    ) -> std::io::Result<Self> {
        let stop: Arc<AtomicBool> = Arc::default();
        let sender = Sender {
            address: address.clone(),
            name: name.clone(),
            must,
            stop: stop.clone(),
            surroundings,
            sent: Arc::default(),
            dropped: 0,
        };
        let thread = std::thread::Builder::new()
            .name("destination".into())
            .spawn(move || sender.run())?;
        Ok(Self {
            address,
            name,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Destination {
    /// Ends it well: files are closed.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Sender {
    address: Address,
    name: String,
    must: bool,
    stop: Arc<AtomicBool>,
    surroundings: Surroundings,
    /// Buffers that the sink has taken.
    sent: Arc<AtomicU64>,
    dropped: u64,
}

/// How a connection ended.
enum End {
    Stopped,
    Failed(DestinationCause, String),
}

impl Sender {
    fn run(mut self) {
        let mut failures = 0;
        while !self.is_stopped() {
            self.tell(DestinationState::Connecting, None, None);
            let begin = Instant::now();
            let (cause, reason) = match self.connect() {
                End::Stopped => break,
                End::Failed(cause, reason) => (cause, self.address.redact(&reason)),
            };
            failures = if begin.elapsed() > GOOD {
                1
            } else {
                failures + 1
            };
            let pause = back_off(failures);
            self.tell(
                DestinationState::Waiting,
                Some((cause, reason)),
                Some(pause),
            );
            let end = Instant::now() + pause;
            while Instant::now() < end && !self.is_stopped() {
                std::thread::sleep(TICK);
            }
        }
        self.tell(DestinationState::Ended, None, None);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn tell(
        &self,
        state: DestinationState,
        why: Option<(DestinationCause, String)>,
        pause: Option<Duration>,
    ) {
        let status = DestinationStatus {
            destination: self.name.clone(),
            state,
            must: self.must,
            cause: why.as_ref().map(|(cause, _)| *cause),
            remedy: why.as_ref().map(|(cause, _)| cause.remedy().into()),
            reason: why.map(|(_, reason)| reason),
            retry_in_s: pause.map(|pause| pause.as_secs_f64()),
            packets_dropped: self.dropped,
        };
        let _ = self.surroundings.said.send(Notice::Destination(status));
    }

    /// Builds the pipeline and feeds it until it fails or is to stop.
    fn connect(&mut self) -> End {
        let pipeline = match self.build() {
            Ok(pipeline) => pipeline,
            Err(reason) => return End::Failed(cause_of(&reason, &self.address), reason),
        };
        let end = self.feed(&pipeline);
        if matches!(end, End::Stopped)
            && let Err(reason) = finish(&pipeline, &self.address)
        {
            let text = format!("{}: it could not be ended well: {reason}", self.name);
            let _ = self.surroundings.said.send(Notice::Warning(text));
        }
        let _ = crate::pipeline::runner::stop(&pipeline);
        end
    }

    fn build(&self) -> Result<gst::Pipeline, String> {
        let name = self.address.template();
        let template = Template::load(name).map_err(|e| e.to_string())?;
        let values = self.surroundings.values.get(name);
        let values = values.cloned().unwrap_or_default();
        let values = match &self.address {
            Address::Rtmp(url) | Address::Srt(url) | Address::Rtsp(url) => {
                values.set("url", url.clone())
            }
            Address::Matroska(path) | Address::Mp4(path) => {
                make_folder(path)?;
                let free = unwritten(path);
                if free != *path {
                    let text = format!(
                        "{} is there already: this goes to {}",
                        self.name,
                        free.display()
                    );
                    let _ = self.surroundings.said.send(Notice::Warning(text));
                }
                values.set("output", free.display().to_string())
            }
            Address::Hls(path) => {
                make_folder(path)?;
                remove_segments(path);
                values
                    .set("playlist", path.display().to_string())
                    .set("segments", segments_of(path, crate::journal::now() as u64))
            }
        };
        template.build(&values).map_err(|e| e.to_string())
    }

    fn feed(&mut self, pipeline: &gst::Pipeline) -> End {
        let source = |name: &str| {
            let source = pipeline.by_name(name)?;
            source.downcast::<gst_app::AppSrc>().ok()
        };
        let (Some(video), Some(sound)) = (source("video"), source("sound")) else {
            return other("its template has no appsrc named `video` and `sound`");
        };
        let Some(bus) = pipeline.bus() else {
            return other("its pipeline has no bus");
        };
        self.count_what_is_taken(pipeline);
        let Subscription { packets, dropped } = self.surroundings.fan.subscribe();
        (self.surroundings.want_key)();
        // What fails is on the bus.
        let _ = pipeline.set_state(gst::State::Playing);
        let mut is_on_air = false;
        let mut told = Instant::now();
        let mut patience = Patience::new(Instant::now());
        loop {
            if self.is_stopped() {
                // What was encoded until now belongs to it.
                packets
                    .try_iter()
                    .for_each(|packet| push(&packet, &video, &sound));
                return End::Stopped;
            }
            if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
                && let gst::MessageView::Error(error) = message.view()
            {
                let (cause, reason) = match meaning_of(error, &self.address) {
                    unclear @ (DestinationCause::Other, _) => {
                        self.address.unreachable().unwrap_or(unclear)
                    }
                    clear => clear,
                };
                return End::Failed(cause, reason);
            }
            if is_full(&video) || is_full(&sound) {
                // What it can't take waits in the fan, which drops what is too much.
                std::thread::sleep(TICK);
            } else {
                match packets.recv_timeout(TICK) {
                    Ok(packet) => {
                        push(&packet, &video, &sound);
                        patience.gave();
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    // The broadcast is over.
                    Err(mpsc::RecvTimeoutError::Disconnected) => return End::Stopped,
                }
            }
            let sent = self.sent.load(Ordering::Relaxed);
            if !is_on_air && sent > TAKEN {
                is_on_air = true;
                self.tell(DestinationState::OnAir, None, None);
            }
            let lost = dropped.load(Ordering::Relaxed);
            if is_on_air && lost > 0 && told.elapsed() > TELL_INTERVAL {
                told = Instant::now();
                self.dropped += dropped.swap(0, Ordering::Relaxed);
                let reason = "it is too slow for the stream".into();
                self.tell(
                    DestinationState::OnAir,
                    Some((DestinationCause::Lost, reason)),
                    None,
                );
            }
            if patience.is_over(sent, Instant::now()) {
                let reason = format!("it takes nothing any more, for {} s", STALL_LIMIT.as_secs());
                return End::Failed(DestinationCause::Lost, reason);
            }
        }
    }

    fn count_what_is_taken(&self, pipeline: &gst::Pipeline) {
        self.sent.store(0, Ordering::Relaxed);
        for sink in pipeline.iterate_sinks().into_iter().flatten() {
            for pad in sink.sink_pads() {
                let sent = self.sent.clone();
                let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
                pad.add_probe(mask, move |_, _| {
                    sent.fetch_add(1, Ordering::Relaxed);
                    gst::PadProbeReturn::Ok
                });
            }
        }
    }
}

/// Whether more waits in `source` than its template allows: appsrc itself takes any amount.
fn is_full(source: &gst_app::AppSrc) -> bool {
    let (bytes, time) = (source.max_bytes(), source.max_time());
    (!time.is_zero() && source.current_level_time() >= time)
        || (bytes > 0 && source.current_level_bytes() >= bytes)
}

fn other(reason: &str) -> End {
    End::Failed(DestinationCause::Other, reason.into())
}

fn push(packet: &Packet, video: &gst_app::AppSrc, sound: &gst_app::AppSrc) {
    let source = match packet.stream {
        Stream::Video => video,
        Stream::Sound => sound,
    };
    if source.caps().as_ref() != Some(&packet.caps) {
        source.set_caps(Some(&packet.caps));
    }
    // A pipeline that takes nothing any more has an error on its bus.
    let _ = source.push_buffer(packet.buffer.clone());
}

/// Closes what the pipeline writes, or says what came between.
fn finish(pipeline: &gst::Pipeline, address: &Address) -> Result<(), String> {
    for name in ["video", "sound"] {
        if let Some(source) = pipeline.by_name(name) {
            source.send_event(gst::event::Eos::new());
        }
    }
    let Some(bus) = pipeline.bus() else {
        return Ok(());
    };
    match bus.timed_pop_filtered(END_LIMIT, &[gst::MessageType::Eos, gst::MessageType::Error]) {
        Some(message) => match message.view() {
            gst::MessageView::Error(error) => Err(meaning_of(error, address).1),
            _ => Ok(()),
        },
        None => Err(format!("it took longer than {} s", END_LIMIT.seconds())),
    }
}
