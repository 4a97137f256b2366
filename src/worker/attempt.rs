//! One attempt at a job, step by step.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::tracker::Tracker;
use super::{Context, Made, lengths};
use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, JobState, Outcome, Phase, display, seconds};
use crate::job::{Job, Limit};
use crate::marks::Marks;
use crate::pipeline::classify::Files;
use crate::pipeline::flow::Tail;
use crate::pipeline::mp4;
use crate::pipeline::reading;
use crate::pipeline::runner::{self, Counts, Report, Speakers, Watch};
use crate::pipeline::verify::{self, Expected};
use crate::plan::{Prepared, estimate, prepare, speakers, template_failure};
use crate::provenance;
use crate::provenance::record::{self, Input, Record};
use crate::publish;
use crate::secret;
use crate::store::{Replace, Staging};

/// Where nothing says how long a frame lasts.
const USUAL_FRAME: Duration = Duration::from_millis(40);

pub(super) struct Attempt<'a> {
    pub(super) cancel: &'a Cancel,
    events: mpsc::Sender<Body>,
    /// There may be keys in them.
    urls: Vec<String>,
    state: Option<JobState>,
    pub(super) tracker: Tracker,
    speakers: Speakers,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
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

    pub(super) fn run(&mut self, job: &Job, context: Context) -> Result<Outcome, Failure> {
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
        // Where a controller gives the output its name, it looks there itself: this process may not.
        if let Some(output) = job.output.as_ref().filter(|_| job.marks.record)
            && context.gate.is_none()
        {
            record::check_place(output)?;
        }
        let staged = match &job.output {
            Some(output) => Some((context.stage)(output, replace)?),
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
            let marks = self.mark(job, staged.path(), output)?;
            let found = verify::verify(&staged.location(), output, expected, &watch, self.cancel)?;
            self.tracker.progress.position_s = seconds(found.video.duration);
            if context.gate.is_some() || marks.is_some() {
                let sha256 = digest::of_file(staged.path(), self.cancel)?;
                let record = marks
                    .map(|(marks, inputs)| Record::of(job, output, sha256.clone(), inputs, &marks));
                if let Some(gate) = context.gate {
                    gate(Made { sha256 })?;
                }
                if let Some(record) = record {
                    staged.put_beside(record::ENDING, &record.json())?;
                }
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

    /// Has the staged file say that it is synthetic, as far as that is asked for. Gives what a record of it
    /// is made of, where one is.
    fn mark(
        &self,
        job: &Job,
        staged: &Path,
        output: &Path,
    ) -> Result<Option<(Marks, Vec<Input>)>, Failure> {
        if job.marks.is_empty() {
            return Ok(None);
        }
        let mut marks = job.marks.clone();
        let inputs = record::inputs_of(job, self.cancel)?;
        if let Some(aigc) = &mut marks.aigc {
            if aigc.produce_id.is_empty() {
                aigc.produce_id = record::number(job, &inputs);
            }
            provenance::write(staged, aigc).map_err(|e| e.failure(output))?;
            let found = provenance::read(staged).map_err(|e| e.failure(output))?;
            if found != Some(aigc.json()) {
                return Err(Failure::of(FailureKind::OutputWrong, output)
                    .detail("the metadata is not in it"));
            }
        }
        Ok(marks.record.then_some((marks, inputs)))
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
        speakers::check(job, &self.speakers)?;
        if counts.frames_without_face == counts.frames {
            return Err(Failure::of(FailureKind::NoFace, &job.face));
        }
        self.check_length(job, prepared, counts.position)?;
        Ok(Some(counts.position))
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
    pub(super) fn enter(&mut self, phase: Phase) {
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

    pub(super) fn send(&self, body: Body) {
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
