//! Smoothing of a mask with the restoring beam, and the cut that follows.
//!
//! A mask is runs of ones, so along a row its convolution is the running sum of kernel rows added where runs begin
//! and subtracted where they end: the cost is that of the runs' ends, not of the area. Weights are fixed-point
//! integers, so the running sum is exact and drifts nowhere; the few pixels that come closer to the cut than the
//! weights' rounding are summed again in double precision.

use crate::image::PixelBeam;
use crate::kernels::bitmask::BitMask;
use crate::kernels::row_runs::RowRuns;

/// The kernel reaches this many standard deviations of its major axis.
const REACH_SIGMAS: f64 = 5.0;
/// The kernel's weights add up to this (fixed point).
const ONE: f64 = (1u32 << 30) as f64;
/// Full width at half maximum of a Gaussian in standard deviations.
const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949_3;
/// Pixels in a block of the smoothed rows that are kept.
const BLOCK: usize = 64;

/// A sampled elliptical Gaussian of unit sum.
#[derive(Debug, Clone)]
pub struct Smoother {
    half: usize,
    /// Weight of offset `(dy, dx)` at `[(dy + half) * width + dx + half]`, rounded to f32 as CASA's image of it.
    weights: Vec<f32>,
    /// Row by row, offset of the first fixed-point weight that is not zero, and the weights up to the last such.
    rows: Vec<(usize, Vec<i32>)>,
    /// Largest sum of all roundings to fixed point.
    rounding: i32,
}

/// Buffers of [`Smoother::smooth_and_cut`] that are kept between planes.
#[derive(Debug, Default)]
pub struct SmoothBuffers {
    line: Vec<i32>,
    touched: Vec<u64>,
    /// `(row, block)` of each block kept.
    blocks: Vec<(u32, u32)>,
    sums: Vec<i32>,
}

impl Smoother {
    /// The kernel of a beam whose widths are scaled by `factor`.
    ///
    /// Sampled at pixel centres on an odd square of half width trunc(5 sigma_major + 0.5) + 1, divided by its sum.
    pub fn new(beam: PixelBeam, factor: f64) -> Self {
        let (major, minor) = (beam.major * factor, beam.minor * factor);
        let half = (REACH_SIGMAS * major / FWHM_PER_SIGMA + 0.5).trunc() as usize + 1;
        let width = 2 * half + 1;
        // North is +y and east is -x: the major axis points along (-sin pa, cos pa).
        let (sin, cos) = beam.pa_deg.to_radians().sin_cos();
        let mut exact = Vec::with_capacity(width * width);
        for i in 0..width * width {
            let (dy, dx) = ((i / width) as f64 - half as f64, (i % width) as f64 - half as f64);
            let along = (dy * cos - dx * sin) / major;
            let across = (dx * cos + dy * sin) / minor;
            exact.push((-4.0 * std::f64::consts::LN_2 * (along * along + across * across)).exp());
        }
        let sum: f64 = exact.iter().sum();
        let weights: Vec<f32> = exact.iter().map(|w| (w / sum) as f32).collect();
        let mut rounding = 1.0;
        let rows = weights
            .chunks_exact(width)
            .map(|row| {
                let fixed: Vec<i32> = row.iter().map(|&w| (f64::from(w) * ONE).round() as i32).collect();
                rounding +=
                    row.iter().zip(&fixed).map(|(&w, &f)| (f64::from(w) * ONE - f64::from(f)).abs()).sum::<f64>();
                let first = fixed.iter().position(|&f| f != 0).unwrap_or(0);
                let last = fixed.iter().rposition(|&f| f != 0).map_or(first, |l| l + 1);
                (first, fixed[first..last].to_vec())
            })
            .collect();
        Self { half, weights, rows, rounding: rounding.ceil() as i32 }
    }

