//! What is known of a job before its pipeline runs: its inputs, its length, and what will be made.

pub mod estimate;
pub mod speakers;

use std::path::Path;

use gstlipsync::label;
use gstlipsync::model::Model;
use gstlipsync::repeat;

use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::event::{Plan, display, seconds};
use crate::job::{self, Job, Length, Limit, LoopMode};
use crate::pipeline::probe::{self, Kind, Limits, Probe, Role};
use crate::pipeline::template::{self, Template, TemplateError, Values, nanoseconds};
use crate::provenance;

/// What `facesource` gives a picture.
const PICTURE_FPS: (u32, u32) = (25, 1);

/// What is known of a job before its pipeline runs.
pub struct Prepared {
    pub template: Template,
    pub face: Probe,
    /// One, or that of each who speaks.
    pub speeches: Vec<Probe>,
    pub loop_mode: LoopMode,
    pub limit: Limit,
    pub length: Length,
    /// The template's parameter of that name.
    asked_fps: Option<String>,
    /// A frame of the face that stays for longer is repeated.
    longest_frame: gst::ClockTime,
}

/// Checks and probes all that can be known beforehand.
pub fn prepare(job: &Job, cancel: &Cancel) -> Result<Prepared, Failure> {
    let template = speakers::load_template(job)?;
    job.check_files()?;
    if job.output.is_none() && template.param("output").is_some() {
        return Err(Failure::new(FailureKind::Usage)
            .detail(format_args!("template `{}` writes a file", template.name()))
            .advice("Say where with --output"));
    }
    if job.output.is_some() && template.param("output").is_none() {
        return Err(Failure::new(FailureKind::Usage)
            .detail(format_args!(
                "template `{}` writes no file",
                template.name()
            ))
            .advice("Leave --output away, or choose another template"));
    }
    if let Some(output) = &job.output {
        check_extension(template.name(), output)?;
        if job.marks.aigc.is_some() {
            provenance::check_output(output)?;
        }
    }
    prepare_with(template, job, &probe::probe_within, cancel)
}

/// A name must not promise another kind of file than the template writes.
fn check_extension(template: &str, output: &Path) -> Result<(), Failure> {
    let kind = |extension: &str| match extension {
        "mp4" | "m4v" | "mov" => Some("file"),
        "webm" => Some("webm"),
        "mkv" => Some("lossless"),
        _ => None,
    };
    let own = match template {
        "file" | "compare" | "dialogue" => "file",
        "webm" | "lossless" => template,
        // Of other templates it isn't known what they write.
        _ => return Ok(()),
    };
    let extension = output.extension().and_then(|e| e.to_str());
    match extension.and_then(|e| kind(&e.to_ascii_lowercase())) {
        Some(wanted) if wanted != own => Err(Failure::of(FailureKind::Usage, output)
            .because(format_args!(
                "the name says another kind of file than template `{template}` writes"
            ))
            .advice(format_args!(
                "Add --template {wanted}, or give the file another ending"
            ))),
        _ => Ok(()),
    }
}

/// As [`prepare`], whatever becomes of the output; `look` finds out what is in a file.
pub fn prepare_inputs(job: &Job, look: &Look<'_>, cancel: &Cancel) -> Result<Prepared, Failure> {
    let template = speakers::load_template(job)?;
    job.check_files()?;
    prepare_with(template, job, look, cancel)
}

/// Finds out what is in a file that is to play a role, and refuses more than the limits allow.
pub type Look<'a> = dyn Fn(&Path, Role, &Limits) -> Result<Probe, Failure> + Sync + 'a;

/// Refuses a label that the picture has no room for, or that can't be written here, before any work.
fn check_label(job: &Job, face: &Probe) -> Result<(), Failure> {
    let (Some(text), Some(video)) = (job.parameter("label"), face.video) else {
        return Ok(());
    };
    let (width, height) = match video.rotation % 180 {
        0 => (video.width, video.height),
        _ => (video.height, video.width),
    };
    label::check(text, [width as usize, height as usize]).map_err(|e| {
        Failure::new(FailureKind::Usage)
            .because(e)
            .advice("Give --label another text")
    })
}

fn prepare_with(
    template: Template,
    job: &Job,
    look: &Look<'_>,
    cancel: &Cancel,
) -> Result<Prepared, Failure> {
    let limits = Limits::of(job);
    // Side by side: what takes time is starting decoders.
    let (face, speeches) = std::thread::scope(|scope| {
        let speeches: Vec<_> = job
            .speeches()
            .map(|file| scope.spawn(|| look(file, Role::Speech, &limits)))
            .collect();
        let face = look(&job.face, Role::Face, &limits);
        let panicked = |_| Err(Failure::new(FailureKind::Internal).detail("the probe panicked"));
        let speeches = speeches.into_iter();
        let speeches = speeches.map(|speech| speech.join().unwrap_or_else(panicked));
        (face, speeches.collect::<Result<Vec<Probe>, _>>())
    });
    let (face, speeches) = (face?, speeches?);
    cancel.check()?;
    check_label(job, &face)?;
    let speech = Length::of_the_longest(speeches.iter().map(|speech| speech.duration));
    let loop_mode = job.effective_loop_mode(face.duration, speech);
    let (limit, length) = job::output_length(job.end_mode, loop_mode, face.duration, speech)?;
    let longest_frame = match job.parameter("longest-frame") {
        Some(time) => nanoseconds(time).and_then(|n| u64::try_from(n).ok()),
        // Templates of one's own may not have it, and then it is the element's.
        None => None,
    };
    Ok(Prepared {
        longest_frame: longest_frame.map_or(repeat::LONGEST_FRAME, gst::ClockTime::from_nseconds),
        template,
        face,
        speeches,
        loop_mode,
        limit,
        length,
        asked_fps: job.parameter("fps").map(str::to_owned),
    })
}

