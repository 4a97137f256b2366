//! `cargo xtask soak`: a broadcast for a long time, with a server that dies now and then, and a viewer.

mod live;
mod plot;
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::clip_720p;
use crate::material::folder_in_target;
use crate::setup::{self, Scope};
use crate::table::{Figure, Figures, Limit};
use crate::{job, process, workspace};
use plot::Series;
use server::{Server, free_port};

#[derive(clap::Args)]
pub struct Args {
    /// How long
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// How often the server dies
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// Instead of a broadcast: pictures and speech by the clock through the elements alone, each frame held
    /// against the one that comes without a clock
    #[arg(long)]
    live: bool,
}

/// The server is away for so long each time.
const AWAY: Duration = Duration::from_millis(2500);
/// Speech waits in the queue for less than this before more is said; now and then nothing is.
const QUEUE: f64 = 3.0;
/// What is measured in the first moments is not how it stays.
const WARM_UP: f64 = 20.0;
const KEY: &str = "soak";

/// What speaks, so that both ways to the air are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Nobody,
    File,
    Raw,
}

/// One look at the broadcast.
struct Sample {
    at: f64,
    speaker: Speaker,
    latency_ms: f64,
    /// Of what was said last.
    response_ms: f64,
    drift_ms: f64,
    clock_drift_ms: f64,
    frames: f64,
    late: f64,
    memory_mb: f64,
    /// Open files, sockets among them.
    files: f64,
}

pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Scope::Test)?;
    eprintln!("Building");
    job::build()?;
    let folder = folder_in_target("soak")?;
    if args.live {
        return live::run(&folder, args.minutes);
    }
    let face = clip_720p()?;
    let tape = folder.join("tape.mkv");
    let hls = folder.join("hls");
    let _ = fs::remove_dir_all(&hls);
    // A broadcast writes over nothing.
    let _ = fs::remove_file(&tape);
    let data = setup::data_dir();
    let port = free_port()?;
    let mut server = Server::start(&data, &folder, port)?;
    let url = server.url(KEY);
    let mut broadcast = Broadcast::start(
        &folder,
        &face,
        &[&url, path(&tape)?, path(&hls.join("index.m3u8"))?],
    )?;
    let viewer = Viewer::start(&url, &folder.join("viewer.csv"))?;

    let length = f64::from(args.minutes) * 60.0;
    let pause = length / f64::from(args.kills + 1);
    let speeches = setup::speech()?;
    let (mut samples, mut reconnects) = (Vec::new(), Vec::new());
    let (mut said, mut kills, mut bursts) = (0, 0, 0);
    let mut back_at: Option<Instant> = None;
    let mut told = Instant::now();
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < length {
        let event = broadcast.next()?;
        match event["event"].as_str() {
            Some("live") => {
                let at = number(&event, "elapsed_s");
                // A quarter of the time nobody speaks, but for a burst of raw sound in its middle.
                let quarter = (at / 15.0) as u64;
                if quarter % 4 == 3 {
                    if at % 15.0 > 8.0 && bursts <= quarter / 4 {
                        bursts = quarter / 4 + 1;
                        broadcast.burst(&speeches[said % speeches.len()])?;
                    }
                } else if number(&event, "queue_s") < QUEUE {
                    let speech = &speeches[said % speeches.len()];
                    said += 1;
                    broadcast.control(&["say", path(speech)?])?;
                }
                samples.push(broadcast.sample(&event)?);
                if told.elapsed() > Duration::from_secs(60) {
                    told = Instant::now();
                    eprintln!("{:.0} of {} minutes", at / 60.0, args.minutes);
                }
            }
            Some("destination") if event["state"] == "on-air" => {
                let is_server = event["destination"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("rtmp"));
                if is_server && let Some(back) = back_at.take() {
                    reconnects.push(back.elapsed().as_secs_f64());
                }
            }
            Some("warning") => eprintln!("{}", event["message"]),
            _ => {}
        }
        let due = pause * f64::from(kills + 1);
        if kills < args.kills && begin.elapsed().as_secs_f64() > due && back_at.is_none() {
            kills += 1;
            server.kill();
            broadcast.listen_for(AWAY, &mut samples)?;
            server = Server::start(&data, &folder, port)?;
            back_at = Some(Instant::now());
        }
    }
    broadcast.stop()?;
    let viewed = viewer.stop()?;
    let figures = figures(&samples, &reconnects, args.kills, &tape, &hls, &viewed)?;
    let picture = folder.join("soak.svg");
    fs::write(&picture, draw(&samples))?;
    println!("{}", Figures(&figures));
    println!("{}", picture.display());
    let missed = figures.iter().filter(|f| !f.is_met()).count();
    if missed > 0 {
        bail!("{missed} of {} limits missed", figures.len());
    }
    Ok(())
}