    /// Pixels where the mask, convolved with the kernel (zeros outside the image), is above `cut` times its maximum.
    ///
    /// ```text
    /// . . . . .                      . # # # .
    /// . . # . .   beam of 2 pixels,  # # # # #
    /// . . . . .   cut 0.01           . # # # .
    /// ```
    pub fn smooth_and_cut(&self, mask: &RowRuns, cut: f32, buffers: &mut SmoothBuffers) -> BitMask {
        let (ny, nx) = mask.dim();
        let mut out = BitMask::new(ny, nx);
        if mask.is_empty() {
            return out;
        }
        self.sum_rows(mask, buffers);
        let SmoothBuffers { blocks, sums, .. } = buffers;
        let highest = sums.iter().copied().max().expect("a mask that is not empty reaches some pixel");
        let peak_at = sums.iter().position(|&s| s == highest).expect("the maximum is one of them");
        let (row, block) = blocks[peak_at / BLOCK];
        let peak = self.exact(mask, row as usize, block as usize * BLOCK + peak_at % BLOCK);
        let level = f64::from((f64::from(cut) * peak) as f32);
        let (surely_below, surely_above) =
            ((level * ONE).floor() as i32 - self.rounding, (level * ONE).ceil() as i32 + self.rounding);
        for (&(row, block), sums) in blocks.iter().zip(sums.chunks_exact(BLOCK)) {
            let (row, block) = (row as usize, block as usize);
            let sums: &[i32; BLOCK] = sums.try_into().expect("blocks of this length");
            let above = crate::kernels::bitmask::pack_word(sums, |s| s > surely_above);
            let mut close = crate::kernels::bitmask::pack_word(sums, |s| s >= surely_below) & !above;
            let mut word = above;
            while close != 0 {
                let bit = close.trailing_zeros() as usize;
                close &= close - 1;
                let x = block * BLOCK + bit;
                if x < nx && self.exact(mask, row, x) > level {
                    word |= 1 << bit;
                }
            }
            if (block + 1) * BLOCK > nx {
                word &= !0 >> ((block + 1) * BLOCK - nx);
            }
            out.row_mut(row)[block] = word;
        }
        out
    }

    /// Fills `buffers.blocks` and `buffers.sums` with the smoothed rows wherever a run is within reach.
    fn sum_rows(&self, mask: &RowRuns, buffers: &mut SmoothBuffers) {
        let (ny, nx) = mask.dim();
        let (half, n_blocks) = (self.half, nx.div_ceil(BLOCK));
        let SmoothBuffers { line, touched, blocks, sums } = buffers;
        blocks.clear();
        sums.clear();
        // Pixel x of the image is element x + half: kernel rows never have to be clipped.
        line.clear();
        line.resize(n_blocks * BLOCK + 2 * half + 2, 0);
        touched.clear();
        touched.resize(n_blocks.div_ceil(64), 0);
        for y in 0..ny {
            let sources = y.saturating_sub(half)..(y + half + 1).min(ny);
            let mut any = false;
            for source in sources {
                // The kernel is symmetric about its centre, so gathering and scattering are the same.
                let (first, weights) = &self.rows[y + half - source];
                for &(x0, x1) in mask.row(source) {
                    any = true;
                    let (x0, x1) = (x0 as usize, x1 as usize);
                    for (sum, w) in line[x0 + first..].iter_mut().zip(weights) {
                        *sum += w;
                    }
                    for (sum, w) in line[x1 + first..].iter_mut().zip(weights) {
                        *sum -= w;
                    }
                    for block in x0.saturating_sub(half) / BLOCK..=((x1 + half).min(nx - 1) / BLOCK) {
                        touched[block / 64] |= 1 << (block % 64);
                    }
                }
            }
            if !any {
                continue;
            }
            // The part of runs near the left edge that falls outside the image belongs to the running sum.
            let mut running: i32 = line[..half].iter().sum();
            line[..half].fill(0);
            for (i, word) in touched.iter_mut().enumerate() {
                while *word != 0 {
                    let block = i * 64 + word.trailing_zeros() as usize;
                    *word &= *word - 1;
                    blocks.push((y as u32, block as u32));
                    let differences = &mut line[half + block * BLOCK..half + (block + 1) * BLOCK];
                    sums.extend(differences.iter_mut().map(|d| {
                        running += std::mem::take(d);
                        running
                    }));
                    if block + 1 == n_blocks {
                        // Beyond the row's end there is no image, and no maximum.
                        let kept = sums.len();
                        sums[kept - (n_blocks * BLOCK - nx)..].fill(0);
                    }
                }
                // Between touched blocks the running sum is zero again, as every run has ended.
            }
            line[half + n_blocks * BLOCK..].fill(0);
        }
    }

