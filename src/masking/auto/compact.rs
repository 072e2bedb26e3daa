//! Compact islands: what stands out from its own surroundings, whatever artefacts a bright source makes elsewhere.
//! Pure functions.
//!
//! The minimum absolute clip with a box as large as the artefacts reach is safe beside the brightest source, and blind far
//! from it. Here a box of a few tens of beams is looked at, and three things are asked of a seed at once: it exceeds the
//! local noise, the deepest negative of the box, and in a residual what sidelobes may make. Each of them alone lets
//! artefacts pass; together they hardly do (docs/acceptance.md).

use crate::kernels::bitmask::BitMask;
use crate::kernels::rolling_minimum;
use crate::masking::flint::seeds::SeedsAndFloor;
use crate::noise::NoiseMaps;
use ndarray::{ArrayView2, Zip};

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

/// Seeds and floor of compact islands in `image`, `[y, x]`, with its noise maps. Boxes at the edge wrap round, as in
/// [`rolling_minimum`]. NaN is in neither.
///
/// # Panics
/// When maps and image differ in shape.
pub(crate) fn compact_seeds(image: ArrayView2<'_, f32>, noise: &NoiseMaps, limits: &CompactLimits) -> SeedsAndFloor {
    let deepest = rolling_minimum(image, limits.box_size.max(1));
    let exceeding = |sigma: f64, negative: f64, least: f64| -> BitMask {
        let (negative, least) = (negative as f32, least as f32);
        let mut found = significant(image, noise, sigma);
        let near = Zip::from(image).and(&deepest).par_map_collect(|&v, &m| v > -negative * m && v > least);
        found.and_with(&BitMask::from_bools(near.view()));
        found
    };
    SeedsAndFloor {
        seeds: exceeding(limits.seed, limits.negative, limits.least),
        floor: exceeding(limits.flood, limits.flood_negative, f64::NEG_INFINITY),
    }
}

/// Pixels of `image`, `[y, x]`, that exceed `sigma` times the local noise, above the local background.
///
/// # Panics
/// When maps and image differ in shape.
pub(crate) fn significant(image: ArrayView2<'_, f32>, noise: &NoiseMaps, sigma: f64) -> BitMask {
    let sigma = sigma as f32;
    let found = Zip::from(image)
        .and(&noise.background)
        .and(&noise.rms)
        .par_map_collect(|&v, &background, &rms| v - background > sigma * rms);
    BitMask::from_bools(found.view())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    const SIDE: usize = 100;
    const LIMITS: CompactLimits =
        CompactLimits { box_size: 31, seed: 6.0, negative: 1.3, least: 0.0, flood: 2.0, flood_negative: 1.0 };

    /// An image of these pixels, without noise, in maps of noise 1.
    fn seeds_of(pixels: &[((usize, usize), f32)], limits: &CompactLimits) -> Vec<(usize, usize)> {
        let mut image = Array2::zeros((SIDE, SIDE));
        pixels.iter().for_each(|&(p, v)| image[p] = v);
        let noise = NoiseMaps { background: Array2::zeros(image.dim()), rms: Array2::ones(image.dim()) };
        let seeds = compact_seeds(image.view(), &noise, limits).seeds.to_bools();
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
        let found = compact_seeds(image.view(), &noise, &LIMITS);
        assert_eq!(found.seeds.count(), 1);
        assert!(found.seeds.get(20, 20) && found.floor.get(20, 80) && !found.floor.get(70, 70));
    }
}
