//! What is odd about a file, as a viewer would notice it: pure functions of what was read.

use std::time::Duration;

use serde::Serialize;

use super::fps_of;
use super::{Kind, Picture, Reading, Stream, Trim};

/// Longer than this, a frame stands still for the eye, and a mouth with it.
pub const LONGEST_FRAME: Duration = Duration::from_millis(100);
/// Fewer frames a second than this are no movement.
pub const FEWEST: f64 = 12.0;
/// A packet of AAC or MP3 is not longer; by so much the sound may be off at its ends for what coders need.
const PACKET: Duration = Duration::from_millis(30);
/// A header's rate that is off by less is rounded.
const RATE_TOLERANCE: f64 = 0.02;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Oddity {
    pub level: Level,
    /// For programs: one word for each kind.
    pub kind: &'static str,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be, but worth to know: not every program heeds it.
    Note,
    /// Some players show or sound it wrong.
    Odd,
}

fn odd(kind: &'static str, text: String) -> Oddity {
    let level = Level::Odd;
    Oddity { level, kind, text }
}

fn note(kind: &'static str, text: String) -> Oddity {
    let level = Level::Note;
    Oddity { level, kind, text }
}

/// Seconds to the millisecond.
pub fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn times(count: usize) -> String {
    match count {
        1 => "once".into(),
        count => format!("{count} times"),
    }
}

/// All that is odd, in the order of the streams.
pub fn oddities(reading: &Reading) -> Vec<Oddity> {
    let mut found = Vec::new();
    let (video, audio) = (reading.longest(Kind::Video), reading.longest(Kind::Audio));
    match (video, audio) {
        (None, None) => found.push(odd("empty", "there is neither picture nor sound".into())),
        (None, _) => found.push(note("no-picture", "there is no picture".into())),
        (_, None) => found.push(note("no-sound", "there is no sound".into())),
        (Some(video), Some(audio)) => found.extend(together(video, audio)),
    }
    found.extend(claim(reading));
    for stream in &reading.streams {
        found.extend(of_stream(stream));
    }
    if !reading.tags.is_empty() {
        let tags = reading.tags.join(", ");
        found.push(note(
            "tags",
            format!("it carries {tags}: check before you publish it"),
        ));
    }
    for (kind, word) in [(Kind::Video, "picture"), (Kind::Audio, "sound")] {
        found.extend(several(reading, kind, word));
    }
    found
}

/// What of picture and sound does not fit together.
fn together(video: &Stream, audio: &Stream) -> Vec<Oddity> {
    let mut found = Vec::new();
    // A still picture, such as a cover, lasts as long as the sound.
    if video.times.len() < 2 {
        return found;
    }
    let frame = video.duration() / video.times.len() as u32;
    let limit = (frame + super::ROUNDING).max(PACKET);
    let (begin, end) = ("begins", "ends");
    for (word, picture, sound) in [
        (begin, video.start(), audio.start()),
        (end, video.end(), audio.end()),
    ] {
        let apart = picture.abs_diff(sound);
        if apart > limit {
            let side = if sound < picture { "before" } else { "after" };
            let kind = if word == begin {
                "sound-offset"
            } else {
                "lengths"
            };
            let apart = seconds(apart);
            found.push(odd(
                kind,
                format!("the sound {word} {apart} {side} the picture"),
            ));
        }
    }
    found
}

fn claim(reading: &Reading) -> Option<Oddity> {
    let claimed = reading.claimed?;
    let shown = reading.streams.iter().filter(|s| s.kind != Kind::Other);
    let longest = shown.max_by_key(|s| s.end())?;
    let slack = longest.slack().max(PACKET);
    (claimed.abs_diff(longest.end()) > slack).then(|| {
        let (claimed, is) = (seconds(claimed), seconds(longest.end()));
        let text = format!("the file says that it lasts {claimed}, but what is in it ends at {is}");
        odd("claimed-length", text)
    })
}

fn of_stream(stream: &Stream) -> Vec<Oddity> {
    let mut found = Vec::new();
    let name = match stream.kind {
        Kind::Video => "picture",
        Kind::Audio => "sound",
        Kind::Other => return found,
    };
    if stream.times.is_empty() {
        found.push(odd(
            "empty-track",
            format!("a track of {name} has nothing in it"),
        ));
        return found;
    }
    if stream.start() > LONGEST_FRAME {
        let start = seconds(stream.start());
        found.push(odd(
            "late-start",
            format!("the {name} begins at {start}, not at 0"),
        ));
    }
    // What a coder of sound puts before its first sample is skipped by every program.
    let if_heard = match stream.kind {
        Kind::Audio => LONGEST_FRAME,
        _ => super::ROUNDING,
    };
    match stream.trim {
        Some(Trim::Skips(time)) if time > if_heard => {
            let time = seconds(time);
            let text = format!(
                "an edit list skips the first {time} of the {name}; some programs play it all the same"
            );
            found.push(note("edit-list", text));
        }
        Some(Trim::Waits(time)) if time > PACKET => {
            let text = format!("an edit list waits {} before the {name}", seconds(time));
            found.push(note("edit-list", text));
        }
        _ => {}
    }
    match &stream.picture {
        Some(picture) => {
            found.extend(rates(stream, picture));
            found.extend(look(picture));
        }
        None => found.extend(sound_gaps(stream)),
    }
    found
}

