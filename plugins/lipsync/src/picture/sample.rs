//! Samples of 8 and of 10 bits. Whatever they are in memory, their values are levels of 8 bits, 0 to 255;
//! those of 10 bits lie at quarters of a level.
//!
//! The inner loops are made for each depth by [`by_depth`], so that 8 bits cost what they always did.

use serde::{Deserialize, Serialize};

/// How a sample lies in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    #[default]
    Eight,
    /// In the lower 10 bits of 16, the lower byte first.
    Ten,
    /// In the upper 10 bits of 16, as in P010.
    TenAbove,
}

impl Depth {
    /// Of a sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Ten | Self::TenAbove => 2,
        }
    }

    /// Levels of 8 bits from one number to the next.
    pub const fn step(self) -> f32 {
        match self {
            Self::Eight => 1.0,
            Self::Ten | Self::TenAbove => STEP,
        }
    }

    /// The value at a byte; `None` beyond the end.
    #[inline]
    pub fn get(self, plane: &[u8], at: usize) -> Option<f32> {
        match self {
            Self::Eight => plane.get(at).copied().map(f32::from),
            Self::Ten => Some(Ten::value(*plane.get(at..)?.first_chunk()?)),
            Self::TenAbove => Some(TenAbove::value(*plane.get(at..)?.first_chunk()?)),
        }
    }

    /// Rounds a value to what the depth can say; nothing happens beyond the end.
    #[inline]
    pub fn put(self, plane: &mut [u8], at: usize, value: f32) {
        let cell = plane.get_mut(at..at + self.bytes());
        match (self, cell) {
            (Self::Eight, Some([cell])) => Eight::set(cell, value),
            (Self::Ten, Some(cell)) => Ten::set(cell, value),
            (Self::TenAbove, Some(cell)) => TenAbove::set(cell, value),
            _ => {}
        }
    }
}

/// A depth, for code that is made for each.
pub trait Sample {
    /// A sample that can be changed.
    type Cell<'a>;

    /// Those of a row, each `step` bytes after the one before.
    fn cells(row: &mut [u8], step: usize) -> impl Iterator<Item = Self::Cell<'_>>;
    /// Their values.
    fn values(row: &[u8], step: usize) -> impl Iterator<Item = f32>;
    fn get(cell: &Self::Cell<'_>) -> f32;
    /// Rounds.
    fn set(cell: Self::Cell<'_>, value: f32);
}

pub struct Eight;
pub struct Ten;
pub struct TenAbove;

impl Sample for Eight {
    type Cell<'a> = &'a mut u8;

    #[inline(always)]
    fn cells(row: &mut [u8], step: usize) -> impl Iterator<Item = Self::Cell<'_>> {
        row.iter_mut().step_by(step)
    }

    #[inline(always)]
    fn values(row: &[u8], step: usize) -> impl Iterator<Item = f32> {
        row.iter().step_by(step).map(|v| f32::from(*v))
    }

    #[inline(always)]
    fn get(cell: &Self::Cell<'_>) -> f32 {
        f32::from(**cell)
    }

    #[inline(always)]
    fn set(cell: Self::Cell<'_>, value: f32) {
        *cell = (value + 0.5) as u8;
    }
}

/// The largest number of 10 bits, and the levels of 8 bits between two.
const TOP: u16 = 1023;
const STEP: f32 = 0.25;

macro_rules! ten {
    ($name:ident, $shift:literal) => {
        impl $name {
            #[inline(always)]
            fn value(bytes: [u8; 2]) -> f32 {
                f32::from(u16::from_le_bytes(bytes) >> $shift) * STEP
            }
        }

        impl Sample for $name {
            type Cell<'a> = &'a mut [u8];

            #[inline(always)]
            fn cells(row: &mut [u8], step: usize) -> impl Iterator<Item = Self::Cell<'_>> {
                // A last one that is cut is none.
                row.chunks_mut(step).filter(|cell| cell.len() >= 2)
            }

            #[inline(always)]
            fn values(row: &[u8], step: usize) -> impl Iterator<Item = f32> {
                row.chunks(step)
                    .filter_map(|cell| cell.first_chunk().copied())
                    .map(Self::value)
            }

            #[inline(always)]
            fn get(cell: &Self::Cell<'_>) -> f32 {
                cell.first_chunk().copied().map_or(0.0, Self::value)
            }

            #[inline(always)]
            fn set(cell: Self::Cell<'_>, value: f32) {
                let number = ((value / STEP + 0.5) as u16).min(TOP) << $shift;
                if let Some(bytes) = cell.first_chunk_mut() {
                    *bytes = number.to_le_bytes();
                }
            }
        }
    };
}

ten!(Ten, 0);
ten!(TenAbove, 6);

/// Runs code with `$sample` as the [`Sample`] of a [`Depth`].
macro_rules! by_depth {
    ($depth:expr, $sample:ident => $code:expr) => {
        match $depth {
            $crate::picture::sample::Depth::Eight => {
                type $sample = $crate::picture::sample::Eight;
                $code
            }
            $crate::picture::sample::Depth::Ten => {
                type $sample = $crate::picture::sample::Ten;
                $code
            }
            $crate::picture::sample::Depth::TenAbove => {
                type $sample = $crate::picture::sample::TenAbove;
                $code
            }
        }
    };
}
pub(crate) use by_depth;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_levels_of_eight_bits() {
        for (depth, bytes, value) in [
            (Depth::Eight, vec![0, 200], 200.0),
            (Depth::Ten, vec![0, 0x21, 0x03], 200.25),
            (Depth::TenAbove, vec![0, 0x40, 0xc8], 200.25),
        ] {
            assert_eq!(depth.get(&bytes, 1), Some(value), "{depth:?}");
            assert_eq!(depth.get(&bytes, 3), None);
            assert_eq!(depth.get(&bytes[..2], 1).is_some(), depth == Depth::Eight);
            let mut copy = vec![9; bytes.len()];
            copy[0] = 0;
            depth.put(&mut copy, 1, value + 0.01);
            assert_eq!(copy, bytes, "{depth:?}");
            depth.put(&mut copy, 1, 900.0);
            let top = if depth == Depth::Eight { 255.0 } else { 255.75 };
            assert_eq!(depth.get(&copy, 1), Some(top));
            depth.put(&mut copy, 1, -3.0);
            assert_eq!(depth.get(&copy, 1), Some(0.0));
            depth.put(&mut copy, 7, 1.0);
        }
    }

    #[test]
    fn a_row_has_a_cell_for_each_sample() {
        let mut row = vec![0u8; 11];
        for (depth, step, cells) in [
            (Depth::Eight, 1, 11),
            (Depth::Eight, 4, 3),
            (Depth::Ten, 2, 5),
            (Depth::TenAbove, 4, 3),
        ] {
            let found = by_depth!(depth, S => {
                S::cells(&mut row, step).for_each(|cell| S::set(cell, 100.0));
                S::values(&row, step).filter(|v| *v == 100.0).count()
            });
            assert_eq!(found, cells, "{depth:?}");
        }
    }
}
