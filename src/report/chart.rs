//! Curves, gain plots and heat maps as SVG; colours come from the page's style sheet.

use super::numbers::{Unit, capital, coordinate as c, escape, log_ticks, percent, significant, ticks, with_unit};
use super::raster::{Colours, Picture, Scale};
use crate::quality::solutions::{AntennaSolutions, SolutionStats};
use ndarray::Array2;
use std::fmt::Write;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 30.0;
/// A curve whose positive values span more than this is drawn on a logarithmic axis.
const LOG_FROM_RATIO: f64 = 30.0;
/// Most points of one series in a gain plot; more are thinned out evenly.
const MAX_GAIN_POINTS: usize = 400;

/// One curve.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// Its name, for the legend and tooltips.
    pub name: &'a str,
    /// Number of its colour, 0 to 5.
    pub colour: usize,
    /// Values in the base unit, one an x position.
    pub values: Vec<Option<f64>>,
}

/// How a point is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A dot on the line.
    Good,
    /// A hollow dot off the line: rejected.
    Bad,
    /// A larger dot: the best.
    Best,
}

/// Curves against equally spaced, labelled positions.
#[derive(Debug, Clone)]
pub struct Curve<'a> {
    /// What is drawn, for those who cannot see it.
    pub title: &'a str,
    /// Name of the x axis.
    pub x_name: &'a str,
    /// Labels of the positions.
    pub x: &'a [String],
    /// How each position is drawn.
    pub marks: &'a [Mark],
    /// One or more curves.
    pub series: Vec<Series<'a>>,
    /// Unit of the values without prefix; empty for plain numbers, `%` for percentages.
    pub unit: &'a str,
    /// Points are joined: their order means something.
    pub joined: bool,
}

