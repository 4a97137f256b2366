//! Control of a broadcast while it is on air: one JSON object a line on a Unix socket, each answered by
//! one.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Notice;
use super::socket::{self, Socket};
use crate::error::Failure;
use crate::event::{ErrorReport, LiveStatus};

/// How long the broadcast may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// What can be asked of a broadcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum ControlCommand {
    /// Says the file when those before it are said.
    Say {
        /// Sound, or a video with sound.
        file: PathBuf,
    },
    /// Ends what is being said.
    Skip,
    /// Forgets what waits to be said.
    Clear,
    /// Says nothing more until `resume`; the picture goes on.
    Pause,
    /// Goes on saying what waits.
    Resume,
    /// Shows another face.
    Face {
        /// A video or a picture.
        file: PathBuf,
    },
    /// Sends to another destination as well.
    Add {
        /// An address, as `--to` takes it.
        to: String,
    },
    /// Sends no more to a destination, named as `status` shows it.
    Drop {
        /// Its address, without the key.
        to: String,
    },
    /// Asks how the broadcast is.
    Status,
    /// Ends the broadcast.
    Stop,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Whether it was done.
    pub ok: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// How the broadcast is, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<LiveStatus>,
}

/// A command and where its answer goes.
pub struct Request {
    /// What is to be done.
    pub command: ControlCommand,
    /// Takes one answer.
    pub reply: mpsc::SyncSender<Reply>,
}

/// Where a broadcast listens unless told otherwise.
pub fn default_path() -> std::io::Result<PathBuf> {
    Ok(socket::private_folder()?.join("lipflow-live.sock"))
}

/// Listens until it is dropped.
pub(crate) struct Listener {
    _socket: Socket,
}

impl Listener {
    /// Hears wishes at `path` and passes them to `said`: whoever is heard can make the face say anything,
    /// so that is this user.
    pub fn start(path: &Path, said: mpsc::Sender<Notice>) -> std::io::Result<Self> {
        let (socket, listener) = Socket::listen(path)?;
        std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                loop {
                    let next = || listener.accept().map(|(stream, _)| stream);
                    let stream = socket::accept(next, socket::is_own);
                    let said = said.clone();
                    let serving = std::thread::Builder::new().name("control".into());
                    if let Err(error) = serving.spawn(move || serve(&stream, &said)) {
                        tracing::warn!("nobody can serve a connection: {error}");
                    }
                }
            })?;
        Ok(Self { _socket: socket })
    }
}

fn serve(stream: &UnixStream, said: &mpsc::Sender<Notice>) {
    let mut writer = stream;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let reply = match serde_json::from_str(&line) {
            Ok(command) => {
                let (reply, answer) = mpsc::sync_channel(1);
                if said
                    .send(Notice::Request(Request { command, reply }))
                    .is_err()
                {
                    return;
                }
                let Ok(answer) = answer.recv_timeout(ANSWER_LIMIT) else {
                    return;
                };
                answer
            }
            Err(error) => refused(&super::usage(&error)),
        };
        let Ok(mut text) = serde_json::to_vec(&reply) else {
            return;
        };
        text.push(b'\n');
        if writer.write_all(&text).is_err() {
            return;
        }
    }
}

/// The answer to a command that can't be done.
pub fn refused(failure: &Failure) -> Reply {
    Reply {
        ok: false,
        error: Some(failure.into()),
        status: None,
    }
}

/// Asks the broadcast at `path`.
pub fn ask(path: &Path, command: &ControlCommand) -> std::io::Result<Reply> {
    let stream = UnixStream::connect(path)?;
    if !socket::is_own(&stream) {
        return Err(std::io::Error::other("somebody else listens there"));
    }
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut writer = &stream;
    let mut text = serde_json::to_vec(command)?;
    text.push(b'\n');
    writer.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn wishes_and_answers_go_over_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.sock");
        // What a broadcast that was killed leaves is no obstacle.
        drop(UnixListener::bind(&path).unwrap());
        let (sender, receiver) = mpsc::channel();
        let listener = Listener::start(&path, sender).unwrap();
        let answering = std::thread::spawn(move || {
            let Ok(Notice::Request(request)) = receiver.recv() else {
                panic!("no request");
            };
            let reply = Reply {
                ok: true,
                error: None,
                status: None,
            };
            request.reply.send(reply).unwrap();
            request.command
        });
        let command = ControlCommand::Say {
            file: "hello.wav".into(),
        };
        assert!(ask(&path, &command).unwrap().ok);
        assert_eq!(answering.join().unwrap(), command);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_broadcast_that_lives_keeps_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.sock");
        let (sender, _receiver) = mpsc::channel();
        let _first = Listener::start(&path, sender.clone()).unwrap();
        assert!(Listener::start(&path, sender).is_err());
    }

    #[test]
    fn wishes_read_like_sentences() {
        let command: ControlCommand =
            serde_json::from_str(r#"{"do":"say","file":"a.wav"}"#).unwrap();
        assert_eq!(
            command,
            ControlCommand::Say {
                file: "a.wav".into()
            }
        );
        let command: ControlCommand = serde_json::from_str(r#"{"do":"stop"}"#).unwrap();
        assert_eq!(command, ControlCommand::Stop);
    }
}
