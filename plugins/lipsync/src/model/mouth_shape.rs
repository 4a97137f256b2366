//! Networks that turn speech into the parameters of a mouth.

use std::ops::Range;

use super::bind::MouthShapeBinding;
use super::mouth_spec::{FrontSpec, MouthShapeSpec};
use super::params::{JAW_OF_OPENING, MouthParams, Parameter};
use super::{Error, duration_ns};
use crate::audio::{Grid, MelSpec, Timeline};
use crate::runtime::{Interrupt, Session};

/// Enough for the two blocks that one frame may touch and the frames of a batch before it.
const CACHED_BLOCKS: usize = 4;

/// A network of kind `mouth-shape`.
///
/// It is evaluated on a fixed grid: block `j` is the rows `[j * block, (j + 1) * block)` and sees
/// the rows of its contexts more to each side. So the result depends on the speech alone, never on
/// how it was cut or on which frames were asked for. A row is a mel column or, with a front end, what
/// that makes of some of them.
///
/// The network gives as many rows as it was given, of which those of the block are used, or the
/// block's alone, as one whose convolutions do not pad.
pub struct MouthShape {
    session: Session,
    front: Option<(FrontSpec, Session)>,
    /// Mel columns to a row.
    stride: usize,
    rows: Grid,
    mel: MelSpec,
    spec: MouthShapeSpec,
    bound: MouthShapeBinding,
    /// What is heard of a window: `[1, bands, stride * (before + block + after)]`.
    input: Vec<f32>,
    cache: [Block; CACHED_BLOCKS],
    /// The timeline's generation that the cache was computed under; none has 0.
    generation: u64,
}

#[derive(Clone, Default)]
struct Block {
    index: Option<i64>,
    /// What the network says of its rows, `[parameters, block]`.
    values: Vec<f32>,
}

impl MouthShape {
    pub(super) fn new(
        session: Session,
        front: Option<(FrontSpec, Session)>,
        mel: MelSpec,
        spec: MouthShapeSpec,
        bound: MouthShapeBinding,
    ) -> Self {
        let block = Block {
            index: None,
            values: vec![0.0; spec.parameters.len() * spec.block],
        };
        let stride = front.as_ref().map_or(1, |(front, _)| front.columns);
        Self {
            front,
            stride,
            rows: mel.rows(stride),
            input: vec![0.0; mel.bands * stride * spec.length()],
            cache: std::array::from_fn(|_| block.clone()),
            generation: 0,
            session,
            mel,
            spec,
            bound,
        }
    }

    /// The same network for another speech: the session is one, what was made of the speech is not.
    pub fn for_another_speech(&self) -> Self {
        Self::new(
            self.session.clone(),
            self.front.clone(),
            self.mel.clone(),
            self.spec.clone(),
            self.bound.clone(),
        )
    }

    /// The spectrogram that it hears.
    pub fn mel(&self) -> &MelSpec {
        &self.mel
    }

    /// What its manifest says of it.
    pub fn spec(&self) -> &MouthShapeSpec {
        &self.spec
    }

    /// The session of the front end.
    pub fn front(&self) -> Option<&Session> {
        self.front.as_ref().map(|(_, session)| session)
    }

    /// The network.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The mel columns that [`params_at`](Self::params_at) needs for running time `ns`.
    pub fn columns(&self, ns: i64) -> Range<i64> {
        let (first, second, _) = self.neighbours(ns);
        let (before, after) = (self.spec.before() as i64, self.spec.after() as i64);
        let (block, stride) = (self.spec.block as i64, self.stride as i64);
        let start = self.block_of(first) * block - before;
        let end = (self.block_of(second) + 1) * block + after;
        start * stride..end * stride
    }

    /// The most speech, in nanoseconds, that a frame may wait for beyond its own time: its row is the
    /// last of a block, the next one opens another, and of the last row it is the last column.
    pub fn look_ahead_ns(&self) -> u64 {
        let rows = self.spec.block + self.spec.after();
        let columns = (rows * self.stride + self.stride - 1) as i64;
        duration_ns(columns * self.mel.hop as i64 + self.mel.tail(), &self.mel)
    }

    /// The mouth at running time `ns`, interpolated between the two rows around it. None while
    /// the speech that it needs is not there yet.
    pub fn params_at(
        &mut self,
        timeline: &Timeline,
        ns: i64,
        stop: Option<&Interrupt>,
    ) -> Result<Option<MouthParams>, Error> {
        if self.columns(ns).end > timeline.available_until() {
            return Ok(None);
        }
        let (first, second, t) = self.neighbours(ns);
        for row in [first, second] {
            self.evaluate(timeline, row, stop)?;
        }
        Ok(Some(MouthParams::from_fn(|parameter| {
            self.value(parameter, first, second, t)
        })))
    }

