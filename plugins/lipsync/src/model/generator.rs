//! Networks that paint the mouth into a face crop: Wav2Lip and its kin.

use std::ops::Range;
use std::sync::Arc;

use super::check::GeneratorBinding;
use super::manifest::{GeneratorSpec, Packing};
use super::{Error, duration_ns};
use crate::audio::{MelSpec, Timeline};
use crate::runtime::{RunOptions, Session};

/// What a frame hears whose columns reach past the end of the speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PastEnd {
    /// Silence.
    #[default]
    Silence,
    /// The last columns there are, as Wav2Lip does.
    LastColumns,
}

/// A network of kind `generator`, with the batch that is being filled for it.
///
/// The network is always run at one batch size: a short batch is filled up with zeros, so that no
/// accelerator meets a shape it has not seen.
pub struct Generator {
    session: Arc<Session>,
    mel: MelSpec,
    spec: GeneratorSpec,
    bound: GeneratorBinding,
    pub past_end: PastEnd,
    /// Frames per run of the network.
    network_batch: usize,
    /// Frames per batch, a multiple of `network_batch`.
    batch: usize,
    /// Frames added so far.
    filled: usize,
    /// `[batch, 1, bands, columns]`
    mels: Vec<f32>,
    /// `[batch, 6 or 3, crop, crop]`
    faces: Vec<f32>,
    /// `[batch, 3, crop, crop]`
    outputs: Vec<f32>,
}

impl Generator {
    pub(super) fn new(
        session: Arc<Session>,
        mel: MelSpec,
        spec: GeneratorSpec,
        bound: GeneratorBinding,
        batch: usize,
    ) -> Self {
        let batch = batch.max(1);
        let network_batch = bound.batch.unwrap_or(batch);
        let batch = batch.next_multiple_of(network_batch);
        let pixels = spec.crop * spec.crop;
        Self {
            past_end: PastEnd::default(),
            network_batch,
            batch,
            filled: 0,
            mels: vec![0.0; batch * mel.bands * spec.columns],
            faces: vec![0.0; batch * spec.packing.channels() * pixels],
            outputs: vec![0.0; batch * 3 * pixels],
            session,
            mel,
            spec,
            bound,
        }
    }

    pub fn mel(&self) -> &MelSpec {
        &self.mel
    }

    pub fn spec(&self) -> &GeneratorSpec {
        &self.spec
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// How many frames make a full batch: what was asked for, rounded up to a multiple of what the
    /// network insists on.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// How many frames were added since the last run.
    pub fn len(&self) -> usize {
        self.filled
    }

    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub fn is_full(&self) -> bool {
        self.filled == self.batch
    }

    /// The columns that a frame at running time `ns` hears.
    pub fn columns(&self, ns: i64) -> Range<i64> {
        let first = self.mel.column_at(ns);
        first..first + self.spec.columns as i64
    }

    /// The most speech, in nanoseconds, that a frame may wait for beyond its own time, the batch not
    /// counted.
    pub fn look_ahead_ns(&self) -> u64 {
        let samples = (self.spec.columns as i64 - 1) * self.mel.hop as i64 + self.mel.tail();
        duration_ns(samples, &self.mel)
    }

    /// Adds the frame at running time `ns` to the batch. `crop` is its face, planar
    /// `[3, crop, crop]`, 0 to 1, in the manifest's order of channels. Gives false, and adds nothing,
    /// while the speech is not there yet, when the batch is full, or for a crop of another size.
    #[must_use]
    pub fn add(&mut self, timeline: &Timeline, ns: i64, crop: &[f32]) -> bool {
        let pixels = self.spec.crop * self.spec.crop;
        if self.is_full() || crop.len() != 3 * pixels {
            return false;
        }
        let mut first = self.mel.column_at(ns);
        if self.past_end == PastEnd::LastColumns
            && let Some(end) = timeline.last_column_end()
        {
            first = first.min(end - self.spec.columns as i64);
        }
        let size = self.mel.bands * self.spec.columns;
        let mel = &mut self.mels[self.filled * size..][..size];
        if !timeline.window(first, self.spec.columns, mel) {
            return false;
        }
        let size = self.spec.packing.channels() * pixels;
        let face = &mut self.faces[self.filled * size..][..size];
        match self.spec.packing {
            Packing::Full => face.copy_from_slice(crop),
            Packing::MaskedThenFull => {
                let (masked, full) = face.split_at_mut(3 * pixels);
                masked.copy_from_slice(crop);
                for channel in masked.chunks_exact_mut(pixels) {
                    channel[self.spec.first_masked_row() * self.spec.crop..].fill(0.0);
                }
                full.copy_from_slice(crop);
            }
        }
        self.filled += 1;
        true
    }

    /// Forgets the frames that were added.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Runs the network on the frames that were added and begins another batch. Gives the new faces
    /// in the same order, each planar `[3, crop, crop]`, 0 to 1, in the manifest's order of channels.
    pub fn run(
        &mut self,
        stop: Option<&RunOptions>,
    ) -> Result<impl ExactSizeIterator<Item = &[f32]>, Error> {
        let filled = std::mem::take(&mut self.filled);
        for start in (0..filled).step_by(self.network_batch) {
            self.run_network(start, filled, stop)?;
        }
        let size = 3 * self.spec.crop * self.spec.crop;
        Ok(self.outputs.chunks_exact(size).take(filled))
    }

    pub(super) fn warm_up(&mut self, stop: Option<&RunOptions>) -> Result<(), Error> {
        self.filled = 0;
        self.run_network(0, 0, stop)
    }

    /// Runs the network on the frames from `start` on; those from `filled` on are zeros.
    fn run_network(
        &mut self,
        start: usize,
        filled: usize,
        stop: Option<&RunOptions>,
    ) -> Result<(), Error> {
        let (n, crop, columns) = (self.network_batch, self.spec.crop, self.spec.columns);
        let mel_shape = [n, 1, self.mel.bands, columns];
        let face_shape = [n, self.spec.packing.channels(), crop, crop];
        let output_shape = [n, 3, crop, crop];
        let used = (filled - start).min(n);
        let mels = part(&mut self.mels, start, mel_shape, used);
        let faces = part(&mut self.faces, start, face_shape, used);
        let outputs = part(&mut self.outputs, start, output_shape, n);

        let bound = &self.bound;
        let mut inputs: Vec<(&str, &[usize], &[f32])> = vec![
            (&bound.mel, &mel_shape, mels),
            (&bound.face, &face_shape, faces),
        ];
        for constant in &bound.constants {
            inputs.push((&constant.name, &constant.shape, &constant.values));
        }
        let found = self.session.run(&inputs, stop, |found| {
            let (shape, values) = found.get(bound.output).copied().unwrap_or_default();
            if !shape.iter().map(|d| *d as usize).eq(output_shape) {
                return Err(shape.to_vec());
            }
            outputs.copy_from_slice(values);
            Ok(())
        })?;
        found.map_err(|found| Error::Output {
            model: self.session.path.display().to_string(),
            found,
            expected: output_shape.to_vec(),
        })
    }
}

/// The tensor of `shape` whose first frame is `start`, with zeros from its frame `used` on.
fn part(all: &mut [f32], start: usize, shape: [usize; 4], used: usize) -> &mut [f32] {
    let frame = shape[1] * shape[2] * shape[3];
    let part = &mut all[start * frame..][..shape[0] * frame];
    part[used * frame..].fill(0.0);
    part
}
