//! The face file.
//!
//! Magic, version, length of the header and sha256 of all that follows (56 bytes); the header as
//! JSON; the points of every frame, by time; then for each mouth what is known of it, and last
//! the pixels of all. Numbers are little-endian. It is read as a memory map: what is not used is not
//! loaded.

mod record;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use record::Reader;

use super::Error;
use super::habits::LEAST_MOUTHS;
use super::mouth::{Look, Mouth};
use super::points::{self, FRAME_LEN, FramePoints};
use crate::picture::{
    frame::{Channel, Colour, Frame, Layout},
    sample::Depth,
};
use crate::sync::lock;

/// Changes with the format, and with what is learnt: older files are made anew.
pub const VERSION: u32 = 4;

const MAGIC: [u8; 8] = *b"LIPFACE\n";
const PREFIX: usize = 8 + 4 + 4 + 8 + 32;
/// A header is never longer.
const MOST_HEADER: usize = 64 * 1024;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub source_id: String,
    pub width: u32,
    pub height: u32,
    /// log2 of the subsampling of the colour.
    pub sub: [u8; 2],
    pub depth: Depth,
    /// Luma coefficients and whether the range is full; R'G'B' without.
    pub yuv: Option<(f32, f32, bool)>,
    pub frames_seen: u64,
    pub frames_with_face: u64,
    pub duration_ns: u64,
    pub frames: usize,
    pub mouths: usize,
}

impl Header {
    pub fn layout(&self) -> Layout {
        let channel = |sub: [u8; 2]| Channel {
            plane: 0,
            offset: 0,
            step: self.depth.bytes(),
            stride: 0,
            sub_x: sub[0],
            sub_y: sub[1],
            depth: self.depth,
        };
        Layout {
            width: self.width as usize,
            height: self.height as usize,
            channels: [channel([0, 0]), channel(self.sub), channel(self.sub)],
            colour: match self.yuv {
                Some((kr, kb, full_range)) => Colour::Yuv { kr, kb, full_range },
                None => Colour::Rgb,
            },
        }
    }
}

/// What a face file says of its face.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Frames that were looked at.
    pub frames: u64,
    /// Frames among these with a face.
    pub frames_with_face: u64,
    /// Of the source that was looked at.
    #[serde(serialize_with = "seconds")]
    pub duration: Duration,
    /// Mouths in the bank.
    pub mouths: usize,
    /// Size of the file.
    pub bytes: u64,
    /// Of the source's frames, in pixels.
    pub width: u32,
    /// Of the source's frames, in pixels.
    pub height: u32,
    /// Pixels between the eyes, in the middle of all mouths.
    pub eyes: f32,
    /// Least and most of what was seen, in units of the distance between the eyes.
    pub opening: [f32; 2],
    /// Least and most width of the mouth, in the same unit.
    pub width_range: [f32; 2],
    /// In degrees.
    pub yaw: [f32; 2],
    /// Sharpness in the middle of all mouths: 0.01 is soft, 0.05 is crisp.
    pub sharp: f32,
    /// Share of the mouths that are hidden or oddly lit.
    pub occluded: f32,
    /// Mouths whose lips touch.
    pub closed_mouths: usize,
    /// Mouths that are open wide enough for any vowel.
    pub open_mouths: usize,
    /// Scenes with mouths to choose from; those of another may be another person's.
    pub scenes: usize,
}

fn seconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

/// Some demuxers shift times by so many nanoseconds after a seek.
const MOST_OFF: u64 = 3_000_000;

/// Below this the lips touch, and above that a mouth is open.
const CLOSED: f32 = 0.012;
const OPEN: f32 = 0.1;

/// A face that was learnt.
pub struct FaceFile {
    map: Arc<Mmap>,
    header: Header,
    frames_at: usize,
    mouths: Vec<Mouth>,
    /// Time and index of each frame, in the order of time.
    by_time: Vec<(u64, usize)>,
}

