//! Rules that compare a round with the last accepted one.

use super::{AcceptanceOptions, Reason, RoundMetrics, Rule, number};

/// Compares a round with the last accepted one.
pub(super) fn comparison(before: &RoundMetrics, after: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    /// Whether a rule limits a fall or a rise, as a fraction of the old value.
    enum Limit {
        Fall(f64),
        Rise(f64),
    }
    let mut reasons = Vec::new();
    let mut check = |rule, what: &str, unit: &str, old: f64, new: f64, allowed: Limit| {
        if old <= 0.0 {
            return;
        }
        let change = new / old - 1.0;
        let (passed, limit, sign, fraction) = match allowed {
            Limit::Fall(f) => (new >= (1.0 - f) * old, (1.0 - f) * old, '-', f),
            Limit::Rise(f) => (new <= (1.0 + f) * old, (1.0 + f) * old, '+', f),
        };
        reasons.push(Reason {
            rule,
            passed,
            before: Some(old),
            after: Some(new),
            limit: Some(limit),
            words: format!(
                "{what} {} -> {}{unit} ({:+.1} %, limit {sign}{} %)",
                number(old),
                number(new),
                100.0 * change,
                number(100.0 * fraction)
            ),
        });
    };
    let fall = if after.first_interval {
        options.first_dynamic_range_fall.max(options.dynamic_range_fall)
    } else {
        options.dynamic_range_fall
    };
    let (old, new) = (&before.image, &after.image);
    check(Rule::DynamicRange, "dynamic range", "", old.dynamic_range, new.dynamic_range, Limit::Fall(fall));
    if let (Some(fall), Some(old), Some(new)) = (options.near_field_snr_fall, old.near_field_snr, new.near_field_snr) {
        check(Rule::NearField, "near-field S/N", "", old, new, Limit::Fall(fall));
    }
    check(Rule::Rms, "rms", " Jy/beam", old.rms, new.rms, Limit::Rise(options.rms_rise));
    if let (Some(old), Some(new)) = (old.beam_area_arcsec2, new.beam_area_arcsec2) {
        check(Rule::BeamArea, "beam area", " square arcsec", old, new, Limit::Rise(options.beam_area_growth));
    }
    reasons
}
