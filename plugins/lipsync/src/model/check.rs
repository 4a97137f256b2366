//! Does a network fit? Binds inputs and outputs by name or else by shape, and says what was found
//! and what was expected.

use std::fmt;

use super::manifest::{GeneratorSpec, Kind, MouthShapeSpec, NetworkSpec};
use crate::audio::MelSpec;
use crate::runtime::TensorInfo;

/// What `lipflow model check` says of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// The file, or the name of an embedded model.
    pub model: String,
    /// Absent where no manifest says it and the shapes do not tell.
    pub kind: Option<Kind>,
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
    pub expected: Vec<Expected>,
    /// Why the model does not fit; empty if it does.
    pub reasons: Vec<String>,
}

/// An input or output that a network of the kind must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `input mel`, `input face`, `output`.
    pub role: &'static str,
    /// The name that the manifest asks for.
    pub name: Option<String>,
    /// Absent where a dimension may have any size.
    pub shape: Vec<Option<i64>>,
}

impl CheckReport {
    pub fn fits(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map_or("of no known kind", Kind::name);
        writeln!(f, "{} ({kind})", self.model)?;
        for (title, tensors) in [("input", &self.inputs), ("output", &self.outputs)] {
            for tensor in tensors {
                writeln!(f, "  found     {title} {}", Found(tensor))?;
            }
        }
        for expected in &self.expected {
            writeln!(f, "  expected  {expected}")?;
        }
        if self.fits() {
            return write!(f, "  it fits");
        }
        write!(f, "  it does not fit: {}", self.reasons.join("; "))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.role)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        let dims = self.shape.iter().map(|d| d.unwrap_or(-1));
        write!(f, " {}", Shape(dims.collect()))
    }
}

/// A tensor as people read it.
pub(super) struct Found<'a>(pub &'a TensorInfo);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.0.name, Shape(self.0.shape.clone()))?;
        if !self.0.is_f32 {
            write!(f, ", not 32-bit float")?;
        }
        Ok(())
    }
}

/// A shape with `?` for a free dimension.
struct Shape(Vec<i64>);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims = self.0.iter().map(|dim| match dim {
            ..0 => "?".to_string(),
            dim => dim.to_string(),
        });
        write!(f, "[{}]", dims.collect::<Vec<_>>().join(", "))
    }
}

/// Which input and output of a network is which.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Binding {
    Generator(GeneratorSpec, GeneratorBinding),
    MouthShape(MouthShapeSpec, MouthShapeBinding),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct GeneratorBinding {
    pub mel: String,
    pub face: String,
    /// Index among the 32-bit float outputs.
    pub output: usize,
    /// The batch size that the network insists on.
    pub batch: Option<usize>,
    pub constants: Vec<Constant>,
}

/// An input that always has the same value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct MouthShapeBinding {
    pub input: String,
    /// Index among the 32-bit float outputs.
    pub output: usize,
}

/// Checks a network against what its manifest says, or what was inferred.
pub(super) fn bind(
    model: String,
    network: &NetworkSpec,
    mel: &MelSpec,
    inputs: &[TensorInfo],
    outputs: &[TensorInfo],
) -> Result<(Binding, CheckReport), Box<CheckReport>> {
    let mut matching = Matching {
        inputs,
        outputs,
        expected: Vec::new(),
        reasons: Vec::new(),
    };
    let binding = match network {
        NetworkSpec::Generator(spec) => matching
            .generator(spec, mel)
            .map(|bound| Binding::Generator(spec.clone(), bound)),
        NetworkSpec::MouthShape(spec) => matching
            .mouth_shape(spec, mel)
            .map(|bound| Binding::MouthShape(spec.clone(), bound)),
    };
    let report = CheckReport {
        model,
        kind: Some(network.kind()),
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        expected: matching.expected,
        reasons: matching.reasons,
    };
    match binding {
        Some(binding) if report.fits() => Ok((binding, report)),
        _ => Err(Box::new(report)),
    }
}

