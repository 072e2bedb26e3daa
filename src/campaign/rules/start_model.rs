//! The model that the first calibration of a campaign is solved against, where the first image is none. Pure functions.
//!
//! A compact source whose phases nobody calibrated is smeared over its first image: what was cleaned there is noise. A
//! point at the phase centre is the better start then, and the tables of a first solve tell: flagged solutions first, then
//! their S/N (docs/calibration.md has the measurements). A dynamic range alone accepts a source made of noise, so neither
//! model is taken without solutions that are worth it.

use super::schedule::MIN_ANTENNAS;
use crate::quality::metrics::ImageMetrics;
use crate::quality::solutions::SolutionStats;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An image of a lower S/N (peak over rms) is doubted: the peak of noise alone reaches 5 in a large image.
const DOUBTED_SNR: f64 = 10.0;
/// An image with a deeper negative, as a fraction of its peak, is doubted.
const DOUBTED_NEGATIVE: f64 = 0.5;
/// An image with a deeper negative is no model at all.
const HOPELESS_NEGATIVE: f64 = 1.0;
/// Solutions of random phases reach a median S/N of 3 against a point; those of real sources 8 and more.
const MIN_SOLUTION_SNR: f64 = 5.0;
/// Of the solutions of random phases 0.18 (a solution a scan) to 0.6 (each integration) are flagged; of real sources up to
/// 0.2, where stations are missing at times.
const MAX_FLAGGED: f64 = 0.2;
/// Flagged fractions that differ by less are equal, and the S/N decides: a few solutions of some hundred.
const EQUAL_FLAGGED: f64 = 0.02;

/// A model to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartKind {
    /// The model of the first image.
    Image,
    /// A point at the phase centre.
    Point,
    /// A model that the campaign file names.
    File,
}

impl fmt::Display for StartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "the first image",
            Self::Point => "a point at the phase centre",
            Self::File => "the model of the file",
        })
    }
}

/// A solve against a model to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartTrial {
    /// The model.
    pub model: StartKind,
    /// Solution interval, as given to the calibrator.
    pub solint: String,
    /// Fraction of the solutions that is flagged, 0 to 1; 1 where there is none.
    pub flagged_fraction: f64,
    /// Median S/N of the others; `None`: unknown.
    pub median_snr: Option<f64>,
}

impl StartTrial {
    /// The trial with these statistics.
    pub fn new(model: StartKind, solint: &str, stats: &SolutionStats) -> Self {
        Self {
            model,
            solint: solint.to_owned(),
            flagged_fraction: flagged_fraction(stats),
            median_snr: stats.median_snr,
        }
    }

    /// Its solutions are worth applying. An S/N that the calibrator does not tell cannot vouch for anything.
    fn qualifies(&self) -> bool {
        self.flagged_fraction <= MAX_FLAGGED && self.median_snr.is_some_and(|snr| snr >= MIN_SOLUTION_SNR)
    }

    /// It is better than another one: fewer flagged solutions; where those are equal, a higher S/N.
    fn is_better_than(&self, other: &Self) -> bool {
        let fewer = other.flagged_fraction - self.flagged_fraction;
        if fewer.abs() >= EQUAL_FLAGGED { fewer > 0.0 } else { self.median_snr > other.median_snr }
    }
}

impl fmt::Display for StartTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, solint, flagged_fraction, median_snr } = self;
        write!(f, "{model} with solint {solint}: {:.1} % flagged, ", 100.0 * flagged_fraction)?;
        match median_snr {
            Some(snr) => write!(f, "S/N {snr:.1}"),
            None => f.write_str("S/N unknown"),
        }
    }
}

/// Fraction of the solutions that is flagged, of antennas with any solution: one without (a station of another receiver,
/// a reference that left) says nothing about the model. Of too few antennas, that of all.
fn flagged_fraction(stats: &SolutionStats) -> f64 {
    if stats.solutions == 0 {
        return 1.0;
    }
    let with_any = stats.antennas.iter().filter(|a| a.median_snr.is_some());
    let solved: Vec<f64> = with_any.map(|a| a.flagged_fraction).collect();
    if solved.len() < MIN_ANTENNAS { stats.flagged_fraction } else { solved.iter().sum::<f64>() / solved.len() as f64 }
}

