//! Regions drawn by people: DS9 region files and CASA region text files (CRTF), and the pixels they cover.
//!
//! A pixel belongs to a region when its centre lies inside. Circles, ellipses, boxes and annuli in sky coordinates
//! are evaluated on the sphere: offsets from the centre are the great-circle distance and its position angle.
//! Polygons have straight edges between the pixel positions of their vertices.

mod parse;

use crate::image::{CelestialWcs, Frame, SkyPosition};
use ndarray::{Array2, Axis, s};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

pub use parse::parse;

/// Outline points that are projected to find the pixels a region can cover.
const OUTLINE_POINTS: usize = 48;
/// Shapes of a greater radius (degrees) are tried on every pixel.
const WIDE_DEG: f64 = 10.0;
/// Pixels by which a projected outline is widened, beside a twentieth of its extent.
const RIM_PIXELS: f64 = 2.0;

/// Why regions cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The file is not there, or is not text.
    #[error("{}: cannot be read as a region file: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A line that is not understood.
    #[error("{}, line {line}: {reason}\n  {text}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The line, or the part of it that is meant.
        text: String,
        /// The value that was found, and the one that was expected.
        reason: String,
    },
    /// Sky coordinates, but an image without any.
    #[error("the region in line {line} is given in sky coordinates, but the image has none in its header")]
    NoCoordinates {
        /// Line number, from 1.
        line: usize,
    },
    /// A polygon that lies partly outside the image's projection.
    #[error("the polygon in line {line} reaches beyond the part of the sky that the image's projection can show")]
    BeyondProjection {
        /// Line number, from 1.
        line: usize,
    },
}

impl From<RegionError> for crate::Error {
    fn from(e: RegionError) -> Self {
        Self::bad_input(e)
    }
}

/// A point of a region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RegionPlace {
    /// 0-based pixel coordinates.
    Pixel {
        /// Along FITS axis 1.
        x: f64,
        /// Along FITS axis 2.
        y: f64,
    },
    /// A position on the sky.
    Sky {
        /// Longitude and latitude in `frame`.
        position: SkyPosition,
        /// Their frame.
        frame: Frame,
    },
}

/// A radius or the side of a box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// In pixels.
    Pixels(f64),
    /// In degrees on the sky.
    Degrees(f64),
}

/// The shape of a region.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Everything between two distances from the centre; a circle has an inner radius of 0.
    Annulus {
        /// The centre.
        centre: RegionPlace,
        /// Inner and outer radius.
        radii: [Length; 2],
    },
    /// An ellipse.
    Ellipse {
        /// The centre.
        centre: RegionPlace,
        /// Semi-axes.
        axes: [Length; 2],
        /// Direction of the first axis, degrees: for a centre in pixels counter-clockwise from +x, for one on the
        /// sky from north through east.
        angle: f64,
    },
    /// A rectangle.
    Box {
        /// The centre.
        centre: RegionPlace,
        /// Full lengths of the sides.
        sides: [Length; 2],
        /// Direction of the first side, as for an ellipse.
        angle: f64,
    },
    /// A closed polygon; where it crosses itself the even-odd rule holds.
    Polygon {
        /// Its vertices.
        vertices: Vec<RegionPlace>,
    },
}

/// One region of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Its shape.
    pub shape: Shape,
    /// Its pixels are added; otherwise they are taken away from what came before.
    pub include: bool,
    /// The line it was read from, from 1.
    pub line: usize,
}

/// Reads a DS9 or CRTF region file.
///
/// The regions come in the order in which [`rasterise`] applies them: as written for CRTF; exclusions last for DS9,
/// where the order has no meaning.
///
/// # Errors
/// A file that cannot be read, or a line that is not understood, with its number.
pub fn load(path: impl AsRef<Path>) -> Result<Vec<Region>, RegionError> {
    let path = path.as_ref();
    let unreadable = |reason: String| RegionError::Unreadable { path: path.to_path_buf(), reason };
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    if bytes.starts_with(b"SIMPLE  =") || bytes.starts_with(b"\x1f\x8b") {
        return Err(unreadable("it is a FITS or compressed file; a DS9 or CRTF region file was expected".into()));
    }
    let text = String::from_utf8(bytes).map_err(|e| unreadable(format!("it is not text: {e}")))?;
    let regions = parse(&text, path)?;
    if regions.is_empty() {
        tracing::warn!("{}: holds no regions, so it selects nothing", path.display());
    }
    Ok(regions)
}

/// The pixels of an image of `shape` `(ny, nx)` that the regions cover.
///
/// Regions are applied one after the other: included ones are added, excluded ones taken away. If the first is an
/// excluded one, the whole image is where it starts from.
///
/// # Errors
/// Sky coordinates without a `wcs`; a polygon that is partly beyond the projection.
pub fn rasterise(
    regions: &[Region],
    wcs: Option<&CelestialWcs>,
    shape: (usize, usize),
) -> Result<Array2<bool>, RegionError> {
    rasterise_counted(regions, wcs, shape).map(|(mask, _)| mask)
}

