//! Curves over time, as a picture that any browser shows.

use std::fmt::Write;

/// One curve: minutes and values.
pub struct Series {
    pub name: &'static str,
    pub unit: &'static str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 30.0;

/// Each curve in a panel of its own, one below the other.
pub fn draw(all: &[Series]) -> String {
    let height = all.len() as f64 * (HEIGHT + TOP) + 30.0;
    let end = all
        .iter()
        .flat_map(|series| series.points.iter().map(|(at, _)| *at))
        .fold(0.1, f64::max);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEFT + 20.0
    );
    for (index, series) in all.iter().enumerate() {
        let top = index as f64 * (HEIGHT + TOP) + TOP;
        let values = || series.points.iter().map(|(_, value)| *value);
        let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
        let span = if high > low { high - low } else { 1.0 };
        let y = |value: f64| top + HEIGHT * (1.0 - (value - low) / span);
        let points: Vec<_> = series
            .points
            .iter()
            .map(|(at, value)| format!("{:.1},{:.1}", LEFT + WIDTH * at / end, y(*value)))
            .collect();
        // Writing to a string can't fail.
        let _ = write!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\">{} {}</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{high:.1}</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{low:.1}</text>\n\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#ccc\"/>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"#06c\"/>\n",
            top - 8.0,
            series.name,
            series.unit,
            LEFT - 6.0,
            top + 12.0,
            LEFT - 6.0,
            top + HEIGHT,
            points.join(" ")
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{end:.1} minutes</text>\n</svg>\n",
        LEFT + WIDTH,
        height - 10.0
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_spans_its_panel() {
        let series = Series {
            name: "latency",
            unit: "ms",
            points: vec![(0.0, 0.0), (5.0, 200.0), (10.0, 100.0)],
        };
        let svg = draw(&[series]);
        assert!(
            svg.contains("points=\"70.0,150.0 520.0,30.0 970.0,90.0\""),
            "{svg}"
        );
        assert!(svg.contains(">latency ms<") && svg.contains(">200.0<"));
        assert!(svg.contains(">10.0 minutes<"));
    }
}
