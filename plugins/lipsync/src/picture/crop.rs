//! Cuts a rotated or stretched rectangle out of a picture, as the input of a network.
//!
//! Only the crop is converted to R'G'B'. When it shrinks, the region is first averaged over whole
//! blocks of pixels, so that what remains is a bilinear step near 1:1 and nothing aliases.

use std::ops::Range;

use super::Rect;
use super::frame::{Channel, Colour, Frame};
use super::sample::Depth;

/// Maps crop coordinates to frame coordinates.
///
/// Coordinates are continuous: (0, 0) is the top left corner of the first pixel, whose centre is at
/// (0.5, 0.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine(pub [[f32; 3]; 2]);

impl Affine {
    /// An upright rectangle of the frame, stretched over a crop of `width` x `height`.
    pub fn from_rect(rect: Rect, width: usize, height: usize) -> Self {
        Self([
            [rect.width / width as f32, 0.0, rect.x],
            [0.0, rect.height / height as f32, rect.y],
        ])
    }

    /// A square with side `side` around (x, y), turned by `angle` (radians, from the x axis towards
    /// the y axis), over a crop of `size` x `size`.
    pub fn from_square([x, y]: [f32; 2], side: f32, angle: f32, size: usize) -> Self {
        let step = side / size as f32;
        let (sin, cos) = angle.sin_cos();
        let (a, b) = (cos * step, sin * step);
        let half = size as f32 / 2.0;
        Self([[a, -b, x - half * (a - b)], [b, a, y - half * (b + a)]])
    }

    pub fn apply(&self, [u, v]: [f32; 2]) -> [f32; 2] {
        let [[a, b, c], [d, e, f]] = self.0;
        [a * u + b * v + c, d * u + e * v + f]
    }

    /// Frame pixels per crop pixel along the frame's x and y.
    fn scale(&self) -> [f32; 2] {
        self.0.map(|[a, b, _]| a.hypot(b))
    }
}

/// The order of the planes in the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Rgb,
    Bgr,
}

/// The tensor that a crop becomes: three planes of `width` x `height`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    pub width: usize,
    pub height: usize,
    pub order: Order,
    /// What the values 0 to 255 are multiplied by.
    pub scale: f32,
    /// What is added after that.
    pub offset: f32,
}

impl Tensor {
    /// Values 0 to 1.
    pub fn unit(width: usize, height: usize, order: Order) -> Self {
        Self {
            width,
            height,
            order,
            scale: 1.0 / 255.0,
            offset: 0.0,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.width * self.height * 3
    }
}

/// Fills `out` (at least [`Tensor::len`] values) with the crop. Outside the picture its edge is
/// repeated.
pub fn sample(frame: &Frame, affine: &Affine, tensor: &Tensor, out: &mut [f32]) {
    let (width, size) = (tensor.width, tensor.width * tensor.height);
    let Some(out) = out.get_mut(..tensor.len()) else {
        return;
    };
    if out.is_empty() {
        return;
    }
    let (first, rest) = out.split_at_mut(size);
    let (second, third) = rest.split_at_mut(size);
    let mut planes = [first, second, third];
    for (channel, plane) in planes.iter_mut().enumerate() {
        sample_channel(frame, channel, affine, tensor, plane);
    }
    let [first, second, third] = planes;
    let rows = first
        .chunks_exact_mut(width)
        .zip(second.chunks_exact_mut(width))
        .zip(third.chunks_exact_mut(width));
    for ((a, b), c) in rows {
        finish_row(frame.layout.colour, tensor, [a, b, c]);
    }
}

fn finish_row(colour: Colour, tensor: &Tensor, [a, b, c]: [&mut [f32]; 3]) {
    let value = |v: f32| v.clamp(0.0, 255.0) * tensor.scale + tensor.offset;
    let swap = tensor.order == Order::Bgr;
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        let [red, green, blue] = colour.to_rgb([*a, *b, *c]).map(value);
        (*a, *b, *c) = if swap {
            (blue, green, red)
        } else {
            (red, green, blue)
        };
    }
}

/// Samples, by where they begin.
trait Samples: Copy {
    fn at(self, index: usize) -> f32;
}

impl Samples for &[f32] {
    #[inline(always)]
    fn at(self, index: usize) -> f32 {
        self[index]
    }
}

