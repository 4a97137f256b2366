//! The text of a table, however a spreadsheet has saved it.

/// What is wrong with a text that can't be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A mark says UTF-16, and what follows is not.
    #[error("it is UTF-16, and a part of it can't be read")]
    BadUtf16,
}

/// What a line is told that is not UTF-8: in any other encoding a name can't be told from another.
pub const NOT_UTF8: &str = "it is not UTF-8; save the list as `CSV UTF-8`, for in any other encoding a name can't be told from another";

/// The text without the mark in front: UTF-8, or UTF-16 where a mark or the first letter says so. With it, whether some of it is
/// neither: there the text has the replacement character.
pub fn decode(bytes: &[u8]) -> Result<(String, bool), Error> {
    if let Some(rest) = bytes.strip_prefix(&[0xff, 0xfe]) {
        return utf16(rest, u16::from_le_bytes).map(|text| (text, false));
    }
    if let Some(rest) = bytes.strip_prefix(&[0xfe, 0xff]) {
        return utf16(rest, u16::from_be_bytes).map(|text| (text, false));
    }
    // A list begins with a letter or a sign of ASCII, whose other half is zero, also without the mark.
    let unmarked = match bytes {
        [a, 0, ..] if *a > 0 => Some(utf16(bytes, u16::from_le_bytes)),
        [0, b, ..] if *b > 0 => Some(utf16(bytes, u16::from_be_bytes)),
        _ => None,
    };
    if let Some(text) = unmarked {
        return text.map(|text| (text, false));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let is_mixed = std::str::from_utf8(bytes).is_err();
    Ok((String::from_utf8_lossy(bytes).into_owned(), is_mixed))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().copied().map(unit)).collect::<Result<_, _>>();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err(Error::BadUtf16),
    }
}

/// What stands between the columns: where a comma is a decimal sign, spreadsheets take a semicolon.
pub fn delimiter(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty());
    let header = header.unwrap_or_default();
    let count = |delimiter: u8| header.bytes().filter(|byte| *byte == delimiter).count();
    // The comma, where nothing is more frequent.
    [b';', b'\t']
        .into_iter()
        .filter(|delimiter| count(*delimiter) > count(b','))
        .max_by_key(|delimiter| count(*delimiter))
        .unwrap_or(b',')
}

/// The text with its comments made empty, so that lines keep their numbers. A comment is a line of its
/// own that begins with `# `; a name may begin with `#`.
pub fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut is_quoted = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        if !is_quoted && (content == "#" || content.starts_with("# ")) {
            plain.push_str(&line[content.len()..]);
            continue;
        }
        is_quoted ^= line.matches('"').count() % 2 == 1;
        plain.push_str(line);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_spreadsheets_save_them() {
        let expected = "face;臉\n";
        let encode = |order: fn(u16) -> [u8; 2], mark: [u8; 2]| -> Vec<u8> {
            mark.into_iter()
                .chain(expected.encode_utf16().flat_map(order))
                .collect()
        };
        let little = encode(u16::to_le_bytes, [0xff, 0xfe]);
        assert_eq!(decode(&little), Ok((expected.to_owned(), false)));
        let big = encode(u16::to_be_bytes, [0xfe, 0xff]);
        assert_eq!(decode(&big), Ok((expected.to_owned(), false)));
        assert_eq!(decode(&big[2..]), Ok((expected.to_owned(), false)));
        assert_eq!(decode(&little[2..]), Ok((expected.to_owned(), false)));
        let marked = [b"\xef\xbb\xbf", expected.as_bytes()].concat();
        assert_eq!(decode(&marked), Ok((expected.to_owned(), false)));
        assert_eq!(decode(&little[..little.len() - 1]), Err(Error::BadUtf16));
        // GBK, in the second line.
        let foreign = decode(b"face,speech\n\xc1\xb3.mp4,s.wav\n");
        let (text, is_mixed) = foreign.unwrap();
        assert!(
            is_mixed && text.starts_with("face,speech\n\u{fffd}"),
            "{text}"
        );
    }

    #[test]
    fn columns_are_divided_by_what_the_header_has_most_of() {
        assert_eq!(delimiter("face,speech\n"), b',');
        assert_eq!(delimiter("\nface;speech;set.x,y\n"), b';');
        assert_eq!(delimiter("face\tspeech\n"), b'\t');
        assert_eq!(delimiter("face\n"), b',');
    }

    #[test]
    fn a_name_may_begin_with_what_begins_a_comment() {
        let text = "# a list\n#1.mp4,s.wav\r\n# later\r\n#\n\"a\n# b\",c\n";
        let expected = "\n#1.mp4,s.wav\r\n\r\n\n\"a\n# b\",c\n";
        assert_eq!(without_comments(text), expected);
    }
}
