//! Who may use a thing that one at a time can use, without a lock that is held meanwhile.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex};

use super::interrupt::{Interrupt, Wake};
use crate::sync::{lock, wait};

/// Keeps a thing for whose turn it is.
pub struct Turns<T> {
    place: Arc<Place<T>>,
}

struct Place<T> {
    /// Away while somebody uses it.
    thing: Mutex<Option<T>>,
    is_back: Condvar,
}

impl<T: Send> Wake for Place<T> {
    fn wake(&self) {
        let _thing = lock(&self.thing);
        self.is_back.notify_all();
    }
}

/// The thing, until it is dropped.
pub struct Turn<'a, T> {
    place: &'a Place<T>,
    /// There until it is dropped.
    thing: Option<T>,
}

impl<T: Send + 'static> Turns<T> {
    pub fn new(thing: T) -> Self {
        Self {
            place: Arc::new(Place {
                thing: Mutex::new(Some(thing)),
                is_back: Condvar::new(),
            }),
        }
    }

    /// Waits for the turn; None where `stop` is raised before it comes.
    pub fn take(&self, stop: Option<&Interrupt>) -> Option<Turn<'_, T>> {
        if let Some(stop) = stop {
            stop.wakes(&self.place);
        }
        let mut thing = lock(&self.place.thing);
        loop {
            if stop.is_some_and(Interrupt::is_raised) {
                return None;
            }
            if let Some(thing) = thing.take() {
                return Some(Turn {
                    place: &self.place,
                    thing: Some(thing),
                });
            }
            thing = wait(&self.place.is_back, thing);
        }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        *lock(&self.place.thing) = self.thing.take();
        self.place.is_back.notify_all();
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.thing.as_ref().expect("it is there until the drop")
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.thing.as_mut().expect("it is there until the drop")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn one_at_a_time_has_it() {
        let turns = Arc::new(Turns::new(0));
        let threads = [(); 4].map(|()| {
            let turns = turns.clone();
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    let mut number = turns.take(None).unwrap();
                    let before = *number;
                    std::hint::black_box(before);
                    *number = before + 1;
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*turns.take(None).unwrap(), 4000);
    }

    #[test]
    fn an_interrupt_ends_the_wait_and_leaves_the_turn_to_others() {
        let turns = Arc::new(Turns::new(()));
        let stop = Arc::new(Interrupt::default());
        let held = turns.take(None).unwrap();
        let (waits, is_waiting) = mpsc::channel();
        let thread = {
            let (turns, stop) = (turns.clone(), stop.clone());
            std::thread::spawn(move || {
                waits.send(()).unwrap();
                turns.take(Some(&stop)).is_none()
            })
        };
        is_waiting.recv().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let begun = Instant::now();
        stop.raise();
        assert!(thread.join().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(1));
        drop(held);
        assert!(turns.take(Some(&stop)).is_none());
        stop.clear();
        assert!(turns.take(Some(&stop)).is_some());
    }
}
