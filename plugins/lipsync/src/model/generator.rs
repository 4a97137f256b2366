//! Networks that paint the mouth into a face crop: Wav2Lip and its kin.

use std::ops::Range;
use std::sync::Arc;

use super::bind::GeneratorBinding;
use super::manifest::{GeneratorSpec, Packing};
use super::{Error, duration_ns};
use crate::audio::{MelSpec, Timeline};
use crate::runtime::{RunOptions, Session};

/// A network of kind `generator`, with the batch that is being filled for it.
///
/// The network is always run at one batch size: a short batch is filled up with zeros, so that no
/// accelerator meets a shape it has not seen.
pub struct Generator {
    network: Arc<Inner>,
    batch: Batch,
}

/// What stays the same from batch to batch.
struct Inner {
    session: Arc<Session>,
    mel: MelSpec,
    spec: GeneratorSpec,
    bound: GeneratorBinding,
    /// Frames per run of the network.
    network_batch: usize,
    /// Frames per batch, a multiple of `network_batch`.
    batch: usize,
}

/// Faces with their speech, and the faces that the network makes of them. It can be run in another
/// thread while the next batch is filled.
pub struct Batch {
    network: Arc<Inner>,
    /// Faces added so far.
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
        let network = Arc::new(Inner {
            batch: batch.next_multiple_of(network_batch),
            network_batch,
            session,
            mel,
            spec,
            bound,
        });
        Self {
            batch: Batch::new(network.clone()),
            network,
        }
    }

    /// The spectrogram that it hears.
    pub fn mel(&self) -> &MelSpec {
        &self.network.mel
    }

    /// What its manifest says of it.
    pub fn spec(&self) -> &GeneratorSpec {
        &self.network.spec
    }

    /// The network.
    pub fn session(&self) -> &Arc<Session> {
        &self.network.session
    }

    /// How many frames make a full batch: what was asked for, rounded up to a multiple of what the
    /// network insists on.
    pub fn batch_size(&self) -> usize {
        self.network.batch
    }

    /// How many frames were added to the batch.
    pub fn len(&self) -> usize {
        self.batch.filled
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing more fits in.
    pub fn is_full(&self) -> bool {
        self.len() == self.batch_size()
    }

    /// The columns that a frame at running time `ns` hears.
    pub fn columns(&self, ns: i64) -> Range<i64> {
        let first = self.mel().grid().at(ns);
        first..first + self.spec().columns as i64
    }

    /// The most speech, in nanoseconds, that a frame may wait for beyond its own time, the batch not
    /// counted.
    pub fn look_ahead_ns(&self) -> u64 {
        let mel = self.mel();
        let samples = (self.spec().columns as i64 - 1) * mel.hop as i64 + mel.tail();
        duration_ns(samples, mel)
    }

    /// Adds the frame at running time `ns` to the batch. `crop` is its face, planar
    /// `[3, crop, crop]`, 0 to 1, in the manifest's order of channels. Gives false, and adds nothing,
    /// while the speech is not there yet, when the batch is full, or for a crop of another size.
    #[must_use]
    pub fn add(&mut self, timeline: &Timeline, ns: i64, crop: &[f32]) -> bool {
        let first = self.mel().grid().at(ns);
        self.add_hearing(crop, |columns, window| {
            timeline.window(first, columns, window)
        })
    }

    /// As [`add`](Self::add), for a frame that can't wait for its speech: for `stays` seconds it
    /// hears what came last, then silence. Gives false too before any speech has come.
    #[must_use]
    pub fn add_late(&mut self, timeline: &Timeline, ns: i64, crop: &[f32], stays: f64) -> bool {
        let mel = self.mel();
        let first = mel.grid().at(ns);
        let stays = (stays * f64::from(mel.sample_rate) / mel.hop as f64) as i64;
        self.add_hearing(crop, |columns, window| {
            let until = timeline.available_until();
            if until == i64::MIN {
                return false;
            }
            let last = until.saturating_sub(columns as i64);
            if first.saturating_sub(last) <= stays {
                return timeline.window(first.min(last), columns, window);
            }
            timeline.silence(first, columns, window);
            true
        })
    }

    /// Adds a frame that hears what `hear` writes, if it writes: so many columns.
    fn add_hearing(&mut self, crop: &[f32], hear: impl FnOnce(usize, &mut [f32]) -> bool) -> bool {
        let Inner { mel, spec, .. } = &*self.network;
        let pixels = spec.crop * spec.crop;
        if self.is_full() || crop.len() != 3 * pixels {
            return false;
        }
        let batch = &mut self.batch;
        let size = mel.bands * spec.columns;
        let window = &mut batch.mels[batch.filled * size..][..size];
        if !hear(spec.columns, window) {
            return false;
        }
        let size = spec.packing.channels() * pixels;
        let face = &mut batch.faces[batch.filled * size..][..size];
        match spec.packing {
            Packing::Full => face.copy_from_slice(crop),
            Packing::MaskedThenFull => {
                let (masked, full) = face.split_at_mut(3 * pixels);
                masked.copy_from_slice(crop);
                for channel in masked.chunks_exact_mut(pixels) {
                    channel[spec.first_masked_row() * spec.crop..].fill(0.0);
                }
                full.copy_from_slice(crop);
            }
        }
        batch.filled += 1;
        true
    }

    /// Forgets the frames that were added.
    pub fn clear(&mut self) {
        self.batch.filled = 0;
    }

    /// An empty batch, to [`swap`](Self::swap) with.
    pub fn new_batch(&self) -> Batch {
        Batch::new(self.network.clone())
    }

    /// Puts the frames that were added into `batch`, and goes on filling what was there, from empty.
    pub fn swap(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.batch, batch);
        self.batch.filled = 0;
    }

    /// Runs the network on the frames that were added and begins another batch. Gives the new faces
    /// as [`Batch::painted`] does.
    pub fn run(
        &mut self,
        stop: Option<&RunOptions>,
    ) -> Result<impl ExactSizeIterator<Item = &[f32]>, Error> {
        self.batch.run(stop)?;
        let filled = std::mem::take(&mut self.batch.filled);
        Ok(self.batch.faces_of(filled))
    }

    pub(super) fn warm_up(&mut self, stop: Option<&RunOptions>) -> Result<(), Error> {
        self.batch.filled = 0;
        self.batch.run_network(0, stop)
    }
}