impl Prepared {
    /// The output's frames a second, where they are known.
    pub fn fps(&self) -> Option<(u32, u32)> {
        match (&self.asked_fps, self.face.video?.fps, self.face.kind) {
            (Some(asked), ..) => {
                let (n, d) = asked.split_once('/').unwrap_or((asked, "1"));
                Some((n.parse().ok()?, d.parse().ok().filter(|d| *d > 0)?))
            }
            (None, None, Kind::Picture) => Some(PICTURE_FPS),
            (None, None, _) if self.face.is_of_one_frame() => Some(PICTURE_FPS),
            (None, fps, _) => fps,
        }
    }

    /// How many frames the output will have, where it is known.
    pub fn frames(&self) -> Option<u64> {
        let fps = probe::fps_of(self.fps()?);
        let duration = self.length.known()?;
        let times = match self.asked_fps {
            Some(_) => 1.0,
            None => self.times_sent(fps),
        };
        Some((duration.as_secs_f64() * fps * times - 1e-6).ceil() as u64)
    }

    /// How often a frame of the face is sent, in the mean.
    fn times_sent(&self, fps: f64) -> f64 {
        let sent = |millis: u64| {
            let time = gst::ClockTime::from_mseconds(millis);
            repeat::times_sent(time, self.longest_frame)
        };
        let lasting = self.face.lasting.iter();
        let lasting = lasting.map(|&(millis, count)| (sent(millis.into()), u64::from(count)));
        let (all, frames) = lasting.fold((0, 0), |(all, frames), (times, count)| {
            (all + times * count, frames + count)
        });
        match frames {
            // One alone is held, at the rate of the video.
            0 | 1 => sent((1000.0 / fps) as u64) as f64,
            frames => all as f64 / frames as f64,
        }
    }

    /// Bits a channel of the output's picture, where the template says them.
    pub(crate) fn bits(&self, job: &Job) -> Option<u32> {
        let asked = job.parameter("depth").map(str::to_owned);
        let usual = || match &self.template.param("depth")?.default {
            template::Default::Value(value) => Some(value.clone()),
            _ => None,
        };
        asked.or_else(usual)?.parse().ok()
    }

    fn colours(&self, job: &Job) -> Option<String> {
        self.face
            .video?
            .colour?
            .becomes(self.bits(job).unwrap_or(8))
    }

    pub fn plan(&self, job: &Job) -> Plan {
        // What is wrong with a model is said by the element.
        let model = Model::resolve(job.parameter("model").map(Path::new)).ok();
        let speeches = self.speeches.iter().zip(job.speeches());
        let mut speeches: Vec<_> = speeches.map(|(probe, file)| probe.summary(file)).collect();
        Plan {
            model_lacks: model
                .as_ref()
                .and_then(|model| model.lacking().map(display)),
            model: model.map(|model| model.name().into()),
            face: self.face.summary(&job.face),
            speakers: speakers::summaries(job, &speeches),
            // There is one at least.
            speech: speeches.swap_remove(0),
            output: job.output.as_deref().map(display),
            template: self.template.name().into(),
            end_mode: job.end_mode.name().into(),
            loop_mode: self.loop_mode.name().into(),
            colours: self.colours(job),
            duration_s: self.length.known().map(seconds),
            frames: self.frames(),
            choices: self.choices(job),
            estimate: None,
        }
    }

    /// What is taken where an input has more than one of it.
    fn choices(&self, job: &Job) -> Vec<String> {
        let mut choices = Vec::new();
        if self.face.videos > 1 {
            choices.push(format!(
                "of {} tracks of picture in the face the first is taken",
                self.face.videos
            ));
        }
        for (number, speech) in self.speeches.iter().enumerate() {
            if speech.sounds < 2 {
                continue;
            }
            let (parameter, of) = match job.dialogue.get(number) {
                Some(part) => (format!("speech-track-{number}"), display(&part.file)),
                None => ("speech-track".into(), "the speech".into()),
            };
            let taken = match job.parameter(&parameter) {
                None | Some("-1") => "the one that is marked as default, or else the first,",
                Some(number) => &format!("number {number}"),
            };
            choices.push(format!(
                "of {} tracks of sound in {of} {taken} is taken; --set {parameter}=N takes another",
                speech.sounds
            ));
        }
        choices.extend(speakers::choices(job));
        choices
    }

    pub(crate) fn values(&self, job: &Job, location: Option<String>) -> Result<Values, Failure> {
        let mut values = Values::new().set("face", job::uri_of(&job.face)?);
        for (number, speech) in job.speeches().enumerate() {
            let name = match job.dialogue.is_empty() {
                true => "speech".into(),
                false => format!("speech-{number}"),
            };
            values.insert(name, job::uri_of(speech)?);
        }
        if let Some(location) = location {
            values.insert("output", location);
        }
        let policies = [
            ("loop-mode", self.loop_mode.name()),
            ("end-mode", job.end_mode.name()),
        ];
        for (name, value) in policies {
            if self.template.param(name).is_some() {
                values.insert(name, value);
            }
        }
        for (name, value) in &job.parameters {
            values.insert(name, value);
        }
        Ok(values)
    }
}

pub(crate) fn template_failure(error: &TemplateError) -> Failure {
    let kind = match error {
        TemplateError::MissingElements(_) => FailureKind::PluginMissing,
        TemplateError::UnknownParameter { .. }
        | TemplateError::MissingValue { .. }
        | TemplateError::BadValue { .. } => {
            return Failure::new(FailureKind::Usage)
                .because(error)
                .advice("`lipflow pipeline show` lists a template's parameters");
        }
        _ => FailureKind::TemplateInvalid,
    };
    Failure::new(kind).detail(error)
}
