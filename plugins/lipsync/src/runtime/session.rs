//! Sessions that belong to the process: the same file, provider and options give the same session,
//! however many elements ask, so that a model is loaded once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};

use ort::ep;
use ort::session::RunOptions;
use ort::session::builder::SessionBuilder;
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::{Error, environment, lock};

/// Where the network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// CUDA where it works, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda,
    TensorRt,
    OpenVino,
}

impl Provider {
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Cpu,
        Self::Cuda,
        Self::TensorRt,
        Self::OpenVino,
    ];

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
    pub provider: Provider,
    /// Index of the accelerator.
    pub device: u32,
    /// Threads within one operation; 0 lets ONNX Runtime choose.
    pub threads: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            provider: Provider::Auto,
            device: 0,
            threads: 1,
        }
    }
}

/// An input or output of a network: its name and its shape, -1 where a dimension is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    pub shape: Vec<i64>,
    pub is_f32: bool,
}

/// A loaded network. Runs are serialised: ONNX Runtime's `run` is thread-safe, but two runs on the
/// same threads are no faster than one after the other.
pub struct Session {
    inner: Mutex<ort::session::Session>,
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
    /// The provider that was picked.
    pub provider: Provider,
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

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    options: Options,
}

/// Loads the model at `path`, or gives the session that is there already.
pub fn load(path: &Path, options: Options) -> Result<Arc<Session>, Error> {
    let key = Key {
        path: std::fs::canonicalize(path).map_err(|_| Error::ModelMissing(path.into()))?,
        options,
    };
    load_with(key, |builder| builder.commit_from_file(path))
}

/// As [`load`], for a model that is embedded in the program; `name` stands for its path.
pub fn load_bytes(name: &str, bytes: &[u8], options: Options) -> Result<Arc<Session>, Error> {
    let key = Key {
        path: Path::new("embedded").join(name),
        options,
    };
    load_with(key, |builder| builder.commit_from_memory(bytes))
}

fn load_with(
    key: Key,
    commit: impl FnOnce(&mut SessionBuilder) -> ort::Result<ort::session::Session>,
) -> Result<Arc<Session>, Error> {
    // Never dropped: the next job wants the same model, and ONNX Runtime has crashed in teardown.
    // The lock is held while loading so that two elements asking at once load once.
    static SESSIONS: LazyLock<Mutex<HashMap<Key, Arc<Session>>>> = LazyLock::new(Mutex::default);

    let mut sessions = lock(&SESSIONS);
    if let Some(session) = sessions.get(&key) {
        return Ok(session.clone());
    }
    let session = Arc::new(create(&key, commit)?);
    sessions.insert(key, session.clone());
    Ok(session)
}

fn create(
    key: &Key,
    commit: impl FnOnce(&mut SessionBuilder) -> ort::Result<ort::session::Session>,
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
    let (mut builder, provider) = with_provider(builder, key.options)?;
    let session = commit(&mut builder).map_err(|e| corrupt(e.to_string()))?;
    Ok(Session {
        inputs: session.inputs().iter().map(tensor_info).collect(),
        outputs: session.outputs().iter().map(tensor_info).collect(),
        inner: Mutex::new(session),
        provider,
        path: key.path.clone(),
    })
}

/// Registers the provider that was asked for; only `auto` may fall back to the CPU.
fn with_provider(
    builder: SessionBuilder,
    options: Options,
) -> Result<(SessionBuilder, Provider), Error> {
    let register = |builder: SessionBuilder, provider: Provider| {
        let device = options.device as i32;
        let dispatch = match provider {
            Provider::Auto | Provider::Cpu => return Ok(builder),
            Provider::Cuda => ep::CUDA::default()
                .with_device_id(device)
                .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
                .build(),
            Provider::TensorRt => ep::TensorRT::default().with_device_id(device).build(),
            Provider::OpenVino => ep::OpenVINO::default().build(),
        };
        builder
            .with_execution_providers([dispatch.error_on_failure()])
            .map_err(|e| Error::Provider {
                provider: provider.name().into(),
                reason: e.to_string(),
            })
    };
    match options.provider {
        Provider::Auto => match register(builder.clone(), Provider::Cuda) {
            Ok(with_cuda) => Ok((with_cuda, Provider::Cuda)),
            Err(_) => Ok((builder, Provider::Cpu)),
        },
        asked => Ok((register(builder, asked)?, asked)),
    }
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
