//! Maps of the sky as SVG: the raster inside as PNG; axes, mask outline, beam and colour bar as vectors, so that they
//! stay sharp on a telephone and on paper and follow the page's light or dark colours.

use super::numbers::{Unit, coordinate as c, escape};
use super::raster::{Colours, Picture, Reduce, Scale, fatten, reduce, reduce_mask};
use super::{outline, sky};
use crate::image::{CelestialWcs, FitsImage, ImageError, PixelBeam};
use ndarray::{Array2, s};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// Longest side of the map itself, in the SVG's units.
const BOX: f64 = 400.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 8.0;
const BELOW: f64 = 82.0;
/// A mask outline longer than this is embedded as a picture instead of a path, bytes.
const MAX_OUTLINE_BYTES: usize = 60_000;
/// Colours of mask outlines: readable on the map's own colours.
const OUTLINE_ON_DARK: [u8; 3] = [0x3f, 0xe0, 0xff];
const OUTLINE_ON_LIGHT: [u8; 3] = [0x00, 0x8a, 0x3c];
const ARCSEC_PER_DEG: f64 = 3600.0;

/// A finished figure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Complete `<svg>` element.
    pub svg: String,
    /// What is to be said below it.
    pub caption: String,
}

/// One plane with what its header says.
#[derive(Debug)]
pub struct Plane {
    /// Pixels, `[y, x]`.
    pub pixels: Array2<f32>,
    /// Restoring beam, pixels.
    pub beam: Option<PixelBeam>,
    /// The same in words.
    pub beam_words: Option<String>,
    /// East is on the left, as usual.
    pub east_left: bool,
    /// Celestial coordinates, where the header has them.
    pub wcs: Option<CelestialWcs>,
    /// Frequency of the plane, Hz.
    pub frequency_hz: Option<f64>,
}

impl Plane {
    /// Reads `channel` (the first polarisation) of a file; a channel that the file has not is its first.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(path: &Path, channel: usize) -> Result<Self, ImageError> {
        let mut file = FitsImage::open(path)?;
        let channel = if channel < file.channels() { channel } else { 0 };
        let pixels = file.read_plane(0, channel)?;
        let header = file.header();
        let beam = file.beam();
        let frequency_hz =
            (3..=4).find(|i| header.get(&format!("CTYPE{i}")).is_some_and(|t| t.starts_with("FREQ"))).and_then(|i| {
                let value = |key: &str| header.get_f64(&format!("{key}{i}"));
                Some(value("CRVAL")? + (channel as f64 + 1.0 - value("CRPIX")?) * value("CDELT")?)
            });
        Ok(Self {
            pixels,
            beam: beam.and_then(|b| Some(b.in_pixels(file.pixel_deg().ok()?))),
            beam_words: beam.map(|b| {
                let arcsec = |deg: f64| super::numbers::significant(deg * ARCSEC_PER_DEG, 3);
                format!("{}″ × {}″, {:.0}°", arcsec(b.major_deg), arcsec(b.minor_deg), b.pa_deg)
            }),
            east_left: header.get_f64("CDELT1").is_none_or(|d| d < 0.0),
            wcs: CelestialWcs::from_header(header).ok(),
            frequency_hz,
        })
    }

    /// The whole plane.
    pub fn window(&self) -> Window {
        let (ny, nx) = self.pixels.dim();
        Window { x: 0, y: 0, nx, ny }
    }

    /// Position of a 0-based pixel, in words.
    pub fn position(&self, x: usize, y: usize) -> Option<String> {
        let p = self.wcs.as_ref()?.pixel_to_sky(x as f64, y as f64)?;
        Some(sky::position(p.lon_deg, p.lat_deg))
    }
}

/// Reads a mask plane: what is not 0 is set.
///
/// # Errors
/// A file that cannot be read.
pub fn read_mask(path: &Path, channel: usize) -> Result<Array2<bool>, ImageError> {
    let mut file = FitsImage::open(path)?;
    let channel = if channel < file.channels() { channel } else { 0 };
    Ok(file.read_plane(0, channel)?.mapv(|v| v != 0.0 && !v.is_nan()))
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First pixel.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Pixels across.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
}

impl Window {
    /// A square of `side` pixels round `(x, y)`, moved inside a plane of `(ny, nx)`.
    pub fn around(x: usize, y: usize, side: usize, (ny, nx): (usize, usize)) -> Self {
        let place = |at: usize, n: usize| at.saturating_sub(side / 2).min(n.saturating_sub(side));
        Self { x: place(x, nx), y: place(y, ny), nx: side.min(nx), ny: side.min(ny) }
    }
}