/// Samples of a picture, which are averaged over blocks as whole numbers.
trait Blocks: Samples {
    /// Holds the sum of [`MAX_BLOCK`] samples.
    type Sum: Copy + Default + Into<u32>;
    /// Levels of 8 bits from one number to the next.
    const STEP: f32;

    /// Adds the samples from `start`, each `step` after the one before.
    fn add_row(self, start: usize, step: usize, sums: &mut [Self::Sum]);
}

impl Samples for &[u8] {
    #[inline(always)]
    fn at(self, index: usize) -> f32 {
        self[index].into()
    }
}

impl Blocks for &[u8] {
    type Sum = u16;
    const STEP: f32 = Depth::Eight.step();

    fn add_row(self, start: usize, step: usize, sums: &mut [u16]) {
        let line = &self[start..];
        if step == 1 {
            // Kept apart because this one is vectorised.
            for (sum, &v) in sums.iter_mut().zip(line) {
                *sum += u16::from(v);
            }
        } else {
            for (sum, &v) in sums.iter_mut().zip(line.iter().step_by(step)) {
                *sum += u16::from(v);
            }
        }
    }
}

/// Samples of 10 bits, which lie so many bits up in 16.
#[derive(Clone, Copy)]
struct Deep<'a, const SHIFT: u32>(&'a [u8]);

impl<const SHIFT: u32> Samples for Deep<'_, SHIFT> {
    #[inline(always)]
    fn at(self, index: usize) -> f32 {
        let number = u16::from_le_bytes([self.0[index], self.0[index + 1]]) >> SHIFT;
        f32::from(number) * Self::STEP
    }
}

impl<const SHIFT: u32> Blocks for Deep<'_, SHIFT> {
    type Sum = u32;
    const STEP: f32 = Depth::Ten.step();

    fn add_row(self, start: usize, step: usize, sums: &mut [u32]) {
        for (sum, cell) in sums.iter_mut().zip(self.0[start..].chunks(step)) {
            if let Some(bytes) = cell.first_chunk() {
                *sum += u32::from(u16::from_le_bytes(*bytes) >> SHIFT);
            }
        }
    }
}

/// Samples of one channel, in memory or averaged over blocks.
struct Plane<D> {
    data: D,
    step: usize,
    stride: usize,
    width: usize,
    height: usize,
}

fn sample_channel(
    frame: &Frame,
    channel: usize,
    affine: &Affine,
    tensor: &Tensor,
    out: &mut [f32],
) {
    let layout = &frame.layout;
    let c = layout.channels[channel];
    let Some(plane) = source(frame, &c) else {
        out.fill(0.0);
        return;
    };
    match c.depth {
        Depth::Eight => sample_plane(&plane, &c, affine, tensor, out),
        Depth::Ten => sample_plane(&plane.of(Deep::<0>), &c, affine, tensor, out),
        Depth::TenAbove => sample_plane(&plane.of(Deep::<6>), &c, affine, tensor, out),
    }
}

fn sample_plane<D: Blocks>(
    plane: &Plane<D>,
    c: &Channel,
    affine: &Affine,
    tensor: &Tensor,
    out: &mut [f32],
) {
    // From here on in the channel's own samples.
    let [mut row_x, mut row_y] = affine.0;
    row_x.iter_mut().for_each(|v| *v /= (1 << c.sub_x) as f32);
    row_y.iter_mut().for_each(|v| *v /= (1 << c.sub_y) as f32);
    let affine = Affine([row_x, row_y]);

    let [block_x, block_y] = affine.scale().map(block);
    if block_x == 1 && block_y == 1 {
        return bilinear(plane, &affine, tensor, out);
    }
    let region = covered(&affine, tensor, plane, [block_x, block_y]);
    let (averages, columns, rows) = average(plane, &region, [block_x, block_y]);
    let [[a, b, x], [d, e, y]] = affine.0;
    let (kx, ky) = (block_x as f32, block_y as f32);
    let affine = Affine([
        [a / kx, b / kx, x / kx - region.columns.start as f32],
        [d / ky, e / ky, y / ky - region.rows.start as f32],
    ]);
    let plane = Plane {
        data: averages.as_slice(),
        step: 1,
        stride: columns,
        width: columns,
        height: rows,
    };
    bilinear(&plane, &affine, tensor, out);
}