impl Batch {
    fn new(network: Arc<Inner>) -> Self {
        let frames = network.batch;
        let Inner { mel, spec, .. } = &*network;
        let pixels = spec.crop * spec.crop;
        Self {
            filled: 0,
            mels: vec![0.0; frames * mel.bands * spec.columns],
            faces: vec![0.0; frames * spec.packing.channels() * pixels],
            outputs: vec![0.0; frames * 3 * pixels],
            network,
        }
    }

    /// Runs the network on the frames that are in it.
    pub fn run(&mut self, stop: Option<&RunOptions>) -> Result<(), Error> {
        for start in (0..self.filled).step_by(self.network.network_batch) {
            self.run_network(start, stop)?;
        }
        Ok(())
    }

    /// The new faces after a run, in the order in which they were added, each planar
    /// `[3, crop, crop]`, 0 to 1, in the manifest's order of channels.
    pub fn painted(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.faces_of(self.filled)
    }

    fn faces_of(&self, count: usize) -> impl ExactSizeIterator<Item = &[f32]> {
        let size = 3 * self.network.spec.crop * self.network.spec.crop;
        self.outputs.chunks_exact(size).take(count)
    }

    /// Runs the network on the frames from `start` on; those that were not added are zeros.
    fn run_network(&mut self, start: usize, stop: Option<&RunOptions>) -> Result<(), Error> {
        let Inner {
            session,
            mel,
            spec,
            bound,
            network_batch: n,
            ..
        } = &*self.network;
        let n = *n;
        let mel_shape = [n, 1, mel.bands, spec.columns];
        let face_shape = [n, spec.packing.channels(), spec.crop, spec.crop];
        let output_shape = [n, 3, spec.crop, spec.crop];
        let used = (self.filled - start).min(n);
        let mels = part(&mut self.mels, start, mel_shape, used);
        let faces = part(&mut self.faces, start, face_shape, used);
        let outputs = part(&mut self.outputs, start, output_shape, n);

        let mut inputs: Vec<(&str, &[usize], &[f32])> = vec![
            (&bound.mel, &mel_shape, mels),
            (&bound.face, &face_shape, faces),
        ];
        for constant in &bound.constants {
            inputs.push((&constant.name, &constant.shape, &constant.values));
        }
        let found = session.run(&inputs, stop, |found| {
            let (shape, values) = found.get(bound.output).copied().unwrap_or_default();
            if !shape.iter().map(|d| *d as usize).eq(output_shape) {
                return Err(shape.to_vec());
            }
            outputs.copy_from_slice(values);
            Ok(())
        })?;
        found.map_err(|found| Error::Output {
            model: session.path.display().to_string(),
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
