//! Fields that are too small for wsclean's w-gridder.

use super::options::WscleanOptions;

/// The gridder that needs images of some size.
const W_GRIDDER: &str = "wgridder";
/// The one that does not.
const W_STACKING: &str = "wstacking";
/// Pixels smaller than this, arcsec, are left to w-stacking.
const SMALLEST_PIXEL: f64 = 10e-6;
/// So are images narrower than this, arcsec. With wsclean 3.1 images of an EHT set, 64 to 2048 pixels wide, are zeros or NaN
/// up to 2.05 mas and right from 2.2 mas on: below, l² + m² at the edge is lost beside the 1 in √(1 − l² − m²).
const NARROWEST_IMAGE: f64 = 2.5e-3;

/// Units of wsclean's option `scale`, arcsec.
const UNITS: [(&str, f64); 11] = [
    ("marcsec", 1e-3),
    ("arcsec", 1.0),
    ("arcmin", 60.0),
    ("masec", 1e-3),
    ("asec", 1.0),
    ("amin", 60.0),
    ("mas", 1e-3),
    ("deg", 3600.0),
    ("rad", 3600.0 * 180.0 / std::f64::consts::PI),
    ("d", 3600.0),
    ("", 3600.0),
];

impl WscleanOptions {
    /// Side of a pixel, arcsec; `None`: wsclean does not understand it, and will say so.
    pub(crate) fn pixel_arcsec(&self) -> Option<f64> {
        let text = self.scale.trim().to_lowercase();
        let (number, factor) = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
        number.trim().parse::<f64>().ok().map(|n| n * factor)
    }

    /// The image is one of which wsclean's w-gridder makes zeros, and the w-gridder is asked for.
    pub(crate) fn defeats_gridder(&self) -> bool {
        let small = self.pixel_arcsec().is_some_and(|pixel| {
            pixel > 0.0 && (pixel < SMALLEST_PIXEL || pixel * self.size as f64 <= NARROWEST_IMAGE)
        });
        small && self.gridder.as_deref() == Some(W_GRIDDER)
    }

    /// Takes w-stacking in place of the w-gridder.
    pub(crate) fn use_w_stacking(&mut self) {
        self.gridder = Some(W_STACKING.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn options(scale: &str, size: u64) -> WscleanOptions {
        WscleanOptions { scale: scale.into(), size, ..WscleanOptions::default() }
    }

    #[rstest]
    #[case("2.5asec", Some(2.5))]
    #[case("0.5 mas", Some(5e-4))]
    #[case("2masec", Some(2e-3))]
    #[case("1amin", Some(60.0))]
    #[case("0.001deg", Some(3.6))]
    #[case("0.001", Some(3.6))]
    #[case("wide", None)]
    fn a_pixel_has_its_unit(#[case] scale: &str, #[case] arcsec: Option<f64>) {
        match (options(scale, 1).pixel_arcsec(), arcsec) {
            (Some(found), Some(expected)) => assert!((found / expected - 1.0).abs() < 1e-12, "{found}"),
            (found, expected) => assert_eq!(found, expected),
        }
    }

    #[rstest]
    #[case("2.5asec", 1024, false)]
    #[case("0.005mas", 1024, true)]
    #[case("0.01mas", 1024, false)]
    #[case("0.01mas", 250, true)]
    #[case("0.02mas", 128, false)]
    #[case("0.02mas", 64, true)]
    fn small_fields_need_w_stacking(#[case] scale: &str, #[case] size: u64, #[case] small: bool) {
        let mut options = options(scale, size);
        assert_eq!(options.defeats_gridder(), small);
        options.use_w_stacking();
        assert!(!options.defeats_gridder());
    }
}
