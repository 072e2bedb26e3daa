//! Islands of an automatic mask that are not to be believed: artefacts of brighter sources, and what the last round
//! should have shown. Pure functions.

use super::options::{AutoMaskOptions, VettingOptions};
use super::state::{ImageState, measure};
use crate::kernels::{Connectivity, Labels, label, rolling_maximum, rolling_minimum};
use crate::masking::MaskBits;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;

/// An island's value in an earlier image is looked for within this many beams of its peak.
const SAME_PLACE_BEAMS: f64 = 1.0;

/// The last accepted round, for comparison.
#[derive(Debug, Clone, Copy)]
pub struct LastRound<'a> {
    /// The image that its mask was made from, `[y, x]`, Jy/beam.
    pub image: ArrayView2<'a, f32>,
    /// Its mask: islands that touch it are known.
    pub mask: ArrayView2<'a, bool>,
}

/// An island that was taken out of a mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovedIsland {
    /// Zero-based `[x, y]` of its peak.
    pub pixel: [usize; 2],
    /// Its peak, Jy/beam.
    pub peak: f64,
    /// Its size, pixels.
    pub pixels: usize,
    /// Why it was taken out.
    pub why: String,
}

impl std::fmt::Display for RemovedIsland {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [x, y] = self.pixel;
        write!(f, "island at ({x}, {y}) of {:.3e} Jy/beam left out: {}", self.peak, self.why)
    }
}

/// An island with its brightest pixel.
#[derive(Debug, Clone, Copy)]
struct VettedIsland {
    at: (usize, usize),
    peak: f64,
    pixels: usize,
}

fn islands_with_peaks(labels: &Labels, image: ArrayView2<'_, f32>) -> Vec<VettedIsland> {
    let unknown = VettedIsland { at: (0, 0), peak: f64::NEG_INFINITY, pixels: 0 };
    let mut islands = vec![unknown; labels.count()];
    for ((p, &label), &v) in labels.labels.indexed_iter().zip(image.iter()).filter(|((_, l), _)| **l > 0) {
        let island = &mut islands[label as usize - 1];
        island.pixels += 1;
        if f64::from(v) > island.peak {
            (island.at, island.peak) = (p, f64::from(v));
        }
    }
    islands
}

/// The image in which islands are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The image, `[y, x]`, Jy/beam.
    pub image: ArrayView2<'a, f32>,
    /// The brightest pixel near each, from [`brightest_nearby`].
    pub brightest: ArrayView2<'a, f32>,
    /// The state of the image.
    pub state: &'a ImageState,
}

/// Side of a box of `beams` FWHM, pixels.
fn box_side(beams: f64, state: &ImageState) -> usize {
    (beams * state.fwhm).round().max(1.0) as usize
}

/// The brightest pixel within reach of each, `[y, x]`: of the image before cleaning where `image` is a residual.
pub(crate) fn brightest_nearby(
    image: ArrayView2<'_, f32>,
    uncleaned: Option<ArrayView2<'_, f32>>,
    state: &ImageState,
    options: &VettingOptions,
) -> Array2<f32> {
    let bright = uncleaned.filter(|u| u.dim() == image.dim()).unwrap_or(image);
    rolling_maximum(bright, box_side(2.0 * options.beside_reach, state))
}

/// Why an island beside a bright source may be its artefact: negatives nearby (`deepest`) are nearly as deep.
fn beside(
    island: &VettedIsland,
    surroundings: &Surroundings<'_>,
    deepest: &Array2<f32>,
    options: &VettingOptions,
) -> Option<String> {
    let brighter = f64::from(surroundings.brightest[island.at]) / island.peak;
    let exceeds = island.peak / f64::from(-deepest[island.at]).max(f64::MIN_POSITIVE);
    (brighter > options.beside_ratio && exceeds < options.beside_negative).then(|| {
        format!(
            "beside a source {brighter:.0} times brighter, it is {exceeds:.1} times the deepest negative nearby, {} are \
             asked for",
            options.beside_negative
        )
    })
}

