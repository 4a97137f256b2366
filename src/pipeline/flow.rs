//! Where data flows in a pipeline, and where it stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gst::glib::translate::ToGlibPtr;
use gst::prelude::*;

use super::classify::path_of;

/// Counts every buffer that passes any pad of a pipeline, including pads that come later.
pub struct Flow {
    passed: Arc<AtomicU64>,
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
}

impl Flow {
    pub fn watch(pipeline: &gst::Pipeline) -> Self {
        let flow = Self {
            passed: Arc::default(),
            pipeline: pipeline.downgrade(),
        };
        let passed = flow.passed.clone();
        let watch_element = move |element: &gst::Element| {
            if element.is::<gst::Bin>() {
                return;
            }
            for pad in element.src_pads() {
                watch_pad(&pad, &passed);
            }
            let passed = passed.clone();
            element.connect_pad_added(move |_, pad| {
                if pad.direction() == gst::PadDirection::Src {
                    watch_pad(pad, &passed);
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
        self.passed.load(Ordering::Relaxed)
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

fn watch_pad(pad: &gst::Pad, passed: &Arc<AtomicU64>) {
    let passed = passed.clone();
    pad.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, _| {
            passed.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        },
    );
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
