//! Where data flows in a pipeline, and where it stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::glib::translate::ToGlibPtr;
use gst::prelude::*;

use super::classify::path_of;

/// Counts every buffer that passes any pad of a pipeline, including pads that come later.
pub struct Flow {
    passed: Arc<AtomicU64>,
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    /// The pad that data passed last.
    last: Arc<Mutex<Option<gst::glib::WeakRef<gst::Pad>>>>,
}

impl Flow {
    pub fn watch(pipeline: &gst::Pipeline) -> Self {
        let flow = Self {
            passed: Arc::default(),
            pipeline: pipeline.downgrade(),
            last: Arc::default(),
        };
        let (passed, last) = (flow.passed.clone(), flow.last.clone());
        let watch_element = move |element: &gst::Element| {
            if element.is::<gst::Bin>() {
                return;
            }
            for pad in element.src_pads() {
                watch_pad(&pad, &passed, &last);
            }
            let (passed, last) = (passed.clone(), last.clone());
            element.connect_pad_added(move |_, pad| {
                if pad.direction() == gst::PadDirection::Src {
                    watch_pad(pad, &passed, &last);
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

    /// The element that data went into and did not come out of: the most downstream one that is
    /// still busy with a buffer; where none is, the one that got the last buffer; where nothing ever
    /// flowed, a source.
    pub fn culprit(&self) -> Option<String> {
        let pipeline = self.pipeline.upgrade()?;
        let elements: Vec<_> = pipeline.iterate_recurse().into_iter().flatten().collect();
        let is_leaf = |element: &&gst::Element| !element.is::<gst::Bin>();
        let busy = elements.iter().filter(is_leaf).find(|element| {
            element.sink_pads().iter().any(is_in_chain)
                && !element
                    .src_pads()
                    .iter()
                    .any(|pad| peer_of(pad).is_some_and(|peer| is_in_chain(&peer)))
        });
        let receiver = || {
            let last = self
                .last
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .clone()?;
            peer_of(&last.upgrade()?)?.parent_element()
        };
        let source = || {
            elements
                .iter()
                .filter(is_leaf)
                .find(|e| e.sink_pads().is_empty())
        };
        busy.cloned()
            .or_else(receiver)
            .or_else(|| source().cloned())
            .map(|element| path_of(element.upcast_ref()))
    }
}

fn watch_pad(
    pad: &gst::Pad,
    passed: &Arc<AtomicU64>,
    last: &Arc<Mutex<Option<gst::glib::WeakRef<gst::Pad>>>>,
) {
    let (passed, last) = (passed.clone(), last.clone());
    pad.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |pad, _| {
            passed.fetch_add(1, Ordering::Relaxed);
            *last.lock().unwrap_or_else(|e| e.into_inner()) = Some(pad.downgrade());
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
