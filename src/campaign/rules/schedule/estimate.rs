//! S/N of an antenna in an interval, and the interval for an S/N.
//!
//! From the image it follows as in NRAO's auto_selfcal (`get_SNR_self_individual`): the image collects N antennas over
//! the whole time T, a gain is solved from one antenna's baselines over t, and three degrees of freedom go to the
//! solution itself:
//!
//! ```text
//! SNR_antenna(t) = SNR_image / (sqrt(N - 3) sqrt(T / t))
//! ```
//!
//! The image's S/N before calibration is limited by the errors that calibration removes, so this is on the safe side.
//! Once there are tables, the S/N of their solutions takes its place, scaled by sqrt(t).

use super::{ImageSignal, Interval, MIN_ANTENNAS, Observation, Sharing, TermChoice, Tried};
use crate::quality::solutions::TermKind;

/// Degrees of freedom that the solution takes.
pub(super) const SOLVED_ANTENNAS: f64 = 3.0;

/// The S/N of unflagged solutions says little where more than this fraction is flagged: the weak ones are missing.
pub(super) const HARDLY_FLAGGED: f64 = 0.1;

/// S/N of one antenna's gain in `interval_s` of `total_s` seconds; 0 below [`MIN_ANTENNAS`].
pub fn antenna_snr(image_snr: f64, antennas: usize, total_s: f64, interval_s: f64) -> f64 {
    if antennas < MIN_ANTENNAS || total_s <= 0.0 || interval_s <= 0.0 {
        return 0.0;
    }
    image_snr / ((antennas as f64 - SOLVED_ANTENNAS).sqrt() * (total_s / interval_s).sqrt())
}

/// The interval in which one antenna reaches `wanted` S/N, seconds; infinite when none does.
pub fn interval_for_snr(wanted: f64, image_snr: f64, antennas: usize, total_s: f64) -> f64 {
    let of_everything = antenna_snr(image_snr, antennas, total_s, total_s);
    if of_everything <= 0.0 { f64::INFINITY } else { total_s * (wanted / of_everything).powi(2) }
}

/// The shortest interval of at least `seconds`: whole integrations that divide the scan into nearly equal parts, the
/// scan, or everything; `None` when even that is too short.
pub(super) fn round_up(seconds: f64, observation: &Observation) -> Option<Interval> {
    let (scan, integration) = (observation.scan_s(), observation.integration_s);
    // Half an integration of slack for times that do not quite add up.
    if seconds > observation.total_s() + 0.5 * integration {
        return None;
    }
    if seconds > scan + 0.5 * integration {
        return Some(Interval::Everything);
    }
    let integrations = (scan / integration).round().max(1.0);
    let wanted = (seconds / integration - 1e-9).ceil().max(1.0);
    let parts = (integrations / wanted).floor().max(1.0);
    if parts == 1.0 {
        return Some(Interval::Scan);
    }
    // Equal parts: a short rest at the scan's end would be solved from too little data.
    Some(Interval::Seconds((integrations / parts).ceil().min(integrations) * integration))
}

/// The signal of one antenna: the squared S/N that it gathers in a second, all polarisations and windows together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signal {
    per_second: f64,
}

impl Signal {
    /// That of the last tables, or, without any, of the image.
    pub(super) fn of(history: &[Tried], image: &ImageSignal, observation: &Observation) -> Self {
        let measured = history.iter().rev().find_map(|t| Self::measured(t, observation));
        let total = observation.total_s();
        let from_image = || {
            let of_mean = antenna_snr(image.snr(), observation.antennas, total, total).powi(2) / total;
            of_mean * observation.best_over_mean
        };
        Self { per_second: measured.unwrap_or_else(from_image) }
    }

    fn measured(tried: &Tried, observation: &Observation) -> Option<f64> {
        let terms = || {
            tried
                .chain
                .iter()
                .zip(&tried.solutions.terms)
                .filter(|(c, _)| matches!(c.kind, TermKind::Phase | TermKind::Gains))
        };
        let rate = |(choice, stats): (&TermChoice, &crate::quality::solutions::TermStats)| {
            let snr = stats.median_snr.filter(|snr| snr.is_finite() && *snr > 0.0)?;
            Some(snr * snr * parts(choice, observation) / choice.interval.seconds(observation))
        };
        let whole = terms().filter(|(_, s)| s.flagged_fraction < HARDLY_FLAGGED).filter_map(rate).reduce(f64::max);
        whole.or_else(|| terms().filter_map(rate).reduce(f64::max))
    }

    /// Where an antenna gathers this many times as much.
    pub(super) fn times(self, share: f64) -> Self {
        Self { per_second: share * self.per_second }
    }

    /// S/N of an antenna's solution of this term.
    pub(super) fn snr(self, term: &TermChoice, observation: &Observation) -> f64 {
        (self.per_second * term.interval.seconds(observation) / parts(term, observation)).sqrt()
    }

    /// The shortest interval in which a term's solutions reach an S/N; its own interval does not count.
    pub(super) fn reaching(self, wanted: f64, term: &TermChoice, observation: &Observation) -> Option<Interval> {
        let needed = wanted * wanted * parts(term, observation) / self.per_second;
        if needed.is_finite() { round_up(needed, observation) } else { None }
    }
}

/// Solutions that share the data of an interval.
fn parts(term: &TermChoice, observation: &Observation) -> f64 {
    let part = |sharing: Sharing, n: usize| if sharing == Sharing::Each { n.max(1) as f64 } else { 1.0 };
    let channels = if term.kind == TermKind::Bandpass { observation.channels.max(1) as f64 } else { 1.0 };
    channels * part(term.polarisations, observation.polarisations) * part(term.windows, observation.windows)
}
