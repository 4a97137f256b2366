//! The work of the streaming thread: frames wait for their speech, are drawn, and go on.

use std::sync::atomic::Ordering::Relaxed;

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::category::CAT;
use super::held::{Held, Release};
use super::imp::LipSync;
use super::progress::Phase;
use super::settings::{EndMode, Settings};
use super::stream::Stream;
use super::voice::Voice;
use crate::fault::Fault;
use crate::sync::lock;
use crate::{facetrack, roi, video};

/// What to do after one step.
enum Step {
    Again,
    NeedData,
}

impl LipSync {
    /// Takes the streams as far as they go. At a time-out, one frame more than that.
    pub(super) fn advance(
        &self,
        stream: &mut Stream,
        timeout: bool,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let before = self.counters.frames.load(Relaxed);
        while let Step::Again = self.step(stream)? {
            // The parent drops what is pushed while the pad goes down, and says that all is well.
            if self.interrupt.is_raised() {
                return Err(gst::FlowError::Flushing);
            }
        }
        if timeout && self.counters.frames.load(Relaxed) == before {
            self.let_go(stream)?;
        }
        Err(gst_base::AGGREGATOR_FLOW_NEED_DATA)
    }

    /// When the frame that goes on next must do so at the latest, without the latency: no frame, no
    /// deadline.
    pub(super) fn deadline(&self) -> Option<gst::ClockTime> {
        let waiting = lock(&self.state).oldest;
        waiting.or_else(|| {
            let head = self.video.peek_buffer()?;
            let segment = self.video.segment();
            let segment = segment.downcast_ref::<gst::ClockTime>();
            let time = segment.and_then(|segment| segment.to_running_time(head.pts()?));
            time.or_else(|| self.obj().simple_get_next_time())
        })
    }

    /// The time of a frame has come: the one that waits longest goes on. A frame that waits for
    /// its speech alone goes on without.
    fn let_go(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        let settings = self.settings();
        if let Some(oldest) = stream.oldest() {
            gst::log!(CAT, imp = self, "Time is up for the frame at {oldest}");
            return self.draw_and_push(stream, &settings, 0, Release::Oldest);
        }
        let Some(buffer) = self.video.pop_buffer() else {
            return Ok(());
        };
        let time = stream.running_time(&buffer, &self.video.segment());
        gst::debug!(
            CAT,
            imp = self,
            "The frame at {time:?} goes on without its speech, which has come up to {:?} ns",
            stream.voices.iter().map(Voice::until).collect::<Vec<_>>()
        );
        self.counters.frames_without_speech.fetch_add(1, Relaxed);
        self.take_frame(stream, &settings, buffer, time)?;
        self.push_full_batch(stream, &settings)
    }

    /// Takes one frame further, if it and its speech are there.
    fn step(&self, stream: &mut Stream) -> Result<Step, gst::FlowError> {
        if self.reset_as_told(stream) {
            // What was peeked at before the flush stays at the heads of the pads up to the end of this call.
            return Ok(Step::NeedData);
        }
        let Some(buffer) = self.video.peek_buffer() else {
            if !self.video.is_eos() {
                return Ok(Step::NeedData);
            }
            return self.finish(stream, &self.settings());
        };
        self.renew_voices(stream)?;
        if buffer.flags().contains(gst::BufferFlags::GAP) && buffer.size() == 0 {
            self.video.drop_buffer();
            self.push_all(stream, &self.settings())?;
            self.push_gap(&buffer);
            return Ok(Step::Again);
        }
        let segment = self.video.segment();
        self.sync_properties(stream, &buffer, &segment);
        let settings = self.settings();
        self.declare_latency(stream, &settings);
        let time = stream.running_time(&buffer, &segment);
        if let Some(time) = time {
            if !self.collect_speech(stream, &settings, time) {
                return Ok(Step::NeedData);
            }
            if is_past_speech(stream, &settings, time) {
                self.push_all(stream, &settings)?;
                return Err(gst::FlowError::Eos);
            }
        }
        drop(buffer);
        let Some(buffer) = self.video.pop_buffer() else {
            return Ok(Step::NeedData);
        };
        self.take_frame(stream, &settings, buffer, time)?;
        self.push_full_batch(stream, &settings)?;
        Ok(Step::Again)
    }

