//! A smooth offset along the mouth, fitted to what was seen at a few places.

/// Offset of a curve from where the mesh has it, as `c0 + c1 * t + c2 * t^2` with t from -1 at the
/// left corner to 1 at the right one.
pub type Offset = [f32; 3];

/// Its value at `t`.
pub fn at([c0, c1, c2]: Offset, t: f32) -> f32 {
    c0 + c1 * t + c2 * t * t
}

/// Normal equations of a weighted least-squares fit, steadied towards no offset.
#[derive(Default)]
pub struct Fit {
    m: [[f32; 3]; 3],
    r: [f32; 3],
    sum: f32,
}

impl Fit {
    pub fn add(&mut self, t: f32, offset: f32, weight: f32) {
        let basis = [1.0, t, t * t];
        for i in 0..3 {
            for j in 0..3 {
                self.m[i][j] += weight * basis[i] * basis[j];
            }
            self.r[i] += weight * basis[i] * offset;
        }
        self.sum += weight;
    }

    /// `None` where the weights add up to less than `least`.
    pub fn solve(mut self, least: f32) -> Option<Offset> {
        if self.sum < least {
            return None;
        }
        for (i, ridge) in [0.02, 0.1, 0.05].into_iter().enumerate() {
            self.m[i][i] += ridge * self.sum;
        }
        solve(self.m, self.r)
    }
}

/// Cramer's rule.
pub fn solve(m: [[f32; 3]; 3], r: [f32; 3]) -> Option<Offset> {
    let det = |m: &[[f32; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = det(&m);
    if whole.abs() < 1e-9 {
        return None;
    }
    Some(std::array::from_fn(|column| {
        let mut replaced = m;
        for (row, value) in replaced.iter_mut().zip(r) {
            row[column] = value;
        }
        det(&replaced) / whole
    }))
}
