//! Fields that are too small for wsclean's w-gridder.

use super::options::WscleanOptions;
use crate::imager::pixel;

/// The gridder that needs images of some size.
const W_GRIDDER: &str = "wgridder";
/// The one that does not.
const W_STACKING: &str = "wstacking";
/// Pixels smaller than this, rad, are left to w-stacking: 10 µas.
const SMALLEST_PIXEL: f64 = 10e-6 * pixel::ARCSECOND;
/// So are images narrower than this, rad: 2.5 mas. With wsclean 3.1 images of an EHT set, 64 to 2048 pixels wide, are zeros
/// or NaN up to 2.05 mas and right from 2.2 mas on: below, l² + m² at the edge is lost beside the 1 in √(1 − l² − m²).
const NARROWEST_IMAGE: f64 = 2.5e-3 * pixel::ARCSECOND;

impl WscleanOptions {
    /// The image is one of which wsclean's w-gridder makes zeros, and the w-gridder is asked for.
    pub(crate) fn defeats_gridder(&self) -> bool {
        let small = pixel::radians(&self.scale, pixel::DEGREE)
            .is_some_and(|pixel| pixel < SMALLEST_PIXEL || pixel * self.size as f64 <= NARROWEST_IMAGE);
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

    #[rstest]
    #[case("2.5asec", 1024, false)]
    #[case("0.005mas", 1024, true)]
    #[case("0.0101mas", 1024, false)]
    #[case("0.0101mas", 240, true)]
    #[case("0.02mas", 128, false)]
    #[case("0.02mas", 64, true)]
    fn small_fields_need_w_stacking(#[case] scale: &str, #[case] size: u64, #[case] small: bool) {
        let mut options = WscleanOptions { scale: scale.into(), size, ..WscleanOptions::default() };
        assert_eq!(options.defeats_gridder(), small);
        options.use_w_stacking();
        assert!(!options.defeats_gridder());
    }
}
