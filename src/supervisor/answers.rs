//! What workers say, and what becomes of it.

use super::{Active, Announcement, PROGRESS_INTERVAL, Supervisor};
use crate::event::{Body, Event, JobState, Phase};
use crate::faces;
use crate::journal::{Change, Lease};
use crate::worker::protocol::{Answer, Order};

/// So many warnings of one attempt are kept: a broken file can have one for each frame.
const MOST_WARNINGS: u32 = 50;

impl Supervisor<'_> {
    pub(super) fn answered(&mut self, serial: u64, answer: Answer) {
        let now = self.clock.now();
        // What a worker said before it was killed comes too late: what became of its jobs is decided.
        let Some(worker) = self.workers.get_mut(&serial) else {
            return;
        };
        worker.last_heard = now;
        if !worker.is_ready {
            worker.is_ready = true;
            self.hiring.succeeded();
        }
        match answer {
            Answer::Alive => {}
            Answer::Event { lease, event } => self.job_said(serial, lease, event),
            Answer::Digested { digests } => {
                for found in digests {
                    self.changes.push(Change::Digest {
                        path: found.path,
                        stamp: found.stamp,
                        sha256: found.sha256,
                    });
                }
            }
            Answer::Made {
                lease,
                made,
                identity,
            } => {
                let sha256 = made.sha256;
                let Some(active) = self.in_worker(serial, lease) else {
                    return;
                };
                active.promised = Some(sha256.clone());
                self.changes.push(Change::Made {
                    lease,
                    sha256,
                    identity,
                });
                self.orders.push((serial, Order::Publish { lease }));
            }
            Answer::Ended {
                lease,
                outcome,
                stamp,
            } => {
                if self.in_worker(serial, lease).is_some() {
                    self.ended(lease.job, outcome, stamp);
                }
            }
            Answer::Probed { path, stamp, media } => {
                self.background_task = None;
                if let Some(media) = media {
                    self.estimator.learn_media(path.clone(), media);
                }
                if let Some(stamp) = stamp {
                    self.changes.push(Change::Media { path, stamp, media });
                }
            }
            // Nobody here asks for the one, and the hands see to the other.
            Answer::Looked { .. } | Answer::Ready { .. } => {}
            Answer::Thumbnail { job, jpeg } => {
                let lease = self.background_task.take().flatten();
                if let Some((lease, jpeg)) = lease.zip(jpeg).filter(|(l, _)| l.job == job) {
                    self.changes.push(Change::Thumbnail { lease, jpeg });
                }
            }
        }
    }

    /// The attempt, if it is in that worker: one that is over may still be heard of while the next one
    /// runs.
    fn in_worker(&mut self, serial: u64, lease: Lease) -> Option<&mut Active> {
        self.jobs
            .get_mut(&lease.job)
            .filter(|active| active.worker == serial && active.claim.lease() == lease)
    }

    fn job_said(&mut self, serial: u64, lease: Lease, event: Event) {
        // Every worker would say it.
        if let Body::Warning {
            message,
            source: Some(source),
        } = &event.body
            && source == faces::SOURCE
            && !self.said_of_faces.insert(message.clone())
        {
            return;
        }
        let now = self.clock.now();
        let job = lease.job;
        let is_of_it = event.job == Some(job);
        let Some(active) = self.in_worker(serial, lease).filter(|_| is_of_it) else {
            return;
        };
        match &event.body {
            Body::Progress(progress) => {
                if progress.phase != active.progress.phase
                    || progress.frames != active.progress.frames
                    || progress.learning != active.progress.learning
                {
                    active.moved = now;
                }
                if progress.frames > 0 && progress.phase <= Phase::Draining {
                    let first = active.ran.map_or(now, |(first, _)| first);
                    active.ran = Some((first, now));
                }
                active.progress = progress.clone();
                if now - active.kept >= PROGRESS_INTERVAL {
                    active.kept = now;
                    self.positions.insert(lease, progress.clone());
                }
                self.announcements.push(Announcement::Passing(event.into()));
            }
            // To the journal it is taken, not waiting.
            Body::State {
                state: JobState::Queued,
            } => {}
            Body::State { state } => {
                let state = *state;
                self.changes.push(Change::State { lease, state });
                self.keep_of(Some(lease), event);
            }
            Body::Warning { .. } | Body::Message { .. } => {
                active.warnings += 1;
                if active.warnings < MOST_WARNINGS {
                    self.keep_of(Some(lease), event);
                } else if active.warnings == MOST_WARNINGS {
                    let message = "its other warnings are left out".into();
                    let last = Event::of_job(
                        job,
                        Body::Warning {
                            message,
                            source: None,
                        },
                    );
                    self.keep_of(Some(lease), last);
                }
            }
            _ => self.keep_of(Some(lease), event),
        }
    }
}