impl<'a> Plane<&'a [u8]> {
    /// The same bytes as samples of another depth.
    fn of<D>(self, data: impl Fn(&'a [u8]) -> D) -> Plane<D> {
        Plane {
            data: data(self.data),
            step: self.step,
            stride: self.stride,
            width: self.width,
            height: self.height,
        }
    }
}

/// The channel's samples; none where the picture is empty or its memory too short.
fn source<'a>(frame: &Frame<'a>, c: &Channel) -> Option<Plane<&'a [u8]>> {
    let (width, height) = (c.width(frame.layout.width), c.height(frame.layout.height));
    if width == 0 || height == 0 {
        return None;
    }
    let data = frame.planes.get(c.plane)?;
    c.get(data, width - 1, height - 1)?;
    Some(Plane {
        data: data.get(c.offset..)?,
        step: c.step,
        stride: c.stride,
        width,
        height,
    })
}

/// The sum of so many samples still fits 16 bits.
const MAX_BLOCK: usize = 256;

/// How many samples are averaged before the bilinear step; 1 up to a shrinking of 1.5.
fn block(scale: f32) -> usize {
    (scale.round() as usize).clamp(1, MAX_BLOCK)
}

/// A rectangle of blocks.
struct Region {
    columns: Range<usize>,
    rows: Range<usize>,
}

/// The blocks that the crop touches. Blocks are counted from the picture's corner, so that their
/// grid stands still when the crop moves.
fn covered<D>(
    affine: &Affine,
    tensor: &Tensor,
    plane: &Plane<D>,
    [block_x, block_y]: [usize; 2],
) -> Region {
    let (w, h) = (tensor.width as f32, tensor.height as f32);
    let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]].map(|p| affine.apply(p));
    let span = |axis: usize, block: usize, samples: usize| {
        let low = corners.iter().map(|p| p[axis]).fold(f32::MAX, f32::min);
        let high = corners.iter().map(|p| p[axis]).fold(f32::MIN, f32::max);
        let last = samples.div_ceil(block) - 1;
        // One block more on either side for the bilinear step.
        let start = ((low / block as f32).floor() - 1.0).clamp(0.0, last as f32) as usize;
        let end = ((high / block as f32).ceil() + 1.0).clamp(0.0, last as f32) as usize;
        start.min(end)..end + 1
    };
    Region {
        columns: span(0, block_x, plane.width),
        rows: span(1, block_y, plane.height),
    }
}

/// The mean of every block in the region; blocks at the picture's edge average what there is.
fn average<D: Blocks>(
    plane: &Plane<D>,
    region: &Region,
    [block_x, block_y]: [usize; 2],
) -> (Vec<f32>, usize, usize) {
    let columns = region.columns.end - region.columns.start;
    let rows = region.rows.end - region.rows.start;
    let mut means = vec![0.0; columns * rows];
    let left = region.columns.start * block_x;
    let right = (region.columns.end * block_x).min(plane.width);
    let mut sums = vec![D::Sum::default(); right - left];
    for (row, means) in means.chunks_exact_mut(columns).enumerate() {
        let top = (region.rows.start + row) * block_y;
        let bottom = (top + block_y).min(plane.height);
        sums.fill(D::Sum::default());
        for y in top..bottom {
            let start = y * plane.stride + left * plane.step;
            plane.data.add_row(start, plane.step, &mut sums);
        }
        let lines = bottom - top;
        match block_x {
            1 => fold::<D, 1>(&sums, lines, means),
            2 => fold::<D, 2>(&sums, lines, means),
            3 => fold::<D, 3>(&sums, lines, means),
            4 => fold::<D, 4>(&sums, lines, means),
            _ => means
                .iter_mut()
                .zip(sums.chunks(block_x))
                .for_each(|(out, block)| *out = mean::<D>(block, lines)),
        }
    }
    (means, columns, rows)
}

/// As the loop for any block size, but fast for the common ones.
fn fold<D: Blocks, const BLOCK: usize>(sums: &[D::Sum], lines: usize, means: &mut [f32]) {
    let (blocks, rest) = sums.as_chunks::<BLOCK>();
    let scale = D::STEP / (BLOCK * lines) as f32;
    for (out, block) in means.iter_mut().zip(blocks) {
        // Signed, which becomes a float faster.
        let sum = block.iter().map(|&v| v.into().cast_signed()).sum::<i32>();
        *out = sum as f32 * scale;
    }
    if let Some(last) = means.last_mut().filter(|_| !rest.is_empty()) {
        *last = mean::<D>(rest, lines);
    }
}

