//! Splits gst-launch text into its words, as GStreamer's own parser does, and remembers where each
//! stands: GStreamer's messages carry no line numbers.

use std::ops::Range;

/// A fault in the text, at a byte offset.
#[derive(Debug, PartialEq)]
pub struct Fault {
    pub offset: usize,
    pub reason: String,
}

impl Fault {
    pub fn new(offset: usize, reason: impl Into<String>) -> Self {
        Self {
            offset,
            reason: reason.into(),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Kind {
    Element,
    /// `property=value`; `value` is where its text begins, relative to the word's own beginning.
    Property {
        value: usize,
    },
    /// `!` or `:`, with the caps filter where there is one.
    Link,
    /// `name.` or `name.pad`
    Reference,
    /// `.pad`, or a further pad after a comma
    Pad,
    Comma,
    Open,
    Close,
    Preset,
    Uri,
}

/// One word of the text.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Word {
    pub kind: Kind,
    pub range: Range<usize>,
}

/// A `${name}` within the text.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Hole {
    pub name: String,
    pub range: Range<usize>,
}

/// Puts spaces in place of comments, so that offsets stay those of the file. A `#` begins a comment
/// at the start of a word; inside a word or in quotes it is an ordinary character.
pub fn blank_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut before = ' ';
    let mut in_comment = false;
    for c in text.chars() {
        if c == '\n' {
            in_comment = false;
        } else if !in_comment && quote.is_none() && c == '#' && before.is_whitespace() {
            in_comment = true;
        }
        if in_comment {
            // As many bytes as the character had.
            out.extend(std::iter::repeat_n(' ', c.len_utf8()));
            continue;
        }
        match quote {
            Some(q) if c == q && before != '\\' => quote = None,
            // Only a value can be quoted: elsewhere an apostrophe is just a fault to be reported.
            None if matches!(c, '"' | '\'') && before != '\\' => quote = Some(c),
            _ => {}
        }
        before = c;
        out.push(c);
    }
    out
}

/// All holes of `text`, whose first byte is at `start` of the file.
pub fn holes(text: &str, start: usize) -> Result<Vec<Hole>, Fault> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|i| from + i) {
        let name_at = at + 2;
        let length = text[name_at..]
            .find(|c: char| !is_name_char(c))
            .unwrap_or(text.len() - name_at);
        let end = name_at + length;
        if length == 0 || !text[end..].starts_with('}') {
            return Err(Fault::new(
                start + at,
                "a hole is written `${name}`, with a name of letters, digits and `-`",
            ));
        }
        found.push(Hole {
            name: text[name_at..end].into(),
            range: start + at..start + end + 1,
        });
        from = end + 1;
    }
    Ok(found)
}

pub fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// Splits `text` (comments already blanked) into words.
pub fn words(text: &str) -> Result<Vec<Word>, Fault> {
    let mut words = Vec::new();
    let mut at = skip_space(text, 0);
    while at < text.len() {
        let word = word(text, at)?;
        at = skip_space(text, word.range.end);
        words.push(word);
    }
    check_order(&words)?;
    Ok(words)
}