/// As [`rasterise`]; also how many pixels each region covers (whether they changed or not).
///
/// # Errors
/// As [`rasterise`].
pub fn rasterise_counted(
    regions: &[Region],
    wcs: Option<&CelestialWcs>,
    shape: (usize, usize),
) -> Result<(Array2<bool>, Vec<usize>), RegionError> {
    let mut mask = Array2::from_elem(shape, regions.first().is_some_and(|r| !r.include));
    let counts = regions.iter().map(|r| paint(r, wcs, &mut mask)).collect::<Result<_, _>>()?;
    Ok((mask, counts))
}

/// Sets the region's pixels to whether it includes; returns their number.
fn paint(region: &Region, wcs: Option<&CelestialWcs>, mask: &mut Array2<bool>) -> Result<usize, RegionError> {
    let line = region.line;
    let need = || wcs.ok_or(RegionError::NoCoordinates { line });
    // Lengths in the unit of the centre.
    let in_unit = |length: Length, centre: &RegionPlace| -> Result<f64, RegionError> {
        Ok(match (length, centre) {
            (Length::Pixels(v), RegionPlace::Pixel { .. }) | (Length::Degrees(v), RegionPlace::Sky { .. }) => v,
            (Length::Degrees(v), RegionPlace::Pixel { .. }) => v / need()?.pixel_area().sqrt(),
            (Length::Pixels(v), RegionPlace::Sky { .. }) => v * need()?.pixel_area().sqrt(),
        })
    };
    let pair = |lengths: &[Length; 2], centre: &RegionPlace| -> Result<[f64; 2], RegionError> {
        Ok([in_unit(lengths[0], centre)?, in_unit(lengths[1], centre)?])
    };
    match &region.shape {
        Shape::Annulus { centre, radii } => {
            let [inner, outer] = pair(radii, centre)?;
            around(&Extent { centre, reach: outer, angle: 0.0 }, need, mask, region.include, |u, v| {
                let r = u.hypot(v);
                r <= outer && (inner == 0.0 || r > inner)
            })
        }
        Shape::Ellipse { centre, axes, angle } => {
            let [a, b] = pair(axes, centre)?;
            around(&Extent { centre, reach: a.max(b), angle: *angle }, need, mask, region.include, |u, v| {
                (u / a).powi(2) + (v / b).powi(2) <= 1.0
            })
        }
        Shape::Box { centre, sides, angle } => {
            let [a, b] = pair(sides, centre)?.map(|side| side / 2.0);
            let extent = Extent { centre, reach: a.hypot(b), angle: *angle };
            around(&extent, need, mask, region.include, |u, v| u.abs() <= a && v.abs() <= b)
        }
        Shape::Polygon { vertices } => {
            let mut points = Vec::with_capacity(vertices.len());
            for vertex in vertices {
                match vertex {
                    RegionPlace::Pixel { x, y } => points.push((*x, *y)),
                    RegionPlace::Sky { position, frame } => {
                        let wcs = need()?;
                        points.extend(wcs.sky_to_pixel(position.in_frame(*frame, wcs.frame())));
                    }
                }
            }
            match points.len() {
                0 => Ok(0),
                n if n < vertices.len() => Err(RegionError::BeyondProjection { line }),
                _ => Ok(fill_polygon(&points, mask, region.include)),
            }
        }
    }
}

/// A shape's place, the distance within which all of it lies, in the units of the place, and its angle, degrees.
struct Extent<'a> {
    centre: &'a RegionPlace,
    reach: f64,
    angle: f64,
}

/// Sets the pixels whose offsets from the centre, along and across the angle, are inside.
fn around<'a>(
    extent: &Extent<'_>,
    wcs: impl FnOnce() -> Result<&'a CelestialWcs, RegionError>,
    mask: &mut Array2<bool>,
    value: bool,
    inside: impl Fn(f64, f64) -> bool + Sync,
) -> Result<usize, RegionError> {
    let (ny, nx) = mask.dim();
    let &Extent { centre, reach, angle } = extent;
    let (sin, cos) = angle.to_radians().sin_cos();
    match *centre {
        RegionPlace::Pixel { x: cx, y: cy } => {
            let bounds = [(cx - reach, cx + reach), (cy - reach, cy + reach)];
            Ok(set_where(mask, bounds, value, |x, y| {
                let (dx, dy) = (x - cx, y - cy);
                inside(dx * cos + dy * sin, dy * cos - dx * sin)
            }))
        }
        RegionPlace::Sky { position, frame } => {
            let wcs = wcs()?;
            let position = position.in_frame(frame, wcs.frame());
            // Another frame turns north: the angle stays relative to the region's own.
            let (sin, cos) =
                if frame == wcs.frame() { (sin, cos) } else { turned(centre, position, frame, wcs.frame(), angle) };
            let Some(bounds) = sky_bounds(wcs, position, reach, (ny, nx)) else { return Ok(0) };
            let ((sl, cl), (sb, cb)) =
                (position.lon_deg.to_radians().sin_cos(), position.lat_deg.to_radians().sin_cos());
            let (p, n, e) = ([cb * cl, cb * sl, sb], [-sb * cl, -sb * sl, cb], [-sl, cl, 0.0]);
            let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
            Ok(set_where(mask, bounds, value, |x, y| {
                let Some(v) = wcs.pixel_to_vector(x, y) else { return false };
                let (north, east) = (dot(v, n), dot(v, e));
                let sine = north.hypot(east);
                let distance = sine.atan2(dot(v, p)).to_degrees();
                let scale = if sine > 0.0 { distance / sine } else { 0.0 };
                let (north, east) = (north * scale, east * scale);
                inside(north * cos + east * sin, east * cos - north * sin)
            }))
        }
    }
}

