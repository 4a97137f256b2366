//! What a batch is to be made of, and the jobs that this comes to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Plan;
use super::rows;
use crate::batch::confine::Confine;
use crate::batch::files::{self, Pairing};
use crate::batch::pattern::Pattern;
use crate::batch::{self, place};
use crate::error::{Failure, FailureKind};
use crate::job::{IfExists, JobOptions, Speeches, check_output_name};
use crate::journal::{Journal, Planned};
use crate::path::normalised;
use crate::pipeline::probe::Role;

/// Where the jobs come from.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// A job list; names of files in it are relative to it.
    List(PathBuf),
    /// Faces and speeches that are put together.
    Pairs {
        /// Files, folders and patterns.
        faces: Vec<PathBuf>,
        /// The same of speeches.
        speeches: Vec<PathBuf>,
        /// Which goes with which.
        pairing: Pairing,
    },
}

/// A batch as somebody asks for it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the jobs come from.
    pub inputs: Inputs,
    /// Names of outputs that are not said otherwise.
    pub output: Option<Pattern>,
    /// How all jobs are done, unless a list says otherwise.
    pub options: JobOptions,
    /// What becomes of outputs that are there.
    pub if_exists: IfExists,
    /// Folder of the journal; else where it was before, or in the folder of the outputs.
    pub state: Option<PathBuf>,
    /// Where the results are collected.
    pub zip: Option<PathBuf>,
    /// The folder that all files of the jobs are to be in.
    pub confine: Option<PathBuf>,
    /// Do also what is done.
    pub force: bool,
    /// How to ask for it again, for whoever reads the journal.
    pub command: String,
}

impl Request {
    /// The batch that it comes to, and why some of it is left out of it. Looks at names only; of the inputs
    /// nothing is opened but a list.
    ///
    /// # Errors
    /// Nothing can be begun: a mistake in the list, outputs that collide, files outside `confine`.
    pub fn plan(&self) -> Result<(Plan, Vec<Failure>), Failure> {
        let mut options = self.options.configured()?;
        options.place_files(&|file| normalised(Path::new(file)).display().to_string());
        let mut left_out = Vec::new();
        let jobs = match &self.inputs {
            Inputs::List(list) => self.jobs_of_list(list, &options, &mut left_out)?,
            Inputs::Pairs {
                faces,
                speeches,
                pairing,
            } => self.jobs_of_pairs([faces, speeches], *pairing, &options, &mut left_out)?,
        };
        match left_out.first() {
            Some(failure) if jobs.is_empty() => return Err(failure.clone()),
            _ => {}
        }
        if let Some(folder) = &self.confine {
            let confine = Confine::to(folder)?;
            for planned in &jobs {
                confine.check(&planned.job, &options.names())?;
            }
        }
        batch::check_outputs(&jobs)?;
        let outputs: Vec<_> = jobs
            .iter()
            .map(|planned| planned.output.as_path())
            .collect();
        let root = batch::common_folder(outputs.iter().copied()).ok_or_else(|| {
            Failure::new(FailureKind::Usage).because("the outputs have no folder in common")
        })?;
        let source = self.source();
        let state = match &self.state {
            Some(state) => state.clone(),
            None => place::of_batch(&root, &source, &outputs),
        };
        let zip = self.zip.as_deref().map(normalised);
        if let Some(zip) = zip.as_ref().filter(|zip| outputs.contains(&zip.as_path())) {
            return Err(Failure::of(FailureKind::Usage, zip)
                .because("the zip file has the name of an output")
                .advice("Give --zip another name"));
        }
        let plan = Plan {
            jobs,
            source,
            command: self.command.clone(),
            root,
            state,
            zip,
            force: self.force,
        };
        Ok((plan, left_out))
    }

    fn source(&self) -> String {
        let path = |path: &PathBuf| normalised(path).display().to_string();
        match &self.inputs {
            Inputs::List(list) => format!("list {}", path(list)),
            Inputs::Pairs {
                faces,
                speeches,
                pairing,
            } => {
                let faces: Vec<_> = faces.iter().map(path).collect();
                let speeches: Vec<_> = speeches.iter().map(path).collect();
                format!(
                    "faces {faces:?} speeches {speeches:?} {pairing:?} {:?}",
                    self.output
                )
            }
        }
    }

