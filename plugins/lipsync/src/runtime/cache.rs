//! Things that are dear to make: the same key gives the same thing, and what nobody uses any more is
//! kept for a while, because the next job wants the same.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::sync::lock;

/// So many things are kept that nobody uses.
const KEPT_UNUSED: usize = 4;

/// For so long one is kept that nobody uses.
pub const KEPT_FOR: Duration = Duration::from_secs(60);

/// How a key wants its thing.
pub trait Shared {
    /// False: each who asks gets one of its own.
    fn is_shared(&self) -> bool;
}

/// A place for one thing. Its lock is held while the thing is made, so that two who ask for the same
/// at once make one; nobody else waits for it.
type Slot<T> = Arc<Mutex<Option<Arc<T>>>>;

struct Place<K, T> {
    key: K,
    slot: Slot<T>,
    /// Since when nobody has been seen to use it.
    unused: Option<Instant>,
}

pub struct Cache<K, T> {
    /// Those that were asked for last come last.
    places: Mutex<Vec<Place<K, T>>>,
}

impl<K, T> Default for Cache<K, T> {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
        }
    }
}

impl<K: Eq + Clone + Shared, T> Cache<K, T> {
    /// The thing of `key`, made if there is none to be had.
    pub fn get<E>(&self, key: &K, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let slot = self.slot(key);
        drop(self.sweep(Instant::now()));
        let mut slot = lock(&slot);
        if let Some(thing) = &*slot {
            return Ok(thing.clone());
        }
        let thing = Arc::new(make()?);
        *slot = Some(thing.clone());
        Ok(thing)
    }

    fn slot(&self, key: &K) -> Slot<T> {
        let mut places = lock(&self.places);
        let found = places
            .iter()
            .position(|place| place.key == *key && (key.is_shared() || is_unused(&place.slot)));
        let place = match found {
            Some(index) => places.remove(index),
            None => Place {
                key: key.clone(),
                slot: Slot::default(),
                unused: None,
            },
        };
        let slot = place.slot.clone();
        places.push(place);
        slot
    }

    /// Takes out what nobody has used for [`KEPT_FOR`], and the oldest where there are too many. Says also when
    /// there will be more, if any.
    pub fn sweep(&self, now: Instant) -> (Vec<Arc<T>>, Option<Instant>) {
        let mut places = lock(&self.places);
        for place in places.iter_mut() {
            place.unused = match is_unused(&place.slot) {
                true => place.unused.or(Some(now)),
                false => None,
            };
        }
        let mut surplus = places.iter().filter(|place| place.unused.is_some()).count();
        surplus = surplus.saturating_sub(KEPT_UNUSED);
        let goes = |place: &mut Place<K, T>| {
            let Some(since) = place.unused else {
                return false;
            };
            let goes = surplus > 0 || now >= since + KEPT_FOR;
            surplus = surplus.saturating_sub(1);
            goes
        };
        let gone = places.extract_if(.., goes);
        let freed = gone.filter_map(|place| lock(&place.slot).take()).collect();
        let next = places.iter().filter_map(|place| place.unused).min();
        (freed, next.map(|since| since + KEPT_FOR))
    }
}

/// Whether nobody holds the place or its thing.
fn is_unused<T>(slot: &Slot<T>) -> bool {
    // Whoever is making it holds the place.
    Arc::strong_count(slot) == 1
        && slot.try_lock().is_ok_and(|thing| {
            thing
                .as_ref()
                .is_none_or(|thing| Arc::strong_count(thing) == 1)
        })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc;

    use super::*;

    /// A name, and whether it is shared.
    #[derive(Clone, PartialEq, Eq)]
    struct Key(u32, bool);

    impl Shared for Key {
        fn is_shared(&self) -> bool {
            self.1
        }
    }

    fn get(cache: &Cache<Key, u32>, key: &Key, made: &AtomicUsize) -> Arc<u32> {
        let make = || {
            made.fetch_add(1, SeqCst);
            Ok::<_, Infallible>(key.0)
        };
        let Ok(thing) = cache.get(key, make);
        thing
    }

    #[test]
    fn the_same_is_shared_or_ones_own_and_is_used_again() {
        let (cache, made) = (Cache::default(), AtomicUsize::new(0));
        let shared = [1, 1].map(|name| get(&cache, &Key(name, true), &made));
        assert!(Arc::ptr_eq(&shared[0], &shared[1]));
        let own = [2, 2].map(|name| get(&cache, &Key(name, false), &made));
        assert!(!Arc::ptr_eq(&own[0], &own[1]));
        assert_eq!(made.load(SeqCst), 3);
        drop(own);
        let again = [2, 2].map(|name| get(&cache, &Key(name, false), &made));
        assert!(!Arc::ptr_eq(&again[0], &again[1]));
        assert_eq!(made.load(SeqCst), 3);
    }

    #[test]
    fn of_what_nobody_uses_little_is_kept() {
        let (cache, made) = (Cache::default(), AtomicUsize::new(0));
        let used = get(&cache, &Key(0, true), &made);
        let first = Arc::downgrade(&get(&cache, &Key(1, true), &made));
        for name in 2..20 {
            get(&cache, &Key(name, true), &made);
        }
        assert!(first.upgrade().is_none());
        assert!(lock(&cache.places).len() <= KEPT_UNUSED + 2);
        assert!(Arc::ptr_eq(&used, &get(&cache, &Key(0, true), &made)));
    }

    #[test]
    fn what_nobody_uses_is_freed_after_a_while() {
        let (cache, made) = (Cache::default(), AtomicUsize::new(0));
        let used = get(&cache, &Key(0, true), &made);
        let unused = Arc::downgrade(&get(&cache, &Key(1, true), &made));
        let begin = Instant::now();
        assert_eq!(cache.sweep(begin).1, Some(begin + KEPT_FOR));
        // Whoever takes it has it for as long as they like.
        let again = get(&cache, &Key(1, true), &made);
        assert_eq!(cache.sweep(begin + 2 * KEPT_FOR).1, None);
        drop(again);
        let later = begin + 3 * KEPT_FOR;
        assert_eq!(cache.sweep(later).1, Some(later + KEPT_FOR));
        assert!(unused.upgrade().is_some());
        assert_eq!(cache.sweep(later + KEPT_FOR).1, None);
        assert!(unused.upgrade().is_none());
        assert!(Arc::ptr_eq(&used, &get(&cache, &Key(0, true), &made)));
        assert_eq!(made.load(SeqCst), 2);
    }

    #[test]
    fn one_that_takes_long_keeps_nobody_else() {
        let (cache, made) = (Arc::new(Cache::default()), AtomicUsize::new(0));
        let (begun, has_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let slow = cache.clone();
        let thread = std::thread::spawn(move || {
            let make = || {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok::<_, Infallible>(1)
            };
            let Ok(thing) = slow.get(&Key(1, true), make);
            thing
        });
        has_begun.recv().unwrap();
        assert_eq!(*get(&cache, &Key(2, true), &made), 2);
        go_on.send(()).unwrap();
        assert_eq!(*thread.join().unwrap(), 1);
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let cache = Cache::default();
        assert_eq!(cache.get(&Key(1, true), || Err("no")), Err("no"));
        assert_eq!(cache.get(&Key(1, true), || Ok::<_, ()>(1)), Ok(Arc::new(1)));
    }
}
