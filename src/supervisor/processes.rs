//! The real hands: worker processes, and threads of this one.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::hands::{Aside, Exit, Hands, Input};
use super::memory;
use super::publisher::Publisher;
use crate::error::{Failure, FailureKind};
use crate::journal::{self, Lease};
use crate::store::Store;
use crate::sync::lock;
use crate::worker::limits::Confinement;
use crate::worker::protocol::{Answer, Order};
use crate::worker::start;

/// Lines that are kept of what a worker writes to standard error.
const LAST_WORDS: usize = 20;
/// How long the kernel may take to end a process that was killed.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// How long its last words may take to arrive.
const WORDS_LIMIT: Duration = Duration::from_millis(200);

/// Gives back the jobs of dead controllers, from a thread of its own.
type Recover = Arc<dyn Fn() -> journal::Result<u64> + Send + Sync>;

/// The worker processes of a supervisor.
pub struct Processes {
    workers: BTreeMap<u64, Process>,
    /// The journal's folder, below which workers write.
    state: PathBuf,
    store: Arc<dyn Store + Send + Sync>,
    recover: Recover,
    inbox: mpsc::Receiver<Input>,
    /// For the readers of new workers, and for threads.
    sender: mpsc::Sender<Input>,
}

impl Processes {
    pub fn new(state: PathBuf, store: Arc<dyn Store + Send + Sync>, recover: Recover) -> Self {
        let (sender, inbox) = mpsc::channel();
        Self {
            workers: BTreeMap::new(),
            state,
            store,
            recover,
            inbox,
            sender,
        }
    }

    /// Starts a program as a worker.
    fn start(
        &mut self,
        serial: u64,
        command: Command,
        publisher: Option<Publisher>,
    ) -> std::io::Result<u32> {
        let process = Process::spawn(command, serial, publisher, &self.sender)?;
        let pid = process.child.id();
        self.workers.insert(serial, process);
        Ok(pid)
    }
}

impl Hands for Processes {
    fn hire(
        &mut self,
        worker: u64,
        is_background: bool,
        confinement: &Confinement,
    ) -> std::io::Result<u32> {
        let mut confinement = confinement.clone();
        let publisher = Publisher::of(&mut confinement, &self.state, is_background)?;
        let mut command = start::command(is_background);
        if let Some(publisher) = &publisher {
            // What it puts aside for a moment, too.
            command.env("TMPDIR", publisher.folder());
        }
        let pid = self.start(worker, command, publisher)?;
        if let Some(process) = self.workers.get(&worker) {
            process.orders.say(&confinement);
        }
        Ok(pid)
    }

    fn order(&mut self, worker: u64, order: &Order) {
        let Some(process) = self.workers.get(&worker) else {
            return;
        };
        match &process.publisher {
            Some(publisher) => process.orders.say(&publisher.adapt(order)),
            None => process.orders.say(order),
        }
    }

    fn kill(&mut self, worker: u64) {
        if let Some(process) = self.workers.get_mut(&worker) {
            process.kill();
        }
    }

    fn reap(&mut self, worker: u64) -> Exit {
        match self.workers.remove(&worker) {
            Some(mut process) => process.exit(),
            None => Exit {
                reason: "it was never there".into(),
                signal: None,
            },
        }
    }

    fn keeps_too_much(&self, worker: u64, workers: usize) -> bool {
        let process = self.workers.get(&worker);
        process.is_some_and(|process| memory::keeps_too_much(process.child.id(), workers))
    }

    fn aside(&mut self, task: Aside) -> bool {
        let (sender, store) = (self.sender.clone(), self.store.clone());
        let recover = self.recover.clone();
        let run = move || {
            let found = match task {
                Aside::Check {
                    lease,
                    output,
                    sha256,
                } => Input::Checked(lease, store.is_of(&output, &sha256)),
                Aside::Recover => Input::Recovered(recover()),
            };
            // A supervisor that is gone needs no answer.
            let _ = sender.send(found);
        };
        thread::Builder::new().spawn(run).is_ok()
    }

