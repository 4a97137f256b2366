//! Drives the targets without cargo-fuzz, for so many seconds or so many inputs.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;

use lipflow_fuzz::media::{self, Given};
use lipflow_fuzz::mutate::mutate;
use lipflow_fuzz::targets::{ALL, Target};

/// One input may take so long.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs the fuzz targets with a seeded mutator.
#[derive(Parser)]
struct Args {
    /// How long each target is run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these targets
    #[arg(long)]
    only: Vec<String>,
    /// Where inputs to begin with are: a folder for each target
    #[arg(long)]
    corpus: PathBuf,
    /// Where inputs that break something are kept
    #[arg(long)]
    keep: PathBuf,
    /// So many mutated media files go through a batch
    #[arg(long, default_value_t = 0)]
    media: usize,
    #[arg(long, requires_all = ["face", "speech"])]
    lipflow: Option<PathBuf>,
    #[arg(long)]
    face: Option<PathBuf>,
    #[arg(long)]
    speech: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    // A panic is caught and told below.
    panic::set_hook(Box::new(|_| {}));
    let mut broken = 0;
    for target in &ALL {
        if args.only.is_empty() || args.only.iter().any(|name| name == target.name) {
            broken += fuzz(target, &args)?;
        }
    }
    if args.media > 0 {
        let (Some(lipflow), Some(face), Some(speech)) = (&args.lipflow, &args.face, &args.speech)
        else {
            bail!("--media wants --lipflow, --face and --speech");
        };
        media::run(&Given {
            lipflow,
            face,
            speech,
            count: args.media,
            seed: args.seed,
            keep: &args.keep,
        })?;
    }
    Ok(match broken {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn corpus(target: &Target, folder: &Path) -> Result<Vec<Vec<u8>>> {
    let folder = folder.join(target.name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let inputs = paths.iter().map(fs::read);
    Ok(inputs.collect::<std::io::Result<_>>()?)
}

/// Gives how many inputs broke something.
fn fuzz(target: &Target, args: &Args) -> Result<u32> {
    let inputs = corpus(target, &args.corpus)?;
    if inputs.is_empty() {
        bail!("{}: there is no corpus", target.name);
    }
    let keep = |bytes: &[u8], why: &str| {
        let name = format!("{}-{}", target.name, lipflow::digest::of_bytes(bytes));
        let path = args.keep.join(name);
        let kept = fs::create_dir_all(&args.keep).and_then(|()| fs::write(&path, bytes));
        println!("{}: {why}: {} ({kept:?})", target.name, path.display());
    };
    let watched: Arc<Mutex<(Instant, Vec<u8>)>> =
        Arc::new(Mutex::new((Instant::now(), Vec::new())));
    let done = Arc::new(());
    {
        let (watched, done) = (watched.clone(), Arc::downgrade(&done));
        let (keep, name) = (args.keep.clone(), target.name);
        std::thread::spawn(move || {
            while done.upgrade().is_some() {
                std::thread::sleep(Duration::from_millis(500));
                let (since, bytes) = watched
                    .lock()
                    .map(|w| w.clone())
                    .unwrap_or_else(|e| e.into_inner().clone());
                if since.elapsed() > LIMIT && done.upgrade().is_some() {
                    let path = keep.join(format!("{name}-hangs"));
                    let _ = fs::create_dir_all(&keep).and_then(|()| fs::write(&path, bytes));
                    println!("{name}: takes longer than {LIMIT:?}: {}", path.display());
                    std::process::exit(2);
                }
            }
        });
    }
    let mut random = fastrand::Rng::with_seed(args.seed);
    let (mut count, mut broken) = (0_u64, 0);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut run = |bytes: &[u8]| {
        if let Ok(mut watched) = watched.lock() {
            *watched = (Instant::now(), bytes.to_vec());
        }
        count += 1;
        if let Err(cause) = panic::catch_unwind(|| (target.run)(bytes)) {
            let text = cause.downcast_ref::<String>().cloned();
            let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).into()));
            keep(bytes, &text.unwrap_or_default());
            broken += 1;
        }
    };
    inputs.iter().for_each(|bytes| run(bytes));
    while Instant::now() < end {
        let first = random.choice(&inputs).expect("checked above");
        let other = random.choice(&inputs).expect("checked above");
        run(&mutate(first, other, target.words, &mut random));
    }
    println!("{}: {count} inputs, {broken} broke something", target.name);
    Ok(broken)
}
