//! One destination: a pipeline of its own that is built again when it fails, while everything else
//! goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::Said;
use super::address::{Address, back_off};
use super::fan::{Fan, Packet, Stream, Subscription};
use crate::event::{DestinationCause, DestinationState, DestinationStatus};
use crate::job::folder_of;
use crate::pipeline::template::{Template, Values};

const TICK: Duration = Duration::from_millis(50);
/// A sink that takes nothing for so long has lost its other end.
const STALL_LIMIT: Duration = Duration::from_secs(8);
/// A sink that has taken more than this takes the stream: one that is refused takes a header and a
/// packet or two before it says so.
const TAKEN: u64 = 8;
/// How long the end of a file may take.
const END_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(4);
/// A connection that has lasted this long was a good one: pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);

/// The controller's end of a destination.
pub struct Destination {
    pub address: Address,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a destination needs from the rest.
#[derive(Clone)]
pub struct Surroundings {
    pub fan: Fan,
    pub said: mpsc::Sender<Said>,
    /// Asks the encoder for a whole picture.
    pub want_key: Arc<dyn Fn() + Send + Sync>,
    /// What the operator set, by the names of templates.
    pub values: Arc<BTreeMap<String, Values>>,
}

impl Destination {
    pub fn start(
        address: Address,
        must: bool,
        surroundings: Surroundings,
    ) -> std::io::Result<Self> {
        let stop: Arc<AtomicBool> = Arc::default();
        let sender = Sender {
            address: address.clone(),
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
            destination: self.address.to_string(),
            state,
            must: self.must,
            cause: why.as_ref().map(|(cause, _)| *cause),
            remedy: why.as_ref().map(|(cause, _)| cause.remedy().into()),
            reason: why.map(|(_, reason)| reason),
            retry_in_s: pause.map(|pause| pause.as_secs_f64()),
            packets_dropped: self.dropped,
        };
        let _ = self.surroundings.said.send(Said::Destination(status));
    }

    /// Builds the pipeline and feeds it until it fails or is to stop.
    fn connect(&mut self) -> End {
        let pipeline = match self.build() {
            Ok(pipeline) => pipeline,
            Err(reason) => return End::Failed(cause_of(&reason, &self.address), reason),
        };
        let end = self.feed(&pipeline);
        if matches!(end, End::Stopped) {
            finish(&pipeline);
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
                values.set("output", path.display().to_string())
            }
            Address::Hls(path) => {
                make_folder(path)?;
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                // Segments of an earlier broadcast keep their names until they are replaced.
                let segments = path.with_file_name(format!("{stem}-%05d.ts"));
                values
                    .set("playlist", path.display().to_string())
                    .set("segments", segments.display().to_string())
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
        let mut last = (self.sent.load(Ordering::Relaxed), Instant::now());
        loop {
            if self.is_stopped() {
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
            match packets.recv_timeout(TICK) {
                Ok(packet) => push(&packet, &video, &sound),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // The broadcast is over.
                Err(mpsc::RecvTimeoutError::Disconnected) => return End::Stopped,
            }
            let lost = dropped.swap(0, Ordering::Relaxed);
            self.dropped += lost;
            let sent = self.sent.load(Ordering::Relaxed);
            if sent != last.0 {
                last = (sent, Instant::now());
            }
            if !is_on_air && sent > TAKEN {
                is_on_air = true;
                self.tell(DestinationState::OnAir, None, None);
            } else if lost > 0 {
                let reason = "it is too slow for the stream".into();
                self.tell(
                    DestinationState::OnAir,
                    Some((DestinationCause::Lost, reason)),
                    None,
                );
            }
            if last.1.elapsed() > STALL_LIMIT {
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

/// Closes what the pipeline writes.
fn finish(pipeline: &gst::Pipeline) {
    for name in ["video", "sound"] {
        if let Some(source) = pipeline.by_name(name) {
            source.send_event(gst::event::Eos::new());
        }
    }
    if let Some(bus) = pipeline.bus() {
        bus.timed_pop_filtered(END_LIMIT, &[gst::MessageType::Eos, gst::MessageType::Error]);
    }
}

/// What an error of a sink means, and in which words.
fn meaning_of(error: &gst::message::Error, address: &Address) -> (DestinationCause, String) {
    let debug = error.debug().unwrap_or_default();
    // GStreamer adds the domain and the number of an error, which tell nobody anything.
    let plain = |text: &str| -> String {
        let text = text.split("domain g-").next().unwrap_or(text);
        text.trim_matches([' ', ':', '.']).into()
    };
    let text = plain(error.error().message());
    // The cause is often only in the debug text, behind the place in the source.
    let cause = plain(debug.lines().last().unwrap_or_default());
    let reason = if cause.is_empty() || cause.contains(".c(") || text.contains(&cause) {
        text
    } else {
        format!("{text}: {cause}")
    };
    (cause_of(&reason, address), address.redact(&reason))
}

fn cause_of(reason: &str, address: &Address) -> DestinationCause {
    let reason = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if matches!(
        address,
        Address::Hls(_) | Address::Matroska(_) | Address::Mp4(_)
    ) {
        DestinationCause::File
    } else if has(&["resolv", "name or service", "no such host"]) {
        DestinationCause::Address
    } else if has(&["certificate"]) {
        DestinationCause::Certificate
    } else if has(&["refused", "unreachable", "could not connect"]) {
        DestinationCause::Refused
    } else if has(&[
        "cmd failed",
        "badname",
        "rejected",
        "denied",
        "not found",
        "authoriz",
        "authent",
        "publish",
    ]) {
        DestinationCause::Rejected
    } else if has(&[
        "reset",
        "broken pipe",
        "closed",
        "timed out",
        "timeout",
        "error sending",
        "error receiving",
    ]) {
        DestinationCause::Lost
    } else {
        DestinationCause::Other
    }
}

fn make_folder(path: &std::path::Path) -> Result<(), String> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_causes() {
        let rtmp: Address = "rtmp://host/live/key".parse().unwrap();
        let cause = |reason: &str| cause_of(reason, &rtmp);
        let name =
            "Failed to connect: Error resolving \u{201c}x\u{201d}: Name or service not known";
        assert_eq!(cause(name), DestinationCause::Address);
        let refused = "Connection refused: Could not connect to 127.0.0.1: Connection refused";
        assert_eq!(cause(refused), DestinationCause::Refused);
        let lost = "Connection error: Error receiving data: Connection reset by peer";
        assert_eq!(cause(lost), DestinationCause::Lost);
        let wrong = "Failed to connect: 'connect' cmd failed: connection closed remotely";
        assert_eq!(cause(wrong), DestinationCause::Rejected);
        let certificate = "Failed to connect: Unacceptable TLS certificate";
        assert_eq!(cause(certificate), DestinationCause::Certificate);
        assert_eq!(cause("publish denied"), DestinationCause::Rejected);
        let file: Address = "tape.mkv".parse().unwrap();
        assert_eq!(cause_of("No space left", &file), DestinationCause::File);
    }
}