fn word(text: &str, at: usize) -> Result<Word, Fault> {
    let rest = &text[at..];
    let found = |kind, length| {
        Ok(Word {
            kind,
            range: at..at + length,
        })
    };
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        '!' | ':' => return link(text, at),
        ',' => return found(Kind::Comma, 1),
        '(' => return found(Kind::Open, 1),
        ')' => return found(Kind::Close, 1),
        '.' => {
            return match identifier(&rest[1..]) {
                0 => Err(Fault::new(at, "`.` needs the name of a pad")),
                length => found(Kind::Pad, 1 + length),
            };
        }
        _ => {}
    }
    if rest.starts_with("@preset") {
        let equals = skip_space(rest, "@preset".len());
        if !rest[equals..].starts_with('=') {
            return Err(Fault::new(at, "`@preset` needs `=` and a name"));
        }
        let value = skip_space(rest, equals + 1);
        return found(Kind::Preset, value + value_length(rest, value, at)?);
    }
    let name = identifier(rest);
    if name == 0 {
        return Err(Fault::new(at, format!("`{first}` can't stand here")));
    }
    let protocol = rest[..name].trim_end_matches(':');
    if rest[protocol.len()..].starts_with("://") {
        let length = bare_length(rest);
        return found(Kind::Uri, length);
    }
    let equals = skip_space(rest, name);
    if rest[equals..].starts_with('=') {
        let value = skip_space(rest, equals + 1);
        let length = value_length(rest, value, at)?;
        return found(Kind::Property { value }, value + length);
    }
    if rest[name..].starts_with('/') {
        return Err(Fault::new(
            at,
            format!(
                "`{}` is a caps filter and must stand between two `!`",
                &rest[..bare_length(rest)]
            ),
        ));
    }
    let dot = skip_space(rest, name);
    if rest[dot..].starts_with('.') {
        let open = skip_space(rest, dot + 1);
        if rest[open..].starts_with('(') {
            return found(Kind::Open, open + 1);
        }
    }
    if rest[name..].starts_with('.') {
        return found(Kind::Reference, name + 1 + identifier(&rest[name + 1..]));
    }
    found(Kind::Element, name)
}

/// A link operator, and the caps filter with the second operator where there is one.
fn link(text: &str, at: usize) -> Result<Word, Fault> {
    let rest = &text[at..];
    let caps = skip_space(rest, 1);
    let media = rest[caps..]
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-${}".contains(c)))
        .unwrap_or(0);
    let is_caps = media > 0
        && rest[caps + media..].starts_with('/')
        && !rest[caps + media..].starts_with("//");
    if !is_caps {
        return Ok(Word {
            kind: Kind::Link,
            range: at..at + 1,
        });
    }
    let mut escaped = false;
    for (i, c) in rest[caps..].char_indices() {
        if c == '!' && !escaped {
            return Ok(Word {
                kind: Kind::Link,
                range: at..at + caps + i + 1,
            });
        }
        escaped = c == '\\' && !escaped;
    }
    Err(Fault::new(
        at + caps,
        "a caps filter must be followed by `!` and an element",
    ))
}

/// Bytes of the identifier that `text` begins with; a hole may be part of it.
fn identifier(text: &str) -> usize {
    let mut end = 0;
    while let Some(c) = text[end..].chars().next() {
        if text[end..].starts_with("${") {
            match text[end..].find('}') {
                Some(close) => end += close + 1,
                None => break,
            }
        } else if c.is_ascii_alphanumeric() || c == '_' || (end > 0 && "-%:".contains(c)) {
            end += 1;
        } else {
            break;
        }
    }
    end
}

/// Bytes of the value that begins at `value` of `rest`.
fn value_length(rest: &str, value: usize, at: usize) -> Result<usize, Fault> {
    let text = &rest[value..];
    match text.chars().next() {
        None => Err(Fault::new(at, "a value is missing after `=`")),
        Some(q @ ('"' | '\'')) => {
            let mut before = q;
            for (i, c) in text.char_indices().skip(1) {
                if c == q && before != '\\' {
                    // A closing quote with text right after it makes the whole an unquoted value.
                    let bare = bare_length(text);
                    return Ok(bare.max(i + 1));
                }
                before = c;
            }
            Err(Fault::new(
                at + value,
                format!("the quote {q} is never closed"),
            ))
        }
        Some(_) => Ok(bare_length(text)),
    }
}

/// Bytes up to the next blank that no backslash precedes. To the parser, which takes the longest
/// match, a backslash escapes a blank even where it is itself escaped.
fn bare_length(text: &str) -> usize {
    let mut before = ' ';
    for (i, c) in text.char_indices() {
        if c.is_ascii_whitespace() && (before != '\\' || c == '\n') {
            return i;
        }
        before = c;
    }
    text.len()
}

fn skip_space(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_ascii_start().len()
}

