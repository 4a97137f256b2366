//! Where data flows in a pipeline, and where it stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::glib::translate::ToGlibPtr;
use gst::prelude::*;

use super::classify::path_of;
use crate::sync::lock;

/// What a pipeline does to frames and sound behind the elements that are ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Samples of silence that the sound's encoder puts before the sound: libav's AAC one packet. Of
    /// other encoders nothing is known, so nothing is taken away.
    pub priming: u32,
    /// A mixer gives frames at a rate of its own, so they are not those that `lipsync` counted.
    pub makes_own_frames: bool,
}

impl Tail {
    pub fn of(pipeline: &gst::Pipeline) -> Self {
        let mut tail = Self::default();
        for element in pipeline.iterate_recurse().into_iter().flatten() {
            match element.factory().map(|factory| factory.name()).as_deref() {
                Some("avenc_aac") => tail.priming = 1024,
                Some("compositor" | "videorate") => tail.makes_own_frames = true,
                _ => {}
            }
        }
        tail
    }
}

/// Notes every buffer that passes any pad of a pipeline, including pads that come later, but for those of
/// the same moment as the one before.
pub struct Flow {
    seen: Arc<Seen>,
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
}

#[derive(Default)]
struct Seen {
    passed: AtomicU64,
    /// Every pad that is watched, with the number of the last buffer that passed it.
    pads: Mutex<Vec<(gst::glib::WeakRef<gst::Pad>, Arc<AtomicU64>)>>,
}

impl Seen {
    fn watch(self: &Arc<Self>, pad: &gst::Pad) {
        let last = Arc::new(AtomicU64::new(0));
        let mut pads = lock(&self.pads);
        pads.retain(|(pad, _)| pad.upgrade().is_some());
        pads.push((pad.downgrade(), last.clone()));
        drop(pads);
        let seen = self.clone();
        let time = AtomicU64::new(u64::MAX);
        pad.add_probe(
            gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
            move |_, info| {
                // A demuxer that gives the same moment again and again gets nowhere.
                let pts = info.buffer().and_then(|buffer| buffer.pts());
                let is_news = |pts: gst::ClockTime| {
                    time.swap(pts.nseconds(), Ordering::Relaxed) != pts.nseconds()
                };
                if !pts.is_none_or(is_news) {
                    return gst::PadProbeReturn::Ok;
                }
                let number = seen.passed.fetch_add(1, Ordering::Relaxed) + 1;
                last.store(number, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            },
        );
    }
}

impl Flow {
    pub fn watch(pipeline: &gst::Pipeline) -> Self {
        let flow = Self {
            seen: Arc::default(),
            pipeline: pipeline.downgrade(),
        };
        let seen = flow.seen.clone();
        let watch_element = move |element: &gst::Element| {
            if element.is::<gst::Bin>() {
                return;
            }
            for pad in element.src_pads() {
                seen.watch(&pad);
            }
            let seen = seen.clone();
            element.connect_pad_added(move |_, pad| {
                if pad.direction() == gst::PadDirection::Src {
                    seen.watch(pad);
                }
            });
        };
        for element in pipeline.iterate_recurse().into_iter().flatten() {
            watch_element(&element);
        }
        pipeline.connect_deep_element_added(move |_, _, element| watch_element(element));
        flow
    }

    pub fn passed(&self) -> u64 {
        self.seen.passed.load(Ordering::Relaxed)
    }

    /// The pad that the last buffer of all passed.
    pub fn last_pad(&self) -> Option<String> {
        let pads = lock(&self.seen.pads);
        let passed = pads.iter().filter_map(|(pad, last)| {
            let last = last.load(Ordering::Relaxed);
            Some((last, pad.upgrade()?)).filter(|(last, _)| *last > 0)
        });
        let (_, pad) = passed.max_by_key(|(last, _)| *last)?;
        let element = pad.parent_element()?;
        Some(format!("{}.{}", path_of(element.upcast_ref()), pad.name()))
    }

