//! What is said of a model: what was found, and what was expected.

use std::fmt;

use super::kind::Kind;
use crate::runtime::{ElementType, TensorInfo};

/// What `lipflow model check` says of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// The file, or the name of an embedded model.
    pub model: String,
    /// Absent where no manifest says it and the shapes do not tell.
    pub kind: Option<Kind>,
    /// Inputs of the network, in its own order.
    pub inputs: Vec<TensorInfo>,
    /// Outputs of the network, in its own order.
    pub outputs: Vec<TensorInfo>,
    /// What the manifest, or the kind, asks for.
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
    /// Whether the network can be used.
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
        match self.0.element {
            ElementType::F32 => {}
            ElementType::F16 => write!(f, ", 16-bit float")?,
            ElementType::Other => write!(f, ", not float")?,
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
