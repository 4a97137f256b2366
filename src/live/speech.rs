//! What speaks on air: files, raw sound from a pipe or a socket, and pipelines of the operator's own.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstlipsync::audio::mixdown::Mixdown;
use gstlipsync::decode;

use super::mix::{RATE, Source, Supply};
use super::pcm::Pcm;
use crate::error::{Failure, FailureKind};
use crate::job::uri_of;
use crate::secret::{public_url, redact};
use crate::sync::lock;

/// Of a file, which is read as a job reads it: whole, and nothing is opened but the file.
const FILE: &str = "speechsource name=speech";
const STREAM: &str = "uridecodebin name=speech caps=audio/x-raw expose-all-streams=false";
/// What the mixer takes, of as many channels as there are.
const CAPS: &str = "audio/x-raw,format=F32LE,layout=interleaved";
/// Sound that is decoded ahead, in nanoseconds. A burst waits in the pipe.
const AHEAD: u64 = 2_000_000_000;
/// Raw sound that comes after such a pause is new speech.
const PAUSE: Duration = Duration::from_millis(100);

/// Something to say, not opened yet.
pub enum Speech {
    File(PathBuf),
    /// What another stream says.
    Uri(String),
    Pcm(OwnedFd, Pcm),
    /// A piece of a gst-launch pipeline that gives sound.
    Pipeline(String),
}

impl Speech {
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Uri(uri) => public_url(uri),
            Self::Pcm(..) => "raw sound".into(),
            Self::Pipeline(_) => "the speech pipeline".into(),
        }
    }

    /// Begins to decode it.
    pub fn open(self) -> Result<Decoded, Failure> {
        let name = self.name();
        let mut file = None;
        let mut address = None;
        let mut uri = None;
        let (head, fd) = match self {
            Self::File(path) => {
                uri = Some(uri_of(&path)?);
                file = Some(path);
                (FILE.to_owned(), None)
            }
            Self::Uri(text) => {
                let head = if decode::is_file(&text) { FILE } else { STREAM };
                uri = Some(text.clone());
                address = Some(text);
                (head.to_owned(), None)
            }
            Self::Pcm(fd, pcm) => (
                format!(
                    "fdsrc name=raw fd={} do-timestamp=false ! rawaudioparse format=pcm pcm-format={} \
                     sample-rate={} num-channels={}",
                    fd.as_raw_fd(),
                    pcm.format,
                    pcm.rate,
                    pcm.channels
                ),
                Some(fd),
            ),
            Self::Pipeline(text) => (text, None),
        };
        let failed = |e: &dyn std::fmt::Display| {
            let failure = Failure::new(FailureKind::TemplateInvalid).detail(e);
            match &file {
                Some(file) => failure.file(file),
                None => failure,
            }
        };
        let pipeline = gst::parse::launch(&format!(
            "{head} ! audioconvert ! audioresample ! {CAPS},rate={RATE} \
             ! queue max-size-time={AHEAD} max-size-bytes=0 max-size-buffers=0 \
             ! appsink name=sound sync=false max-buffers=4"
        ))
        .map_err(|e| failed(&e))?
        .downcast::<gst::Pipeline>()
        .map_err(|_| failed(&"no pipeline was built"))?;
        let sink = pipeline
            .by_name("sound")
            .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
            .ok_or_else(|| failed(&"no sink was built"))?;
        if let (Some(uri), Some(source)) = (uri, pipeline.by_name("speech")) {
            // As a value: what stands in it can't become a part of the pipeline.
            source.set_property("uri", uri);
        }
        let arrivals = Arc::default();
        if let Some(pad) = pipeline.by_name("raw").and_then(|e| e.static_pad("src")) {
            note_arrivals(&pad, &arrivals);
        }
        let started = pipeline.set_state(gst::State::Playing);
        let decoded = Decoded {
            arrivals,
            name,
            address,
            is_live: started == Ok(gst::StateChangeSuccess::NoPreroll),
            pipeline,
            sink,
            left: VecDeque::new(),
            mixdown: Mixdown::default(),
            failure: None,
            _fd: fd,
        };
        match started {
            Ok(_) => Ok(decoded),
            Err(e) => Err(failed(&decoded.error().unwrap_or_else(|| e.to_string()))),
        }
    }
}

