//! The restoring beam.

use crate::kernels::PixelBeam;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An elliptical Gaussian restoring beam on the sky.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Beam {
    /// Full width at half maximum of the major axis, degrees (FITS `BMAJ`).
    pub major_deg: f64,
    /// Full width at half maximum of the minor axis, degrees (FITS `BMIN`).
    pub minor_deg: f64,
    /// Position angle of the major axis, degrees from north through east (FITS `BPA`).
    pub pa_deg: f64,
}

impl std::fmt::Display for Beam {
    /// `12.3 x 10.1 arcsec, 45.0 deg`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (major, minor) = (3600.0 * self.major_deg, 3600.0 * self.minor_deg);
        write!(f, "{major:.2} x {minor:.2} arcsec, {:.1} deg", self.pa_deg)
    }
}

impl Beam {
    /// The beam in pixels of `pixel_deg` degrees a side.
    pub fn in_pixels(&self, pixel_deg: f64) -> PixelBeam {
        let pixel = pixel_deg.abs();
        PixelBeam { major: self.major_deg / pixel, minor: self.minor_deg / pixel, pa_deg: self.pa_deg }
    }

    /// The covariance of its Gaussian on the sky, degrees squared: east-east, east-north, north-north.
    pub fn covariance(&self) -> [f64; 3] {
        let variance = |fwhm: f64| fwhm * fwhm / (8.0 * std::f64::consts::LN_2);
        let (major, minor) = (variance(self.major_deg), variance(self.minor_deg));
        let (sin, cos) = self.pa_deg.to_radians().sin_cos();
        [major * sin * sin + minor * cos * cos, (major - minor) * sin * cos, major * cos * cos + minor * sin * sin]
    }
}
