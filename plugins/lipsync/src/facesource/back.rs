//! The way back: the file in pieces, from the last to the first, each decoded forwards and shown in
//! reverse. A piece begins with a key frame, so that no frame is decoded twice, unless it is larger
//! than what may be kept. The one before is decoded while a piece is shown.

use std::task::Poll;

use gst::ClockTime;

use super::category::CAT;
use super::error::Error;
use super::frames::{Frame, Frames, Span};
use super::pieces::{self, Piece};
use super::reader::{Reader, Stop};
use super::store::{Limits, Pile, Store};

/// Frames that are decoded ahead for each that is shown: so a piece is there when the one after it is
/// half shown.
const PACE: usize = 2;
/// Where it is not known where the last piece begins, it is looked for so long before the end: about as
/// far as encoders put key frames from each other.
const LONGEST_PIECE: ClockTime = ClockTime::from_seconds(10);
/// Frames before the time for it that the last piece is begun with.
const SLACK: usize = 25;

/// Where the reader has to go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Start,
    Time(ClockTime),
    KeyBefore(ClockTime),
}

/// A piece that is being decoded.
struct Reading {
    /// Which of the pieces. None: from the last key frame on, wherever that is.
    index: Option<usize>,
    target: Option<Target>,
    /// When its first frame is.
    start: Option<Span>,
    pile: Pile,
    /// The next frame tells how long this one lasts.
    last: Option<Frame>,
    /// Of one frame.
    bytes: u64,
    is_complete: bool,
}

pub struct Back {
    open: Box<dyn Fn() -> Result<Reader, Error> + Send>,
    /// Of a reader of its own, so that the one for the way forth is at the start meanwhile.
    frames: Option<Frames>,
    /// Times of the frames, where the file's are wrong.
    known: Vec<Span>,
    limits: Limits,
    store: Store,
    /// What the first pass found.
    pieces: Vec<Piece>,
    is_indexed: bool,
    /// What is shown, from its back.
    shown: Pile,
    /// Which of the pieces that is.
    shown_index: usize,
    /// The last frame of the file was shown on the way forth.
    skips_last: bool,
    reading: Option<Reading>,
    /// It did not work to read ahead of the turn; the turn itself will say why.
    is_late: bool,
}

impl Back {
    pub fn new(
        open: Box<dyn Fn() -> Result<Reader, Error> + Send>,
        memory: u64,
        file: u64,
    ) -> Self {
        let limits = Limits { memory, file };
        Self {
            open,
            frames: None,
            known: Vec::new(),
            limits,
            store: Store::new(limits),
            pieces: Vec::new(),
            is_indexed: false,
            shown: Pile::default(),
            shown_index: 0,
            skips_last: false,
            reading: None,
            is_late: false,
        }
    }

    /// Whether the first pass is over.
    pub fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    /// How many frames decoders were given for it.
    pub fn decoded(&self) -> u64 {
        let frames = self.frames.as_ref();
        frames.map_or(0, |frames| frames.reader().coded().frames())
    }

    /// Notes a frame of the first pass, number `before` of the file.
    pub fn index(&mut self, frame: &Frame, is_key: bool, before: usize) {
        let bytes = frame.buffer.size() as u64;
        let limit = self.limits.total();
        pieces::add(&mut self.pieces, frame.span, bytes, is_key, before, limit);
    }

    /// On the way forth, `left` frames before the end: reads what comes after the turn.
    pub fn prepare(&mut self, left: usize) {
        let Some(last) = self.pieces.len().checked_sub(1) else {
            return;
        };
        if self.reading.is_none() && left <= self.pieces[last].frames / PACE + SLACK {
            self.begin(last);
        }
        self.read_ahead_of_turn();
    }

    /// As [`prepare`](Self::prepare) in the first pass, where the file is said to end at `end`, which
    /// is `left` away.
    pub fn prepare_unknown(&mut self, end: ClockTime, left: ClockTime) {
        if self.reading.is_none() && left <= LONGEST_PIECE {
            gst::debug!(CAT, "Looking for the last key frame before {end}");
            self.reading = Some(Reading::new(None, Target::KeyBefore(end)));
        }
        self.read_ahead_of_turn();
    }

