//! The parameters of a template: their declarations, and the check that turns text into a value.

use std::path::Path;

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A whole number.
    Int {
        /// The least that it may be.
        min: i64,
        /// The most that it may be.
        max: i64,
    },
    /// A number.
    Float {
        /// The least that it may be.
        min: f64,
        /// The most that it may be.
        max: f64,
    },
    /// `true` or `false`.
    Bool,
    /// Two whole numbers, as in `30000/1001`.
    Fraction,
    /// A span of time, signed: `250ms`, `-1.5s`, `2min`, `1:02:03.5`, or a number of nanoseconds.
    Time,
    /// One of these words.
    Choice(Vec<String>),
    /// Any text.
    String,
    /// A file name, as it is.
    Path,
    /// A URI, or a file name that becomes one.
    Uri,
}

impl Kind {
    /// True where a value may hold any character. Such a value must stand alone behind `property=`.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::Path | Self::Uri)
    }

    /// A value that fits, to check a template with.
    pub(in crate::pipeline) fn example(&self) -> String {
        match self {
            Self::Int { min, max } => 1.clamp(*min, *max).to_string(),
            Self::Float { min, max } => 1.0f64.clamp(*min, *max).to_string(),
            Self::Bool => "true".into(),
            Self::Fraction => "25/1".into(),
            Self::Time => "0".into(),
            Self::Choice(choices) => choices.first().cloned().unwrap_or_default(),
            Self::String | Self::Path => "example".into(),
            Self::Uri => "file:///example".into(),
        }
    }

    /// Checks `value` and gives the text that GStreamer understands, still unquoted; or says what
    /// was expected.
    pub fn normalise(&self, value: &str) -> Result<String, String> {
        let expected = || Err(format!("{self} is expected"));
        match self {
            Self::Int { min, max } => match value.parse::<i64>() {
                Ok(n) if (*min..=*max).contains(&n) => Ok(n.to_string()),
                _ => expected(),
            },
            Self::Float { min, max } => match value.parse::<f64>() {
                Ok(n) if n.is_finite() && (*min..=*max).contains(&n) => Ok(n.to_string()),
                _ => expected(),
            },
            Self::Bool => match value {
                "true" | "yes" | "on" | "1" => Ok("true".into()),
                "false" | "no" | "off" | "0" => Ok("false".into()),
                _ => expected(),
            },
            Self::Fraction => match fraction(value) {
                Some((n, d)) => Ok(format!("{n}/{d}")),
                None => expected(),
            },
            Self::Time => match nanoseconds(value) {
                Some(ns) => Ok(ns.to_string()),
                None => expected(),
            },
            Self::Choice(choices) => match choices.iter().any(|c| c == value) {
                true => Ok(value.into()),
                false => expected(),
            },
            Self::String | Self::Path if value.contains('\0') => {
                Err("text without a NUL character is expected".into())
            }
            Self::String => Ok(value.into()),
            Self::Path if value.is_empty() => expected(),
            Self::Path => Ok(value.into()),
            Self::Uri => uri(value),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int { min, max } if (*min, *max) == (i64::MIN, i64::MAX) => {
                f.write_str("a whole number")
            }
            Self::Int { min, max: i64::MAX } => write!(f, "a whole number from {min} up"),
            Self::Int { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Float { min, max } if (*min, *max) == (f64::MIN, f64::MAX) => {
                f.write_str("a number")
            }
            Self::Float { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Bool => f.write_str("true or false"),
            Self::Fraction => f.write_str("a rate such as 25 or 30000/1001"),
            Self::Time => f.write_str("a time such as 250ms, -1.5s or 1:02:03"),
            Self::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Self::String => f.write_str("text"),
            Self::Path => f.write_str("a file name"),
            Self::Uri => f.write_str("a file name or a URI"),
        }
    }
}

/// One declared parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// As in `${name}`.
    pub name: String,
    /// What it takes.
    pub kind: Kind,
    /// What it is when no value is set.
    pub default: Default,
    /// A sentence for who sets it.
    pub help: String,
}

/// What a parameter is when no value is set.
#[derive(Clone, Debug, PartialEq)]
pub enum Default {
    /// A value must be set.
    Required,
    /// The property is left out, so that the element's own default holds.
    LeftOut,
    /// This, written as a value is.
    Value(String),
}

impl Param {
    /// The same of one of several speakers.
    pub(super) fn of_speaker(&self, speaker: usize) -> Self {
        Self {
            name: format!("{}-{speaker}", self.name),
            ..self.clone()
        }
    }
}

