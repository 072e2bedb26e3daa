//! Heat maps of channels against cycles.

use super::axis::LOG_FROM_RATIO;
use super::chart::WIDTH;
use super::raster::{ColourScale, Colours, Picture};
use crate::report::numbers::{Unit, coordinate as c, escape, ticks};
use ndarray::Array2;
use std::fmt::Write;

/// A heat map of channels (across) against cycles (down).
#[derive(Debug)]
pub(crate) struct Heat<'a> {
    /// Name of the quantity.
    pub(crate) title: &'a str,
    /// `[cycle, channel]`; `None` is left blank.
    pub(crate) values: Array2<Option<f64>>,
    /// Cells whose channel had converged before.
    pub(crate) stopped: &'a Array2<bool>,
    /// Labels of the rows.
    pub(crate) rows: &'a [String],
    /// Unit without prefix; empty for counts.
    pub(crate) unit: &'a str,
}

/// Left edge of the map, in units of the SVG.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 6.0;
/// Width of the map.
const MAP_WIDTH: f64 = WIDTH - LEFT - RIGHT;
/// More channels than this get no strokes: they would hide the colours.
const MAX_STROKES: usize = 256;

/// Draws a heat map; `None` without any value.
pub(crate) fn draw(spec: &Heat<'_>) -> Option<String> {
    let (rows, columns) = spec.values.dim();
    let finite = || spec.values.iter().flatten().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high || rows == 0 || columns == 0 {
        return None;
    }
    let scale = if low > 0.0 && high / low > LOG_FROM_RATIO {
        ColourScale::Asinh { low, high, soft: low / 2.0 }
    } else {
        ColourScale::Linear { low: if low > 0.0 && low < 0.5 * high { 0.0 } else { low }, high }
    };
    let unit = Unit::for_values(spec.unit, low.abs().max(high.abs()));
    let row_height = (150.0 / rows as f64).clamp(2.0, 18.0);
    let layout = HeatLayout { spec, scale, unit, row_height, below: TOP + row_height * rows as f64 };
    let mut svg = format!(
        r#"<svg class="heat" viewBox="0 0 {WIDTH} {}" role="img" aria-label="{} by channel and cycle: {} to {} {}">"#,
        c(layout.below + 66.0),
        escape(spec.title),
        layout.unit.number(low),
        layout.unit.number(high),
        escape(&layout.unit.name)
    );
    layout.cells(&mut svg);
    layout.strokes(&mut svg);
    layout.labels(&mut svg);
    layout.colour_bar(&mut svg);
    svg.push_str("</svg>");
    Some(svg)
}

/// A heat map with its places in the SVG.
struct HeatLayout<'a> {
    spec: &'a Heat<'a>,
    scale: ColourScale,
    unit: Unit,
    row_height: f64,
    /// Lower edge of the map.
    below: f64,
}

impl HeatLayout<'_> {
    fn columns(&self) -> usize {
        self.spec.values.ncols()
    }

    /// Width of a cell.
    fn cell(&self) -> f64 {
        MAP_WIDTH / self.columns() as f64
    }

    fn cells(&self, svg: &mut String) {
        let rows = self.spec.values.nrows();
        // The picture's rows run downwards, as the cycles do: the plane's y runs upwards, so turn it over.
        let plane = Array2::from_shape_fn((rows, self.columns()), |(y, x)| {
            self.spec.values[(rows - 1 - y, x)].map_or(f32::NAN, |v| v as f32)
        });
        let picture = Picture::of_plane(plane.view(), self.scale, Colours::Viridis);
        let _ = write!(
            svg,
            r#"<image class="sharp" x="{LEFT}" y="{TOP}" width="{}" height="{}" preserveAspectRatio="none" href="{}"/>"#,
            c(MAP_WIDTH),
            c(self.below - TOP),
            picture.data_uri()
        );
    }

    /// A stroke through each cell whose channel had converged.
    fn strokes(&self, svg: &mut String) {
        let cell = self.cell();
        let mut strokes = String::new();
        if self.columns() <= MAX_STROKES {
            for ((y, x), _) in self.spec.stopped.indexed_iter().filter(|(_, stopped)| **stopped) {
                let (cx, cy) = (LEFT + x as f64 * cell, TOP + (y as f64 + 0.5) * self.row_height);
                let _ = write!(strokes, "M{} {}h{}", c(cx + 0.15 * cell), c(cy), c(0.7 * cell));
            }
        }
        let _ = write!(
            svg,
            r#"<path class="done" d="{strokes}"/><rect class="edge" x="{LEFT}" y="{TOP}" width="{}" height="{}"/>"#,
            c(MAP_WIDTH),
            c(self.below - TOP)
        );
    }

    fn labels(&self, svg: &mut String) {
        let every = ((12.0 / self.row_height).ceil() as usize).max(1);
        for (i, label) in self.spec.rows.iter().enumerate().step_by(every) {
            let (x, y) = (c(LEFT - 5.0), c(TOP + (i as f64 + 0.5) * self.row_height + 4.0));
            let _ = write!(svg, r#"<text x="{x}" y="{y}" text-anchor="end">{}</text>"#, escape(label));
        }
        let last = (self.columns() - 1) as f64;
        for channel in ticks(0.0, last, 6).into_iter().filter(|v| v.fract() == 0.0) {
            let (x, y) = (c(LEFT + (channel + 0.5) * self.cell()), c(self.below + 14.0));
            let _ = write!(svg, r#"<text x="{x}" y="{y}" text-anchor="middle">{channel}</text>"#);
        }
        let (x, y) = (c(WIDTH - RIGHT), c(self.below + 27.0));
        let _ = write!(
            svg,
            r#"<text class="quiet" x="{x}" y="{y}" text-anchor="end">channel</text><text class="quiet" x="2" y="{y}">cycle</text>"#
        );
    }

    fn colour_bar(&self, svg: &mut String) {
        let top = self.below + 32.0;
        let _ = write!(
            svg,
            r#"<image class="sharp" x="{LEFT}" y="{}" width="{}" height="9" preserveAspectRatio="none" href="{}"/>"#,
            c(top),
            c(MAP_WIDTH),
            Picture::colour_bar(Colours::Viridis).data_uri()
        );
        for v in self.scale.ticks(0.18) {
            let number = self.unit.number(v);
            // A long number at the right end would be cut off.
            let half = number.chars().count() as f64 * 3.6;
            let x = (LEFT + self.scale.position(v) * MAP_WIDTH).min(WIDTH - half);
            let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="middle">{number}</text>"#, c(x), c(top + 22.0));
        }
        let (x, y) = (c(LEFT - 6.0), c(top + 8.0));
        let _ =
            write!(svg, r#"<text class="quiet" x="{x}" y="{y}" text-anchor="end">{}</text>"#, escape(&self.unit.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_maps_have_their_first_cycle_on_top() {
        let values = ndarray::array![[Some(1.0), Some(2.0)], [Some(3.0), None]];
        let stopped = ndarray::array![[false, false], [false, true]];
        let rows = ["0".to_string(), "1".to_string()];
        let svg = draw(&Heat { title: "Peak", values, stopped: &stopped, rows: &rows, unit: "Jy/beam" }).unwrap();
        assert!(svg.contains("Peak by channel and cycle: 1 to 3 Jy/beam"), "{svg}");
        assert_eq!(svg.matches("class=\"done\" d=\"M").count(), 1);
    }
}
