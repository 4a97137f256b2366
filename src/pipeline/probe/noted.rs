//! What sound files note of their length, and GStreamer 1.22 does not read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use gstlipsync::decode::gapless;

/// The note of an MP3 is in its first frame, the format of a WAV in its first chunks.
const HEAD: u64 = 4096;
/// Formats of WAV whose blocks have a number of samples that is noted: Microsoft's ADPCM and IMA's.
const IN_BLOCKS: [u16; 2] = [0x02, 0x11];

/// Whether it is FLAC that was written where its writer could not go back to note how long it is.
pub fn is_open(head: &[u8]) -> bool {
    // The lower 36 bits of the eight bytes behind sizes of blocks and frames.
    let numbers = head.get(18..26).and_then(|bytes| bytes.first_chunk());
    let samples = numbers.map(|bytes| u64::from_be_bytes(*bytes) & 0xf_ffff_ffff);
    head.starts_with(b"fLaC") && samples == Some(0)
}

/// How long the sound of the file is; nothing where its format needs no note, or there is none.
pub fn length(path: &Path) -> Option<Duration> {
    let mut file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).ok()?;
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        return of_blocks(&head, size);
    }
    if let start @ 1.. = gapless::start_of_sound(&head) {
        head.clear();
        file.seek(SeekFrom::Start(start as u64)).ok()?;
        file.take(HEAD).read_to_end(&mut head).ok()?;
    }
    // Other sound than MPEG's does not begin so.
    let is_mpeg = matches!(head[..], [0xff, second, ..] if second & 0xe0 == 0xe0);
    // GStreamer counts what the encoder has added before and behind the sound, too.
    gapless::length(&head)
        .filter(|_| is_mpeg)
        .map(Duration::from)
}

/// Of a WAV in blocks, for which GStreamer takes the header's mean of bytes a second.
fn of_blocks(head: &[u8], size: u64) -> Option<Duration> {
    let u16_at = |data: &[u8], at: usize| Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let u32_at = |data: &[u8], at: usize| Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let (mut at, mut format) = (12, None);
    loop {
        let length = u32_at(head, at + 4)?;
        let content = at + 8;
        match head.get(at..at + 4)? {
            b"fmt " => {
                let data = head.get(content..)?;
                IN_BLOCKS.contains(&u16_at(data, 0)?).then_some(())?;
                let [block, samples] = [u16_at(data, 12)?, u16_at(data, 18)?].map(u64::from);
                format = Some((u64::from(u32_at(data, 4)?), block, samples));
            }
            b"data" => {
                let (rate, block, samples) =
                    format.filter(|(rate, block, _)| *rate > 0 && *block > 0)?;
                // A recorder that was stopped has noted nothing, or too much.
                let bytes = size.saturating_sub(content as u64).min(length.into());
                let all = u128::from(bytes.div_ceil(block) * samples) * 1_000_000_000;
                return u64::try_from(all / u128::from(rate))
                    .ok()
                    .map(Duration::from_nanos);
            }
            _ => {}
        }
        at = content
            .checked_add(length as usize)?
            .checked_add(length as usize % 2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(tag: u8, chunk: &[u8]) -> Vec<u8> {
        let mut head = b"RIFF\x74\x40\0\0WAVEfmt \x14\0\0\0".to_vec();
        head.extend([tag, 0, 1, 0, 0x80, 0x3e, 0, 0, 0x80, 0x3e, 0, 0]);
        head.extend([0, 4, 4, 0, 2, 0, 0xf4, 7]);
        head.extend(chunk);
        head.extend(b"data\0\x40\0\0");
        head
    }

    #[test]
    fn blocks_of_a_wave_have_their_samples() {
        // 16 of 1024 bytes, with 2036 samples at 16 kHz in each.
        let wanted = Some(Duration::from_micros(2_036_000));
        let odd = b"fact\x05\0\0\0\x40\x7f\0\0\0\0";
        for chunk in [&b""[..], odd] {
            let head = wave(2, chunk);
            let whole = head.len() as u64 + 16_384;
            assert_eq!(of_blocks(&head, whole), wanted);
            assert_eq!(of_blocks(&head, whole - 8192), wanted.map(|all| all / 2));
            for length in 0..head.len() {
                assert_eq!(of_blocks(&head[..length], whole), None);
            }
        }
        assert_eq!(of_blocks(&wave(1, b""), 20_000), None);
    }
}
