//! The frame of a map: axes, beam, colour bar, mask outline, as vectors around the raster.

use super::plane::{Plane, Window};
use super::raster::{ColourScale, Colours, Picture};
use super::{outline, sky};
use crate::image::PixelBeam;
use crate::report::numbers::{Unit, coordinate as c, escape, ticks};
use ndarray::Array2;
use std::fmt::Write;

/// Longest side of the map itself, in the SVG's units.
const BOX: f64 = 400.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 8.0;
const BELOW: f64 = 82.0;
/// A mask outline longer than this is embedded as a picture instead of a path, bytes.
const MAX_OUTLINE_BYTES: usize = 60_000;

/// How the outline of a mask is drawn.
pub(super) struct OutlineStyle {
    /// Red, green, blue of an outline that is embedded as a picture.
    pub(super) colour: [u8; 3],
    /// Style class of an outline that is a path.
    pub(super) class: &'static str,
}

/// Places in the SVG of a map.
pub(super) struct PlotFrame {
    window: Window,
    /// SVG units of a pixel.
    unit: f64,
    width: f64,
    height: f64,
    left: f64,
    top: f64,
    axes: bool,
}

impl PlotFrame {
    pub(super) fn new(window: Window, axes: bool) -> Self {
        let unit = BOX / window.nx.max(window.ny).max(1) as f64;
        let (left, top) = if axes { (LEFT, TOP) } else { (0.0, 0.0) };
        Self { window, unit, width: window.nx as f64 * unit, height: window.ny as f64 * unit, left, top, axes }
    }

    pub(super) fn open(&self, alt: &str) -> String {
        let (right, below) = if self.axes { (RIGHT, BELOW) } else { (0.0, 0.0) };
        self.open_sized(alt, right, below)
    }

    pub(super) fn open_without_bar(&self, alt: &str) -> String {
        self.open_sized(alt, RIGHT, 36.0)
    }

    fn open_sized(&self, alt: &str, right: f64, below: f64) -> String {
        format!(
            r#"<svg class="map" viewBox="0 0 {} {}" role="img" aria-label="{}">"#,
            c(self.left + self.width + right),
            c(self.top + self.height + below),
            escape(alt)
        )
    }