impl FaceFile {
    /// Reads and checks a face file; nothing in it is trusted before.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |e: std::io::Error| Error::Unreadable {
            path: path.into(),
            reason: e.to_string(),
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let sum = checksum(&mut file).map_err(unreadable)?;
        // SAFETY: face files are written under another name and renamed, never changed in place, so
        // that the mapped bytes stay as they are.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        Self::read(Arc::new(map), sum, path)
    }

    /// The face file at `path`, which all elements of the process share as long as one uses it.
    pub fn shared(path: &Path) -> Result<Arc<Self>, Error> {
        static OPEN: Mutex<Vec<(PathBuf, Stamp, Weak<FaceFile>)>> = Mutex::new(Vec::new());
        let stamp = Stamp::of(path);
        let mut open = lock(&OPEN);
        open.retain(|(.., file)| file.strong_count() > 0);
        let known = open.iter().find(|(at, of, _)| at == path && *of == stamp);
        if let Some(file) = known.and_then(|(.., file)| file.upgrade()) {
            return Ok(file);
        }
        let file = Arc::new(Self::open(path)?);
        open.push((path.into(), stamp, Arc::downgrade(&file)));
        Ok(file)
    }

    fn read(map: Arc<Mmap>, sum: [u8; 32], path: &Path) -> Result<Self, Error> {
        let damaged = |reason: &str| Error::Damaged {
            path: path.into(),
            reason: reason.into(),
        };
        let bytes: &[u8] = &map;
        let Some(prefix) = bytes.get(..PREFIX).filter(|p| p[..8] == MAGIC) else {
            return Err(Error::Foreign(path.into()));
        };
        let mut prefix = Reader(&prefix[8..]);
        let found = prefix.u32().unwrap_or_default();
        if found != VERSION {
            return Err(Error::Version {
                path: path.into(),
                found,
            });
        }
        let header_len = prefix.u32().unwrap_or_default() as usize;
        let length = prefix.u64().unwrap_or_default();
        if length != bytes.len() as u64 {
            return Err(damaged("it is cut off"));
        }
        if sum[..] != *prefix.0 {
            return Err(damaged("its checksum is wrong"));
        }
        let header = bytes
            .get(PREFIX..PREFIX.saturating_add(header_len))
            .filter(|header| header.len() <= MOST_HEADER)
            .and_then(|header| serde_json::from_slice::<Header>(header).ok())
            .filter(sound)
            .ok_or_else(|| damaged("its header says nothing"))?;
        let frames_at = PREFIX + header_len;
        let mouths_at = header
            .frames
            .checked_mul(FRAME_LEN)
            .and_then(|length| length.checked_add(frames_at));
        let parts = mouths_at.and_then(|mouths_at| {
            let length = header.mouths.checked_mul(record::LEN)?;
            let frames = bytes.get(frames_at..mouths_at)?;
            Some((
                frames,
                bytes.get(mouths_at..mouths_at.checked_add(length)?)?,
            ))
        });
        let (frames, mouths) = parts.ok_or_else(|| damaged("parts of it are missing"))?;
        let by_time = frames.chunks_exact(FRAME_LEN).enumerate();
        let mut by_time: Vec<_> = by_time
            .filter_map(|(i, frame)| Some((points::time_of(frame)?, i)))
            .collect();
        by_time.sort_unstable();
        let layout = header.layout();
        let mouths = mouths
            .chunks_exact(record::LEN)
            .map(|packed| record::unpack(packed, &layout, &map))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| damaged("a mouth in it is none"))?;
        Ok(Self {
            map,
            header,
            frames_at,
            mouths,
            by_time,
        })
    }

    /// What identifies the content of the face video.
    pub fn source_id(&self) -> &str {
        &self.header.source_id
    }

    /// The size of the source's picture, and how the mouths' samples lie and what they mean.
    pub fn layout(&self) -> Layout {
        self.header.layout()
    }

    /// The bank, in the order of time.
    pub fn mouths(&self) -> &[Mouth] {
        &self.mouths
    }

    /// The points of the frame at `time` (nanoseconds, in the source), if `frame` is that frame.
    pub fn points_of(&self, frame: &Frame, time: u64) -> Option<FramePoints> {
        let layout = &frame.layout;
        let size = (self.header.width as usize, self.header.height as usize);
        // A picture of an odd size may have lost its last row or column.
        let off = [
            layout.width.abs_diff(size.0),
            layout.height.abs_diff(size.1),
        ];
        if off.iter().any(|off| *off > 1) {
            return None;
        }
        let at = self.by_time.partition_point(|(t, _)| *t < time);
        let near = [at.checked_sub(1), Some(at)].into_iter().flatten();
        let near = near.filter_map(|i| self.by_time.get(i));
        let (found, index) = near.min_by_key(|(t, _)| t.abs_diff(time))?;
        if found.abs_diff(time) > MOST_OFF {
            return None;
        }
        let start = self.frames_at + index * FRAME_LEN;
        let points = FramePoints::unpack(self.map.get(start..start + FRAME_LEN)?)?;
        let seen = points::fingerprint(frame, points.mesh.bounds());
        points::same(&seen, &points.print).then_some(points)
    }

    /// The scene of the frame at `time`: that of the mouth nearest to it.
    pub fn scene_at(&self, time: u64) -> u32 {
        let at = self.mouths.partition_point(|m| m.look.time < time);
        let near = [at.checked_sub(1), Some(at)].into_iter().flatten();
        let near = near.filter_map(|i| self.mouths.get(i));
        let nearest = near.min_by_key(|mouth| mouth.look.time.abs_diff(time));
        nearest.map_or(0, |mouth| mouth.look.scene)
    }

    /// Scenes that have mouths enough to choose from.
    fn scenes(&self) -> usize {
        let mut mouths = HashMap::new();
        for mouth in &self.mouths {
            *mouths.entry(mouth.look.scene).or_insert(0) += 1;
        }
        mouths
            .values()
            .filter(|count| **count >= LEAST_MOUTHS)
            .count()
    }

    /// What the file says of its face, in figures.
    pub fn summary(&self) -> Summary {
        let all = |value: fn(&Look) -> f32| {
            let mut values: Vec<f32> = self.mouths.iter().map(|m| value(&m.look)).collect();
            values.sort_by(f32::total_cmp);
            values
        };
        let ends = |values: &[f32]| {
            let end = |value: Option<&f32>| value.copied().unwrap_or_default();
            [end(values.first()), end(values.last())]
        };
        let middle = |values: &[f32]| values.get(values.len() / 2).copied().unwrap_or_default();
        let count = |is: fn(&Look) -> bool| self.mouths.iter().filter(|m| is(&m.look)).count();
        Summary {
            frames: self.header.frames_seen,
            frames_with_face: self.header.frames_with_face,
            duration: Duration::from_nanos(self.header.duration_ns),
            mouths: self.mouths.len(),
            bytes: self.map.len() as u64,
            width: self.header.width,
            height: self.header.height,
            eyes: middle(&all(|look| look.held.unit)),
            opening: ends(&all(|look| look.shape.opening)),
            width_range: ends(&all(|look| look.shape.width)),
            yaw: ends(&all(|look| look.held.pose.yaw.to_degrees())),
            sharp: middle(&all(|look| look.sharpness)),
            occluded: count(|look| look.odd) as f32 / self.mouths.len().max(1) as f32,
            closed_mouths: count(|look| look.shape.opening < CLOSED),
            open_mouths: count(|look| look.shape.opening > OPEN),
            scenes: self.scenes(),
        }
    }

    /// Mouth number `index` as packed R'G'B', upright and in the middle; empty if there is none.
    pub fn mouth_rgb(&self, index: usize, width: usize, height: usize) -> Vec<u8> {
        let Some(mouth) = self.mouths.get(index) else {
            return Vec::new();
        };
        let Some((head, _)) = crate::face::lips::HeadFrame::of(&mouth.mesh) else {
            return Vec::new();
        };
        let layout = self.layout();
        let frame = mouth.frame(&layout);
        let [x0, y0] = mouth.corner();
        let reach = 1.5;
        let mut rgb = Vec::with_capacity(width * height * 3);
        for j in 0..height {
            for i in 0..width {
                let u = ((i as f32 + 0.5) / width as f32 - 0.5) * reach;
                let v = ((j as f32 + 0.5) / height as f32 - 0.45) * reach * height as f32
                    / width as f32;
                let [x, y] = head.to_pixel([u, v]);
                let colour = frame.rgb_at([x - x0, y - y0]).unwrap_or_default();
                rgb.extend(colour.map(|v| v.clamp(0.0, 255.0) as u8));
            }
        }
        rgb
    }
}

