//! Changes of a pipeline's state that block nobody.

use std::sync::mpsc;
use std::time::Duration;

use gst::prelude::*;

use crate::error::{Failure, FailureKind};

/// How long a pipeline may take to let go of its threads and files.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Changes the state of a pipeline in a thread of its own, one change after the other: an element that
/// blocks in its state change must not block whoever watches it, and a pipeline that is still starting
/// must not start after it was stopped.
pub(super) struct States(mpsc::Sender<(gst::State, mpsc::SyncSender<Result<(), ()>>)>);

impl States {
    pub(super) fn of(pipeline: &gst::Pipeline) -> Self {
        let (sender, wanted) = mpsc::channel::<(gst::State, mpsc::SyncSender<_>)>();
        let pipeline = pipeline.clone();
        std::thread::spawn(move || {
            for (state, answer) in wanted {
                let changed = pipeline.set_state(state);
                let _ = answer.send(changed.map(drop).map_err(drop));
            }
        });
        Self(sender)
    }

    /// Asks for a state; what comes of it arrives later.
    pub(super) fn ask(&self, state: gst::State) -> mpsc::Receiver<Result<(), ()>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let _ = self.0.send((state, sender));
        receiver
    }

    /// Takes the pipeline down, within a limit.
    pub(super) fn stop(&self) -> Result<(), Failure> {
        let stopped = self.ask(gst::State::Null);
        stopped.recv_timeout(STOP_LIMIT).map(drop).map_err(|_| {
            Failure::new(FailureKind::Stuck).detail(format_args!(
                "it did not stop within {} s",
                STOP_LIMIT.as_secs()
            ))
        })
    }
}

/// Takes a pipeline down, within a limit.
pub fn stop(pipeline: &gst::Pipeline) -> Result<(), Failure> {
    States::of(pipeline).stop()
}

#[cfg(test)]
mod tests {
    use super::super::tests::launch;
    use super::*;

    #[test]
    fn what_was_stopped_while_it_started_stays_stopped() {
        let pipeline = launch("videotestsrc ! fakesink");
        let states = States::of(&pipeline);
        // Asked for together, as a cancellation at the first moment does.
        let playing = states.ask(gst::State::Playing);
        states.stop().unwrap();
        assert!(playing.try_recv().is_ok(), "it had its turn");
        let (_, state, pending) = pipeline.state(gst::ClockTime::ZERO);
        assert_eq!(
            (state, pending),
            (gst::State::Null, gst::State::VoidPending)
        );
    }
}
