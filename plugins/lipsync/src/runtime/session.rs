//! Sessions of the process. A network that is small is had by one element alone, so that pipelines
//! beside each other need not wait for each other; one that is not is shared by all that ask for the
//! same file, provider and options.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};

use ort::ep;
use ort::session::RunOptions;
use ort::session::builder::SessionBuilder;
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::cache::{Cache, Shared};
use super::{Error, environment, lock};

/// Where the network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// CUDA where it works, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// An NVIDIA GPU, by way of TensorRT.
    TensorRt,
    /// What OpenVINO finds.
    OpenVino,
}

impl Provider {
    /// Each of them once.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Cpu,
        Self::Cuda,
        Self::TensorRt,
        Self::OpenVino,
    ];

    /// As the property `execution-provider` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
        }
    }
}

impl FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|p| p.name() == name)
            .ok_or_else(|| Error::Provider {
                provider: name.into(),
                reason: format!("it is none of {}", Self::ALL.map(Self::name).join(", ")),
            })
    }
}

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
    /// Whether its numbers are 32-bit floats, the only ones that are used.
    pub is_f32: bool,
}

/// A loaded network. Runs are serialised: ONNX Runtime's `run` is thread-safe, but two runs on the
/// same threads are no faster than one after the other.
pub struct Session {
    inner: Mutex<ort::session::Session>,
    /// Inputs in the network's own order.
    pub inputs: Vec<TensorInfo>,
    /// Outputs in the network's own order.
    pub outputs: Vec<TensorInfo>,
    /// The provider that was picked.
    pub provider: Provider,
    /// Why it is not CUDA, where that was tried first.
    pub fallback: Option<String>,
    /// The file, as errors name it.
    pub path: PathBuf,
}

impl Session {
    /// Runs the network on `inputs` (name, shape, values in row-major order) and hands the outputs,
    /// in the order of the model, to `read`. `stop` can end the run from another thread.
    pub fn run<R>(
        &self,
        inputs: &[(&str, &[usize], &[f32])],
        stop: Option<&RunOptions>,
        read: impl FnOnce(&[(&[i64], &[f32])]) -> R,
    ) -> Result<R, Error> {
        let failed = |e: ort::Error| Error::Inference {
            model: self.path.display().to_string(),
            reason: e.to_string(),
        };
        let mut values = Vec::with_capacity(inputs.len());
        for (name, shape, data) in inputs {
            let tensor = TensorRef::from_array_view((*shape, *data)).map_err(failed)?;
            values.push((*name, ort::session::SessionInputValue::from(tensor)));
        }
        let mut session = lock(&self.inner);
        let outputs = match stop {
            Some(stop) => session.run_with_options(values, stop),
            None => session.run(values),
        }
        .map_err(failed)?;
        let mut tensors = Vec::with_capacity(self.outputs.len());
        for info in self.outputs.iter().filter(|info| info.is_f32) {
            let (shape, data) = outputs[info.name.as_str()]
                .try_extract_tensor::<f32>()
                .map_err(failed)?;
            tensors.push((&**shape, data));
        }
        Ok(read(&tensors))
    }
}

/// What a session was made of.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    /// Tells one content of the file from the next: device, inode, length, and time in ns.
    content: [i128; 4],
    options: Options,
}

impl Key {
    fn of_file(path: &Path, options: Options) -> Result<Self, Error> {
        use std::os::unix::fs::MetadataExt;
        let missing = |_| Error::ModelMissing(path.into());
        let about = std::fs::metadata(path).map_err(missing)?;
        let time = i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
        Ok(Self {
            path: std::fs::canonicalize(path).map_err(missing)?,
            content: [
                about.dev().into(),
                about.ino().into(),
                about.size().into(),
                time,
            ],
            options,
        })
    }
}

impl Shared for Key {
    fn is_shared(&self) -> bool {
        self.options.sharing == Sharing::Shared
    }
}

/// Loads the model at `path`, or gives a session that is there already.
pub fn load(path: &Path, options: Options) -> Result<Arc<Session>, Error> {
    let key = Key::of_file(path, options)?;
    SESSIONS.get(&key, || {
        create(&key, |builder| builder.commit_from_file(path))
    })
}

/// As [`load`], for a model that is embedded in the program; `name` stands for its path.
pub fn load_bytes(name: &str, bytes: &[u8], options: Options) -> Result<Arc<Session>, Error> {
    let key = Key {
        path: Path::new("embedded").join(name),
        content: [0, 0, bytes.len() as i128, 0],
        options,
    };
    SESSIONS.get(&key, || {
        create(&key, |builder| builder.commit_from_memory(bytes))
    })
}

static SESSIONS: LazyLock<Cache<Key, Session>> = LazyLock::new(Cache::default);

/// Makes a session. `auto` takes the CPU where CUDA can't be had, or does not take the model.
fn create(
    key: &Key,
    commit: impl Fn(&mut SessionBuilder) -> ort::Result<ort::session::Session>,
) -> Result<Session, Error> {
    let on = |provider| create_on(key, provider, &commit);
    match key.options.provider {
        Provider::Auto => match on(Provider::Cuda) {
            Ok(session) => Ok(session),
            Err(error) => Ok(Session {
                fallback: Some(error.to_string()),
                ..on(Provider::Cpu)?
            }),
        },
        provider => on(provider),
    }
}

fn create_on(
    key: &Key,
    provider: Provider,
    commit: impl Fn(&mut SessionBuilder) -> ort::Result<ort::session::Session>,
) -> Result<Session, Error> {
    let environment = environment()?;
    let corrupt = |reason: String| Error::ModelCorrupt {
        path: key.path.clone(),
        reason,
    };
    let builder = ort::session::Session::builder(&environment)
        .and_then(|b| Ok(b.with_intra_threads(key.options.threads as usize)?))
        // Spinning threads would take the cores that decode and encode.
        .and_then(|b| Ok(b.with_intra_op_spinning(false)?))
        .map_err(|e| corrupt(e.to_string()))?;
    let mut builder = with_provider(builder, provider, key.options.device)?;
    let session = commit(&mut builder).map_err(|e| corrupt(e.to_string()))?;
    Ok(Session {
        inputs: session.inputs().iter().map(tensor_info).collect(),
        outputs: session.outputs().iter().map(tensor_info).collect(),
        inner: Mutex::new(session),
        provider,
        fallback: None,
        path: key.path.clone(),
    })
}

/// Registers the provider.
fn with_provider(
    builder: SessionBuilder,
    provider: Provider,
    device: u32,
) -> Result<SessionBuilder, Error> {
    let dispatch = match provider {
        Provider::Auto | Provider::Cpu => return Ok(builder),
        Provider::Cuda => ep::CUDA::default()
            .with_device_id(device as i32)
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            .build(),
        Provider::TensorRt => ep::TensorRT::default()
            .with_device_id(device as i32)
            .build(),
        Provider::OpenVino => ep::OpenVINO::default().build(),
    };
    builder
        .with_execution_providers([dispatch.error_on_failure()])
        .map_err(|e| Error::Provider {
            provider: provider.name().into(),
            reason: e.to_string(),
        })
}

fn tensor_info(outlet: &ort::value::Outlet) -> TensorInfo {
    let (shape, is_f32) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (shape.to_vec(), *ty == TensorElementType::Float32),
        _ => (Vec::new(), false),
    };
    TensorInfo {
        name: outlet.name().into(),
        shape,
        is_f32,
    }
}
