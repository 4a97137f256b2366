//! Sessions of the process. A network that is small is had by one element alone, so that pipelines
//! beside each other need not wait for each other; one that is not is shared by all that ask for the
//! same content, provider and options, whatever the file is called. What nobody has used for a minute is
//! freed, and of what nobody uses no more than four are kept meanwhile.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::session::builder::SessionBuilder;
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::cache::{Cache, Shared};
use super::content::Content;
use super::provider::{Provider, pick, register};
use super::turn::Turns;
use super::{Error, Interrupt, environment};
use crate::sync::lock;

/// How a session is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Where the network runs.
    pub provider: Provider,
    /// Index of the accelerator.
    pub device: u32,
    /// Threads within one operation; 0 lets ONNX Runtime choose.
    pub threads: u32,
    /// Whether others may run it too.
    pub sharing: Sharing,
}

/// Who runs a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// All who ask for the same, one after the other: for what is large, or runs on an accelerator.
    #[default]
    Shared,
    /// The one who asked.
    Own,
    /// Those who name the same instance, whose frames also share the runs of a generator.
    Instance(u32),
}

impl Sharing {
    /// The instance of that name, which is the same for all who name it.
    pub fn instance(name: &str) -> Self {
        static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let mut names = lock(&NAMES);
        let number = names.iter().position(|known| known == name);
        let number = number.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        Self::Instance(number as u32)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            provider: Provider::Auto,
            device: 0,
            threads: 1,
            sharing: Sharing::default(),
        }
    }
}

/// An input or output of a network: its name and its shape, -1 where a dimension is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in the network.
    pub name: String,
    /// Its dimensions; -1 where one is free.
    pub shape: Vec<i64>,
    /// What its numbers are.
    pub element: ElementType,
}

/// What a tensor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Single precision.
    F32,
    /// Half precision: converted on the way in and out.
    F16,
    /// Nothing that a network here has to do with.
    Other,
}

impl TensorInfo {
    /// Whether it can be filled or read.
    pub fn is_float(&self) -> bool {
        self.element != ElementType::Other
    }
}

/// A network with room for what has to be converted.
struct Network {
    session: ort::session::Session,
    /// Of the inputs.
    halves: Vec<Vec<f16>>,
    /// Of the outputs.
    floats: Vec<Vec<f32>>,
}

/// A network for whoever asked for it, who knows it by this path.
#[derive(Clone)]
pub struct Session {
    /// There until it is dropped.
    loaded: Option<Arc<Loaded>>,
    /// The file, as errors name it.
    pub path: PathBuf,
}

/// A loaded network. Runs are serialised: ONNX Runtime's `run` is thread-safe, but two runs on the
/// same threads are no faster than one after the other.
pub struct Loaded {
    network: Turns<Network>,
    content: Content,
    /// Inputs in the network's own order.
    pub inputs: Vec<TensorInfo>,
    /// Outputs in the network's own order.
    pub outputs: Vec<TensorInfo>,
    /// The provider that was picked.
    pub provider: Provider,
    /// Why it is not CUDA, where that was tried first.
    pub fallback: Option<String>,
}

impl Deref for Session {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        self.loaded.as_ref().expect("it is there until the drop")
    }
}

impl Session {
    /// Whether both are one loaded network.
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq::<Loaded>(&**self, &**other)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let left = self.loaded.take().map(|loaded| Arc::downgrade(&loaded));
        // None has it but the cache.
        if left.is_some_and(|loaded| loaded.strong_count() <= 1) {
            free_in_time();
        }
    }
}

impl Loaded {
    /// Why it is not CUDA, where that was tried first and nobody was told of this network yet.
    pub fn untold_fallback(&self) -> Option<&str> {
        static TOLD: Mutex<BTreeSet<Content>> = Mutex::new(BTreeSet::new());
        let reason = self.fallback.as_deref()?;
        lock(&TOLD).insert(self.content.clone()).then_some(reason)
    }
}

impl Session {
    /// Runs the network on `inputs` (name, shape, values in row-major order) and hands the float
    /// outputs, in the order of the model, to `read`. `stop` ends the run, or the wait for those of
    /// others, from another thread.
    pub fn run<R>(
        &self,
        inputs: &[(&str, &[usize], &[f32])],
        stop: Option<&Interrupt>,
        read: impl FnOnce(&[(&[i64], &[f32])]) -> R,
    ) -> Result<R, Error> {
        let failed = |e: ort::Error| match stop.is_some_and(Interrupt::is_raised) {
            true => Error::Interrupted,
            false => Error::Inference {
                model: self.path.display().to_string(),
                reason: e.to_string(),
            },
        };
        let mut turn = self.network.take(stop).ok_or(Error::Interrupted)?;
        let Network {
            session,
            halves,
            floats,
        } = &mut *turn;
        let is_half = |name: &str| {
            let mut inputs = self.inputs.iter();
            inputs.any(|info| info.name == name && info.element == ElementType::F16)
        };
        halves.resize_with(inputs.len(), Vec::new);
        for (half, (name, _, data)) in halves.iter_mut().zip(inputs) {
            if is_half(name) {
                half.resize(data.len(), f16::ZERO);
                half.convert_from_f32_slice(data);
            }
        }
        let mut values = Vec::with_capacity(inputs.len());
        for (half, (name, shape, data)) in halves.iter().zip(inputs) {
            let value: ort::session::SessionInputValue = match is_half(name) {
                true => {
                    let tensor = TensorRef::from_array_view((*shape, &**half));
                    tensor.map_err(failed)?.into()
                }
                false => {
                    let tensor = TensorRef::from_array_view((*shape, *data));
                    tensor.map_err(failed)?.into()
                }
            };
            values.push((*name, value));
        }
        let outputs = match stop.and_then(Interrupt::options) {
            Some(options) => session.run_with_options(values, options),
            None => session.run(values),
        }
        .map_err(failed)?;
        let infos = || self.outputs.iter().filter(|info| info.is_float());
        floats.resize_with(infos().count(), Vec::new);
        let mut shapes = Vec::with_capacity(floats.len());
        let mut found = Vec::with_capacity(floats.len());
        for (float, info) in floats.iter_mut().zip(infos()) {
            let value = &outputs[info.name.as_str()];
            if info.element == ElementType::F16 {
                let (shape, data) = value.try_extract_tensor::<f16>().map_err(failed)?;
                float.resize(data.len(), 0.0);
                data.convert_to_f32_slice(float);
                shapes.push(shape);
                found.push(None);
            } else {
                let (shape, data) = value.try_extract_tensor::<f32>().map_err(failed)?;
                shapes.push(shape);
                found.push(Some(data));
            }
        }
        let tensors: Vec<(&[i64], &[f32])> = shapes
            .iter()
            .zip(found)
            .zip(floats.iter())
            .map(|((shape, data), float)| (&***shape, data.unwrap_or(float)))
            .collect();
        Ok(read(&tensors))
    }
}

