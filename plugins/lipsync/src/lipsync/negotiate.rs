//! What passes through besides frames and speech: events and queries.

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoCropMeta, VideoMeta};

use super::category::CAT;
use super::frames::Frames;
use super::imp::LipSync;
use super::progress::Phase;
use super::stream::Resets;
use crate::sync::lock;

impl LipSync {
    pub(super) fn video_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        use gst::EventView;
        match event.view() {
            EventView::Caps(caps) => {
                self.drain();
                let caps = caps.caps_owned();
                gst::debug!(CAT, imp = self, "The video is {caps}");
                let Ok(info) = gst_video::VideoInfo::from_caps(&caps) else {
                    gst::element_imp_error!(
                        self,
                        gst::CoreError::Negotiation,
                        ("lipsync does not work on {caps}. Put videoconvert before it")
                    );
                    return false;
                };
                if let Err(remedy) = crate::video::check(&info) {
                    gst::element_imp_error!(self, gst::StreamError::Format, ("{remedy}"));
                    return false;
                }
                if let Some(remedy) = self.unlinked_speech() {
                    gst::element_imp_error!(self, gst::CoreError::Pad, ("{remedy}"));
                    return false;
                }
                let stream = {
                    let mut state = lock(&self.state);
                    state.video_info = Some(info.clone());
                    state.stream.take()
                };
                if let Some(mut stream) = stream {
                    stream.frames = Some(Frames::new(info));
                    self.declare_latency(&mut stream, &self.settings());
                    self.put_back(stream);
                }
                self.obj().set_src_caps(&caps);
                self.push_tags();
                self.parent_sink_event(pad, event)
            }
            EventView::Segment(segment) => {
                self.drain();
                match segment.segment().downcast_ref::<gst::ClockTime>() {
                    Some(segment) => {
                        gst::debug!(CAT, imp = self, "The video begins {segment:?}");
                        self.obj().update_segment(segment);
                        self.parent_sink_event(pad, event)
                    }
                    None => {
                        gst::element_imp_error!(
                            self,
                            gst::StreamError::Format,
                            ("lipsync needs a segment in time on its video pad")
                        );
                        false
                    }
                }
            }
            // The parent would eat them.
            EventView::Tag(_) => {
                lock(&self.state).tags.push(event);
                self.push_tags();
                true
            }
            EventView::FlushStart(_) => {
                // What is being drawn is of no use any more, and the parent may wait for it.
                self.interrupt();
                self.parent_sink_event(pad, event)
            }
            EventView::FlushStop(_) => {
                self.interrupt.clear();
                self.reset(Resets {
                    video: true,
                    ..Resets::default()
                });
                self.parent_sink_event(pad, event)
            }
            _ => self.parent_sink_event(pad, event),
        }
    }

    /// What is to be done where no speech will come, or on one pad none.
    fn unlinked_speech(&self) -> Option<String> {
        let pads = self.speech_pads();
        let pad = pads.iter().find(|pad| !pad.is_linked())?;
        Some(format!(
            "No speech comes to lipsync. Link its pad `{0}`, as in `... ! audioconvert ! audioresample ! NAME.{0}`",
            pad.name()
        ))
    }

    /// Passes on the tags of the video, once there is a stream that they can be of.
    fn push_tags(&self) {
        let src = self.obj().src_pad().clone();
        if src.sticky_event::<gst::event::StreamStart>(0).is_none() {
            return;
        }
        let waiting = std::mem::take(&mut lock(&self.state).tags);
        for tags in waiting {
            gst::debug!(CAT, imp = self, "Passing on {tags:?}");
            src.push_event(tags);
        }
    }

    pub(super) fn audio_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        use gst::EventView;
        match event.view() {
            // The tags of the speech don't describe the output.
            EventView::Tag(_) => true,
            EventView::FlushStop(_) => {
                self.reset(Resets {
                    speech: vec![pad.clone()],
                    ..Resets::default()
                });
                self.parent_sink_event(pad, event)
            }
            _ => self.parent_sink_event(pad, event),
        }
    }

    /// Events from downstream.
    pub(super) fn downstream_event(&self, event: gst::Event) -> bool {
        use gst::EventView;
        match event.view() {
            // The output is what the video is: whoever makes that has to look anew.
            EventView::Reconfigure(_) => {
                gst::debug!(CAT, imp = self, "Downstream wants to renegotiate");
                self.video.push_event(event)
            }
            // They are about pictures.
            EventView::Qos(_) => self.video.push_event(event),
            EventView::Seek(seek) if seek.get().1.contains(gst::SeekFlags::FLUSH) => {
                self.interrupt();
                let done = self.parent_src_event(event);
                if !done {
                    // No flush will come through to do so.
                    self.interrupt.clear();
                }
                done
            }
            _ => self.parent_src_event(event),
        }
    }

    /// Forgets what came before a flush of all streams.
    pub(super) fn flushed(&self) {
        gst::debug!(CAT, imp = self, "Flushed");
        self.interrupt.clear();
        self.reset(Resets {
            video: true,
            speech: self.speech_pads(),
        });
        if lock(&self.state).stream.is_some() {
            self.counters.set_phase(Phase::Running);
        }
    }

    pub(super) fn video_query(
        &self,
        pad: &gst_base::AggregatorPad,
        query: &mut gst::QueryRef,
    ) -> bool {
        let src = self.obj().src_pad().clone();
        match query.view_mut() {
            gst::QueryViewMut::Caps(caps) => {
                let mut filter = pad.pad_template_caps();
                if let Some(asked) = caps.filter() {
                    filter = asked.intersect_with_mode(&filter, gst::CapsIntersectMode::First);
                }
                let result = src.peer_query_caps(Some(&filter));
                caps.set_result(&result);
                true
            }
            gst::QueryViewMut::Allocation(_) => {
                // Frames go on as they come, so whoever is downstream decides about their memory.
                let answered = src.peer_query(query);
                if let gst::QueryViewMut::Allocation(allocation) = query.view_mut() {
                    self.propose_frames(allocation, answered);
                }
                true
            }
            _ => self.parent_sink_query(pad, query),
        }
    }

    /// Adds the frames that are held here to those that downstream needs, and what this element can
    /// do by itself.
    fn propose_frames(&self, query: &mut gst::query::Allocation, answered: bool) {
        let settings = self.settings();
        let held = lock(&self.state).stream.as_ref().map_or_else(
            || settings.most_frames_held(),
            |stream| Self::frames_held(&settings, stream) + stream.animator.frames_kept(),
        );
        // And the one that is looked at.
        let held = held as u32 + 1;
        let size = query
            .get_owned()
            .0
            .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok())
            .map_or(0, |info| info.size() as u32);
        if query.allocation_pools().next().is_none() {
            query.add_allocation_pool(None::<&gst::BufferPool>, size, held, 0);
        } else {
            let pools: Vec<_> = query.allocation_pools().collect();
            // From the last, because one may go.
            for (index, (pool, size, min, max)) in pools.into_iter().enumerate().rev() {
                let (index, min) = (index as u32, min + held);
                if max == 0 || min <= max {
                    query.set_nth_allocation_pool(index, pool.as_ref(), size, min, max);
                } else {
                    // It would be empty before the first frame goes on.
                    query.set_nth_allocation_pool(index, None::<&gst::BufferPool>, size, min, 0);
                }
            }
        }
        // A frame that is to be cut is cut here, and a decoder's padding is no obstacle. What is
        // downstream need not know either.
        if query.find_allocation_meta::<VideoCropMeta>().is_none() {
            query.add_allocation_meta::<VideoCropMeta>(None);
        }
        if !answered && query.find_allocation_meta::<VideoMeta>().is_none() {
            query.add_allocation_meta::<VideoMeta>(None);
        }
        gst::debug!(CAT, imp = self, "{held} frames are held: {query:?}");
    }

    /// Queries from downstream.
    pub(super) fn downstream_query(&self, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Caps(caps) => {
                let mut filter = self.obj().src_pad().pad_template_caps();
                if let Some(asked) = caps.filter() {
                    filter = asked.intersect_with_mode(&filter, gst::CapsIntersectMode::First);
                }
                let result = self.video.peer_query_caps(Some(&filter));
                caps.set_result(&result);
                true
            }
            // The parent would ask any pad, or answer no; the picture is what is being made.
            gst::QueryViewMut::Position(_)
            | gst::QueryViewMut::Duration(_)
            | gst::QueryViewMut::Seeking(_)
            | gst::QueryViewMut::Segment(_) => self.video.peer_query(query),
            gst::QueryViewMut::Latency(_) => {
                let answered = self.parent_src_query(query);
                if answered && let gst::QueryViewMut::Latency(latency) = query.view_mut() {
                    self.answer_latency(latency);
                }
                answered
            }
            _ => self.parent_src_query(query),
        }
    }
}
