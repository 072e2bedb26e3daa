//! The model as a text that DP3 reads: components in patches.

use super::FacetDirection;
use crate::image::SkyPosition;
use std::fmt::Write;

/// The keys of the lines. DP3 knows such a text by the end of its file's name, `.txt`.
const FORMAT: &str = "Format = Name, Type, Patch, Ra, Dec, I, SpectralIndex, LogarithmicSI, ReferenceFrequency, MajorAxis, \
                      MinorAxis, Orientation";

/// A point source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SkyComponent {
    /// Its position, J2000.
    pub(super) at: SkyPosition,
    /// Its flux, Jy.
    pub(super) flux_jy: f64,
}

/// The text of a model with the components of each direction; fluxes are the same at all frequencies.
pub(super) fn text(directions: &[FacetDirection], components: &[Vec<SkyComponent>], reference_hz: f64) -> String {
    let mut text = format!("{FORMAT}\n");
    for direction in directions {
        let at = SkyPosition { lon_deg: direction.ra_deg, lat_deg: direction.dec_deg };
        let _ = writeln!(text, " , , {}, {}, {}", direction.name, right_ascension(at), declination(at));
    }
    for (direction, own) in directions.iter().zip(components) {
        for (number, SkyComponent { at, flux_jy }) in own.iter().enumerate() {
            let _ = writeln!(
                text,
                "{name}s{number}, POINT, {name}, {}, {}, {flux_jy}, [], false, {reference_hz}, , , ",
                right_ascension(*at),
                declination(*at),
                name = direction.name,
            );
        }
    }
    text
}

/// Right ascension in hours, minutes and seconds.
fn right_ascension(at: SkyPosition) -> String {
    sexagesimal(at.lon_deg.rem_euclid(360.0) / 15.0, ':', 9)
}

/// Declination in degrees, minutes and seconds, with dots between them: that tells it from hours.
fn declination(at: SkyPosition) -> String {
    let sign = if at.lat_deg < 0.0 { "-" } else { "" };
    format!("{sign}{}", sexagesimal(at.lat_deg.abs(), '.', 8))
}

/// A value of 0 or more in sixtieths, with so many digits of the seconds.
fn sexagesimal(value: f64, separator: char, digits: usize) -> String {
    let unit = 10f64.powi(i32::try_from(digits).unwrap_or(9));
    // Rounded once, so that no part comes out as 60.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Below 360 * 3600 * 10^9.
    let total = (value * 3600.0 * unit).round() as u64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A power of ten.
    let unit = unit as u64;
    let (seconds, fraction) = (total / unit, total % unit);
    let (whole, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{whole}{separator}{minutes:02}{separator}{seconds:02}.{fraction:0digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_come_first_and_components_name_theirs() {
        let direction = |name: &str, ra_deg, dec_deg| FacetDirection { ra_deg, dec_deg, ..FacetDirection::named(name) };
        let directions = [direction("Dir0", 180.0, 40.0), direction("Dir1", -0.5, -0.25)];
        let component = |lon_deg, lat_deg, flux_jy| SkyComponent { at: SkyPosition { lon_deg, lat_deg }, flux_jy };
        let components = [vec![component(180.5, 39.999_999_999_9, 1.5)], vec![component(-0.5, -0.25, -2e-4)]];
        insta::assert_snapshot!(text(&directions, &components, 1.4e9), @r"
        Format = Name, Type, Patch, Ra, Dec, I, SpectralIndex, LogarithmicSI, ReferenceFrequency, MajorAxis, MinorAxis, Orientation
         , , Dir0, 12:00:00.000000000, 40.00.00.00000000
         , , Dir1, 23:58:00.000000000, -0.15.00.00000000
        Dir0s0, POINT, Dir0, 12:02:00.000000000, 39.59.59.99999964, 1.5, [], false, 1400000000, , , 
        Dir1s0, POINT, Dir1, 23:58:00.000000000, -0.15.00.00000000, -0.0002, [], false, 1400000000, , , 
        ");
    }
}
