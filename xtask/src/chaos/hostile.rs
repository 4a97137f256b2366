//! Files that were made to harm, or are no files at all, among good ones.

use std::ffi::CString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::ground::{self, Ground, Row};
use super::running::Running;
use super::{Extent, Findings};
use crate::table::Limit;

const GOOD: usize = 8;
/// All that may be done in time, however long each is looked at: there are two workers.
const LIMIT: Duration = Duration::from_secs(900);

/// What must be refused, with the codes that say so.
struct Hostile {
    path: PathBuf,
    codes: &'static [&'static str],
}

pub fn run(ground: &Ground, extent: &Extent, seed: u64) -> Result<Findings> {
    eprintln!("Hostile: an undisturbed run of {GOOD} jobs");
    let mut findings = Findings::default();
    let alone = ground.place("no-hostile")?;
    ground.list(&alone, &(0..GOOD).map(good).collect::<Vec<_>>())?;
    let finished = Running::start(ground, "no hostile", &mut batch(ground, &alone))?.finish()?;
    ensure!(
        finished.status.success(),
        "it failed: {:?}",
        finished.failures()
    );

    eprintln!("Hostile: the same with files that are to harm between them");
    let place = ground.place("hostile")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let made = hostile(ground, &place, &listener)?;
    let mutated = mutated(ground, &place, extent.moments * 2, seed)?;
    let mut rows: Vec<_> = (0..GOOD).map(good).collect();
    let all = made.iter().map(|hostile| &hostile.path).chain(&mutated);
    for (n, path) in all.enumerate() {
        let mut row = Row::new(0, format!("out/h{n}.mp4"));
        row.face = Some(path.clone());
        row = row.with("stuck-after", "3");
        rows.insert((2 * n + 1).min(rows.len()), row);
    }
    ground.list(&place, &rows)?;
    let begin = Instant::now();
    let finished = Running::start(ground, "hostile", &mut batch(ground, &place))?.finish()?;
    let took = begin.elapsed();

    let mut suffered = Vec::new();
    for n in 0..GOOD {
        let row = good(n);
        let expected = ground::sha256(&alone.join(&row.output))?;
        if ground::sha256(&place.join(&row.output)).ok() != Some(expected) {
            suffered.push(format!(
                "{}: {:?}",
                row.output,
                finished.result(&row.output)
            ));
        }
    }
    findings.none_of("hostile: good jobs that suffered", &suffered);
    let mut wrong = Vec::new();
    for (n, hostile) in made.iter().enumerate() {
        let result = finished.result(&format!("out/h{n}.mp4"));
        let code = result.and_then(|r| r["error"]["code"].as_str());
        if !code.is_some_and(|code| hostile.codes.contains(&code)) {
            let name = hostile.path.display();
            wrong.push(format!("{name}: {code:?}, not {:?}", hostile.codes));
        }
    }
    findings.none_of("hostile: files that were not refused as they are", &wrong);
    let first = made.len();
    let unsaid: Vec<_> = (first..first + mutated.len())
        .map(|n| format!("out/h{n}.mp4"))
        .filter(|output| finished.result(output).is_none())
        .collect();
    let name = format!(
        "hostile: of {} changed files, without a result",
        mutated.len()
    );
    findings.none_of(name, &unsaid);
    let heard = listener.accept().is_ok();
    let heard: Vec<_> = heard
        .then(|| "somebody called".to_owned())
        .into_iter()
        .collect();
    findings.none_of("hostile: connections made for a file", &heard);
    findings.figure(
        "hostile: all of it",
        took.as_secs_f64(),
        "s",
        Limit::AtMost(LIMIT.as_secs_f64()),
    );
    findings.none_of("hostile: processes left over", &ground.strays());
    let left = ground::left_over(&place.join("out"))?;
    findings.none_of("hostile: files left over", &left);
    Ok(findings)
}

fn good(n: usize) -> Row {
    Row::new(n, format!("out/{n}.mp4"))
}

fn batch(ground: &Ground, place: &Path) -> std::process::Command {
    let mut batch = ground.batch(place, 2);
    batch.args(["--min-free", "0", "--attempts", "1"]);
    batch
}

fn hostile(ground: &Ground, place: &Path, listener: &TcpListener) -> Result<Vec<Hostile>> {
    let folder = place.join("in");
    fs::create_dir(&folder)?;
    let at = |name: &str| folder.join(name);
    let (face, _) = ground.inputs(0);
    let port = listener.local_addr()?.port();
    let others = face.display();
    let playlist = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:{port}/a.ts\n#EXTINF:10,\nfile://{others}\n#EXT-X-ENDLIST\n"
    );
    fs::write(at("playlist.mp4"), playlist)?;
    let dash = format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT10S\"><BaseURL>http://127.0.0.1:{port}/</BaseURL><Period><AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1000\"><BaseURL>a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
    );
    fs::write(at("dash.mp4"), dash)?;
    fs::write(
        at("sdp.mp4"),
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    )?;
    // A header is enough to say how much memory the picture would take.
    let mut bomb =
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x36\xb0\0\0\x36\xb0\x08\x06\0\0\0".to_vec();
    bomb.extend([0; 600]);
    fs::write(at("bomb.png"), bomb)?;
    let whole = fs::read(face)?;
    fs::write(at("cut.mp4"), &whole[..whole.len() / 2])?;
    fs::write(at("empty.mp4"), "")?;
    fs::create_dir(at("folder.mp4"))?;
    symlink(at("loop.mp4"), at("loop.mp4"))?;
    // Nobody ever writes to it, and reading it would take for ever.
    let pipe = CString::new(at("pipe.mp4").as_os_str().as_bytes())?;
    // SAFETY: the string ends with a zero byte and lives until the call returns.
    ensure!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) } == 0, "mkfifo");
    symlink("/dev/zero", at("endless.mp4"))?;
    let hostile = |name: &str, codes: &'static [&'static str]| Hostile {
        path: at(name),
        codes,
    };
    Ok(vec![
        hostile("playlist.mp4", &["not-media"]),
        hostile("dash.mp4", &["not-media"]),
        hostile("sdp.mp4", &["not-media"]),
        hostile("bomb.png", &["input-too-large"]),
        hostile("cut.mp4", &["input-damaged"]),
        hostile("empty.mp4", &["input-empty"]),
        hostile("folder.mp4", &["input-is-folder"]),
        hostile("loop.mp4", &["input-missing", "input-unreadable"]),
        hostile(
            "pipe.mp4",
            &["not-media", "input-unreadable", "input-empty"],
        ),
        hostile(
            "endless.mp4",
            &["not-media", "input-unreadable", "input-empty"],
        ),
    ])
}

/// Good faces with a few bytes changed. What comes of them is open, but not that something does.
fn mutated(ground: &Ground, place: &Path, count: usize, seed: u64) -> Result<Vec<PathBuf>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut paths = Vec::new();
    for n in 0..count {
        let (face, _) = ground.inputs(n);
        let mut bytes = fs::read(face)?;
        for _ in 0..1 + random.u8(..12) {
            // Where the rest is described, as often as anywhere.
            let range = match random.u8(..2) {
                0 => bytes.len().min(4096),
                _ => bytes.len(),
            };
            let at = random.usize(..range);
            bytes[at] = random.u8(..);
        }
        let path = place.join(format!("in/{n}.mp4"));
        fs::write(&path, bytes)?;
        paths.push(path);
    }
    Ok(paths)
}
