//! What a worker may not do, whatever a file makes of its decoders.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

use serde::{Deserialize, Serialize};

use crate::faces;
use crate::job::Job;
use crate::reach::{Reach, is_of_files};

/// Memory that a worker has in any case.
const LEAST: u64 = 4 << 30;

/// What the workers of a batch may not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory that each may ask for; without, as many as there are.
    pub memory: Option<u64>,
    /// They can't reach the network.
    pub no_network: bool,
    /// They reach only files that the jobs name.
    pub own_files: bool,
}

/// The limits of one worker process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Bytes of memory that it may ask for; without, as many as there are.
    pub memory: Option<u64>,
    /// It can't reach the network, where the kernel knows how (Landlock, since Linux 6.7).
    pub no_network: bool,
    /// The files that it reaches; without, all that its user may.
    pub files: Option<Reach>,
}

impl Confinement {
    /// Puts this process under them. Before it has threads: each has a network of its own to lose.
    pub fn apply(&self) -> io::Result<()> {
        if let Some(bytes) = self.memory {
            limit_memory(bytes)?;
        }
        if let Some(files) = &self.files {
            if let Some(folder) = faces::folder() {
                // It could not be made afterwards. What is wrong with it is said when it is used.
                let _ = faces::make_folder(&folder);
            }
            match files.restrict(faces::folder().as_deref()) {
                Ok(RulesetStatus::NotEnforced) => {
                    tracing::debug!("this kernel can't keep a worker from files");
                }
                Ok(_) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        if self.no_network {
            match without_network() {
                Ok(RulesetStatus::NotEnforced) => {
                    tracing::debug!("this kernel can't keep a worker from the network");
                }
                Ok(_) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }
}

/// What a process has written or may write, and not what it has reserved: CUDA and the allocator reserve
/// hundreds of gigabytes of addresses that RLIMIT_AS would count.
fn limit_memory(bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: the limit lives until the call returns.
    match unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// No rule allows anything that is handled, so that no connection can be made or taken.
fn without_network() -> Result<RulesetStatus, RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessNet::from_all(ABI::V4))?
        // Beside a layer that is about files, one that says nothing of moves between folders denies them.
        .handle_access(AccessFs::Refer)?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::Refer))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Three quarters of the machine's memory: a job that wants more takes down its worker, and not whatever
/// the kernel would choose.
pub fn usual_memory() -> u64 {
    // SAFETY: the calls have no preconditions; what is not known is -1.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    let total = u64::try_from(pages).unwrap_or(0) * u64::try_from(size).unwrap_or(0);
    (total / 4 * 3).max(LEAST)
}

/// Whether the job may have to reach the network, as its template or an address says.
pub fn needs_network(job: &Job) -> bool {
    !is_of_files(job)
        || job
            .parameters
            .iter()
            .any(|(_, value)| value.contains("://"))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// In a thread: the limit is for the thread that takes it on, and those that it starts.
    #[test]
    fn without_network_nobody_is_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(TcpStream::connect(address).is_ok());
        let tried = std::thread::spawn(move || {
            let status = without_network().unwrap();
            (status, TcpStream::connect(address).is_ok())
        });
        let (status, is_reached) = tried.join().unwrap();
        // A kernel without Landlock goes without.
        assert_eq!(is_reached, status == RulesetStatus::NotEnforced);
        assert!(TcpStream::connect(address).is_ok(), "others still can");
    }

    #[test]
    fn own_templates_of_files_need_no_network() {
        let job = |template: &str, value: &str| -> Job {
            serde_json::from_value(serde_json::json!({
                "face": "f.mp4", "speech": "s.wav", "output": null, "template": template,
                "parameters": [["x", value]], "end_mode": "speech", "loop_mode": null,
                "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0}, "graph": null,
                "dry_run": false
            }))
            .unwrap()
        };
        assert!(!needs_network(&job("file", "20")));
        assert!(needs_network(&job("file", "rtmp://host/app")));
        assert!(needs_network(&job("own.launch", "20")));
        assert!(needs_network(&job("stream", "20")));
    }

    #[test]
    fn the_usual_memory_is_generous() {
        assert!(usual_memory() >= LEAST);
    }
}