/// What is odd about when frames are shown.
fn rates(stream: &Stream, picture: &Picture) -> Vec<Oddity> {
    let mut found = Vec::new();
    let Some(rate) = stream.rate() else {
        return found;
    };
    let stays: Vec<Duration> = stream.stays().collect();
    let nothing = stays.iter().filter(|stay| stay.is_zero()).count();
    if nothing > 0 {
        let text = format!("{nothing} frames are shown for no time: they are never seen");
        found.push(odd("no-time", text));
    }
    let mut sorted = stays.clone();
    sorted.sort_unstable();
    let usual = sorted[sorted.len() / 2];
    let is_gap = |stay: &Duration| *stay > LONGEST_FRAME && *stay > usual * 3 / 2;
    // The last frame may stay as long as it likes.
    let gaps: Vec<usize> = (0..stays.len() - 1)
        .filter(|i| is_gap(&stays[*i]))
        .collect();
    if let Some(longest) = gaps.iter().copied().max_by_key(|i| stays[*i]) {
        let text = format!(
            "{} the picture stands still for more than {}, the longest for {} at {}",
            times(gaps.len()),
            seconds(LONGEST_FRAME),
            seconds(stays[longest]),
            seconds(stream.times[longest].start)
        );
        found.push(odd("gaps", text));
    } else if rate < FEWEST {
        let text = format!("{rate:.3} frames/s are too few for a mouth to be seen to move");
        found.push(note("few-frames", text));
    }
    let body = &sorted[..sorted.len().saturating_sub(1).max(1)];
    let (least, most) = (body[0], body[body.len() - 1]);
    let varies = most - least > super::ROUNDING && most - least > usual / 10;
    if varies && gaps.is_empty() {
        let text = format!(
            "the frame rate varies: frames last from {} to {}",
            seconds(least),
            seconds(most)
        );
        found.push(note("variable-rate", text));
    }
    if let Some(claimed) = picture.fps.map(fps_of)
        && !varies
        && gaps.is_empty()
        && (claimed / rate - 1.0).abs() > RATE_TOLERANCE
        && stays.len() > 25
    {
        let text = format!("the header says {claimed:.3} frames/s; there are {rate:.3}");
        found.push(odd("claimed-rate", text));
    }
    found
}

/// Packets follow each other; where they don't, there is silence.
fn sound_gaps(stream: &Stream) -> Option<Oddity> {
    let gaps = stream.times.windows(2).filter_map(|pair| {
        let gap = pair[1].start.saturating_sub(pair[0].end);
        (gap > PACKET).then_some((gap, pair[0].end))
    });
    let gaps: Vec<_> = gaps.collect();
    let (longest, at) = *gaps.iter().max()?;
    Some(odd(
        "sound-gaps",
        format!(
            "{} the sound is missing for a moment, longest {} at {}",
            times(gaps.len()),
            seconds(longest),
            seconds(at)
        ),
    ))
}

/// What programs that do not heed it show wrong.
fn look(picture: &Picture) -> Vec<Oddity> {
    let mut found = Vec::new();
    if picture.rotation != 0 {
        let degrees = picture.rotation;
        found.push(note(
            "rotation",
            format!("the picture is turned by {degrees} degrees when it is shown"),
        ));
    }
    if picture.is_mirrored {
        found.push(note(
            "mirrored",
            "the picture is mirrored when it is shown".into(),
        ));
    }
    let (width, height) = picture.aspect;
    if width != height {
        let text = format!("pixels are {width}:{height} wide to high, not square");
        found.push(note("aspect", text));
    }
    if picture.width % 2 == 1 || picture.height % 2 == 1 {
        let size = format!("{}x{}", picture.width, picture.height);
        found.push(note(
            "odd-size",
            format!("{size}: many encoders need even numbers"),
        ));
    }
    if let Some(colour) = &picture.colorimetry {
        if colour.starts_with("1:") || colour == "sRGB" {
            found.push(note(
                "full-range",
                "colours use the full range, 0 to 255".into(),
            ));
        }
        if let Some(name) = transfer(colour) {
            let text = format!("colours are HDR ({name}): on other screens they look pale");
            found.push(note("hdr", text));
        }
    }
    found
}

