//! Debian packages: what is needed, what is missing, and how it gets there.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Scope;
use crate::process;

/// Shows that a package's content is there although dpkg doesn't know it: built by hand, or by
/// another package manager.
enum Sign {
    Command(&'static [&'static str]),
    File(&'static str),
}

struct Package {
    name: &'static str,
    scope: Scope,
    sign: Sign,
}

const fn package(name: &'static str, scope: Scope, sign: Sign) -> Package {
    Package { name, scope, sign }
}

const fn element(name: &'static str, command: &'static [&'static str]) -> Package {
    package(name, Scope::Work, Sign::Command(command))
}

/// A C linker and libc are not here: without them cargo could not have built this program.
const PACKAGES: [Package; 22] = [
    package(
        "pkg-config",
        Scope::Work,
        Sign::Command(&["pkg-config", "--version"]),
    ),
    package(
        "libgstreamer1.0-dev",
        Scope::Work,
        Sign::Command(&[
            "pkg-config",
            "--exists",
            "gstreamer-1.0 >= 1.22",
            "gstreamer-check-1.0",
        ]),
    ),
    package(
        "libgstreamer-plugins-base1.0-dev",
        Scope::Work,
        Sign::Command(&[
            "pkg-config",
            "--exists",
            "gstreamer-video-1.0",
            "gstreamer-app-1.0",
            "gstreamer-pbutils-1.0",
        ]),
    ),
    element("gstreamer1.0-tools", &["gst-launch-1.0", "--version"]),
    element(
        "gstreamer1.0-plugins-base",
        &["gst-inspect-1.0", "--exists", "uridecodebin"],
    ),
    element(
        "gstreamer1.0-plugins-good",
        &["gst-inspect-1.0", "--exists", "mp4mux"],
    ),
    element(
        "gstreamer1.0-plugins-bad",
        &["gst-inspect-1.0", "--exists", "h264parse"],
    ),
    element(
        "gstreamer1.0-plugins-ugly",
        &["gst-inspect-1.0", "--exists", "x264enc"],
    ),
    element(
        "gstreamer1.0-libav",
        &["gst-inspect-1.0", "--exists", "avdec_h264"],
    ),
    element(
        "gstreamer1.0-rtsp",
        &["gst-inspect-1.0", "--exists", "rtspclientsink"],
    ),
    // Decodes HEIC and AVIF pictures.
    package(
        "libheif1",
        Scope::Work,
        Sign::Command(&[
            "python3",
            "-c",
            "import ctypes; ctypes.CDLL('libheif.so.1')",
        ]),
    ),
    // Letters for labels: Latin, and Chinese.
    package(
        "fonts-dejavu-core",
        Scope::Work,
        Sign::File("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    ),
    package(
        "fonts-wqy-microhei",
        Scope::Work,
        Sign::File("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
    ),
    package(
        "python3",
        Scope::Work,
        Sign::Command(&["python3", "--version"]),
    ),
    package(
        "python3-venv",
        Scope::Work,
        Sign::Command(&["python3", "-c", "import ensurepip, venv"]),
    ),
    // Real speech for the demo, the tests and the bench.
    package("pocketsphinx-testdata", Scope::Work, Sign::File(SPEECH)),
    // The server of a test.
    package(
        "libgstrtspserver-1.0-dev",
        Scope::Test,
        Sign::Command(&["pkg-config", "--exists", "gstreamer-rtsp-server-1.0"]),
    ),
    // Make HEIC and AVIF pictures.
    package(
        "libheif-examples",
        Scope::Test,
        Sign::Command(&["heif-enc", "--list-encoders"]),
    ),
    package(
        "libavif-bin",
        Scope::Test,
        Sign::Command(&["avifenc", "--version"]),
    ),
    // Read metadata.
    package(
        "libimage-exiftool-perl",
        Scope::Test,
        Sign::Command(&["exiftool", "-ver"]),
    ),
    package(
        "mediainfo",
        Scope::Test,
        Sign::Command(&["mediainfo", "--Version"]),
    ),
    // Makes the inputs of the tests and of the bench.
    package(
        "ffmpeg",
        Scope::Test,
        Sign::Command(&["ffmpeg", "-version"]),
    ),
];

/// Where pocketsphinx-testdata puts readings from LibriVox.
pub const SPEECH: &str = "/usr/share/pocketsphinx/test/data/librivox";

/// The elements that the templates and ordinary inputs can't do without.
const ELEMENTS: [&str; 10] = [
    "uridecodebin",
    "videoconvert",
    "audioresample",
    "qtdemux",
    "mp4mux",
    "matroskamux",
    "h264parse",
    "x264enc",
    "avdec_h264",
    "avenc_aac",
];

/// What is to be done about missing packages.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    Install { sudo: bool },
    Ask(String),
}

fn plan(missing: &[&str], apt: bool, root: bool, sudo: impl FnOnce() -> bool) -> Plan {
    if missing.is_empty() {
        return Plan::Nothing;
    }
    let list = missing.join(" ");
    if !apt {
        return Plan::Ask(format!(
            "this machine has no apt-get, so install by other means what Debian 12 calls:\n    {list}"
        ));
    }
    if root {
        return Plan::Install { sudo: false };
    }
    if sudo() {
        return Plan::Install { sudo: true };
    }
    Plan::Ask(format!(
        "packages are missing, and installing them takes root. Run this, then try again:\n    \
         sudo apt-get update && sudo apt-get install --no-install-recommends {list}"
    ))
}

/// Installs what `scope` needs and this machine lacks.
pub fn ensure(scope: Scope) -> Result<()> {
    let missing = missing(scope);
    match plan(&missing, has_apt(), is_root(), has_sudo) {
        Plan::Nothing if remembers_failures() => check_elements(),
        Plan::Nothing => Ok(()),
        Plan::Ask(text) => bail!(text),
        Plan::Install { sudo } => {
            eprintln!("Installing {}", missing.join(" "));
            install(&missing, sudo)?;
            check_elements()
        }
    }
}

pub fn missing(scope: Scope) -> Vec<&'static str> {
    let wanted: Vec<_> = PACKAGES.iter().filter(|p| p.scope <= scope).collect();
    let installed = installed(wanted.iter().map(|p| p.name));
    wanted
        .iter()
        .filter(|p| !installed.contains(p.name) && !shows(&p.sign))
        .map(|p| p.name)
        .collect()
}

fn shows(sign: &Sign) -> bool {
    match sign {
        Sign::Command(words) => process::succeeds(Command::new(words[0]).args(&words[1..])),
        Sign::File(path) => Path::new(path).exists(),
    }
}

/// Those of `names` that dpkg has installed; none where there is no dpkg.
fn installed<'a>(names: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let query = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(names)
        .output();
    // It fails when any name is unknown, and still lists the others.
    let text = query.map(|o| o.stdout).unwrap_or_default();
    parse_installed(&String::from_utf8_lossy(&text))
}

fn parse_installed(listing: &str) -> HashSet<String> {
    listing
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, status)| *status == "installed")
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn has_apt() -> bool {
    process::succeeds(Command::new("apt-get").arg("--version"))
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn has_sudo() -> bool {
    process::succeeds(Command::new("sudo").args(["-n", "true"]))
}

fn install(names: &[&str], sudo: bool) -> Result<()> {
    let apt_get = || {
        let mut command = if sudo {
            let mut command = Command::new("sudo");
            command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
            command
        } else {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        // Another apt may be at work, an unattended upgrade for instance.
        command.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=600"]);
        command
    };
    // One dead source among several must not stop us: whether the packages can be had is what counts.
    if let Err(error) = process::output(apt_get().arg("update")) {
        eprintln!("warning: {error:#}");
    }
    process::output(
        apt_get()
            .args(["install", "--no-install-recommends"])
            .args(names),
    )
    .context("apt-get could not install the packages that lipflow needs")?;
    Ok(())
}

/// Whether GStreamer's cache says of some plugin that it can't be loaded. That may be over: a plugin
/// that was looked at while its libraries were being installed stays marked.
fn remembers_failures() -> bool {
    let listing = process::output(Command::new("gst-inspect-1.0").arg("--print-blacklist"));
    listing.is_ok_and(|text| names_a_plugin(&text))
}

fn names_a_plugin(blacklist: &str) -> bool {
    blacklist.lines().any(|line| line.trim().ends_with(".so"))
}

/// Sees whether the elements load, and clears GStreamer's cache where it says otherwise.
fn check_elements() -> Result<()> {
    let scratch = std::env::temp_dir().join(format!("lipflow-registry-{}.bin", std::process::id()));
    let exists = |element: &str, fresh: bool| {
        let mut inspect = Command::new("gst-inspect-1.0");
        inspect.args(["--exists", element]);
        if fresh {
            inspect.env("GST_REGISTRY", &scratch);
        }
        process::succeeds(&mut inspect)
    };
    let broken: Vec<_> = ELEMENTS.into_iter().filter(|e| !exists(e, true)).collect();
    let stale = ELEMENTS.iter().any(|e| !exists(e, false));
    // Nothing depends on the scratch file, so a failure to delete it does no harm.
    let _ = std::fs::remove_file(&scratch);
    if !broken.is_empty() {
        bail!(
            "the GStreamer elements {} are installed but don't load. See why with `gst-inspect-1.0 {}`",
            broken.join(", "),
            broken[0]
        );
    }
    if stale {
        for cache in registry_caches() {
            eprintln!(
                "Clearing GStreamer's outdated list of plugins, {}",
                cache.display()
            );
            std::fs::remove_file(&cache)
                .with_context(|| format!("can't delete {}", cache.display()))?;
        }
    }
    Ok(())
}

fn registry_caches() -> Vec<PathBuf> {
    let folder = super::base_dir("XDG_CACHE_HOME", ".cache", "/var/cache").join("gstreamer-1.0");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: [&str; 2] = ["gstreamer1.0-libav", "ffmpeg"];

    #[test]
    fn nothing_is_asked_for_when_nothing_is_missing() {
        assert_eq!(plan(&[], false, false, || false), Plan::Nothing);
    }

    #[test]
    fn root_needs_no_sudo() {
        assert_eq!(
            plan(&MISSING, true, true, || panic!("sudo was tried")),
            Plan::Install { sudo: false }
        );
        assert_eq!(
            plan(&MISSING, true, false, || true),
            Plan::Install { sudo: true }
        );
    }

    #[test]
    fn without_root_the_line_to_paste_has_every_package() {
        let Plan::Ask(text) = plan(&MISSING, true, false, || false) else {
            panic!("it should ask");
        };
        let line = text.lines().last().unwrap();
        assert!(
            line.ends_with("install --no-install-recommends gstreamer1.0-libav ffmpeg"),
            "{text}"
        );
    }

    #[test]
    fn without_apt_it_names_the_packages_and_no_command() {
        let Plan::Ask(text) = plan(&MISSING, false, true, || true) else {
            panic!("it should ask");
        };
        assert!(text.ends_with("gstreamer1.0-libav ffmpeg"), "{text}");
        assert!(!text.contains("apt-get install"), "{text}");
    }

    #[test]
    fn half_installed_is_not_installed() {
        let listing = "ffmpeg installed\npython3 half-configured\npkg-config not-installed\n";
        let installed = parse_installed(listing);
        assert_eq!(installed, HashSet::from(["ffmpeg".to_owned()]));
    }

    #[test]
    fn a_failure_that_gstreamer_remembers_is_seen() {
        let none = "Blacklisted files:\n\nTotal count: 0 blacklisted files\n";
        assert!(!names_a_plugin(none));
        let one = "Blacklisted files:\n  libgstlibav.so\n\nTotal count: 1 blacklisted file\n";
        assert!(names_a_plugin(one));
    }

    #[test]
    fn tests_need_all_that_work_needs() {
        let count = |scope| PACKAGES.iter().filter(|p| p.scope <= scope).count();
        assert!(count(Scope::Work) < count(Scope::Test));
        assert_eq!(count(Scope::Test), PACKAGES.len());
    }
}
