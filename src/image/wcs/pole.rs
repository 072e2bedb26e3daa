//! Where the native coordinates of a projection are on the sky (FITS WCS paper II, section 2.4).

use super::{Matrix, SkyPosition, WcsError};

/// Rounding of degrees and sines, as in wcslib's `celset`.
const TOLERANCE: f64 = 1e-10;
/// LATPOLE without the keyword.
const DEFAULT_LATPOLE: f64 = 90.0;

/// What decides how a projection lies on the sky; all in degrees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fiducial {
    /// Whether the reference point is the native pole (else it is the origin of native longitude and latitude).
    pub(super) at_pole: bool,
    /// Celestial position of the reference point (CRVAL).
    pub(super) reference: SkyPosition,
    /// Native longitude of the celestial pole.
    pub(super) lonpole: Option<f64>,
    /// Which of two possible latitudes the native pole gets: the nearer to this one.
    pub(super) latpole: Option<f64>,
}

impl Fiducial {
    /// The matrix that takes native vectors to celestial ones.
    ///
    /// # Errors
    /// No orientation fits the reference point.
    pub(super) fn to_celestial(self) -> Result<Matrix, WcsError> {
        let theta = if self.at_pole { 90.0 } else { 0.0 };
        let phi_p = self.lonpole.unwrap_or(if self.reference.lat_deg >= theta { 0.0 } else { 180.0 });
        let pole = if self.at_pole { self.reference } else { self.native_pole(phi_p)? };
        let ((sp, cp), (sa, ca)) = (sin_cos(phi_p), sin_cos(pole.lon_deg));
        let (sd, cd) = sin_cos(pole.lat_deg);
        // Along the celestial pole's meridian, across it, and up: (cos theta cos(phi - phi_p), cos theta sin(phi - phi_p),
        // sin theta); then tilted to the celestial pole, then turned to its longitude.
        let along = [cp, sp, 0.0];
        let across = [-sp, cp, 0.0];
        let up = [0.0, 0.0, 1.0];
        let row = |k: [f64; 3]| std::array::from_fn(|j| k[0] * along[j] + k[1] * across[j] + k[2] * up[j]);
        // In the frame of the pole's longitude: (cd up - sd along, -across, sd up + cd along).
        Ok([row([-sd * ca, sa, cd * ca]), row([-sd * sa, -ca, cd * sa]), row([cd, 0.0, sd])])
    }

    /// Celestial position of the native pole, for a reference point on the native equator.
    fn native_pole(self, phi_p: f64) -> Result<SkyPosition, WcsError> {
        let (lon0, lat0) = (self.reference.lon_deg, self.reference.lat_deg);
        let ((sin_p, cos_p), (sin_0, cos_0)) = (sin_cos(phi_p), sin_cos(lat0));
        let lat = pole_latitude(sin_0, cos_p, lat0, self.latpole.unwrap_or(DEFAULT_LATPOLE)).ok_or_else(|| {
            WcsError::Unusable(format!(
                "no orientation of the projection has LONPOLE = {phi_p} at CRVAL2 = {lat0} (FITS WCS paper II, equation 8)"
            ))
        })?;
        let (sin, cos) = sin_cos(lat);
        let product = cos * cos_0;
        let lon = if product.abs() >= TOLERANCE {
            lon0 - (sin_p / cos_0).atan2(-sin * sin_0 / product).to_degrees()
        } else if cos_0.abs() < TOLERANCE {
            // The celestial pole is the reference point.
            lon0
        } else if lat > 0.0 {
            lon0 + phi_p - 180.0
        } else {
            lon0 - phi_p
        };
        Ok(SkyPosition { lon_deg: lon, lat_deg: lat })
    }
}

/// Latitude of the native pole: of the two that put the reference point at `lat0`, the nearer to `wanted`.
fn pole_latitude(sin_0: f64, cos_p: f64, lat0: f64, wanted: f64) -> Option<f64> {
    if cos_p == 0.0 {
        // The reference point is on the celestial equator whatever the latitude.
        return (sin_0 == 0.0).then(|| wanted.clamp(-90.0, 90.0));
    }
    let sine = sin_0 / cos_p.abs();
    if sine.abs() > 1.0 + TOLERANCE {
        return None;
    }
    let middle = if cos_p > 0.0 { 0.0 } else { 180.0 };
    // The arc cosine loses digits where it is steep.
    let away = if cos_p.abs() == 1.0 { 90.0 - lat0 } else { sine.clamp(-1.0, 1.0).acos().to_degrees() };
    let wrapped = |v: f64| {
        if v > 180.0 {
            v - 360.0
        } else if v < -180.0 {
            v + 360.0
        } else {
            v
        }
    };
    let (first, second) = (wrapped(middle + away), wrapped(middle - away));
    let fits = |v: f64| v.abs() < 90.0 + TOLERANCE;
    let nearer_first = (wanted - first).abs() < (wanted - second).abs();
    let order = if nearer_first { [first, second] } else { [second, first] };
    order.into_iter().find(|&v| fits(v)).map(|v| v.clamp(-90.0, 90.0))
}

/// Sine and cosine of degrees, exact at multiples of 90.
fn sin_cos(degrees: f64) -> (f64, f64) {
    match degrees.rem_euclid(360.0) {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        _ => degrees.to_radians().sin_cos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::wcs::apply;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_reference_point_is_where_it_should_be(
            lon in 0.0..360.0f64, lat in -90.0..90.0f64, at_pole: bool, latpole in -90.0..90.0f64
        ) {
            let reference = SkyPosition { lon_deg: lon, lat_deg: lat };
            let fiducial = Fiducial { at_pole, reference, lonpole: None, latpole: Some(latpole) };
            let native = if at_pole { [0.0, 0.0, 1.0] } else { [1.0, 0.0, 0.0] };
            let found = SkyPosition::from_vector(apply(&fiducial.to_celestial().unwrap(), native));
            prop_assert!(found.separation(reference) < 1e-6, "{found:?} {reference:?}");
        }
    }

    #[test]
    fn an_impossible_orientation_is_refused() {
        let reference = SkyPosition { lon_deg: 0.0, lat_deg: 60.0 };
        let fiducial = Fiducial { at_pole: false, reference, lonpole: Some(80.0), latpole: None };
        assert!(matches!(fiducial.to_celestial(), Err(WcsError::Unusable(_))));
    }
}
