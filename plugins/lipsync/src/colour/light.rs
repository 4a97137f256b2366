//! From the R'G'B' of one light to those of another, by way of what a display shows.
//!
//! High dynamic range is brought to standard as ffmpeg's `zscale=t=linear:npl=203,zscale=p=bt709,
//! tonemap=mobius:desat=0,zscale=t=bt709` (with `agamma=false`) does it, with which the tests agree: light in units of the white of
//! BT.2408 (203 cd/m²); colours within BT.709's triangle; up to 0.3 of white as they are, above it a Möbius
//! curve that gets to 1 at the brightest that the picture was made for; the three channels by one factor, so
//! that hues stay.

use super::{Light, Primaries, Transfer};

/// White of paper in pictures of high dynamic range, in cd/m² (ITU-R BT.2408).
const WHITE: f32 = 203.0;
/// Of the display that hybrid log-gamma is made for.
const HLG_PEAK: f32 = 1000.0;
/// Up to here light stays as it is.
const KNEE: f32 = 0.3;
/// Of a standard display (ITU-R BT.1886).
const GAMMA: f32 = 2.4;

type Matrix = [[f32; 3]; 3];

/// The way from one light to another.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    from: Transfer,
    #[cfg(test)]
    to: Transfer,
    /// Of the source's primaries: what each adds to brightness.
    luma: [f32; 3],
    mix: Matrix,
    curve: Option<Curve>,
}

impl Way {
    /// `None` where nothing is to be done.
    pub fn between(from: Light, to: Light) -> Option<Self> {
        if from == to {
            return None;
        }
        let in_xyz = to_xyz(from.primaries);
        let curve = match (from.transfer, to.transfer) {
            (Transfer::Hlg, Transfer::Standard) => Some(Curve::new(HLG_PEAK / WHITE)),
            (Transfer::Pq { peak }, Transfer::Standard) => Some(Curve::new(peak / WHITE)),
            _ => None,
        };
        Some(Self {
            from: from.transfer,
            #[cfg(test)]
            to: to.transfer,
            luma: in_xyz[1],
            mix: times(inverse(to_xyz(to.primaries)), in_xyz),
            curve,
        })
    }

    /// R'G'B' of the one light as R'G'B' of the other, all 0 to 1: by the formulas, for tests.
    #[cfg(test)]
    pub fn go(&self, coded: [f32; 3]) -> [f32; 3] {
        let shown = display(self.from, self.luma, coded);
        let mut rgb = self.mix.map(|row| dot(row, shown));
        if let Some(curve) = &self.curve {
            let most = rgb.into_iter().fold(1e-6, f32::max);
            let factor = curve.at(most) / most;
            rgb = rgb.map(|v| v * factor);
        }
        code(self.to, rgb)
    }
}

/// A way, quick to go: its curves are tables, between whose nodes lines are drawn.
pub struct Road {
    way: Way,
    /// From what is coded to light: of the scene, where the transfer is HLG.
    light: Table,
    /// The system's gamma, by the square root of brightness.
    system: Option<Table>,
    /// What the tone map multiplies light by, by the square root of the brightest channel.
    curve: Option<Table>,
    /// From the square root of light to what is coded.
    code: Table,
}

/// The brightest light for which there are nodes, in units of white: a pure red of BT.2020 has more of BT.709's.
const BRIGHTEST: f32 = 2.0 * 10_000.0 / WHITE;

impl Road {
    pub fn new(way: Way) -> Self {
        let transfer = way.from;
        let hlg_gain = HLG_PEAK / WHITE;
        let curve = way.curve;
        Self {
            way,
            light: Table::new(1.0, |v| match transfer {
                Transfer::Standard => v.powf(GAMMA),
                Transfer::Pq { .. } => pq(v) / WHITE,
                Transfer::Hlg => hlg(v),
            }),
            system: (transfer == Transfer::Hlg)
                .then(|| Table::new(1.0, |root| (root * root).max(1e-9).powf(0.2) * hlg_gain)),
            curve: curve.map(|curve| {
                Table::new(BRIGHTEST.sqrt(), move |root| {
                    let most = (root * root).max(1e-6);
                    curve.at(most) / most
                })
            }),
            code: Table::new(1.0, |root| root.powf(2.0 / GAMMA)),
        }
    }

