//! S/N of an antenna in an interval, and the interval for an S/N.

use super::{Interval, MIN_ANTENNAS, Observation};

/// Degrees of freedom that the solution takes.
const SOLVED_ANTENNAS: f64 = 3.0;

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
