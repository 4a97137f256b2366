//! What networks run on.

use std::str::FromStr;

use ort::ep;
use ort::session::builder::SessionBuilder;

use super::Error;

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

/// Makes something on a provider. `auto` takes the CPU where CUDA can't be had or does not take the
/// model, and says why.
pub fn pick<T>(
    wanted: Provider,
    on: impl Fn(Provider) -> Result<T, Error>,
) -> Result<(T, Option<String>), Error> {
    if wanted != Provider::Auto {
        return Ok((on(wanted)?, None));
    }
    match on(Provider::Cuda) {
        Ok(thing) => Ok((thing, None)),
        Err(error) => Ok((on(Provider::Cpu)?, Some(error.to_string()))),
    }
}

/// Registers the provider.
pub fn register(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_says_why_it_is_not_the_accelerator_whatever_failed_there() {
        let provider = || Error::Provider {
            provider: "cuda".into(),
            reason: "no driver".into(),
        };
        let session = || Error::ModelCorrupt {
            path: "net.onnx".into(),
            reason: "no kernel for it".into(),
        };
        let failing = |error: Error| {
            let on = move |provider| match provider {
                Provider::Cuda => Err(error.clone()),
                other => Ok(other),
            };
            pick(Provider::Auto, on).unwrap()
        };
        for (error, reason) in [(provider(), "no driver"), (session(), "no kernel for it")] {
            let (picked, fallback) = failing(error);
            assert_eq!(picked, Provider::Cpu);
            assert!(fallback.unwrap().contains(reason));
        }
        let working = pick(Provider::Auto, Ok).unwrap();
        assert_eq!(working, (Provider::Cuda, None));
        // What was asked for is never replaced.
        let asked = pick(Provider::Cuda, |_| Err::<(), _>(provider()));
        assert!(matches!(asked, Err(Error::Provider { .. })));
    }
}