    /// The element that stopped: from the sinks upstream along the pads that wait for data, to the
    /// first element that is busy with what it got, or to the source that gives nothing.
    pub fn culprit(&self) -> Option<String> {
        let pipeline = self.pipeline.upgrade()?;
        let elements = pipeline.iterate_recurse().into_iter().flatten();
        let sinks: Vec<_> = elements
            .filter(|e| !e.is::<gst::Bin>() && e.src_pads().is_empty())
            .collect();
        // A sink that waits for data tells more than one that waits for the other sinks.
        let starved = sinks.iter().find(|sink| waiting_pad(sink).is_some());
        let culprit = upstream_of(starved.or(sinks.first())?.clone());
        Some(path_of(culprit.upcast_ref()))
    }
}

fn upstream_of(sink: gst::Element) -> gst::Element {
    /// No pipeline is this deep, so it must be a circle.
    const DEEPEST: usize = 500;
    let mut element = sink;
    for _ in 0..DEEPEST {
        let Some(next) = waiting_pad(&element)
            .and_then(|pad| peer_of(&pad))
            .and_then(|pad| pad.parent_element())
        else {
            break;
        };
        element = next;
    }
    element
}

/// A sink pad that has no buffer to work on.
fn waiting_pad(element: &gst::Element) -> Option<gst::Pad> {
    element
        .sink_pads()
        .into_iter()
        .find(|pad| !is_in_chain(pad))
}

/// The real pad behind a link, past ghost pads.
fn peer_of(pad: &gst::Pad) -> Option<gst::Pad> {
    let mut peer = pad.peer()?;
    loop {
        peer = match peer.downcast::<gst::GhostPad>() {
            Ok(ghost) => ghost.target()?,
            Err(pad) => match pad.downcast::<gst::ProxyPad>() {
                Ok(proxy) => proxy.internal()?.upcast::<gst::Pad>().peer()?,
                Err(pad) => return Some(pad),
            },
        };
    }
}

/// Whether a thread is inside the pad's chain function: it holds the pad's stream lock meanwhile.
fn is_in_chain(pad: &gst::Pad) -> bool {
    let raw: *mut gst::ffi::GstPad = pad.to_glib_none().0;
    // SAFETY: `pad` keeps the object alive, the lock is initialised for as long as the object lives,
    // and it is given back by the thread that took it. Its address is taken without a reference.
    unsafe {
        let lock = &raw mut (*raw).stream_rec_lock;
        if gst::glib::ffi::g_rec_mutex_trylock(lock) == 0 {
            return true;
        }
        gst::glib::ffi::g_rec_mutex_unlock(lock);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn launch(text: &str) -> gst::Pipeline {
        gst::init().unwrap();
        gst::parse::launch(text).unwrap().downcast().unwrap()
    }

    #[test]
    fn the_element_that_keeps_a_buffer_is_the_culprit() {
        let pipeline = launch(
            "fakesrc ! queue ! identity name=slow sleep-time=3000000 ! queue ! fakesink sync=false",
        );
        let flow = Flow::watch(&pipeline);
        pipeline.set_state(gst::State::Playing).unwrap();
        let begin = Instant::now();
        while flow.passed() == 0 && begin.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(flow.culprit().as_deref(), Some("slow"));
        // The source fills the first queue until that is full.
        assert_eq!(flow.last_pad().as_deref(), Some("fakesrc0.src"));
        pipeline.set_state(gst::State::Null).unwrap();
    }

    #[test]
    fn the_same_moment_again_and_again_is_no_movement() {
        let pipeline = launch("appsrc name=source format=time ! fakesink name=sink sync=false");
        let flow = Flow::watch(&pipeline);
        pipeline.set_state(gst::State::Playing).unwrap();
        let source = pipeline.by_name("source").unwrap();
        let source = source.downcast::<gst_app::AppSrc>().unwrap();
        for time in [
            Some(0),
            Some(0),
            Some(0),
            Some(0),
            Some(1),
            Some(2),
            None,
            None,
        ] {
            let mut buffer = gst::Buffer::with_size(1).unwrap();
            let pts = time.map(gst::ClockTime::from_seconds);
            buffer.get_mut().unwrap().set_pts(pts);
            source.push_buffer(buffer).unwrap();
        }
        source.end_of_stream().unwrap();
        let bus = pipeline.bus().unwrap();
        let end =
            bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &[gst::MessageType::Eos]);
        assert!(end.is_some());
        assert_eq!(
            flow.passed(),
            5,
            "three moments, and two buffers without one"
        );
        pipeline.set_state(gst::State::Null).unwrap();
    }

    #[test]
    fn a_muxer_that_waits_for_one_side_is_not_the_culprit() {
        let pipeline = launch(
            "audiotestsrc ! queue max-size-buffers=2 ! mux. \
             videotestsrc ! identity name=slow sleep-time=3000000 ! queue ! mux. \
             matroskamux name=mux ! fakesink sync=false",
        );
        let flow = Flow::watch(&pipeline);
        pipeline.set_state(gst::State::Playing).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(flow.culprit().as_deref(), Some("slow"));
        pipeline.set_state(gst::State::Null).unwrap();
    }

    #[test]
    fn a_source_that_gives_nothing_is_the_culprit() {
        let pipeline = launch("appsrc name=dry ! queue ! fakesink");
        let flow = Flow::watch(&pipeline);
        pipeline.set_state(gst::State::Playing).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(flow.passed(), 0);
        assert_eq!(flow.culprit().as_deref(), Some("dry"));
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