    /// R'G'B' of the one light as R'G'B' of the other, all 0 to 1.
    #[inline(always)]
    pub fn go(&self, coded: [f32; 3]) -> [f32; 3] {
        let mut light = coded.map(|v| self.light.at(v));
        if let Some(system) = &self.system {
            let gain = system.at(dot(self.way.luma, light).sqrt());
            light = light.map(|v| v * gain);
        }
        let mut rgb = self.way.mix.map(|row| dot(row, light));
        if let Some(curve) = &self.curve {
            let factor = curve.at(rgb[0].max(rgb[1]).max(rgb[2]).max(0.0).sqrt());
            rgb = rgb.map(|v| v * factor);
        }
        rgb.map(|v| self.code.at(v.max(0.0).sqrt()))
    }
}

/// A curve from 0 to some value, with a node more so that the last line has an end.
struct Table {
    nodes: Box<[f32; NODES + 2]>,
    per: f32,
}

const NODES: usize = 2048;

impl Table {
    fn new(most: f32, curve: impl Fn(f32) -> f32) -> Self {
        let step = most / NODES as f32;
        let mut nodes = Box::new([0.0; NODES + 2]);
        for (i, node) in nodes.iter_mut().enumerate() {
            *node = curve((i as f32 * step).min(most));
        }
        Self {
            nodes,
            per: 1.0 / step,
        }
    }

    #[inline(always)]
    fn at(&self, v: f32) -> f32 {
        let at = (v * self.per).clamp(0.0, NODES as f32);
        // By way of i32: the direct conversion is much slower.
        let node = at as i32 as usize;
        let (a, b) = (self.nodes[node], self.nodes[node + 1]);
        a + (b - a) * (at - node as f32)
    }
}

/// What a display makes of R'G'B': of standard range 0 to 1, else in units of white.
#[cfg(test)]
fn display(transfer: Transfer, luma: [f32; 3], coded: [f32; 3]) -> [f32; 3] {
    match transfer {
        Transfer::Standard => coded.map(|v| v.max(0.0).powf(GAMMA)),
        Transfer::Pq { .. } => coded.map(|v| pq(v) / WHITE),
        Transfer::Hlg => {
            let scene = coded.map(hlg);
            // The system's gamma, on brightness alone: BT.2100, note 5f, for 1000 cd/m².
            let bright = dot(luma, scene).max(1e-9).powf(0.2);
            scene.map(|v| v * bright * (HLG_PEAK / WHITE))
        }
    }
}

/// R'G'B' for what a display is to show. Only standard range is ever made.
#[cfg(test)]
fn code(transfer: Transfer, shown: [f32; 3]) -> [f32; 3] {
    match transfer {
        Transfer::Standard => shown.map(|v| v.clamp(0.0, 1.0).powf(1.0 / GAMMA)),
        Transfer::Hlg | Transfer::Pq { .. } => shown,
    }
}

/// The electro-optical transfer of SMPTE ST 2084, in cd/m².
fn pq(v: f32) -> f32 {
    const M1: f32 = 2610.0 / 16384.0;
    const M2: f32 = 2523.0 / 4096.0 * 128.0;
    const C1: f32 = 3424.0 / 4096.0;
    const C2: f32 = 2413.0 / 4096.0 * 32.0;
    const C3: f32 = 2392.0 / 4096.0 * 32.0;
    let p = v.max(0.0).powf(1.0 / M2);
    10_000.0 * ((p - C1).max(0.0) / (C2 - C3 * p)).powf(1.0 / M1)
}

/// The inverse of the opto-electronic transfer of ARIB STD-B67: light of the scene, 0 to 1.
fn hlg(v: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    const B: f32 = 0.284_668_92;
    const C: f32 = 0.559_910_7;
    let v = v.max(0.0);
    if v <= 0.5 {
        v * v / 3.0
    } else {
        (((v - C) / A).exp() + B) / 12.0
    }
}