    fn next(&mut self, wait: Duration) -> Option<Input> {
        match wait.is_zero() {
            true => self.inbox.try_recv().ok(),
            false => self.inbox.recv_timeout(wait).ok(),
        }
    }
}

/// The way to a worker.
#[derive(Clone)]
struct Orders(Arc<Mutex<Option<ChildStdin>>>);

impl Orders {
    /// Says what it may do, or what it is to do; that the worker is dead is noticed elsewhere.
    fn say(&self, line: &impl Serialize) {
        let Ok(mut line) = serde_json::to_vec(line) else {
            return;
        };
        line.push(b'\n');
        if let Some(orders) = &mut *lock(&self.0) {
            let _ = orders.write_all(&line);
        }
    }
}

/// What one worker says, on its way to the supervisor.
struct Ear {
    serial: u64,
    orders: Orders,
    publisher: Option<Arc<Publisher>>,
    inbox: mpsc::Sender<Input>,
}

impl Ear {
    /// Listens until the worker is gone, or the supervisor.
    fn listen(self, lines: impl BufRead) {
        for line in lines.lines().map_while(Result::ok) {
            let Ok(mut answer) = serde_json::from_str::<Answer>(&line) else {
                tracing::warn!("a worker's answer could not be read: {line}");
                continue;
            };
            let publisher = self.publisher.as_ref();
            if let Some(lease) = publisher.and_then(|p| p.hear(&mut answer)) {
                self.publish(lease);
                continue;
            }
            let input = Input::Answer(self.serial, Box::new(answer));
            if self.inbox.send(input).is_err() {
                return;
            }
        }
        let _ = self.inbox.send(Input::Gone(self.serial));
    }

    /// Beside the listening: a disk may take its time, and the worker is not to be taken for dead.
    fn publish(&self, lease: Lease) {
        let Some(publisher) = self.publisher.clone() else {
            return;
        };
        let orders = self.orders.clone();
        let publish = move || {
            let result = publisher.publish(lease);
            orders.say(&Order::Published { lease, result });
        };
        if let Err(error) = thread::Builder::new().spawn(publish) {
            let result = Err(Failure::new(FailureKind::Internal).detail(error));
            self.orders.say(&Order::Published { lease, result });
        }
    }
}

struct Process {
    child: Child,
    orders: Orders,
    publisher: Option<Arc<Publisher>>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    /// Hears them.
    listener: Option<JoinHandle<()>>,
}

impl Process {
    /// What the process says comes through `inbox` under `serial`.
    fn spawn(
        mut command: Command,
        serial: u64,
        publisher: Option<Publisher>,
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
        let orders = Orders(Arc::new(Mutex::new(child.stdin.take())));
        let publisher = publisher.map(Arc::new);
        if let Some(stdout) = child.stdout.take() {
            let ear = Ear {
                serial,
                orders: orders.clone(),
                publisher: publisher.clone(),
                inbox: inbox.clone(),
            };
            thread::spawn(move || ear.listen(BufReader::new(stdout)));
        }
        let listener = child.stderr.take().map(|stderr| {
            let words = last_words.clone();
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    tracing::debug!("worker {serial}: {line}");
                    let mut words = lock(&words);
                    if words.len() == LAST_WORDS {
                        words.pop_front();
                    }
                    words.push_back(line);
                }
            })
        });
        Ok(Self {
            orders,
            publisher,
            child,
            last_words,
            listener,
        })
    }

    fn kill(&mut self) {
        if let Some(publisher) = &self.publisher {
            publisher.close();
        }
        let _ = self.child.kill();
    }

    /// The status of a process that has ended or is about to.
    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }

    /// How it ended, or is about to.
    fn exit(&mut self) -> Exit {
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
            thread::sleep(Duration::from_millis(2));
        }
        let words = lock(&self.last_words);
        if let Some(last) = words.iter().rev().find(|line| !line.trim().is_empty()) {
            text += &format!("; its last words: {}", last.trim());
        }
        Exit {
            reason: text,
            signal,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.wait(KILL_LIMIT);
        if let Some(publisher) = &self.publisher {
            publisher.clear();
        }
    }
}
