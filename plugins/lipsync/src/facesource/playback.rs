//! The order of frames: forwards, again, backwards, or standing still.

use gst::ClockTime;

use super::LoopMode;
use super::back::Back;
use super::error::{Error, Stage};
use super::frames::{DEFAULT_PERIOD, Frame, Frames};
use super::reader::{Reader, Stop};
use super::status::Times;

/// From here on a seek is worth more than decoding all up to where it leads.
const FAR: ClockTime = ClockTime::from_seconds(5);
/// A seek that lands further from where it was to lead has not worked.
const OFF: ClockTime = ClockTime::from_seconds(1);

/// What comes next.
#[derive(Debug)]
pub enum Step {
    Show(Frame),
    /// The file has this frame and no other, so nothing says how long it lasts.
    Only(Frame),
    /// This frame stays for ever.
    Hold(Frame),
    End,
}

enum Phase {
    /// The reader has to go back to the start of the file.
    Restart,
    /// The reader has to go to this time of the output.
    Jump(ClockTime),
    Forwards,
    Backwards,
    /// The one frame that stays.
    Still(Frame),
    Done,
}

pub struct Playback {
    frames: Frames,
    mode: LoopMode,
    phase: Phase,
    /// One frame is held back, because only the next one tells how long it lasts.
    ahead: Option<Frame>,
    /// Frames given in this pass.
    given: u64,
    /// Of the file, known after the first pass.
    count: u64,
    back: Back,
    /// What comes after a turn is read before it.
    prefetches: bool,
    turns: u64,
    /// When the first frame of the file is.
    first_start: Option<ClockTime>,
    /// Where in the output the frame is that a jump led to, until that is asked for.
    landed: Option<ClockTime>,
    /// When the file says that it ends, asked with the first frame of the first pass.
    end: Option<ClockTime>,
}

impl Playback {
    pub fn new(reader: Reader, mode: LoopMode, back: Back, prefetches: bool) -> Self {
        reader.coded().note_keys(mode == LoopMode::PingPong);
        Self {
            frames: Frames::new(reader),
            mode,
            phase: Phase::Forwards,
            ahead: None,
            given: 0,
            count: 0,
            back,
            prefetches: prefetches && mode == LoopMode::PingPong,
            turns: 0,
            first_start: None,
            landed: None,
            end: None,
        }
    }

    pub fn reader(&self) -> &Reader {
        self.frames.reader()
    }

    /// Whether the file says for each frame how long it lasts, so that a rate tells nothing.
    pub fn has_own_times(&self) -> bool {
        matches!(self.reader().times(), Times::Given(_))
    }

    /// How often the end of the file, or backwards its start, was passed.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// How many frames decoders were given.
    pub fn decoded(&self) -> u64 {
        self.reader().coded().frames() + self.back.decoded()
    }

    /// Begins again.
    fn restart(&mut self) {
        self.ahead = None;
        self.landed = None;
        self.turns = 0;
        self.back.reset();
        // A still picture is there already.
        if !matches!(self.phase, Phase::Still(_)) || self.mode == LoopMode::Hold {
            self.phase = Phase::Restart;
        }
    }

    /// Begins again so that the frame at `time` of the output comes soon: where that is far, the frames
    /// before it are not decoded, if the file can be searched.
    pub fn restart_at(&mut self, time: ClockTime) {
        let can_jump = self.mode == LoopMode::None
            && time > FAR
            && self.first_start.is_some()
            && !matches!(self.phase, Phase::Still(_))
            && self.frames.has_true_times()
            && self.reader().is_seekable();
        self.restart();
        if can_jump {
            self.phase = Phase::Jump(time);
        }
    }

    /// Whether a jump was begun of which nothing was shown yet.
    pub fn is_jumping(&self) -> bool {
        matches!(self.phase, Phase::Jump(_)) || self.landed.is_some()
    }

    /// Where in the output the last frame begins, if a jump has led to it; asked once.
    pub fn landed(&mut self) -> Option<ClockTime> {
        self.landed.take()
    }

    /// May be called again after `Stop::Flushing`: nothing is lost.
    pub fn step(&mut self) -> Result<Step, Stop> {
        loop {
            match &mut self.phase {
                Phase::Restart => {
                    self.frames.reader().wait_until_idle()?;
                    self.rewind();
                    self.phase = Phase::Forwards;
                }
                Phase::Jump(time) => {
                    let time = *time;
                    self.frames.reader().wait_until_idle()?;
                    self.jump(time)?;
                }
                Phase::Forwards => return self.step_forwards(),
                Phase::Backwards => {
                    // Another reader of a pipe would wait for ever.
                    if !self.reader().can_be_opened_again() {
                        return Err(self.frames.fail(|name| Error::NotSeekable { name }));
                    }
                    if let Some(frame) = self.back.step()? {
                        return Ok(Step::Show(frame.noted()));
                    }
                    self.turns += 1;
                    // The reader went back to the start when this way began.
                    self.phase = Phase::Forwards;
                }
                Phase::Still(frame) => return Ok(Step::Hold(frame.share())),
                Phase::Done => return Ok(Step::End),
            }
        }
    }