    fn read_ahead_of_turn(&mut self) {
        if self.is_late {
            return;
        }
        if let Err(Stop::Failed(e)) = self.read_some() {
            gst::info!(CAT, "What comes after the turn can't be read ahead: {e}");
            self.is_late = true;
            self.drop_reading();
        }
    }

    /// At the end of a pass. `known` are the times of the frames, where the file's are wrong.
    pub fn turn(&mut self, known: &[Span]) {
        self.is_late = false;
        self.skips_last = true;
        self.is_indexed = true;
        known.clone_into(&mut self.known);
        if let Some(reading) = &mut self.reading
            && reading.index.is_none()
        {
            match reading.start {
                Some(start) => reading.index = Some(pieces::cut(&mut self.pieces, start)),
                None => self.drop_reading(),
            }
        }
        if self.reading.is_none()
            && let Some(last) = self.pieces.len().checked_sub(1)
        {
            self.begin(last);
        }
    }

    /// Forgets what the first pass has found so far, too.
    pub fn forget(&mut self) {
        self.reset();
        self.pieces.clear();
    }

    /// Forgets what was read; what the first pass found stays.
    pub fn reset(&mut self) {
        self.drop_reading();
        self.store.clear(&mut self.shown);
    }

    /// The next frame in reverse order, none at the start of the file. The first and the last frame of
    /// the file belong to the way forth, so that they are not doubled.
    pub fn step(&mut self) -> Result<Option<Frame>, Stop> {
        loop {
            self.read_some()?;
            let popped = self.store.pop(&mut self.shown);
            let popped = popped.map_err(|e| {
                Stop::Failed(Error::Unreadable {
                    name: "the temporary file for frames".into(),
                    reason: e.to_string(),
                })
            });
            if let Some(frame) = popped? {
                let is_last = std::mem::take(&mut self.skips_last);
                let is_first = self.shown_index == 0 && self.shown.is_empty();
                if is_last || is_first {
                    continue;
                }
                return Ok(Some(frame));
            }
            match &mut self.reading {
                None => return Ok(None),
                Some(reading) if reading.is_complete => {
                    self.shown = std::mem::take(&mut reading.pile);
                    self.shown_index = reading.index.unwrap_or_default();
                    self.reading = None;
                    if let Some(before) = self.shown_index.checked_sub(1) {
                        self.begin(before);
                    }
                }
                Some(_) => {
                    self.advance(true)?;
                }
            }
        }
    }

    fn opened(&self) -> Result<Frames, Stop> {
        let reader = (self.open)().map_err(Stop::Failed)?;
        let mut frames = Frames::new(reader);
        frames.know(&self.known);
        Ok(frames)
    }

    fn begin(&mut self, index: usize) {
        let piece = self.pieces[index];
        // The middle of the frame: rounding in the file's index then can't hit a neighbour.
        let target = match index {
            0 => Target::Start,
            _ => Target::Time(piece.start + piece.first / 2),
        };
        self.reading = Some(Reading::new(Some(index), target));
    }

    fn drop_reading(&mut self) {
        if let Some(mut reading) = self.reading.take() {
            self.store.clear(&mut reading.pile);
        }
    }

