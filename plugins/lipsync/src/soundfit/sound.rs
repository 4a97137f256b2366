//! The sound's side of the element: it waits for the picture.

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_audio::AudioInfo;

use super::imp::{CAT, Sound, SoundFit, State};
use super::track::{Placement, Track};
use crate::sync::{lock, wait_while};

/// Waiting sound goes on when there is room for this much of it, or for all.
const SMALLEST_PIECE: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// Silence comes in pieces of at most this length.
const LARGEST_PIECE: gst::ClockTime = gst::ClockTime::from_mseconds(500);

impl SoundFit {
    pub(super) fn sound_event(&self, event: gst::Event) -> bool {
        use gst::EventView;

        match event.view() {
            EventView::Caps(e) => match AudioInfo::from_caps(e.caps()) {
                Ok(info) => self.update(|state| {
                    state.sound.track = state.sound.track.map(|t| t.at_rate(info.rate()));
                    state.sound.info = Some(info);
                }),
                Err(e) => {
                    gst::error!(CAT, imp = self, "sound that can't be cut: {e}");
                    return false;
                }
            },
            EventView::Segment(e) => {
                let Some(segment) = e.segment().downcast_ref::<gst::ClockTime>().cloned() else {
                    return self.refuse_segment("sound");
                };
                // Downstream gets a segment of our own, that starts with the picture.
                self.update(|state| {
                    state.sound.segment = segment;
                    state.sound.discont = true;
                });
                return true;
            }
            EventView::Gap(e) => {
                let (start, duration) = e.get();
                return self.sound_gap(start, duration).is_ok();
            }
            EventView::Eos(_) => {
                let filled = self.fill_to_end();
                gst::debug!(CAT, imp = self, "filled to the picture's end: {filled:?}");
                return filled != Err(gst::FlowError::Flushing) && self.finish(event);
            }
            EventView::FlushStart(_) => self.update(|state| state.sound.flushing = true),
            EventView::FlushStop(_) => self.update(|state| {
                state.sound = Sound {
                    info: state.sound.info.take(),
                    ..Sound::default()
                };
            }),
            _ if event.is_serialized() && event.type_() > gst::EventType::Segment => {
                let mut state = lock(&self.state);
                if state.sound.track.is_none() {
                    state.sound.pending.push(event);
                    return true;
                }
            }
            _ => (),
        }
        self.sound_src.push_event(event)
    }

