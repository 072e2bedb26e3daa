//! Gain solutions against time, one plot for each antenna.

use super::CHART_COLOURS;
use crate::quality::solutions::{AntennaSolutions, GainSeries, SolutionStats};
use crate::report::numbers::{capital, coordinate as c, escape, percent, significant, ticks};
use std::fmt::Write;

/// Most points of one series; more are thinned out evenly.
const MAX_POINTS: usize = 400;

/// Gains of one antenna against time, with a row each for phases, amplitudes and delays, where they vary.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct AntennaPlot {
    /// Antenna name.
    pub(crate) name: String,
    /// `3.2 % flagged, S/N 45`.
    pub(crate) words: String,
    /// Many of its solutions are flagged.
    pub(crate) trouble: bool,
    /// The plot.
    pub(crate) svg: String,
}

/// All antennas' plots.
#[derive(Debug, Clone, Default)]
pub(crate) struct GainPlots {
    /// Long series were thinned out.
    pub(crate) thinned: bool,
    /// Names of the rows, e.g. `Phase and amplitude`.
    pub(crate) shown: String,
    /// One per antenna, in the order of the antennas.
    pub(crate) plots: Vec<AntennaPlot>,
}

/// One quantity of a series.
type GainQuantity = fn(&GainSeries) -> &[Option<f64>];

/// Fraction of flagged solutions from which an antenna is pointed out.
pub(crate) const TROUBLED_ANTENNA: f64 = 0.3;
/// Sizes in units of the SVG.
const WIDTH: f64 = 260.0;
const LEFT: f64 = 38.0;
const RIGHT: f64 = 6.0;
const TOP: f64 = 8.0;
const BELOW: f64 = 20.0;
/// Height of a row, and the gap between two.
const ROW: f64 = 70.0;
const GAP: f64 = 10.0;
/// Upper limits of the phase axis, degrees.
const PHASE_LIMITS_DEG: [f64; 5] = [15.0, 30.0, 60.0, 90.0, 180.0];
/// Amplitudes that vary less are those of a phase-only solution.
const MIN_AMPLITUDE_RANGE: f64 = 1e-4;
/// Free space above and below the values, as a fraction of their range.
const MARGIN: f64 = 0.06;
/// The same where all delays are equal, ns.
const MARGIN_NS: f64 = 0.5;

/// A row of every antenna's plot: one quantity on one axis.
#[derive(Debug)]
struct GainRow {
    name: &'static str,
    low: f64,
    high: f64,
    labels: Vec<f64>,
    unit: &'static str,
    values: GainQuantity,
}

/// The axes that the plots of all antennas share.
#[derive(Debug)]
struct Axes {
    first_s: f64,
    last_s: f64,
    rows: Vec<GainRow>,
}

/// Smallest and largest value; `None` without any.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    (low <= high).then_some((low, high))
}

/// Values of all antennas that are not flagged.
fn good(stats: &SolutionStats, values: GainQuantity) -> impl Iterator<Item = f64> + '_ {
    stats.antennas.iter().flat_map(|a| &a.series).flat_map(move |s| {
        let is_flagged = |i: usize| s.flagged.get(i).copied().unwrap_or(false);
        let kept = values(s).iter().enumerate().filter(move |(i, _)| !is_flagged(*i));
        kept.filter_map(|(_, v)| v.filter(|v| v.is_finite()))
    })
}

/// A plot per antenna, all on the same axes.
pub(crate) fn draw(stats: &SolutionStats) -> GainPlots {
    let Some(axes) = Axes::new(stats) else { return GainPlots::default() };
    let thinned = stats.antennas.iter().flat_map(|a| &a.series).any(|s| s.time_s.len() > MAX_POINTS);
    let names: Vec<&str> = axes.rows.iter().map(|r| r.name).collect();
    let plots = stats.antennas.iter().map(|a| axes.antenna(a)).collect();
    GainPlots { thinned, shown: capital(&names.join(" and ")), plots }
}

impl Axes {
    /// `None` without any finite time.
    fn new(stats: &SolutionStats) -> Option<Self> {
        let times = stats.antennas.iter().flat_map(|a| &a.series).flat_map(|s| s.time_s.iter().copied());
        let (first_s, last_s) = range(times.filter(|t| t.is_finite()))?;
        let last_s = if last_s > first_s { last_s } else { first_s + 1.0 };
        let rows = [phases(stats), amplitudes(stats), delays(stats)].into_iter().flatten().collect();
        Some(Self { first_s, last_s, rows })
    }

    fn x(&self, time_s: f64) -> f64 {
        let width = WIDTH - LEFT - RIGHT;
        LEFT + 3.0 + (time_s - self.first_s) / (self.last_s - self.first_s) * (width - 6.0)
    }

    fn antenna(&self, antenna: &AntennaSolutions) -> AntennaPlot {
        let count = self.rows.len();
        let height = TOP + count as f64 * ROW + count.saturating_sub(1) as f64 * GAP + BELOW;
        let flagged = antenna.flagged_fraction;
        let mut words = format!("{} flagged", percent(flagged));
        if let Some(snr) = antenna.median_snr {
            let _ = write!(words, ", S/N {}", significant(snr, 2));
        }
        let mut svg = format!(
            r#"<svg class="gain" viewBox="0 0 {WIDTH} {}" role="img" aria-label="Gains of {} against time: {}">"#,
            c(height),
            escape(&antenna.name),
            escape(&words)
        );
        for (index, row) in self.rows.iter().enumerate() {
            let top = TOP + index as f64 * (ROW + GAP);
            row.grid(&mut svg, top);
            self.points(&mut svg, antenna, row, top);
        }
        self.times(&mut svg, height);
        svg.push_str("</svg>");
        AntennaPlot { name: antenna.name.clone(), words, trouble: flagged > TROUBLED_ANTENNA, svg }
    }