/// What a map shows; decides colours and how pixels are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Restored image.
    Image,
    /// Residual.
    Residual,
    /// CLEAN components.
    Model,
}

impl What {
    fn colours(self) -> Colours {
        match self {
            Self::Image => Colours::Inferno,
            Self::Residual => Colours::BlueRed,
            Self::Model => Colours::Signed,
        }
    }

    fn reduce(self) -> Reduce {
        match self {
            Self::Image => Reduce::Max,
            Self::Residual => Reduce::Mean,
            Self::Model => Reduce::Extreme,
        }
    }

    fn unit(self) -> &'static str {
        if self == Self::Model { "Jy/pixel" } else { "Jy/beam" }
    }

    fn outline(self) -> ([u8; 3], &'static str) {
        if self == Self::Residual { (OUTLINE_ON_LIGHT, "mask on-light") } else { (OUTLINE_ON_DARK, "mask on-dark") }
    }
}

/// How a map is drawn.
#[derive(Debug, Clone)]
pub struct Style<'a> {
    /// What it shows.
    pub what: What,
    /// From values to colours.
    pub scale: Scale,
    /// Longest side of the raster, pixels.
    pub max_side: usize,
    /// Part of the plane.
    pub window: Window,
    /// Mask whose outline is drawn; same shape as the whole plane.
    pub mask: Option<&'a Array2<bool>>,
    /// With axes, beam and colour bar, or the bare map.
    pub axes: bool,
    /// Text for those who cannot see it.
    pub alt: &'a str,
}

/// Draws a map.
pub fn draw(plane: &Plane, style: &Style<'_>) -> Figure {
    let w = style.window;
    let region = s![w.y..w.y + w.ny, w.x..w.x + w.nx];
    let factor = w.nx.max(w.ny).div_ceil(style.max_side.max(1)).max(1);
    let mut small = reduce(plane.pixels.slice(region), factor, style.what.reduce());
    if style.what == What::Model {
        // A component is one pixel: make it at least three of the picture's, when those are tiny.
        small = fatten(small.view(), small.nrows().max(small.ncols()) / 250);
    }
    let picture = Picture::of_plane(small.view(), style.scale, style.what.colours());
    let frame = Frame::new(w, style.axes);
    let mut svg = frame.open(style.alt);
    frame.clip_begin(&mut svg);
    frame.picture(&mut svg, &picture, factor, w.nx.max(w.ny) <= 240);
    let mut note = String::new();
    if let Some(mask) = style.mask.filter(|m| m.dim() == plane.pixels.dim()) {
        let part = reduce_mask(mask.slice(region), factor);
        frame.outline(&mut svg, &part, factor, style.what.outline());
    } else if style.mask.is_some() {
        note = " The mask has another size and is not drawn.".into();
    }
    svg.push_str("</svg>");
    if style.axes {
        frame.axes(&mut svg, plane);
        if let Some(beam) = &plane.beam {
            frame.beam(&mut svg, beam, plane.east_left);
        }
        frame.colour_bar(&mut svg, style.scale, style.what.colours(), style.what.unit());
    }
    svg.push_str("</svg>");
    let mut caption = String::new();
    if factor > 1 {
        let how = match style.what {
            What::Image => "brightest",
            What::Residual => "mean",
            What::Model => "most extreme",
        };
        let _ = write!(caption, "Each dot is the {how} of {factor} × {factor} pixels.");
    }
    caption.push_str(&note);
    Figure { svg, caption: caption.trim().to_string() }
}

