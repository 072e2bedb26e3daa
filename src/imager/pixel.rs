//! The size of a pixel as the imagers' options write it.

use std::f64::consts::PI;

const ARCSEC: f64 = PI / 648_000.0;
/// Units of angles as wsclean and CASA write them, longest endings first.
const UNITS: [(&str, f64); 14] = [
    ("uarcsec", 1e-6 * ARCSEC),
    ("marcsec", 1e-3 * ARCSEC),
    ("arcsec", ARCSEC),
    ("arcmin", 60.0 * ARCSEC),
    ("uasec", 1e-6 * ARCSEC),
    ("masec", 1e-3 * ARCSEC),
    ("asec", ARCSEC),
    ("amin", 60.0 * ARCSEC),
    ("uas", 1e-6 * ARCSEC),
    ("mas", 1e-3 * ARCSEC),
    ("degree", 3600.0 * ARCSEC),
    ("deg", 3600.0 * ARCSEC),
    ("mrad", 1e-3),
    ("rad", 1.0),
];

/// An angle in rad; a bare number is in units of `bare` rad. `None`: it cannot be read.
pub(super) fn radians(text: &str, bare: f64) -> Option<f64> {
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(unit, size)| text.strip_suffix(unit).map(|number| (number, *size)));
    let (number, size) = unit.unwrap_or((text, bare));
    number.trim().parse::<f64>().ok().map(|n| n * size).filter(|angle| angle.is_finite() && *angle > 0.0)
}

/// A degree in rad: wsclean's unit of bare numbers.
pub(super) const DEGREE: f64 = 3600.0 * ARCSEC;
/// An arcsecond in rad: CASA's unit of bare numbers.
pub(super) const ARCSECOND: f64 = ARCSEC;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.2asec", 1.2)]
    #[case("2arcsec", 2.0)]
    #[case("5masec", 5e-3)]
    #[case("3 uas", 3e-6)]
    #[case("1amin", 60.0)]
    #[case("0.001", 3.6)]
    fn units_are_known(#[case] text: &str, #[case] arcsec: f64) {
        let angle = radians(text, DEGREE).expect("an angle") / ARCSEC;
        assert!((angle / arcsec - 1.0).abs() < 1e-12, "{angle}");
    }

    #[rstest]
    #[case("asec")]
    #[case("-1asec")]
    #[case("a pixel")]
    fn and_nonsense_is_none(#[case] text: &str) {
        assert_eq!(radians(text, DEGREE), None);
    }
}
