//! Hands the encoded streams to every destination; one that is slow loses packets, the others don't.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};

/// Packets that a destination may be behind: about four seconds.
const BEHIND: usize = 400;
/// Packets of sound that are kept for those who begin: sound is encoded sooner than the picture that
/// belongs to it.
const KEPT: usize = 100;

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
    /// It has just come, or has lost something: what follows means nothing before the next whole picture.
    wants_key: bool,
    /// The last sound that it was given.
    heard: Option<gst::ClockTime>,
    has_begun: bool,
}

#[derive(Clone, Default)]
pub struct Fan(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    subscribers: Vec<Subscriber>,
    /// The last of the sound.
    sound: VecDeque<Packet>,
}

impl Subscriber {
    /// False: it has left.
    fn give(&mut self, packet: &Packet) -> bool {
        match self.packets.try_send(packet.clone()) {
            Ok(()) => {
                self.has_begun = true;
                if packet.stream == Stream::Sound {
                    self.heard = packet.buffer.pts();
                }
                true
            }
            Err(mpsc::TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.wants_key = true;
                true
            }
            Err(mpsc::TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Fan {
    fn state(&self) -> MutexGuard<'_, State> {
        super::lock(&self.0)
    }

    /// Everything from the next whole picture on.
    pub fn subscribe(&self) -> Subscription {
        let (sender, packets) = mpsc::sync_channel(BEHIND);
        let dropped: Arc<AtomicU64> = Arc::default();
        self.state().subscribers.push(Subscriber {
            packets: sender,
            dropped: dropped.clone(),
            wants_key: true,
            heard: None,
            has_begun: false,
        });
        Subscription { packets, dropped }
    }

    /// Never waits.
    pub fn publish(&self, packet: &Packet) {
        let mut state = self.state();
        let State { subscribers, sound } = &mut *state;
        if packet.stream == Stream::Sound {
            if sound.len() == KEPT {
                sound.pop_front();
            }
            sound.push_back(packet.clone());
        }
        subscribers.retain_mut(|subscriber| {
            if subscriber.wants_key {
                if !packet.is_key {
                    if subscriber.has_begun {
                        subscriber.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                    return true;
                }
                subscriber.wants_key = false;
                // The sound of this picture is there already.
                let (from, heard) = (packet.buffer.pts(), subscriber.heard);
                let mut its_own = sound
                    .iter()
                    .filter(|sound| sound.buffer.pts() >= from && sound.buffer.pts() > heard);
                if !subscriber.give(packet) {
                    return false;
                }
                return its_own.all(|sound| subscriber.give(sound));
            }
            subscriber.give(packet)
        });
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.state().subscribers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(stream: Stream, is_key: bool) -> Packet {
        packet_at(stream, is_key, 0)
    }

    fn packet_at(stream: Stream, is_key: bool, ms: u64) -> Packet {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let time = gst::ClockTime::from_mseconds(ms);
        buffer.get_mut().unwrap().set_pts(time);
        Packet {
            stream,
            buffer,
            caps: gst::Caps::new_any(),
            is_key,
        }
    }

    #[test]
    fn a_destination_begins_with_a_whole_picture_and_its_sound() {
        let fan = Fan::default();
        for ms in [0, 20, 40, 60, 80] {
            fan.publish(&packet_at(Stream::Sound, false, ms));
        }
        let subscription = fan.subscribe();
        fan.publish(&packet_at(Stream::Video, false, 20));
        fan.publish(&packet_at(Stream::Video, true, 40));
        fan.publish(&packet_at(Stream::Sound, false, 100));
        let got = subscription.packets.try_iter();
        let got: Vec<_> = got
            .map(|p| (p.stream, p.buffer.pts().unwrap().mseconds()))
            .collect();
        let sound = |ms| (Stream::Sound, ms);
        let expected = [
            (Stream::Video, 40),
            sound(40),
            sound(60),
            sound(80),
            sound(100),
        ];
        assert_eq!(got, expected);
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
        assert_eq!(
            slow.dropped.load(Ordering::Relaxed),
            50,
            "all that it missed"
        );
        fan.publish(&packet(Stream::Video, false));
        fan.publish(&packet(Stream::Video, true));
        assert!(slow.packets.try_iter().all(|packet| packet.is_key));
    }

    #[test]
    fn nobody_hears_the_same_twice() {
        let fan = Fan::default();
        let subscription = fan.subscribe();
        fan.publish(&packet_at(Stream::Video, true, 0));
        for n in 1..BEHIND as u64 {
            fan.publish(&packet_at(Stream::Sound, false, 20 * n));
        }
        // Full: this one is lost, and the next whole picture belongs to sound that was given already.
        fan.publish(&packet_at(Stream::Video, false, 7600));
        let given = subscription.packets.try_iter().count();
        assert_eq!(given, BEHIND);
        fan.publish(&packet_at(Stream::Video, true, 7640));
        fan.publish(&packet_at(Stream::Sound, false, 20 * BEHIND as u64));
        let after: Vec<_> = subscription.packets.try_iter().map(|p| p.stream).collect();
        assert_eq!(after, [Stream::Video, Stream::Sound]);
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let fan = Fan::default();
        drop(fan.subscribe());
        fan.publish(&packet(Stream::Video, true));
        assert!(fan.state().subscribers.is_empty());
    }
}