/// Draws curves; `None` when there is no value at all.
pub fn curve(spec: &Curve<'_>) -> Option<String> {
    let all = || spec.series.iter().flat_map(|s| s.values.iter().flatten().copied()).filter(|v| v.is_finite());
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return None;
    }
    let log = low > 0.0 && high / low > LOG_FROM_RATIO;
    let unit = Unit::for_values(spec.unit, low.abs().max(high.abs()));
    let axis = Axis::new(low, high, log);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let step = (right - LEFT) / spec.x.len().max(1) as f64;
    let x_at = |i: usize| LEFT + (i as f64 + 0.5) * step;
    let y_at = |v: f64| bottom - axis.place(v) * (bottom - TOP);
    let mut svg = format!(
        r#"<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
        escape(&describe(spec, &unit))
    );
    let mut grid = String::new();
    for v in axis.ticks() {
        let y = y_at(v);
        let _ = write!(grid, "M{LEFT} {}H{right}", c(y));
        let number = significant(v / unit.factor, 4);
        let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{number}</text>"#, c(LEFT - 6.0), c(y + 4.0));
    }
    let _ = write!(svg, r#"<path class="grid" d="{grid}"/>"#);
    let every = spec.x.len().div_ceil(12).max(1);
    for (i, label) in spec.x.iter().enumerate().filter(|(i, _)| i % every == 0) {
        let (x, y) = (c(x_at(i)), c(bottom + 15.0));
        let _ = write!(svg, r#"<text x="{x}" y="{y}" text-anchor="middle">{}</text>"#, escape(label));
    }
    let scale = match (log, unit.name.is_empty()) {
        (false, _) => "",
        (true, true) => "logarithmic",
        (true, false) => ", logarithmic",
    };
    let _ = write!(
        svg,
        r#"<text class="quiet" x="{right}" y="{}" text-anchor="end">{}</text><text class="quiet" x="2" y="12">{}{scale}</text>"#,
        c(bottom + 28.0),
        escape(spec.x_name),
        escape(&unit.name),
    );
    for series in &spec.series {
        let points: Vec<(usize, f64)> = series
            .values
            .iter()
            .enumerate()
            .filter_map(|(i, v)| Some((i, (*v)?)).filter(|(_, v)| v.is_finite() && (!log || *v > 0.0)))
            .collect();
        let on_line = |i: usize| spec.marks.get(i) != Some(&Mark::Bad);
        let mut d = String::new();
        for (i, v) in points.iter().filter(|(i, _)| on_line(*i)) {
            let _ = write!(d, "{}{} {}", if d.is_empty() { 'M' } else { 'L' }, c(x_at(*i)), c(y_at(*v)));
        }
        if spec.joined {
            let _ = write!(svg, r#"<path class="line c{}" d="{d}"/>"#, series.colour);
        }
        for (i, v) in &points {
            let (class, radius) = match spec.marks.get(*i) {
                Some(Mark::Bad) => ("bad", 4.0),
                Some(Mark::Best) => ("best", 5.0),
                _ => ("dot", if spec.x.len() > 40 { 1.5 } else { 3.0 }),
            };
            let words = if spec.unit.is_empty() { significant(*v, 4) } else { with_unit(*v, spec.unit) };
            let _ = write!(
                svg,
                r#"<circle class="{class} c{}" cx="{}" cy="{}" r="{radius}"><title>{} {}: {} {words}</title></circle>"#,
                series.colour,
                c(x_at(*i)),
                c(y_at(*v)),
                escape(spec.x_name),
                escape(&spec.x[*i]),
                escape(series.name),
            );
        }
    }
    if spec.series.len() > 1 {
        let mut x = 4.0;
        for series in &spec.series {
            let _ = write!(
                svg,
                r#"<text class="key c{}" x="{}" y="{}">● {}</text>"#,
                series.colour,
                c(x),
                c(bottom + 28.0),
                escape(series.name)
            );
            x += 22.0 + series.name.chars().count() as f64 * 6.0;
        }
    }
    svg.push_str("</svg>");
    Some(svg)
}

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

struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    fn new(low: f64, high: f64, log: bool) -> Self {
        if log {
            return Self { low: low / 1.25, high: high * 1.25, log };
        }
        // Curves that stay of one sign start at zero unless they vary little.
        let (low, high) = match (low, high) {
            (l, h) if l >= 0.0 && l < 0.6 * h => (0.0, h),
            (l, h) if h <= 0.0 && h > 0.6 * l => (l, 0.0),
            other => other,
        };
        let margin = if high > low { 0.08 * (high - low) } else { 0.1 * high.abs().max(f64::MIN_POSITIVE) };
        let (low_margin, high_margin) =
            (if low == 0.0 { 0.0 } else { margin }, if high == 0.0 && low < 0.0 { 0.0 } else { margin });
        let (low, high) = (low - low_margin, high + high_margin);
        if high > low { Self { low, high, log } } else { Self { low: low - 1.0, high: high + 1.0, log } }
    }

    fn place(&self, v: f64) -> f64 {
        if self.log {
            (v.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (v - self.low) / (self.high - self.low)
        }
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log { log_ticks(self.low, self.high) } else { ticks(self.low, self.high, 4) }
    }
}

/// Gains of one antenna against time, a row each for phases, amplitudes and delays, where they say something.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AntennaPlot {
    /// Antenna name.
    pub name: String,
    /// `3.2 % flagged, S/N 45`.
    pub words: String,
    /// Many of its solutions are flagged.
    pub trouble: bool,
    /// The plot.
    pub svg: String,
}

/// All antennas' plots.
#[derive(Debug, Clone, Default)]
pub struct GainPlots {
    /// Long series were thinned out.
    pub thinned: bool,
    /// What the rows show: `Phase and amplitude`.
    pub shown: String,
    /// One an antenna, in the order of the antennas.
    pub plots: Vec<AntennaPlot>,
}

/// Common ranges of all antennas' plots.
#[derive(Debug, Clone, Copy)]
struct GainAxes {
    first_s: f64,
    last_s: f64,
    phase: Option<f64>,
    amplitude: Option<(f64, f64)>,
    delay: Option<(f64, f64)>,
}

/// Takes one quantity of a series.
type Quantity = fn(&crate::quality::solutions::GainSeries) -> &Vec<Option<f64>>;

/// Fraction of flagged solutions from which an antenna is pointed out.
pub const TROUBLED_ANTENNA: f64 = 0.3;
const GAIN_WIDTH: f64 = 260.0;
const GAIN_LEFT: f64 = 38.0;
const GAIN_ROW: f64 = 70.0;
const GAIN_GAP: f64 = 10.0;

/// A plot an antenna, all on the same axes.
pub fn gains(stats: &SolutionStats) -> GainPlots {
    let series = || stats.antennas.iter().flat_map(|a| &a.series);
    let times = || series().flat_map(|s| s.time_s.iter().copied()).filter(|t| t.is_finite());
    let (first_s, last_s) = times().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(t), b.max(t)));
    if first_s > last_s {
        return GainPlots::default();
    }
    let good = |values: Quantity| {
        series().flat_map(move |s| {
            values(s)
                .iter()
                .enumerate()
                .filter_map(move |(i, v)| v.filter(|v| v.is_finite() && !s.flagged.get(i).copied().unwrap_or(false)))
        })
    };
    let range = |values: Quantity| {
        let (low, high) = good(values).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let margin = 0.06 * (high - low);
        (low <= high).then_some((low, high, margin))
    };
    let largest = good(|s| &s.phase_deg).reduce(|m, v| m.abs().max(v.abs())).map(f64::abs);
    // Where every solution is flagged there is an empty row, not none.
    let no_delays = series().all(|s| s.delay_ns.is_empty());
    let phase = largest.or(no_delays.then_some(180.0));
    let phase = phase.map(|p| [15.0, 30.0, 60.0, 90.0, 180.0].into_iter().find(|limit| *limit >= p).unwrap_or(180.0));
    // A phase-only solution has amplitudes of one: nothing to look at.
    let amplitude = range(|s| &s.amplitude).filter(|(low, high, _)| high - low > 1e-4);
    let amplitude = amplitude.map(|(low, high, margin)| ((low - margin).max(0.0), high + margin));
    let delay = range(|s| &s.delay_ns).map(|(low, high, margin)| {
        let margin = if margin > 0.0 { margin } else { 0.5 };
        (low - margin, high + margin)
    });
    let last_s = if last_s > first_s { last_s } else { first_s + 1.0 };
    let axes = GainAxes { first_s, last_s, phase, amplitude, delay };
    let thinned = series().any(|s| s.time_s.len() > MAX_GAIN_POINTS);
    let rows = [("phase", phase.is_some()), ("amplitude", amplitude.is_some()), ("delay", delay.is_some())];
    let shown: Vec<&str> = rows.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    let shown = capital(&shown.join(" and "));
    GainPlots { thinned, shown, plots: stats.antennas.iter().map(|a| antenna(a, axes)).collect() }
}