/// Kind and sizes of a network that comes without a manifest, from its shapes.
pub(super) fn infer(
    model: &str,
    inputs: &[TensorInfo],
    outputs: &[TensorInfo],
) -> Result<NetworkSpec, Box<CheckReport>> {
    let mel = MelSpec::default();
    let generator = GeneratorSpec::default();
    let mouth = MouthShapeSpec::default();
    let bands = mel.bands as i64;

    let is_mel = |t: &&TensorInfo| t.shape.len() == 4 && t.shape[1..3] == [1, bands];
    let face = inputs.iter().find_map(|t| match t.shape[..] {
        [_, 6, height, width] if height == width && height > 0 => Some(height as usize),
        _ => None,
    });
    if let (Some(mel), Some(crop)) = (inputs.iter().find(is_mel), face) {
        let columns = match mel.shape[3] {
            columns @ 1.. => columns as usize,
            _ => generator.columns,
        };
        return Ok(NetworkSpec::Generator(GeneratorSpec {
            crop,
            columns,
            ..generator
        }));
    }
    let sequence = inputs.iter().find_map(|t| match t.shape[..] {
        [_, b, columns] if b == bands => Some(columns),
        _ => None,
    });
    let parameters = mouth.parameters.len() as i64;
    let has_output = outputs
        .iter()
        .any(|t| matches!(t.shape[..], [_, p, _] if p == parameters));
    if let Some(columns) = sequence
        && has_output
    {
        // A fixed length leaves the network no other block than this.
        let block = match usize::try_from(columns) {
            Ok(columns) => columns.saturating_sub(2 * mouth.context).max(1),
            Err(_) => mouth.block,
        };
        return Ok(NetworkSpec::MouthShape(MouthShapeSpec { block, ..mouth }));
    }
    let any = None;
    let expected = vec![
        Expected {
            role: "generator: input mel",
            name: None,
            shape: vec![any, Some(1), Some(bands), Some(generator.columns as i64)],
        },
        Expected {
            role: "generator: input face, square",
            name: None,
            shape: vec![any, Some(6), any, any],
        },
        Expected {
            role: "or mouth-shape: input mel",
            name: None,
            shape: vec![Some(1), Some(bands), any],
        },
        Expected {
            role: "mouth-shape: output",
            name: None,
            shape: vec![Some(1), Some(parameters), any],
        },
    ];
    let mut reasons = vec![
        "its shapes are those of neither kind; a manifest can describe a model of other sizes"
            .to_string(),
    ];
    if inputs.iter().chain(outputs).any(|t| !t.is_f32) {
        reasons.push("inputs and outputs must be 32-bit float; export it so".into());
    }
    Err(Box::new(CheckReport {
        model: model.into(),
        kind: None,
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        expected,
        reasons,
    }))
}

struct Matching<'a> {
    inputs: &'a [TensorInfo],
    outputs: &'a [TensorInfo],
    expected: Vec<Expected>,
    reasons: Vec<String>,
}

