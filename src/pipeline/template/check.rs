//! What is wrong with a pipeline's text, word by word, without making an element: GStreamer stops
//! at the first fault and does not say where it is.

use gst::glib;
use gst::prelude::*;

use super::fill::Filled;
use super::problem::{Fault, Problem};
use super::scan::Kind;
use super::{Template, TemplateError, Values, unquote};
use crate::pipeline::debian;

/// Checks a template: parameters without a value are given one that fits their type, and where all
/// words are right, the elements are made and linked.
pub fn check(template: &Template, values: &Values) -> Result<Vec<Problem>, TemplateError> {
    let values = with_examples(template, values);
    match template.build(&values) {
        Ok(_) => Ok(Vec::new()),
        Err(TemplateError::MissingElements(_) | TemplateError::Problems(_)) => {
            Ok(problems(template, &template.filled(&values)?))
        }
        Err(other) => Err(other),
    }
}

/// The elements that a template needs, each once, with its defaults.
pub fn elements(template: &Template) -> Result<Vec<String>, TemplateError> {
    let values = with_examples(template, &Values::new());
    let mut found: Vec<String> = template
        .filled(&values)?
        .into_iter()
        .filter(|filled| filled.word.kind == Kind::Element)
        .map(|filled| filled.text)
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn with_examples(template: &Template, values: &Values) -> Values {
    template.missing(values).fold(values.clone(), |values, p| {
        values.set(&p.name, p.kind.example())
    })
}

pub(super) fn problems(template: &Template, words: &[Filled]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut owner: Option<(&str, Option<glib::Type>)> = None;
    let names: Vec<String> = words.iter().filter_map(explicit_name).collect();
    for filled in words {
        let found = match filled.word.kind {
            Kind::Element => {
                let element_type = element_type(&filled.text);
                owner = Some((&filled.text, element_type));
                match element_type {
                    Some(_) => None,
                    None => Some(Fault::NoElement {
                        element: filled.text.clone(),
                        package: debian::package(&filled.text),
                        refused: debian::refused_plugin(&filled.text),
                    }),
                }
            }
            Kind::Open => {
                let factory = filled.text.split('.').next().unwrap_or_default();
                let factory = match factory {
                    "(" => "bin",
                    named => named.trim_end(),
                };
                owner = Some((factory, element_type(factory)));
                None
            }
            Kind::Property { .. } => match owner {
                Some((element, Some(element_type))) => {
                    property_fault(element, element_type, filled)
                }
                // Of an element that isn't there nothing can be said.
                _ => None,
            },
            Kind::Reference => {
                let name = filled.text.split('.').next().unwrap_or_default();
                let is_known = names.iter().any(|n| n == name);
                (!is_known).then(|| Fault::NoSuchName { name: name.into() })
            }
            Kind::Link => caps_fault(&filled.text),
            _ => None,
        };
        problems.extend(found.map(|fault| Problem {
            place: template.place(filled.word.range.start),
            fault,
        }));
    }
    problems
}

fn property_fault(element: &str, element_type: glib::Type, filled: &Filled) -> Option<Fault> {
    let (property, value) = filled.text.split_once('=')?;
    // Properties of an element's children, which may not exist yet.
    if property.contains("::") {
        return None;
    }
    let (element, property) = (element.to_string(), property.to_string());
    let class = glib::object::ObjectClass::from_type(element_type)?;
    let Some(pspec) = class.find_property(&property) else {
        let similar = class
            .list_properties()
            .iter()
            .map(|p| p.name())
            .filter(|name| is_similar(name, &property))
            .map(String::from)
            .next();
        return Some(Fault::NoProperty {
            element,
            property,
            similar,
        });
    };
    if !pspec.flags().contains(glib::ParamFlags::WRITABLE) {
        return Some(Fault::ReadOnly { element, property });
    }
    if pspec.value_type().is_a(gst::Element::static_type()) {
        return filled
            .is_text
            .then_some(Fault::ElementFromValue { element, property });
    }
    let value = unquote(value);
    let fits = glib::Value::deserialize_with_pspec(&value, &pspec)
        .is_ok_and(|value| limits(&pspec).is_none_or(|limits| limits.hold(&value)));
    (!fits).then(|| Fault::BadValue {
        element,
        property,
        value,
        expected: expected(&pspec),
    })
}

/// The least and the greatest number that a property takes. GStreamer only warns of others, and then
/// leaves the property as it was.
struct Limits {
    min: glib::Value,
    max: glib::Value,
}

impl Limits {
    fn hold(&self, value: &glib::Value) -> bool {
        value.compare(&self.min).is_some_and(|o| o.is_ge())
            && value.compare(&self.max).is_some_and(|o| o.is_le())
    }
}

fn limits(pspec: &glib::ParamSpec) -> Option<Limits> {
    macro_rules! of {
        ($($spec:ty),*) => {
            $(if let Some(p) = pspec.downcast_ref::<$spec>() {
                return Some(Limits { min: p.minimum().to_value(), max: p.maximum().to_value() });
            })*
        };
    }
    of!(
        glib::ParamSpecInt,
        glib::ParamSpecUInt,
        glib::ParamSpecInt64,
        glib::ParamSpecUInt64,
        glib::ParamSpecFloat,
        glib::ParamSpecDouble
    );
    None
}

/// What a property takes, in words.
fn expected(pspec: &glib::ParamSpec) -> String {
    if let Some(Limits { min, max }) = limits(pspec) {
        let text = |v: glib::Value| v.serialize().unwrap_or_default();
        return format!("a number from {} to {}", text(min), text(max));
    }
    if let Some(class) = glib::EnumClass::with_type(pspec.value_type()) {
        let nicks: Vec<&str> = class.values().iter().map(|v| v.nick()).collect();
        return format!("one of {}", nicks.join(", "));
    }
    if let Some(class) = glib::FlagsClass::with_type(pspec.value_type()) {
        let nicks: Vec<&str> = class.values().iter().map(|v| v.nick()).collect();
        return format!("any of {}, joined by +,", nicks.join(", "));
    }
    match pspec.value_type() {
        glib::Type::BOOL => "true or false".into(),
        other => format!("a {other}"),
    }
}

fn caps_fault(link: &str) -> Option<Fault> {
    let caps = link.trim_matches(['!', ':']).trim();
    let is_bad = !caps.is_empty() && caps.parse::<gst::Caps>().is_err();
    is_bad.then(|| Fault::BadCaps { caps: caps.into() })
}

fn element_type(factory: &str) -> Option<glib::Type> {
    let factory = gst::ElementFactory::find(factory)?.load().ok()?;
    let element_type = factory.element_type();
    element_type.is_valid().then_some(element_type)
}

/// One or two letters wrong, missing, too many or in the wrong order.
fn is_similar(a: &str, b: &str) -> bool {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let prefix = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let suffix = a[prefix..]
        .iter()
        .rev()
        .zip(b[prefix..].iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    a.len().max(b.len()) - prefix - suffix <= 2
}

fn explicit_name(filled: &Filled) -> Option<String> {
    match filled.word.kind {
        Kind::Property { .. } => filled.text.strip_prefix("name=").map(unquote),
        _ => None,
    }
}

/// The word that a message of GStreamer's parser is about: it names elements by the name they got,
/// which is the explicit one or else the factory's with a number.
pub(super) fn culprit<'a>(words: &'a [Filled], message: &str) -> Option<&'a Filled> {
    let mentioned: Vec<&str> = message
        .split(|c: char| c.is_whitespace() || ",\"[]".contains(c))
        .filter(|w| !w.is_empty())
        .collect();
    let elements: Vec<(&Filled, Option<String>)> = words
        .iter()
        .enumerate()
        .filter(|(_, w)| w.word.kind == Kind::Element)
        .map(|(i, w)| {
            let name = words[i + 1..]
                .iter()
                .take_while(|w| matches!(w.word.kind, Kind::Property { .. } | Kind::Preset))
                .find_map(explicit_name);
            (w, name)
        })
        .collect();
    let is_mentioned = |(filled, name): &(&Filled, Option<String>)| {
        mentioned.iter().any(|m| match name {
            Some(name) => m == name,
            None => m
                .strip_prefix(filled.text.as_str())
                .is_some_and(|n| n.chars().all(|c| c.is_ascii_digit())),
        })
    };
    // Of two elements side by side, the link between them is meant.
    let pair = elements
        .windows(2)
        .find(|pair| pair.iter().all(is_mentioned))
        .map(|pair| pair[0].0);
    pair.or_else(|| elements.iter().find(|e| is_mentioned(e)).map(|e| e.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names() {
        assert!(is_similar("bitrate", "bitrat"));
        assert!(is_similar("bitrate", "birtate"));
        assert!(!is_similar("bitrate", "location"));
    }
}