    /// A parameter `t` of the way from one row to another, both of which were evaluated.
    fn value(&self, parameter: Parameter, first: i64, second: i64, t: f32) -> f32 {
        let channels = &self.spec.parameters;
        let Some(channel) = channels.iter().position(|c| *c == parameter) else {
            return match parameter {
                Parameter::Jaw => JAW_OF_OPENING * self.value(Parameter::Opening, first, second, t),
                _ => 0.0,
            };
        };
        let [a, b] = [first, second].map(|row| {
            let within = row.rem_euclid(self.spec.block as i64) as usize;
            self.cache[self.slot_of(row)].values[channel * self.spec.block + within]
        });
        a + t * (b - a)
    }

    pub(super) fn warm_up(&mut self, stop: Option<&Interrupt>) -> Result<(), Error> {
        // What the values are does not matter.
        self.input.fill(0.0);
        self.cache[0].index = None;
        self.run(0, stop)
    }

    /// The rows before and behind `ns`, and how far it is from the first to the second.
    fn neighbours(&self, ns: i64) -> (i64, i64, f32) {
        let first = self.rows.at(ns);
        let t = (self.rows.position(ns) - first as f64).clamp(0.0, 1.0) as f32;
        // On a row, the next one need not be known.
        (first, if t < 1e-3 { first } else { first + 1 }, t)
    }

    fn block_of(&self, row: i64) -> i64 {
        row.div_euclid(self.spec.block as i64)
    }

    fn slot_of(&self, row: i64) -> usize {
        self.block_of(row).rem_euclid(CACHED_BLOCKS as i64) as usize
    }

    /// Sees to it that the block of `row` is in the cache.
    fn evaluate(
        &mut self,
        timeline: &Timeline,
        row: i64,
        stop: Option<&Interrupt>,
    ) -> Result<(), Error> {
        if self.generation != timeline.generation() {
            self.generation = timeline.generation();
            self.cache.iter_mut().for_each(|block| block.index = None);
        }
        let block = self.block_of(row);
        let slot = self.slot_of(row);
        if self.cache[slot].index != Some(block) {
            let first = block * self.spec.block as i64 - self.spec.before() as i64;
            let (first, count) = (first * self.stride as i64, self.spec.length() * self.stride);
            self.cache[slot].index = None;
            if !timeline.window(first, count, &mut self.input) {
                self.cache[slot].values.fill(0.0);
                return Ok(());
            }
            self.run(slot, stop)?;
            self.cache[slot].index = Some(block);
        }
        Ok(())
    }

    /// Runs the network on `input` and puts what it says of the block into a slot of the cache.
    fn run(&mut self, slot: usize, stop: Option<&Interrupt>) -> Result<(), Error> {
        let kept = &mut self.cache[slot].values;
        let (spec, bound) = (&self.spec, &self.bound);
        let length = spec.length();
        let mel = [1, self.mel.bands, self.stride * length];
        let mut mouth = |shape: &[usize], values: &[f32]| {
            let input = (bound.mouth.input.as_str(), shape, values);
            let read = |outputs: &[(&[i64], &[f32])]| {
                keep(spec, outputs.get(bound.mouth.output).copied(), kept)
            };
            let found = self.session.run(&[input], stop, read)?;
            found.map_err(|found| Error::Output {
                model: self.session.path.display().to_string(),
                found,
                expected: vec![1, spec.parameters.len(), length],
            })
        };
        let (Some((front, session)), Some(ends)) = (&self.front, &bound.front) else {
            return mouth(&mel, &self.input);
        };
        let features = [1, length, front.features];
        let input = (ends.input.as_str(), &mel[..], &self.input[..]);
        // The mouth's network reads the features where the front end left them.
        session.run(&[input], stop, |outputs| {
            let (shape, values) = outputs.get(ends.output).copied().unwrap_or_default();
            if !is(shape, features) {
                return Err(Error::Output {
                    model: session.path.display().to_string(),
                    found: shape.to_vec(),
                    expected: features.to_vec(),
                });
            }
            mouth(&features, values)
        })?
    }
}

/// Keeps what an output says of the block; an error is the shape that was found.
fn keep(
    spec: &MouthShapeSpec,
    output: Option<(&[i64], &[f32])>,
    kept: &mut [f32],
) -> Result<(), Vec<i64>> {
    let (shape, values) = output.unwrap_or_default();
    let (parameters, length) = (spec.parameters.len(), spec.length());
    let (given, skipped) = if is(shape, [1, parameters, length]) {
        (length, spec.before())
    } else if is(shape, [1, parameters, spec.block]) {
        (spec.block, 0)
    } else {
        return Err(shape.to_vec());
    };
    let channels = values.chunks_exact(given);
    for (to, from) in kept.chunks_exact_mut(spec.block).zip(channels) {
        to.copy_from_slice(&from[skipped..][..spec.block]);
    }
    Ok(())
}

fn is(shape: &[i64], expected: [usize; 3]) -> bool {
    shape.iter().map(|d| *d as usize).eq(expected)
}
