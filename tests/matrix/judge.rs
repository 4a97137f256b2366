//! Runs one case and holds what came out against what went in.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::case::Case;
use crate::formats::{Begin, Varies};
use crate::limits;
use crate::make;
use crate::promises;
use crate::read::{self, Heard, Seen};
use crate::run_support::{finish_within, lipflow, run, stderr};
use crate::table::Verdict;

/// Containers count in milliseconds, or in ticks of a rate.
const TIME: f64 = 0.0016;
/// Eight bits, half the colours, and a coder.
const COLOUR: f64 = 16.0;

/// What became of it, each fault as a sentence.
pub fn judge(case: &Case) -> Verdict {
    let folder = tempfile::tempdir().expect("a folder");
    let mut told = String::new();
    let faults = try_judge(case, folder.path(), &mut told).unwrap_or_else(|fault| vec![fault]);
    if faults.is_empty() {
        return Verdict::Right;
    }
    match limits::known(case, &told) {
        Some(why) => Verdict::Told(why.to_owned()),
        None => Verdict::Wrong(faults.join("; ")),
    }
}

/// Whatever else the machine does: that a job ends is asked, not when.
fn patiently(case: &Case, command: &mut Command) -> Result<Output, String> {
    let seconds = 180.0 + 4.0 * case.speech_seconds();
    finish_within(command, Duration::from_secs_f64(seconds))
}

/// `told` gets what lipflow says of the job.
fn try_judge(case: &Case, folder: &Path, told: &mut String) -> Result<Vec<String>, String> {
    let not_made = |e| format!("the input can't be made: {e}");
    let face = make::picture(case, folder).map_err(not_made)?;
    let speech = make::speech(case.sound, case.speech_seconds(), folder).map_err(not_made)?;
    let input = read::picture(&face).map_err(not_made)?;
    // A wrong input would make right what is wrong.
    if let Some(fault) = is_as_drawn(case, &input) {
        return Err(not_made(fault));
    }
    let said = read::sound(&speech).map_err(not_made)?;
    let output = folder.join(format!("out.{}", case.output));
    let mut command = run(&face, &speech, &output);
    command.args(["--learn", "off", "--template", case.template]);
    if case.length.is_some() {
        command.args(["--end-mode", "video", "--loop-mode", "none"]);
    }
    let result = patiently(case, &mut command)?;
    *told = stderr(&result);
    let mut faults = Vec::new();
    faults.extend(reader(case, &face, &input, case.begin == Begin::Trimmed));
    if !result.status.success() {
        let last = told.lines().last().unwrap_or("nothing");
        faults.push(format!("exit {:?}: {last}", result.status.code()));
        return Ok(faults);
    }
    let seen = read::picture(&output)?;
    let heard = read::sound(&output)?;
    faults.extend(reader(case, &output, &seen, false));
    faults.extend(size(case, &input, &seen));
    faults.extend(frames(case, &input, &seen));
    faults.extend(lengths(case, &input, &seen, &heard));
    faults.extend(colours(case, &input, &seen));
    faults.extend(sync(case, &said, &heard, &seen));
    faults.extend(promises::kept(case, told, &seen, &heard));
    Ok(faults)
}

/// Whether the input has the frames that were drawn, upright.
fn is_as_drawn(case: &Case, input: &Seen) -> Option<String> {
    let step = match case.begin {
        Begin::Trimmed => input.codes[0],
        _ => 0,
    };
    let drawn =
        (step..case.frames_made()).filter(|n| case.rate.varies != Varies::Holes || n % 3 != 0);
    let drawn: Vec<usize> = drawn.collect();
    (drawn != input.codes).then(|| format!("its frames are {:?}", input.codes))
}

/// Whether `lipflow verify` finds the frames that ffprobe finds.
fn reader(case: &Case, file: &Path, seen: &Seen, is_trimmed: bool) -> Option<String> {
    let what = file.file_name().unwrap_or_default().to_string_lossy();
    let fault = try_reader(case, file, seen, is_trimmed)?;
    Some(format!("verify of {what}: {fault}"))
}

