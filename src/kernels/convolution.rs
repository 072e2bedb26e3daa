//! Convolution with an elliptical Gaussian.

use ndarray::{Array2, ArrayView2, Axis, Zip};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;
use std::f64::consts::PI;

/// Beyond this many sigma a Gaussian is nothing in single precision (exp(-18) of its peak).
const REACH_SIGMA: f64 = 6.0;
/// Columns that are transformed together: a whole cache line of each row is used.
const COLUMNS: usize = 16;

/// The covariance of a Gaussian in pixels squared; `y` counts rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covariance {
    /// Variance along x.
    pub xx: f64,
    /// Covariance of x and y.
    pub xy: f64,
    /// Variance along y.
    pub yy: f64,
}

impl Covariance {
    /// The Gaussian's Fourier transform (its integral being 1) at `u` and `v` cycles a pixel along x and y.
    fn transfer(&self, u: f64, v: f64) -> f64 {
        (-2.0 * PI * PI * (self.xx * u * u + 2.0 * self.xy * u * v + self.yy * v * v)).exp()
    }
}

/// The image, `[y, x]`, convolved with a Gaussian whose integral is 1; same shape.
///
/// Done by Fourier transforms with the Gaussian's own transform, so that a Gaussian much narrower than a pixel has its
/// exact effect, too (as in racs-tools). That holds for images whose sources are sampled well (a beam of 3 pixels and
/// more); a single bright pixel gets faint rings from a Gaussian narrower than 2 pixels. Beyond the image there is nothing. NaN counts as 0 and stays
/// NaN. O(pixels log pixels); needs 4 bytes per pixel beside image and result.
///
/// ```text
/// circular Gaussian of 2 pixels FWHM (values in %):
/// . . . . .        .  1  1  1  .
/// . . . . .        1  6 11  6  1
/// . . 100 . .  ->  1 11 22 11  1
/// . . . . .        1  6 11  6  1
/// . . . . .        .  1  1  1  .
/// ```
pub fn gaussian_convolution(image: ArrayView2<'_, f32>, gaussian: &Covariance) -> Array2<f32> {
    let (ny, nx) = image.dim();
    if image.is_empty() {
        return image.to_owned();
    }
    // Room beyond the edges: without it what leaves on one side would come back on the other.
    let (py, px) = (padded(ny, gaussian.yy), padded(nx, gaussian.xx));
    let mut spectrum = rows_forward(image, (py, px));
    columns_there_and_back(&mut spectrum, px, gaussian);
    let mut out = rows_backward(spectrum, (ny, nx), px);
    Zip::from(&mut out).and(image).par_for_each(|o, v| *o = if v.is_nan() { f32::NAN } else { *o });
    out
}

/// The next length that is even and has no prime factors beyond 5.
fn padded(size: usize, variance: f64) -> usize {
    let mut length = size + (REACH_SIGMA * variance.max(0.0).sqrt()).ceil() as usize;
    let is_smooth = |mut n: usize| {
        for prime in [2, 3, 5] {
            while n.is_multiple_of(prime) {
                n /= prime;
            }
        }
        n == 1
    };
    length += length % 2;
    while !is_smooth(length) {
        length += 2;
    }
    length
}

/// Transforms of the rows: `[y, u]` with `px / 2 + 1` frequencies; rows beyond the image are 0.
fn rows_forward(image: ArrayView2<'_, f32>, (py, px): (usize, usize)) -> Array2<Complex<f32>> {
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(px);
    let mut spectrum = Array2::zeros((py, px / 2 + 1));
    spectrum.axis_iter_mut(Axis(0)).into_par_iter().zip(image.axis_iter(Axis(0))).for_each_init(
        || (transform.make_input_vec(), transform.make_scratch_vec()),
        |(row, scratch), (mut out, pixels)| {
            row.fill(0.0);
            for (value, pixel) in row.iter_mut().zip(pixels) {
                *value = if pixel.is_nan() { 0.0 } else { *pixel };
            }
            let out = out.as_slice_mut().expect("rows are contiguous");
            transform.process_with_scratch(row, out, scratch).expect("the lengths are the plan's");
        },
    );
    spectrum
}

fn columns_there_and_back(spectrum: &mut Array2<Complex<f32>>, px: usize, gaussian: &Covariance) {
    let py = spectrum.nrows();
    let mut planner = FftPlanner::<f32>::new();
    let (down, up) = (planner.plan_fft_forward(py), planner.plan_fft_inverse(py));
    let scratch = down.get_inplace_scratch_len().max(up.get_inplace_scratch_len());
    // A transform and its inverse multiply by the number of values.
    let scale = 1.0 / (px as f64 * py as f64);
    spectrum.axis_chunks_iter_mut(Axis(1), COLUMNS).into_par_iter().enumerate().for_each_init(
        || (vec![Complex::default(); COLUMNS * py], vec![Complex::default(); scratch]),
        |(buffer, scratch), (block, mut columns)| {
            for (y, row) in columns.rows().into_iter().enumerate() {
                row.iter().enumerate().for_each(|(x, value)| buffer[x * py + y] = *value);
            }
            for (x, column) in buffer.chunks_exact_mut(py).take(columns.ncols()).enumerate() {
                let u = (block * COLUMNS + x) as f64 / px as f64;
                down.process_with_scratch(column, scratch);
                for (y, value) in column.iter_mut().enumerate() {
                    let cycles = if y <= py / 2 { y as f64 } else { y as f64 - py as f64 };
                    *value *= (scale * gaussian.transfer(u, cycles / py as f64)) as f32;
                }
                up.process_with_scratch(column, scratch);
            }
            for (y, mut row) in columns.rows_mut().into_iter().enumerate() {
                row.iter_mut().enumerate().for_each(|(x, value)| *value = buffer[x * py + y]);
            }
        },
    );
}

