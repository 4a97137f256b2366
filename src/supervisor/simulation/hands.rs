//! The hands and the clock of a simulated controller.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::machine::{Scheduled, Shared};
use super::workers::Process;
use crate::clock::Clock;
use crate::supervisor::{Aside, Exit, Hands, Input};
use crate::worker::limits::Confinement;
use crate::worker::protocol::Order;

/// The clock that the machine's time drives.
pub struct SimulatedClock(pub Shared);

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        let machine = self.0.borrow();
        machine.base + machine.now
    }
}

/// The hands of one controller.
pub struct SimulatedHands {
    pub machine: Shared,
    pub controller: usize,
}

impl Hands for SimulatedHands {
    fn hire(&mut self, worker: u64, is_background: bool, _: &Confinement) -> std::io::Result<u32> {
        let mut machine = self.machine.borrow_mut();
        let rate = machine.rates.hire_fails;
        if machine.random.permille(rate) {
            return Err(std::io::Error::other("no processes"));
        }
        let key = (self.controller, worker);
        let last = machine.now;
        machine.workers.insert(
            key,
            Process {
                is_ready: false,
                is_paused: false,
                hangs: false,
                is_dying: false,
                jobs: BTreeMap::new(),
                signal: None,
                last,
            },
        );
        if machine.random.permille(rate) {
            // It ends before its first word.
            let process = machine.workers.get_mut(&key);
            process
                .into_iter()
                .for_each(|process| process.is_dying = true);
            machine.after(10, 100, Scheduled::Ends(key));
        }
        machine.log(|| format!("{key:?}: is started, background {is_background}"));
        machine.after(50, 500, Scheduled::FirstWord(key));
        Ok(1000 * (self.controller as u32 + 1) + worker as u32)
    }

    fn order(&mut self, worker: u64, order: &Order) {
        let mut machine = self.machine.borrow_mut();
        let key = (self.controller, worker);
        machine.log(|| {
            let text: String = format!("{order:?}").chars().take(60).collect();
            format!("{key:?}: is told {text}")
        });
        machine.order(key, order);
    }

    fn kill(&mut self, worker: u64) {
        self.machine
            .borrow_mut()
            .kill_soon((self.controller, worker), 5);
    }

    fn reap(&mut self, worker: u64) -> Exit {
        let key = (self.controller, worker);
        let mut machine = self.machine.borrow_mut();
        let signal = machine.workers.get(&key).and_then(|process| process.signal);
        // The kernel has ended it before anybody hears of it.
        machine.ends(key);
        Exit {
            reason: "it died".into(),
            signal: signal.or(Some(libc::SIGSEGV)),
        }
    }

    fn keeps_too_much(&self, _: u64, _: usize) -> bool {
        self.machine.borrow_mut().random.permille(20)
    }

    fn aside(&mut self, task: Aside) -> bool {
        let mut machine = self.machine.borrow_mut();
        if machine.rates.hire_fails > 0 && machine.random.permille(20) {
            return false;
        }
        machine.next += 1;
        let number = machine.next;
        machine.asides.insert(number, task);
        machine.after(1, 800, Scheduled::Aside(self.controller, number));
        true
    }

    fn next(&mut self, _: Duration) -> Option<Input> {
        let mut machine = self.machine.borrow_mut();
        let now = machine.now;
        let inbox = machine.inbox.get_mut(&self.controller)?;
        match inbox.front() {
            Some((due, _)) if *due <= now => inbox.pop_front().map(|(_, input)| input),
            _ => None,
        }
    }
}
