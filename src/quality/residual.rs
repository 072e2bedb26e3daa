//! Measures of a residual between major cycles: peak, peak inside the mask, robust noise, channel by channel.

use crate::Result;
use crate::image::FitsImage;
use crate::kernels::order_statistics::median_and_mad;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One plane of a residual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaneResidual {
    /// Greatest |residual| of the valid pixels, Jy/beam.
    pub peak: f64,
    /// The same inside the mask; 0 without masked pixels.
    pub peak_in_mask: f64,
    /// 1.4826 MAD of the valid pixels, Jy/beam.
    pub rms: f64,
    /// Masked pixels.
    pub masked_pixels: u64,
}

/// A residual image or cube.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResidualState {
    /// Extremes and sums over the channels; the noise is the median of the channels'. Without any data the peak is NaN:
    /// cleaning went beyond all bounds.
    pub overall: PlaneResidual,
    /// Each channel; a single entry for continuum.
    pub channels: Vec<PlaneResidual>,
}

/// Measures a residual (first polarisation) with the mask that the next minor cycle will use; `mask` is a plane for all
/// channels or a cube, `None`: everything may be cleaned. `pixel_mask`: valid where not 0. One channel at a time is in
/// memory.
///
/// # Errors
/// Files that cannot be read, or planes of different sizes.
pub fn measure(residual: &Path, mask: Option<&Path>, pixel_mask: Option<&Path>) -> Result<ResidualState> {
    let mut file = FitsImage::open(residual)?;
    let open = |path: Option<&Path>| path.map(|p| file.companion(p)).transpose();
    let (mut mask, mut valid) = (open(mask)?, open(pixel_mask)?);
    let mut channels = Vec::with_capacity(file.channels());
    let mut any_data = false;
    for channel in 0..file.channels() {
        let plane = file.read_plane(0, channel)?;
        let read = |f: &mut Option<FitsImage>| f.as_mut().map(|f| f.read_mask(0, channel)).transpose();
        let (mask, valid) = (read(&mut mask)?, read(&mut valid)?);
        let values = plane.as_slice().expect("read in standard layout");
        let set =
            |m: &Option<ndarray::Array2<bool>>, i: usize| m.as_ref().is_none_or(|m| m.as_slice().is_some_and(|s| s[i]));
        let used = |i: usize| values[i].is_finite() && set(&valid, i);
        let mut state = PlaneResidual::default();
        for (i, &v) in values.iter().enumerate().filter(|(i, _)| used(*i)) {
            any_data = true;
            let v = f64::from(v.abs());
            state.peak = state.peak.max(v);
            if set(&mask, i) {
                state.peak_in_mask = state.peak_in_mask.max(v);
                state.masked_pixels += 1;
            }
        }
        state.rms = median_and_mad(values, used).map_or(0.0, |s| s.sigma());
        channels.push(state);
    }
    let mut noises: Vec<f64> = channels.iter().map(|c| c.rms).filter(|&r| r > 0.0).collect();
    let greatest = |of: fn(&PlaneResidual) -> f64| channels.iter().map(of).fold(0.0, f64::max);
    let overall = PlaneResidual {
        peak: if any_data { greatest(|c| c.peak) } else { f64::NAN },
        peak_in_mask: greatest(|c| c.peak_in_mask),
        rms: crate::kernels::order_statistics::median(&mut noises).unwrap_or(0.0),
        masked_pixels: channels.iter().map(|c| c.masked_pixels).sum(),
    };
    Ok(ResidualState { overall, channels })
}

/// Sum of each channel of a model (first polarisation), Jy. NaN where the channel holds pixels that are no number beside
/// others that are: cleaning went beyond all bounds there. A blank channel has no flux.
///
/// # Errors
/// A file that cannot be read.
pub fn model_fluxes(model: &Path) -> Result<Vec<f64>> {
    let mut file = FitsImage::open(model)?;
    let mut sums = Vec::with_capacity(file.channels());
    for channel in 0..file.channels() {
        let plane = file.read_plane(0, channel)?;
        let (finite, other): (Vec<f32>, Vec<f32>) = plane.iter().partition(|v| v.is_finite());
        let diverged = !finite.is_empty() && !other.is_empty();
        sums.push(if diverged { f64::NAN } else { finite.iter().map(|&v| f64::from(v)).sum() });
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, PixelType, write_plane};
    use ndarray::array;

    #[test]
    fn peaks_are_absolute_and_blank_pixels_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let residual = array![[1f32, -9., 2.], [f32::NAN, 3., 50.]];
        write_plane(path("r.fits"), residual.view(), PixelType::F32, &Header::default(), 4).unwrap();
        write_plane(path("m.fits"), array![[1u8, 0, 1], [1, 1, 0]].view(), PixelType::U8, &Header::default(), 2)
            .unwrap();
        write_plane(path("v.fits"), array![[1u8, 1, 1], [1, 1, 0]].view(), PixelType::U8, &Header::default(), 2)
            .unwrap();
        let state = measure(&path("r.fits"), Some(&path("m.fits")), Some(&path("v.fits"))).unwrap();
        let plane = state.overall;
        assert_eq!((plane.peak, plane.peak_in_mask, plane.masked_pixels), (9.0, 3.0, 3));
        // Values 1, -9, 2, 3: median 1.5, deviations 0.5, 10.5, 0.5, 1.5: MAD 1.
        assert!((plane.rms - 1.4826).abs() < 1e-3, "{}", plane.rms);
        let everywhere = measure(&path("r.fits"), None, None).unwrap().overall;
        assert_eq!((everywhere.peak, everywhere.peak_in_mask), (50.0, 50.0));
        let blank = array![[f32::NAN, f32::INFINITY]];
        write_plane(path("b.fits"), blank.view(), PixelType::F32, &Header::default(), 4).unwrap();
        assert!(measure(&path("b.fits"), None, None).unwrap().overall.peak.is_nan());
    }

    #[test]
    fn the_flux_of_a_broken_model_is_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.fits");
        let flux = |model: ndarray::Array2<f32>| {
            write_plane(&path, model.view(), PixelType::F32, &Header::default(), 4).unwrap();
            model_fluxes(&path).unwrap()[0]
        };
        assert_eq!(flux(array![[1f32, 2.], [0., -0.5]]), 2.5);
        assert!(flux(array![[1f32, f32::NAN]]).is_nan());
        assert_eq!(flux(array![[f32::NAN, f32::NAN]]), 0.0);
    }
}
