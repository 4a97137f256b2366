//! Small pipelines to test `lipsync` in, and what is fed to them.

use gst::prelude::*;

pub const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(40);
pub const LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(20);

pub fn init() {
    use std::sync::Once;
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstlipsync::plugin_register_static().unwrap();
    });
}

/// A pipeline of two application sources, `lipsync` and an application sink.
pub struct Rig {
    pub pipeline: gst::Pipeline,
    pub lipsync: gst::Element,
    pub video: gst_app::AppSrc,
    pub audio: gst_app::AppSrc,
    pub sink: gst_app::AppSink,
}

pub fn caps(width: i32) -> gst::Caps {
    gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::I420)
        .width(width)
        .height(48)
        .framerate(gst::Fraction::new(25, 1))
        .pixel_aspect_ratio(gst::Fraction::new(4, 3))
        .field("colorimetry", "bt709")
        .build()
}

impl Rig {
    pub fn new(properties: &str) -> Self {
        Self::named("l", properties)
    }

    /// With a name for the element, and so for its thread.
    pub fn named(name: &str, properties: &str) -> Self {
        init();
        let description = format!(
            "appsrc name=v format=time max-buffers=4 block=true ! lipsync name={name} {properties} ! \
             appsink name=s sync=false max-buffers=0 \
             appsrc name=a format=time max-buffers=4 block=true ! {name}.audio"
        );
        let pipeline = gst::parse::launch(&description)
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let by_name = |name: &str| pipeline.by_name(name).unwrap();
        let audio: gst_app::AppSrc = by_name("a").downcast().unwrap();
        audio.set_caps(Some(
            &gst_audio::AudioCapsBuilder::new_interleaved()
                .format(gst_audio::AUDIO_FORMAT_F32)
                .rate(16_000)
                .channels(1)
                .build(),
        ));
        let video: gst_app::AppSrc = by_name("v").downcast().unwrap();
        video.set_caps(Some(&caps(64)));
        Self {
            lipsync: by_name(name),
            sink: by_name("s").downcast().unwrap(),
            video,
            audio,
            pipeline,
        }
    }

    /// Plays; feeds both sources from threads of their own; gives the frames that come out.
    pub fn run(
        &self,
        frames: Vec<gst::Buffer>,
        speech: Vec<gst::Buffer>,
    ) -> Result<Vec<gst::Sample>, gst::message::Message> {
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            // What can't start says why.
            let bus = self.pipeline.bus().unwrap();
            let told = bus.timed_pop_filtered(LIMIT, &[gst::MessageType::Error]);
            self.pipeline.set_state(gst::State::Null).unwrap();
            return Err(told.expect("a start that fails tells a reason"));
        }
        let threads = [feed_all(&self.video, frames), feed_all(&self.audio, speech)];
        let result = self.collect();
        self.pipeline.set_state(gst::State::Null).unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        result
    }

    pub fn collect(&self) -> Result<Vec<gst::Sample>, gst::message::Message> {
        let mut samples = Vec::new();
        let bus = self.pipeline.bus().unwrap();
        loop {
            if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) {
                samples.push(sample);
                continue;
            }
            if let Some(error) = bus.pop_filtered(&[gst::MessageType::Error]) {
                return Err(error);
            }
            if self.sink.is_eos() {
                return Ok(samples);
            }
            let waited = self.pipeline.current_running_time().unwrap_or_default();
            assert!(waited < LIMIT, "stalled after {} frames", samples.len());
        }
    }
}

/// Gives the source all of that, in a thread of its own.
pub fn feed_all(
    source: &gst_app::AppSrc,
    buffers: Vec<gst::Buffer>,
) -> std::thread::JoinHandle<()> {
    let source = source.clone();
    std::thread::spawn(move || {
        for buffer in buffers {
            if source.push_buffer(buffer).is_err() {
                return;
            }
        }
        let _ = source.end_of_stream();
    })
}

/// Lets the source be sought in, and hold what a test gives it.
pub fn make_seekable(source: &gst_app::AppSrc) {
    source.set_stream_type(gst_app::AppStreamType::Seekable);
    source.set_max_buffers(200);
    source.set_max_bytes(0);
    source.set_callbacks(
        gst_app::AppSrcCallbacks::builder()
            .seek_data(|_, _| true)
            .build(),
    );
}

pub fn frame(number: u64) -> gst::Buffer {
    init();
    let mut buffer = gst::Buffer::from_mut_slice(vec![number as u8; 64 * 48 * 3 / 2]);
    {
        let buffer = buffer.get_mut().unwrap();
        buffer.set_pts(FRAME * number);
        buffer.set_duration(FRAME);
    }
    buffer
}

pub fn frames(count: u64) -> Vec<gst::Buffer> {
    (0..count).map(frame).collect()
}

