//! One job from its inputs to the published output; in this process, or in one of its own.

mod learning;
mod lengths;
pub mod limits;
pub mod process;
pub mod protocol;
mod tracker;

pub(crate) use learning::paints;

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gstlipsync::decode;
use gstlipsync::model::Model;
use gstlipsync::repeat;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::estimate;
use crate::event::{
    Body, JobState, Outcome, Phase, Plan, Progress, SpeakerSummary, display, seconds,
};
use crate::job::{self, Job, Length, Limit, LoopMode};
use crate::journal::Stamp;
use crate::pipeline::classify::Files;
use crate::pipeline::flow::Tail;
use crate::pipeline::mp4;
use crate::pipeline::probe::{self, Kind, Probe, Role};
use crate::pipeline::reading;
use crate::pipeline::runner::{self, Counts, Report, Speakers, Watch};
use crate::pipeline::template::{self, Template, TemplateError, Values, nanoseconds};
use crate::pipeline::verify::{self, Expected};
use crate::publish;
use crate::secret;
use crate::store::{LocalStore, Replace, Staging, Store};
use tracker::Tracker;

/// The longest that a job is silent; half of what is promised, so that a busy machine keeps it too.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long a cancelled job may take to clean up.
const CANCEL_LIMIT: Duration = Duration::from_secs(12);

/// Where nothing says how long a frame lasts.
const USUAL_FRAME: Duration = Duration::from_millis(40);
/// What `facesource` gives a picture.
const PICTURE_FPS: (u32, u32) = (25, 1);

/// Whoever ordered the job and has a say in it.
pub struct Context {
    /// Called when the inputs have been found fit, before work on them begins; gives the digest of the
    /// face, where it knows it.
    pub begin: Option<Begin>,
    /// Asked before the output gets its name.
    pub gate: Option<Gate>,
    /// The stamp of what was made earlier under the output's name; a job that overwrites replaces
    /// nothing else then.
    pub replaces: Option<Stamp>,
    /// Where the output is put.
    pub store: Box<dyn Store + Send>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            begin: None,
            gate: None,
            replaces: None,
            store: Box::new(LocalStore),
        }
    }
}

pub type Begin = Box<dyn FnOnce(&Job, &Cancel) -> Result<Option<String>, Failure> + Send>;
pub type Gate = Box<dyn FnOnce(Made) -> Result<(), Failure> + Send>;

/// The finished output, by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub sha256: String,
}

/// Runs the job in a thread of its own and gives its events to `emit`, never more than a second
/// apart. The last one is the result, which is returned too.
pub fn run(job: Job, context: Context, cancel: &Cancel, emit: &mut dyn FnMut(Body)) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let begin = Instant::now();
    emit(JobState::Queued.into());
    let worker = std::thread::Builder::new().name("job".into()).spawn({
        let cancel = cancel.clone();
        move || {
            let urls = job.parameters.iter().map(|(_, value)| value);
            let urls = urls.filter(|value| value.contains("://")).cloned();
            let mut attempt = Attempt::new(begin, &cancel, sender, urls.collect());
            let outcome = match attempt.run(&job, context) {
                Ok(outcome) => outcome,
                Err(failure) => {
                    attempt.tracker.elapse(Instant::now());
                    Outcome::of_failure(&failure, &attempt.tracker.progress)
                }
            };
            attempt.send(Body::Result(outcome));
        }
    });
    if let Err(e) = worker {
        let failure = Failure::new(FailureKind::Internal).detail(e);
        return finish(Outcome::of_failure(&failure, &Progress::default()), emit);
    }
    let mut last = Tracker::new(begin);
    let mut cancelled_at = None;
    loop {
        match receiver.recv_timeout(HEARTBEAT) {
            Ok(Body::Result(outcome)) => return finish(outcome, emit),
            Ok(body) => {
                if let Body::Progress(progress) = &body {
                    last.progress = progress.clone();
                }
                emit(body);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                last.elapse(Instant::now());
                emit(last.progress.clone().into());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let failure =
                    Failure::new(FailureKind::Internal).detail("the job's thread panicked");
                return finish(Outcome::of_failure(&failure, &last.progress), emit);
            }
        }
        if let Err(failure) = cancel.check() {
            let at = *cancelled_at.get_or_insert_with(Instant::now);
            if at.elapsed() > CANCEL_LIMIT {
                return finish(Outcome::of_failure(&failure, &last.progress), emit);
            }
        }
    }
}