/// What speaks against the first image as a model; `None`: nothing.
pub fn doubt(image: &ImageMetrics) -> Option<String> {
    let doubts = [
        (image.model_is_empty(), "its model is empty".to_owned()),
        (image.masked_pixels == Some(0), "its mask is empty".to_owned()),
        (flux(image) < 0.0, format!("its model has a flux of {:.3e} Jy", flux(image))),
        (snr(image) < DOUBTED_SNR, format!("its S/N is {:.1}, below {DOUBTED_SNR}", snr(image))),
        (
            image.negative_ratio > DOUBTED_NEGATIVE,
            format!("its deepest negative is {:.2} of its peak, above {DOUBTED_NEGATIVE}", image.negative_ratio),
        ),
    ];
    let found: Vec<String> = doubts.into_iter().filter(|(holds, _)| *holds).map(|(_, words)| words).collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// Whether the first image has a model that can be tried.
pub fn has_model(image: &ImageMetrics) -> bool {
    image.model.is_some() && flux(image) > 0.0 && image.negative_ratio <= HOPELESS_NEGATIVE
}

/// Peak over rms.
fn snr(image: &ImageMetrics) -> f64 {
    if image.peak > 0.0 && image.rms > 0.0 { image.peak / image.rms } else { 0.0 }
}

fn flux(image: &ImageMetrics) -> f64 {
    image.model.map_or(0.0, |m| m.total_flux)
}

/// The trial whose model the first calibration takes; `None`: none is worth it.
pub fn choose(trials: &[StartTrial]) -> Option<&StartTrial> {
    let qualified = trials.iter().filter(|t| t.qualifies());
    qualified.reduce(|best, trial| if trial.is_better_than(best) { trial } else { best })
}

/// Why nothing qualified: the trials with their figures, and the limits.
pub fn nothing_to_calibrate_on(trials: &[StartTrial]) -> String {
    let tried: Vec<String> = trials.iter().map(ToString::to_string).collect();
    format!(
        "nothing to calibrate on: {} (at least S/N {MIN_SOLUTION_SNR} and at most {} % flagged are needed)",
        tried.join("; "),
        100.0 * MAX_FLAGGED
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::metrics::ModelMetrics;
    use crate::quality::solutions::AntennaSolutions;

    fn trial(model: StartKind, solint: &str, flagged_fraction: f64, snr: f64) -> StartTrial {
        StartTrial { model, solint: solint.into(), flagged_fraction, median_snr: Some(snr) }
    }

    #[test]
    fn an_antenna_without_any_solution_says_nothing_about_the_model() {
        let antenna = |flagged_fraction| {
            let median_snr = (flagged_fraction < 1.0).then_some(9.0);
            AntennaSolutions { flagged_fraction, median_snr, ..AntennaSolutions::default() }
        };
        let of = |antennas: &[f64]| {
            let antennas = antennas.iter().map(|&f| antenna(f)).collect();
            let stats = SolutionStats { solutions: 50, flagged_fraction: 0.4, antennas, ..SolutionStats::default() };
            StartTrial::new(StartKind::Point, "int", &stats).flagged_fraction
        };
        assert!((of(&[0.1, 0.2, 0.3, 0.2, 1.0]) - 0.2).abs() < 1e-12);
        assert_eq!(of(&[0.1, 0.2, 1.0, 1.0, 1.0]), 0.4);
        assert_eq!(StartTrial::new(StartKind::Point, "int", &SolutionStats::default()).flagged_fraction, 1.0);
    }

    /// First solves of real measurement sets: model, interval, flagged fraction and S/N of each, and what is right.
    #[rstest::rstest]
    // VLA at 36 GHz with raw phases; dynamic range 30 from the point, 12 from the image.
    #[case(&[(StartKind::Point, "inf", 0.0, 39.0), (StartKind::Image, "inf", 0.0, 6.0)], Some(StartKind::Point))]
    // EHT: 44 from the point, 2.6 from the image. The S/N alone picks wrongly.
    #[case(&[(StartKind::Point, "int", 0.2, 8.0), (StartKind::Image, "int", 0.65, 23.0)], Some(StartKind::Point))]
    // VLBA, calibrated: 1207 from the point, 1712 from the image.
    #[case(&[(StartKind::Point, "int", 0.06, 246.0), (StartKind::Image, "int", 0.06, 302.0)], Some(StartKind::Image))]
    // The VLA's data with random phases.
    #[case(&[(StartKind::Point, "inf", 0.18, 3.0), (StartKind::Point, "int", 0.6, 3.0)], None)]
    #[case(&[], None)]
    fn the_first_solve_tells(#[case] tried: &[(StartKind, &str, f64, f64)], #[case] right: Option<StartKind>) {
        let trials: Vec<StartTrial> = tried.iter().map(|(m, s, f, n)| trial(*m, s, *f, *n)).collect();
        assert_eq!(choose(&trials).map(|t| t.model), right);
        let backwards: Vec<StartTrial> = trials.into_iter().rev().collect();
        assert_eq!(choose(&backwards).map(|t| t.model), right);
    }

    #[test]
    fn the_limits_are_part_of_what_qualifies() {
        for (flagged, snr, qualifies) in [(0.2, 5.0, true), (0.21, 5.0, false), (0.2, 4.9, false)] {
            assert_eq!(choose(&[trial(StartKind::Point, "inf", flagged, snr)]).is_some(), qualifies, "{flagged} {snr}");
        }
        let unknown = StartTrial { median_snr: None, ..trial(StartKind::Point, "inf", 0.0, 0.0) };
        assert_eq!(choose(&[unknown]), None);
        let no_solution = StartTrial::new(StartKind::Point, "inf", &SolutionStats::default());
        assert_eq!(choose(&[no_solution]), None);
    }

    fn image(peak: f64, minimum: f64, flux: f64) -> ImageMetrics {
        ImageMetrics {
            rms: 1.0,
            peak,
            minimum,
            negative_ratio: -minimum / peak,
            masked_pixels: Some(20),
            model: Some(ModelMetrics { total_flux: flux, components: 5, ..ModelMetrics::default() }),
            ..ImageMetrics::default()
        }
    }

    #[test]
    fn a_sound_image_is_not_doubted() {
        assert_eq!(doubt(&image(100.0, -20.0, 3.0)), None);
        assert!(has_model(&image(100.0, -20.0, 3.0)));
    }

    #[test]
    fn doubts_are_named_with_their_figures() {
        let empty = ImageMetrics { model: Some(ModelMetrics::default()), ..image(100.0, -20.0, 0.0) };
        let unmasked = ImageMetrics { masked_pixels: Some(0), ..image(100.0, -20.0, 3.0) };
        let doubted = [image(9.0, -2.0, 3.0), image(100.0, -51.0, 3.0), image(100.0, -20.0, -3.0), empty, unmasked];
        let words: Vec<String> = doubted.iter().map(|image| doubt(image).expect("doubted")).collect();
        insta::assert_snapshot!(words.join("\n"), @"
        its S/N is 9.0, below 10
        its deepest negative is 0.51 of its peak, above 0.5
        its model has a flux of -3.000e0 Jy
        its model is empty
        its mask is empty
        ");
        // Of these the third and the fourth are no models at all, as one with a negative deeper than its peak.
        assert_eq!(doubted.each_ref().map(has_model), [true, true, false, false, true]);
        assert!(!has_model(&image(100.0, -101.0, 3.0)));
    }

    #[test]
    fn the_end_says_what_was_tried() {
        let trials = [trial(StartKind::Point, "inf", 0.18, 3.0), trial(StartKind::Image, "int", 0.613, 2.96)];
        insta::assert_snapshot!(nothing_to_calibrate_on(&trials), @"nothing to calibrate on: a point at the phase centre with solint inf: 18.0 % flagged, S/N 3.0; the first image with solint int: 61.3 % flagged, S/N 3.0 (at least S/N 5 and at most 20 % flagged are needed)");
    }
}
