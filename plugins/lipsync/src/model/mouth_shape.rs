//! Networks that turn speech into the parameters of a mouth.

use std::ops::Range;
use std::sync::Arc;

use super::check::MouthShapeBinding;
use super::manifest::MouthShapeSpec;
use super::params::{JAW_OF_OPENING, MouthParams, Parameter};
use super::{Error, duration_ns};
use crate::audio::{MelSpec, Timeline};
use crate::runtime::{RunOptions, Session};

/// Enough for the two blocks that one frame may touch and the frames of a batch before it.
const CACHED_BLOCKS: usize = 4;

/// A network of kind `mouth-shape`.
///
/// It is evaluated on a fixed grid: block `j` is the columns `[j * block, (j + 1) * block)` and sees
/// the columns of its contexts more to each side. So the result depends on the speech alone, never on
/// how it was cut or on which frames were asked for.
///
/// The network gives as many columns as it was given, of which those of the block are used, or the
/// block's alone, as one whose convolutions do not pad.
pub struct MouthShape {
    session: Arc<Session>,
    mel: MelSpec,
    spec: MouthShapeSpec,
    bound: MouthShapeBinding,
    /// The network's input, `[1, bands, before + block + after]`.
    input: Vec<f32>,
    cache: [Block; CACHED_BLOCKS],
    /// The timeline's generation that the cache was computed under; none has 0.
    generation: u64,
}

#[derive(Clone, Default)]
struct Block {
    index: Option<i64>,
    /// What the network says of its columns, `[parameters, block]`.
    values: Vec<f32>,
}

impl MouthShape {
    pub(super) fn new(
        session: Arc<Session>,
        mel: MelSpec,
        spec: MouthShapeSpec,
        bound: MouthShapeBinding,
    ) -> Self {
        let block = Block {
            index: None,
            values: vec![0.0; spec.parameters.len() * spec.block],
        };
        Self {
            input: vec![0.0; mel.bands * spec.length()],
            cache: std::array::from_fn(|_| block.clone()),
            generation: 0,
            session,
            mel,
            spec,
            bound,
        }
    }

    pub fn mel(&self) -> &MelSpec {
        &self.mel
    }

    pub fn spec(&self) -> &MouthShapeSpec {
        &self.spec
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The columns that [`params_at`](Self::params_at) needs for running time `ns`.
    pub fn columns(&self, ns: i64) -> Range<i64> {
        let (first, second, _) = self.neighbours(ns);
        let (before, after) = (self.spec.before() as i64, self.spec.after() as i64);
        let block = self.spec.block as i64;
        self.block_of(first) * block - before..(self.block_of(second) + 1) * block + after
    }

    /// The most speech, in nanoseconds, that a frame may wait for beyond its own time: its column is
    /// the last of a block, the next one opens another.
    pub fn look_ahead_ns(&self) -> u64 {
        let columns = (self.spec.block + self.spec.after()) as i64;
        duration_ns(columns * self.mel.hop as i64 + self.mel.tail(), &self.mel)
    }

    /// The mouth at running time `ns`, interpolated between the two columns around it. None while
    /// the speech that it needs is not there yet.
    pub fn params_at(
        &mut self,
        timeline: &Timeline,
        ns: i64,
        stop: Option<&RunOptions>,
    ) -> Result<Option<MouthParams>, Error> {
        if self.columns(ns).end > timeline.available_until() {
            return Ok(None);
        }
        let (first, second, t) = self.neighbours(ns);
        for column in [first, second] {
            self.evaluate(timeline, column, stop)?;
        }
        Ok(Some(MouthParams::from_fn(|parameter| {
            self.value(parameter, first, second, t)
        })))
    }

    /// A parameter `t` of the way from one column to another, both of which were evaluated.
    fn value(&self, parameter: Parameter, first: i64, second: i64, t: f32) -> f32 {
        let channels = &self.spec.parameters;
        let Some(channel) = channels.iter().position(|c| *c == parameter) else {
            return match parameter {
                Parameter::Jaw => JAW_OF_OPENING * self.value(Parameter::Opening, first, second, t),
                _ => 0.0,
            };
        };
        let [a, b] = [first, second].map(|column| {
            let within = column.rem_euclid(self.spec.block as i64) as usize;
            self.cache[self.slot_of(column)].values[channel * self.spec.block + within]
        });
        a + t * (b - a)
    }

    pub(super) fn warm_up(&mut self, stop: Option<&RunOptions>) -> Result<(), Error> {
        self.input.fill(self.mel.silence());
        self.cache[0].index = None;
        self.run(0, stop)
    }

    /// The columns before and behind `ns`, and how far it is from the first to the second.
    fn neighbours(&self, ns: i64) -> (i64, i64, f32) {
        let first = self.mel.column_at(ns);
        let t = (self.mel.column_position(ns) - first as f64).clamp(0.0, 1.0) as f32;
        // On a column, the next one need not be known.
        (first, if t < 1e-3 { first } else { first + 1 }, t)
    }

    fn block_of(&self, column: i64) -> i64 {
        column.div_euclid(self.spec.block as i64)
    }

    fn slot_of(&self, column: i64) -> usize {
        self.block_of(column).rem_euclid(CACHED_BLOCKS as i64) as usize
    }

    /// Sees to it that the block of `column` is in the cache.
    fn evaluate(
        &mut self,
        timeline: &Timeline,
        column: i64,
        stop: Option<&RunOptions>,
    ) -> Result<(), Error> {
        if self.generation != timeline.generation() {
            self.generation = timeline.generation();
            self.cache.iter_mut().for_each(|block| block.index = None);
        }
        let block = self.block_of(column);
        let slot = self.slot_of(column);
        if self.cache[slot].index != Some(block) {
            let first = block * self.spec.block as i64 - self.spec.before() as i64;
            self.cache[slot].index = None;
            if !timeline.window(first, self.spec.length(), &mut self.input) {
                self.cache[slot].values.fill(0.0);
                return Ok(());
            }
            self.run(slot, stop)?;
            self.cache[slot].index = Some(block);
        }
        Ok(())
    }

    /// Runs the network on `input` and puts what it says of the block into a slot of the cache.
    fn run(&mut self, slot: usize, stop: Option<&RunOptions>) -> Result<(), Error> {
        let length = self.spec.length();
        let expected = [1, self.spec.parameters.len(), length];
        let kept = &mut self.cache[slot].values;
        let (spec, output) = (&self.spec, self.bound.output);
        let input = (
            self.bound.input.as_str(),
            &[1, self.mel.bands, length][..],
            &self.input[..],
        );
        let found = self.session.run(&[input], stop, |outputs| {
            let (shape, values) = outputs.get(output).copied().unwrap_or_default();
            let is = |expected: [usize; 3]| shape.iter().map(|d| *d as usize).eq(expected);
            let given = if is(expected) {
                length
            } else if is([1, spec.parameters.len(), spec.block]) {
                spec.block
            } else {
                return Err(shape.to_vec());
            };
            let skipped = if given == length { spec.before() } else { 0 };
            let channels = values.chunks_exact(given);
            for (to, from) in kept.chunks_exact_mut(spec.block).zip(channels) {
                to.copy_from_slice(&from[skipped..][..spec.block]);
            }
            Ok(())
        })?;
        found.map_err(|found| Error::Output {
            model: self.session.path.display().to_string(),
            found,
            expected: expected.to_vec(),
        })
    }
}