fn try_reader(case: &Case, file: &Path, seen: &Seen, is_trimmed: bool) -> Option<String> {
    let mut command = lipflow();
    command.args(["verify", "--json", "--frames"]).arg(file);
    let result = match patiently(case, &mut command) {
        Ok(result) => result,
        Err(fault) => return Some(fault),
    };
    let found: serde_json::Value = match serde_json::from_slice(&result.stdout) {
        Ok(found) => found,
        Err(e) => return Some(format!("{e}: {}", stderr(&result))),
    };
    let streams = found["streams"].as_array().cloned().unwrap_or_default();
    let Some(video) = streams.iter().find(|s| s["kind"] == "video") else {
        return Some(format!("no picture: {found}"));
    };
    let times = video["frame_times_s"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let times: Vec<f64> = times.iter().filter_map(serde_json::Value::as_f64).collect();
    let mut times = times;
    // An edit that begins within a frame shows the rest of it (ISO/IEC 14496-12, 8.6.6); ffmpeg leaves it out,
    // or shows it whole.
    if is_trimmed && times.len() == seen.times.len() + 1 {
        times.remove(0);
    }
    if times.len() != seen.times.len() {
        return Some(format!("{} frames of {}", times.len(), seen.times.len()));
    }
    let anchor = usize::from(is_trimmed && times.len() > 1);
    let (first, own) = (seen.times[anchor], times[anchor]);
    times
        .iter()
        .zip(&seen.times)
        .skip(anchor)
        .position(|(found, wanted)| ((found - own) - (wanted - first)).abs() > TIME)
        .map(|at| at + anchor)
        .map(|at| {
            format!(
                "frame {at} at {:.4} s, not {:.4}",
                times[at] - own,
                seen.times[at] - first
            )
        })
}

fn size(case: &Case, input: &Seen, seen: &Seen) -> Option<String> {
    let wanted = (input.width & !1, input.height & !1);
    let found = (seen.width, seen.height);
    if case.template != "lossless" && found != wanted {
        return Some(format!("{found:?} pixels, not {wanted:?}"));
    }
    let ratio = |aspect: &str| {
        let parts = aspect.split_once(':');
        match parts.map(|(a, b)| (a.parse::<f64>(), b.parse::<f64>())) {
            Some((Ok(a), Ok(b))) if a > 0.0 && b > 0.0 => a / b,
            _ => 1.0,
        }
    };
    let (wanted, found) = (&input.aspect, &seen.aspect);
    // Matroska has whole pixels of the size in which it is shown.
    let is_other = (ratio(wanted) / ratio(found) - 1.0).abs() > 0.003;
    is_other.then(|| format!("pixels of {found}, not {wanted}"))
}

/// Each frame is shown when the input shows it, and no other.
fn frames(case: &Case, input: &Seen, seen: &Seen) -> Option<String> {
    if case.length.is_none() {
        let other = seen.codes.iter().position(|code| *code != input.codes[0])?;
        return Some(format!(
            "frame {other} has the number {}",
            seen.codes[other]
        ));
    }
    // Frames that stay long may be repeated, so it is what is shown that counts.
    let changes = |seen: &Seen| -> Vec<(f64, usize)> {
        let all = seen
            .times
            .iter()
            .zip(&seen.codes)
            .map(|(t, c)| (t - seen.times[0], *c));
        let mut changes: Vec<(f64, usize)> = all.collect();
        changes.dedup_by_key(|(_, code)| *code);
        changes
    };
    let (wanted, mut found) = (changes(input), changes(seen));
    // See `reader`.
    let is_rest = |found: &[(f64, usize)]| found[0].1 + 1 == wanted[0].1;
    if case.begin == Begin::Trimmed && is_rest(&found) && found.len() > 1 {
        let begin = found.remove(1).0;
        found[0] = (begin, wanted[0].1);
        for (time, _) in &mut found {
            *time -= begin;
        }
    }
    if wanted.len() != found.len() {
        return Some(format!("{} frames, not {}", found.len(), wanted.len()));
    }
    if case.begin == Begin::Trimmed && found.len() > 1 {
        let more = found[1].0 - wanted[1].0;
        found.iter_mut().skip(1).for_each(|(time, _)| *time -= more);
    }
    wanted.iter().zip(&found).position(|(wanted, found)| {
        wanted.1 != found.1 || (wanted.0 - found.0).abs() > TIME
    })
    .map(|at| {
        let ((time, code), (wanted_time, wanted_code)) = (found[at], wanted[at]);
        format!(
            "frame {at} is number {code} at {time:.4} s, not number {wanted_code} at {wanted_time:.4}"
        )
    })
}

fn lengths(case: &Case, input: &Seen, seen: &Seen, heard: &Heard) -> Vec<String> {
    let mut faults = Vec::new();
    let frame = 1.0 / case.fps();
    let last = |seen: &Seen| seen.times.last().unwrap_or(&0.0) - seen.times[0];
    let wanted = match case.length {
        Some(_) => last(input) + frame,
        None => case.speech_seconds(),
    };
    // What the last frame of a variable rate lasts is the container's to say.
    let slack = match case.length {
        Some(_) if case.is_timed() || case.begin == Begin::Trimmed => frame + TIME,
        Some(_) => TIME,
        // The last frame is whole.
        None => frame.max(0.04) + 0.05,
    };
    let picture = match seen.duration {
        Some(duration) => duration,
        None => last(seen) + frame.min(0.0834),
    };
    if seen.duration.is_some() && (picture - wanted).abs() > slack {
        faults.push(format!("the picture lasts {picture:.4} s, not {wanted:.4}"));
    }
    // A packet of Opus, or what is before the first sample.
    let slack = if seen.duration.is_some() {
        0.004
    } else {
        frame + 0.025
    };
    if (heard.seconds - picture).abs() > slack {
        faults.push(format!(
            "the sound lasts {:.4} s, the picture {picture:.4}",
            heard.seconds
        ));
    }
    faults
}

fn colours(case: &Case, input: &Seen, seen: &Seen) -> Option<String> {
    if !case.picture.can.true_colours {
        return None;
    }
    let wrong = input
        .colours
        .iter()
        .zip(&seen.colours)
        .position(|(a, b)| a.iter().zip(b).any(|(a, b)| (a - b).abs() > COLOUR))?;
    Some(format!(
        "colour {wrong} is {:.0?}, not {:.0?}",
        seen.colours[wrong], input.colours[wrong]
    ))
}

/// Each click is as far from the first frame as it is from the beginning of the speech.
fn sync(case: &Case, said: &Heard, heard: &Heard, seen: &Seen) -> Option<String> {
    let length = seen.times.last().unwrap_or(&0.0) - seen.times[0];
    let exact = case.sound.exact_ms + if case.output == "webm" { 8.0 } else { 1.0 };
    let wanted = said.clicks.iter().filter(|click| **click + 0.1 <= length);
    for (number, wanted) in wanted.enumerate() {
        let Some(click) = heard.clicks.get(number) else {
            return Some(format!("click {number} is not there"));
        };
        let off = (click - seen.times[0] - wanted) * 1000.0;
        if off.abs() > exact {
            return Some(format!("click {number} is {off:.1} ms late"));
        }
    }
    None
}