fn rows_backward(mut spectrum: Array2<Complex<f32>>, (ny, nx): (usize, usize), px: usize) -> Array2<f32> {
    let transform = RealFftPlanner::<f32>::new().plan_fft_inverse(px);
    let mut out = Array2::zeros((ny, nx));
    out.axis_iter_mut(Axis(0)).into_par_iter().zip(spectrum.axis_iter_mut(Axis(0))).for_each_init(
        || (transform.make_output_vec(), transform.make_scratch_vec()),
        |(row, scratch), (mut out, mut frequencies)| {
            let frequencies = frequencies.as_slice_mut().expect("rows are contiguous");
            // Real by symmetry, but for rounding.
            frequencies[0].im = 0.0;
            frequencies[px / 2].im = 0.0;
            transform.process_with_scratch(frequencies, row, scratch).expect("the lengths are the plan's");
            out.iter_mut().zip(row.iter()).for_each(|(o, v)| *o = *v);
        },
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::FWHM_PER_SIGMA;
    use proptest::prelude::*;

    /// Of a circular Gaussian with this full width at half maximum, pixels.
    fn circular(fwhm: f64) -> Covariance {
        let variance = (fwhm / FWHM_PER_SIGMA).powi(2);
        Covariance { xx: variance, xy: 0.0, yy: variance }
    }

    fn point(shape: (usize, usize), at: (usize, usize)) -> Array2<f32> {
        let mut image = Array2::zeros(shape);
        image[at] = 1.0;
        image
    }

    #[test]
    fn picture() {
        let out = gaussian_convolution(point((5, 5), (2, 2)).view(), &circular(2.0));
        let percent = out.mapv(|v| (100.0 * v).round() as i32);
        let expected = [[0, 1, 1, 1, 0], [1, 6, 11, 6, 1], [1, 11, 22, 11, 1], [1, 6, 11, 6, 1], [0, 1, 1, 1, 0]];
        assert_eq!(percent, ndarray::arr2(&expected));
    }

    /// Gaussians add their covariances, however small one is; the integral stays.
    #[test]
    fn a_gaussian_becomes_the_wider_gaussian() {
        let gaussian = |c: &Covariance, x: f64, y: f64| {
            let det = c.xx * c.yy - c.xy * c.xy;
            let q = (c.yy * x * x - 2.0 * c.xy * x * y + c.xx * y * y) / det;
            (-0.5 * q).exp() / (2.0 * PI * det.sqrt())
        };
        let from = Covariance { xx: 3.0, xy: 0.8, yy: 2.0 };
        let image = Array2::from_shape_fn((61, 50), |(y, x)| gaussian(&from, x as f64 - 24.3, y as f64 - 30.8) as f32);
        for with in [
            Covariance { xx: 0.02, xy: 0.0, yy: 0.01 },
            Covariance { xx: 0.3, xy: -0.28, yy: 0.3 },
            Covariance { xx: 5.0, xy: 2.0, yy: 4.0 },
            Covariance { xx: 0.0, xy: 0.0, yy: 0.0 },
        ] {
            let to = Covariance { xx: from.xx + with.xx, xy: from.xy + with.xy, yy: from.yy + with.yy };
            let out = gaussian_convolution(image.view(), &with);
            for ((y, x), v) in out.indexed_iter() {
                let expected = gaussian(&to, x as f64 - 24.3, y as f64 - 30.8);
                assert!((f64::from(*v) - expected).abs() < 2e-6, "{with:?} at {x}, {y}: {v}, {expected} expected");
            }
        }
    }

    #[test]
    fn edges_do_not_meet_and_no_data_stays_so() {
        let mut image = point((12, 9), (0, 0));
        image[[5, 5]] = f32::NAN;
        let out = gaussian_convolution(image.view(), &circular(3.0));
        assert!(out[[5, 5]].is_nan() && out.iter().filter(|v| v.is_nan()).count() == 1);
        assert!(out[[11, 0]].abs() < 1e-4 && out[[0, 8]].abs() < 1e-4, "nothing comes back on the other side");
        assert!((out[[1, 1]] - out[[0, 0]] * (-8.0 * std::f32::consts::LN_2 / 9.0).exp()).abs() < 1e-3);
    }

    proptest! {
        #[test]
        fn flux_stays_and_threads_do_not_matter(ny in 1usize..40, nx in 1usize..40, fwhm in 0.0..3.0f64, seed in any::<u32>()) {
            let image = Array2::from_shape_fn((ny + 40, nx + 40), |(y, x)| {
                let inside = (20..ny + 20).contains(&y) && (20..nx + 20).contains(&x);
                if inside { ((seed as usize % 97 + 31 * x + 17 * y) % 13) as f32 } else { 0.0 }
            });
            let covariance = circular(fwhm);
            let out = gaussian_convolution(image.view(), &covariance);
            let (before, after) = (image.sum(), out.sum());
            prop_assert!((before - after).abs() <= 1e-3 * before.abs() + 1e-3, "{} became {}", before, after);
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            prop_assert_eq!(one.install(|| gaussian_convolution(image.view(), &covariance)), out);
        }
    }
}
