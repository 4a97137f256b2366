//! Does a network fit? Binds inputs and outputs by name or else by shape.

use super::check::{CheckReport, Expected, Found};
use super::manifest::{GeneratorSpec, NetworkSpec};
use super::mouth_spec::{FrontSpec, MouthShapeSpec};
use crate::audio::MelSpec;
use crate::runtime::{Session, TensorInfo};

/// The tensors of a network.
#[derive(Clone, Copy)]
pub(super) struct Tensors<'a> {
    pub inputs: &'a [TensorInfo],
    pub outputs: &'a [TensorInfo],
}

impl<'a> Tensors<'a> {
    pub fn of(session: &'a Session) -> Self {
        Self {
            inputs: &session.inputs,
            outputs: &session.outputs,
        }
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
    /// Index among the float outputs.
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
    /// Of the network that gives the mouth.
    pub mouth: Ends,
    /// Of the front end, where there is one.
    pub front: Option<Ends>,
}

/// The input and the output of a network that has one of each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ends {
    pub input: String,
    /// Index among the float outputs.
    pub output: usize,
}

/// Checks a network, and the front end that it hears with, against what its manifest says or what
/// was inferred.
pub(super) fn bind(
    model: String,
    network: &NetworkSpec,
    mel: &MelSpec,
    tensors: Tensors,
    front: Option<(&FrontSpec, Tensors)>,
) -> Result<(Binding, CheckReport), Box<CheckReport>> {
    let Tensors { inputs, outputs } = tensors;
    let mut matching = Matching {
        tensors,
        expected: Vec::new(),
        reasons: Vec::new(),
    };
    let binding = match network {
        NetworkSpec::Generator(spec) => matching
            .generator(spec, mel)
            .map(|bound| Binding::Generator(spec.clone(), bound)),
        NetworkSpec::MouthShape(spec) => matching
            .mouth_shape(spec, mel, front)
            .map(|bound| Binding::MouthShape(spec.clone(), bound)),
    };
    let report = CheckReport {
        model,
        kind: Some(network.kind()),
        inputs: with_front(front.map(|(_, of_front)| of_front.inputs), inputs),
        outputs: with_front(front.map(|(_, of_front)| of_front.outputs), outputs),
        expected: matching.expected,
        reasons: matching.reasons,
    };
    match binding {
        Some(binding) if report.fits() => Ok((binding, report)),
        _ => Err(Box::new(report)),
    }
}

/// The tensors of a front end before those of its network.
fn with_front(front: Option<&[TensorInfo]>, network: &[TensorInfo]) -> Vec<TensorInfo> {
    front
        .into_iter()
        .flatten()
        .chain(network)
        .cloned()
        .collect()
}

/// Kind and sizes of a network that comes without a manifest, from its shapes.
pub(super) fn infer(model: &str, tensors: Tensors) -> Result<NetworkSpec, Box<CheckReport>> {
    let Tensors { inputs, outputs } = tensors;
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
    if inputs.iter().chain(outputs).any(|t| !t.is_float()) {
        reasons.push("inputs and outputs must be 32-bit or 16-bit float; export it so".into());
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
    /// Of the network.
    tensors: Tensors<'a>,
    expected: Vec<Expected>,
    reasons: Vec<String>,
}

impl Matching<'_> {
    fn generator(&mut self, spec: &GeneratorSpec, mel: &MelSpec) -> Option<GeneratorBinding> {
        let side = Some(spec.crop as i64);
        let bands = Some(mel.bands as i64);
        let columns = Some(spec.columns as i64);
        let channels = Some(spec.packing.channels() as i64);
        let Tensors { inputs, outputs } = self.tensors;
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
            if !input.is_float() {
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

    fn mouth_shape(
        &mut self,
        spec: &MouthShapeSpec,
        mel: &MelSpec,
        front: Option<(&FrontSpec, Tensors)>,
    ) -> Option<MouthShapeBinding> {
        let front = front.map(|(front, tensors)| (front, self.front(spec, mel, front, tensors)));
        let Tensors { inputs, outputs } = self.tensors;
        let length = Some(spec.length() as i64);
        let parameters = Some(spec.parameters.len() as i64);
        let (role, shape) = match &front {
            Some((front, _)) => {
                let features = Some(front.features as i64);
                ("input features", vec![Some(1), length, features])
            }
            None => {
                let bands = Some(mel.bands as i64);
                ("input mel", vec![Some(1), bands, length])
            }
        };
        let all: Vec<&TensorInfo> = inputs.iter().collect();
        let input = self.find(role, &spec.input, shape, &all);
        let all: Vec<&TensorInfo> = outputs.iter().collect();
        let block = vec![Some(1), parameters, Some(spec.block as i64)];
        // Without padding, the network gives the columns of the block alone.
        let bare = |t: &&TensorInfo| t.shape.last() == Some(&(spec.block as i64));
        let shape = match all.iter().copied().find(bare) {
            Some(bare) if fit(bare, &block).is_some() => block,
            _ => vec![Some(1), parameters, length],
        };
        let output = self.find("output", &spec.output, shape, &all);
        let mouth = self.ends(self.tensors, input?, output?);
        let front = match front {
            Some((_, ends)) => Some(ends?),
            None => None,
        };
        Some(MouthShapeBinding { mouth, front })
    }

    fn front(
        &mut self,
        spec: &MouthShapeSpec,
        mel: &MelSpec,
        front: &FrontSpec,
        tensors: Tensors,
    ) -> Option<Ends> {
        let rows = spec.length() as i64;
        let columns = rows * front.columns as i64;
        let all: Vec<&TensorInfo> = tensors.inputs.iter().collect();
        let shape = vec![Some(1), Some(mel.bands as i64), Some(columns)];
        let input = self.find("front end: input mel", &front.input, shape, &all);
        let all: Vec<&TensorInfo> = tensors.outputs.iter().collect();
        let shape = vec![Some(1), Some(rows), Some(front.features as i64)];
        let output = self.find("front end: output", &front.output, shape, &all);
        Some(self.ends(tensors, input?, output?))
    }

    /// The ends of a network that has no other input.
    fn ends(&mut self, tensors: Tensors, input: &TensorInfo, output: &TensorInfo) -> Ends {
        for extra in tensors.inputs.iter().filter(|t| t.name != input.name) {
            self.reasons
                .push(format!("the input {} is not filled", Found(extra)));
        }
        Ends {
            input: input.name.clone(),
            output: index(tensors.outputs, output),
        }
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
    if !tensor.is_float() || tensor.shape.len() != shape.len() {
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
        .filter(|t| t.is_float())
        .position(|t| t.name == output.name)
        .unwrap_or_default()
}