fn antenna(antenna: &AntennaSolutions, axes: GainAxes) -> AntennaPlot {
    let mut rows: Vec<GainRow> = Vec::new();
    if let Some(phase) = axes.phase {
        let labels = vec![-phase, 0.0, phase];
        rows.push(GainRow { range: (-phase, phase), labels, unit: "°", values: |s| &s.phase_deg });
    }
    if let Some((low, high)) = axes.amplitude {
        rows.push(GainRow { range: (low, high), labels: ticks(low, high, 3), unit: "", values: |s| &s.amplitude });
    }
    if let Some((low, high)) = axes.delay {
        rows.push(GainRow { range: (low, high), labels: ticks(low, high, 3), unit: " ns", values: |s| &s.delay_ns });
    }
    let height = 8.0 + rows.len() as f64 * GAIN_ROW + rows.len().saturating_sub(1) as f64 * GAIN_GAP + 20.0;
    let flagged = antenna.flagged_fraction;
    let mut words = format!("{} flagged", percent(flagged));
    if let Some(snr) = antenna.median_snr {
        let _ = write!(words, ", S/N {}", significant(snr, 2));
    }
    let mut svg = format!(
        r#"<svg class="gain" viewBox="0 0 {GAIN_WIDTH} {}" role="img" aria-label="Gains of {} against time: {}">"#,
        c(height),
        escape(&antenna.name),
        escape(&words)
    );
    for (index, row) in rows.iter().enumerate() {
        gain_row(&mut svg, antenna, axes, 8.0 + index as f64 * (GAIN_ROW + GAIN_GAP), row);
    }
    let minutes = (axes.last_s - axes.first_s) / 60.0;
    let (scale, unit) = if minutes > 180.0 { (60.0, "h") } else { (1.0, "min") };
    for t in ticks(0.0, minutes / scale, 4) {
        let x = gain_x(axes, axes.first_s + t * scale * 60.0);
        let anchor = if x > GAIN_WIDTH - 20.0 { "end" } else { "middle" };
        let unit = if t == 0.0 { "" } else { unit };
        let _ = write!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="{anchor}">{}{unit}</text>"#,
            c(x),
            c(height - 5.0),
            significant(t, 3)
        );
    }
    svg.push_str("</svg>");
    AntennaPlot { name: antenna.name.clone(), words, trouble: flagged > TROUBLED_ANTENNA, svg }
}