    /// Decodes a little, without waiting.
    fn read_some(&mut self) -> Result<(), Stop> {
        for _ in 0..PACE {
            if !self.advance(false)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes the next frame of the piece being read, if there is one and it can be kept; waits for it if
    /// so asked. False: nothing was done.
    fn advance(&mut self, wait: bool) -> Result<bool, Stop> {
        let Some(reading) = &mut self.reading else {
            return Ok(false);
        };
        if reading.is_complete {
            return Ok(false);
        }
        if !self.store.has_room(reading.bytes) {
            // Room comes when what is shown goes, and the last piece of an unknown file waits for that.
            if !self.shown.is_empty() || reading.index.is_none() || !wait {
                return Ok(false);
            }
            if self.split() {
                return Ok(true);
            }
        }
        let mut frames = match self.frames.take() {
            Some(frames) => frames,
            None => self.opened()?,
        };
        let result = self.advance_with(&mut frames, wait);
        self.frames = Some(frames);
        result
    }

    fn advance_with(&mut self, frames: &mut Frames, wait: bool) -> Result<bool, Stop> {
        let Some(reading) = &mut self.reading else {
            return Ok(false);
        };
        if let Some(target) = reading.target {
            match wait {
                true => frames.wait_open()?,
                false if !frames.poll_open()? => return Ok(false),
                false => {}
            }
            match target {
                Target::Time(time) if frames.has_true_times() => frames.seek(time),
                Target::KeyBefore(time) => frames.seek_key_before(time),
                // Where times lead nowhere, frames are counted from the start.
                _ if frames.is_at_start() => {}
                _ => frames.rewind(),
            }
            reading.target = None;
        }
        let before = reading.last.as_ref().map(|frame| frame.span);
        let next = match wait {
            true => frames.next(before)?,
            false => match frames.poll_next(before)? {
                Poll::Ready(next) => next,
                Poll::Pending => return Ok(false),
            },
        };
        let piece = reading.index.map(|index| self.pieces[index]);
        let is_told_by_number = !frames.known().is_empty();
        if let Some(piece) = piece
            && is_told_by_number
            && next.is_some()
            && frames.read() <= piece.before
        {
            return Ok(true);
        }
        self.collect(next, piece);
        Ok(true)
    }

    /// Adds a frame to the piece being read; `None` is the end of the file.
    fn collect(&mut self, next: Option<Frame>, piece: Option<Piece>) {
        let Some(reading) = &mut self.reading else {
            return;
        };
        let next = next.filter(|next| piece.is_none_or(|piece| next.span.start < piece.end));
        let Some(mut next) = next else {
            if let Some(mut last) = reading.last.take() {
                if let Some(piece) = piece {
                    last.span.duration = piece.end - last.span.start;
                }
                self.store.push(&mut reading.pile, last);
            }
            reading.is_complete = true;
            return;
        };
        match reading.last.take() {
            None => {
                // A decoder clips the frame to the position of the seek.
                if let Some(piece) = piece
                    && next.span.start < piece.start + piece.first
                {
                    next.span.start = piece.start;
                }
                reading.start = Some(next.span);
            }
            Some(mut last) => {
                last.span.duration = next.span.start.saturating_sub(last.span.start);
                self.store.push(&mut reading.pile, last);
            }
        }
        reading.bytes = next.buffer.size() as u64;
        reading.last = Some(next);
    }

    /// Where the piece being read is more than can be kept: makes two of it, and begins with the second.
    /// False where it has one frame only.
    fn split(&mut self) -> bool {
        let Some(Reading {
            index: Some(index),
            last: Some(last),
            pile,
            ..
        }) = &self.reading
        else {
            return false;
        };
        let (index, kept) = (*index, pile.len());
        if kept == 0 {
            return false;
        }
        let piece = &mut self.pieces[index];
        let second = Piece {
            start: last.span.start,
            first: last.span.duration,
            end: piece.end,
            frames: piece.frames.saturating_sub(kept),
            bytes: piece
                .bytes
                .saturating_sub(kept as u64 * last.buffer.size() as u64),
            before: piece.before + kept,
        };
        gst::debug!(
            CAT,
            "The piece at {} is too large: parted at {}",
            piece.start,
            second.start
        );
        piece.end = second.start;
        piece.frames = kept;
        self.pieces.insert(index + 1, second);
        self.drop_reading();
        self.begin(index + 1);
        true
    }
}

impl Reading {
    fn new(index: Option<usize>, target: Target) -> Self {
        Self {
            index,
            target: Some(target),
            start: None,
            pile: Pile::default(),
            last: None,
            bytes: 0,
            is_complete: false,
        }
    }
}