/// Reads what follows `#! param`: `name: type = default -- "help"`; `type?` may be left out. Tells too
/// whether each speaker has it: `type*`.
pub(super) fn declaration(text: &str) -> Result<(Param, bool), String> {
    const SHAPE: &str = "a parameter is declared as `#! param name: type = default -- \"help\"`";
    let (head, help) = text.split_once(" -- ").ok_or(SHAPE)?;
    let help = help.trim();
    let help = help
        .strip_prefix('"')
        .and_then(|h| h.strip_suffix('"'))
        .unwrap_or(help);
    let (name, rest) = head.split_once(':').ok_or(SHAPE)?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(super::scan::is_name_char) {
        return Err(format!(
            "`{name}` is no name for a parameter: letters, digits and `-` are"
        ));
    }
    let (kind, default) = match rest.split_once('=') {
        Some((kind, default)) => (kind.trim(), Some(default.trim())),
        None => (rest.trim(), None),
    };
    let (kind, is_each) = match kind.strip_suffix('*') {
        Some(kind) => (kind.trim_end(), true),
        None => (kind, false),
    };
    let (kind, optional) = match kind.strip_suffix('?') {
        Some(kind) => (kind.trim_end(), true),
        None => (kind, false),
    };
    let kind = parse_kind(kind)?;
    let default = match default {
        Some(_) if optional => return Err("a parameter with a default needs no `?`".into()),
        Some(value) => {
            let value = value
                .strip_prefix('"')
                .and_then(|v| v.strip_suffix('"'))
                .unwrap_or(value);
            kind.normalise(value)
                .map_err(|expected| format!("the default `{value}` doesn't fit: {expected}"))?;
            Default::Value(value.into())
        }
        None if optional => Default::LeftOut,
        None => Default::Required,
    };
    let param = Param {
        name: name.into(),
        kind,
        default,
        help: help.into(),
    };
    Ok((param, is_each))
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(arguments) => (name.trim(), Some(arguments.trim())),
            None => return Err(format!("`{text}` lacks its `)`")),
        },
        None => (text, None),
    };
    let kind = match (name, arguments) {
        ("int", range) => {
            let (min, max) = limits(range, i64::MIN, i64::MAX)?;
            Kind::Int { min, max }
        }
        ("float", range) => {
            let (min, max) = limits(range, f64::MIN, f64::MAX)?;
            Kind::Float { min, max }
        }
        ("choice", Some(choices)) => {
            let choices: Vec<String> = choices.split('|').map(|c| c.trim().into()).collect();
            // What may stand anywhere in a pipeline must mean nothing to its parser.
            let is_word = |c: &String| {
                !c.is_empty()
                    && c.chars()
                        .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
            };
            match choices.iter().find(|c| !is_word(c)) {
                Some(bad) => {
                    return Err(format!(
                        "the choice `{bad}` may have letters, digits, `-`, `_` and `.` only"
                    ));
                }
                None => Kind::Choice(choices),
            }
        }
        ("bool", None) => Kind::Bool,
        ("fraction", None) => Kind::Fraction,
        ("time", None) => Kind::Time,
        ("string", None) => Kind::String,
        ("path", None) => Kind::Path,
        ("uri", None) => Kind::Uri,
        _ => {
            return Err(format!(
                "`{text}` is no type: int, int(0..9), float, float(0..1), bool, fraction, time, \
                 string, path, uri and choice(a|b) are"
            ));
        }
    };
    Ok(kind)
}

fn limits<T: std::str::FromStr + PartialOrd>(
    range: Option<&str>,
    lowest: T,
    highest: T,
) -> Result<(T, T), String> {
    let Some(range) = range else {
        return Ok((lowest, highest));
    };
    let bound = |text: &str, open: T| match text.trim() {
        "" => Some(open),
        text => text.parse().ok(),
    };
    range
        .split_once("..")
        .and_then(|(min, max)| Some((bound(min, lowest)?, bound(max, highest)?)))
        .filter(|(min, max)| min <= max)
        .ok_or_else(|| format!("`{range}` is no range: 0..9 is"))
}

fn fraction(value: &str) -> Option<(i32, i32)> {
    let (n, d) = value.split_once('/').unwrap_or((value, "1"));
    let (n, d) = (n.parse().ok()?, d.parse().ok()?);
    (n >= 0 && d > 0).then_some((n, d))
}

