//! Decoded frames that wait to be shown in reverse: some in memory, the others in a temporary file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use gst::prelude::*;

use super::category::CAT;
use super::frames::{Frame, Span};

/// A disk is not filled beyond this: others write there, the result first of all.
const LEFT_FREE: u64 = 1 << 30;

/// How much may be kept, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub memory: u64,
    pub file: u64,
}

impl Limits {
    pub fn total(self) -> u64 {
        self.memory.saturating_add(self.file)
    }
}

/// Keeps frames within limits.
pub struct Store {
    limits: Limits,
    /// Bytes of the frames in memory.
    in_memory: u64,
    spill: Spill,
}

/// Frames of which the last that was put on it is taken first.
#[derive(Default)]
pub struct Pile(Vec<Place>);

impl Pile {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

enum Place {
    Memory(Frame),
    File {
        /// All that belongs to the buffer but its bytes.
        shell: gst::Buffer,
        caps: gst::Caps,
        span: Span,
        at: Piece,
    },
}

impl Store {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            in_memory: 0,
            spill: Spill::default(),
        }
    }

    /// Whether a frame of so many bytes can be kept. The first one always can.
    pub fn has_room(&self, size: u64) -> bool {
        let is_empty = self.in_memory == 0 && self.spill.used == 0;
        is_empty || self.has_memory(size) || self.spill.used + size <= self.limits.file
    }

    fn has_memory(&self, size: u64) -> bool {
        self.in_memory + size <= self.limits.memory
    }

    pub fn push(&mut self, pile: &mut Pile, frame: Frame) {
        let size = frame.buffer.size() as u64;
        if !self.has_memory(size) && self.spill.used + size <= self.limits.file {
            match self.spill.write(&frame.buffer) {
                Ok((shell, at)) => {
                    pile.0.push(Place::File {
                        shell,
                        caps: frame.caps,
                        span: frame.span,
                        at,
                    });
                    return;
                }
                Err(e) => {
                    gst::warning!(CAT, "Frames can't be kept in a file: {e}");
                    // Memory has to do, so more is decoded again.
                    self.limits.file = self.spill.used;
                }
            }
        }
        self.in_memory += size;
        pile.0.push(Place::Memory(frame));
    }

    pub fn pop(&mut self, pile: &mut Pile) -> io::Result<Option<Frame>> {
        Ok(match pile.0.pop() {
            None => None,
            Some(Place::Memory(frame)) => {
                self.in_memory -= frame.buffer.size() as u64;
                Some(frame)
            }
            Some(Place::File {
                shell,
                caps,
                span,
                at,
            }) => {
                let buffer = self.spill.read(shell, at);
                self.spill.free(at);
                Some(Frame {
                    buffer: buffer?,
                    caps,
                    span,
                })
            }
        })
    }

    pub fn clear(&mut self, pile: &mut Pile) {
        for place in pile.0.drain(..) {
            match place {
                Place::Memory(frame) => self.in_memory -= frame.buffer.size() as u64,
                Place::File { at, .. } => self.spill.free(at),
            }
        }
    }
}

/// A part of the file.
#[derive(Debug, Clone, Copy)]
struct Piece {
    offset: u64,
    size: usize,
}

/// A file without a name, which is gone with the process, whatever ends that.
#[derive(Default)]
struct Spill {
    file: Option<File>,
    /// Bytes of the pieces in use.
    used: u64,
    end: u64,
    /// Pieces to be used again.
    free: Vec<Piece>,
    /// Gives the buffers for what is read back.
    pool: Option<(gst::BufferPool, usize)>,
}

impl Spill {
    fn write(&mut self, buffer: &gst::Buffer) -> io::Result<(gst::Buffer, Piece)> {
        let map = buffer.map_readable().map_err(io::Error::other)?;
        let size = map.size();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(folder())?),
        };
        let found = self.free.iter().position(|piece| piece.size == size);
        if found.is_none() && !has_room(file, size as u64)? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let at = found.map_or(
            Piece {
                offset: self.end,
                size,
            },
            |index| self.free.swap_remove(index),
        );
        if let Err(e) = file.write_all_at(&map, at.offset) {
            if found.is_some() {
                self.free.push(at);
            }
            return Err(e);
        }
        if found.is_none() {
            self.end += size as u64;
        }
        self.used += size as u64;
        let mut shell = gst::Buffer::new();
        let parts = gst::BufferCopyFlags::FLAGS
            | gst::BufferCopyFlags::TIMESTAMPS
            | gst::BufferCopyFlags::META;
        buffer
            .copy_into(shell.make_mut(), parts, ..)
            .map_err(io::Error::other)?;
        Ok((shell, at))
    }

    fn read(&mut self, shell: gst::Buffer, at: Piece) -> io::Result<gst::Buffer> {
        let Some(file) = &self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let pool = match &self.pool {
            Some((pool, size)) if *size == at.size => pool,
            _ => &self.pool.insert((pool_of(at.size)?, at.size)).0,
        };
        let mut buffer = pool.acquire_buffer(None).map_err(io::Error::other)?;
        let writable = buffer.make_mut();
        {
            let mut map = writable.map_writable().map_err(io::Error::other)?;
            file.read_exact_at(&mut map, at.offset)?;
        }
        let parts = gst::BufferCopyFlags::FLAGS
            | gst::BufferCopyFlags::TIMESTAMPS
            | gst::BufferCopyFlags::META;
        shell
            .copy_into(writable, parts, ..)
            .map_err(io::Error::other)?;
        Ok(buffer)
    }

    fn free(&mut self, at: Piece) {
        self.used -= at.size as u64;
        self.free.push(at);
        if self.used == 0 {
            self.free.clear();
            self.end = 0;
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if let Some((pool, _)) = self.pool.take() {
            // Buffers that are on their way are freed when they come back.
            let _ = pool.set_active(false);
        }
    }
}

