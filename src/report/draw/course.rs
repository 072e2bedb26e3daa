//! The course of a campaign: the dynamic range of each attempt in the order of time, with what was solved for.

use super::axis::Axis;
use super::chart::Mark;
use crate::report::numbers::{coordinate as c, escape, significant};
use std::fmt::Write;

/// Sizes in units of the SVG.
const WIDTH: f64 = 420.0;
/// Right edge of the labels, and left edge of the plot.
const LEFT: f64 = 168.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 46.0;
const LINE: f64 = 15.0;
const GAP: f64 = 9.0;
/// Longest line of a label, characters.
const LABEL: usize = 24;
const SMALL_WIDTH: f64 = 150.0;
const SMALL_HEIGHT: f64 = 60.0;
const SMALL_EDGE: f64 = 8.0;

/// One attempt.
#[derive(Debug, Clone)]
pub(crate) struct CoursePoint {
    /// Its number, e.g. `3.2`.
    pub(crate) number: String,
    /// What was solved for, e.g. `p 30s + ap 120s`.
    pub(crate) chain: String,
    /// Dynamic range; `None`: there is no image.
    pub(crate) value: Option<f64>,
    /// How it was judged.
    pub(crate) mark: Mark,
    /// The verdict in a word.
    pub(crate) verdict: String,
}

/// All attempts, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// The attempts.
    pub(crate) points: Vec<CoursePoint>,
    /// The dynamic range that the theoretical noise would give.
    pub(crate) limit: Option<f64>,
}

impl Course {
    fn axis(&self) -> Option<Axis> {
        let values = self.points.iter().filter_map(|p| p.value).chain(self.limit);
        let (low, high) =
            values.filter(|v| v.is_finite() && *v > 0.0).fold((f64::MAX, 0f64), |(a, b), v| (a.min(v), b.max(v)));
        (low <= high).then(|| Axis::new(low, high, true))
    }

    /// Attempts that can be drawn, with their index.
    fn drawable(&self) -> impl Iterator<Item = (usize, &CoursePoint, f64)> {
        let positive = |v: &f64| v.is_finite() && *v > 0.0;
        self.points.iter().enumerate().filter_map(move |(i, p)| Some((i, p, p.value.filter(positive)?)))
    }

    /// The course in words, for those who cannot see it.
    fn describe(&self) -> String {
        let one = |p: &CoursePoint| {
            let value = p.value.map_or("no image".into(), |v| significant(v, 4));
            format!("round {} ({}): {value}, {}", p.number, p.chain, p.verdict)
        };
        let mut text = format!(
            "Dynamic range in the order of time: {}",
            self.points.iter().map(one).collect::<Vec<_>>().join("; ")
        );
        if let Some(limit) = self.limit {
            let _ = write!(text, "; the theoretical noise would give {}", significant(limit, 4));
        }
        text
    }
}