fn finish(outcome: Outcome, emit: &mut dyn FnMut(Body)) -> Outcome {
    emit(Body::Result(outcome.clone()));
    outcome
}

/// What is known of a job before its pipeline runs.
pub struct Prepared {
    pub template: Template,
    pub face: Probe,
    /// One, or that of each speaker.
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
    let template = load_template(job)?;
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
    }
    prepare_with(template, job, &probe::probe_within, cancel)
}

/// The template of a job, for as many as speak in it.
fn load_template(job: &Job) -> Result<Template, Failure> {
    let template = Template::load(&job.template).map_err(|e| template_failure(&e))?;
    match (template.is_for_speakers(), job.dialogue.len()) {
        (false, 0) => Ok(template),
        (true, speakers @ 1..) => template
            .for_speakers(speakers)
            .map_err(|e| template_failure(&e)),
        (true, 0) => Err(Failure::new(FailureKind::Usage)
            .because(format_args!(
                "template `{}` is for several speakers, and who says the speech is not said",
                template.name()
            ))
            .advice("Say who speaks: --speech left=a.wav --speech right=b.wav")),
        (false, _) => Err(Failure::new(FailureKind::Usage)
            .because(format_args!(
                "template `{}` is for one speaker",
                template.name()
            ))
            .advice(
                "Leave --template away, or make one of your own from `dialogue`, with a part \
                 between `#! each speaker` and `#! end`",
            )),
    }
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
    let template = load_template(job)?;
    job.check_files()?;
    prepare_with(template, job, look, cancel)
}

/// Finds out what is in a file that is to play a role, of no more than so many pixels.
pub type Look<'a> = dyn Fn(&Path, Role, u64) -> Result<Probe, Failure> + Sync + 'a;

