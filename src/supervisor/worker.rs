//! A worker process as its supervisor has it.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Input;
use crate::journal::Stamp;
use crate::worker::protocol::{Answer, Order};

/// Lines that are kept of what a worker writes to standard error.
const LAST_WORDS: usize = 20;
/// How long the kernel may take to end a process that was killed.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// How long its last words may take to arrive.
const WORDS_LIMIT: Duration = Duration::from_millis(200);

pub struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    /// Hears them.
    listener: Option<JoinHandle<()>>,
    pub last_heard: Instant,
    /// It has said its first word.
    pub is_ready: bool,
    /// The files of models that it has loaded, as they were then.
    pub weights: HashMap<PathBuf, Stamp>,
    /// The jobs that are in it.
    pub jobs: Vec<i64>,
    /// One job wants it for itself.
    pub is_exclusive: bool,
    /// It is not given any more work: something in it is broken.
    pub is_retired: bool,
}

impl Worker {
    /// Starts a process; what it says comes through `inbox` under `serial`.
    pub fn start(
        serial: u64,
        is_background: bool,
        inbox: &mpsc::Sender<Input>,
    ) -> std::io::Result<Self> {
        // The file may have been replaced by a newer version since: the one that runs is still there.
        let own = std::env::current_exe().ok().filter(|path| path.exists());
        let mut command = Command::new(own.unwrap_or_else(|| "/proc/self/exe".into()));
        command.arg("worker");
        if is_background {
            command.arg("--background");
        }
        Self::spawn(command, serial, inbox)
    }

    pub(super) fn spawn(
        mut command: Command,
        serial: u64,
        inbox: &mpsc::Sender<Input>,
    ) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal is for the supervisor alone.
            .process_group(0)
            .spawn()?;
        let last_words: Arc<Mutex<VecDeque<String>>> = Arc::default();
        if let Some(stdout) = child.stdout.take() {
            let inbox = inbox.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let Ok(answer) = serde_json::from_str::<Answer>(&line) else {
                        tracing::warn!("a worker's answer could not be read: {line}");
                        continue;
                    };
                    if inbox.send(Input::Answer(serial, Box::new(answer))).is_err() {
                        return;
                    }
                }
                let _ = inbox.send(Input::Gone(serial));
            });
        }
        let listener = child.stderr.take().map(|stderr| {
            let words = last_words.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    tracing::debug!("worker {serial}: {line}");
                    let mut words = words.lock().unwrap_or_else(|e| e.into_inner());
                    if words.len() == LAST_WORDS {
                        words.pop_front();
                    }
                    words.push_back(line);
                }
            })
        });
        Ok(Self {
            orders: child.stdin.take(),
            child,
            last_words,
            listener,
            last_heard: Instant::now(),
            is_ready: false,
            weights: HashMap::new(),
            jobs: Vec::new(),
            is_exclusive: false,
            is_retired: false,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives an order; that the worker is dead is noticed elsewhere.
    pub fn order(&mut self, order: &Order) {
        let (Some(orders), Ok(mut line)) = (&mut self.orders, serde_json::to_vec(order)) else {
            return;
        };
        line.push(b'\n');
        let _ = orders.write_all(&line);
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// The status of a process that has ended or is about to.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }

    /// How it died, in words, and of which signal.
    pub fn obituary(&mut self) -> (String, Option<i32>) {
        let status = self.wait(KILL_LIMIT);
        let signal = status.and_then(|status| status.signal());
        let mut text = match (signal, status.and_then(|s| s.code())) {
            (Some(signal), _) => match signal_hook::low_level::signal_name(signal) {
                Some(name) => format!("killed by signal {signal} ({name})"),
                None => format!("killed by signal {signal}"),
            },
            (None, Some(code)) => format!("it ended by itself with code {code}"),
            (None, None) => "it does not end".into(),
        };
        // They may still be on their way; a process that it has left behind may keep the way open.
        let end = Instant::now() + WORDS_LIMIT;
        let hears = |listener: &JoinHandle<()>| !listener.is_finished();
        while Instant::now() < end && self.listener.as_ref().is_some_and(hears) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let words = self.last_words.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(last) = words.iter().rev().find(|line| !line.trim().is_empty()) {
            text += &format!("; its last words: {}", last.trim());
        }
        (text, signal)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        self.wait(KILL_LIMIT);
    }
}