/// Takes islands out of a mask that are not to be believed: artefacts beside bright sources, and islands that the last
/// round should have shown but did not. All scales of an island go together. Islands that touch `extended` stay.
pub(crate) fn check(
    mask: MaskBits,
    surroundings: &Surroundings<'_>,
    last: Option<LastRound<'_>>,
    extended: ArrayView2<'_, bool>,
    options: &AutoMaskOptions,
) -> (MaskBits, Vec<RemovedIsland>) {
    let (image, state, vetting) = (surroundings.image, surroundings.state, &options.vetting);
    let labels = label(mask.any().view(), Connectivity::Eight);
    let islands = islands_with_peaks(&labels, image);
    let deepest = OnceCell::new();
    let last = last.filter(|l| l.image.dim() == image.dim() && l.mask.dim() == image.dim());
    let last_rms = last.and_then(|l| measure(l.image, None)).map(|s| s.rms);
    let mut known = vec![false; islands.len()];
    if let Some(last) = last {
        for (&label, _) in labels.labels.iter().zip(last.mask.iter()).filter(|(l, m)| **l > 0 && **m) {
            known[label as usize - 1] = true;
        }
    }
    for (&label, _) in labels.labels.iter().zip(extended).filter(|(l, e)| **l > 0 && **e) {
        known[label as usize - 1] = true;
    }
    let mut removed = Vec::new();
    let mut gone = vec![false; islands.len()];
    for (i, island) in islands.iter().enumerate() {
        // What earlier rounds held stays: they were accepted with it.
        if known[i] || !island.peak.is_finite() {
            continue;
        }
        let deepest = deepest.get_or_init(|| rolling_minimum(image, box_side(options.compact.box_beams, state)));
        let why = beside(island, surroundings, deepest, vetting)
            .or_else(|| artefact(island, &islands, surroundings, vetting))
            .or_else(|| {
                let (last, rms) = (last?, last_rms?);
                unseen(island, last.image, rms, state, vetting)
            });
        if let Some(why) = why {
            gone[i] = true;
            let pixel = [island.at.1, island.at.0];
            removed.push(RemovedIsland { pixel, peak: island.peak, pixels: island.pixels, why });
        }
    }
    if removed.is_empty() {
        return (mask, removed);
    }
    let keep = |label: u32| label > 0 && !gone[label as usize - 1];
    let mut mask = mask;
    mask.clear(labels.labels.mapv(|label| !keep(label)).view());
    (mask, removed)
}

/// Whether an island looks like the artefact of a brighter one nearby, and the reason.
fn artefact(
    island: &VettedIsland,
    islands: &[VettedIsland],
    surroundings: &Surroundings<'_>,
    options: &VettingOptions,
) -> Option<String> {
    let (image, state) = (surroundings.image, surroundings.state);
    let reach = options.artefact_reach * state.fwhm;
    let distance = |b: &VettedIsland| (b.at.0 as f64 - island.at.0 as f64).hypot(b.at.1 as f64 - island.at.1 as f64);
    // The source whose artefacts are strongest here: bright and near.
    let bright = islands
        .iter()
        .filter(|b| b.peak * options.artefact_ratio > island.peak && distance(b) <= reach)
        .max_by(|a, b| (a.peak / distance(a).max(1.0)).total_cmp(&(b.peak / distance(b).max(1.0))))?;
    let (ny, nx) = image.dim();
    let (by, bx) = (bright.at.0 as isize, bright.at.1 as isize);
    let (dy, dx) = (island.at.0 as isize - by, island.at.1 as isize - bx);
    let deepest = |y: isize, x: isize, radius: f64| -> f64 {
        let r = radius.ceil() as isize;
        let mut least = 0f64;
        for py in (y - r).max(0)..(y + r + 1).min(ny as isize) {
            for px in (x - r).max(0)..(x + r + 1).min(nx as isize) {
                let v = f64::from(image[(py as usize, px as usize)]);
                if ((py - y) as f64).hypot((px - x) as f64) <= radius && v.is_finite() {
                    least = least.min(v);
                }
            }
        }
        -least
    };
    let source = format!("the source of {:.3e} at x {bx} y {by}", bright.peak);
    let mirrored = deepest(by - dy, bx - dx, state.fwhm) / island.peak;
    if mirrored >= options.mirrored_negative {
        return Some(format!("mirrored at {source} there is a negative of {:.0} % of it", 100.0 * mirrored));
    }
    // The ring of the same distance, one beam wide.
    let radius = distance(bright);
    let steps = (2.0 * std::f64::consts::PI * radius / state.fwhm).ceil().max(8.0) as usize;
    let ring = (0..steps)
        .map(|s| {
            let (sin, cos) = (2.0 * std::f64::consts::PI * s as f64 / steps as f64).sin_cos();
            let (y, x) = (by as f64 + radius * sin, bx as f64 + radius * cos);
            deepest(y.round() as isize, x.round() as isize, 0.75 * state.fwhm)
        })
        .fold(0.0, f64::max)
        / island.peak;
    (ring >= options.ring_negative)
        .then(|| format!("at the same distance from {source} there is a negative of {:.0} % of it", 100.0 * ring))
}

/// Whether the last image should have shown the island and did not, and the reason.
fn unseen(
    island: &VettedIsland,
    last: ArrayView2<'_, f32>,
    last_rms: f64,
    state: &ImageState,
    options: &VettingOptions,
) -> Option<String> {
    let expected = island.peak / last_rms;
    if expected < options.visible_sigma {
        return None;
    }
    let r = (SAME_PLACE_BEAMS * state.fwhm).ceil() as usize;
    let (y, x) = island.at;
    let (ny, nx) = last.dim();
    let around =
        last.slice(ndarray::s![y.saturating_sub(r)..(y + r + 1).min(ny), x.saturating_sub(r)..(x + r + 1).min(nx)]);
    // Where the last image has no data nothing can be said.
    let seen = around.iter().copied().filter(|v| v.is_finite()).reduce(f32::max)?;
    (f64::from(seen) < options.visible_fraction * island.peak).then(|| {
        format!(
            "new, though it would have stood out by {expected:.1} sigma in the last image, which shows {:.1}",
            f64::from(seen) / last_rms
        )
    })
}
