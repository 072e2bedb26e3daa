//! Pixel, size, weighting and channels of the image, from what is in the data: pure decisions with their reasons.

use std::fmt;

/// A value with its reason.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen<T> {
    pub(crate) value: T,
    pub(crate) why: String,
}

impl<T> Chosen<T> {
    pub(super) fn new(value: T, why: impl Into<String>) -> Self {
        Self { value, why: why.into() }
    }
}

/// Pixels across a beam, the geometric mean of its axes: between the 3 that deconvolution needs and the 5 that cost more.
const PIXELS_A_BEAM: f64 = 4.5;
/// Pixels across the narrow axis of a long beam, at least.
const LEAST_PIXELS: f64 = 3.5;
/// The image is this much wider than the primary beam at half maximum: out to a tenth of its response, where bright
/// sources still have sidelobes in the image.
const PRIMARY_BEAMS: f64 = 1.5;
/// Largest side that is chosen, pixels: eleven images of this size are in 5 GB.
pub(super) const LARGEST: u64 = 10_240;
/// Smallest side, pixels: noise is measured beside the source.
const SMALLEST: u64 = 256;
/// Side where the primary beam is far too wide for one image (very long baselines), pixels: a hundred beams. Wider images
/// of few antennas have deeper sidelobes, as their grid of weights is finer (docs/data.md).
const NARROW: u64 = 512;
/// Largest side that is chosen only because the data reach so far, pixels.
const WIDE: u64 = 4096;
/// Below this frequency the robust weighting is 0, Hz.
const LOW_HZ: f64 = 10e9;
/// With more antennas than this, too.
const MANY_ANTENNAS: usize = 15;

/// What decides the image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// Lowest and highest frequency, Hz.
    pub(crate) band_hz: (f64, f64),
    /// Channels of all windows.
    pub(crate) channels: u64,
    /// Antennas with data.
    pub(crate) antennas: usize,
    /// Full width at half maximum of the primary beam at the lowest frequency, rad; `None`: the dishes are unknown.
    pub(crate) primary_beam_rad: Option<f64>,
    /// Distance at which the width of channels and integrations takes a tenth of a source's peak, rad.
    pub(crate) smeared_rad: f64,
}

impl Observed {
    /// Bandwidth over the middle of the band.
    fn fraction(&self) -> f64 {
        let (low, high) = self.band_hz;
        2.0 * (high - low) / (high + low)
    }

    /// The robust parameter of the weighting; one above 0 is held against the sidelobes that it gives, see [`calmer`].
    pub(super) fn robust(&self) -> Chosen<f64> {
        if self.band_hz.0 < LOW_HZ {
            Chosen::new(0.0, "below 10 GHz: resolution, and a beam with low sidelobes")
        } else if self.antennas > MANY_ANTENNAS {
            Chosen::new(0.0, format!("{} antennas fill the uv plane", self.antennas))
        } else {
            Chosen::new(0.5, format!("few antennas ({}) above 10 GHz: the noise counts more", self.antennas))
        }
    }

    /// Output channels that are joined, and terms of the polynomial over frequency; `None`: one image of the band.
    pub(super) fn channels_out(&self) -> Chosen<Option<(u64, u64)>> {
        let percent = 100.0 * self.fraction();
        let (count, terms) = if percent > 30.0 { (8, 3) } else { (4, 2) };
        if percent <= 5.0 {
            Chosen::new(None, format!("{percent:.2} % of bandwidth: spectra are flat"))
        } else if self.channels < count {
            Chosen::new(None, format!("{percent:.1} % of bandwidth, but only {} channel(s)", self.channels))
        } else {
            Chosen::new(Some((count, terms)), format!("{percent:.1} % of bandwidth: sources have spectra"))
        }
    }
}

/// What is left of a robust weighting above 0, whose point spread function has sidelobes of this standard deviation, when
/// that of robust 0 has `even` ones: noise counts more only where sidelobes do not.
pub(super) fn calmer(robust: Chosen<f64>, sidelobes: f64, even: f64) -> Chosen<f64> {
    if sidelobes <= even {
        return robust;
    }
    let percent = 100.0 * (sidelobes / even - 1.0);
    Chosen::new(0.0, format!("briggs {} would have sidelobes that are {percent:.0} % higher", robust.value))
}

/// The size of a pixel, arcsec, to two digits, for a beam with these axes.
pub(super) fn pixel((major_arcsec, minor_arcsec): (f64, f64)) -> Chosen<f64> {
    let mean = f64::sqrt(major_arcsec * minor_arcsec);
    let exact = (mean / PIXELS_A_BEAM).min(minor_arcsec / LEAST_PIXELS);
    let digit = 10f64.powf(exact.log10().floor() - 1.0);
    let value = (exact / digit).round() * digit;
    let across = |axis: f64| axis / value;
    let why = format!("{:.1} pixels across the beam, {:.1} across its narrow axis", across(mean), across(minor_arcsec));
    Chosen::new(value, why)
}

