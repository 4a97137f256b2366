//! A real RTMP server for the tests: Debian's nginx with its RTMP module, unpacked and not installed, for
//! the installed package would start a web server by itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

const PACKAGES: [&str; 2] = ["nginx", "libnginx-mod-rtmp"];
/// What the tests look for, below the folder or below `/`.
const FILES: [&str; 2] = ["usr/sbin/nginx", "usr/lib/nginx/modules/ngx_rtmp_module.so"];

/// Unpacks the server into `folder` if it is neither there nor installed.
pub fn ensure(folder: &Path) -> Result<()> {
    let is_in = |root: &Path| FILES.iter().all(|file| root.join(file).is_file());
    if is_in(folder) || is_in(Path::new("/")) {
        return Ok(());
    }
    let parent = folder.parent().context("the server has no folder")?;
    fs::create_dir_all(parent)?;
    // Beside the place where it goes, so that it can be renamed; gone with this process's work.
    let scratch = parent.join(format!(".nginx-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let done = unpack(&scratch).and_then(|()| {
        if !is_in(&scratch) {
            bail!(
                "{} are not in Debian's packages any more",
                FILES.join(" and ")
            );
        }
        // What was half unpacked before goes.
        let _ = fs::remove_dir_all(folder);
        fs::rename(&scratch, folder).context("the server could not be put in its place")
    });
    let _ = fs::remove_dir_all(&scratch);
    done.context(
        "the RTMP server for the tests could not be unpacked. Install nginx and libnginx-mod-rtmp instead",
    )
}

fn unpack(scratch: &Path) -> Result<()> {
    eprintln!("Unpacking {}", PACKAGES.join(" "));
    process::run(
        Command::new("apt-get")
            .args(["-qq", "download"])
            .args(PACKAGES)
            .current_dir(scratch),
    )?;
    for entry in fs::read_dir(scratch)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            process::run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(scratch))?;
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