    fn jobs_of_pairs(
        &self,
        inputs: [&[PathBuf]; 2],
        pairing: Pairing,
        options: &JobOptions,
        left_out: &mut Vec<Failure>,
    ) -> Result<Vec<Planned>, Failure> {
        let journals = self.earlier(inputs);
        let is_output = |file: &Path| {
            let file = normalised(file);
            let known = |journal: &Journal| journal.has_output(&file).unwrap_or(false);
            journals.iter().any(known)
        };
        let [faces, speeches] = inputs;
        let faces = files::expand(faces, Role::Face, &is_output)?;
        let speeches = files::expand(speeches, Role::Speech, &is_output)?;
        let pattern = self.output.as_ref().ok_or_else(|| {
            Failure::new(FailureKind::Usage)
                .because("where to write is not said")
                .advice("Give --output, as in --output 'out/{speech.stem}-{face.stem}.mp4'")
        })?;
        let pairs = files::pair(&faces, &speeches, pairing)?;
        let mut jobs = Vec::with_capacity(pairs.len());
        for (index, (face, speech)) in pairs.into_iter().enumerate() {
            // One such name is no reason not to make the others.
            if let Some(failure) = [&face, &speech].into_iter().find_map(|file| not_utf8(file)) {
                if !left_out.contains(&failure) {
                    left_out.push(failure);
                }
                continue;
            }
            let output = pattern.output(&face, &speech, index + 1);
            jobs.push(self.planned(options, face, Speeches::ByOne(speech), output)?);
        }
        Ok(jobs)
    }

    /// Journals that may know files in the folders of the inputs.
    fn earlier(&self, inputs: [&[PathBuf]; 2]) -> Vec<Journal> {
        if let Some(state) = &self.state {
            return Journal::read(state).into_iter().collect();
        }
        let folders: BTreeSet<_> = inputs
            .concat()
            .iter()
            // A glob may have any folder behind its first wildcard.
            .filter_map(|path| path.ancestors().find(|folder| folder.is_dir()))
            .map(Path::to_owned)
            .collect();
        let journals = folders.iter().map(|folder| place::at_or_above(folder));
        journals.flatten().collect()
    }

    fn jobs_of_list(
        &self,
        path: &Path,
        shared: &JobOptions,
        left_out: &mut Vec<Failure>,
    ) -> Result<Vec<Planned>, Failure> {
        let rows = rows::read(path, shared, left_out)?;
        let mut jobs = Vec::with_capacity(rows.len());
        for (index, row) in rows.into_iter().enumerate() {
            let Some(row) = row else { continue };
            let wrong = |reason: &str| rows::wrong(path, row.line, &reason);
            let output = match (row.output, &self.output) {
                (Some(output), _) => output,
                (None, Some(pattern)) => pattern.output(&row.face, row.speeches.first(), index + 1),
                (None, None) => return Err(wrong("it has no output, and --output names none")),
            };
            let planned = self.planned(&row.options, row.face, row.speeches, output);
            jobs.push(planned.map_err(|e| match e.kind {
                FailureKind::Usage => wrong(e.reason()),
                _ => e,
            })?);
        }
        Ok(jobs)
    }

    fn planned(
        &self,
        options: &JobOptions,
        face: PathBuf,
        speeches: Speeches,
        output: PathBuf,
    ) -> Result<Planned, Failure> {
        // Workers and later starts may run elsewhere.
        let (face, speeches) = (normalised(&face), speeches.map_files(&normalised));
        let output = normalised(&output);
        check_output_name(&output)?;
        let job = options.job(face, speeches, Some(output.clone()), self.if_exists)?;
        let failure = {
            let mut files = job.inputs().chain([output.as_path()]);
            files.find_map(not_utf8)
        };
        match failure {
            Some(failure) => Err(failure),
            None => Ok(Planned { job, output }),
        }
    }
}

/// What is wrong with a name that a journal can't have.
fn not_utf8(path: &Path) -> Option<Failure> {
    path.to_str().is_none().then(|| {
        Failure::of(FailureKind::Usage, path)
            .because("its name is not UTF-8, which a batch's journal needs")
            .advice("Rename it")
    })
}
