//! Rules that compare a round with the last accepted one.

use super::{AcceptanceOptions, EQUALLY_GOOD, Reason, RoundMetrics, Rule, number};

/// Whether a rule limits a fall or a rise, as a fraction of the old value.
enum Limit {
    Fall(f64),
    Rise(f64),
}

/// A quantity of two rounds.
struct Compared<'a> {
    rule: Rule,
    what: &'a str,
    unit: &'a str,
    before: f64,
    after: f64,
}

impl Compared<'_> {
    /// The outcome of a limit on the change; `None` where there is nothing to compare with.
    fn within(&self, allowed: Limit) -> Option<Reason> {
        let (old, new) = (self.before, self.after);
        if old <= 0.0 {
            return None;
        }
        let (passed, limit, sign, fraction) = match allowed {
            Limit::Fall(f) => (new >= (1.0 - f) * old, (1.0 - f) * old, '-', f),
            Limit::Rise(f) => (new <= (1.0 + f) * old, (1.0 + f) * old, '+', f),
        };
        let words = format!(
            "{} {} -> {}{} ({:+.1} %, limit {sign}{} %)",
            self.what,
            number(old),
            number(new),
            self.unit,
            100.0 * (new / old - 1.0),
            number(100.0 * fraction)
        );
        Some(Reason {
            before: Some(old),
            after: Some(new),
            limit: Some(limit),
            ..Reason::plain(self.rule, passed, words)
        })
    }
}

/// Compares a round with the last accepted one.
pub(super) fn comparison(before: &RoundMetrics, after: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    let fall = if after.first_interval {
        options.first_dynamic_range_fall.max(options.dynamic_range_fall)
    } else {
        options.dynamic_range_fall
    };
    let (old, new) = (&before.image, &after.image);
    let of = |rule, what, unit, before, after| Compared { rule, what, unit, before, after };
    let near = options.near_field_snr_fall.zip(old.near_field_snr.zip(new.near_field_snr));
    let (old_dynamic_range, new_dynamic_range) = (old.dynamic_range, new.dynamic_range);
    let beams = old.beam_area_arcsec2.zip(new.beam_area_arcsec2);
    [
        of(Rule::DynamicRange, "dynamic range", "", old.dynamic_range, new.dynamic_range).within(Limit::Fall(fall)),
        near.and_then(|(f, (old, new))| of(Rule::NearField, "near-field S/N", "", old, new).within(Limit::Fall(f)))
            .map(|reason| excused(reason, new.dynamic_range > (1.0 + EQUALLY_GOOD) * old.dynamic_range)),
        options.negative_rise.and_then(|rise| {
            let what = "deepest negative over the peak";
            of(Rule::Negative, what, "", old.negative_ratio, new.negative_ratio).within(Limit::Rise(rise))
        }),
        of(Rule::Rms, "rms", " Jy/beam", old.rms, new.rms)
            .within(Limit::Rise(options.rms_rise))
            .map(|reason| excused(reason, new.dynamic_range >= old.dynamic_range)),
        beams.and_then(|(old, new)| {
            let worth = new_dynamic_range > old_dynamic_range * (new / old).powi(2);
            of(Rule::BeamArea, "beam area", " square arcsec", old, new)
                .within(Limit::Rise(options.beam_area_growth))
                .map(|reason| excused(reason, worth))
        }),
        flux_scale(before, after, options),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Noise is no fault where the image as a whole is better: a source that calibration makes coherent rises more than the
/// noise, and amplitudes may change the scale of both. Nor is a wider beam that weights by amplitude make, where the dynamic
/// range rose by more than the square of its growth: it flatters extended emission by the growth itself at most.
fn excused(mut reason: Reason, better: bool) -> Reason {
    if !reason.passed && better {
        reason.passed = true;
        reason.words.push_str(", but the dynamic range rose");
    }
    reason
}

/// Amplitude solutions may take flux from the sky, or give it more. That is no worse an image, but must be known.
fn flux_scale(before: &RoundMetrics, after: &RoundMetrics, options: &AcceptanceOptions) -> Option<Reason> {
    let (old, new) = (before.image.model?, after.image.model?);
    let (old, new) = (old.total_flux, new.inside_flux?);
    if !after.amplitudes || old <= 0.0 || before.image.masked_pixels.is_none() {
        return None;
    }
    let (change, limit) = (new / old - 1.0, options.flux_drift);
    let words = format!(
        "CLEAN components in the islands of the last mask {} -> {} Jy ({:+.1} %, more than {} % is a drift of the flux scale)",
        number(old),
        number(new),
        100.0 * change,
        number(100.0 * limit)
    );
    let numbers = Reason::plain(Rule::FluxScale, true, words);
    Some(Reason { warning: change.abs() > limit, before: Some(old), after: Some(new), limit: Some(limit), ..numbers })
}