/// Something that is being said.
pub struct Decoded {
    pub name: String,
    /// May have a secret in it, which must not get into an error.
    address: Option<String>,
    /// What nobody takes is lost, as with a microphone.
    is_live: bool,
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    left: VecDeque<f32>,
    mixdown: Mixdown,
    /// Why it ended, if it did not end by itself.
    pub failure: Option<String>,
    arrivals: Arc<Mutex<Arrivals>>,
    _fd: Option<OwnedFd>,
}

impl Decoded {
    /// When raw sound came in after a pause, the last time.
    pub fn arrived(&self) -> Option<Instant> {
        lock(&self.arrivals).after_pause
    }

    /// Lets what a live source says meanwhile go by: kept, it would be late for good.
    pub fn let_pass(&mut self) {
        if !self.is_live {
            return;
        }
        self.left.clear();
        while self.sink.try_pull_sample(gst::ClockTime::ZERO).is_some() {}
    }

    fn error(&self) -> Option<String> {
        let message = self
            .pipeline
            .bus()?
            .pop_filtered(&[gst::MessageType::Error])?;
        let gst::MessageView::Error(error) = message.view() else {
            return None;
        };
        let text = error.error().message().to_owned();
        Some(match &self.address {
            Some(address) => redact(address, &text),
            None => text,
        })
    }
}

/// When raw sound came in.
#[derive(Default)]
struct Arrivals {
    last: Option<Instant>,
    after_pause: Option<Instant>,
}

fn note_arrivals(pad: &gst::Pad, arrivals: &Arc<Mutex<Arrivals>>) {
    let arrivals = arrivals.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let now = Instant::now();
        let mut arrivals = lock(&arrivals);
        let last = arrivals.last.replace(now);
        if last.is_none_or(|last| now - last > PAUSE) {
            arrivals.after_pause = Some(now);
        }
        gst::PadProbeReturn::Ok
    });
}