/// The side of the image, pixels, and whether it covers the primary beam.
pub(super) fn size(observed: &Observed, pixel_arcsec: f64) -> (Chosen<u64>, bool) {
    const ARCSEC: f64 = std::f64::consts::PI / 648_000.0;
    let pixels = |side_rad: f64| side_rad / ARCSEC / pixel_arcsec;
    let wanted = observed.primary_beam_rad.map(|beam| pixels(PRIMARY_BEAMS * beam));
    let smeared = pixels(2.0 * observed.smeared_rad);
    let beam = observed.primary_beam_rad.map_or(0.0, |beam| beam / ARCSEC);
    let covered = wanted.filter(|side| *side <= LARGEST as f64);
    let chosen = match covered {
        Some(side) => Chosen::new(friendly(side), format!("1.5 times the primary beam of {}", Angle(beam))),
        None if observed.antennas > MANY_ANTENNAS && smeared <= WIDE as f64 && smeared > NARROW as f64 => Chosen::new(
            friendly(smeared),
            format!(
                "out to where the channels and integrations smear sources by a tenth, {} from the centre",
                Angle(observed.smeared_rad / ARCSEC)
            ),
        ),
        None => Chosen::new(
            friendly((NARROW as f64).min(smeared)),
            format!("the primary beam ({}) is far wider than one image of these pixels: its middle", Angle(beam)),
        ),
    };
    (chosen, covered.is_some())
}

/// The next even number, at least the smallest, whose only factors are 2, 3 and 5: fast to transform.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Pixels, at least 0.
pub(super) fn friendly(side: f64) -> u64 {
    let smooth = |mut n: u64| {
        for factor in [2, 3, 5] {
            while n.is_multiple_of(factor) {
                n /= factor;
            }
        }
        n == 1
    };
    let mut n = (side.ceil() as u64).clamp(SMALLEST, LARGEST);
    while n % 2 == 1 || !smooth(n) {
        n += 1;
    }
    n
}

/// An angle in arcsec as people write it.
pub(super) struct Angle(pub(super) f64);

impl fmt::Display for Angle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0.0 => f.write_str("0 arcsec"),
            a if a >= 3600.0 => write!(f, "{:.2} degrees", a / 3600.0),
            a if a >= 60.0 => write!(f, "{:.1} arcmin", a / 60.0),
            a if a >= 0.1 => write!(f, "{a:.2} arcsec"),
            a if a >= 1e-4 => write!(f, "{:.2} mas", 1e3 * a),
            a => write!(f, "{:.1} uas", 1e6 * a),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn vla() -> Observed {
        Observed {
            band_hz: (1.0e9, 2.0e9),
            channels: 64,
            antennas: 27,
            primary_beam_rad: Some(0.0146),
            smeared_rad: 1.0,
        }
    }

    #[rstest]
    #[case(1.0, 256)]
    #[case(257.0, 270)]
    #[case(1000.0, 1000)]
    #[case(1001.0, 1024)]
    #[case(1e9, 10_240)]
    fn sizes_are_fast_to_transform(#[case] wanted: f64, #[case] side: u64) {
        assert_eq!(friendly(wanted), side);
    }

    #[rstest]
    #[case(5.4, 5.4)]
    #[case(1.8, 1.37)]
    #[case(0.0009, 0.0006)]
    #[case(2.1e-5, 2.1e-5)]
    fn a_beam_is_four_to_five_pixels_wide(#[case] major: f64, #[case] minor: f64) {
        let across = f64::sqrt(major * minor) / pixel((major, minor)).value;
        assert!((4.0..=5.0).contains(&across), "{across}");
    }

    #[test]
    fn a_long_beam_has_three_pixels_across_at_least() {
        let across = 1.0 / pixel((5.0, 1.0)).value;
        assert!((3.3..=3.7).contains(&across), "{across}");
    }

    #[test]
    fn few_antennas_have_a_weighting_of_low_sidelobes() {
        let few = || Observed { band_hz: (15e9, 16e9), antennas: 8, ..vla() }.robust();
        // Standard deviations of a VLBA and an EHT set.
        assert_eq!(calmer(few(), 0.0444, 0.0469), few());
        let calm = calmer(few(), 0.1296, 0.1084);
        assert_eq!((calm.value, calm.why.as_str()), (0.0, "briggs 0.5 would have sidelobes that are 20 % higher"));
    }

    #[test]
    fn the_primary_beam_is_in_the_image_where_that_is_possible() {
        let (covering, covers) = size(&vla(), 1.2);
        assert_eq!((covering.value, covers), (3840, true));
        // Long baselines: as far as the data reach, or the middle.
        let long = Observed { smeared_rad: 1e-5, ..vla() };
        let (reached, covers) = size(&long, 2e-3);
        assert_eq!(size(&Observed { antennas: 8, ..long }, 2e-3).0.value, 512);
        assert_eq!((reached.value, covers), (2160, false));
        insta::assert_snapshot!(reached.why, @"out to where the channels and integrations smear sources by a tenth, 2.06 arcsec from the centre");
        assert_eq!(size(&Observed { primary_beam_rad: None, smeared_rad: 1e-3, ..vla() }, 2e-5).0.value, 512);
    }

    #[test]
    fn channels_are_joined_where_spectra_show() {
        assert_eq!(vla().channels_out().value, Some((8, 3)));
        assert_eq!(Observed { band_hz: (1.4e9, 1.5e9), ..vla() }.channels_out().value, Some((4, 2)));
        assert_eq!(Observed { band_hz: (1.4e9, 1.5e9), channels: 3, ..vla() }.channels_out().value, None);
        assert_eq!(Observed { band_hz: (36.3e9, 36.4e9), ..vla() }.channels_out().value, None);
        assert_eq!(vla().robust().value, 0.0);
        assert_eq!(Observed { band_hz: (43e9, 44e9), antennas: 10, ..vla() }.robust().value, 0.5);
    }
}
