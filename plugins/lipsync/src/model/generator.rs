//! Networks that paint the mouth into a face crop: Wav2Lip and its kin.

use std::ops::Range;
use std::sync::{Arc, Mutex, Weak};

use super::bind::GeneratorBinding;
use super::manifest::{GeneratorSpec, Packing};
use super::scheduler::{Gathered, Member, Scheduler, Sizes};
use super::{Error, duration_ns};
use crate::audio::{MelSpec, Timeline};
use crate::runtime::{Interrupt, Provider, Session, Sharing};
use crate::sync::lock;

/// A network of kind `generator`, with the batch that is being filled for it.
///
/// The network is always run at one batch size: a short batch is filled up with zeros, so that no
/// accelerator meets a shape it has not seen. Where streams share its runs (see `scheduler`), each
/// gives single faces, and on the CPU only those that are there are run.
pub struct Generator {
    inner: Arc<Inner>,
    batch: Batch,
}

/// What stays the same from batch to batch.
struct Inner {
    network: Arc<Network>,
    /// Frames per run of the network.
    network_batch: usize,
    /// Frames per batch, a multiple of `network_batch` unless others share its runs.
    batch: usize,
    /// Where others share its runs.
    member: Option<Member>,
}

/// What runs.
struct Network {
    session: Session,
    mel: MelSpec,
    spec: GeneratorSpec,
    bound: GeneratorBinding,
}

/// Faces with their speech, and the faces that the network makes of them. It can be run in another
/// thread while the next batch is filled.
pub struct Batch {
    inner: Arc<Inner>,
    /// `[batch, 1, bands, columns]`, `[batch, 6 or 3, crop, crop]` and `[batch, 3, crop, crop]`.
    frames: Gathered,
}

impl Generator {
    pub(super) fn new(
        session: Session,
        mel: MelSpec,
        spec: GeneratorSpec,
        bound: GeneratorBinding,
        batch: usize,
        sharing: Sharing,
    ) -> Self {
        let batch = batch.max(1);
        let network_batch = bound.batch.unwrap_or(batch);
        let batch = batch.next_multiple_of(network_batch);
        let network = Arc::new(Network {
            session,
            mel,
            spec,
            bound,
        });
        let member = match sharing {
            Sharing::Instance(_) => network.shared(batch, network_batch),
            _ => None,
        };
        let inner = Arc::new(Inner {
            batch: if member.is_some() { 1 } else { batch },
            network_batch,
            network,
            member,
        });
        Self {
            batch: Batch::new(inner.clone()),
            inner,
        }
    }

    /// The spectrogram that it hears.
    pub fn mel(&self) -> &MelSpec {
        &self.inner.network.mel
    }

    /// What its manifest says of it.
    pub fn spec(&self) -> &GeneratorSpec {
        &self.inner.network.spec
    }

    /// The network.
    pub fn session(&self) -> &Session {
        &self.inner.network.session
    }

    /// How many frames make a full batch: what was asked for, rounded up to a multiple of what the
    /// network insists on.
    pub fn batch_size(&self) -> usize {
        self.inner.batch
    }

    /// How many frames were added to the batch.
    pub fn len(&self) -> usize {
        self.batch.frames.filled
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
        let Network { mel, spec, .. } = &*self.inner.network;
        let pixels = spec.crop * spec.crop;
        if self.is_full() || crop.len() != 3 * pixels {
            return false;
        }
        let batch = &mut self.batch.frames;
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
        self.batch.frames.filled = 0;
    }

    /// An empty batch, to [`swap`](Self::swap) with.
    pub fn new_batch(&self) -> Batch {
        Batch::new(self.inner.clone())
    }

    /// Puts the frames that were added into `batch`, and goes on filling what was there, from empty.
    pub fn swap(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.batch, batch);
        self.batch.frames.filled = 0;
    }

    /// Runs the network on the frames that were added and begins another batch. Gives the new faces
    /// as [`Batch::painted`] does.
    pub fn run(
        &mut self,
        stop: Option<&Interrupt>,
    ) -> Result<impl ExactSizeIterator<Item = &[f32]>, Error> {
        self.batch.run(stop)?;
        let filled = std::mem::take(&mut self.batch.frames.filled);
        Ok(self.batch.faces_of(filled))
    }

    pub(super) fn warm_up(&mut self, stop: Option<&Interrupt>) -> Result<(), Error> {
        let Inner {
            network,
            network_batch,
            ..
        } = &*self.inner;
        let mut nothing = Gathered::new(*network_batch, network.sizes());
        network.run(&mut nothing, 0, *network_batch, stop)
    }
}

impl Batch {
    fn new(inner: Arc<Inner>) -> Self {
        Self {
            frames: Gathered::new(inner.batch, inner.network.sizes()),
            inner,
        }
    }