    /// Sets the properties that somebody controls to what they are at the frame.
    fn sync_properties(&self, stream: &Stream, buffer: &gst::BufferRef, segment: &gst::Segment) {
        let segment = segment.downcast_ref::<gst::ClockTime>();
        let Some(time) = segment.and_then(|segment| segment.to_stream_time(buffer.pts()?)) else {
            return;
        };
        let element = self.obj();
        let pads = stream.voices.iter().map(|voice| voice.pad.upcast_ref());
        for object in pads.chain([element.upcast_ref::<gst::Object>()]) {
            if let Err(error) = object.sync_values(time) {
                gst::warning!(CAT, obj = object, "Controlled properties stay: {error}");
            }
        }
    }

    fn push_gap(&self, buffer: &gst::BufferRef) {
        let Some(pts) = buffer.pts() else {
            return;
        };
        gst::log!(CAT, imp = self, "A gap in the video at {pts}");
        let gap = gst::event::Gap::builder(pts).duration(buffer.duration());
        let segment = self.video.sticky_event::<gst::event::Segment>(0);
        let gap = match segment {
            Some(segment) => gap.seqnum(segment.seqnum()),
            None => gap,
        };
        self.obj()
            .set_position(pts + buffer.duration().unwrap_or_default());
        self.obj().src_pad().push_event(gap.build());
    }

    /// Looks at a frame and has it wait to be drawn.
    fn take_frame(
        &self,
        stream: &mut Stream,
        settings: &Settings,
        mut buffer: gst::Buffer,
        time: Option<gst::ClockTime>,
    ) -> Result<(), gst::FlowError> {
        if let Err(remedy) = video::check_rows(&buffer) {
            gst::element_imp_error!(self, gst::StreamError::Format, ("{remedy}"));
            return Err(gst::FlowError::Error);
        }
        if let Some(time) = time {
            stream.note_frame(time, buffer.duration());
        }
        let passthrough = settings.passthrough || time.is_none();
        let mut faces = Vec::new();
        if let Some(frames) = &mut stream.frames {
            if !passthrough {
                faces = roi::faces_in(&buffer, frames.info());
                if faces.iter().all(|face| face.mesh.is_none()) && roi::are_points_lost(&buffer) {
                    self.warn_of_lost_points();
                }
            }
            let cut = frames.cut(&buffer).map_err(|error| {
                gst::error!(
                    CAT,
                    imp = self,
                    "The frame at {time:?} can't be cut: {error}"
                );
                gst::FlowError::Error
            })?;
            if let Some((cut, [x, y])) = cut {
                buffer = cut;
                roi::shift(&mut faces, -(x as f32), -(y as f32));
            }
        }
        let wanted = self.wanted(stream, settings, time, &buffer, &faces);
        if passthrough {
            gst::log!(CAT, imp = self, "The frame at {time:?} stays as it is");
        } else if wanted.iter().all(|wanted| wanted.faces.is_empty()) {
            self.warn_without_a_tracker(stream, faces.is_empty());
            gst::log!(
                CAT,
                imp = self,
                "The frame at {time:?} shows no face to draw on: {} faces, {} with points",
                faces.len(),
                faces.iter().filter(|face| face.mesh.is_some()).count()
            );
        }
        stream.held.push_back(Held {
            buffer,
            time,
            passthrough,
            faces,
            wanted,
        });
        Ok(())
    }

    /// Once, that an element between lost where the faces are.
    fn warn_of_lost_points(&self) {
        if self.has_warned.swap(true, Relaxed) {
            return;
        }
        gst::element_imp_warning!(
            self,
            gst::StreamError::Format,
            ("An element between facetrack and lipsync turns or cuts the picture in a way that the faces do not follow: no mouth is drawn. Put facetrack behind it"),
            ["The frame has points of faces, but no region of interest that fits them"]
        );
    }

