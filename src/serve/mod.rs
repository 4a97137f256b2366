//! The events of a batch over HTTP, as Server-Sent Events: a page at `/`, the stream at `/events`.
//!
//! What is kept in the journal is replayed to whoever comes late, from the event after `Last-Event-ID`
//! or from the first. A reader that is too slow for the rest gets it from the journal likewise, and
//! never holds up anybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::event::Event;
use crate::journal::Journal;

/// Events that a reader may be behind before it is sent to the journal.
const BEHIND: usize = 1024;
/// Events that are read from the journal at once.
const PAGE: u32 = 500;
/// So many read at once.
const MOST_READERS: usize = 64;
/// What readers get to take in the last events.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// Serves until it is dropped.
pub struct Server {
    events: Option<broadcast::Sender<Message>>,
    runtime: Option<tokio::runtime::Runtime>,
    /// Counts readers by its clones.
    readers: Arc<()>,
}

/// An event as it goes out: its number, if it is kept, and its JSON.
#[derive(Clone, Debug)]
struct Message {
    id: Option<i64>,
    json: Arc<str>,
}

impl From<&Event> for Message {
    fn from(event: &Event) -> Self {
        let json = serde_json::to_string(event).unwrap_or_default();
        Self {
            id: event.id,
            json: json.into(),
        }
    }
}

#[derive(Clone)]
struct Source {
    journal: PathBuf,
    batch: i64,
    // Weak, or the readers would keep the stream open.
    events: broadcast::WeakSender<Message>,
    readers: std::sync::Weak<()>,
    places: Arc<Semaphore>,
}

impl Server {
    /// Listens at `address`.
    pub fn start(address: SocketAddr, journal: &Path, batch: i64) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("serve-events")
            .enable_all()
            .build()?;
        let (events, _) = broadcast::channel(BEHIND);
        let readers = Arc::new(());
        let source = Source {
            journal: journal.into(),
            batch,
            events: events.downgrade(),
            readers: Arc::downgrade(&readers),
            places: Arc::new(Semaphore::new(MOST_READERS)),
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address))?;
        let router = Router::new()
            .route("/", get(async || Html(include_str!("page.html"))))
            .route("/events", get(stream))
            .layer(middleware::from_fn(only_by_address))
            .with_state(source);
        runtime.spawn(async move {
            // It only ends with the runtime.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            events: Some(events),
            runtime: Some(runtime),
            readers,
        })
    }

    /// Sends the event to all readers; never waits for any.
    pub fn publish(&self, event: &Event) {
        if let Some(events) = &self.events
            && events.receiver_count() > 0
        {
            let _ = events.send(event.into());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.events = None;
        let end = Instant::now() + LAST_MOMENTS;
        while Arc::weak_count(&self.readers) > 1 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Refuses requests to another host's name. A page from anywhere can have its own name lead to this
/// machine, and would be let read everything; an address can't be made to lead elsewhere.
async fn only_by_address(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    // Browsers always name one.
    if host.is_none_or(|host| host.to_str().is_ok_and(is_address)) {
        return next.run(request).await;
    }
    let text = "ask for this server by its address, or as localhost\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Whether a host is given as an address or as localhost, with a port or without.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok()
        || inner.is_some_and(|name| name.parse::<Ipv6Addr>().is_ok())
}

/// What to say of an address at which not only this machine is served.
pub fn exposure(address: IpAddr) -> Option<String> {
    (!address.is_loopback()).then(|| {
        format!(
            "Whoever can reach {address} can read the events, with the names of all files. 127.0.0.1 keeps them on this machine"
        )
    })
}

async fn stream(State(source): State<Source>, headers: HeaderMap) -> Response {
    let Ok(place) = source.places.clone().try_acquire_owned() else {
        let text = "so many read already that there is no place\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let after = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        feed(source, after, sender).await;
        drop(place);
    });
    (
        [(header::CACHE_CONTROL, "no-store")],
        Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()),
    )
        .into_response()
}

type Outgoing = mpsc::Sender<Result<sse::Event, std::convert::Infallible>>;

/// Gives one reader what is kept, then what comes.
async fn feed(source: Source, mut after: i64, out: Outgoing) {
    let _present = source.readers.clone();
    // Before the replay, so that nothing falls in between; at the end of a batch there is no more to
    // come.
    let mut coming = source.events.upgrade().map(|events| events.subscribe());
    loop {
        match replay(&source, after, &out).await {
            Some(last) => after = last,
            None => return,
        }
        let Some(events) = &mut coming else { return };
        loop {
            match events.recv().await {
                Ok(message) if message.id.is_some_and(|id| id <= after) => {}
                Ok(message) => {
                    after = message.id.unwrap_or(after);
                    if send(&out, message.id, &message.json).await.is_err() {
                        return;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => break,
                Err(broadcast::error::RecvError::Closed) => {
                    coming = None;
                    break;
                }
            }
        }
    }
}

/// Sends what the journal has after number `after`; gives the last number, or nothing if the reader or
/// the journal has gone.
async fn replay(source: &Source, mut after: i64, out: &Outgoing) -> Option<i64> {
    loop {
        let (journal, batch) = (source.journal.clone(), source.batch);
        let page = tokio::task::spawn_blocking(move || {
            Journal::read(&journal)?.events(batch, after, PAGE)
        });
        let page = page.await.ok()?.ok()?;
        if page.is_empty() {
            return Some(after);
        }
        for (id, json) in page {
            send(out, Some(id), &json).await.ok()?;
            after = id;
        }
    }
}

async fn send(out: &Outgoing, id: Option<i64>, json: &str) -> Result<(), ()> {
    let mut event = sse::Event::default().data(json);
    if let Some(id) = id {
        event = event.id(id.to_string());
    }
    out.send(Ok(event)).await.map_err(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_name_that_can_lead_anywhere_is_no_address() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "10.1.2.3",
            "[::1]:8080",
            "[fe80::1]",
        ] {
            assert!(is_address(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":8080",
            "::1",
        ] {
            assert!(!is_address(host), "{host}");
        }
    }

    #[test]
    fn others_on_the_network_are_not_served_without_a_word() {
        assert_eq!(exposure([127, 0, 0, 1].into()), None);
        assert_eq!(exposure(Ipv6Addr::LOCALHOST.into()), None);
        assert!(exposure(Ipv4Addr::UNSPECIFIED.into()).is_some());
        assert!(exposure([192, 168, 1, 7].into()).is_some());
    }

    /// The status line of an answer, and the connection.
    fn ask(address: SocketAddr, path: &str, host: &str) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(address).unwrap();
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        (String::from_utf8(line).unwrap(), stream)
    }

    #[test]
    fn pages_from_elsewhere_and_too_many_readers_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Journal::open(folder.path()).unwrap());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let _server = Server::start(address, folder.path(), 1).unwrap();
        for path in ["/", "/events"] {
            let (status, _) = ask(address, path, "evil.example");
            assert!(status.contains("403"), "{path}: {status}");
        }
        let mut readers = Vec::new();
        for _ in 0..MOST_READERS {
            let (status, stream) = ask(address, "/events", "localhost");
            assert!(status.contains("200"), "{status}");
            readers.push(stream);
        }
        let (status, _) = ask(address, "/events", "localhost");
        assert!(status.contains("503"), "{status}");
        let (status, _) = ask(address, "/", "127.0.0.1");
        assert!(status.contains("200"), "{status}");
    }
}