    /// Runs the network on the frames that are in it; `stop` ends that, and leaves what others share.
    pub fn run(&mut self, stop: Option<&Interrupt>) -> Result<(), Error> {
        let frames = &mut self.frames;
        let Inner {
            network,
            network_batch,
            member,
            ..
        } = &*self.inner;
        if let Some(member) = member {
            let Gathered {
                filled,
                mels,
                faces,
                outputs,
            } = frames;
            return match *filled {
                0 => Ok(()),
                filled => member.paint(filled, mels, faces, outputs, stop),
            };
        }
        network.run_all(frames, *network_batch, stop)
    }

    /// The new faces after a run, in the order in which they were added, each planar
    /// `[3, crop, crop]`, 0 to 1, in the manifest's order of channels.
    pub fn painted(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.faces_of(self.frames.filled)
    }

    fn faces_of(&self, count: usize) -> impl ExactSizeIterator<Item = &[f32]> {
        let size = self.inner.network.sizes().output;
        self.frames.outputs.chunks_exact(size).take(count)
    }
}

impl Network {
    /// Values for each frame.
    fn sizes(&self) -> Sizes {
        let pixels = self.spec.crop * self.spec.crop;
        Sizes {
            mel: self.mel.bands * self.spec.columns,
            face: self.spec.packing.channels() * pixels,
            output: 3 * pixels,
        }
    }

    /// The scheduler of all who share the session and take it for the same; batches of `batch` frames.
    /// None where no thread can be had for it: each runs by itself then.
    fn shared(self: &Arc<Self>, batch: usize, network_batch: usize) -> Option<Member> {
        static SCHEDULERS: Mutex<Vec<Shared>> = Mutex::new(Vec::new());
        let mut schedulers = lock(&SCHEDULERS);
        schedulers.retain(|shared| shared.scheduler.strong_count() > 0);
        let is_same = |shared: &&Shared| {
            let network = &shared.network;
            shared.batch == batch
                && network.session.is_same(&self.session)
                && (&network.mel, &network.spec, &network.bound)
                    == (&self.mel, &self.spec, &self.bound)
        };
        let found = schedulers.iter().find(is_same);
        if let Some(scheduler) = found.and_then(|shared| shared.scheduler.upgrade()) {
            return Some(scheduler.join());
        }
        let network = self.clone();
        // A processor gains nothing by running on nothing, where the network lets it be.
        let runs_what_is_there =
            network.session.provider == Provider::Cpu && network.bound.batch.is_none();
        let run = move |frames: &mut Gathered, stop: &Interrupt| {
            if runs_what_is_there {
                return network.run(frames, 0, frames.filled, Some(stop));
            }
            network.run_all(frames, network_batch, Some(stop))
        };
        let scheduler = Scheduler::start(batch, self.sizes(), Box::new(run)).ok()?;
        let scheduler = Arc::new(scheduler);
        schedulers.push(Shared {
            network: self.clone(),
            batch,
            scheduler: Arc::downgrade(&scheduler),
        });
        Some(scheduler.join())
    }

    /// Runs on all that were added, `n` frames at once.
    fn run_all(
        &self,
        frames: &mut Gathered,
        n: usize,
        stop: Option<&Interrupt>,
    ) -> Result<(), Error> {
        let mut starts = (0..frames.filled).step_by(n);
        starts.try_for_each(|start| self.run(frames, start, n, stop))
    }

    /// Runs on `n` frames from `start` on; those that were not added are zeros.
    fn run(
        &self,
        frames: &mut Gathered,
        start: usize,
        n: usize,
        stop: Option<&Interrupt>,
    ) -> Result<(), Error> {
        let Self {
            session,
            mel,
            spec,
            bound,
        } = self;
        let mel_shape = [n, 1, mel.bands, spec.columns];
        let face_shape = [n, spec.packing.channels(), spec.crop, spec.crop];
        let output_shape = [n, 3, spec.crop, spec.crop];
        let used = (frames.filled - start).min(n);
        let mels = part(&mut frames.mels, start, mel_shape, used);
        let faces = part(&mut frames.faces, start, face_shape, used);
        let outputs = part(&mut frames.outputs, start, output_shape, n);

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

/// A scheduler and what it runs.
struct Shared {
    network: Arc<Network>,
    batch: usize,
    scheduler: Weak<Scheduler>,
}

/// The tensor of `shape` whose first frame is `start`, with zeros from its frame `used` on.
fn part(all: &mut [f32], start: usize, shape: [usize; 4], used: usize) -> &mut [f32] {
    let frame = shape[1] * shape[2] * shape[3];
    let part = &mut all[start * frame..][..shape[0] * frame];
    part[used * frame..].fill(0.0);
    part
}
