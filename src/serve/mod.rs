//! The events of a batch over HTTP, as Server-Sent Events: a page at `/`, the stream at `/events`.
//!
//! What is kept in the journal is replayed to whoever comes late, from the event after `Last-Event-ID`
//! or from the first. A reader that is too slow for the rest gets it from the journal likewise, and
//! never holds up anybody.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::event::Event;
use crate::journal::Journal;

/// Events that a reader may be behind before it is sent to the journal.
const BEHIND: usize = 1024;
/// Events that are read from the journal at once.
const PAGE: u32 = 500;
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
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address))?;
        let router = Router::new()
            .route("/", get(async || Html(include_str!("page.html"))))
            .route("/events", get(stream))
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

async fn stream(State(source): State<Source>, headers: HeaderMap) -> impl IntoResponse {
    let after = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(feed(source, after, sender));
    (
        [(header::CACHE_CONTROL, "no-store")],
        Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()),
    )
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