/// `seconds` of a tone in buffers of `chunk` samples.
pub fn speech(seconds: f64, chunk: usize) -> Vec<gst::Buffer> {
    init();
    let samples: Vec<f32> = (0..(seconds * 16_000.0) as usize)
        .map(|n| 0.3 * (n as f32 * 0.1).sin())
        .collect();
    samples
        .chunks(chunk)
        .enumerate()
        .map(|(i, chunk_samples)| {
            let bytes: Vec<u8> = chunk_samples.iter().flat_map(|s| s.to_le_bytes()).collect();
            let mut buffer = gst::Buffer::from_mut_slice(bytes);
            let at = |n: usize| gst::ClockTime::from_nseconds(n as u64 * 62_500);
            let buffer_ref = buffer.get_mut().unwrap();
            buffer_ref.set_pts(at(i * chunk));
            buffer_ref.set_duration(at(chunk_samples.len()));
            buffer
        })
        .collect()
}

pub fn times(samples: &[gst::Sample]) -> Vec<(Option<gst::ClockTime>, Option<gst::ClockTime>)> {
    samples
        .iter()
        .map(|s| s.buffer().unwrap())
        .map(|b| (b.pts(), b.duration()))
        .collect()
}

/// What came of the real clip.
pub struct Played {
    pub frames: Vec<gst::Sample>,
    /// Of `lipsync`, where it is there.
    pub stats: Option<gst::Structure>,
    pub warnings: Vec<String>,
}

/// Frames of the real clip, with faces on them, before and after `lipsync`.
pub fn real_frames(format: &str, lipsync: &str, chunk: usize) -> Vec<gst::Sample> {
    play_real(format, lipsync, chunk).frames
}

/// As [`real_frames`], with what else is to know. `elements` come after `facetrack`; `lipsync` is
/// named `l`.
pub fn play_real(format: &str, elements: &str, chunk: usize) -> Played {
    init();
    let clip = gstlipsync::runtime::data_dir().join("media/cap13_edit2.mp4");
    let uri = gst::glib::filename_to_uri(clip, None).unwrap();
    let description = format!(
        "facesource uri={uri} ! videoconvert ! video/x-raw,format={format} ! \
         identity eos-after=31 ! facetrack ! queue ! {elements} ! appsink name=s sync=false \
         appsrc name=a format=time max-buffers=4 block=true ! queue name=q"
    );
    let description = match elements.contains("lipsync name=l") {
        true => format!("{description} q. ! l.audio"),
        false => format!("{description} q. ! fakesink sync=false"),
    };
    let pipeline = gst::parse::launch(&description).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    let audio: gst_app::AppSrc = pipeline.by_name("a").unwrap().downcast().unwrap();
    let speech_caps = gst_audio::AudioCapsBuilder::new_interleaved()
        .format(gst_audio::AUDIO_FORMAT_F32)
        .rate(16_000)
        .channels(1)
        .build();
    audio.set_caps(Some(&speech_caps));
    pipeline.set_state(gst::State::Playing).unwrap();
    let feeder = std::thread::spawn(move || {
        for buffer in voice(2.0, chunk) {
            if audio.push_buffer(buffer).is_err() {
                return;
            }
        }
        let _ = audio.end_of_stream();
    });
    let mut frames = Vec::new();
    while let Some(sample) = sink.try_pull_sample(LIMIT) {
        frames.push(sample);
    }
    assert!(sink.is_eos());
    let stats = pipeline.by_name("l").map(|l| l.property("stats"));
    let bus = pipeline.bus().unwrap();
    let warnings = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Warning]));
    let warnings = warnings.map(|message| match message.view() {
        gst::MessageView::Warning(warning) => warning.error().to_string(),
        _ => String::new(),
    });
    let warnings = warnings.collect();
    pipeline.set_state(gst::State::Null).unwrap();
    feeder.join().unwrap();
    Played {
        frames,
        stats,
        warnings,
    }
}

/// Something like vowels: a buzz of 120 Hz whose loudness and brightness come and go.
pub fn voice(seconds: f64, chunk: usize) -> Vec<gst::Buffer> {
    let mut buffers = speech(seconds, chunk);
    for (i, buffer) in buffers.iter_mut().enumerate() {
        let mut map = buffer.get_mut().unwrap().map_writable().unwrap();
        for (j, sample) in map.chunks_exact_mut(4).enumerate() {
            let t = (i * chunk + j) as f32 / 16_000.0;
            let swell = (t * 9.0).sin().max(0.0);
            let buzz: f32 = (1..12)
                .map(|h| (t * 754.0 * h as f32).sin() / h as f32)
                .sum();
            sample.copy_from_slice(&(0.2 * swell * buzz).to_le_bytes());
        }
    }
    buffers
}

pub fn bytes(sample: &gst::Sample) -> Vec<u8> {
    sample.buffer().unwrap().map_readable().unwrap().to_vec()
}