    pub(super) fn sound_query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            // The sound will be as long as the picture, not as what came in.
            gst::QueryViewMut::Duration(_) => self.video_sink.peer_query(query),
            gst::QueryViewMut::Latency(q) => {
                let mut picture = gst::query::Latency::new();
                let mut sound = gst::query::Latency::new();
                if !self.video_sink.peer_query(&mut picture)
                    || !self.sound_sink.peer_query(&mut sound)
                {
                    return false;
                }
                let (a, b) = (picture.result(), sound.result());
                let max = match (a.2, b.2) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                let min = a.1.max(b.1);
                q.set(a.0 || b.0, min, max.map(|max| max.max(min)));
                true
            }
            _ => gst::Pad::query_default(pad, Some(&*self.obj()), query),
        }
    }

    pub(super) fn sound_chain(
        &self,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (info, segment) = {
            let state = lock(&self.state);
            let info = state.sound.info.clone();
            let info = info.ok_or(gst::FlowError::NotNegotiated)?;
            (info, state.sound.segment.clone())
        };
        let exact = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let Some(buffer) =
            gst_audio::audio_buffer_clip(buffer, segment.upcast_ref(), info.rate(), info.bpf())
        else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let samples = (buffer.size() / info.bpf() as usize) as u64;
        let start = buffer
            .pts()
            .and_then(|pts| segment.to_running_time_full(pts));
        let skip = self.place(start, exact)?;
        let mut from = skip.min(samples);
        if from < samples {
            self.update(|state| state.sound.discont = false);
        }
        while from < samples {
            let n = self.wait_for_room(samples - from)?;
            if n == 0 {
                return self.cut();
            }
            let bpf = info.bpf() as usize;
            let bytes = from as usize * bpf..(from + n) as usize * bpf;
            let copy = gst::BufferCopyFlags::FLAGS
                | gst::BufferCopyFlags::META
                | gst::BufferCopyFlags::MEMORY;
            let piece = buffer
                .copy_region(copy, bytes)
                .map_err(|_| gst::FlowError::Error)?;
            self.push_sound(piece, n)?;
            from += n;
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn sound_gap(
        &self,
        start: gst::ClockTime,
        duration: Option<gst::ClockTime>,
    ) -> Result<(), gst::FlowError> {
        let (ready, running_time) = {
            let state = lock(&self.state);
            let end = start + duration.unwrap_or(gst::ClockTime::ZERO);
            let running_time = state.sound.segment.to_running_time_full(end);
            (state.sound.info.is_some(), running_time)
        };
        // A gap is as good as sound that starts at its end.
        if ready {
            self.place(running_time, false)?;
        }
        Ok(())
    }

    /// Fills with silence up to where sound belongs that starts at this running time; the result is
    /// how many samples of it come too late.
    fn place(
        &self,
        start: Option<gst::Signed<gst::ClockTime>>,
        exact: bool,
    ) -> Result<u64, gst::FlowError> {
        let track = self.start_track()?;
        let Some(start) = start else {
            return Ok(0);
        };
        let discont = lock(&self.state).sound.discont;
        match track.place(start, exact || discont) {
            Placement::Append => Ok(0),
            Placement::Skip(samples) => Ok(samples),
            Placement::Silence(mut samples) => {
                while samples > 0 {
                    let n = self.wait_for_room(samples)?;
                    if n == 0 {
                        self.cut()?;
                    }
                    samples -= self.push_silence(n)?;
                }
                Ok(0)
            }
        }
    }

    /// The sound has ended: silence until the picture does, too.
    fn fill_to_end(&self) -> Result<(), gst::FlowError> {
        {
            let state = lock(&self.state);
            if state.sound.info.is_none() || state.sound.finished {
                return Ok(());
            }
        }
        self.start_track()?;
        loop {
            let n = self.wait_for_room(u64::MAX)?;
            if n == 0 {
                return Ok(());
            }
            self.push_silence(n)?;
        }
    }

    /// Waits for the picture's first frame, if need be, and starts our segment there.
    fn start_track(&self) -> Result<Track, gst::FlowError> {
        let (track, segment, pending) = {
            let state = lock(&self.state);
            let mut state = wait_while(&self.changed, state, |s| {
                !s.is_flushing() && s.picture.origin().is_none() && !s.picture.has_ended()
            });
            if state.is_flushing() {
                return Err(gst::FlowError::Flushing);
            }
            if let Some(track) = state.sound.track {
                return Ok(track);
            }
            let rate = state.sound.info.as_ref().map(AudioInfo::rate);
            let rate = rate.ok_or(gst::FlowError::NotNegotiated)?;
            let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
            let mut start = gst::ClockTime::ZERO;
            if let Some(origin) = state.picture.origin() {
                start = origin.running_time;
                segment.set_start(start);
                segment.set_position(start);
                segment.set_base(start);
                segment.set_time(origin.stream_time);
            }
            let track = Track::new(rate, start);
            state.sound.track = Some(track);
            (track, segment, std::mem::take(&mut state.sound.pending))
        };
        self.sound_src
            .push_event(gst::event::Segment::new(&segment));
        for event in pending {
            self.sound_src.push_event(event);
        }
        Ok(track)
    }

    /// Waits until the picture has covered some of the `wanted` samples; none will do where it has
    /// ended.
    fn wait_for_room(&self, wanted: u64) -> Result<u64, gst::FlowError> {
        let state = lock(&self.state);
        let room = |state: &State| {
            let track = state.sound.track?;
            let room = track.room(state.picture.covered());
            let least = wanted.min(track.samples(SMALLEST_PIECE).max(1));
            (room >= least || state.picture.has_ended()).then_some(room.min(wanted))
        };
        let state = wait_while(&self.changed, state, |s| {
            !s.is_flushing() && room(s).is_none()
        });
        if state.is_flushing() {
            return Err(gst::FlowError::Flushing);
        }
        Ok(room(&state).unwrap_or(0))
    }

    fn push_silence(&self, samples: u64) -> Result<u64, gst::FlowError> {
        let (info, track) = {
            let state = lock(&self.state);
            let info = state.sound.info.clone();
            (info, state.sound.track)
        };
        let (Some(info), Some(track)) = (info, track) else {
            return Err(gst::FlowError::NotNegotiated);
        };
        let samples = samples.min(track.samples(LARGEST_PIECE).max(1));
        let mut silence = vec![0; samples as usize * info.bpf() as usize];
        info.format_info().fill_silence(&mut silence);
        let mut buffer = gst::Buffer::from_mut_slice(silence);
        buffer.make_mut().set_flags(gst::BufferFlags::GAP);
        self.push_sound(buffer, samples)?;
        Ok(samples)
    }

    /// Gives the buffer its place on the track and sends it.
    fn push_sound(&self, mut buffer: gst::Buffer, samples: u64) -> Result<(), gst::FlowError> {
        let (start, end, first) = self.update(|state| {
            let Some(track) = &mut state.sound.track else {
                return Err(gst::FlowError::Flushing);
            };
            let start = track.now();
            let first = track.is_at_start();
            track.advance(samples);
            Ok((start, track.now(), first))
        })?;
        let out = buffer.make_mut();
        out.set_pts(start);
        out.set_duration(end - start);
        if first {
            out.set_flags(gst::BufferFlags::DISCONT);
        } else {
            out.unset_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::RESYNC);
        }
        self.sound_src.push(buffer)?;
        Ok(())
    }

    /// The picture has ended, and so has the sound.
    fn cut(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.finish(gst::event::Eos::new());
        Err(gst::FlowError::Eos)
    }

    fn finish(&self, eos: gst::Event) -> bool {
        if self.update(|state| std::mem::replace(&mut state.sound.finished, true)) {
            return true;
        }
        self.sound_src.push_event(eos)
    }
}
