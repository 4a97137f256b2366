//! What workers say, and what becomes of it.

use super::{Active, Announcement, PROGRESS_INTERVAL, Supervisor};
use crate::event::{Body, Event, JobState, Phase};
use crate::faces;
use crate::journal::Change;
use crate::worker::protocol::{Answer, Order};

/// So many warnings of one attempt are kept: a broken file can have one for each frame.
const MOST_WARNINGS: u32 = 50;

impl Supervisor<'_> {
    pub(super) fn answered(&mut self, serial: u64, answer: Answer) {
        let now = self.clock.now();
        // What a worker said before it was killed comes too late: its jobs are settled.
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
            Answer::Event { event } => self.job_said(serial, event),
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
                job,
                made,
                identity,
            } => {
                let sha256 = made.sha256;
                let Some(active) = self.in_worker(serial, job) else {
                    return;
                };
                active.promised = Some(sha256.clone());
                let lease = active.claim.lease();
                self.changes.push(Change::Made {
                    lease,
                    sha256,
                    identity,
                });
                self.orders.push((serial, Order::Publish { job }));
            }
            Answer::Ended {
                job,
                outcome,
                stamp,
            } => {
                if self.in_worker(serial, job).is_some() {
                    self.ended(job, outcome, stamp);
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
            Answer::Thumbnail { job, jpeg } => {
                let lease = self.background_task.take().flatten();
                if let Some((lease, jpeg)) = lease.zip(jpeg).filter(|(l, _)| l.job == job) {
                    self.changes.push(Change::Thumbnail { lease, jpeg });
                }
            }
        }
    }

    /// The job, if it is in that worker.
    fn in_worker(&mut self, serial: u64, job: i64) -> Option<&mut Active> {
        self.jobs
            .get_mut(&job)
            .filter(|active| active.worker == serial)
    }

    fn job_said(&mut self, serial: u64, event: Event) {
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
        let Some((job, active)) = event
            .job
            .and_then(|job| Some((job, self.in_worker(serial, job)?)))
        else {
            return;
        };
        let lease = active.claim.lease();
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