/// Sine and cosine, in the frame `to`, of a direction given in the frame `from`.
fn turned(centre: &RegionPlace, position: SkyPosition, from: Frame, to: Frame, angle: f64) -> (f64, f64) {
    /// Degrees; long against rounding, short against the sky's curvature.
    const STEP: f64 = 1e-3;
    let RegionPlace::Sky { position: original, .. } = centre else { return angle.to_radians().sin_cos() };
    let aside = original.offset(angle, STEP).in_frame(from, to);
    let east = (aside.lon_deg - position.lon_deg + 540.0).rem_euclid(360.0) - 180.0;
    let (e, n) = (east * position.lat_deg.to_radians().cos(), aside.lat_deg - position.lat_deg);
    let length = e.hypot(n);
    (e / length, n / length)
}

/// Pixel ranges `[x, y]` that hold everything within `reach` degrees; `None` when that is off the projection.
fn sky_bounds(
    wcs: &CelestialWcs,
    centre: SkyPosition,
    reach: f64,
    (ny, nx): (usize, usize),
) -> Option<[(f64, f64); 2]> {
    let whole = Some([(0.0, nx as f64), (0.0, ny as f64)]);
    if reach > WIDE_DEG {
        return whole;
    }
    let outline = (0..OUTLINE_POINTS)
        .map(|i| centre.offset(360.0 * i as f64 / OUTLINE_POINTS as f64, reach))
        .chain([centre])
        .map(|p| wcs.sky_to_pixel(p));
    let (mut seen, mut unseen) = (0, 0);
    let mut bounds = [(f64::MAX, f64::MIN); 2];
    for point in outline {
        match point {
            None => unseen += 1,
            Some((x, y)) => {
                seen += 1;
                for (range, v) in bounds.iter_mut().zip([x, y]) {
                    *range = (range.0.min(v), range.1.max(v));
                }
            }
        }
    }
    match (seen, unseen) {
        (0, _) => None,
        (_, 0) => Some(bounds.map(|(low, high)| {
            let rim = RIM_PIXELS + (high - low) / 20.0;
            (low - rim, high + rim)
        })),
        _ => whole,
    }
}

/// Sets the pixels of the ranges `[x, y]` for whose centres `inside(x, y)` holds; returns their number.
fn set_where(
    mask: &mut Array2<bool>,
    [xs, ys]: [(f64, f64); 2],
    value: bool,
    inside: impl Fn(f64, f64) -> bool + Sync,
) -> usize {
    let (ny, nx) = mask.dim();
    // Casts of negative numbers saturate at 0.
    let range = |(low, high): (f64, f64), size: usize| {
        let end = ((high.floor() + 1.0) as usize).min(size);
        (low.ceil() as usize).min(end)..end
    };
    let (xs, ys) = (range(xs, nx), range(ys, ny));
    let (x0, y0) = (xs.start, ys.start);
    mask.slice_mut(s![ys, xs])
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .enumerate()
        .map(|(y, mut row)| {
            let mut count = 0;
            for (x, pixel) in row.iter_mut().enumerate() {
                if inside((x0 + x) as f64, (y0 + y) as f64) {
                    *pixel = value;
                    count += 1;
                }
            }
            count
        })
        .sum()
}

/// Sets the pixels whose centres are inside the polygon, row by row between crossings of its edges.
fn fill_polygon(points: &[(f64, f64)], mask: &mut Array2<bool>, value: bool) -> usize {
    let (ny, nx) = mask.dim();
    let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1), h.max(p.1)));
    let end = ((high.floor() + 1.0) as usize).min(ny);
    let mut count = 0;
    let mut crossings = Vec::new();
    for y in (low.ceil() as usize).min(end)..end {
        crossings.clear();
        for (a, b) in points.iter().zip(points.iter().cycle().skip(1)) {
            // Half-open, so that a vertex on the row counts once.
            if (a.1 <= y as f64) != (b.1 <= y as f64) {
                crossings.push(a.0 + (y as f64 - a.1) / (b.1 - a.1) * (b.0 - a.0));
            }
        }
        crossings.sort_unstable_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let end = ((pair[1].floor() + 1.0) as usize).min(nx);
            let start = (pair[0].ceil() as usize).min(end);
            mask.slice_mut(s![y, start..end]).fill(value);
            count += end - start;
        }
    }
    count
}

#[cfg(test)]
mod tests;
