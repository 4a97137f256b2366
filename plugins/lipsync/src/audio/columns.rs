//! The columns that are kept, by index. What is not kept is silent.

use std::collections::VecDeque;

/// Columns with gaps: a gap costs nothing.
pub(super) struct Columns {
    bands: usize,
    silence: f32,
    runs: VecDeque<Run>,
}

struct Run {
    first: i64,
    /// Column after column, each of `bands` values.
    values: VecDeque<f32>,
}

impl Columns {
    pub fn new(bands: usize, silence: f32) -> Self {
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
        out.fill(self.silence);
        let end = first + count as i64;
        for run in &self.runs {
            for index in first.max(run.first)..end.min(run.end(self.bands)) {
                let from = (index - run.first) as usize * self.bands;
                let values = run.values.range(from..from + self.bands);
                let to = (index - first) as usize;
                for (out, value) in out[to..].iter_mut().step_by(count).zip(values) {
                    *out = *value;
                }
            }
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