/// Of all behind the prefix. Read and not mapped: what was only summed up would stay in the process's
/// memory.
fn checksum(file: &mut File) -> std::io::Result<[u8; 32]> {
    file.seek(SeekFrom::Start(PREFIX as u64))?;
    let mut sum = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(sum.finalize().into()),
            read => sum.update(&chunk[..read]),
        }
    }
}

/// What tells whether the file under a name is still the same.
#[derive(PartialEq)]
struct Stamp(Option<(u64, u64, SystemTime)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        let stamp =
            std::fs::metadata(path).and_then(|data| Ok((data.ino(), data.len(), data.modified()?)));
        Self(stamp.ok())
    }
}

fn sound(header: &Header) -> bool {
    let size = |v: u32| (1..=32_768).contains(&v);
    size(header.width)
        && size(header.height)
        && header.sub.iter().all(|sub| *sub <= 1)
        && header
            .yuv
            .is_none_or(|(kr, kb, _)| kr > 0.0 && kb > 0.0 && kr + kb < 0.9)
}

/// Writes a face file under its name when it is whole, for nobody but its owner to read.
pub(super) fn write(
    path: &Path,
    header: &Header,
    frames: &[u8],
    mouths: &[&Mouth],
) -> Result<(), Error> {
    let unwritable = |e: std::io::Error| Error::Unwritable {
        path: path.into(),
        reason: e.to_string(),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let json = serde_json::to_vec(header).map_err(|e| unwritable(e.into()))?;
    let mut index = Vec::with_capacity(mouths.len() * record::LEN);
    let mut pixels_at = (PREFIX + json.len() + frames.len() + mouths.len() * record::LEN) as u64;
    for mouth in mouths {
        let length = mouth.pixels.bytes().len() as u64;
        record::pack(mouth, pixels_at, length, &mut index);
        pixels_at += length;
    }
    let parts = [&json[..], frames, &index].into_iter();
    let parts = parts.chain(mouths.iter().map(|mouth| mouth.pixels.bytes()));
    let mut sum = Sha256::new();
    parts.clone().for_each(|part| sum.update(part));

    let mut prefix = MAGIC.to_vec();
    prefix.extend(VERSION.to_le_bytes());
    prefix.extend((json.len() as u32).to_le_bytes());
    prefix.extend(pixels_at.to_le_bytes());
    prefix.extend(sum.finalize());
    // Its mode is 0600 from the start.
    let mut staged = tempfile::Builder::new()
        .prefix(".face-")
        .tempfile_in(&folder)
        .map_err(unwritable)?;
    staged.write_all(&prefix).map_err(unwritable)?;
    for part in parts {
        staged.write_all(part).map_err(unwritable)?;
    }
    staged.as_file().sync_all().map_err(unwritable)?;
    staged.persist(path).map_err(|e| unwritable(e.error))?;
    File::open(&folder)
        .and_then(|f| f.sync_all())
        .map_err(unwritable)
}

#[cfg(test)]
mod tests;
