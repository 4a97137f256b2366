//! Changes bytes as a fuzzer without coverage does: a seed decides.

use fastrand::Rng;

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// A few changes of `bytes`; parts of `other` may get in.
pub fn mutate(bytes: &[u8], other: &[u8], words: &[&str], random: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.usize(..8) {
        let at = random.usize(..=bytes.len());
        let until = (at + random.usize(..64)).min(bytes.len());
        match random.usize(..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.usize(..8),
            1 if at < bytes.len() => bytes[at] = random.u8(..),
            2 => {
                bytes.drain(at..until);
            }
            3 => {
                let again = bytes[at..until].to_vec();
                bytes.splice(at..at, again);
            }
            4 => bytes.truncate(at),
            5 if !words.is_empty() => {
                let word = words[random.usize(..words.len())];
                bytes.splice(at..at, word.bytes());
            }
            6 => {
                // A number of one, two, four or eight bytes, in both orders.
                let size = 1 << random.usize(..4);
                let edge = EDGES[random.usize(..EDGES.len())];
                let big = random.bool();
                let number = if big {
                    edge.to_be_bytes()
                } else {
                    edge.to_le_bytes()
                };
                let part = if big {
                    &number[8 - size..]
                } else {
                    &number[..size]
                };
                let until = (at + size).min(bytes.len());
                bytes.splice(at..until, part.iter().copied());
            }
            7 if !other.is_empty() => {
                let from = random.usize(..other.len());
                let to = (from + random.usize(..256)).min(other.len());
                bytes.splice(at..until, other[from..to].iter().copied());
            }
            _ => {
                let fresh: Vec<u8> = (0..random.usize(..16)).map(|_| random.u8(..)).collect();
                bytes.splice(at..at, fresh);
            }
        }
    }
    bytes
}

/// The same for media: the size stays mostly as it is, and the start is changed more often than the
/// rest, for that is where what describes the rest is.
pub fn mutate_media(bytes: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.usize(..12) {
        let range = match random.usize(..3) {
            0 => bytes.len(),
            1 => bytes.len().min(4096),
            _ => bytes.len().min(256),
        };
        let at = random.usize(..range);
        match random.usize(..8) {
            0 => {
                bytes.truncate(at.max(16));
            }
            1 | 2 => {
                let number = EDGES[random.usize(..EDGES.len())].to_be_bytes();
                for (byte, new) in bytes[at..].iter_mut().zip(&number[4..]) {
                    *byte = *new;
                }
            }
            3 => {
                let until = (at + random.usize(..2000)).min(bytes.len());
                bytes.drain(at..until);
            }
            4 => {
                let until = (at + random.usize(..2000)).min(bytes.len());
                let again = bytes[at..until].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.u8(..);
                }
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}