/// The transfer function of colours with a higher range.
fn transfer(colorimetry: &str) -> Option<&'static str> {
    match colorimetry {
        "bt2100-pq" => return Some("PQ"),
        "bt2100-hlg" => return Some("HLG"),
        _ => {}
    }
    // Range, matrix, transfer, primaries: the numbers of GstVideoTransferFunction.
    match colorimetry.split(':').nth(2)? {
        "14" => Some("PQ"),
        "15" => Some("HLG"),
        _ => None,
    }
}

fn several(reading: &Reading, kind: Kind, word: &str) -> Option<Oddity> {
    let tracks: Vec<&Stream> = reading.streams.iter().filter(|s| s.kind == kind).collect();
    if tracks.len() < 2 {
        return None;
    }
    let marked = tracks.iter().position(|s| s.is_default == Some(true));
    let which = match marked {
        Some(at) => format!("number {at}, counted from 0, is marked as the default"),
        None => "none is marked as the default".into(),
    };
    let text = format!("there are {} tracks of {word}; {which}", tracks.len());
    Some(note("several-tracks", text))
}

#[cfg(test)]
mod tests {
    use super::super::testing::stream;
    use super::*;

    fn video(lengths_ms: &[u64]) -> Stream {
        let picture = Picture {
            width: 400,
            height: 300,
            aspect: (1, 1),
            fps: Some((25, 1)),
            rotation: 0,
            is_mirrored: false,
            colorimetry: Some("bt709".into()),
        };
        Stream {
            picture: Some(picture),
            ..stream(Kind::Video, lengths_ms)
        }
    }

    fn kinds(streams: Vec<Stream>) -> Vec<&'static str> {
        let reading = Reading {
            streams,
            ..Reading::default()
        };
        oddities(&reading).iter().map(|o| o.kind).collect()
    }

    fn sound(milliseconds: u64) -> Stream {
        stream(Kind::Audio, &vec![20; milliseconds as usize / 20])
    }

    #[test]
    fn nothing_is_odd_about_an_ordinary_file() {
        assert_eq!(kinds(vec![video(&[40; 50]), sound(2000)]), [""; 0]);
        // A frame of 40 ms can't end where each packet does.
        assert_eq!(kinds(vec![video(&[40; 50]), sound(2020)]), [""; 0]);
    }

    #[test]
    fn what_does_not_fit_together_is_odd() {
        assert_eq!(kinds(vec![video(&[40; 50]), sound(1900)]), ["lengths"]);
        assert_eq!(kinds(vec![]), ["empty"]);
        assert_eq!(kinds(vec![video(&[40; 50])]), ["no-sound"]);
        let mut late = sound(1840);
        for time in &mut late.times {
            time.start += Duration::from_millis(160);
            time.end += Duration::from_millis(160);
        }
        assert_eq!(
            kinds(vec![video(&[40; 50]), late]),
            ["sound-offset", "late-start"]
        );
        let mut reading = Reading {
            streams: vec![video(&[40; 50]), sound(2000)],
            claimed: Some(Duration::from_secs(2)),
            ..Reading::default()
        };
        assert_eq!(oddities(&reading), []);
        reading.claimed = Some(Duration::from_millis(2100));
        assert_eq!(oddities(&reading)[0].kind, "claimed-length");
    }

    #[test]
    fn gaps_and_rates_are_told_apart() {
        let mut gap = vec![40; 50];
        gap[20] = 400;
        let found = oddities(&Reading {
            streams: vec![video(&gap)],
            ..Reading::default()
        });
        assert_eq!(found[1].kind, "gaps");
        assert!(found[1].text.contains("0.400 s at 0.800 s"), "{found:?}");
        assert_eq!(kinds(vec![video(&[125; 20])]), ["no-sound", "few-frames"]);
        let varied: Vec<u64> = (0..50).map(|n| 30 + 20 * (n % 2)).collect();
        assert_eq!(kinds(vec![video(&varied)]), ["no-sound", "variable-rate"]);
        assert_eq!(kinds(vec![video(&[20; 60])]), ["no-sound", "claimed-rate"]);
        let mut hidden = vec![40; 50];
        hidden[7] = 0;
        let found = kinds(vec![video(&hidden)]);
        assert!(found.contains(&"no-time"), "{found:?}");
        // As muxers round.
        let rounded: Vec<u64> = (0..60).map(|n| 33 + u64::from(n % 3 == 0)).collect();
        let mut rounded = video(&rounded);
        rounded.picture.as_mut().unwrap().fps = Some((30, 1));
        assert_eq!(kinds(vec![rounded]), ["no-sound"]);
    }

    #[test]
    fn what_a_picture_needs_from_its_player_is_noted() {
        let mut turned = video(&[40; 50]);
        let picture = turned.picture.as_mut().unwrap();
        picture.rotation = 90;
        picture.aspect = (4, 3);
        picture.width = 401;
        picture.colorimetry = Some("1:9:15:7".into());
        let expected = ["rotation", "aspect", "odd-size", "full-range", "hdr"];
        assert_eq!(kinds(vec![turned, sound(2000)]), expected);
    }
}