impl Matching<'_> {
    fn generator(&mut self, spec: &GeneratorSpec, mel: &MelSpec) -> Option<GeneratorBinding> {
        let side = Some(spec.crop as i64);
        let bands = Some(mel.bands as i64);
        let columns = Some(spec.columns as i64);
        let channels = Some(spec.packing.channels() as i64);
        let (inputs, outputs) = (self.inputs, self.outputs);
        let free: Vec<&TensorInfo> = inputs
            .iter()
            .filter(|t| !spec.constants.contains_key(&t.name))
            .collect();

        let mel = self.find(
            "input mel",
            &spec.inputs.mel,
            vec![None, Some(1), bands, columns],
            &free,
        );
        let rest: Vec<&TensorInfo> = free
            .iter()
            .copied()
            .filter(|t| mel.is_none_or(|mel| mel.name != t.name))
            .collect();
        let face = self.find(
            "input face",
            &spec.inputs.face,
            vec![None, channels, side, side],
            &rest,
        );
        let all: Vec<&TensorInfo> = outputs.iter().collect();
        let output = self.find(
            "output",
            &spec.output,
            vec![None, Some(3), side, side],
            &all,
        );
        let (mel, face, output) = (mel?, face?, output?);

        for extra in rest.iter().filter(|t| t.name != face.name) {
            self.reasons.push(format!(
                "the input {} is not filled: give it a value in `[generator.constants]` of a manifest",
                Found(extra)
            ));
        }
        let mut constants = Vec::new();
        // A constant with a free first dimension may mean one value per frame or one for all. A batch
        // of one satisfies both.
        let mut batches = Vec::new();
        for (name, value) in &spec.constants {
            let Some(input) = inputs.iter().find(|t| t.name == *name) else {
                self.reasons
                    .push(format!("there is no input `{name}` to fill"));
                continue;
            };
            if !input.is_f32 {
                self.reasons
                    .push(format!("the input {} can't be filled", Found(input)));
            }
            let shape: Vec<usize> = input.shape.iter().map(|d| (*d).max(1) as usize).collect();
            if input.shape.first().is_some_and(|d| *d < 0) {
                batches.push(1);
            }
            let count = shape.iter().product();
            constants.push(Constant {
                name: name.clone(),
                values: vec![*value; count],
                shape,
            });
        }
        batches.extend(
            [mel, face, output]
                .iter()
                .filter_map(|t| usize::try_from(t.shape[0]).ok()),
        );
        batches.sort_unstable();
        batches.dedup();
        if batches.len() > 1 || batches.first() == Some(&0) {
            self.reasons
                .push(format!("the batch sizes {batches:?} contradict each other"));
        }
        Some(GeneratorBinding {
            mel: mel.name.clone(),
            face: face.name.clone(),
            output: index(outputs, output),
            batch: batches.first().copied(),
            constants,
        })
    }

    fn mouth_shape(&mut self, spec: &MouthShapeSpec, mel: &MelSpec) -> Option<MouthShapeBinding> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let columns = Some(spec.length() as i64);
        let bands = Some(mel.bands as i64);
        let parameters = Some(spec.parameters.len() as i64);
        let all: Vec<&TensorInfo> = inputs.iter().collect();
        let input = self.find(
            "input mel",
            &spec.input,
            vec![Some(1), bands, columns],
            &all,
        );
        let all: Vec<&TensorInfo> = outputs.iter().collect();
        let block = vec![Some(1), parameters, Some(spec.block as i64)];
        // Without padding, the network gives the columns of the block alone.
        let bare = |t: &&TensorInfo| t.shape.last() == Some(&(spec.block as i64));
        let shape = match all.iter().copied().find(bare) {
            Some(bare) if fit(bare, &block).is_some() => block,
            _ => vec![Some(1), parameters, columns],
        };
        let output = self.find("output", &spec.output, shape, &all);
        let (input, output) = (input?, output?);
        for extra in inputs.iter().filter(|t| t.name != input.name) {
            self.reasons
                .push(format!("the input {} is not filled", Found(extra)));
        }
        Some(MouthShapeBinding {
            input: input.name.clone(),
            output: index(outputs, output),
        })
    }

    /// The tensor for a role: the one of that `name`, or else the one whose shape fits best.
    fn find<'t>(
        &mut self,
        role: &'static str,
        name: &Option<String>,
        shape: Vec<Option<i64>>,
        among: &[&'t TensorInfo],
    ) -> Option<&'t TensorInfo> {
        let expected = Expected {
            role,
            name: name.clone(),
            shape,
        };
        let found = match name {
            Some(name) => match among.iter().find(|t| t.name == *name) {
                None => Err(format!("there is no {role} of that name")),
                Some(t) if fit(t, &expected.shape).is_some() => Ok(*t),
                Some(t) => Err(format!("{} is not as expected", Found(t))),
            },
            None => best(among, &expected.shape),
        };
        let found = found
            .map_err(|reason| self.reasons.push(format!("{expected}: {reason}")))
            .ok();
        self.expected.push(expected);
        found
    }
}

/// The tensor that fits `shape` in most dimensions by its own size rather than by being free.
fn best<'t>(among: &[&'t TensorInfo], shape: &[Option<i64>]) -> Result<&'t TensorInfo, String> {
    let score = |t: &TensorInfo| fit(t, shape);
    let Some(most) = among.iter().filter_map(|t| score(t)).max() else {
        return Err("none has that shape".into());
    };
    let mut candidates = among.iter().filter(|t| score(t) == Some(most));
    match (candidates.next(), candidates.next()) {
        (Some(one), None) => Ok(one),
        _ => Err("several have that shape; a manifest can name the right one".into()),
    }
}

/// How many dimensions have exactly the size that is asked for; absent where one contradicts.
fn fit(tensor: &TensorInfo, shape: &[Option<i64>]) -> Option<usize> {
    if !tensor.is_f32 || tensor.shape.len() != shape.len() {
        return None;
    }
    let mut exact = 0;
    for (found, wanted) in tensor.shape.iter().zip(shape) {
        match wanted {
            Some(wanted) if found == wanted => exact += 1,
            Some(_) if *found >= 0 => return None,
            _ => {}
        }
    }
    Some(exact)
}

fn index(outputs: &[TensorInfo], output: &TensorInfo) -> usize {
    outputs
        .iter()
        .filter(|t| t.is_f32)
        .position(|t| t.name == output.name)
        .unwrap_or_default()
}