fn gain_x(axes: GainAxes, time_s: f64) -> f64 {
    let width = GAIN_WIDTH - GAIN_LEFT - 6.0;
    GAIN_LEFT + 3.0 + (time_s - axes.first_s) / (axes.last_s - axes.first_s) * (width - 6.0)
}

/// One quantity of an antenna's plot.
struct GainRow {
    range: (f64, f64),
    labels: Vec<f64>,
    unit: &'static str,
    values: Quantity,
}

fn gain_row(svg: &mut String, antenna: &AntennaSolutions, axes: GainAxes, top: f64, row: &GainRow) {
    let GainRow { range: (low, high), ref labels, unit, values } = *row;
    let y_at = |v: f64| top + (1.0 - (v - low) / (high - low)) * GAIN_ROW;
    let mut grid = String::new();
    for &v in labels {
        let y = y_at(v);
        let _ = write!(grid, "M{GAIN_LEFT} {}H{}", c(y), c(GAIN_WIDTH - 6.0));
        let _ = write!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="end">{}{unit}</text>"#,
            c(GAIN_LEFT - 4.0),
            c(y + 4.0),
            significant(v, 3)
        );
    }
    let _ = write!(svg, r#"<path class="grid" d="{grid}"/>"#);
    let polarisations: Vec<&str> = {
        let mut seen: Vec<&str> = Vec::new();
        antenna.series.iter().for_each(|s| {
            if !seen.contains(&s.polarisation.as_str()) {
                seen.push(&s.polarisation);
            }
        });
        seen
    };
    for series in &antenna.series {
        let colour = polarisations.iter().position(|p| *p == series.polarisation).unwrap_or(0) % 6;
        let every = series.time_s.len().div_ceil(MAX_GAIN_POINTS).max(1);
        let (mut good, mut bad) = (String::new(), String::new());
        for (i, &t) in series.time_s.iter().enumerate().step_by(every).filter(|(_, t)| t.is_finite()) {
            let x = gain_x(axes, t);
            let value = values(series).get(i).copied().flatten().filter(|v| v.is_finite());
            if series.flagged.get(i).copied().unwrap_or(false) {
                // A flagged solution often has no value: it is then marked at the lower edge.
                let y = y_at(value.unwrap_or(low).clamp(low, high));
                let _ = write!(bad, "M{} {}l4 4m-4 0l4 -4", c(x - 2.0), c(y - 2.0));
            } else if let Some(v) = value {
                let _ = write!(good, "M{} {}h0", c(x), c(y_at(v)));
            }
        }
        if !bad.is_empty() {
            let _ = write!(svg, r#"<path class="flagged" d="{bad}"/>"#);
        }
        if !good.is_empty() {
            let _ = write!(svg, r#"<path class="points c{colour}" d="{good}"/>"#);
        }
    }
}

/// A heat map of channels (across) against cycles (down).
#[derive(Debug)]
pub struct Heat<'a> {
    /// What is shown.
    pub title: &'a str,
    /// `[cycle, channel]`; `None` is left blank.
    pub values: Array2<Option<f64>>,
    /// Cells whose channel was done before.
    pub done: Array2<bool>,
    /// Labels of the rows.
    pub rows: &'a [String],
    /// Unit without prefix; empty for counts.
    pub unit: &'a str,
}

/// Draws a heat map; `None` without any value.
pub fn heat(spec: &Heat<'_>) -> Option<String> {
    let (rows, columns) = spec.values.dim();
    let finite = || spec.values.iter().flatten().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high || rows == 0 || columns == 0 {
        return None;
    }
    let scale = if low > 0.0 && high / low > LOG_FROM_RATIO {
        Scale::Asinh { low, high, soft: low / 2.0 }
    } else {
        Scale::Linear { low: if low > 0.0 && low < 0.5 * high { 0.0 } else { low }, high }
    };
    let unit = Unit::for_values(spec.unit, low.abs().max(high.abs()));
    let (left, right, top) = (62.0, 12.0, 6.0);
    let width = WIDTH - left - right;
    let row_height = (150.0 / rows as f64).clamp(2.0, 18.0);
    let height = row_height * rows as f64;
    // The picture's rows run downwards, as the cycles do: the plane's y runs upwards, so turn it over.
    let plane =
        Array2::from_shape_fn((rows, columns), |(y, x)| spec.values[(rows - 1 - y, x)].map_or(f32::NAN, |v| v as f32));
    let picture = Picture::of_plane(plane.view(), scale, Colours::Viridis);
    let total = top + height + 66.0;
    let mut svg = format!(
        r#"<svg class="heat" viewBox="0 0 {WIDTH} {}" role="img" aria-label="{} by channel and cycle: {} to {} {}">"#,
        c(total),
        escape(spec.title),
        unit.number(low),
        unit.number(high),
        escape(&unit.name)
    );
    let _ = write!(
        svg,
        r#"<image class="sharp" x="{left}" y="{top}" width="{}" height="{}" preserveAspectRatio="none" href="{}"/>"#,
        c(width),
        c(height),
        picture.data_uri()
    );
    let cell = width / columns as f64;
    let mut strokes = String::new();
    if columns <= 256 {
        for ((y, x), _) in spec.done.indexed_iter().filter(|(_, done)| **done) {
            let (cx, cy) = (left + x as f64 * cell, top + (y as f64 + 0.5) * row_height);
            let _ = write!(strokes, "M{} {}h{}", c(cx + 0.15 * cell), c(cy), c(0.7 * cell));
        }
    }
    let _ = write!(
        svg,
        r#"<path class="done" d="{strokes}"/><rect class="edge" x="{left}" y="{top}" width="{}" height="{}"/>"#,
        c(width),
        c(height)
    );
    let every = (12.0 / row_height).ceil() as usize;
    for (i, label) in spec.rows.iter().enumerate().step_by(every.max(1)) {
        let y = top + (i as f64 + 0.5) * row_height + 4.0;
        let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#, c(left - 5.0), c(y), escape(label));
    }
    let below = top + height;
    for channel in ticks(0.0, (columns - 1) as f64, 6).into_iter().filter(|v| v.fract() == 0.0) {
        let x = left + (channel + 0.5) * cell;
        let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="middle">{channel}</text>"#, c(x), c(below + 14.0));
    }
    let palette = Colours::Viridis.palette();
    let bar = Picture { width: palette.len(), height: 1, pixels: (0..palette.len() as u8).collect(), palette };
    let bar_top = below + 32.0;
    let _ = write!(
        svg,
        r#"<text class="quiet" x="{}" y="{}" text-anchor="end">channel</text><text class="quiet" x="2" y="{1}">cycle</text><image class="sharp" x="{left}" y="{}" width="{}" height="9" preserveAspectRatio="none" href="{}"/>"#,
        c(WIDTH - right),
        c(below + 27.0),
        c(bar_top),
        c(width),
        bar.data_uri()
    );
    for v in scale.ticks(0.18) {
        let x = left + scale.position(v) * width;
        let _ = write!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="middle">{}</text>"#,
            c(x),
            c(bar_top + 22.0),
            unit.number(v)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="quiet" x="{}" y="{}" text-anchor="end">{}</text></svg>"#,
        c(left - 6.0),
        c(bar_top + 8.0),
        escape(&unit.name)
    );
    Some(svg)
}

/// A small spectrum: model against channel, with one channel pointed out.
pub fn spectrum(values: &[Option<f64>], first: usize, pointed: usize, alt: &str) -> Option<String> {
    let finite = || values.iter().flatten().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((0f64, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if !high.is_finite() || values.is_empty() {
        return None;
    }
    let axis = Axis::new(low, high.max(0.0), false);
    let (width, height) = (180.0, 64.0);
    let step = width / values.len() as f64;
    let y_at = |v: f64| 4.0 + (1.0 - axis.place(v)) * (height - 20.0);
    let mut svg = format!(
        r#"<svg class="spectrum" viewBox="0 0 {width} {height}" role="img" aria-label="{}"><path class="grid" d="M0 {1}H{width}"/>"#,
        escape(alt),
        c(y_at(0.0))
    );
    for (i, v) in values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))) {
        let (y0, y1) = (y_at(v.max(0.0)), y_at(v.min(0.0)));
        let _ = write!(
            svg,
            r#"<rect class="bar{}" x="{}" y="{}" width="{}" height="{}"><title>channel {}: {}</title></rect>"#,
            if i + first == pointed { " pointed" } else { "" },
            c(i as f64 * step + 0.1 * step),
            c(y0),
            c(0.8 * step),
            c((y1 - y0).max(0.4)),
            first + i,
            with_unit(v, "Jy/pixel")
        );
    }
    let _ = write!(
        svg,
        r#"<text x="1" y="{y}">{first}</text><text x="{width}" y="{y}" text-anchor="end">{}</text></svg>"#,
        first + values.len() - 1,
        y = c(height - 3.0)
    );
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::solutions::GainSeries;

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

    #[test]
    fn flagged_solutions_are_drawn_differently() {
        let series = GainSeries {
            polarisation: "X".into(),
            time_s: vec![0.0, 60.0, 120.0],
            phase_deg: vec![Some(10.0), None, Some(-20.0)],
            amplitude: vec![Some(1.0), None, Some(1.0)],
            flagged: vec![false, true, false],
            ..Default::default()
        };
        let stats = SolutionStats {
            antennas: vec![AntennaSolutions {
                name: "ea01".into(),
                flagged_fraction: 1.0 / 3.0,
                median_snr: Some(45.0),
                series: vec![series],
            }],
            ..Default::default()
        };
        let GainPlots { thinned, shown, plots } = gains(&stats);
        assert!(!thinned && plots[0].trouble);
        assert_eq!(shown, "Phase");
        assert_eq!(plots[0].words, "33 % flagged, S/N 45");
        let svg = &plots[0].svg;
        let good = svg.split("class=\"points c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(good.matches("h0").count(), 2);
        assert_eq!(svg.matches("class=\"flagged\"").count(), 1, "phase-only: one row");
        assert!(svg.contains("−30°") && svg.contains(">30°"), "the range suits the phases: {svg}");
    }

    #[test]
    fn heat_maps_have_their_first_cycle_on_top() {
        let values = ndarray::array![[Some(1.0), Some(2.0)], [Some(3.0), None]];
        let done = ndarray::array![[false, false], [false, true]];
        let rows = ["0".to_string(), "1".to_string()];
        let svg = heat(&Heat { title: "Peak", values, done, rows: &rows, unit: "Jy/beam" }).unwrap();
        assert!(svg.contains("Peak by channel and cycle: 1 to 3 Jy/beam"), "{svg}");
        assert_eq!(svg.matches("class=\"done\" d=\"M").count(), 1);
    }

    #[test]
    fn a_spectrum_points_out_its_channel() {
        let svg = spectrum(&[Some(0.0), Some(1e-3), None, Some(-2e-4)], 10, 11, "x").unwrap();
        assert_eq!(svg.matches("class=\"bar pointed\"").count(), 1);
        assert!(svg.contains("channel 11: 1\u{a0}mJy/pixel"), "{svg}");
        assert_eq!(spectrum(&[None], 0, 0, "x"), None);
    }

    #[test]
    fn delays_have_a_row_of_their_own() {
        let series = GainSeries {
            polarisation: "X".into(),
            time_s: vec![0.0, 60.0],
            phase_deg: vec![None; 2],
            amplitude: vec![None; 2],
            delay_ns: vec![Some(-1.5), Some(2.0)],
            flagged: vec![false; 2],
            ..Default::default()
        };
        let antennas = vec![AntennaSolutions { series: vec![series], ..Default::default() }];
        let found = gains(&SolutionStats { antennas, ..Default::default() });
        assert_eq!(found.shown, "Delay");
        let svg = &found.plots[0].svg;
        assert!(svg.contains(" ns<") && !svg.contains('°'), "{svg}");
        assert_eq!(svg.matches("h0").count(), 2);
    }
}
