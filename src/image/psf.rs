//! The highest sidelobe of a PSF, as tclean's auto-multithresh measures it.

use super::{Beam, FitsImage, ImageError, PixelBeam};
use ndarray::ArrayView2;

/// Where the exponent of the subtracted Gaussian reaches this, the Gaussian is 0 (CASA).
const LARGEST_EXPONENT: f64 = 20.0;

/// Extremes of what a PSF is besides its main lobe.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sidelobes {
    /// Lowest value of the PSF itself, or 0.
    pub lowest: f32,
    /// Highest value of the PSF less the Gaussian of its beam, or 0.
    pub highest: f32,
}

impl Sidelobes {
    /// Sidelobes of one plane of unit peak: `psf` is `[y, x]`, `beam` the plane's fitted beam in pixels, `centre` the
    /// reference pixel `(y, x)`, counted from 0. NaN is no data.
    pub fn of_plane(psf: ArrayView2<'_, f32>, beam: PixelBeam, centre: (f64, f64)) -> Self {
        let (sin, cos) = beam.pa_deg.to_radians().sin_cos();
        let mut found = Self::default();
        for (y, row) in psf.outer_iter().enumerate() {
            let dy = y as f64 - centre.0;
            for (x, &value) in row.iter().enumerate() {
                let dx = x as f64 - centre.1;
                let along = (dy * cos - dx * sin) / beam.major;
                let across = (dx * cos + dy * sin) / beam.minor;
                let exponent = 4.0 * std::f64::consts::LN_2 * (along * along + across * across);
                let main_lobe = if exponent < LARGEST_EXPONENT { (-exponent).exp() as f32 } else { 0.0 };
                found.lowest = found.lowest.min(value);
                found.highest = found.highest.max(value - main_lobe);
            }
        }
        found
    }

    /// The extremes of both.
    pub fn and(self, other: Self) -> Self {
        Self { lowest: self.lowest.min(other.lowest), highest: self.highest.max(other.highest) }
    }

    /// The sidelobe level: the larger of the two, without sign.
    pub fn level(self) -> f32 {
        self.lowest.abs().max(self.highest.abs())
    }
}

/// The sidelobe level of a PSF image or cube: one number over all channels of the first polarisation, as CASA's
/// tclean (6.7) takes it. `beams` are the fitted beams channel by channel, or one for all; beams of zero width
/// (blank channels) leave the plane as it is. One plane is in memory at a time.
///
/// # Errors
/// A file without pixel size or with fewer beams than channels.
pub fn sidelobe_level(psf: &mut FitsImage, beams: &[Beam]) -> Result<f32, ImageError> {
    Ok(sidelobes_by_channel(psf, beams)?.into_iter().fold(Sidelobes::default(), Sidelobes::and).level())
}

/// The sidelobes of each channel; see [`sidelobe_level`].
///
/// # Errors
/// As [`sidelobe_level`].
pub(crate) fn sidelobes_by_channel(psf: &mut FitsImage, beams: &[Beam]) -> Result<Vec<Sidelobes>, ImageError> {
    let pixel = psf.pixel_deg()?;
    let channels = psf.channels();
    if beams.len() != 1 && beams.len() != channels {
        return Err(ImageError::Unsuitable {
            path: psf.path().to_path_buf(),
            reason: format!("has {channels} channels, but there are {} beams for them", beams.len()),
        });
    }
    let (ny, nx) = psf.plane_shape();
    let reference = |key: &str, n: usize| psf.header().get_f64(key).map_or((n / 2) as f64, |pixel| pixel - 1.0);
    let centre = (reference("CRPIX2", ny), reference("CRPIX1", nx));
    let mirrored = psf.header().get_f64("CDELT1").is_some_and(|d| d > 0.0);
    let mut all = Vec::with_capacity(channels);
    for channel in 0..channels {
        let mut beam = beams[channel % beams.len()].in_pixels(pixel);
        if mirrored {
            beam.pa_deg = -beam.pa_deg;
        }
        let plane = psf.read_plane(0, channel)?;
        all.push(Sidelobes::of_plane(plane.view(), beam, centre));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn round(width: f64) -> PixelBeam {
        PixelBeam { major: width, minor: width, pa_deg: 0.0 }
    }

    #[test]
    fn the_main_lobe_is_taken_away_and_the_rest_counts() {
        let beam = PixelBeam { major: 4.0, minor: 2.0, pa_deg: 30.0 };
        let (sin, cos) = 30f64.to_radians().sin_cos();
        let mut psf = Array2::from_shape_fn((21, 21), |(y, x)| {
            let (dy, dx) = (y as f64 - 10.0, x as f64 - 10.0);
            let (u, v) = ((dy * cos - dx * sin) / 4.0, (dx * cos + dy * sin) / 2.0);
            (-4.0 * std::f64::consts::LN_2 * (u * u + v * v)).exp() as f32
        });
        let clean = Sidelobes::of_plane(psf.view(), beam, (10.0, 10.0));
        // Only what lies beyond the last exponent is left.
        assert!(clean.level() < 2.1e-9, "{clean:?}");
        psf[[3, 4]] = 0.125;
        psf[[5, 18]] = -0.25;
        psf[[0, 0]] = f32::NAN;
        let with = Sidelobes::of_plane(psf.view(), beam, (10.0, 10.0));
        assert_eq!((with.lowest, with.highest, with.level()), (-0.25, 0.125, 0.25));
    }

    #[test]
    fn a_blank_plane_has_no_sidelobes() {
        let blank = Array2::zeros((5, 5));
        assert_eq!(Sidelobes::of_plane(blank.view(), round(3.0), (2.0, 2.0)), Sidelobes::default());
        // The main lobe's absence is not a sidelobe: PSF - Gaussian is negative there, and only its maximum counts.
        let other = Sidelobes { lowest: -0.5, highest: 0.25 };
        assert_eq!(Sidelobes::default().and(other), other);
    }

    #[test]
    fn a_beam_without_width_takes_nothing_away() {
        let mut psf = Array2::zeros((5, 5));
        psf[[2, 2]] = 1.0;
        assert_eq!(Sidelobes::of_plane(psf.view(), round(0.0), (2.0, 2.0)).highest, 1.0);
    }
}