fn figures(
    samples: &[Sample],
    reconnects: &[f64],
    kills: u32,
    tape: &Path,
    hls: &Path,
    viewed: &[f64],
) -> Result<Vec<Figure>> {
    let warm: Vec<_> = samples.iter().filter(|s| s.at > WARM_UP).collect();
    let (first, last) = match (warm.first(), samples.last()) {
        (Some(first), Some(last)) => (*first, last),
        _ => bail!("the broadcast was too short to be measured"),
    };
    let most = |value: fn(&Sample) -> f64| {
        let values = warm.iter().map(|sample| value(sample).abs());
        values.fold(0.0, f64::max)
    };
    // What leaves the encoders jitters; drift is what stays of it.
    let quarter = warm.len() / 4;
    // Each kind of work has been done by then: a server that comes back needs its share once.
    let after_a_quarter = warm.get(quarter).unwrap_or(&first);
    let first_quarter = &warm[..quarter];
    let last_quarter = &warm[warm.len() - quarter..];
    let mut latencies: Vec<_> = warm.iter().map(|s| s.latency_ms).collect();
    latencies.sort_by(f64::total_cmp);
    let gap = |file: &Path, stream: &str| -> Result<f64> {
        let times = packet_times(file, stream)?;
        let steps = times.windows(2).map(|w| w[1] - w[0]);
        Ok(steps.fold(0.0, f64::max) * 1e3)
    };
    let backwards = viewed.windows(2).filter(|w| w[1] < w[0]).count();
    let figure = |name: &str, value: f64, unit, limit| Figure {
        name: name.into(),
        value,
        unit,
        limit,
    };
    Ok(vec![
        figure(
            "frames late",
            100.0 * (last.late - first.late) / (last.frames - first.frames),
            "%",
            Limit::AtMost(0.1),
        ),
        figure(
            "frames a second",
            (last.frames - first.frames) / (last.at - first.at),
            "",
            Limit::AtLeast(24.95),
        ),
        figure(
            "sound and picture drift apart",
            (median_drift(last_quarter) - median_drift(first_quarter)).abs(),
            "ms",
            Limit::AtMost(40.0),
        ),
        figure(
            "behind the clock, at most",
            most(|s| s.clock_drift_ms),
            "ms",
            Limit::AtMost(100.0),
        ),
        figure(
            "latency, median",
            latencies[latencies.len() / 2],
            "ms",
            Limit::AtMost(600.0),
        ),
        figure(
            "latency, 99 of 100",
            latencies[latencies.len() * 99 / 100],
            "ms",
            Limit::AtMost(600.0),
        ),
        figure(
            "from a file's arrival to its frame, at most",
            response(&warm, Speaker::File),
            "ms",
            Limit::AtMost(500.0),
        ),
        figure(
            "from raw sound's arrival to its frame, at most",
            response(&warm, Speaker::Raw),
            "ms",
            Limit::AtMost(500.0),
        ),
        figure(
            "memory at the end against a quarter of the time",
            last.memory_mb / after_a_quarter.memory_mb,
            "",
            Limit::AtMost(1.1),
        ),
        figure("memory", last.memory_mb, "MB", Limit::AtMost(600.0)),
        figure(
            "open files more than at a quarter of the time",
            last.files - after_a_quarter.files,
            "",
            // A destination may be away at one of the two moments, and a file be opened ahead.
            Limit::AtMost(10.0),
        ),
        figure(
            "reconnections",
            reconnects.len() as f64,
            "",
            Limit::AtLeast(f64::from(kills)),
        ),
        figure(
            "to the air again after the server is back, at most",
            reconnects.iter().copied().fold(0.0, f64::max),
            "s",
            Limit::AtMost(5.0),
        ),
        figure(
            "frames in the file, of those sent",
            packet_times(tape, "v")?.len() as f64 / last.frames,
            "",
            Limit::AtLeast(0.99),
        ),
        figure(
            "frames that the viewer saw, of those sent",
            viewed.len() as f64 / last.frames,
            "",
            // It misses those of each time that the server is away, up to the next whole picture.
            Limit::AtLeast(0.75),
        ),
        figure(
            "longest gap in the file, picture",
            gap(tape, "v")?,
            "ms",
            Limit::AtMost(41.0),
        ),
        figure(
            "longest gap in the file, sound",
            gap(tape, "a")?,
            "ms",
            Limit::AtMost(30.0),
        ),
        figure(
            "longest gap in what the HLS playlist lists, picture",
            gap(&hls.join("index.m3u8"), "v")?,
            "ms",
            Limit::AtMost(41.0),
        ),
        figure(
            "HLS segments on the disk",
            fs::read_dir(hls)?.count() as f64 - 1.0,
            "",
            Limit::AtMost(9.0),
        ),
        figure(
            "timestamps that go back, at the viewer",
            backwards as f64,
            "",
            Limit::AtMost(0.0),
        ),
    ])
}

