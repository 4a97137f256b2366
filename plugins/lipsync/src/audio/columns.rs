//! The columns that are kept, by index. Where none is kept, there is no sound.

use std::collections::VecDeque;
use std::ops::Range;

/// Columns with gaps: a gap costs nothing.
pub(super) struct Columns {
    bands: usize,
    /// The columns of silence, which come again and again.
    silence: Vec<f32>,
    runs: VecDeque<Run>,
}

struct Run {
    first: i64,
    /// Column after column, each of `bands` values.
    values: VecDeque<f32>,
}

impl Columns {
    pub fn new(bands: usize, silence: Vec<f32>) -> Self {
        Self {
            bands,
            silence,
            runs: VecDeque::new(),
        }
    }

    /// Adds a column behind all others.
    pub fn push(&mut self, index: i64, column: &[f32]) {
        let bands = self.bands;
        match self.runs.back_mut() {
            Some(run) if run.end(bands) == index => run.values.extend(column),
            _ => self.runs.push_back(Run {
                first: index,
                values: column.iter().copied().collect(),
            }),
        }
    }

    /// Forgets the columns before `index`.
    pub fn forget_before(&mut self, index: i64) {
        let bands = self.bands;
        self.runs.retain(|run| run.end(bands) > index);
        if let Some(run) = self.runs.front_mut()
            && run.first < index
        {
            run.values.drain(..(index - run.first) as usize * bands);
            run.first = index;
        }
    }

    /// Forgets the columns from `index` on.
    pub fn forget_from(&mut self, index: i64) {
        self.runs.retain(|run| run.first < index);
        if let Some(run) = self.runs.back_mut() {
            let keep = (index - run.first) as usize * self.bands;
            run.values.truncate(keep);
        }
    }

    pub fn clear(&mut self) {
        self.runs.clear();
    }

    /// Copies `count` columns from `first` on into `out`, band after band: the value of band `b` in
    /// column `first + c` goes to `out[b * count + c]`.
    pub fn copy(&self, first: i64, count: usize, out: &mut [f32]) {
        let end = first + count as i64;
        let mut silent_from = first;
        for run in &self.runs {
            let (from, to) = (first.max(run.first), end.min(run.end(self.bands)));
            if from >= to {
                continue;
            }
            self.copy_silence(silent_from..from, first, count, out);
            silent_from = to;
            for index in from..to {
                let start = (index - run.first) as usize * self.bands;
                let values = run.values.range(start..start + self.bands);
                place(values, (index - first) as usize, count, out);
            }
        }
        self.copy_silence(silent_from..end, first, count, out);
    }

    /// Copies silence to `columns` of a window of `count` from `first` on.
    pub fn copy_silence(&self, columns: Range<i64>, first: i64, count: usize, out: &mut [f32]) {
        let period = (self.silence.len() / self.bands) as i64;
        for index in columns {
            let start = index.rem_euclid(period) as usize * self.bands;
            let values = &self.silence[start..start + self.bands];
            place(values.iter(), (index - first) as usize, count, out);
        }
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.runs.iter().map(|run| run.values.len()).sum::<usize>() / self.bands
    }
}

impl Run {
    fn end(&self, bands: usize) -> i64 {
        self.first + (self.values.len() / bands) as i64
    }
}

/// Writes a column as column `at` of `count`.
fn place<'a>(values: impl Iterator<Item = &'a f32>, at: usize, count: usize, out: &mut [f32]) {
    for (out, value) in out[at..].iter_mut().step_by(count).zip(values) {
        *out = *value;
    }
}
