//! Controllers: how they start, go on and die.

use std::rc::Rc;
use std::time::Duration;

use super::Simulation;
use super::hands::{SimulatedClock, SimulatedHands};
use super::ledger::Unreliable;
use super::rules::check_announcement;
use crate::cancel::{Shutdown, Stop};
use crate::event::Event;
use crate::job::Job;
use crate::journal::contract::Backend;
use crate::journal::{Ledger, Start, recover};
use crate::supervisor::{Seams, Summary, Supervisor};

/// A controller.
pub(super) struct Controller<B: Backend> {
    pub(super) supervisor: Supervisor<'static>,
    pub(super) wake: Duration,
    pub(super) stop: Stop,
    pub(super) ledger: Rc<Unreliable<B::Ledger>>,
}

impl<B: Backend + 'static> Simulation<B> {
    /// A controller starts; its start may fail as any other use of the ledger.
    pub(super) fn start(&mut self, force: bool) {
        let name = self.starts;
        self.starts += 1;
        if force {
            // Even if nobody hears that the start was entered.
            let outputs = self.jobs.iter().map(|job| job.output.clone());
            self.disk.borrow_mut().touched.extend(outputs);
        }
        let store = self.machine.borrow().store.clone();
        let own = Rc::new(Unreliable {
            inner: self.backend.ledger(),
            injection: self.injection.clone(),
        });
        let machine = self.machine.clone();
        let version = machine.borrow().version;
        let begun = recover(&*own, &store).and_then(|_| {
            own.begin(&Start {
                source: "simulated",
                command: "",
                root: "/out".as_ref(),
                jobs: &self.jobs,
                force,
                store: &store,
                identity: &|job: &Job| {
                    let output = job.output.as_ref().unwrap().display();
                    Ok(Some(format!("{output} v{version}")))
                },
            })
        });
        let Ok(begun) = begun else {
            machine
                .borrow_mut()
                .log(|| format!("controller {name} can't start"));
            return self.leave(own);
        };
        self.batch = begun.batch;
        machine
            .borrow_mut()
            .log(|| format!("controller {name} starts: {begun:?}"));
        machine.borrow_mut().inbox.insert(name, Default::default());
        let seams = Seams {
            ledger: own.clone(),
            store: Rc::new(store),
            hands: Box::new(SimulatedHands {
                machine: machine.clone(),
                controller: name,
            }),
            clock: Rc::new(SimulatedClock(machine.clone())),
        };
        let (oracle, told, batch) = (self.oracle.clone(), self.told.clone(), begun.batch);
        let listens = machine.clone();
        let emit = move |event: &Event| {
            listens.borrow_mut().log(|| {
                let text: String = format!("{:?}", event.body).chars().take(100).collect();
                format!("controller {name} says of {:?}: {text}", event.job)
            });
            let fault = check_announcement(&*oracle, batch, event);
            told.borrow_mut().extend(fault);
        };
        let stop = Stop::default();
        let mut supervisor =
            Supervisor::new(seams, begun, self.options.clone(), stop.clone(), emit);
        let now = machine.borrow().now;
        if supervisor.prepare().is_err() {
            drop(supervisor);
            machine.borrow_mut().controller_dies(name);
            return self.leave(own);
        }
        self.controllers.insert(
            name,
            Controller {
                supervisor,
                wake: now,
                stop,
                ledger: own,
            },
        );
    }

    pub(super) fn leave(&self, own: Rc<Unreliable<B::Ledger>>) {
        if let Ok(own) = Rc::try_unwrap(own) {
            self.backend.die(own.inner);
        }
    }

    /// A controller is killed.
    pub(super) fn kill(&mut self, name: usize) {
        let Some(controller) = self.controllers.remove(&name) else {
            return;
        };
        self.machine
            .borrow_mut()
            .log(|| format!("controller {name} is killed"));
        drop(controller.supervisor);
        self.leave(controller.ledger);
        self.machine.borrow_mut().controller_dies(name);
    }

    pub(super) fn pick(&mut self) -> Option<usize> {
        let names: Vec<_> = self.controllers.keys().copied().collect();
        let index = self.random.below(names.len() as u64) as usize;
        names.get(index).copied()
    }

    pub(super) fn step(&mut self, name: usize) -> Option<Summary> {
        let pause = {
            let mut machine = self.machine.borrow_mut();
            // A busy machine looks rarely.
            machine.random.ms(40, 600)
        };
        let controller = self.controllers.get_mut(&name)?;
        controller.wake = self.machine.borrow().now + pause;
        let result = controller.supervisor.step();
        self.check_publishes();
        match result {
            Ok(None) => None,
            Ok(Some(summary)) => {
                let controller = self.controllers.remove(&name)?;
                let is_stopped = controller.stop.shutdown() != Shutdown::No;
                self.machine
                    .borrow_mut()
                    .log(|| format!("controller {name} is over: {summary:?}"));
                let open = self.oracle.counts(self.batch).unwrap().open();
                if open > 0 && !is_stopped && self.controllers.is_empty() {
                    self.fault(format!("controller {name} ends and {open} jobs are open"));
                }
                drop(controller.supervisor);
                self.leave(controller.ledger);
                self.machine.borrow_mut().controller_dies(name);
                Some(summary)
            }
            Err(error) => {
                self.fault(format!("controller {name}: {error}"));
                self.kill(name);
                None
            }
        }
    }

    /// What those who live say that they wait for.
    pub(super) fn says(&self) -> String {
        let counts = self.oracle.counts(self.batch).unwrap();
        let paused: Vec<_> = self
            .controllers
            .values()
            .map(|c| c.supervisor.progress().paused)
            .collect();
        format!("{counts:?}, {paused:?}")
    }
}
