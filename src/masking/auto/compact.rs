//! Compact islands: what stands out from its own surroundings, whatever artefacts a bright source makes elsewhere.
//! Pure functions.
//!
//! The minimum absolute clip with a box as large as the artefacts reach is safe beside the brightest source, and blind far
//! from it. Here a box of a few tens of beams is looked at, and three things are asked of a seed at once: it exceeds the
//! local noise, the deepest negative of the box, and in a residual what sidelobes may make. Each of them alone lets
//! artefacts pass; together they hardly do (docs/acceptance.md).

use crate::kernels::bitmask::{BitMask, WORD, pack_rows};
use crate::kernels::rows::{Extremum, ImageRows, Least, Outside, RollingRows, RowStream, bands};
use crate::masking::flint::seeds::SeedsAndFloor;
use crate::noise::NoiseModel;
use multiversion::multiversion;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Levels that a compact island reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CompactLimits {
    /// Side of the box, pixels.
    pub box_size: usize,
    /// Seeds exceed this times the local noise, above the local background.
    pub seed: f64,
    /// Seeds exceed this times |deepest negative of the box|.
    pub negative: f64,
    /// Seeds exceed this brightness, Jy/beam.
    pub least: f64,
    /// Islands grow down to this times the local noise above the local background ...
    pub flood: f64,
    /// ... though not below this times |deepest negative of the box|.
    pub flood_negative: f64,
}

/// What stands out from the local noise.
#[derive(Debug)]
pub(crate) struct LocalSeeds {
    /// Pixels that exceed the asked multiple of the local noise, above the local background.
    pub significant: BitMask,
    /// Seeds and floor of compact islands, if they were asked for.
    pub compact: Option<SeedsAndFloor>,
}

/// Pixels of `image`, `[y, x]`, that exceed `sigma` times its local noise, and seeds and floor of compact islands. Boxes at
/// the edge wrap round, as in [`crate::kernels::rolling_minimum`]. NaN is in none of them.
pub(crate) fn local_seeds(
    image: ArrayView2<'_, f32>,
    noise: &NoiseModel,
    sigma: f64,
    compact: Option<&CompactLimits>,
) -> LocalSeeds {
    let (ny, nx) = image.dim();
    let mut significant = BitMask::new(ny, nx);
    let mut found = SeedsAndFloor { seeds: BitMask::new(ny, nx), floor: BitMask::new(ny, nx) };
    if !image.is_empty() {
        let (bands, stride) = (bands(ny), significant.stride());
        let parts = found.seeds.split_rows(&bands).into_par_iter().zip(found.floor.split_rows(&bands));
        let parts = significant.split_rows(&bands).into_par_iter().zip(parts);
        parts.zip(&bands).for_each(|((significant, (seeds, floor)), &(first, _))| {
            let mut row = LocalRow::new(nx);
            let mut compact = compact.map(|limits| CompactRows::new(image, limits, first));
            let words = seeds.chunks_exact_mut(stride).zip(floor.chunks_exact_mut(stride));
            for ((y, significant), (seeds, floor)) in (first..).zip(significant.chunks_exact_mut(stride)).zip(words) {
                row.read(image, noise, y);
                row.subtract_background();
                row.exceeding(sigma as f32, significant);
                if let Some(compact) = &mut compact {
                    compact.next_row(&row, seeds, floor);
                }
            }
        });
    }
    LocalSeeds { significant, compact: compact.is_some().then_some(found) }
}

/// Seeds and floor of compact islands, row by row.
struct CompactRows<'a> {
    limits: &'a CompactLimits,
    minima: RollingRows<ImageRows<'a>, Least>,
    deepest: Vec<f32>,
    near: Vec<u64>,
}

impl<'a> CompactRows<'a> {
    fn new(image: ArrayView2<'a, f32>, limits: &'a CompactLimits, first: usize) -> Self {
        let nx = image.ncols();
        let source = |y| ImageRows::new(image, y, Least::NEUTRAL, Outside::Wrap);
        let side = limits.box_size.max(1);
        Self {
            limits,
            minima: RollingRows::new(source, first as isize, image.dim(), (side, side)),
            deepest: vec![0.0; nx],
            near: vec![0; nx.div_ceil(WORD)],
        }
    }

    /// Seeds and floor of the next row.
    fn next_row(&mut self, row: &LocalRow, seeds: &mut [u64], floor: &mut [u64]) {
        let (limits, near) = (self.limits, &mut self.near);
        self.minima.next_row(&mut self.deepest);
        let (negative, least) = (limits.negative as f32, limits.least as f32);
        row.exceeding(limits.seed as f32, seeds);
        pack_rows(&row.pixels, &self.deepest, near, |v, m| v > -negative * m && v > least);
        seeds.iter_mut().zip(&*near).for_each(|(s, n)| *s &= n);
        let negative = limits.flood_negative as f32;
        row.exceeding(limits.flood as f32, floor);
        pack_rows(&row.pixels, &self.deepest, near, |v, m| v > -negative * m);
        floor.iter_mut().zip(&*near).for_each(|(f, n)| *f &= n);
    }
}

