//! What streams beside each other cost, live ones and endless ones: `cargo xtask bench` and
//! `cargo xtask soak --live` run it.
//!
//! usage: streams together NUMBER SECONDS FACE SPEECH [PROPERTY=VALUE...]
//!        streams stalled SECONDS
//!        streams turns FACE
//!        streams live SECONDS FACE SPEECH
//!
//! `together` plays so many pipelines at once, `lipsync` with those properties, and prints for each a line of
//! the times at which its frames came, in microseconds since 1970, so that processes can be compared, and
//! behind them `processor` and the seconds that the processor was busy with it. `stalled` prints the share of a core that a live pipeline takes whose camera gives nothing.
//! `turns` prints how many frames are decoded for a face that is played forth and back, for each frame that it
//! has. `live` plays by the clock, and prints how many frames came, how many of them without their
//! speech, and how many differ from those that come without a clock.

mod live;

use std::error::Error;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gst::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Longer than anything here may take to begin or to end.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(120);

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    gst::init()?;
    gstlipsync::plugin_register_static()?;
    match words[..] {
        [
            "together",
            number,
            seconds,
            face,
            speech,
            ref properties @ ..,
        ] => {
            let (number, seconds) = (number.parse()?, seconds.parse()?);
            for times in together(number, seconds, face, speech, &properties.join(" "))? {
                let times: Vec<_> = times.iter().map(u128::to_string).collect();
                println!("{}", times.join(" "));
            }
            println!("processor {:.2}", whole_processor_time()?);
        }
        ["stalled", seconds] => println!("{:.4}", stalled(seconds.parse()?)?),
        ["turns", face] => println!("{:.4}", turns(face)?),
        ["live", seconds, face, speech] => {
            println!("{}", live::compare(seconds.parse()?, face, speech)?);
        }
        _ => return Err("see the head of examples/streams/main.rs".into()),
    }
    Ok(())
}

fn uri(file: &str) -> Result<String> {
    let path = std::path::absolute(file)?;
    Ok(gst::glib::filename_to_uri(path, None)?.to_string())
}

fn launched(description: &str) -> Result<gst::Pipeline> {
    let pipeline = gst::parse::launch(description)?;
    pipeline.downcast().map_err(|_| "no pipeline".into())
}

fn named(pipeline: &gst::Pipeline, name: &str) -> Result<gst::Element> {
    Ok(pipeline.by_name(name).ok_or("an element is missing")?)
}

/// Waits for the end.
fn finish(pipeline: &gst::Pipeline, limit: gst::ClockTime) -> Result<()> {
    let bus = pipeline.bus().ok_or("no bus")?;
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(limit, &ends).ok_or("it hangs")?;
    if let gst::MessageView::Error(error) = message.view() {
        return Err(format!("{} ({:?})", error.error(), error.debug()).into());
    }
    Ok(())
}

/// When the frames of each came, in microseconds since 1970.
fn together(
    number: u32,
    seconds: u64,
    face: &str,
    speech: &str,
    more: &str,
) -> Result<Vec<Vec<u128>>> {
    let frames = seconds * 25;
    let description = format!(
        "facesource uri={} loop-mode=ping-pong num-buffers={frames} ! facetrack ! queue \
         ! lipsync name=l {more} ! fakesink name=s sync=false signal-handoffs=true \
         uridecodebin uri={} ! audioconvert ! audioresample ! queue ! l.audio",
        uri(face)?,
        uri(speech)?
    );
    let (shown, times) = mpsc::channel();
    let mut pipelines = Vec::new();
    for index in 0..number as usize {
        let pipeline = launched(&description)?;
        let shown = shown.clone();
        named(&pipeline, "s")?.connect("handoff", false, move |_| {
            let _ = shown.send((index, SystemTime::now()));
            None
        });
        pipelines.push(pipeline);
    }
    drop(shown);
    for pipeline in &pipelines {
        pipeline.set_state(gst::State::Playing)?;
    }
    for pipeline in &pipelines {
        finish(pipeline, PATIENCE * 10)?;
    }
    for pipeline in &pipelines {
        pipeline.set_state(gst::State::Null)?;
    }
    drop(pipelines);
    let mut all = vec![Vec::new(); number as usize];
    for (index, time) in times {
        all[index].push(time.duration_since(UNIX_EPOCH)?.as_micros());
    }
    Ok(all)
}

/// The share of a core, once the camera has stalled.
fn stalled(seconds: u64) -> Result<f64> {
    let pipeline = launched(
        "appsrc name=v is-live=true format=time ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 \
         ! facetrack ! queue ! lipsync name=l ! fakesink name=s \
         audiotestsrc is-live=true ! audio/x-raw,rate=16000 ! queue ! l.audio",
    )?;
    let camera = named(&pipeline, "v")?;
    let camera = camera
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| "no appsrc")?;
    pipeline.set_state(gst::State::Playing)?;
    let frame = gst::ClockTime::from_mseconds(40);
    for number in 0..25 {
        let mut buffer = gst::Buffer::from_mut_slice(vec![128; 640 * 360 * 3 / 2]);
        buffer.make_mut().set_pts(frame * number);
        buffer.make_mut().set_duration(frame);
        camera.push_buffer(buffer)?;
    }
    // Until the model is there, and what was pushed is through.
    std::thread::sleep(Duration::from_secs(5));
    let before = processor_time()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let took = processor_time()? - before;
    pipeline.set_state(gst::State::Null)?;
    Ok(took.as_secs_f64() / seconds as f64)
}

/// Seconds that the processor was busy with this process, threads that are gone included.
fn whole_processor_time() -> Result<f64> {
    // Ticks of a hundredth of a second; the name before them may hold anything but a closing bracket.
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<u64> = ticks
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}

/// Processor time of the threads of this process.
fn processor_time() -> Result<Duration> {
    let nanoseconds: u64 = std::fs::read_dir("/proc/self/task")?
        .map(|task| {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().unwrap_or_default();
            first.parse::<u64>().map_err(std::io::Error::other)
        })
        .sum::<std::io::Result<u64>>()?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Frames decoded forth and back, for each frame of the file.
fn turns(face: &str) -> Result<f64> {
    let once = played(face, "loop-mode=none", None)?.0;
    let (shown, decoded) = played(face, "loop-mode=ping-pong", Some(2 * (once - 1)))?;
    if shown != 2 * (once - 1) {
        return Err(format!("{shown} frames came of {once}").into());
    }
    Ok(decoded as f64 / once as f64)
}

/// Frames that came, and frames that were decoded for it.
fn played(face: &str, settings: &str, frames: Option<u64>) -> Result<(u64, u64)> {
    let limit = frames.map_or(String::new(), |frames| format!("num-buffers={frames}"));
    let pipeline = launched(&format!(
        "facesource name=f uri={} {settings} {limit} ! fakesink sync=false",
        uri(face)?
    ))?;
    pipeline.set_state(gst::State::Playing)?;
    finish(&pipeline, PATIENCE * 10)?;
    let stats = named(&pipeline, "f")?.property::<gst::Structure>("stats");
    pipeline.set_state(gst::State::Null)?;
    Ok((stats.get("frames")?, stats.get("decoded")?))
}