/// Shows which pixels a mask gained (`added`), kept and lost against an earlier one, over a quiet map of `plane`.
pub fn draw_mask_change(
    plane: &Plane,
    scale: Scale,
    before: Option<&Array2<bool>>,
    after: &Array2<bool>,
    max_side: usize,
    alt: &str,
) -> Option<Figure> {
    let shape = plane.pixels.dim();
    if after.dim() != shape || before.is_some_and(|b| b.dim() != shape) {
        return None;
    }
    let w = plane.window();
    let factor = w.nx.max(w.ny).div_ceil(max_side.max(1)).max(1);
    let quiet = reduce(plane.pixels.view(), factor, Reduce::Max);
    let mut picture = Picture::of_plane(quiet.view(), scale, Colours::Grey);
    let (old, new) = (before.map(|b| reduce_mask(b.view(), factor)), reduce_mask(after.view(), factor));
    let base = picture.palette.len() as u8;
    // The transparent index moves behind the three new colours.
    picture.pixels.iter_mut().filter(|p| **p == base).for_each(|p| *p = base + 3);
    picture.palette.extend(CHANGE_COLOURS.map(|(_, colour)| colour));
    for ((y, x), &now) in new.indexed_iter() {
        let was = old.as_ref().is_some_and(|o| o[(y, x)]);
        let kind = match (was, now) {
            (false, true) => 0,
            (true, true) => 1,
            (true, false) => 2,
            _ => continue,
        };
        picture.pixels[(new.nrows() - 1 - y) * new.ncols() + x] = base + kind;
    }
    Some(overlay(plane, &picture, factor, alt))
}

/// Names and colours of the mask's changes.
pub const CHANGE_COLOURS: [(&str, [u8; 3]); 3] =
    [("added", [0x1b, 0x9e, 0x57]), ("kept", [0x2b, 0x6c, 0xd4]), ("removed", [0xd9, 0x3a, 0x2b])];

/// Shows which of several masks (in order) first had each pixel; pixels that the last one has not are left out.
pub fn draw_mask_history(
    plane: &Plane,
    scale: Scale,
    masks: &[Array2<bool>],
    max_side: usize,
    alt: &str,
) -> Option<Figure> {
    let last = masks.last()?;
    if masks.iter().any(|m| m.dim() != plane.pixels.dim()) {
        return None;
    }
    let w = plane.window();
    let factor = w.nx.max(w.ny).div_ceil(max_side.max(1)).max(1);
    let quiet = reduce(plane.pixels.view(), factor, Reduce::Max);
    let mut picture = Picture::of_plane(quiet.view(), scale, Colours::Grey);
    let base = picture.palette.len() as u8;
    let count = masks.len() as u8;
    picture.pixels.iter_mut().filter(|p| **p == base).for_each(|p| *p = base + count);
    picture.palette.extend((0..masks.len()).map(|i| history_colour(i, masks.len())));
    let small: Vec<_> = masks.iter().map(|m| reduce_mask(m.view(), factor)).collect();
    for ((y, x), _) in reduce_mask(last.view(), factor).indexed_iter().filter(|(_, on)| **on) {
        let first = small.iter().position(|m| m[(y, x)]).unwrap_or(masks.len() - 1);
        picture.pixels[(small[0].nrows() - 1 - y) * small[0].ncols() + x] = base + first as u8;
    }
    Some(overlay(plane, &picture, factor, alt))
}

/// Colour of the mask number `index` of `count`.
pub fn history_colour(index: usize, count: usize) -> [u8; 3] {
    Colours::Viridis.at(if count < 2 { 0.3 } else { 0.15 + 0.8 * index as f64 / (count - 1) as f64 })
}

fn overlay(plane: &Plane, picture: &Picture, factor: usize, alt: &str) -> Figure {
    let frame = Frame::new(plane.window(), true);
    let mut svg = frame.open_without_bar(alt);
    frame.clip_begin(&mut svg);
    frame.picture(&mut svg, picture, factor, false);
    svg.push_str("</svg>");
    frame.axes(&mut svg, plane);
    svg.push_str("</svg>");
    Figure { svg, caption: String::new() }
}

/// Where things are in the SVG.
struct Frame {
    window: Window,
    /// SVG units of a pixel.
    unit: f64,
    width: f64,
    height: f64,
    left: f64,
    top: f64,
    axes: bool,
}

impl Frame {
    fn new(window: Window, axes: bool) -> Self {
        let unit = BOX / window.nx.max(window.ny).max(1) as f64;
        let (left, top) = if axes { (LEFT, TOP) } else { (0.0, 0.0) };
        Self { window, unit, width: window.nx as f64 * unit, height: window.ny as f64 * unit, left, top, axes }
    }

    fn open(&self, alt: &str) -> String {
        let (right, below) = if self.axes { (RIGHT, BELOW) } else { (0.0, 0.0) };
        self.open_sized(alt, right, below)
    }

