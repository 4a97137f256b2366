//! What a template says once for every speaker:
//!
//! ```text
//! #! param speech: uri* -- "What each speaker says"
//!
//! #! each speaker
//! speechsource uri=${speech} ! audioconvert ! audioresample ! lipsync.audio_${speaker}
//! #! end
//! ```
//!
//! For two speakers that is written out twice, with the parameters `speech-0` and `speech-1` in place of
//! `speech`, and 0 and 1 in place of `speaker`.

use super::scan::{self, Fault};

/// The number of the speaker, within what is said for each.
const SPEAKER: &str = "speaker";

/// Writes out what `text` says for each speaker. `source` is the file with its `#!` lines, of which `text`
/// has blanks; offsets in both are the same. `names` are the parameters that each speaker has. Lines stay
/// where they are. Tells too whether there is any such part.
pub fn written_out(
    source: &str,
    text: &str,
    speakers: usize,
    names: &[String],
) -> Result<(String, bool), Fault> {
    let mut out = String::with_capacity(text.len());
    let mut begun: Option<usize> = None;
    let mut found = false;
    let mut offset = 0;
    for line in source.split_inclusive('\n') {
        let end = offset + line.len();
        match line.trim_end() {
            "#! each speaker" if begun.is_none() => begun = Some(end),
            "#! end" => {
                let start = begun
                    .take()
                    .ok_or_else(|| Fault::new(offset, "there is no `#! each speaker` before it"))?;
                found = true;
                for speaker in 0..speakers {
                    let part = for_speaker(&text[start..offset], start, speaker, names)?;
                    match speaker {
                        0 => out.push_str(&part),
                        // Further ones on the last line, so that the rest stays on its own.
                        _ => out.push_str(&part.replace('\n', " ")),
                    }
                }
            }
            _ => {}
        }
        if begun.is_none() {
            out.push_str(&text[offset..end]);
        } else if begun == Some(end) {
            out.push('\n');
        }
        offset = end;
    }
    match begun {
        Some(start) => Err(Fault::new(start, "`#! each speaker` has no `#! end`")),
        None => Ok((out, found)),
    }
}

fn for_speaker(
    part: &str,
    start: usize,
    speaker: usize,
    names: &[String],
) -> Result<String, Fault> {
    let mut out = String::with_capacity(part.len());
    let mut from = 0;
    for hole in scan::holes(part, start)? {
        let range = hole.range.start - start..hole.range.end - start;
        out.push_str(&part[from..range.start]);
        from = range.end;
        if hole.name == SPEAKER {
            out.push_str(&speaker.to_string());
        } else if names.contains(&hole.name) {
            out.push_str(&format!("${{{}-{speaker}}}", hole.name));
        } else {
            out.push_str(&part[range]);
        }
    }
    out.push_str(&part[from..]);
    Ok(out)
}
