//! Unix sockets for this user alone, and connections that are accepted for as long as it takes.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait after a connection that could not be accepted: descriptors may be used up.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that is removed when nobody listens any more.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`. A socket there that nobody answers at was left by a process that died.
    pub fn listen(path: &Path) -> io::Result<(Self, UnixListener)> {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        if is_socket
            && UnixStream::connect(path)
                .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
        {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        // Who came in before this is asked who he is, like all.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok((Self { path: path.into() }, listener))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The next connection for which `is_welcome`. That one can't be accepted ends nothing.
pub fn accept<S>(
    mut next: impl FnMut() -> io::Result<S>,
    mut is_welcome: impl FnMut(&S) -> bool,
) -> S {
    loop {
        match next() {
            Ok(connection) if is_welcome(&connection) => return connection,
            Ok(_) => tracing::warn!("a connection of somebody else was refused"),
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Whether the other end belongs to this user, or to root.
pub fn is_own(stream: &UnixStream) -> bool {
    peer(stream).is_ok_and(is_own_user)
}

pub fn is_own_user(user: u32) -> bool {
    user == 0 || user == own_user()
}

fn own_user() -> u32 {
    // SAFETY: the call has no preconditions and can't fail.
    unsafe { libc::geteuid() }
}

/// The user at the other end.
fn peer(stream: &UnixStream) -> io::Result<u32> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `peer` has room for `size` bytes.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &mut size,
        )
    };
    match result {
        0 => Ok(peer.uid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A folder that nobody else can put anything into: the one that the system gives this user, or one of
/// our own.
pub fn private_folder() -> io::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("XDG_RUNTIME_DIR").filter(|f| !f.is_empty()) {
        return Ok(folder.into());
    }
    private_folder_in(&std::env::temp_dir())
}

fn private_folder_in(shared: &Path) -> io::Result<PathBuf> {
    let folder = shared.join(format!("lipflow-{}", own_user()));
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    // Anybody could have made it before us.
    let found = fs::symlink_metadata(&folder)?;
    if found.is_dir() && found.uid() == own_user() && found.mode() & 0o077 == 0 {
        return Ok(folder);
    }
    Err(io::Error::other(format!(
        "{} is not this user's own; set XDG_RUNTIME_DIR, or give --control",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_can_be_listened_at_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pcm.sock");
        for _ in 0..2 {
            let (socket, listener) = Socket::listen(&path).unwrap();
            assert!(Socket::listen(&path).is_err(), "somebody answers there");
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            drop(listener);
            // As after a kill: nothing was removed.
            std::mem::forget(socket);
        }
        let (socket, _listener) = Socket::listen(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
        // What is no socket is not ours to remove.
        fs::write(&path, "mine").unwrap();
        assert!(Socket::listen(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn one_connection_that_fails_ends_nothing() {
        let mut results = vec![
            Ok(7),
            Ok(1),
            Err(io::Error::from_raw_os_error(libc::EMFILE)),
            Err(io::ErrorKind::ConnectionAborted.into()),
        ];
        let next = || results.pop().unwrap();
        assert_eq!(accept(next, |number| *number != 1), 7);
    }

    #[test]
    fn the_other_end_says_who_it_is() {
        let (a, _b) = UnixStream::pair().unwrap();
        assert!(is_own(&a));
        assert_eq!(peer(&a).unwrap(), own_user());
        assert!(!is_own_user(u32::MAX - 7));
    }

    #[test]
    fn a_folder_in_a_shared_one_is_private_or_refused() {
        let shared = tempfile::tempdir().unwrap();
        let folder = private_folder_in(shared.path()).unwrap();
        assert_eq!(private_folder_in(shared.path()).unwrap(), folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(
            private_folder_in(shared.path()).is_err(),
            "others can write"
        );
        fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink("/tmp", &folder).unwrap();
        assert!(
            private_folder_in(shared.path()).is_err(),
            "a link elsewhere"
        );
    }
}
