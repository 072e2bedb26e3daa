//! A restoring beam as an array of numbers.

use ndarray::Array2;

/// Least side of a beam kernel in pixels.
const LEAST_KERNEL_SIDE: usize = 16;
/// Side of the kernel per pixel of scale.
const KERNEL_SIDE_PER_SCALE: f64 = 1.1;
/// A kernel whose footprint is cut off is made larger by whole factors up to this one.
const MOST_KERNEL_ENLARGEMENT: usize = 10;

/// FWHM = `FWHM_PER_SIGMA` sigma of a Gaussian: 2 sqrt(2 ln 2).
pub const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949_3;

/// A beam measured in (square) pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelBeam {
    /// Full width at half maximum of the major axis, pixels.
    pub major: f64,
    /// Full width at half maximum of the minor axis, pixels.
    pub minor: f64,
    /// Position angle of the major axis, degrees from north (+y) through east; with RA increasing to the left
    /// (`CDELT1 < 0`) east is -x and positive angles turn counter-clockwise.
    pub pa_deg: f64,
}

impl PixelBeam {
    /// Solid angle of the beam, pi major minor / (4 ln 2), in pixels.
    pub fn area(&self) -> f64 {
        std::f64::consts::PI * self.major * self.minor / (4.0 * std::f64::consts::LN_2)
    }
}

/// The beam, convolved with a circular Gaussian of `scale` pixels FWHM (0: not at all), sampled at the pixel centres of
/// a `side` x `side` array, peak 1 at the array's middle.
///
/// For an even side the middle lies between pixels: coordinates are `-side / 2 + 0.5 ..= side / 2 - 0.5`. Columns are x;
/// the major axis lies at 90 degrees + position angle from +x, counter-clockwise (RA increases to the left).
pub fn beam_kernel(beam: &PixelBeam, scale: f64, side: usize) -> Array2<f64> {
    let variance = |fwhm: f64| (fwhm / FWHM_PER_SIGMA).powi(2);
    // Convolved Gaussians add their covariances; a circular one leaves the axes where they are.
    let major = variance(beam.major) + variance(scale);
    let minor = variance(beam.minor) + variance(scale);
    let (sin, cos) = (beam.pa_deg + 90.0).to_radians().sin_cos();
    let middle = (side as f64 - 1.0) / 2.0;
    Array2::from_shape_fn((side, side), |(j, i)| {
        let (x, y) = (i as f64 - middle, j as f64 - middle);
        let (along, across) = (x * cos + y * sin, y * cos - x * sin);
        (-0.5 * (along * along / major + across * across / minor)).exp()
    })
}

/// The pixels in which the beam, smoothed to `scale` pixels as in [`beam_kernel`], exceeds `response` times its greatest
/// sample: the footprint that flint (2026-08) erodes masks with.
///
/// The array has a side of `max(16, int(1 + 1.1 scale))` pixels, enlarged 2, 3, ... 10 times while the footprint touches
/// its first row, last row or first column.
///
/// ```text
/// response 0.6, circular beam of 4 pixels FWHM, the middle of the 16 x 16 array:
/// . . . . . .
/// . . # # . .
/// . # # # # .
/// . # # # # .
/// . . # # . .
/// . . . . . .
/// ```
pub fn beam_footprint(beam: &PixelBeam, response: f64, scale: f64) -> Array2<bool> {
    let least = LEAST_KERNEL_SIDE.max((1.0 + KERNEL_SIDE_PER_SCALE * scale) as usize);
    let mut footprint = footprint_of_side(beam, response, scale, least);
    for factor in 2..=MOST_KERNEL_ENLARGEMENT {
        let (rows, _) = footprint.dim();
        let touched = |line: ndarray::ArrayView1<'_, bool>| line.iter().any(|&b| b);
        if !(touched(footprint.row(0)) || touched(footprint.row(rows - 1)) || touched(footprint.column(0))) {
            break;
        }
        footprint = footprint_of_side(beam, response, scale, least * factor);
    }
    footprint
}

fn footprint_of_side(beam: &PixelBeam, response: f64, scale: f64, side: usize) -> Array2<bool> {
    let kernel = beam_kernel(beam, scale, side);
    let level = response * kernel.iter().copied().fold(0.0, f64::max);
    kernel.mapv(|v| v > level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::draw;
    use ndarray::s;

    #[test]
    fn a_circular_beam() {
        let beam = PixelBeam { major: 4.0, minor: 4.0, pa_deg: 0.0 };
        let footprint = beam_footprint(&beam, 0.6, 0.0);
        assert_eq!(footprint.dim(), (16, 16));
        let middle = draw(footprint.slice(s![5..11, 5..11]));
        assert_eq!(middle, ["......", "..##..", ".####.", ".####.", "..##..", "......"]);
    }

    #[test]
    fn the_major_axis_turns_from_north_through_east() {
        // 45 degrees: from top (north) towards left (east), so along the falling diagonal of the [y up] array.
        let beam = PixelBeam { major: 8.0, minor: 2.0, pa_deg: 45.0 };
        let kernel = beam_kernel(&beam, 0.0, 11);
        assert!(kernel[[8, 2]] > 0.3 && kernel[[2, 8]] > 0.3, "north-east and south-west");
        assert!(kernel[[8, 8]] < 0.01 && kernel[[2, 2]] < 0.01, "north-west and south-east");
        // Half of the peak at half the full width.
        let upright = beam_kernel(&PixelBeam { major: 8.0, minor: 2.0, pa_deg: 0.0 }, 0.0, 11);
        assert!((upright[[9, 5]] - 0.5).abs() < 1e-12 && (upright[[5, 6]] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_scale_adds_its_square() {
        let scaled = beam_kernel(&PixelBeam { major: 3.0, minor: 3.0, pa_deg: 10.0 }, 4.0, 21);
        let five = beam_kernel(&PixelBeam { major: 5.0, minor: 5.0, pa_deg: 0.0 }, 0.0, 21);
        assert!(scaled.iter().zip(&five).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn a_large_beam_enlarges_the_array() {
        let beam = PixelBeam { major: 40.0, minor: 30.0, pa_deg: 20.0 };
        let footprint = beam_footprint(&beam, 0.5, 0.0);
        assert_eq!(footprint.dim(), (48, 48));
        let scaled = beam_footprint(&PixelBeam { major: 3.0, minor: 3.0, pa_deg: 0.0 }, 0.6, 100.0);
        assert_eq!(scaled.dim(), (111, 111));
    }
}