/// A time such as `250ms`, `-1.5s` or `1:02:03`.
pub fn nanoseconds(value: &str) -> Option<i64> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, value),
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let seconds = if digits.contains(':') {
        let parts: Vec<&str> = digits.split(':').collect();
        let (last, whole) = parts.split_last()?;
        if whole.len() > 2 {
            return None;
        }
        let mut total = 0.0;
        for part in whole {
            total = (total + f64::from(part.parse::<u32>().ok()?)) * 60.0;
        }
        let last = last
            .parse::<f64>()
            .ok()
            .filter(|s| (0.0..60.0).contains(s))?;
        total + last
    } else if let Ok(ns) = digits.parse::<i64>() {
        return Some(sign * ns);
    } else {
        let unit = digits.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = digits.split_at(unit);
        let scale = match unit {
            "ns" => 1e-9,
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        number.trim_end().parse::<f64>().ok()? * scale
    };
    let ns = (seconds * 1e9).round();
    (ns.is_finite() && ns.abs() < i64::MAX as f64).then_some(sign * ns as i64)
}

fn uri(value: &str) -> Result<String, String> {
    if value.is_empty() || value.contains('\0') {
        return Err("a file name or a URI is expected".into());
    }
    let is_uri = value.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if is_uri {
        return Ok(value.into());
    }
    std::path::absolute(Path::new(value))
        .map_err(|e| e.to_string())
        .and_then(|path| {
            gst::glib::filename_to_uri(path, None)
                .map(Into::into)
                .map_err(|e| e.to_string())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        let p = declaration(r#"bitrate: int(1..) = 4000 -- "Video bitrate in kbit/s""#)
            .unwrap()
            .0;
        assert_eq!(p.name, "bitrate");
        assert_eq!(
            p.kind,
            Kind::Int {
                min: 1,
                max: i64::MAX
            }
        );
        assert_eq!(p.default, Default::Value("4000".into()));
        assert_eq!(p.help, "Video bitrate in kbit/s");
        assert_eq!(
            declaration("face: uri -- The face").unwrap().0.default,
            Default::Required
        );
        assert_eq!(
            declaration("model: path? -- The model").unwrap().0.default,
            Default::LeftOut
        );
        let (picture, is_each) = declaration("picture: path?* -- Who").unwrap();
        assert!(is_each && picture.default == Default::LeftOut);
        for bad in [
            "bitrate: int = 4000",
            "bitrate int -- x",
            "b: integer -- x",
            "b: int(9..0) -- x",
            "b: int(0..3) = 4 -- x",
            "b: choice(a|b !) -- x",
            "b c: int -- x",
            "b: int? = 3 -- x",
            "b: int(0..3 -- x",
        ] {
            assert!(declaration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        for (text, ns) in [
            ("0", 0_i64),
            ("-120", -120),
            ("250ms", 250_000_000),
            ("-1.5s", -1_500_000_000),
            ("2min", 120_000_000_000),
            ("1:02:03.5", 3_723_500_000_000),
            ("-0:01", -1_000_000_000),
        ] {
            assert_eq!(
                Kind::Time.normalise(text).as_deref(),
                Ok(ns.to_string().as_str()),
                "{text}"
            );
        }
        for bad in [
            "", "-", "--1", "1 ! s", "1s ", "1:60", "1:2:3:4", "nan", "infs", "1e400s",
        ] {
            assert!(Kind::Time.normalise(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn typed_values_are_words() {
        let word = |kind: &Kind, value: &str| kind.normalise(value).is_ok();
        let int = Kind::Int { min: 0, max: 51 };
        assert!(word(&int, "51") && !word(&int, "52") && !word(&int, "1 ! x") && !word(&int, ""));
        let float = Kind::Float { min: 0.0, max: 1.0 };
        assert!(word(&float, "0.5") && !word(&float, "NaN") && !word(&float, "0,5"));
        assert!(word(&Kind::Fraction, "30000/1001") && !word(&Kind::Fraction, "1/0"));
        assert!(word(&Kind::Bool, "yes") && !word(&Kind::Bool, "maybe"));
    }

    #[test]
    fn a_file_name_becomes_a_uri_and_a_uri_stays() {
        assert_eq!(
            Kind::Uri.normalise("/a b/ü#?.mp4").as_deref(),
            Ok("file:///a%20b/%C3%BC%23%3F.mp4")
        );
        assert_eq!(
            Kind::Uri.normalise("https://x/y?z").as_deref(),
            Ok("https://x/y?z")
        );
        assert!(
            Kind::Uri
                .normalise("-x: y.mp4")
                .is_ok_and(|u| u.ends_with("/-x:%20y.mp4"))
        );
    }
}