    /// Once, that nothing before this element looks for faces.
    fn warn_without_a_tracker(&self, stream: &mut Stream, is_faceless: bool) {
        // Another detector may have found some.
        if !is_faceless || stream.has_tracker.is_some() {
            return;
        }
        if !self.has_tracker(stream) {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                ("Nothing before lipsync looks for faces: no mouth is drawn. Put facetrack before it")
            );
        }
    }

    /// Whether a `facetrack` is before this element.
    pub(super) fn has_tracker(&self, stream: &mut Stream) -> bool {
        *stream.has_tracker.get_or_insert_with(|| {
            let question = gst::Structure::new_empty(facetrack::QUERY);
            self.video
                .peer_query(&mut gst::query::Custom::new(question))
        })
    }

    /// The video has ended: gives what is held, and holds the last frame while there is speech if
    /// the speech decides.
    fn finish(&self, stream: &mut Stream, settings: &Settings) -> Result<Step, gst::FlowError> {
        self.counters.set_phase(Phase::Draining);
        if settings.end_mode != EndMode::Speech {
            self.push_all(stream, settings)?;
            return Err(gst::FlowError::Eos);
        }
        let next = stream.held.back().and_then(|last| {
            Some((
                last.buffer.clone(),
                stream.video_end?,
                stream.frame_duration?,
            ))
        });
        let Some((last, time, duration)) = next.filter(|(_, _, d)| !d.is_zero()) else {
            self.push_all(stream, settings)?;
            return Err(gst::FlowError::Eos);
        };
        if !self.collect_speech(stream, settings, time) {
            return Ok(Step::NeedData);
        }
        if is_past_speech(stream, settings, time) {
            self.push_all(stream, settings)?;
            return Err(gst::FlowError::Eos);
        }
        // Memory of its own: the original is about to be drawn into.
        let mut copy = match &mut stream.frames {
            Some(frames) => frames.copy(&last),
            None => last.copy_deep(),
        }
        .map_err(|_| gst::FlowError::Error)?;
        {
            let copy = copy.make_mut();
            copy.set_pts(last.pts().map(|pts| pts + duration));
            copy.set_dts(gst::ClockTime::NONE);
            copy.set_duration(duration);
        }
        drop(last);
        self.take_frame(stream, settings, copy, Some(time))?;
        self.push_full_batch(stream, settings)?;
        Ok(Step::Again)
    }

    /// Draws and pushes what is held once it is a batch, but the frame that may have to be repeated.
    fn push_full_batch(
        &self,
        stream: &mut Stream,
        settings: &Settings,
    ) -> Result<(), gst::FlowError> {
        if stream.held.len() <= Self::frames_held(settings, stream) {
            return Ok(());
        }
        let keep = usize::from(settings.end_mode == EndMode::Speech);
        self.draw_and_push(stream, settings, keep, Release::Ready)
    }

    /// Draws and pushes all that is held.
    fn push_all(&self, stream: &mut Stream, settings: &Settings) -> Result<(), gst::FlowError> {
        self.draw_and_push(stream, settings, 0, Release::All)
    }

    fn draw_and_push(
        &self,
        stream: &mut Stream,
        settings: &Settings,
        keep: usize,
        release: Release,
    ) -> Result<(), gst::FlowError> {
        let drawn_before_wait = release == Release::Oldest && stream.animator.oldest().is_some();
        let count = match drawn_before_wait {
            true => 0,
            false => stream.held.len().saturating_sub(keep),
        };
        let mut batch: Vec<Held> = stream.held.drain(..count).collect();
        if let Some(frames) = &mut stream.frames {
            let voices = &mut stream.voices;
            let drawn =
                stream
                    .animator
                    .draw(batch, release, voices, frames, settings, &self.counters);
            batch = drawn.map_err(|error| {
                if self.interrupt.is_raised() {
                    gst::debug!(CAT, imp = self, "Interrupted: {error}");
                    return gst::FlowError::Flushing;
                }
                Fault::from(error).post(&*self.obj());
                gst::FlowError::Error
            })?;
        }
        for Held { buffer, time, .. } in batch {
            self.push(stream, buffer, time)?;
        }
        Ok(())
    }

    fn push(
        &self,
        stream: &Stream,
        buffer: gst::Buffer,
        time: Option<gst::ClockTime>,
    ) -> Result<(), gst::FlowError> {
        let duration = buffer.duration().or(stream.frame_duration);
        let duration = duration.unwrap_or_default();
        if let Some(time) = time {
            let end = time + duration;
            self.counters.position.store(end.nseconds(), Relaxed);
        }
        if let Some(pts) = buffer.pts() {
            self.obj().set_position(pts + duration);
        }
        gst::trace!(CAT, imp = self, "The frame at {time:?} goes on");
        self.obj().finish_buffer(buffer)?;
        self.counters.frames.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Gives what is held before the stream changes its nature.
    pub(super) fn drain(&self) {
        let Some(mut stream) = lock(&self.state).stream.take() else {
            return;
        };
        let result = self.push_all(&mut stream, &self.settings());
        self.put_back(stream);
        if let Err(error) = result {
            gst::debug!(CAT, imp = self, "Draining gave {error:?}");
        }
    }
}

fn is_past_speech(stream: &Stream, settings: &Settings, time: gst::ClockTime) -> bool {
    settings.end_mode != EndMode::Video
        && stream
            .speech_end()
            .is_some_and(|end| time.nseconds() as i64 >= end)
}
