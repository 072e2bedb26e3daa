//! Islands of an automatic mask that are not to be believed: artefacts of brighter sources, and what the last round
//! should have shown. Pure functions.

use super::islands::{Island, MaskIslands};
use super::options::{AutoMaskOptions, VettingOptions};
use super::state::{ImageState, measure};
use crate::kernels::bitmask::BitMask;
use crate::kernels::rolling_minimum_at;
use crate::kernels::values_at::ValuesAt;
use crate::masking::MaskBits;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
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

/// The image in which islands are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The image, `[y, x]`, Jy/beam.
    pub image: ArrayView2<'a, f32>,
    /// The brightest pixel near each, Jy/beam, at least at the peaks of the islands.
    pub brightest: &'a ValuesAt,
    /// The state of the image.
    pub state: &'a ImageState,
}

/// Side of a box of `beams` FWHM, pixels.
pub(super) fn box_side(beams: f64, state: &ImageState) -> usize {
    (beams * state.fwhm).round().max(1.0) as usize
}

/// Why an island beside a bright source may be its artefact: negatives nearby (`deepest`) are nearly as deep.
fn beside(
    island: &Island,
    surroundings: &Surroundings<'_>,
    deepest: &ValuesAt,
    options: &VettingOptions,
) -> Option<String> {
    let (y, x) = island.at;
    let brighter = f64::from(surroundings.brightest.get(y, x)) / island.peak;
    let exceeds = island.peak / f64::from(-deepest.get(y, x)).max(f64::MIN_POSITIVE);
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
/// `islands` are those of the mask.
pub(super) fn check(
    mask: &mut MaskBits,
    islands: &MaskIslands,
    surroundings: &Surroundings<'_>,
    last: Option<LastRound<'_>>,
    extended: &BitMask,
    options: &AutoMaskOptions,
) -> Vec<RemovedIsland> {
    let (image, state, vetting) = (surroundings.image, surroundings.state, &options.vetting);
    let last = last.filter(|l| l.image.dim() == image.dim() && l.mask.dim() == image.dim());
    // What earlier rounds held stays: they were accepted with it.
    let known = islands.with_a_pixel(|at| extended.get(at.0, at.1) || last.is_some_and(|last| last.mask[at]));
    let is_judged = |n: usize| !known[n] && islands.list[n].peak.is_finite();
    let judged: Vec<usize> = (0..islands.list.len()).filter(|&n| is_judged(n)).collect();
    let (deepest, last_rms, minima) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
    let peaks = || {
        let mut peaks = BitMask::new(image.nrows(), image.ncols());
        judged.iter().map(|&n| islands.list[n].at).for_each(|(y, x)| peaks.set(y, x));
        rolling_minimum_at(image, box_side(options.compact.box_beams, state), peaks)
    };
    let mut removed = Vec::new();
    let mut gone = vec![false; islands.list.len()];
    for &n in &judged {
        let island = &islands.list[n];
        let why = beside(island, surroundings, deepest.get_or_init(peaks), vetting)
            .or_else(|| {
                let minima = minima.get_or_init(|| BlockMinima::of(image));
                artefact(island, &islands.list, surroundings, minima, vetting)
            })
            .or_else(|| {
                let last = last?.image;
                let rms = (*last_rms.get_or_init(|| measure(last, None).map(|s| s.rms)))?;
                unseen(island, last, rms, state, vetting)
            });
        if let Some(why) = why {
            gone[n] = true;
            let pixel = [island.at.1, island.at.0];
            removed.push(RemovedIsland { pixel, peak: island.peak, pixels: island.pixels, why });
        }
    }
    if !removed.is_empty() {
        mask.clear_bits(&islands.pixels_of(mask.dim(), |n| gone[n]));
    }
    removed
}

/// The least finite value of each block of pixels, at most 0: where discs need not be looked at.
struct BlockMinima {
    least: Array2<f32>,
}

impl BlockMinima {
    /// Side of a block, pixels.
    const SIDE: usize = 16;

    fn of(image: ArrayView2<'_, f32>) -> Self {
        let mut least = Array2::zeros((image.nrows().div_ceil(Self::SIDE), image.ncols().div_ceil(Self::SIDE)));
        let strips = image.axis_chunks_iter(Axis(0), Self::SIDE).into_par_iter();
        least.axis_iter_mut(Axis(0)).into_par_iter().zip(strips).for_each(|(mut row, strip)| {
            for pixels in strip.rows() {
                for (least, block) in row.iter_mut().zip(pixels.axis_chunks_iter(Axis(0), Self::SIDE)) {
                    *least = block.iter().filter(|v| v.is_finite()).fold(*least, |least: f32, &v| least.min(v));
                }
            }
        });
        Self { least }
    }

    /// A depth that no pixel within `reach` of a place exceeds.
    fn most(&self, y: isize, x: isize, reach: isize) -> f64 {
        let blocks = |at: isize, n: usize| {
            let block = |at: isize| (at.max(0) as usize / Self::SIDE).min(n - 1);
            block(at - reach)..block(at + reach) + 1
        };
        let part = ndarray::s![blocks(y, self.least.nrows()), blocks(x, self.least.ncols())];
        f64::from(-self.least.slice(part).iter().fold(0f32, |least, &v| least.min(v)))
    }
}

/// Pixels around one, row by row.
struct Disc {
    /// For the rows from the upper to the lower edge, how many columns to both sides belong to it.
    reaches: Vec<isize>,
}

impl Disc {
    /// The pixels whose centres are at most this far away, pixels.
    fn new(radius: f64) -> Self {
        let r = radius.ceil() as isize;
        let reach = |dy: isize| (0..=r).rev().find(|&dx| (dy as f64).hypot(dx as f64) <= radius).unwrap_or(-1);
        Self { reaches: (-r..=r).map(reach).collect() }
    }

    /// How many rows away it begins and ends.
    fn reach(&self) -> isize {
        self.reaches.len() as isize / 2
    }

    /// The depth of the most negative pixel of the image around one; 0 when none is negative.
    fn deepest(&self, image: ArrayView2<'_, f32>, y: isize, x: isize) -> f64 {
        let (ny, nx) = (image.nrows() as isize, image.ncols() as isize);
        let mut least = 0f32;
        for (py, &reach) in (y - self.reach()..).zip(&self.reaches) {
            let (from, to) = ((x - reach).max(0), (x + reach + 1).min(nx));
            if !(0..ny).contains(&py) || from >= to {
                continue;
            }
            let part = image.slice_move(ndarray::s![py, from..to]);
            let lower = |least: f32, &v: &f32| if v < least && v.is_finite() { v } else { least };
            least = match part.to_slice() {
                Some(part) => part.iter().fold(least, lower),
                None => part.iter().fold(least, lower),
            };
        }
        f64::from(-least)
    }
}

/// Whether an island looks like the artefact of a brighter one nearby, and the reason.
fn artefact(
    island: &Island,
    islands: &[Island],
    surroundings: &Surroundings<'_>,
    minima: &BlockMinima,
    options: &VettingOptions,
) -> Option<String> {
    let (image, state) = (surroundings.image, surroundings.state);
    let reach = options.artefact_reach * state.fwhm;
    let distance = |b: &Island| (b.at.0 as f64 - island.at.0 as f64).hypot(b.at.1 as f64 - island.at.1 as f64);
    // The source whose artefacts are strongest here: bright and near.
    let bright = islands
        .iter()
        .filter(|b| b.peak * options.artefact_ratio > island.peak && distance(b) <= reach)
        .max_by(|a, b| (a.peak / distance(a).max(1.0)).total_cmp(&(b.peak / distance(b).max(1.0))))?;
    let (by, bx) = (bright.at.0 as isize, bright.at.1 as isize);
    let (dy, dx) = (island.at.0 as isize - by, island.at.1 as isize - bx);
    let (beam, most_of_beam) = (Disc::new(state.fwhm), Disc::new(0.75 * state.fwhm));
    let source = format!("the source of {:.3e} at x {bx} y {by}", bright.peak);
    let mirrored = beam.deepest(image, by - dy, bx - dx) / island.peak;
    if mirrored >= options.mirrored_negative {
        return Some(format!("mirrored at {source} there is a negative of {:.0} % of it", 100.0 * mirrored));
    }
    // The ring of the same distance, one beam wide.
    let radius = distance(bright);
    let steps = (2.0 * std::f64::consts::PI * radius / state.fwhm).ceil().max(8.0) as usize;
    // Depths that would not count are not looked at.
    let mut deepest = options.ring_negative * island.peak * (1.0 - 1e-9);
    let mut found = false;
    for s in 0..steps {
        let (sin, cos) = (2.0 * std::f64::consts::PI * s as f64 / steps as f64).sin_cos();
        let (y, x) = ((by as f64 + radius * sin).round() as isize, (bx as f64 + radius * cos).round() as isize);
        if minima.most(y, x, most_of_beam.reach()) > deepest {
            let depth = most_of_beam.deepest(image, y, x);
            found |= depth > deepest;
            deepest = deepest.max(depth);
        }
    }
    let ring = if found { deepest / island.peak } else { 0.0 };
    (ring >= options.ring_negative)
        .then(|| format!("at the same distance from {source} there is a negative of {:.0} % of it", 100.0 * ring))
}

/// Whether the last image should have shown the island and did not, and the reason.
fn unseen(
    island: &Island,
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
