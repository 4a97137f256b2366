//! The speech on the axis of running time.

use std::sync::atomic::{AtomicU64, Ordering};

use super::columns::Columns;
use super::mel::MelStream;
use super::spec::MelSpec;

/// Speech as mel columns on the axis of running time: column `c` is centred at sample `c * hop`
/// since running time zero, wherever the speech begins.
///
/// Before the first sample and after the end all columns are [silent](MelStream::silence). The columns
/// that a consumer is done with must be given back with [`forget_before`](Self::forget_before);
/// memory is bounded by what was pushed since, and silence takes none.
pub struct Timeline {
    mel: MelStream,
    columns: Columns,
    /// The column of the axis that is the first of `mel`.
    origin: i64,
    state: State,
    generation: u64,
}

#[derive(Clone, Copy)]
enum State {
    Empty,
    /// The position that follows the last sample.
    Running(i64),
    Finished(i64),
}

/// What [`Timeline::push`] made of the position that it was given. Counts are in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It follows what was there, or is the first.
    Continuous,
    /// Silence was put before it.
    Gap(u64),
    /// Its beginning was there already and was dropped.
    Overlap(u64),
    /// It lies before what was there: the axis was cleared from its position on.
    Restarted,
}

impl Timeline {
    /// Positions this far from where they should be, in samples, are taken for jitter: containers
    /// round timestamps to a millisecond.
    pub const JITTER: i64 = 100;
    /// An overlap above this, in samples, is a jump back in time.
    pub const LARGEST_OVERLAP: i64 = 4000;

    /// `spec` must be valid (see [`MelSpec::validate`]).
    pub fn new(spec: &MelSpec) -> Self {
        Self {
            mel: MelStream::new(spec),
            columns: Columns::new(spec.bands, MelStream::silence(spec)),
            origin: 0,
            state: State::Empty,
            generation: new_generation(),
        }
    }

    /// The spectrogram that is kept.
    pub fn spec(&self) -> &MelSpec {
        self.mel.spec()
    }

    /// Changes when final columns cease to be so: what was computed from them under another
    /// generation is void. No two timelines of a process share one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The position behind the last sample; absent before the first.
    pub fn end_position(&self) -> Option<i64> {
        match self.state {
            State::Empty => None,
            State::Running(end) | State::Finished(end) => Some(end),
        }
    }

    /// Columns below this are final. `i64::MIN` before the first sample, `i64::MAX` after the end.
    pub fn available_until(&self) -> i64 {
        match self.state {
            State::Empty => i64::MIN,
            State::Running(_) => self.origin + self.mel.columns(),
            State::Finished(_) => i64::MAX,
        }
    }

    /// Adds samples whose first lies at `position`, in samples since running time zero.
    pub fn push(&mut self, position: i64, samples: &[f32]) -> Placement {
        if samples.is_empty() {
            return Placement::Continuous;
        }
        let expected = match self.state {
            State::Running(expected) => expected,
            State::Empty => {
                self.start(position);
                self.append(samples);
                return Placement::Continuous;
            }
            State::Finished(_) => {
                self.restart(position);
                self.append(samples);
                return Placement::Restarted;
            }
        };
        let ahead = position.saturating_sub(expected);
        if ahead.abs() <= Self::JITTER {
            self.append(samples);
            Placement::Continuous
        } else if ahead > 0 {
            self.append_silence(ahead);
            self.append(samples);
            Placement::Gap(ahead as u64)
        } else if -ahead <= Self::LARGEST_OVERLAP {
            let known = samples.len().min(-ahead as usize);
            self.append(&samples[known..]);
            Placement::Overlap(known as u64)
        } else {
            self.restart(position);
            self.append(samples);
            Placement::Restarted
        }
    }

    /// Says that there is no sound in the `count` samples from `position` on. What of it is known
    /// already stays; the cost does not depend on `count`.
    pub fn push_gap(&mut self, position: i64, count: u64) {
        let end = position.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        match self.state {
            State::Empty => self.start(position),
            State::Running(_) => {}
            State::Finished(_) => return,
        }
        if let State::Running(expected) = self.state
            && end > expected
        {
            self.append_silence(end - expected);
        }
    }

    /// The speech has ended: the last columns become final, and all that follow are silent.
    pub fn finish(&mut self) {
        if let State::Running(end) = self.state {
            let (origin, columns) = (self.origin, &mut self.columns);
            self.mel
                .finish(&mut |index, column| columns.push(origin + index, column));
            self.state = State::Finished(end);
        } else if let State::Empty = self.state {
            self.state = State::Finished(0);
        }
    }

    /// As new, for a flush or a new stream.
    pub fn reset(&mut self) {
        self.mel.reset();
        self.columns.clear();
        self.origin = 0;
        self.state = State::Empty;
        self.generation = new_generation();
    }

    /// Copies `count` columns from `first` on into `out` (of `bands * count` values), band after
    /// band, as networks want them: the value of band `b` in column `first + c` at
    /// `out[b * count + c]`. Gives false, and leaves `out` alone, while one of them is not final.
    #[must_use]
    pub fn window(&self, first: i64, count: usize, out: &mut [f32]) -> bool {
        if first.saturating_add(count as i64) > self.available_until() {
            return false;
        }
        self.columns.copy(first, count, out);
        true
    }

    /// The same window of silence.
    pub fn silence(&self, first: i64, count: usize, out: &mut [f32]) {
        let end = first.saturating_add(count as i64);
        self.columns.copy_silence(first..end, first, count, out);
    }

    /// Frees the columns before `column`; from now on they read as silent.
    pub fn forget_before(&mut self, column: i64) {
        self.columns.forget_before(column);
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.columns.kept()
    }

    /// The first column of a stream that begins at `position`: the nearest before it or, on a noise
    /// floor, the first whose window reaches it.
    fn first_column(&self, position: i64) -> i64 {
        let spec = self.spec();
        let lead = spec.noise_floor.map_or(0, |_| spec.tail());
        position.saturating_sub(lead).div_euclid(spec.hop as i64)
    }

    /// Begins a stream at `position`. The columns keep to the axis, so that the samples back to the
    /// first column's centre are silence.
    fn start(&mut self, position: i64) {
        let hop = self.spec().hop as i64;
        self.origin = self.first_column(position);
        self.mel.begin_at(self.origin);
        let origin_position = self.origin * hop;
        self.state = State::Running(origin_position);
        self.append_silence(position - origin_position);
    }

    fn restart(&mut self, position: i64) {
        self.finish();
        self.mel.reset();
        self.columns.forget_from(self.first_column(position));
        self.start(position);
        self.generation = new_generation();
    }

    fn append(&mut self, samples: &[f32]) {
        let (origin, columns) = (self.origin, &mut self.columns);
        self.mel.push(samples, &mut |index, column| {
            columns.push(origin + index, column);
        });
        self.advance(samples.len() as i64);
    }

    fn append_silence(&mut self, count: i64) {
        let (origin, columns) = (self.origin, &mut self.columns);
        self.mel.push_silence(count as u64, &mut |index, column| {
            columns.push(origin + index, column);
        });
        self.advance(count);
    }

    fn advance(&mut self, count: i64) {
        if let State::Running(end) = &mut self.state {
            *end = end.saturating_add(count);
        }
    }
}

fn new_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