fn prepare_with(
    template: Template,
    job: &Job,
    look: &Look<'_>,
    cancel: &Cancel,
) -> Result<Prepared, Failure> {
    let most_pixels = job
        .parameter("max-pixels")
        .and_then(|most| most.parse().ok())
        .unwrap_or(decode::MOST_PIXELS);
    // Side by side: what takes time is starting decoders.
    let (face, speeches) = std::thread::scope(|scope| {
        let speeches: Vec<_> = job
            .speeches()
            .map(|file| scope.spawn(move || look(file, Role::Speech, most_pixels)))
            .collect();
        let face = look(&job.face, Role::Face, most_pixels);
        let panicked = |_| Err(Failure::new(FailureKind::Internal).detail("the probe panicked"));
        let speeches = speeches.into_iter();
        let speeches = speeches.map(|speech| speech.join().unwrap_or_else(panicked));
        (face, speeches.collect::<Result<Vec<Probe>, _>>())
    });
    let (face, speeches) = (face?, speeches?);
    cancel.check()?;
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
            (None, fps, _) => fps,
        }
    }

    /// How many frames the output will have, where it is known.
    pub fn frames(&self) -> Option<u64> {
        let fps = probe::fps_of(self.fps()?);
        let duration = self.length.known()?;
        let times = match self.asked_fps {
            Some(_) => 1,
            None => {
                let period = gst::ClockTime::from_nseconds((1e9 / fps) as u64);
                repeat::times_sent(period, self.longest_frame)
            }
        };
        Some((duration.as_secs_f64() * fps * times as f64 - 1e-6).ceil() as u64)
    }

    /// Bits a channel of the output's picture, where the template says them.
    pub(super) fn bits(&self, job: &Job) -> Option<u32> {
        let asked = job.parameter("depth").map(str::to_owned);
        let usual = || match &self.template.param("depth")?.default {
            template::Default::Value(value) => Some(value.clone()),
            _ => None,
        };
        asked.or_else(usual)?.parse().ok()
    }

    /// The file of the speech that lasts longest.
    fn longest_speech<'a>(&self, job: &'a Job) -> &'a Path {
        let lengths = self.speeches.iter().map(|speech| speech.duration.known());
        let files = job.speeches().zip(lengths);
        let longest = files.max_by_key(|(_, length)| *length);
        longest.map_or(&job.speech, |(file, _)| file)
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
        let mut speeches = self.speeches.iter().zip(job.speeches());
        let mut speeches: Vec<_> = speeches
            .by_ref()
            .map(|(probe, file)| probe.summary(file))
            .collect();
        let said = job.dialogue.iter().zip(&speeches);
        let speakers = said.map(|(part, speech)| SpeakerSummary {
            who: part.who.to_string(),
            speech: speech.clone(),
        });
        let speakers = speakers.collect();
        Plan {
            model_lacks: model
                .as_ref()
                .and_then(|model| model.lacking().map(display)),
            model: model.map(|model| model.name().into()),
            face: self.face.summary(&job.face),
            speech: speeches.swap_remove(0),
            speakers,
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
                Some(part) => (
                    format!("speech-track-{number}"),
                    format!("{}, which {} says,", display(&part.file), part.who),
                ),
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
        if !job.dialogue.is_empty() {
            let heard = job.dialogue.iter().enumerate().filter(|(number, _)| {
                let volume = job.parameter(&format!("volume-{number}"));
                volume.and_then(|v| v.parse().ok()) != Some(0.0)
            });
            let heard: Vec<_> = heard.map(|(_, part)| part.who.to_string()).collect();
            choices.push(match heard.len() == job.dialogue.len() {
                true => "all speakers are heard; --sound WHO lets one be heard alone".into(),
                false => format!(
                    "heard is {}; --sound mix lets all be heard",
                    heard.join(", ")
                ),
            });
            choices.push(
                "each speaker's own mouths are learnt on the way, and until then the mouth is warped; \
                 faces without a speech stay as they are"
                    .into(),
            );
        }
        choices
    }

    fn values(&self, job: &Job, location: Option<String>) -> Result<Values, Failure> {
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

fn template_failure(error: &TemplateError) -> Failure {
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

struct Attempt<'a> {
    cancel: &'a Cancel,
    events: mpsc::Sender<Body>,
    /// There may be keys in them.
    urls: Vec<String>,
    state: Option<JobState>,
    tracker: Tracker,
    speakers: Speakers,
}

impl<'a> Attempt<'a> {
    fn new(
        begin: Instant,
        cancel: &'a Cancel,
        events: mpsc::Sender<Body>,
        urls: Vec<String>,
    ) -> Self {
        Self {
            cancel,
            events,
            urls,
            state: None,
            tracker: Tracker::new(begin),
            speakers: Speakers::default(),
        }
    }

    fn run(&mut self, job: &Job, context: Context) -> Result<Outcome, Failure> {
        self.enter(Phase::Probing);
        if job.is_to_be_skipped() {
            return Ok(self.skipped(job));
        }
        if job.dry_run {
            let plan = estimate::dry_run(job, self.cancel)?;
            self.send(Body::Plan(plan.into()));
            return Ok(self.not_done());
        }
        let prepared = prepare(job, self.cancel)?;
        self.tracker.progress.frames_total = prepared.frames();
        self.tracker.progress.duration_s = prepared.length.known().map(seconds);
        self.send(Body::Plan(prepared.plan(job).into()));
        let face_digest = match context.begin {
            Some(begin) => begin(job, self.cancel)?,
            None => None,
        };
        // First, because learning a face takes long, and whether the output can be written does not.
        let replace = Replace::of(job, context.replaces);
        let staged = match &job.output {
            Some(output) => Some(context.store.stage(output, replace)?),
            None => None,
        };
        let face_file = self.learn_face(job, &prepared, face_digest)?;

        self.enter(Phase::Loading);
        let (counts, tail) = self.play(job, &prepared, face_file.as_deref(), staged.as_deref())?;
        // What was planned is known now.
        self.tracker.progress.frames_total = counts.map(|counts| counts.frames);
        self.tracker.progress.duration_s = counts.map(|counts| seconds(counts.position));
        let duration = self.check_counts(job, &prepared, counts)?;
        if let (Some(staged), Some(output)) = (staged, &job.output) {
            self.enter(Phase::Verifying);
            let truth = mp4::Truth {
                duration,
                priming: tail.priming,
            };
            mp4::finish(staged.path(), truth).map_err(|e| publish::output_failure(output, &e))?;
            let expected = Expected {
                frames: counts.map(|c| c.frames).filter(|_| !tail.makes_own_frames),
                duration,
            };
            let watch = Watch::of(job);
            let found = verify::verify(&staged.location(), output, expected, &watch, self.cancel)?;
            self.tracker.progress.position_s = seconds(found.video.duration);
            if let Some(gate) = context.gate {
                let sha256 = digest::of_file(staged.path(), self.cancel)?;
                gate(Made { sha256 })?;
            }
            self.enter(Phase::Publishing);
            self.cancel.check()?;
            staged.commit()?;
        }
        Ok(self.done(job))
    }

    /// Gives the last counts, and what the pipeline does to frames and sound behind `lipsync`.
    fn play(
        &mut self,
        job: &Job,
        prepared: &Prepared,
        face_file: Option<&Path>,
        staged: Option<&dyn Staging>,
    ) -> Result<(Option<Counts>, Tail), Failure> {
        let mut values = prepared.values(job, staged.map(Staging::location))?;
        if let Some(face_file) = face_file.and_then(Path::to_str) {
            values.insert("face-file", face_file);
        }
        let pipeline = prepared
            .template
            .build(&values)
            .map_err(|e| template_failure(&e))?;
        let files = Files {
            face: job.face.clone(),
            speeches: job.speeches().map(Path::to_owned).collect(),
            output: job.output.clone(),
            model: values.get("model").map(Into::into),
        };
        let cancel = self.cancel.clone();
        let watch = Watch::of(job);
        let tail = Tail::of(&pipeline);
        let counts = runner::run(&pipeline, &files, &watch, &cancel, &mut |report| {
            self.report(report);
        })?;
        Ok((counts, tail))
    }

    /// What the counts at the end say of the inputs; gives the length of what was made.
    fn check_counts(
        &self,
        job: &Job,
        prepared: &Prepared,
        counts: Option<Counts>,
    ) -> Result<Option<Duration>, Failure> {
        let Some(counts) = counts else {
            return Ok(None);
        };
        if counts.frames == 0 {
            return Err(Failure::of(FailureKind::InputDamaged, &job.face)
                .detail("not one frame came out of it"));
        }
        if counts.frames_without_face == counts.frames {
            return Err(Failure::of(FailureKind::NoFace, &job.face));
        }
        self.check_speakers(job)?;
        self.check_length(job, prepared, counts.position)?;
        Ok(Some(counts.position))
    }

    /// Whether each speech was said by somebody.
    fn check_speakers(&self, job: &Job) -> Result<(), Failure> {
        let speakers = job.dialogue.iter().zip(&self.speakers.frames);
        let Some((silent, _)) = speakers.filter(|(_, frames)| **frames == 0).next() else {
            return Ok(());
        };
        let (speakers, faces) = (job.dialogue.len(), self.speakers.most_faces);
        let failure = Failure::of(FailureKind::NoSpeaker, &silent.file);
        Err(if (faces as usize) < speakers {
            failure
                .because(format_args!(
                    "no face says it: {speakers} speak, and the picture shows at most {faces} at once"
                ))
                .advice("Give fewer speeches, or a video that shows all who speak")
        } else {
            failure
                .because(format_args!(
                    "no face says it: `{}` is none of the up to {faces} that are in the picture at once",
                    silent.who
                ))
                .advice(
                    "Name another: left, right, a number from the left, counted from 0, or picture:FILE",
                )
        })
    }

    /// Whether all of the input that says where the output ends was used: one frame is the limit.
    fn check_length(
        &self,
        job: &Job,
        prepared: &Prepared,
        position: Duration,
    ) -> Result<(), Failure> {
        let Some(promised) = prepared.length.known() else {
            return Ok(());
        };
        let frame = prepared.fps().map_or(USUAL_FRAME, |(num, den)| {
            Duration::from_secs_f64(f64::from(den) / f64::from(num))
        });
        // The rest of the work is for files of which something is missing.
        if promised.saturating_sub(position) <= frame + reading::ROUNDING {
            return Ok(());
        }
        let (file, kind) = match prepared.limit {
            Limit::Face => (job.face.as_path(), reading::Kind::Video),
            Limit::Speech => (prepared.longest_speech(job), reading::Kind::Audio),
        };
        let reading = reading::times(file, &Watch::of(job), self.cancel)?;
        match lengths::judge(promised, position, frame, &reading, kind) {
            lengths::Verdict::Whole => Ok(()),
            lengths::Verdict::Told(message) => {
                self.send(Body::Warning {
                    message: format!("{}: {message}", file.display()),
                    source: None,
                });
                Ok(())
            }
            lengths::Verdict::Damaged(reason) => {
                Err(Failure::of(FailureKind::InputDamaged, file).detail(reason))
            }
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Phase(phase) => self.enter(phase),
            Report::Counts(counts) => {
                self.tracker.count(&counts, Instant::now());
                self.send(self.tracker.progress.clone().into());
            }
            Report::Warning { message, source } => self.send(Body::Warning {
                message,
                source: Some(source),
            }),
            Report::Message(message) => self.send(Body::Message { message }),
            Report::Speakers(speakers) => self.speakers = speakers,
            // Of another pipeline: see `learn_face`.
            Report::Learnt(_) => {}
        }
    }

    /// States only ever go forward: a model that loads late does not make a running job a loading one.
    fn enter(&mut self, phase: Phase) {
        let before = self.tracker.progress.phase;
        if self.state.is_some() && phase <= before {
            return;
        }
        // A short speech is there before the first frame is drawn: its job runs, too.
        let goes_on = (Phase::Draining..=Phase::Publishing).contains(&phase);
        if before < Phase::Running && goes_on {
            self.enter(Phase::Running);
        }
        self.tracker.progress.phase = phase;
        self.tracker.elapse(Instant::now());
        if self.state != Some(phase.state()) {
            self.state = Some(phase.state());
            self.send(phase.state().into());
        }
        self.send(self.tracker.progress.clone().into());
    }

    fn send(&self, body: Body) {
        // Nobody listens any more once a cancelled job was given up.
        let _ = self.events.send(secret::hide(&self.urls, body));
    }

    fn done(&mut self, job: &Job) -> Outcome {
        self.tracker.elapse(Instant::now());
        let progress = &self.tracker.progress;
        Outcome {
            output: job.output.as_deref().map(display),
            duration_s: Some(progress.position_s),
            speed: (progress.elapsed_s > 0.0).then(|| progress.position_s / progress.elapsed_s),
            ..Outcome::nothing(JobState::Done, progress)
        }
    }

    /// A dry run's.
    fn not_done(&mut self) -> Outcome {
        self.tracker.elapse(Instant::now());
        Outcome::nothing(JobState::Done, &self.tracker.progress)
    }

    fn skipped(&mut self, job: &Job) -> Outcome {
        Outcome {
            output: job.output.as_deref().map(display),
            skipped: true,
            ..self.not_done()
        }
    }
}
