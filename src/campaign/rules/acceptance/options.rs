//! Limits of the acceptance rules.

use crate::options::{Checks, OptionError, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of the acceptance rules. Fractions are of the last accepted round's value: 0.02 is 2 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptanceOptions {
    /// Largest fall of the dynamic range (peak over the standard deviation outside the mask) of an accepted round.
    pub dynamic_range_fall: f64,
    /// The same for the first calibrated round, whose long interval prepares the gains of the next ones.
    pub first_dynamic_range_fall: f64,
    /// Largest fall of the near-field S/N, where the dynamic range rose by no more than 2 %; null: not checked.
    pub near_field_snr_fall: Option<f64>,
    /// Largest rise of the deepest negative over the peak; null: not checked.
    pub negative_rise: Option<f64>,
    /// Largest rise of the noise, where the dynamic range fell.
    pub rms_rise: f64,
    /// Largest growth of the restoring beam's area: flagged long baselines widen the beam.
    pub beam_area_growth: f64,
    /// Largest fraction of flagged gain solutions.
    pub flagged_solutions: f64,
    /// Smallest median S/N of the gain solutions: weaker ones are made of noise.
    pub solution_snr: f64,
    /// A round that solves for amplitudes and changes the model's flux in the islands of the last mask by more than this
    /// is said to change the flux scale; it is not rejected for it.
    pub flux_drift: f64,
    /// A gain in dynamic range below this does not count as progress.
    pub converged_gain: f64,
    /// The campaign has converged after this many accepted rounds in a row without progress; 0 never stops early.
    pub converged_rounds: usize,
    /// The round has diverged when the noise reaches this multiple of the last accepted round's, also relative to the peak.
    pub diverged_rms_factor: f64,
    /// The round has diverged when the model's flux exceeds this multiple of the last accepted round's, unless the noise
    /// fell in proportion: then it was cleaned deeper, as after a shallow first image.
    pub diverged_flux_factor: f64,
    /// Number of times that a rejected round is tried again with relaxed settings before the campaign stops. Intervals that
    /// the program chooses are chosen again until nothing is left to try.
    pub retries: usize,
    /// Try a diverged round again, too, instead of stopping.
    pub retry_diverged: bool,
    /// Factor on the solution interval in a relaxed attempt.
    pub retry_interval_factor: f64,
    /// Factor on the mask's seed level in a relaxed attempt.
    pub retry_mask_factor: f64,
}

impl Default for AcceptanceOptions {
    fn default() -> Self {
        Self {
            dynamic_range_fall: 0.02,
            first_dynamic_range_fall: 0.02,
            near_field_snr_fall: Some(0.1),
            negative_rise: None,
            rms_rise: 0.05,
            beam_area_growth: 0.05,
            flagged_solutions: 0.3,
            solution_snr: 3.0,
            flux_drift: 0.05,
            converged_gain: 0.02,
            converged_rounds: 2,
            diverged_rms_factor: 2.0,
            diverged_flux_factor: 3.0,
            retries: 1,
            retry_diverged: false,
            retry_interval_factor: 2.0,
            retry_mask_factor: 1.3,
        }
    }
}

impl Validate for AcceptanceOptions {
    fn problems(&self) -> Vec<OptionError> {
        let fraction = "a fraction from 0 to 1 (0.02 is 2 %)";
        let not_negative = "a number of at least 0 (0.05 is 5 %)";
        let factor = "a factor above 1";
        let unit = |v: f64| (0.0..=1.0).contains(&v);
        let above = |v: f64| v > 1.0 && v.is_finite();
        let mut checks = Checks::of("acceptance");
        for (key, value) in [
            ("dynamic_range_fall", self.dynamic_range_fall),
            ("first_dynamic_range_fall", self.first_dynamic_range_fall),
            ("near_field_snr_fall", self.near_field_snr_fall.unwrap_or(0.0)),
            ("flagged_solutions", self.flagged_solutions),
        ] {
            checks.check(unit(value), key, value, fraction);
        }
        for (key, value) in [
            ("negative_rise", self.negative_rise.unwrap_or(0.0)),
            ("rms_rise", self.rms_rise),
            ("beam_area_growth", self.beam_area_growth),
            ("flux_drift", self.flux_drift),
            ("converged_gain", self.converged_gain),
        ] {
            checks.check(value >= 0.0, key, value, not_negative);
        }
        let expected = "a number of at least 0 (3: three times the error)";
        checks.check(self.solution_snr >= 0.0, "solution_snr", self.solution_snr, expected);
        for (key, value) in [
            ("diverged_rms_factor", self.diverged_rms_factor),
            ("diverged_flux_factor", self.diverged_flux_factor),
            ("retry_interval_factor", self.retry_interval_factor),
            ("retry_mask_factor", self.retry_mask_factor),
        ] {
            checks.check(above(value), key, value, factor);
        }
        checks.problems()
    }
}
