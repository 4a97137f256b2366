//! The parameters of a mouth, one list for the networks that give them and the renderer that draws
//! them.

use serde::Deserialize;

/// What a channel of a network's output means. Lengths are in units of the distance between the
/// eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// Distance between the inner edges of the lips.
    Opening,
    /// How much farther than at rest each corner of the mouth is from the middle; negative when the
    /// lips are rounded.
    Width,
    /// How far the lower lip is drawn under the upper teeth, 0 to 1.
    Tuck,
    /// How hard the lips are pressed together, as for p, b and m, 0 to 1.
    Press,
    /// How far the upper lip is raised off the teeth, 0 to 1.
    Raise,
    /// How far the chin is below its rest, whatever the lips do.
    Jaw,
    /// How far the tip of the tongue is behind the upper teeth, as for l, th, d and n, 0 to 1.
    Tongue,
    /// A channel that is not used.
    Unused,
}

/// How far the chin goes for an opening that a network without `jaw` gives.
pub const JAW_OF_OPENING: f32 = 0.663;

/// The shape of a mouth; see [`Parameter`] for the meaning and the units. All zero is a mouth at
/// rest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MouthParams {
    /// [`Parameter::Opening`].
    pub opening: f32,
    /// [`Parameter::Width`].
    pub width: f32,
    /// [`Parameter::Tuck`].
    pub tuck: f32,
    /// [`Parameter::Press`].
    pub press: f32,
    /// [`Parameter::Raise`].
    pub raise: f32,
    /// [`Parameter::Jaw`].
    pub jaw: f32,
    /// [`Parameter::Tongue`].
    pub tongue: f32,
}

impl MouthParams {
    /// The mouth whose every parameter is what `value` says of it.
    pub fn from_fn(mut value: impl FnMut(Parameter) -> f32) -> Self {
        Self {
            opening: value(Parameter::Opening),
            width: value(Parameter::Width),
            tuck: value(Parameter::Tuck),
            press: value(Parameter::Press),
            raise: value(Parameter::Raise),
            jaw: value(Parameter::Jaw),
            tongue: value(Parameter::Tongue),
        }
    }

    /// This much of the shape; 0 is at rest.
    pub fn scaled(&self, share: f32) -> Self {
        Self {
            opening: self.opening * share,
            width: self.width * share,
            tuck: self.tuck * share,
            press: self.press * share,
            raise: self.raise * share,
            jaw: self.jaw * share,
            tongue: self.tongue * share,
        }
    }
}
