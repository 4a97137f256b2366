//! Hands the encoded streams to every destination; one that is slow loses packets, the others don't.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};

/// Packets that a destination may be behind: about four seconds.
const BEHIND: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Video,
    Sound,
}

/// One encoded frame.
#[derive(Clone, Debug)]
pub struct Packet {
    pub stream: Stream,
    pub buffer: gst::Buffer,
    pub caps: gst::Caps,
    /// A picture that needs no other.
    pub is_key: bool,
}

/// The end of a destination.
pub struct Subscription {
    pub packets: mpsc::Receiver<Packet>,
    pub dropped: Arc<AtomicU64>,
}

struct Subscriber {
    packets: mpsc::SyncSender<Packet>,
    dropped: Arc<AtomicU64>,
    /// It has lost something: what follows means nothing before the next whole picture.
    wants_key: bool,
}

#[derive(Clone, Default)]
pub struct Fan(Arc<Mutex<Vec<Subscriber>>>);

impl Fan {
    fn subscribers(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Everything from the next whole picture on.
    pub fn subscribe(&self) -> Subscription {
        let (sender, packets) = mpsc::sync_channel(BEHIND);
        let dropped: Arc<AtomicU64> = Arc::default();
        self.subscribers().push(Subscriber {
            packets: sender,
            dropped: dropped.clone(),
            wants_key: true,
        });
        Subscription { packets, dropped }
    }

    /// Never waits.
    pub fn publish(&self, packet: &Packet) {
        self.subscribers().retain_mut(|subscriber| {
            if subscriber.wants_key && packet.is_key {
                subscriber.wants_key = false;
            }
            if subscriber.wants_key {
                return true;
            }
            match subscriber.packets.try_send(packet.clone()) {
                Ok(()) => true,
                Err(mpsc::TrySendError::Full(_)) => {
                    subscriber.dropped.fetch_add(1, Ordering::Relaxed);
                    subscriber.wants_key = true;
                    true
                }
                Err(mpsc::TrySendError::Disconnected(_)) => false,
            }
        });
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.subscribers().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(stream: Stream, is_key: bool) -> Packet {
        gst::init().unwrap();
        Packet {
            stream,
            buffer: gst::Buffer::new(),
            caps: gst::Caps::new_any(),
            is_key,
        }
    }

    #[test]
    fn a_destination_begins_with_a_whole_picture() {
        let fan = Fan::default();
        let subscription = fan.subscribe();
        fan.publish(&packet(Stream::Sound, false));
        fan.publish(&packet(Stream::Video, false));
        fan.publish(&packet(Stream::Video, true));
        fan.publish(&packet(Stream::Sound, false));
        let got: Vec<_> = subscription.packets.try_iter().collect();
        assert_eq!(got.len(), 2);
        assert!(got[0].is_key);
    }

    #[test]
    fn a_slow_one_loses_up_to_the_next_whole_picture_and_nobody_else_does() {
        let fan = Fan::default();
        let (slow, quick) = (fan.subscribe(), fan.subscribe());
        let mut seen = 0;
        for n in 0..BEHIND + 50 {
            fan.publish(&packet(Stream::Video, n == 0));
            seen += quick.packets.try_iter().count();
        }
        assert_eq!(seen, BEHIND + 50);
        assert_eq!(slow.packets.try_iter().count(), BEHIND);
        assert_eq!(slow.dropped.load(Ordering::Relaxed), 1);
        fan.publish(&packet(Stream::Video, false));
        fan.publish(&packet(Stream::Video, true));
        assert!(slow.packets.try_iter().all(|packet| packet.is_key));
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let fan = Fan::default();
        drop(fan.subscribe());
        fan.publish(&packet(Stream::Video, true));
        assert!(fan.subscribers().is_empty());
    }
}