fn pool_of(size: usize) -> io::Result<gst::BufferPool> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(None, size as u32, 0, 0);
    pool.set_config(config).map_err(io::Error::other)?;
    pool.set_active(true).map_err(io::Error::other)?;
    Ok(pool)
}

/// Whether the disk has room for so much more.
fn has_room(file: &File, size: u64) -> io::Result<bool> {
    let about = rustix::fs::fstatvfs(file)?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    // A device, as in a test, has no size.
    Ok(about.f_blocks == 0 || free >= size.saturating_add(LEFT_FREE))
}

/// Where large temporary files belong: often `/tmp` is memory.
fn folder() -> PathBuf {
    let set = std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty());
    let lasting = PathBuf::from("/var/tmp");
    match set {
        Some(folder) => folder.into(),
        None if lasting.is_dir() => lasting,
        None => std::env::temp_dir(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u8, size: usize) -> Frame {
        let mut buffer = gst::Buffer::from_mut_slice(vec![number; size]);
        let writable = buffer.make_mut();
        writable.set_pts(gst::ClockTime::from_seconds(number.into()));
        crate::source_time::attach(writable, gst::ClockTime::from_seconds(1));
        Frame {
            buffer,
            caps: gst::Caps::new_empty_simple("video/x-raw"),
            span: Span {
                start: gst::ClockTime::from_seconds(number.into()),
                duration: gst::ClockTime::SECOND,
            },
        }
    }

    fn taken(store: &mut Store, pile: &mut Pile) -> Vec<(u8, usize)> {
        std::iter::from_fn(|| store.pop(pile).unwrap())
            .map(|frame| {
                let seconds = frame.span.start.seconds();
                assert_eq!(frame.buffer.pts(), Some(frame.span.start));
                let noted = crate::source_time::of(&frame.buffer);
                assert_eq!(noted, Some(gst::ClockTime::SECOND));
                let map = frame.buffer.map_readable().unwrap();
                assert!(map.iter().all(|&v| u64::from(v) == seconds));
                (map[0], map.len())
            })
            .collect()
    }

    #[test]
    fn what_does_not_fit_into_memory_comes_back_from_the_file_in_order() {
        gst::init().unwrap();
        let mut store = Store::new(Limits {
            memory: 25,
            file: 1000,
        });
        for _ in 0..3 {
            let mut pile = Pile::default();
            for number in 0..9 {
                let size = if number < 5 { 10 } else { 12 };
                store.push(&mut pile, frame(number, size));
            }
            assert_eq!((store.in_memory, store.spill.used), (20, 78));
            let numbers: Vec<_> = taken(&mut store, &mut pile);
            let expected: Vec<_> = (0..9u8)
                .rev()
                .map(|n| (n, if n < 5 { 10 } else { 12 }))
                .collect();
            assert_eq!(numbers, expected);
            // The file is used again from its start.
            assert_eq!(
                (store.in_memory, store.spill.used, store.spill.end),
                (0, 0, 0)
            );
        }
    }

    #[test]
    fn pieces_are_used_again_and_the_limits_hold() {
        gst::init().unwrap();
        let mut store = Store::new(Limits {
            memory: 10,
            file: 30,
        });
        let (mut first, mut second) = (Pile::default(), Pile::default());
        for number in 0..4 {
            assert!(store.has_room(10));
            store.push(&mut first, frame(number, 10));
        }
        assert!(!store.has_room(10));
        for number in 0..4 {
            assert!(store.pop(&mut first).unwrap().is_some());
            assert!(store.has_room(10));
            store.push(&mut second, frame(number, 10));
            assert!(store.spill.end <= 30);
        }
        store.clear(&mut second);
        assert_eq!((store.in_memory, store.spill.used), (0, 0));
    }

    #[test]
    fn a_frame_larger_than_the_limits_is_kept_alone() {
        gst::init().unwrap();
        let mut store = Store::new(Limits { memory: 5, file: 0 });
        let mut pile = Pile::default();
        assert!(store.has_room(100));
        store.push(&mut pile, frame(1, 100));
        assert!(!store.has_room(1));
        assert_eq!(taken(&mut store, &mut pile), [(1, 100)]);
    }

    #[test]
    fn a_file_that_can_not_be_written_leaves_the_frame_in_memory() {
        gst::init().unwrap();
        let mut store = Store::new(Limits {
            memory: 0,
            file: 100,
        });
        store.spill.file = Some(File::open("/dev/null").unwrap());
        let mut pile = Pile::default();
        store.push(&mut pile, frame(1, 10));
        assert_eq!((store.in_memory, store.limits.file), (10, 0));
        assert!(!store.has_room(10));
        assert_eq!(taken(&mut store, &mut pile), [(1, 10)]);
    }
}