/// The longest that this speaker waited to be on air.
fn response(samples: &[&Sample], speaker: Speaker) -> f64 {
    let changes = samples.windows(2).filter_map(|pair| {
        let is_new = pair[1].response_ms != pair[0].response_ms && pair[1].speaker == speaker;
        is_new.then_some(pair[1].response_ms)
    });
    changes.fold(f64::NAN, f64::max)
}

fn median_drift(samples: &[&Sample]) -> f64 {
    let mut drifts: Vec<_> = samples.iter().map(|sample| sample.drift_ms).collect();
    drifts.sort_by(f64::total_cmp);
    drifts.get(drifts.len() / 2).copied().unwrap_or(f64::NAN)
}

fn draw(samples: &[Sample]) -> String {
    let series = |name, unit, value: fn(&Sample) -> f64| Series {
        name,
        unit,
        points: samples.iter().map(|s| (s.at / 60.0, value(s))).collect(),
    };
    plot::draw(&[
        series("latency", "ms", |s| s.latency_ms),
        series("from arrival to air", "ms", |s| s.response_ms),
        series("drift of sound against picture", "ms", |s| s.drift_ms),
        series("behind the clock", "ms", |s| s.clock_drift_ms),
        series("frames late", "", |s| s.late),
        series("memory", "MB", |s| s.memory_mb),
    ])
}

/// `lipflow live` and what it says.
struct Broadcast {
    child: Child,
    events: mpsc::Receiver<Value>,
    control: PathBuf,
    /// Where it takes raw sound.
    port: u16,
}

impl Broadcast {
    fn start(folder: &Path, face: &Path, destinations: &[&str]) -> Result<Self> {
        let control = folder.join("control.sock");
        let mut command = job::lipflow();
        command
            .args(["live", "--progress", "json", "--face"])
            .arg(face);
        command.arg("--control").arg(&control);
        let port = free_port()?;
        command.args(["--pcm", &port.to_string()]);
        command.args(["--pcm-format", "s16le,16000,1"]);
        for destination in destinations {
            command.args(["--to", destination]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start lipflow")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line)
                    && sender.send(event).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            events,
            control,
            port,
        })
    }

    fn next(&self) -> Result<Value> {
        let event = self.events.recv_timeout(Duration::from_secs(10));
        event.context("the broadcast says nothing")
    }

