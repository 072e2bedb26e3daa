//! The noise around directions, before and after a round that solves by direction.

use crate::Result;
use crate::image::FitsImage;
use crate::quality::metrics::NEAR_FIELD_OUTER_BEAMS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Beam where the header names none, pixels.
pub(crate) const ANY_BEAM: f64 = 4.0;

/// What is left around a direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FacetNoise {
    /// Standard deviation of the residual's pixels within 15 beams that no mask holds, Jy/beam; 0: there are none.
    pub noise: f64,
    /// The deepest of them, Jy/beam.
    pub minimum: f64,
}

/// Measures a residual around each direction (pixels, x and y from 0), outside of all masks.
///
/// # Errors
/// Files that cannot be read, or planes of different sizes.
pub fn around(residual: &Path, masks: &[&Path], directions: &[[f64; 2]]) -> Result<Vec<FacetNoise>> {
    let mut file = FitsImage::open(residual)?;
    let masks = masks.iter().map(|path| file.companion(path)?.read_mask(0, 0));
    let masks = masks.collect::<std::result::Result<Vec<_>, _>>()?;
    let plane = file.read_plane(0, 0)?;
    let major = file.header().get_f64("BMAJ").zip(file.pixel_deg().ok()).map(|(deg, pixel)| deg / pixel);
    let radius = NEAR_FIELD_OUTER_BEAMS * major.filter(|beam| beam.is_finite() && *beam > 0.0).unwrap_or(ANY_BEAM);
    let (ny, nx) = plane.dim();
    let one = |&[x, y]: &[f64; 2]| {
        let (mut count, mut sum, mut squares, mut minimum) = (0u32, 0.0, 0.0, 0.0f64);
        for row in range(y, radius, ny) {
            for column in range(x, radius, nx) {
                let value = f64::from(plane[[row, column]]);
                let near = (column as f64 - x).hypot(row as f64 - y) <= radius;
                if near && value.is_finite() && masks.iter().all(|mask| !mask[[row, column]]) {
                    (count, sum, squares) = (count + 1, sum + value, squares + value * value);
                    minimum = minimum.min(value);
                }
            }
        }
        let mean = sum / f64::from(count.max(1));
        FacetNoise { noise: (squares / f64::from(count.max(1)) - mean * mean).max(0.0).sqrt(), minimum }
    };
    Ok(directions.iter().map(one).collect())
}

/// Pixels within `radius` of a place, of an axis with so many.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to the axis.
fn range(at: f64, radius: f64, pixels: usize) -> std::ops::Range<usize> {
    let clamped = |x: f64| x.clamp(0.0, pixels as f64) as usize;
    clamped((at - radius).floor())..clamped((at + radius).ceil() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, PixelType, write_plane};
    use ndarray::Array2;

    #[test]
    fn each_direction_is_measured_in_its_own_neighbourhood() {
        let folder = tempfile::tempdir().expect("folder");
        let path = |name: &str| folder.path().join(name);
        let mut plane = Array2::from_shape_fn((200, 300), |(y, x)| if (x + y) % 2 == 0 { 1f32 } else { -1.0 });
        plane[[100, 60]] = 500.0;
        plane[[90, 240]] = -7.0;
        let mut mask = Array2::<u8>::zeros((200, 300));
        mask[[100, 60]] = 1;
        write_plane(path("r.fits"), plane.view(), PixelType::F32, &Header::default(), 4).expect("written");
        write_plane(path("m.fits"), mask.view(), PixelType::U8, &Header::default(), 2).expect("written");
        let found = around(&path("r.fits"), &[&path("m.fits")], &[[60.0, 100.0], [240.0, 100.0], [-500.0, 0.0]]);
        let found = found.expect("measured");
        assert!((found[0].noise - 1.0).abs() < 1e-3 && (found[0].minimum + 1.0).abs() < 1e-6, "{found:?}");
        assert!((found[1].minimum + 7.0).abs() < 1e-6, "{found:?}");
        assert_eq!(found[2], FacetNoise::default(), "outside of the image");
    }
}
