//! How much of an image is resolved.

use crate::kernels::Connectivity;
use crate::kernels::labels::islands_of;
use ndarray::{ArrayView2, s};

/// An island is resolved where its flux is so many times its peak: a Gaussian of twice the beam's width.
const OVER_PEAK: f64 = 5.0;

/// Part of the flux in the islands of a mask that is in resolved ones, 0 to 1: of a restored image in Jy/beam, `[y, x]` as the
/// mask, whose beam covers `beam_pixels`. Islands without flux do not count; `None` where there is no other.
pub(super) fn resolved_fraction(
    image: ArrayView2<'_, f32>,
    mask: ArrayView2<'_, bool>,
    beam_pixels: f64,
) -> Option<f64> {
    let islands = islands_of(mask, true, Connectivity::Eight);
    let mut sums = vec![(0.0, 0.0_f64); islands.sizes.len()];
    for (run, island) in islands.runs.iter().zip(&islands.island) {
        let (flux, peak) = &mut sums[*island as usize];
        let pixels = image.slice(s![run.y as usize, run.start as usize..run.end as usize]);
        for value in pixels.iter().filter(|value| value.is_finite()).map(|value| f64::from(*value)) {
            *flux += value / beam_pixels;
            *peak = peak.max(value);
        }
    }
    let all: f64 = sums.iter().map(|(flux, _)| flux.max(0.0)).sum();
    let resolved: f64 = sums.iter().filter(|(flux, peak)| *flux > OVER_PEAK * peak).map(|(flux, _)| flux).sum();
    (all > 0.0).then(|| resolved / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// A Gaussian of this flux (Jy) and FWHM (pixels) around (32, 32) and another of 4 pixels around (90, 32), as a beam of 4
    /// pixels sees them.
    fn part(flux: f64, fwhm: f64, point: f64) -> Option<f64> {
        let beam = 4.0_f64;
        let area = std::f64::consts::PI * beam * beam / (4.0 * 2.0_f64.ln());
        let image = Array2::from_shape_fn((64, 128), |(y, x)| {
            let at = |x0: f64, fwhm: f64, flux: f64| {
                let r2 = (x as f64 - x0).powi(2) + (y as f64 - 32.0).powi(2);
                flux * (beam / fwhm).powi(2) * (-4.0 * 2.0_f64.ln() * r2 / (fwhm * fwhm)).exp()
            };
            (at(32.0, fwhm, flux) + at(90.0, beam, point)) as f32
        });
        resolved_fraction(image.view(), image.mapv(|v| v > 0.001).view(), area)
    }

    #[test]
    fn broad_sources_are_resolved_and_points_are_not() {
        assert_eq!(part(1.0, 4.0, 1.0), Some(0.0));
        assert_eq!(part(1.0, 8.0, 1.0), Some(0.0), "four times its peak");
        let half = part(1.0, 12.0, 1.0).unwrap();
        assert!((half - 0.5).abs() < 0.02, "{half}");
        assert_eq!(part(0.0, 4.0, 0.0), None);
    }
}
