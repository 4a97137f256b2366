//! Raw sound from standard input, a Unix socket or a port of this machine.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::str::FromStr;

use super::pcm::Pcm;
use super::socket::{self, Socket};
use super::speech::Speech;
use crate::error::{Failure, FailureKind};

/// Where raw sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Stdin,
    Unix(PathBuf),
    Tcp(u16),
}

impl FromStr for Place {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.parse()) {
            ("-", _) => Self::Stdin,
            (_, Ok(port)) => Self::Tcp(port),
            (path, Err(_)) => Self::Unix(path.into()),
        })
    }
}

/// Raw sound from where it comes, and the socket that is to be removed when it is over.
pub fn open(place: Place, pcm: Pcm) -> Result<(Speech, Option<Socket>), Failure> {
    let failed = |e: io::Error| {
        Failure::new(FailureKind::Usage)
            .because(format_args!("raw sound can't be taken from there: {e}"))
            .advice("Choose another socket or port with --pcm")
    };
    let frame = pcm.frame_size();
    let mut kept = None;
    let fd: OwnedFd = match place {
        Place::Stdin => io::stdin().as_fd().try_clone_to_owned().map_err(failed)?,
        Place::Unix(path) => {
            let (socket, listener) = Socket::listen(&path).map_err(failed)?;
            kept = Some(socket);
            bridge(frame, move || {
                let next = || listener.accept().map(|(stream, _)| stream);
                Some(socket::accept(next, socket::is_own))
            })
            .map_err(failed)?
        }
        Place::Tcp(port) => {
            let listener = TcpListener::bind(("127.0.0.1", port)).map_err(failed)?;
            bridge(frame, move || {
                let next = || listener.accept().map(|(stream, _)| stream);
                Some(socket::accept(next, is_own))
            })
            .map_err(failed)?
        }
    };
    Ok((Speech::Pcm(fd, pcm), kept))
}

/// Passes what one connection after the other sends into a pipe, which never ends before they do. What
/// breaks off within a moment of `frame` bytes is filled up, or all that follows would be out of step.
fn bridge<S: Read + Send + 'static>(
    frame: usize,
    mut next: impl FnMut() -> Option<S> + Send + 'static,
) -> io::Result<OwnedFd> {
    let (reader, mut writer) = io::pipe()?;
    std::thread::Builder::new()
        .name("raw-sound".into())
        .spawn(move || {
            while let Some(connection) = next() {
                if pass(connection, &mut writer, frame).is_err() {
                    return;
                }
            }
        })?;
    Ok(reader.into())
}

/// Passes one connection on; fails when nobody reads any more.
fn pass(mut connection: impl Read, writer: &mut impl Write, frame: usize) -> io::Result<()> {
    let mut part = [0; 16 * 1024];
    let mut filled = 0;
    // Enough to see who speaks.
    while filled < LONGEST_GREETING {
        match connection.read(&mut part[filled..]) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    if is_web(&part[..filled]) {
        tracing::warn!("a browser's request is no sound, and was refused");
        return Ok(());
    }
    let mut sent = 0;
    loop {
        writer.write_all(&part[..filled])?;
        sent += filled;
        filled = match connection.read(&mut part) {
            Err(e) if e.kind() == ErrorKind::Interrupted => 0,
            // One that breaks off has said what it had to say.
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
    }
    let missing = sent.next_multiple_of(frame) - sent;
    writer.write_all(&vec![0; missing])
}

/// How requests begin that a page in a browser can make to any port; the last is TLS.
const GREETINGS: [&[u8]; 8] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"PATCH ",
    b"DELETE ",
    b"OPTIONS ",
    b"\x16\x03",
];
const LONGEST_GREETING: usize = 8;

fn is_web(begin: &[u8]) -> bool {
    GREETINGS.iter().any(|greeting| begin.starts_with(greeting))
}

/// Whether the other end belongs to this user, or to root; who is not known is not let in.
fn is_own(stream: &TcpStream) -> bool {
    let (Ok(SocketAddr::V4(own)), Ok(SocketAddr::V4(other))) =
        (stream.local_addr(), stream.peer_addr())
    else {
        return false;
    };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    owner(&table, other, own).is_some_and(socket::is_own_user)
}

/// The user of the connection from `own` to `other` in the kernel's table.
fn owner(table: &str, own: SocketAddrV4, other: SocketAddrV4) -> Option<u32> {
    // The address as the kernel has it in memory, printed as a number.
    let shown = |address: SocketAddrV4| {
        let ip = u32::from_ne_bytes(address.ip().octets());
        format!("{ip:08X}:{:04X}", address.port())
    };
    let (own, other) = (shown(own), shown(other));
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next()? == own && fields.next()? == other;
        let user = fields.nth(4)?;
        is_it.then(|| user.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_raw_sound() {
        let place = |text: &str| text.parse::<Place>().unwrap();
        assert_eq!(place("-"), Place::Stdin);
        assert_eq!(place("9000"), Place::Tcp(9000));
        assert_eq!(place("/run/x.sock"), Place::Unix("/run/x.sock".into()));
    }

    fn bridged(frame: usize, connections: &[&[u8]]) -> Vec<u8> {
        let mut connections: Vec<_> = connections.iter().rev().map(|c| c.to_vec()).collect();
        let fd = bridge(frame, move || connections.pop().map(io::Cursor::new));
        let mut got = Vec::new();
        std::fs::File::from(fd.unwrap())
            .read_to_end(&mut got)
            .unwrap();
        got
    }

    #[test]
    fn a_connection_that_breaks_off_leaves_the_next_one_in_step() {
        assert_eq!(bridged(2, &[&[1, 2, 9], &[3, 4]]), [1, 2, 9, 0, 3, 4]);
        let long: Vec<u8> = (0..40_000).map(|n| n as u8).collect();
        assert_eq!(bridged(1, &[&long]), long);
    }

    #[test]
    fn what_a_page_in_a_browser_sends_is_not_said() {
        let request = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n\r\nsound";
        assert_eq!(bridged(2, &[request, &[1, 2], b"\x16\x03\x01\x02"]), [1, 2]);
    }

    #[test]
    fn a_connection_within_this_machine_has_an_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert!(is_own(&server));
        drop(client);
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
             0: 0100007F:C350 0100007F:2328 01 00000000:00000000 00:00000000 00000000  1001        0 1\n";
        let address = |port| SocketAddrV4::new([127, 0, 0, 1].into(), port);
        if cfg!(target_endian = "little") {
            assert_eq!(owner(table, address(50_000), address(9000)), Some(1001));
        }
        assert_eq!(owner(table, address(9000), address(50_000)), None);
        assert_eq!(owner("", address(1), address(2)), None);
    }
}