    /// Goes on measuring while nothing else is done.
    fn listen_for(&self, length: Duration, samples: &mut Vec<Sample>) -> Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let event = self.next()?;
            if event["event"] == "live" {
                samples.push(self.sample(&event)?);
            }
        }
        Ok(())
    }

    fn sample(&self, event: &Value) -> Result<Sample> {
        let speaker = match event["speaking"].as_str() {
            None => Speaker::Nobody,
            Some("raw sound") => Speaker::Raw,
            Some(_) => Speaker::File,
        };
        Ok(Sample {
            speaker,
            response_ms: number(event, "response_ms"),
            at: number(event, "elapsed_s"),
            latency_ms: number(event, "latency_ms"),
            drift_ms: number(event, "drift_ms"),
            clock_drift_ms: number(event, "clock_drift_ms"),
            frames: number(event, "frames"),
            late: number(event, "frames_late"),
            memory_mb: memory_of(self.child.id())?,
            files: fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count() as f64,
        })
    }

    /// Sends a WAV file's sound all at once.
    fn burst(&self, speech: &Path) -> Result<()> {
        /// Of a WAV file with nothing but sound.
        const HEADER: usize = 44;
        let file = fs::read(speech)?;
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(file.get(HEADER..).unwrap_or_default())?;
        Ok(())
    }

    fn control(&self, arguments: &[&str]) -> Result<()> {
        let mut command = job::lipflow();
        command.arg("control").arg("--control").arg(&self.control);
        process::output(command.args(arguments)).map(drop)
    }

    fn stop(&mut self) -> Result<()> {
        self.control(&["stop"])?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the broadcast ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// ffprobe at the server; it tunes in again when the server was away.
struct Viewer {
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Result<Vec<f64>>>,
}

impl Viewer {
    fn start(url: &str, log: &Path) -> Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let (url, log) = (url.to_owned(), log.to_owned());
        let thread = std::thread::Builder::new().spawn(move || {
            let mut times = Vec::new();
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                let mut child = Command::new("ffprobe")
                    .args(["-v", "quiet", "-select_streams", "v"])
                    .args(["-show_entries", "packet=dts_time", "-of", "csv=p=0"])
                    .arg(&url)
                    .stdin(Stdio::null())
                    .stdout(fs::File::create(&log)?)
                    .spawn()?;
                let mut is_last = false;
                while child.try_wait()?.is_none() {
                    is_last = stopped.try_recv() != Err(mpsc::TryRecvError::Empty);
                    if is_last {
                        let _ = child.kill();
                        let _ = child.wait();
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
                // Each connection counts from its own beginning.
                let text = fs::read_to_string(&log)?;
                times.extend(
                    text.lines()
                        .filter_map(|line| line.trim_matches(',').parse::<f64>().ok()),
                );
                times.push(f64::INFINITY);
                if is_last {
                    break;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            // An infinity between two connections is no step back; what follows it begins anew.
            Ok(times)
        })?;
        Ok(Self { stop, thread })
    }

    /// Times of the packets, in the order in which they were seen, each connection by itself.
    fn stop(self) -> Result<Vec<f64>> {
        let _ = self.stop.send(());
        let times = self
            .thread
            .join()
            .map_err(|_| anyhow::anyhow!("the viewer panicked"))??;
        let mut ordered = Vec::new();
        let mut offset = 0.0;
        for connection in times.split(|time| time.is_infinite()) {
            let Some(first) = connection.first() else {
                continue;
            };
            ordered.extend(connection.iter().map(|time| time - first + offset));
            offset = ordered.last().copied().unwrap_or(offset);
        }
        Ok(ordered)
    }
}

fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or(0.0)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Resident memory in megabytes.
fn memory_of(process: u32) -> Result<f64> {
    let text =
        fs::read_to_string(format!("/proc/{process}/status")).context("the broadcast has ended")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: Option<f64> = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    Ok(kilobytes.context("no VmRSS in /proc")? / 1024.0)
}

fn packet_times(file: &Path, stream: &str) -> Result<Vec<f64>> {
    let text = process::output(
        workspace::command("ffprobe")
            .args(["-v", "error", "-select_streams", stream])
            .args(["-show_entries", "packet=pts_time", "-of", "csv=p=0"])
            .arg(file),
    )?;
    let mut times: Vec<f64> = text
        .lines()
        .filter_map(|line| line.trim_matches(',').parse().ok())
        .collect();
    times.sort_by(f64::total_cmp);
    Ok(times)
}