/// The figure, with a row for each attempt; `None` when there is no value at all.
pub(crate) fn course(course: &Course) -> Option<String> {
    let axis = course.axis()?;
    course.drawable().next()?;
    let x = |value: f64| LEFT + axis.place(value) * (WIDTH - RIGHT - LEFT);
    let labels: Vec<Vec<String>> = course.points.iter().map(|p| lines(&p.chain)).collect();
    let mut edges = vec![TOP];
    edges.extend(labels.iter().scan(TOP, |y, l| {
        *y += l.len() as f64 * LINE + GAP;
        Some(*y)
    }));
    let floor = *edges.last()?;
    let middle = |i: usize| (edges[i] + edges[i + 1]) / 2.0;
    let mut svg = open("course", WIDTH, floor + 6.0, &course.describe());
    grid(&mut svg, &axis, x, floor);
    limit(&mut svg, course.limit.map(|v| (x(v), v)), floor);
    for (i, point) in course.points.iter().enumerate() {
        row_label(&mut svg, point, &labels[i], middle(i));
    }
    let mut path = String::new();
    for (i, _, value) in course.drawable().filter(|(_, p, _)| p.mark != Mark::Bad) {
        let _ = write!(path, "{}{} {}", if path.is_empty() { 'M' } else { 'L' }, c(x(value)), c(middle(i)));
    }
    let _ = write!(svg, r#"<path class="line c0" d="{path}"/>"#);
    for (i, point, value) in course.drawable() {
        dot(&mut svg, point, value, (x(value), middle(i)), 1.0);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// The same without labels, from left to right, for lists; `None` when there is no value at all.
pub(crate) fn small(course: &Course) -> Option<String> {
    let axis = course.axis()?;
    course.drawable().next()?;
    let step = (SMALL_WIDTH - 2.0 * SMALL_EDGE) / course.points.len().saturating_sub(1).max(1) as f64;
    let x = |i: usize| SMALL_EDGE + i as f64 * step;
    let y = |v: f64| SMALL_HEIGHT - SMALL_EDGE - axis.place(v) * (SMALL_HEIGHT - 2.0 * SMALL_EDGE);
    let mut svg = open("course", SMALL_WIDTH, SMALL_HEIGHT, &course.describe());
    if let Some(v) = course.limit {
        let _ = write!(svg, r#"<path class="limit" d="M0 {}H{SMALL_WIDTH}"/>"#, c(y(v)));
    }
    let mut path = String::new();
    for (i, _, value) in course.drawable().filter(|(_, p, _)| p.mark != Mark::Bad) {
        let _ = write!(path, "{}{} {}", if path.is_empty() { 'M' } else { 'L' }, c(x(i)), c(y(value)));
    }
    let _ = write!(svg, r#"<path class="line c0" d="{path}"/>"#);
    for (i, point, value) in course.drawable() {
        dot(&mut svg, point, value, (x(i), y(value)), 0.7);
    }
    svg.push_str("</svg>");
    Some(svg)
}

fn open(class: &str, width: f64, height: f64, label: &str) -> String {
    let (height, label) = (c(height), escape(label));
    format!(r#"<svg class="{class}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">"#)
}

/// The words of a chain in lines, broken between its terms.
fn lines(chain: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (i, term) in chain.split(" + ").enumerate() {
        let term = if i == 0 { term.to_string() } else { format!("+ {term}") };
        let last = lines.last_mut().expect("never empty");
        if last.is_empty() {
            *last = term;
        } else if last.chars().count() + term.chars().count() < LABEL {
            *last = format!("{last} {term}");
        } else {
            lines.push(term);
        }
    }
    lines
}

/// Number and chain of an attempt, left of the plot.
fn row_label(svg: &mut String, point: &CoursePoint, lines: &[String], middle: f64) {
    let first = middle + 4.0 - (lines.len() - 1) as f64 * LINE / 2.0;
    let _ = write!(svg, r#"<text class="quiet" x="0" y="{}">{}</text>"#, c(middle + 4.0), escape(&point.number));
    for (i, line) in lines.iter().enumerate() {
        let y = c(first + i as f64 * LINE);
        let _ = write!(svg, r#"<text x="{}" y="{y}" text-anchor="end">{}</text>"#, c(LEFT - 12.0), escape(line));
    }
}

fn grid(svg: &mut String, axis: &Axis, x: impl Fn(f64) -> f64, floor: f64) {
    let mut grid = String::new();
    let mut free_from = f64::MIN;
    for v in axis.ticks() {
        let (at, number) = (x(v), significant(v, 3));
        let _ = write!(grid, "M{} {}V{}", c(at), c(TOP), c(floor));
        let half = number.chars().count() as f64 * 3.6;
        if at - half >= free_from && at + half <= WIDTH {
            let (place, y) = (c(at), c(TOP - 6.0));
            let _ = write!(svg, r#"<text x="{place}" y="{y}" text-anchor="middle">{number}</text>"#);
            free_from = at + half + 6.0;
        }
    }
    let _ =
        write!(svg, r#"<path class="grid" d="{grid}"/><text class="quiet" x="0" y="{}">round</text>"#, c(TOP - 6.0));
}

/// The line of the theoretical noise, with its words above the axis.
fn limit(svg: &mut String, at: Option<(f64, f64)>, floor: f64) {
    let Some((x, value)) = at else { return };
    let _ = write!(
        svg,
        r#"<path class="limit" d="M{x} 18V{}"/><text class="limit-key" x="{}" y="13" text-anchor="end">theoretical noise: {}</text>"#,
        c(floor),
        c((x + 40.0).min(WIDTH)),
        significant(value, 4),
        x = c(x)
    );
}

fn dot(svg: &mut String, point: &CoursePoint, value: f64, (x, y): (f64, f64), scale: f64) {
    let (class, radius) = match point.mark {
        Mark::Bad => ("bad", 4.0),
        Mark::Best => ("best", 6.0),
        Mark::Good => ("dot", 4.0),
    };
    let _ = write!(
        svg,
        r#"<circle class="{class} c0" cx="{}" cy="{}" r="{}"><title>round {} ({}): {}, {}</title></circle>"#,
        c(x),
        c(y),
        c(radius * scale),
        escape(&point.number),
        escape(&point.chain),
        significant(value, 4),
        escape(&point.verdict)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(number: &str, chain: &str, value: Option<f64>, mark: Mark) -> CoursePoint {
        CoursePoint { number: number.into(), chain: chain.into(), value, mark, verdict: "judged".into() }
    }

    #[test]
    fn rejected_attempts_are_marked_and_left_off_the_line() {
        let points = vec![
            point("0", "–", Some(200.0), Mark::Good),
            point("1", "p 60s", Some(150.0), Mark::Bad),
            point("1.2", "p 120s", None, Mark::Good),
            point("2", "p 30s + ap 120s", Some(900.0), Mark::Best),
        ];
        let all = Course { points, limit: Some(2000.0) };
        for svg in [course(&all).unwrap(), small(&all).unwrap()] {
            assert_eq!(svg.matches("<circle").count(), 3);
            let line = svg.split("class=\"line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
            assert_eq!(line.matches('L').count(), 1, "rounds 0 and 2 only: {line}");
            assert_eq!(svg.matches("class=\"limit\"").count(), 1);
            assert!(svg.contains("round 1.2 (p 120s): no image, judged"), "{svg}");
            assert!(svg.contains("the theoretical noise would give 2000"), "{svg}");
        }
        assert_eq!(course(&Course { points: Vec::new(), limit: Some(1.0) }), None);
    }

    #[test]
    fn long_chains_are_broken_between_terms() {
        assert_eq!(lines("delay inf + p 30s + ap 120s"), ["delay inf + p 30s", "+ ap 120s"]);
        assert_eq!(lines("p 60s"), ["p 60s"]);
    }
}