/// A row of an image with its local noise.
pub(super) struct LocalRow {
    pub(super) pixels: Vec<f32>,
    pub(super) background: Vec<f32>,
    pub(super) rms: Vec<f32>,
    /// Pixels above the background, once it was subtracted.
    above: Vec<f32>,
}

impl LocalRow {
    pub(super) fn new(nx: usize) -> Self {
        let row = vec![0.0; nx];
        Self { pixels: row.clone(), background: row.clone(), rms: row.clone(), above: row }
    }

    pub(super) fn read(&mut self, image: ArrayView2<'_, f32>, noise: &NoiseModel, y: usize) {
        match image.row(y).to_slice() {
            Some(row) => self.pixels.copy_from_slice(row),
            None => self.pixels.iter_mut().zip(image.row(y)).for_each(|(p, &v)| *p = v),
        }
        noise.row(y, &self.pixels, &mut self.background, &mut self.rms);
    }

    fn subtract_background(&mut self) {
        subtract(&self.pixels, &self.background, &mut self.above);
    }

    /// The pixels that exceed `sigma` times the noise, above the background.
    fn exceeding(&self, sigma: f32, words: &mut [u64]) {
        pack_rows(&self.above, &self.rms, words, |v, rms| v > sigma * rms);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn subtract(pixels: &[f32], background: &[f32], above: &mut [f32]) {
    above.iter_mut().zip(pixels).zip(background).for_each(|((a, &v), &b)| *a = v - b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::NoiseMaps;
    use ndarray::Array2;

    const SIDE: usize = 100;
    const LIMITS: CompactLimits =
        CompactLimits { box_size: 31, seed: 6.0, negative: 1.3, least: 0.0, flood: 2.0, flood_negative: 1.0 };

    /// An image of these pixels, without noise, in maps of noise 1.
    fn seeds_of(pixels: &[((usize, usize), f32)], limits: &CompactLimits) -> Vec<(usize, usize)> {
        let mut image = Array2::zeros((SIDE, SIDE));
        pixels.iter().for_each(|&(p, v)| image[p] = v);
        let noise = NoiseMaps { background: Array2::zeros(image.dim()), rms: Array2::ones(image.dim()) };
        let noise = NoiseModel::Full(noise);
        let found = local_seeds(image.view(), &noise, limits.seed, Some(limits));
        let seeds = found.compact.unwrap().seeds.to_bools();
        seeds.indexed_iter().filter(|(_, s)| **s).map(|(p, _)| p).collect()
    }

    #[test]
    fn a_seed_exceeds_noise_negatives_nearby_and_sidelobes() {
        let (here, near, far) = ((50, 50), (60, 60), (80, 50));
        assert_eq!(seeds_of(&[(here, 6.1)], &LIMITS), [here]);
        assert_eq!(seeds_of(&[(here, 5.9)], &LIMITS), []);
        assert_eq!(seeds_of(&[(here, 10.0), (near, -8.0)], &LIMITS), []);
        assert_eq!(seeds_of(&[(here, 10.5), (near, -8.0)], &LIMITS), [here]);
        assert_eq!(seeds_of(&[(here, 10.0), (far, -8000.0)], &LIMITS), [here], "what is far away does not matter");
        let hidden = CompactLimits { least: 20.0, ..LIMITS };
        assert_eq!(seeds_of(&[(here, 19.0), (far, 21.0)], &hidden), [far]);
    }

    #[test]
    fn background_and_noise_are_local_and_no_data_is_no_island() {
        let mut image = Array2::from_elem((SIDE, SIDE), 10.0f32);
        image[(20, 20)] = 17.0;
        image[(20, 80)] = 17.0;
        image[(70, 70)] = f32::NAN;
        let mut noise = NoiseMaps { background: Array2::from_elem(image.dim(), 10.0), rms: Array2::ones(image.dim()) };
        noise.rms[(20, 80)] = 2.0;
        let noise = NoiseModel::Full(noise);
        let LocalSeeds { significant, compact } = local_seeds(image.view(), &noise, LIMITS.seed, Some(&LIMITS));
        let found = compact.unwrap();
        assert_eq!(significant.count(), 1);
        assert_eq!(found.seeds.count(), 1);
        assert!(found.seeds.get(20, 20) && found.floor.get(20, 80) && !found.floor.get(70, 70));
    }
}