    /// The convolution at one pixel in double precision.
    fn exact(&self, mask: &RowRuns, y: usize, x: usize) -> f64 {
        let (ny, _) = mask.dim();
        let (half, width) = (self.half, 2 * self.half + 1);
        let mut sum = 0.0;
        for source in y.saturating_sub(half)..(y + half + 1).min(ny) {
            let weights = &self.weights[(y + half - source) * width..][..width];
            for &(x0, x1) in mask.row(source) {
                let from = (x0 as usize).max(x.saturating_sub(half));
                let to = (x1 as usize).min(x + half + 1);
                for at in from..to {
                    sum += f64::from(weights[x + half - at]);
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn plane(rows: &[&str]) -> Array2<bool> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(y, x)| rows[y].as_bytes()[x] == b'#')
    }

    fn smoothed(mask: &Array2<bool>, beam: PixelBeam, cut: f32) -> Array2<bool> {
        let runs = RowRuns::of(&BitMask::from_bools(mask.view()));
        Smoother::new(beam, 1.0).smooth_and_cut(&runs, cut, &mut SmoothBuffers::default()).to_bools()
    }

    /// The definition: a sum over the whole kernel at each pixel.
    fn slowly_smoothed(mask: &Array2<bool>, beam: PixelBeam, cut: f32) -> Array2<bool> {
        let kernel = Smoother::new(beam, 1.0);
        let (half, width) = (kernel.half as isize, 2 * kernel.half + 1);
        let sums = Array2::from_shape_fn(mask.dim(), |(y, x)| {
            let mut sum = 0.0;
            for dy in -half..=half {
                for dx in -half..=half {
                    let at = ((y as isize - dy) as usize, (x as isize - dx) as usize);
                    if mask.get(at).is_some_and(|on| *on) {
                        sum += f64::from(kernel.weights[(dy + half) as usize * width + (dx + half) as usize]);
                    }
                }
            }
            sum
        });
        let level = f64::from((f64::from(cut) * sums.iter().copied().fold(0.0, f64::max)) as f32);
        sums.mapv(|s| s > level)
    }

    #[test]
    fn picture() {
        let beam = PixelBeam { major: 2.0, minor: 2.0, pa_deg: 0.0 };
        let mask = plane(&[".......", ".......", ".......", "...#...", ".......", "......."]);
        let expected = plane(&[".......", "..###..", ".#####.", ".#####.", ".#####.", "..###.."]);
        assert_eq!(smoothed(&mask, beam, 0.01), expected);
    }

    #[test]
    fn a_positive_angle_leans_to_the_left() {
        // North is up, east to the left: at 30 degrees the upper end of the beam lies left of its centre.
        let beam = PixelBeam { major: 9.0, minor: 2.0, pa_deg: 30.0 };
        let mut mask = Array2::from_elem((31, 31), false);
        mask[[15, 15]] = true;
        let out = smoothed(&mask, beam, 0.1);
        assert!(out[[20, 12]] && out[[10, 18]]);
        assert!(!out[[20, 18]] && !out[[10, 12]]);
    }

    #[test]
    fn an_empty_mask_stays_empty() {
        let beam = PixelBeam { major: 3.0, minor: 2.0, pa_deg: 0.0 };
        assert!(!smoothed(&Array2::from_elem((5, 70), false), beam, 0.01).iter().any(|on| *on));
    }

    proptest! {
        // The definition takes most of the time.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn agrees_with_the_definition(
            ny in 1usize..40,
            nx in 1usize..140,
            seed in any::<u64>(),
            sparse in 1u32..9,
            major in 1.0..9.0f64,
            ratio in 0.3..1.0f64,
            pa_deg in -180.0..180.0f64,
            cut in 0.0..0.5f32,
        ) {
            let mut state = seed;
            let mask = Array2::from_shape_simple_fn((ny, nx), || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 40) % (1 << sparse) == 0
            });
            let beam = PixelBeam { major, minor: ratio * major, pa_deg };
            prop_assert_eq!(smoothed(&mask, beam, cut), slowly_smoothed(&mask, beam, cut));
        }
    }
}