impl Source for Decoded {
    fn take(&mut self, wanted: usize, into: &mut Vec<f32>) -> Supply {
        while self.left.len() < wanted {
            let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::ZERO) else {
                break;
            };
            if let Some(map) = sample.buffer().and_then(|b| b.map_readable().ok()) {
                let samples = map.chunks_exact(4);
                let samples: Vec<f32> = samples
                    .map(|b| {
                        let sample = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                        if sample.is_finite() { sample } else { 0.0 }
                    })
                    .collect();
                let channels = sample
                    .caps()
                    .and_then(|caps| caps.structure(0)?.get("channels").ok());
                let channels = channels.map_or(1, |channels: i32| channels.max(1) as usize);
                let mut mixed = Vec::with_capacity(samples.len() / channels);
                self.mixdown.mix(&samples, channels, &mut mixed);
                self.left.extend(mixed);
            }
        }
        let given = wanted.min(self.left.len());
        into.extend(self.left.drain(..given));
        if given == wanted {
            return Supply::More;
        }
        if self.sink.is_eos() {
            return Supply::Ended;
        }
        let error = self.error();
        if error.is_some() {
            self.failure = error;
            return Supply::Ended;
        }
        Supply::Dry
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        let pipeline = self.pipeline.clone();
        // Network sources may take a while to let go, and somebody is waiting for the next block.
        std::thread::spawn(move || pipeline.set_state(gst::State::Null));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all_of(speech: Speech) -> (Vec<f32>, Option<String>) {
        gst::init().unwrap();
        gstlipsync::plugin_register_static().unwrap();
        let mut decoded = speech.open().unwrap();
        let mut samples = Vec::new();
        let begin = Instant::now();
        while decoded.take(960, &mut samples) != Supply::Ended {
            assert!(begin.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        (samples, decoded.failure.take())
    }

    #[test]
    fn a_stream_is_named_without_its_secrets() {
        let name = |uri: &str| Speech::Uri(uri.into()).name();
        assert_eq!(name("rtsp://me:pw@cam/one"), "rtsp://cam/one");
        assert_eq!(name("rtmp://host/live/key"), "rtmp://host/live/...");
        assert_eq!(name("https://host/a.mp3?token=x"), "https://host/a.mp3");
    }

    #[test]
    fn raw_sound_of_another_rate_comes_out_whole() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let feeder = std::thread::spawn(move || {
            // A second at half of full scale, in odd portions.
            let sound: Vec<u8> = (0..8000).flat_map(|_| 16_384_i16.to_le_bytes()).collect();
            for portion in sound.chunks(777) {
                writer.write_all(portion).unwrap();
            }
        });
        let pcm = "s16le,8000,1".parse().unwrap();
        let (samples, failure) = all_of(Speech::Pcm(reader.into(), pcm));
        feeder.join().unwrap();
        assert_eq!(failure, None);
        assert!(samples.len().abs_diff(RATE) < 200, "{}", samples.len());
        assert!((samples[RATE / 2] - 0.5).abs() < 0.01);
    }

    #[test]
    fn an_address_can_not_become_a_part_of_the_pipeline() {
        gst::init().unwrap();
        gstlipsync::plugin_register_static().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        // A moment of silence, 16 kHz, 16 bit, mono.
        let mut sound = b"RIFF\x64\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\
            \x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data\x40\x00\x00\x00"
            .to_vec();
        sound.resize(44 + 64, 0);
        std::fs::write(&path, sound).unwrap();
        let uri = uri_of(&path).unwrap();
        let text = format!(r#"{uri}" ! fakesink name=foreign uridecodebin name=x uri="{uri}"#);
        // Pasted into the pipeline's text it would be one that can be played.
        let opened = Speech::Uri(text).open().ok();
        let foreign = opened.and_then(|decoded| decoded.pipeline.by_name("foreign"));
        assert!(foreign.is_none());
        assert!(Speech::Uri(uri).open().is_ok());
    }

    #[test]
    fn what_can_not_be_decoded_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.wav");
        std::fs::write(&path, "no sound at all, only words").unwrap();
        let (samples, failure) = all_of(Speech::File(path));
        assert!(samples.is_empty());
        assert!(failure.is_some());
    }

    /// Writes a tone of one second at 16 kHz on two channels, one against the other.
    fn turned(path: &std::path::Path) {
        let mut sound = b"RIFF\x24\xfa\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\
            \x80\x3e\x00\x00\x00\xfa\x00\x00\x04\x00\x10\x00data\x00\xfa\x00\x00"
            .to_vec();
        for i in 0..16_000 {
            let tone = (26_000.0 * (i as f32 * 0.2).sin()) as i16;
            sound.extend(tone.to_le_bytes());
            sound.extend((-tone).to_le_bytes());
        }
        std::fs::write(path, sound).unwrap();
    }

    #[test]
    fn channels_that_cancel_each_other_are_heard_on_air() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turned.wav");
        turned(&path);
        let (samples, failure) = all_of(Speech::File(path));
        assert_eq!(failure, None);
        let energy = samples.iter().map(|v| v * v).sum::<f32>() / samples.len() as f32;
        assert!(energy > 0.1, "{energy}");
    }

    #[test]
    fn a_playlist_opens_nothing_on_air() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.m3u8");
        let text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/hostname\n";
        std::fs::write(&path, text).unwrap();
        let (samples, failure) = all_of(Speech::File(path));
        assert!(samples.is_empty());
        assert!(failure.is_some_and(|f| f.contains("playlist")));
    }
}
