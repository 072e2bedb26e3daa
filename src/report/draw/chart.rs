//! Curves against labelled positions; colours come from the page's style sheet.

use super::axis::{Axis, LOG_FROM_RATIO};
use crate::report::numbers::{Unit, coordinate as c, escape, significant, with_unit};
use std::fmt::Write;

/// Width of charts, in units of the SVG.
pub(super) const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 30.0;

/// One curve.
#[derive(Debug, Clone)]
pub(crate) struct Series<'a> {
    /// Its name, for the legend and tooltips.
    pub(crate) name: &'a str,
    /// Number of its colour, 0 to 5.
    pub(crate) colour: usize,
    /// Values in the base unit, one per x position.
    pub(crate) values: Vec<Option<f64>>,
}

/// How a point is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A dot on the line.
    Good,
    /// A hollow dot off the line: rejected.
    Bad,
    /// A larger dot: the best.
    Best,
}

/// Curves against equally spaced, labelled positions.
#[derive(Debug, Clone)]
pub(crate) struct Curve<'a> {
    /// Title, for those who cannot see the curves.
    pub(crate) title: &'a str,
    /// Name of the x axis.
    pub(crate) x_name: &'a str,
    /// Labels of the positions.
    pub(crate) x: &'a [String],
    /// How each position is drawn.
    pub(crate) marks: &'a [Mark],
    /// One or more curves.
    pub(crate) series: Vec<Series<'a>>,
    /// Unit of the values without prefix; empty for plain numbers, `%` for percentages.
    pub(crate) unit: &'a str,
    /// Points are joined: their order means something.
    pub(crate) joined: bool,
}

