//! Learning a face for those who have no job that speaks meanwhile.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{Learnt, Request, SOURCE, Told, ensure};
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, Phase, Progress, seconds};

/// The longest silence; half of what is promised.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Does what [`ensure`] does in a thread of its own, and tells it as events, never more than a second
/// apart. `is_over` is asked whether to end it.
pub fn aloud(
    request: Request,
    is_over: &dyn Fn() -> bool,
    emit: &mut dyn FnMut(&Event),
) -> Result<Learnt, Failure> {
    let (sender, said) = mpsc::channel();
    let cancel = Cancel::default();
    let begin = Instant::now();
    let learner = std::thread::Builder::new().name("learn".into()).spawn({
        let cancel = cancel.clone();
        move || {
            ensure(&request, &cancel, &mut |told| {
                // Nobody listens any more once it was given up.
                let _ = sender.send(told);
            })
        }
    });
    let learner = learner.map_err(|e| Failure::new(FailureKind::Internal).detail(e))?;
    let mut progress = Progress {
        phase: Phase::Learning,
        ..Default::default()
    };
    loop {
        if is_over() {
            cancel.cancel(libc::SIGINT);
        }
        match said.recv_timeout(HEARTBEAT) {
            Ok(Told::Learning(learning)) => progress.learning = Some(learning),
            Ok(Told::Warning(message)) => {
                let source = Some(SOURCE.into());
                emit(&Event::now(Body::Warning { message, source }));
                continue;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        progress.elapsed_s = seconds(begin.elapsed());
        emit(&Event::now(Body::Progress(progress.clone())));
    }
    let panicked = |_| Err(Failure::new(FailureKind::Internal).detail("learning panicked"));
    learner.join().unwrap_or_else(panicked)
}
