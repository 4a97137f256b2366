//! Writes values so that GStreamer's parser, and after it a shell, read them back unchanged.

use std::borrow::Cow;

/// Quotes `value` for the right side of `property=`, as GStreamer's parser reads it.
///
/// The parser takes off one level of backslashes, and a string that then stands in `"` is unwrapped
/// once more, with `\ooo` for bytes that can't be written. The parser itself can't escape a newline;
/// so control characters go through that second level, and all else through the first.
pub fn for_parser(value: &str) -> Cow<'_, str> {
    quote(value, needs_wrapping(value), is_plain)
}

/// As [`for_parser`], for an argument of gst-launch. That puts a backslash before each space of its
/// arguments, unless a `"` went before, be it escaped or not: so spaces are left to it, and none may
/// follow a `"`.
pub fn for_command_line(value: &str) -> Cow<'_, str> {
    let wrap = needs_wrapping(value) || value.contains('"');
    quote(value, wrap, |c| is_plain(c) || c == ' ')
}

fn quote(value: &str, wrap: bool, is_plain: impl Fn(char) -> bool) -> Cow<'_, str> {
    if value.is_empty() {
        return "\"\"".into();
    }
    let value = if wrap {
        Cow::Owned(wrapped(value))
    } else {
        Cow::Borrowed(value)
    };
    if value.chars().all(&is_plain) {
        return value;
    }
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        if !is_plain(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.into()
}

/// Strings that GStreamer's string type would read as something else, or the parser not at all: to
/// it a backslash at the end escapes the blank that follows, though it is escaped itself.
fn needs_wrapping(value: &str) -> bool {
    value == "NULL"
        || value.ends_with('\\')
        || (value.starts_with('"') && value.ends_with('"'))
        || value.chars().any(char::is_control)
}

/// Characters that mean nothing to the parser within a value. Beyond ASCII nothing does.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./:%+@,=".contains(c) || !c.is_ascii()
}

/// The form that GStreamer's string type reads: in quotes, control bytes and spaces in octal.
fn wrapped(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        if c.is_control() || c == ' ' || c == '"' || !c.is_ascii() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.push_str(&format!("\\{byte:03o}"));
            }
        } else {
            if !(c.is_ascii_alphanumeric() || "_-+/:.".contains(c)) {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out.push('"');
    out
}

/// Takes off what the parser takes off the text behind `property=`.
pub fn unquote(text: &str) -> String {
    let inner = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .unwrap_or(text);
    let mut out = String::with_capacity(inner.len());
    let mut in_quotes = false;
    let mut before = ' ';
    let mut chars = inner.chars();
    while let Some(mut c) = chars.next() {
        if c == '\\' && !in_quotes {
            let Some(escaped) = chars.next() else { break };
            c = escaped;
        } else if c == '"' && (!in_quotes || before != '\\') {
            in_quotes = !in_quotes;
        }
        before = c;
        out.push(c);
    }
    out
}

/// The arguments of gst-launch for a word of the template's own text: a caps filter is split at its
/// blanks, and an escaped space loses its escape, because gst-launch puts it back.
pub fn arguments(word: &str) -> Vec<String> {
    if !word.starts_with(['!', ':']) {
        return vec![word.replace("\\ ", " ")];
    }
    let mut arguments = vec![String::new()];
    let mut in_quotes = false;
    for c in word.chars() {
        in_quotes ^= c == '"';
        match arguments.last_mut() {
            Some(last) if !c.is_ascii_whitespace() || in_quotes => last.push(c),
            _ => arguments.push(String::new()),
        }
    }
    arguments.retain(|a| !a.is_empty());
    arguments
}

/// Quotes one word for a POSIX shell.
pub fn for_shell(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:%+@,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(for_parser("file:///a/b-c_1.mp4"), "file:///a/b-c_1.mp4");
        assert_eq!(for_parser("张三.mp4"), "张三.mp4");
        assert_eq!(for_parser("a ! b"), r"a\ \!\ b");
        assert_eq!(for_parser(""), "\"\"");
        assert_eq!(for_parser("a\nb"), r#"\"a\\012b\""#);
        assert_eq!(for_command_line("a ! b"), r"a \! b");
    }

    #[test]
    fn no_space_follows_a_quote_on_a_command_line() {
        let quoted = for_command_line("a\"b c");
        assert_eq!(quoted, r#"\"a\\042b\\040c\""#);
    }

    #[test]
    fn a_shell_reads_the_word_back() {
        for word in ["", "a b", "it's", "$HOME `x` \\", "!", "-e", "a\nb", "🎤"] {
            let out = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", for_shell(word)))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
