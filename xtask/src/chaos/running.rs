//! A batch that runs, as its events show it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::ground::Ground;
use crate::process;

/// Nothing takes longer; what does has lost its way.
const LIMIT: Duration = Duration::from_secs(40 * 60);

pub struct Running<'a> {
    ground: &'a Ground,
    name: String,
    child: Child,
    events: mpsc::Receiver<Heard>,
    begin: Instant,
    last: Option<Heard>,
    /// Events are held back on purpose; how late they come says nothing.
    pub is_held_back: bool,
    /// Which jobs are in which worker, by process id.
    pub workers: HashMap<i32, HashSet<i64>>,
    /// Jobs of which a worker has died, as the batch says.
    pub deaths: HashSet<i64>,
    /// Outputs by job.
    pub outputs: HashMap<i64, String>,
    pub results: Vec<Value>,
}

#[derive(Clone)]
pub struct Heard {
    pub at: Instant,
    pub event: Value,
}

/// What came next.
pub enum Next {
    Event(Heard),
    Nothing,
    /// The batch is over.
    End,
}

impl<'a> Running<'a> {
    /// Starts the batch; `name` is for messages.
    pub fn start(ground: &'a Ground, name: &str, command: &mut Command) -> Result<Self> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(ground.folder.join("stderr.txt"))?;
        let begin = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("can't start `{}`", process::shown(command)))?;
        let stdout = child.stdout.take().context("the batch has no output")?;
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let at = Instant::now();
                // The last line of a batch that was killed may be half a line.
                let Ok(event) = serde_json::from_str(&line) else {
                    continue;
                };
                if sender.send(Heard { at, event }).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            ground,
            name: name.into(),
            child,
            events,
            begin,
            last: None,
            is_held_back: false,
            workers: HashMap::new(),
            deaths: HashSet::new(),
            outputs: HashMap::new(),
            results: Vec::new(),
        })
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// The next event, if it comes before `until`.
    pub fn next(&mut self, until: Instant) -> Next {
        let left = until.saturating_duration_since(Instant::now());
        let heard = match self.events.recv_timeout(left) {
            Ok(heard) => heard,
            Err(mpsc::RecvTimeoutError::Timeout) => return Next::Nothing,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Next::End,
        };
        self.note(&heard);
        self.last = Some(heard.clone());
        Next::Event(heard)
    }

    fn note(&mut self, heard: &Heard) {
        let event = &heard.event;
        let quiet = &self.ground.quiet;
        if let Some(last) = &self.last {
            quiet.note_silence(heard.at - last.at, || {
                format!("in {}, between {} and {event}", self.name, last.event)
            });
        }
        if let Some(delay) = event["time"].as_str().and_then(age)
            && !self.is_held_back
        {
            quiet.note_delay(delay);
        }
        let Some(job) = event["job"].as_i64() else {
            return;
        };
        match event["event"].as_str() {
            Some("started") => {
                let worker = event["worker"].as_i64().unwrap_or_default() as i32;
                self.workers.entry(worker).or_default().insert(job);
                let output = event["output"].as_str().unwrap_or_default();
                self.outputs.insert(job, output.into());
            }
            Some(kind @ ("result" | "retry")) => {
                for jobs in self.workers.values_mut() {
                    jobs.remove(&job);
                }
                if event["error"]["code"] == "worker-died" {
                    self.deaths.insert(job);
                }
                if kind == "result" {
                    self.results.push(event.clone());
                }
            }
            _ => {}
        }
    }

    /// Waits for an event that fits.
    pub fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Heard> {
        self.wait_within(Duration::from_secs(120), what, fits)
    }

    pub fn wait_within(
        &mut self,
        limit: Duration,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Heard> {
        let end = Instant::now() + limit;
        loop {
            match self.next(end) {
                Next::Event(heard) if fits(&heard.event) => return Ok(heard),
                Next::Event(_) => {}
                Next::Nothing => bail!("{}: waited in vain for {what}", self.name),
                Next::End => bail!("{}: over before {what}", self.name),
            }
        }
    }

    /// Follows it to its end.
    pub fn finish(mut self) -> Result<Finished> {
        let end = Instant::now() + LIMIT;
        loop {
            match self.next(end) {
                Next::Event(_) => {}
                Next::Nothing => bail!("{}: it does not end", self.name),
                Next::End => break,
            }
        }
        let status = self.child.wait()?;
        Ok(Finished {
            status,
            results: std::mem::take(&mut self.results),
            outputs: std::mem::take(&mut self.outputs),
        })
    }

    /// Processes that the batch has started and that live.
    pub fn children(&self) -> Vec<i32> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid()));
        let threads = threads.into_iter().flatten().flatten();
        let children =
            threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        children
            .flat_map(|text| {
                let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
                pids.collect::<Vec<i32>>()
            })
            .collect()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Does nothing to one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Finished {
    pub status: ExitStatus,
    pub results: Vec<Value>,
    pub outputs: HashMap<i64, String>,
}

impl Finished {
    /// The result of the job that makes the file of that name.
    pub fn result(&self, output: &str) -> Option<&Value> {
        self.results.iter().rev().find(|result| {
            let job = result["job"].as_i64().unwrap_or_default();
            self.outputs
                .get(&job)
                .is_some_and(|path| path.ends_with(output))
        })
    }

    /// Of all jobs that are not done: their outputs and reasons.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.results.iter().filter(|r| r["state"] != "done");
        failed
            .map(|result| {
                let job = result["job"].as_i64().unwrap_or_default();
                format!(
                    "{:?}: {}",
                    self.outputs.get(&job),
                    result["error"]["reason"]
                )
            })
            .collect()
    }
}

/// kill -9.
pub fn kill(pid: i32) {
    // SAFETY: the call touches no memory. The process ids are of our children and theirs.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// How long ago an event's time was, both within the same day.
fn age(time: &str) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = now.as_secs_f64() % DAY;
    let age = (now - seconds_of_day(time)?).rem_euclid(DAY);
    // A clock that was set back.
    (age < DAY / 2.0).then(|| Duration::from_secs_f64(age))
}

/// Of an ISO 8601 time, as in 2026-11-24T11:32:05.250000Z.
fn seconds_of_day(time: &str) -> Option<f64> {
    let (_, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let mut parts = clock.split(':');
    let mut part = || parts.next()?.parse::<f64>().ok();
    Some(3600.0 * part()? + 60.0 * part()? + part()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_events_are_read() {
        let seconds = seconds_of_day("2026-11-24T11:32:05.250000Z");
        assert_eq!(seconds, Some(41_525.25));
        assert_eq!(seconds_of_day("yesterday"), None);
    }
}