    /// Labels of the time axis.
    fn times(&self, svg: &mut String, height: f64) {
        let minutes = (self.last_s - self.first_s) / 60.0;
        let (scale, unit) = if minutes > 180.0 { (60.0, "h") } else { (1.0, "min") };
        for t in ticks(0.0, minutes / scale, 4) {
            let x = self.x(self.first_s + t * scale * 60.0);
            let anchor = if x > WIDTH - 20.0 { "end" } else { "middle" };
            let unit = if t == 0.0 { "" } else { unit };
            let (x, y) = (c(x), c(height - 5.0));
            let _ = write!(svg, r#"<text x="{x}" y="{y}" text-anchor="{anchor}">{}{unit}</text>"#, significant(t, 3));
        }
    }

    fn points(&self, svg: &mut String, antenna: &AntennaSolutions, row: &GainRow, top: f64) {
        let mut polarisations: Vec<&str> = Vec::new();
        for series in &antenna.series {
            let known = polarisations.iter().position(|p| *p == series.polarisation);
            let colour = known.unwrap_or(polarisations.len()) % CHART_COLOURS;
            if known.is_none() {
                polarisations.push(&series.polarisation);
            }
            self.series(svg, series, row, top, colour);
        }
    }

    fn series(&self, svg: &mut String, series: &GainSeries, row: &GainRow, top: f64, colour: usize) {
        let every = series.time_s.len().div_ceil(MAX_POINTS).max(1);
        let (mut good, mut bad) = (String::new(), String::new());
        for (i, &t) in series.time_s.iter().enumerate().step_by(every).filter(|(_, t)| t.is_finite()) {
            let x = self.x(t);
            let value = (row.values)(series).get(i).copied().flatten().filter(|v| v.is_finite());
            if series.flagged.get(i).copied().unwrap_or(false) {
                // A flagged solution often has no value: it is then marked at the lower edge.
                let y = row.y(value.unwrap_or(row.low).clamp(row.low, row.high), top);
                let _ = write!(bad, "M{} {}l4 4m-4 0l4 -4", c(x - 2.0), c(y - 2.0));
            } else if let Some(v) = value {
                let _ = write!(good, "M{} {}h0", c(x), c(row.y(v, top)));
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

fn phases(stats: &SolutionStats) -> Option<GainRow> {
    let largest = good(stats, |s| &s.phase_deg).map(f64::abs).reduce(f64::max);
    // Where every solution is flagged there is an empty row, not none.
    let no_delays = || stats.antennas.iter().flat_map(|a| &a.series).all(|s| s.delay_ns.is_empty());
    let largest = largest.or_else(|| no_delays().then_some(180.0))?;
    let limit = PHASE_LIMITS_DEG.into_iter().find(|limit| *limit >= largest).unwrap_or(180.0);
    let labels = vec![-limit, 0.0, limit];
    Some(GainRow { name: "phase", low: -limit, high: limit, labels, unit: "°", values: |s| &s.phase_deg })
}

fn amplitudes(stats: &SolutionStats) -> Option<GainRow> {
    let (low, high) = range(good(stats, |s| &s.amplitude)).filter(|(low, high)| high - low > MIN_AMPLITUDE_RANGE)?;
    let margin = MARGIN * (high - low);
    let (low, high) = ((low - margin).max(0.0), high + margin);
    Some(GainRow { name: "amplitude", low, high, labels: ticks(low, high, 3), unit: "", values: |s| &s.amplitude })
}

fn delays(stats: &SolutionStats) -> Option<GainRow> {
    let (low, high) = range(good(stats, |s| &s.delay_ns))?;
    let margin = if high > low { MARGIN * (high - low) } else { MARGIN_NS };
    let (low, high) = (low - margin, high + margin);
    Some(GainRow { name: "delay", low, high, labels: ticks(low, high, 3), unit: " ns", values: |s| &s.delay_ns })
}

impl GainRow {
    fn y(&self, value: f64, top: f64) -> f64 {
        top + (1.0 - (value - self.low) / (self.high - self.low)) * ROW
    }

    fn grid(&self, svg: &mut String, top: f64) {
        let mut grid = String::new();
        for &v in &self.labels {
            let y = self.y(v, top);
            let _ = write!(grid, "M{LEFT} {}H{}", c(y), c(WIDTH - RIGHT));
            let (x, y) = (c(LEFT - 4.0), c(y + 4.0));
            let _ = write!(svg, r#"<text x="{x}" y="{y}" text-anchor="end">{}{}</text>"#, significant(v, 3), self.unit);
        }
        let _ = write!(svg, r#"<path class="grid" d="{grid}"/>"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let GainPlots { thinned, shown, plots } = draw(&stats);
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
        let found = draw(&SolutionStats { antennas, ..Default::default() });
        assert_eq!(found.shown, "Delay");
        let svg = &found.plots[0].svg;
        assert!(svg.contains(" ns<") && !svg.contains('°'), "{svg}");
        assert_eq!(svg.matches("h0").count(), 2);
    }
}