fn mean<D: Blocks>(column_sums: &[D::Sum], lines: usize) -> f32 {
    let sum: u32 = column_sums.iter().map(|&v| v.into()).sum();
    sum as f32 * D::STEP / (column_sums.len() * lines) as f32
}

fn bilinear<D: Samples>(plane: &Plane<D>, affine: &Affine, tensor: &Tensor, out: &mut [f32]) {
    let [[dx, ..], [dy, ..]] = affine.0;
    for (v, row) in out.chunks_exact_mut(tensor.width).enumerate() {
        let [x, y] = affine.apply([0.5, v as f32 + 0.5]);
        let (x, y) = (x - 0.5, y - 0.5);
        let at = |u: usize| [x + u as f32 * dx, y + u as f32 * dy];
        let columns = inside(x, dx, plane.width, row.len());
        let rows = inside(y, dy, plane.height, row.len());
        let start = columns.start.max(rows.start);
        let end = columns.end.min(rows.end).max(start);
        let (row, after) = row.split_at_mut(end);
        let (before, middle) = row.split_at_mut(start);
        bilinear_row_clamped(plane, at(0), [dx, dy], before);
        bilinear_row(plane, at(start), [dx, dy], middle);
        bilinear_row_clamped(plane, at(end), [dx, dy], after);
    }
}

/// Those of `count` positions `first + i * step` that have neighbours on both sides among
/// `samples`, with some room because rows are stepped through with rounding.
fn inside(first: f32, step: f32, samples: usize, count: usize) -> Range<usize> {
    let (low, high) = (0.1, samples as f32 - 1.1);
    if high < low {
        return 0..0;
    }
    let (from, to) = if step.abs() < 1e-9 {
        let everywhere = first >= low && first <= high;
        (0.0, if everywhere { count as f32 } else { 0.0 })
    } else {
        let (a, b) = ((low - first) / step, (high - first) / step);
        (a.min(b).ceil(), a.max(b).floor() + 1.0)
    };
    let limit = |v: f32| v.clamp(0.0, count as f32) as usize;
    limit(from)..limit(to)
}

/// A row whose every sample has its right and lower neighbours in the plane.
fn bilinear_row<D: Samples>(plane: &Plane<D>, start: [f32; 2], step: [f32; 2], row: &mut [f32]) {
    // Fixed point: cheaper than converting two floats for every pixel.
    const ONE: f32 = 65536.0;
    const UNIT: f32 = 1.0 / ONE;
    let [mut x, mut y] = start.map(|v| (v * ONE) as i64);
    let [dx, dy] = step.map(|v| (v * ONE).round() as i64);
    for value in row {
        let at = (y >> 16) as usize * plane.stride + (x >> 16) as usize * plane.step;
        let fraction = [x, y].map(|v| (v & 0xffff) as i32 as f32 * UNIT);
        *value = blend(plane, [at, at + plane.stride], plane.step, fraction);
        x += dx;
        y += dy;
    }
}

/// A row that may leave the plane.
fn bilinear_row_clamped<D: Samples>(
    plane: &Plane<D>,
    [x, y]: [f32; 2],
    [dx, dy]: [f32; 2],
    row: &mut [f32],
) {
    for (u, value) in row.iter_mut().enumerate() {
        let x = (x + u as f32 * dx).clamp(0.0, (plane.width - 1) as f32);
        let y = (y + u as f32 * dy).clamp(0.0, (plane.height - 1) as f32);
        let (left, top) = (x as usize, y as usize);
        let right = if left + 1 < plane.width {
            plane.step
        } else {
            0
        };
        let below = if top + 1 < plane.height {
            plane.stride
        } else {
            0
        };
        let at = top * plane.stride + left * plane.step;
        let fraction = [x - left as f32, y - top as f32];
        *value = blend(plane, [at, at + below], right, fraction);
    }
}

/// Blends the four samples at `upper` and `lower` and their right neighbours.
#[inline(always)]
fn blend<D: Samples>(
    plane: &Plane<D>,
    [upper, lower]: [usize; 2],
    right: usize,
    [fx, fy]: [f32; 2],
) -> f32 {
    let at = |i: usize| plane.data.at(i);
    let above = at(upper) + (at(upper + right) - at(upper)) * fx;
    let below = at(lower) + (at(lower + right) - at(lower)) * fx;
    above + (below - above) * fy
}

#[cfg(test)]
mod tests;