/// Draws curves; `None` when there is no value at all.
pub(crate) fn curve(spec: &Curve<'_>) -> Option<String> {
    let all = || spec.series.iter().flat_map(|s| s.values.iter().flatten().copied()).filter(|v| v.is_finite());
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return None;
    }
    let axis = Axis::new(low, high, low > 0.0 && high / low > LOG_FROM_RATIO);
    let step = (WIDTH - RIGHT - LEFT) / spec.x.len().max(1) as f64;
    let layout = ChartLayout { spec, axis, unit: Unit::for_values(spec.unit, low.abs().max(high.abs())), step };
    let label = escape(&describe(spec, &layout.unit));
    let mut svg = format!(r#"<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">"#);
    layout.grid(&mut svg);
    layout.positions(&mut svg);
    layout.names(&mut svg);
    for series in &spec.series {
        layout.line(&mut svg, series);
        layout.points(&mut svg, series);
    }
    if spec.series.len() > 1 {
        layout.legend(&mut svg);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Lower edge of the plot.
const FLOOR: f64 = HEIGHT - BOTTOM;

/// Curves with their places in the SVG.
struct ChartLayout<'a> {
    spec: &'a Curve<'a>,
    axis: Axis,
    unit: Unit,
    /// Distance of two positions.
    step: f64,
}

impl ChartLayout<'_> {
    fn x(&self, position: usize) -> f64 {
        LEFT + (position as f64 + 0.5) * self.step
    }

    fn y(&self, value: f64) -> f64 {
        FLOOR - self.axis.place(value) * (FLOOR - TOP)
    }

    fn grid(&self, svg: &mut String) {
        let mut grid = String::new();
        for v in self.axis.ticks() {
            let y = self.y(v);
            let _ = write!(grid, "M{LEFT} {}H{}", c(y), WIDTH - RIGHT);
            let number = significant(v / self.unit.factor, 4);
            let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{number}</text>"#, c(LEFT - 6.0), c(y + 4.0));
        }
        let _ = write!(svg, r#"<path class="grid" d="{grid}"/>"#);
    }

    /// Labels of at most 12 or so positions.
    fn positions(&self, svg: &mut String) {
        let every = self.spec.x.len().div_ceil(12).max(1);
        for (i, label) in self.spec.x.iter().enumerate().filter(|(i, _)| i % every == 0) {
            let (x, y) = (c(self.x(i)), c(FLOOR + 15.0));
            let _ = write!(svg, r#"<text x="{x}" y="{y}" text-anchor="middle">{}</text>"#, escape(label));
        }
    }

    fn names(&self, svg: &mut String) {
        let scale = match (self.axis.log, self.unit.name.is_empty()) {
            (false, _) => "",
            (true, true) => "logarithmic",
            (true, false) => ", logarithmic",
        };
        let _ = write!(
            svg,
            r#"<text class="quiet" x="{}" y="{}" text-anchor="end">{}</text><text class="quiet" x="2" y="12">{}{scale}</text>"#,
            WIDTH - RIGHT,
            c(FLOOR + 28.0),
            escape(self.spec.x_name),
            escape(&self.unit.name),
        );
    }

    /// Positions and values that can be drawn.
    fn drawable<'s>(&'s self, series: &'s Series<'_>) -> impl Iterator<Item = (usize, f64)> + 's {
        let is_drawable = |v: &f64| v.is_finite() && (!self.axis.log || *v > 0.0);
        series.values.iter().enumerate().filter_map(move |(i, v)| Some((i, v.filter(is_drawable)?)))
    }

    fn line(&self, svg: &mut String, series: &Series<'_>) {
        if !self.spec.joined {
            return;
        }
        let mut d = String::new();
        for (i, v) in self.drawable(series).filter(|(i, _)| self.spec.marks.get(*i) != Some(&Mark::Bad)) {
            let _ = write!(d, "{}{} {}", if d.is_empty() { 'M' } else { 'L' }, c(self.x(i)), c(self.y(v)));
        }
        let _ = write!(svg, r#"<path class="line c{}" d="{d}"/>"#, series.colour);
    }

    fn points(&self, svg: &mut String, series: &Series<'_>) {
        let spec = self.spec;
        for (i, v) in self.drawable(series) {
            let (class, radius) = match spec.marks.get(i) {
                Some(Mark::Bad) => ("bad", 4.0),
                Some(Mark::Best) => ("best", 5.0),
                _ => ("dot", if spec.x.len() > 40 { 1.5 } else { 3.0 }),
            };
            let number = if spec.unit.is_empty() { significant(v, 4) } else { with_unit(v, spec.unit) };
            let _ = write!(
                svg,
                r#"<circle class="{class} c{}" cx="{}" cy="{}" r="{radius}"><title>{} {}: {} {number}</title></circle>"#,
                series.colour,
                c(self.x(i)),
                c(self.y(v)),
                escape(spec.x_name),
                escape(&spec.x[i]),
                escape(series.name),
            );
        }
    }

    fn legend(&self, svg: &mut String) {
        let mut x = 4.0;
        for series in &self.spec.series {
            let _ = write!(
                svg,
                r#"<text class="key c{}" x="{}" y="{}">● {}</text>"#,
                series.colour,
                c(x),
                c(FLOOR + 28.0),
                escape(series.name)
            );
            x += 22.0 + series.name.chars().count() as f64 * 6.0;
        }
    }
}

/// The curves in words, for those who cannot see them.
fn describe(spec: &Curve<'_>, unit: &Unit) -> String {
    let mut text = format!("{} against {}", spec.title, spec.x_name);
    for series in &spec.series {
        let numbers: Vec<String> = series.values.iter().map(|v| v.map_or("none".into(), |v| unit.number(v))).collect();
        if numbers.len() <= 12 {
            let _ = write!(text, "; {}: {} {}", series.name, numbers.join(", "), unit.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_skip_missing_values_and_leave_rejected_rounds_off_the_line() {
        let x: Vec<String> = ["0", "1", "2", "3"].map(String::from).to_vec();
        let marks = [Mark::Good, Mark::Bad, Mark::Good, Mark::Best];
        let series = vec![Series { name: "rms", colour: 0, values: vec![Some(4e-3), Some(9e-3), None, Some(1e-3)] }];
        let curve =
            Curve { title: "Noise", x_name: "round", x: &x, marks: &marks, series, unit: "Jy/beam", joined: true };
        let svg = super::curve(&curve).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("<title>round 1: rms 9\u{a0}mJy/beam</title>"), "{svg}");
        assert!(svg.contains("Noise against round; rms: 4, 9, none, 1 mJy/beam"), "{svg}");
        let line = svg.split("class=\"line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(line.matches('L').count(), 1, "rounds 0 and 3 only: {line}");
        let none = Curve { series: vec![], ..curve };
        assert_eq!(super::curve(&none), None);
    }

    #[test]
    fn a_wide_range_is_logarithmic() {
        let x: Vec<String> = (0..3).map(|i| i.to_string()).collect();
        let series = vec![Series { name: "peak", colour: 0, values: vec![Some(1.0), Some(0.1), Some(0.001)] }];
        let spec = Curve { title: "Peak", x_name: "cycle", x: &x, marks: &[], series, unit: "Jy/beam", joined: true };
        assert!(super::curve(&spec).unwrap().contains("logarithmic"));
    }
}