/// The Möbius curve of ffmpeg's `tonemap`: goes on from the knee with slope 1, and gets to 1 at the peak.
#[derive(Clone, Copy, Debug)]
struct Curve {
    a: f32,
    b: f32,
    scale: f32,
    peak: f32,
}

impl Curve {
    fn new(peak: f32) -> Self {
        let j = KNEE;
        let peak = peak.max(1.0 + 1e-3);
        let a = -j * j * (peak - 1.0) / (j * j - 2.0 * j + peak);
        let b = (j * j - 2.0 * j * peak + peak) / (peak - 1.0);
        Self {
            a,
            b,
            scale: (b * b + 2.0 * b * j + j * j) / (b - a),
            peak,
        }
    }

    fn at(&self, v: f32) -> f32 {
        if v <= KNEE {
            return v;
        }
        // Brighter than it was made for: white.
        let v = v.min(self.peak);
        self.scale * (v + self.a) / (v + self.b)
    }
}

/// From R, G and B to CIE XYZ (SMPTE RP 177).
fn to_xyz(Primaries([r, g, b, white]): Primaries) -> Matrix {
    let column = |[x, y]: [f32; 2]| [x / y, 1.0, (1.0 - x - y) / y];
    let [r, g, b, white] = [r, g, b, white].map(column);
    let colours = [0, 1, 2].map(|i| [r[i], g[i], b[i]]);
    let shares = inverse(colours).map(|row| dot(row, white));
    colours.map(|row| [row[0] * shares[0], row[1] * shares[1], row[2] * shares[2]])
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn times(a: Matrix, b: Matrix) -> Matrix {
    a.map(|row| [0, 1, 2].map(|k| dot(row, [b[0][k], b[1][k], b[2][k]])))
}

fn inverse(m: Matrix) -> Matrix {
    let minor = |i: usize, j: usize| {
        let (a, b) = ((i + 1) % 3, (i + 2) % 3);
        let (c, d) = ((j + 1) % 3, (j + 2) % 3);
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let whole = (0..3).map(|j| m[0][j] * minor(0, j)).sum::<f32>();
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| minor(j, i) / whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f32, b: f32, off: f32) {
        assert!((a - b).abs() <= off, "{a} is not {b}");
    }

    #[test]
    fn light_is_that_of_the_standards() {
        // BT.2408: 203 cd/m² are 58 % of PQ and 75 % of HLG.
        near(pq(0.5806), 203.0, 1.0);
        near(pq(1.0), 10_000.0, 1.0);
        let luma = to_xyz(Primaries::BT2020)[1];
        near(
            display(Transfer::Hlg, luma, [0.75; 3])[0] * WHITE,
            203.0,
            1.0,
        );
        near(
            display(Transfer::Hlg, luma, [1.0; 3])[0] * WHITE,
            1000.0,
            1.0,
        );
        for (sum, want) in luma.into_iter().zip([0.2627, 0.678, 0.0593]) {
            near(sum, want, 1e-4);
        }
    }

    #[test]
    fn the_way_to_wider_primaries_and_back_leads_home() {
        let light = |primaries| Light {
            transfer: Transfer::Standard,
            primaries,
        };
        let (narrow, wide) = (light(Primaries::BT709), light(Primaries::BT2020));
        let there = Way::between(narrow, wide).unwrap();
        let back = Way::between(wide, narrow).unwrap();
        for rgb in [[0.2, 0.5, 0.9], [1.0, 1.0, 1.0], [0.9, 0.1, 0.2]] {
            for (a, b) in back.go(there.go(rgb)).into_iter().zip(rgb) {
                near(a, b, 1e-3);
            }
        }
        assert!(Way::between(wide, wide).is_none());
    }

    #[test]
    fn the_curve_is_smooth_at_its_knee_and_ends_at_white() {
        let curve = Curve::new(1000.0 / WHITE);
        near(curve.at(KNEE + 1e-3), KNEE + 1e-3, 1e-4);
        near(curve.at(1000.0 / WHITE), 1.0, 1e-5);
        near(curve.at(90.0), 1.0, 1e-5);
    }
}