    /// A nested SVG that clips to the map; its origin is the map's upper left corner.
    pub(super) fn clip_begin(&self, svg: &mut String) {
        let (w, h) = (c(self.width), c(self.height));
        let _ = write!(svg, r#"<svg x="{}" y="{}" width="{w}" height="{h}">"#, c(self.left), c(self.top));
    }

    /// Blocks of pixels may reach beyond the map at the right and at the top.
    pub(super) fn picture(&self, svg: &mut String, picture: &Picture, factor: usize, sharp: bool) {
        let (w, h) = (picture.width as f64 * factor as f64 * self.unit, self.block_height(picture.height, factor));
        let _ = write!(
            svg,
            r#"<image{} y="{}" width="{}" height="{}" preserveAspectRatio="none" href="{}"/>"#,
            if sharp { r#" class="sharp""# } else { "" },
            c(self.height - h),
            c(w),
            c(h),
            picture.data_uri()
        );
    }

    fn block_height(&self, rows: usize, factor: usize) -> f64 {
        rows as f64 * factor as f64 * self.unit
    }

    pub(super) fn outline(&self, svg: &mut String, mask: &Array2<bool>, factor: usize, style: &OutlineStyle) {
        if !mask.iter().any(|on| *on) {
            return;
        }
        let top = self.height - self.block_height(mask.nrows(), factor);
        match outline::path(mask.view(), factor as f64 * self.unit, MAX_OUTLINE_BYTES) {
            Some(d) => {
                let _ = write!(svg, r#"<path class="{}" transform="translate(0 {})" d="{d}"/>"#, style.class, c(top));
            }
            None => {
                let picture = Picture::of_outline(mask.view(), style.colour);
                let (w, h) = (mask.ncols() as f64 * factor as f64 * self.unit, self.block_height(mask.nrows(), factor));
                let _ = write!(
                    svg,
                    r#"<image class="mask sharp" y="{}" width="{}" height="{}" preserveAspectRatio="none" href="{}"/>"#,
                    c(top),
                    c(w),
                    c(h),
                    picture.data_uri()
                );
            }
        }
    }

    /// SVG x of a 0-based pixel coordinate (the centre of a pixel is a whole number).
    fn x(&self, pixel: f64) -> f64 {
        self.left + (pixel - self.window.x as f64 + 0.5) * self.unit
    }

    fn y(&self, pixel: f64) -> f64 {
        self.top + self.height - (pixel - self.window.y as f64 + 0.5) * self.unit
    }

    /// Edge, ticks and labels: sky coordinates where the header has them, else pixels.
    pub(super) fn axes(&self, svg: &mut String, plane: &Plane) {
        let w = self.window;
        let (x0, x1) = (w.x as f64 - 0.5, (w.x + w.nx) as f64 - 0.5);
        let (y0, y1) = (w.y as f64 - 0.5, (w.y + w.ny) as f64 - 0.5);
        let (mut across, mut up) = (Vec::new(), Vec::new());
        if let Some(wcs) = &plane.wcs {
            across = sky::right_ascension(x0, x1, 4, |x| Some(wcs.pixel_to_sky(x, y0)?.lon_deg));
            up = sky::declination(y0, y1, 6, |y| Some(wcs.pixel_to_sky(x0, y)?.lat_deg));
        }
        let on_sky = !across.is_empty() && !up.is_empty();
        if !on_sky {
            (across, up) = (pixel_ticks(x0, x1), pixel_ticks(y0, y1));
        }
        across.sort_by(|a, b| a.at.total_cmp(&b.at));
        let _ = write!(
            svg,
            r#"<rect class="edge" x="{}" y="{}" width="{}" height="{}"/>"#,
            c(self.left),
            c(self.top),
            c(self.width),
            c(self.height)
        );
        let mut marks = String::new();
        self.ticks_across(svg, &mut marks, &across);
        self.ticks_up(svg, &mut marks, &up);
        let (x_name, y_name) = if on_sky { ("right ascension", "declination") } else { ("x (pixels)", "y (pixels)") };
        let _ = write!(
            svg,
            r#"<path class="tick" d="{marks}"/><text class="quiet" x="{}" y="{}" text-anchor="end">{x_name}</text><text class="quiet" transform="translate({} {}) rotate(-90)" text-anchor="end">{y_name}</text>"#,
            c(self.left + self.width),
            c(self.top + self.height + 32.0),
            c(10.0),
            c(self.top),
        );
    }

    /// Ticks from left to right. Labels that would run into their neighbour are left out; their ticks stay.
    fn ticks_across(&self, svg: &mut String, marks: &mut String, ticks: &[sky::Tick]) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        let mut free_from = f64::MIN;
        for tick in ticks {
            let x = self.x(tick.at);
            let _ = write!(marks, "M{} {}v5", c(x), c(bottom));
            let half = tick.label.chars().count() as f64 * 3.6;
            if x - half >= free_from.max(0.0) && x + half <= right + RIGHT {
                let (place, y, label) = (c(x), c(bottom + 18.0), escape(&tick.label));
                let _ = write!(svg, r#"<text x="{place}" y="{y}" text-anchor="middle">{label}</text>"#);
                free_from = x + half + 6.0;
            }
        }
    }

    fn ticks_up(&self, svg: &mut String, marks: &mut String, ticks: &[sky::Tick]) {
        for tick in ticks {
            let y = self.y(tick.at);
            let _ = write!(marks, "M{} {}h-5", c(self.left), c(y));
            let _ = write!(
                svg,
                r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
                c(self.left - 7.0),
                c((y + 4.0).clamp(self.top + 10.0, self.top + self.height)),
                escape(&tick.label)
            );
        }
    }

    pub(super) fn beam(&self, svg: &mut String, beam: &PixelBeam, east_left: bool) {
        let (a, b) = (beam.major * self.unit / 2.0, beam.minor * self.unit / 2.0);
        if a > self.width / 3.0 {
            return;
        }
        let half = a.max(4.0) + 5.0;
        let (x, y) = (self.left + half + 4.0, self.top + self.height - half - 4.0);
        let turn = if east_left { -beam.pa_deg } else { beam.pa_deg };
        let side = c(2.0 * half);
        let _ = write!(
            svg,
            r#"<g class="beam"><rect x="{}" y="{}" width="{side}" height="{side}"/><ellipse rx="{}" ry="{}" transform="translate({} {}) rotate({})"/></g>"#,
            c(x - half),
            c(y - half),
            c(b),
            c(a),
            c(x),
            c(y),
            c(turn),
        );
    }

    pub(super) fn colour_bar(&self, svg: &mut String, scale: ColourScale, colours: Colours, unit: &str) {
        let (low, high) = scale.ends();
        let unit = Unit::for_values(unit, low.abs().max(high.abs()));
        let (y, height) = (self.top + self.height + 42.0, 11.0);
        let bar = Picture::colour_bar(colours);
        let _ = write!(
            svg,
            r#"<image class="sharp" x="{x}" y="{y}" width="{w}" height="{h}" preserveAspectRatio="none" href="{}"/><rect class="edge" x="{x}" y="{y}" width="{w}" height="{h}"/>"#,
            bar.data_uri(),
            x = c(self.left),
            y = c(y),
            w = c(self.width),
            h = c(height)
        );
        let mut marks = String::new();
        for v in scale.ticks(0.13) {
            let x = self.left + scale.position(v) * self.width;
            let _ = write!(marks, "M{} {}v4", c(x), c(y + height));
            let _ = write!(
                svg,
                r#"<text x="{}" y="{}" text-anchor="middle">{}</text>"#,
                c(x),
                c(y + height + 16.0),
                unit.number(v)
            );
        }
        let _ = write!(
            svg,
            r#"<path class="tick" d="{marks}"/><text class="quiet" x="{}" y="{}" text-anchor="end">{}</text>"#,
            c(self.left - 7.0),
            c(y + 10.0),
            escape(&unit.name)
        );
    }
}

fn pixel_ticks(low: f64, high: f64) -> Vec<sky::Tick> {
    ticks(low, high, 5).into_iter().map(|v| sky::Tick { at: v, label: format!("{v:.0}") }).collect()
}
