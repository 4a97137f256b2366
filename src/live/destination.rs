//! One destination: a pipeline of its own that is built again when it fails, while everything else
//! goes on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::Notice;
use super::address::{Address, back_off};
use super::fan::{Fan, Packet, Stream, Subscription};
use super::stall::Stall;
use crate::event::{DestinationCause, DestinationState, DestinationStatus};
use crate::job::folder_of;
use crate::pipeline::template::{Template, Values};

const TICK: Duration = Duration::from_millis(50);
/// A sink that takes nothing for so long has lost its other end.
const STALL_LIMIT: Duration = Duration::from_secs(8);
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

/// How long a sink has owed an answer to what it was given.
struct Patience {
    sent: u64,
    is_owed: bool,
    stall: Stall,
}

impl Patience {
    fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            is_owed: false,
            stall: Stall::new(4 * TICK, now),
        }
    }

    fn gave(&mut self) {
        self.is_owed = true;
    }

    /// Whether it has been too long. `sent` is what the sink has taken so far.
    fn is_over(&mut self, sent: u64, now: Instant) -> bool {
        if sent != self.sent {
            self.sent = sent;
            self.is_owed = false;
        }
        self.stall.waited(sent, self.is_owed, now) > STALL_LIMIT
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

fn make_folder(path: &Path) -> Result<(), String> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))
}

/// `path`, or the first of `path-2`, `path-3` and so on where nothing is lost: a recording is never
/// written over, neither one of yesterday nor what there is of this one after a disk was full.
fn unwritten(path: &Path) -> PathBuf {
    let is_free = |path: &Path| std::fs::metadata(path).map_or(true, |file| file.len() == 0);
    let numbered = |number: u32| {
        let mut name: OsString = path.file_stem().unwrap_or_default().into();
        name.push(format!("-{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    std::iter::once(path.to_owned())
        .chain((2..).map(numbered))
        .find(|path| is_free(path))
        .unwrap_or_else(|| path.to_owned())
}

/// The pattern of a playlist's segments, beside it. The sink prints the number into it as C does, so a
/// percent sign of the operator's must not be one to it. It counts from 0 each time: `begun`, in seconds
/// since 1970, keeps a name from coming again with another content, which caches would not notice.
fn segments_of(playlist: &Path, begun: u64) -> String {
    let name = playlist.with_extension("").display().to_string();
    format!("{}-{begun:010}-%05d.ts", name.replace('%', "%%"))
}

/// Removes the segments that an earlier broadcast left beside the playlist: numbers begin anew, and
/// those above would stay for ever.
fn remove_segments(playlist: &Path) {
    let stem = playlist.file_stem().unwrap_or_default().to_string_lossy();
    let is_ours = |name: &str| {
        let number = name
            .strip_prefix(&*stem)
            .and_then(|rest| rest.strip_prefix('-'));
        let Some(number) = number.and_then(|rest| rest.strip_suffix(".ts")) else {
            return false;
        };
        // Earlier versions gave no time.
        let (begun, number) = number.split_once('-').unwrap_or(("0000000000", number));
        let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        begun.len() == 10 && number.len() >= 5 && is_number(begun) && is_number(number)
    };
    for entry in std::fs::read_dir(folder_of(playlist))
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.file_name().to_str().is_some_and(is_ours) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        assert_eq!(unwritten(&file("tape.mkv")), file("tape.mkv"));
        std::fs::write(file("tape.mkv"), "").unwrap();
        assert_eq!(
            unwritten(&file("tape.mkv")),
            file("tape.mkv"),
            "nothing is lost"
        );
        std::fs::write(file("tape.mkv"), "yesterday").unwrap();
        std::fs::write(file("tape-2.mkv"), "this morning").unwrap();
        assert_eq!(unwritten(&file("tape.mkv")), file("tape-3.mkv"));
    }

    #[test]
    fn a_percent_sign_in_a_path_is_no_number() {
        let segments = |path: &str| segments_of(Path::new(path), 1_700_000_000);
        assert_eq!(segments("air/index.m3u8"), "air/index-1700000000-%05d.ts");
        assert_eq!(
            segments("100%s/5%n.v2.m3u8"),
            "100%%s/5%%n.v2-1700000000-%05d.ts"
        );
    }

    #[test]
    fn only_segments_of_the_playlist_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "air-00012.ts",
            "air-1700000000-00012.ts",
            "air.m3u8",
            "air-x.ts",
            "other-00012.ts",
            "air-00013.mkv",
            // Of the playlist air-5.m3u8.
            "air-5-00012.ts",
            "air-5-1700000000-00012.ts",
        ];
        for name in names {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_segments(&folder.path().join("air.m3u8"));
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [false, false, true, true, true, true, true, true]);
    }

    #[test]
    fn only_what_was_given_can_be_waited_for() {
        let mut now = Instant::now();
        let mut patience = Patience::new(now);
        let mut pass = |patience: &mut Patience, sent: u64, seconds: f64| {
            let steps = (seconds * 20.0) as u32;
            (0..steps).any(|_| {
                now += TICK;
                patience.is_over(sent, now)
            })
        };
        assert!(!pass(&mut patience, 0, 60.0), "there was nothing to take");
        patience.gave();
        assert!(!pass(&mut patience, 0, 7.0));
        assert!(!pass(&mut patience, 1, 60.0), "it took it");
        patience.gave();
        assert!(pass(&mut patience, 1, 9.0));

        let mut patience = Patience::new(now);
        patience.gave();
        assert!(
            !patience.is_over(0, now + Duration::from_secs(3600)),
            "stopped by Ctrl-Z"
        );
    }

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