/// What a session was made of.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    content: Content,
    options: Options,
}

impl Shared for Key {
    fn is_shared(&self) -> bool {
        self.options.sharing != Sharing::Own
    }
}

/// Loads the model at `path`, or gives a session that is there already.
pub fn load(path: &Path, options: Options) -> Result<Session, Error> {
    load_content(path, Content::of_file(path)?, options, |builder| {
        builder.commit_from_file(path)
    })
}

/// As [`load`], for a model that is embedded in the program; `name` stands for its path.
pub fn load_bytes(name: &str, bytes: &[u8], options: Options) -> Result<Session, Error> {
    let path = Path::new("embedded").join(name);
    load_content(&path, Content::of_bytes(bytes), options, |builder| {
        builder.commit_from_memory(bytes)
    })
}

static SESSIONS: LazyLock<Cache<Key, Loaded>> = LazyLock::new(Cache::default);

fn load_content(
    path: &Path,
    content: Content,
    options: Options,
    commit: impl Fn(&mut SessionBuilder) -> ort::Result<ort::session::Session>,
) -> Result<Session, Error> {
    let key = Key { content, options };
    let loaded = SESSIONS.get(&key, || {
        let on = |provider| create_on(path, &key, provider, &commit);
        let (loaded, fallback) = pick(options.provider, on)?;
        Ok(Loaded { fallback, ..loaded })
    })?;
    Ok(Session {
        loaded: Some(loaded),
        path: path.into(),
    })
}

/// Has sessions freed when their time has come, in a thread that is there as long as there are any that nobody
/// uses.
fn free_in_time() {
    static IS_WATCHED: Mutex<bool> = Mutex::new(false);

    let mut is_watched = lock(&IS_WATCHED);
    if *is_watched {
        return;
    }
    let watch = || {
        loop {
            let (freed, next) = {
                let mut is_watched = lock(&IS_WATCHED);
                let swept = SESSIONS.sweep(Instant::now());
                *is_watched = swept.1.is_some();
                swept
            };
            // It may take a moment, in which others let go of theirs.
            drop(freed);
            let Some(next) = next else {
                return;
            };
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    };
    let thread = std::thread::Builder::new().name("lipsync-free".into());
    // Without a thread they are freed when the next one is loaded.
    *is_watched = thread.spawn(watch).is_ok();
}

fn create_on(
    path: &Path,
    key: &Key,
    provider: Provider,
    commit: impl Fn(&mut SessionBuilder) -> ort::Result<ort::session::Session>,
) -> Result<Loaded, Error> {
    let environment = environment()?;
    let corrupt = |reason: String| Error::ModelCorrupt {
        path: path.into(),
        reason,
    };
    let builder = ort::session::Session::builder(&environment)
        .and_then(|b| Ok(b.with_intra_threads(key.options.threads as usize)?))
        // Spinning threads would take the cores that decode and encode.
        .and_then(|b| Ok(b.with_intra_op_spinning(false)?))
        .map_err(|e| corrupt(e.to_string()))?;
    let mut builder = register(builder, provider, key.options.device)?;
    let session = commit(&mut builder).map_err(|e| corrupt(e.to_string()))?;
    Ok(Loaded {
        content: key.content.clone(),
        inputs: session.inputs().iter().map(tensor_info).collect(),
        outputs: session.outputs().iter().map(tensor_info).collect(),
        network: Turns::new(Network {
            session,
            halves: Vec::new(),
            floats: Vec::new(),
        }),
        provider,
        fallback: None,
    })
}

fn tensor_info(outlet: &ort::value::Outlet) -> TensorInfo {
    let (shape, element) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let element = match ty {
                TensorElementType::Float32 => ElementType::F32,
                TensorElementType::Float16 => ElementType::F16,
                _ => ElementType::Other,
            };
            (shape.to_vec(), element)
        }
        _ => (Vec::new(), ElementType::Other),
    };
    TensorInfo {
        name: outlet.name().into(),
        shape,
        element,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_known_by_its_name() {
        let [one, other, again] = ["one", "other", "one"].map(Sharing::instance);
        assert_eq!(one, again);
        assert_ne!(one, other);
    }
}