    fn rewind(&mut self) {
        self.frames.rewind();
        if !self.back.is_indexed() {
            // What the first pass has found so far, it finds again.
            self.back.forget();
            self.frames
                .reader()
                .coded()
                .note_keys(self.mode == LoopMode::PingPong);
        }
        self.given = 0;
    }

    /// Goes to the frame at `time` of the output; where the file leads elsewhere, back to its start.
    fn jump(&mut self, time: ClockTime) -> Result<(), Stop> {
        let first = self.first_start.unwrap_or_default();
        let period = self.frames.last_period().unwrap_or(DEFAULT_PERIOD);
        let wanted = first + time;
        // A decoder clips the frame to the position of the seek, so that one is not taken.
        self.frames.seek(wanted.saturating_sub(period * 2));
        self.phase = Phase::Jump(time);
        let clipped = self.frames.next(None)?;
        let landed = match clipped {
            Some(_) => self.frames.next(None)?,
            // Only the end is there.
            None => None,
        };
        match landed {
            Some(frame) if frame.span.start <= wanted + OFF && frame.span.start + OFF >= wanted => {
                self.landed = Some(frame.span.start.saturating_sub(first));
                self.ahead = Some(frame);
                // Others were given before it.
                self.given = 1;
                self.phase = Phase::Forwards;
            }
            _ => self.phase = Phase::Restart,
        }
        Ok(())
    }

    fn step_forwards(&mut self) -> Result<Step, Stop> {
        while let Some(next) = self.next_of_file()? {
            self.first_start.get_or_insert(next.span.start);
            let start = next.span.start;
            if let Some(mut frame) = self.ahead.replace(next) {
                frame.span.duration = start - frame.span.start;
                self.frames.set_last_period(frame.span.duration);
                let frame = self.given(frame);
                self.prefetch(&frame);
                return Ok(Step::Show(frame));
            }
        }
        let Some(frame) = self.ahead.take() else {
            return Err(self.frames.fail(|name| Error::Damaged {
                name,
                reason: "no frame in it can be decoded".into(),
                stage: Stage::Decode,
            }));
        };
        let frame = self.given(frame);
        self.turn(&frame);
        match (self.given, self.mode) {
            (1, LoopMode::None) => Ok(Step::Only(frame)),
            (1, _) => self.step(),
            _ => Ok(Step::Show(frame)),
        }
    }

    /// The next frame of the file, after the one that is held back.
    fn next_of_file(&mut self) -> Result<Option<Frame>, Stop> {
        let before = self.ahead.as_ref().map(|frame| frame.span);
        self.frames.next(before)
    }

    /// At the end of a pass: what comes after its last frame.
    fn turn(&mut self, last: &Frame) {
        match self.mode {
            LoopMode::None => self.phase = Phase::Done,
            LoopMode::Hold => self.phase = Phase::Still(last.share()),
            _ if self.given == 1 => self.phase = Phase::Still(last.share()),
            LoopMode::Loop => {
                self.turns += 1;
                self.rewind();
            }
            LoopMode::PingPong => {
                self.turns += 1;
                self.count = self.given;
                self.frames.reader().coded().note_keys(false);
                self.back.turn(self.frames.known());
                // So the way forth begins at once when it is time for it.
                self.rewind();
                self.phase = Phase::Backwards;
            }
        }
    }

    fn given(&mut self, frame: Frame) -> Frame {
        if self.turns == 0 {
            self.frames.note(self.given, frame.span);
        }
        let frame = frame.noted();
        if self.mode == LoopMode::PingPong && !self.back.is_indexed() {
            let coded = self.frames.reader().coded();
            let is_key = coded.take_key(frame.span.start) || !coded.has_keys();
            self.back.index(&frame, is_key, self.given as usize);
        }
        self.given += 1;
        frame
    }

    /// Reads what comes after the turn that is near.
    fn prefetch(&mut self, frame: &Frame) {
        if !self.prefetches {
            return;
        }
        if self.back.is_indexed() {
            let left = self.count.saturating_sub(self.given);
            self.back.prepare(left as usize);
        } else if self.frames.has_true_times() {
            let end = match self.end {
                Some(end) => end,
                // Where it says nothing, or can't be searched, the end is far.
                None => {
                    let reader = self.frames.reader();
                    let length = reader
                        .duration()
                        .filter(|_| reader.is_seekable() && reader.can_be_opened_again());
                    let end = length.map(|length| self.first_start.unwrap_or_default() + length);
                    *self.end.insert(end.unwrap_or(ClockTime::MAX))
                }
            };
            let left = end.saturating_sub(frame.span.end());
            let before_last = end.saturating_sub(frame.span.duration);
            self.back.prepare_unknown(before_last, left);
        }
    }
}
