//! The figures, their limits, and how they are shown.

use std::fmt;

/// On which side of its limit a figure must stay.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
    Exactly(f64),
    /// Only to be known.
    Any,
}

#[derive(Debug)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub limit: Limit,
}

impl Figure {
    /// How far from its limit: above 1 is within it, whichever side the limit is on.
    fn margin(&self) -> Option<f64> {
        match self.limit {
            // What must be nothing has no ratio.
            Limit::AtMost(0.0) | Limit::Exactly(_) | Limit::Any => None,
            Limit::AtLeast(limit) => Some(self.value / limit),
            Limit::AtMost(limit) => Some(limit / self.value),
        }
    }

    pub fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtLeast(limit) => self.value >= limit,
            Limit::AtMost(limit) => self.value <= limit,
            Limit::Exactly(limit) => self.value == limit,
            Limit::Any => true,
        }
    }
}

/// All figures, as text in columns.
pub struct Figures<'a>(pub &'a [Figure]);

impl fmt::Display for Figures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.0.iter().map(|figure| {
            let (value, limit) = match figure.limit {
                Limit::AtLeast(limit) => (format!("{:.2}", figure.value), format!(">= {limit:.2}")),
                Limit::AtMost(limit) => (format!("{:.2}", figure.value), format!("<= {limit:.2}")),
                // These are counted, not measured.
                Limit::Exactly(limit) => (figure.value.to_string(), format!("= {limit}")),
                Limit::Any => (format!("{:.2}", figure.value), String::new()),
            };
            let verdict = match (figure.limit, figure.is_met()) {
                (Limit::Any, _) => "",
                (_, true) => "ok",
                (_, false) => "MISSED",
            };
            [
                figure.name.clone(),
                format!("{value} {}", figure.unit),
                limit,
                figure.margin().map_or(String::new(), |m| format!("{m:.2}")),
                verdict.to_owned(),
            ]
        });
        let head = ["figure", "measured", "limit", "ratio", ""].map(str::to_owned);
        columns(f, &std::iter::once(head).chain(rows).collect::<Vec<_>>())
    }
}

/// What the stages of the pipeline take, in milliseconds a frame.
pub struct Stages<'a>(pub &'a [(&'static str, f64)]);

impl fmt::Display for Stages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: f64 = self.0.iter().map(|(_, ms)| ms).sum();
        let row = |name: &str, ms: f64| {
            [
                name.to_owned(),
                format!("{ms:.3}"),
                format!("{:.0} %", 100.0 * ms / total),
            ]
        };
        let mut rows = vec![["stage", "ms a frame", "share"].map(str::to_owned)];
        rows.extend(self.0.iter().map(|(name, ms)| row(name, *ms)));
        rows.push(row("all", total));
        columns(f, &rows)
    }
}

/// The first column is words, the others are aligned to the right.
fn columns<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
    for row in rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            line += &format!("  {cell:>width$}");
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, limit: Limit) -> Figure {
        Figure {
            name: "speed".into(),
            value,
            unit: "x",
            limit,
        }
    }

    #[test]
    fn a_limit_is_met_on_its_own_side_only() {
        assert!(figure(3.0, Limit::AtLeast(3.0)).is_met());
        assert!(!figure(2.9, Limit::AtLeast(3.0)).is_met());
        assert!(figure(390.0, Limit::AtMost(400.0)).is_met());
        assert!(!figure(401.0, Limit::AtMost(400.0)).is_met());
        assert!(!figure(f64::NAN, Limit::AtMost(400.0)).is_met());
        assert!(figure(0.0, Limit::Exactly(0.0)).is_met());
        assert!(!figure(1.0, Limit::Exactly(0.0)).is_met());
        assert!(figure(0.0, Limit::AtMost(0.0)).is_met());
        assert!(!figure(1.0, Limit::AtMost(0.0)).is_met());
        assert!(figure(-0.1, Limit::AtMost(0.05)).is_met());
    }

    #[test]
    fn the_table_says_which_limit_was_missed() {
        let figures = [
            figure(6.0, Limit::AtLeast(3.0)),
            figure(2.0, Limit::AtMost(1.0)),
        ];
        assert_eq!(
            Figures(&figures).to_string(),
            "figure  measured    limit  ratio\n\
             speed     6.00 x  >= 3.00   2.00      ok\n\
             speed     2.00 x  <= 1.00   0.50  MISSED\n"
        );
    }

    #[test]
    fn stages_add_up() {
        let text = Stages(&[("decode", 1.0), ("encode", 3.0)]).to_string();
        assert!(text.ends_with("all          4.000  100 %\n"), "{text}");
        assert!(text.contains("25 %"), "{text}");
    }
}