    fn open_without_bar(&self, alt: &str) -> String {
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
    fn clip_begin(&self, svg: &mut String) {
        let (w, h) = (c(self.width), c(self.height));
        let _ = write!(svg, r#"<svg x="{}" y="{}" width="{w}" height="{h}">"#, c(self.left), c(self.top));
    }

    /// Blocks of pixels may reach beyond the map at the right and at the top.
    fn picture(&self, svg: &mut String, picture: &Picture, factor: usize, sharp: bool) {
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

    fn outline(&self, svg: &mut String, mask: &Array2<bool>, factor: usize, (colour, class): ([u8; 3], &str)) {
        if !mask.iter().any(|on| *on) {
            return;
        }
        let top = self.height - self.block_height(mask.nrows(), factor);
        match outline::path(mask.view(), factor as f64 * self.unit, MAX_OUTLINE_BYTES) {
            Some(d) => {
                let _ = write!(svg, r#"<path class="{class}" transform="translate(0 {})" d="{d}"/>"#, c(top));
            }
            None => {
                let picture = Picture::of_outline(mask.view(), colour);
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

    fn axes(&self, svg: &mut String, plane: &Plane) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        let w = self.window;
        let (x0, x1) = (w.x as f64 - 0.5, (w.x + w.nx) as f64 - 0.5);
        let (y0, y1) = (w.y as f64 - 0.5, (w.y + w.ny) as f64 - 0.5);
        let pixel_ticks = |low: f64, high: f64| {
            super::numbers::ticks(low, high, 5)
                .into_iter()
                .map(|v| sky::Tick { at: v, label: format!("{v:.0}") })
                .collect::<Vec<_>>()
        };
        let (mut across, mut up) = (Vec::new(), Vec::new());
        if let Some(wcs) = &plane.wcs {
            across = sky::right_ascension(x0, x1, 4, |x| Some(wcs.pixel_to_sky(x, y0)?.lon_deg));
            up = sky::declination(y0, y1, 6, |y| Some(wcs.pixel_to_sky(x0, y)?.lat_deg));
        }
        let on_sky = !across.is_empty() && !up.is_empty();
        if !on_sky {
            (across, up) = (pixel_ticks(x0, x1), pixel_ticks(y0, y1));
        }
        let _ = write!(
            svg,
            r#"<rect class="edge" x="{}" y="{}" width="{}" height="{}"/>"#,
            c(self.left),
            c(self.top),
            c(self.width),
            c(self.height)
        );
        let mut marks = String::new();
        // Labels that would run into their neighbour are left out; their ticks stay.
        let mut free_from = f64::MIN;
        let mut sorted = across;
        sorted.sort_by(|a, b| a.at.total_cmp(&b.at));
        for tick in &sorted {
            let x = self.x(tick.at);
            let _ = write!(marks, "M{} {}v5", c(x), c(bottom));
            let half = tick.label.chars().count() as f64 * 3.6;
            if x - half >= free_from.max(0.0) && x + half <= right + RIGHT {
                let _ = write!(
                    svg,
                    r#"<text x="{}" y="{}" text-anchor="middle">{}</text>"#,
                    c(x),
                    c(bottom + 18.0),
                    escape(&tick.label)
                );
                free_from = x + half + 6.0;
            }
        }
        for tick in &up {
            let y = self.y(tick.at);
            let _ = write!(marks, "M{} {}h-5", c(self.left), c(y));
            let _ = write!(
                svg,
                r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
                c(self.left - 7.0),
                c((y + 4.0).clamp(self.top + 10.0, bottom)),
                escape(&tick.label)
            );
        }
        let names = if on_sky { ("right ascension", "declination") } else { ("x (pixels)", "y (pixels)") };
        let _ = write!(
            svg,
            r#"<path class="tick" d="{marks}"/><text class="quiet" x="{}" y="{}" text-anchor="end">{}</text><text class="quiet" transform="translate({} {}) rotate(-90)" text-anchor="end">{}</text>"#,
            c(right),
            c(bottom + 32.0),
            names.0,
            c(10.0),
            c(self.top),
            names.1
        );
    }

    fn beam(&self, svg: &mut String, beam: &PixelBeam, east_left: bool) {
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

    fn colour_bar(&self, svg: &mut String, scale: Scale, colours: Colours, unit: &str) {
        let (low, high) = scale.ends();
        let unit = Unit::for_values(unit, low.abs().max(high.abs()));
        let (y, height) = (self.top + self.height + 42.0, 11.0);
        let palette = colours.palette();
        let bar = Picture { width: palette.len(), height: 1, pixels: (0..palette.len() as u8).collect(), palette };
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
