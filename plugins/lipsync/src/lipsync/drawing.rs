//! The loaded model at work: speech in, mouths out.

use super::progress::Counters;
use super::settings::Settings;
use super::stream::Held;
use crate::audio::MelSpec;
use crate::audio::Timeline;
use crate::runtime;
use std::path::Path;

pub enum LoadError {
    Runtime(runtime::Error),
}
impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let LoadError::Runtime(e) = self;
        e.fmt(f)
    }
}
impl LoadError {
    pub fn kind(&self) -> &'static str {
        "model-missing"
    }
    pub fn path(&self) -> Option<&Path> {
        None
    }
}
pub struct Engine {
    timeline: Timeline,
}
impl Engine {
    pub fn load(s: &Settings) -> Result<Self, LoadError> {
        if let Some(p) = &s.model_file {
            return Err(LoadError::Runtime(runtime::Error::ModelMissing(p.clone())));
        }
        Ok(Self {
            timeline: Timeline::new(&MelSpec::default()),
        })
    }
    pub fn provider(&self) -> runtime::Provider {
        runtime::Provider::Cpu
    }
    pub fn batch_size(&self) -> usize {
        1
    }
    pub fn lookahead(&self) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(325)
    }
    pub fn push_speech(&mut self, position: Option<i64>, bytes: &[u8]) {
        let v: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
            .collect();
        let p = position.or(self.timeline.end_position()).unwrap_or(0);
        self.timeline.push(p, &v);
    }
    pub fn speech_gap(&mut self, end: i64) {
        let p = self.timeline.end_position().unwrap_or(0);
        if end > p {
            self.timeline.push_gap(p, (end - p) as u64);
        }
    }
    pub fn finish_speech(&mut self) {
        self.timeline.finish()
    }
    pub fn has_speech_for(&self, t: i64) -> bool {
        self.timeline.available_until() > self.timeline.spec().column_at(t) + 16 + 8
    }
    pub fn speech_until(&self) -> i64 {
        self.timeline.end_position().map_or(0, |p| p * 62_500)
    }
    pub fn reset_speech(&mut self) {
        self.timeline.reset()
    }
    pub fn reset_video(&mut self) {}
    pub fn draw(
        &mut self,
        _b: &mut [Held],
        _i: &gst_video::VideoInfo,
        _s: &Settings,
        _c: &Counters,
    ) -> Result<(), runtime::Error> {
        Ok(())
    }
}