/// The faults for which GStreamer would only say `syntax error`.
fn check_order(words: &[Word]) -> Result<(), Fault> {
    let mut open = Vec::new();
    let mut previous: Option<&Word> = None;
    for word in words {
        let start = word.range.start;
        let after_link = previous.is_none_or(|w| matches!(w.kind, Kind::Link | Kind::Open));
        match word.kind {
            Kind::Link if after_link => {
                return Err(Fault::new(start, "`!` has no element before it"));
            }
            Kind::Property { .. } | Kind::Preset
                if !matches!(
                    previous.map(|w| w.kind),
                    Some(
                        Kind::Element
                            | Kind::Property { .. }
                            | Kind::Preset
                            | Kind::Open
                            | Kind::Close
                    )
                ) =>
            {
                return Err(Fault::new(start, "a property must follow its element"));
            }
            Kind::Open => open.push(start),
            Kind::Close if open.pop().is_none() => {
                return Err(Fault::new(start, "`)` closes nothing"));
            }
            _ => {}
        }
        previous = Some(word);
    }
    if let Some(start) = open.pop() {
        return Err(Fault::new(start, "this `(` is never closed"));
    }
    match previous {
        None => Err(Fault::new(0, "there is no pipeline in it")),
        Some(w) if w.kind == Kind::Link => {
            Err(Fault::new(w.range.end - 1, "`!` has no element after it"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(&str, Kind)> {
        words(text)
            .unwrap()
            .into_iter()
            .map(|w| (&text[w.range], w.kind))
            .collect()
    }

    #[test]
    fn words_are_those_of_gstreamer() {
        let text = "a name=x!y ! video/x-raw, format=(string)I420 , width=3 ! b.sink_0  \
                    c p = \"q r\"!t. t. ! ( d ) file:///tmp/x ! e .src ! .sink f";
        assert_eq!(
            split(text),
            [
                ("a", Kind::Element),
                ("name=x!y", Kind::Property { value: 5 }),
                ("! video/x-raw, format=(string)I420 , width=3 !", Kind::Link),
                ("b.sink_0", Kind::Reference),
                ("c", Kind::Element),
                ("p = \"q r\"", Kind::Property { value: 4 }),
                ("!", Kind::Link),
                ("t.", Kind::Reference),
                ("t.", Kind::Reference),
                ("!", Kind::Link),
                ("(", Kind::Open),
                ("d", Kind::Element),
                (")", Kind::Close),
                ("file:///tmp/x", Kind::Uri),
                ("!", Kind::Link),
                ("e", Kind::Element),
                (".src", Kind::Pad),
                ("!", Kind::Link),
                (".sink", Kind::Pad),
                ("f", Kind::Element),
            ]
        );
    }

    #[test]
    fn comments_vanish_but_values_keep_their_hash() {
        let text = "# é\na location=x#y p=\"# z\" # tail ! b\n! c";
        let blanked = blank_comments(text);
        assert_eq!(blanked.len(), text.len());
        assert_eq!(
            split(&blanked).iter().map(|w| w.0).collect::<Vec<_>>(),
            ["a", "location=x#y", "p=\"# z\"", "!", "c"]
        );
    }

    #[test]
    fn an_apostrophe_in_a_comment_opens_no_quote() {
        let blanked = blank_comments("# the face's\na ! b # can't\n! c");
        assert_eq!(split(&blanked).len(), 5);
    }

    #[test]
    fn faults_have_a_place() {
        for (text, offset) in [
            ("a ! ! b", 4),
            ("! a", 0),
            ("a ! b !", 6),
            ("a ! p=3 b", 4),
            ("a p=\"x ! b", 4),
            ("a ! video/x-raw", 4),
            ("a video/x-raw ! b", 2),
            ("a ! ( b", 4),
            ("a ) ! b", 2),
            ("a ! ; b", 4),
            ("  ", 0),
        ] {
            assert_eq!(words(text).map_err(|f| f.offset), Err(offset), "{text}");
        }
    }
}
