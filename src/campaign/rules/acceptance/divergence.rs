//! Rules whose failure means that something has gone badly wrong.

use super::{AcceptanceOptions, Reason, RoundMetrics, Rule, number};

/// Rules whose failure means that something has gone badly wrong.
pub(super) fn divergence(before: &RoundMetrics, after: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    if after.fresh_start {
        // Noise and flux of an image that was not trusted are no measure: a source that was smeared over it is found now.
        return Vec::new();
    }
    let mut reasons = Vec::new();
    let mut check = |rule, what: &str, unit: &str, old: f64, new: f64, factor: f64, reached: bool| {
        if old <= 0.0 {
            return;
        }
        let words = format!(
            "{what} {} -> {} {unit} ({:.2} times; diverged {factor} times)",
            number(old),
            number(new),
            new / old
        );
        let reason = Reason::plain(rule, !reached, words);
        reasons.push(Reason { before: Some(old), after: Some(new), limit: Some(factor * old), ..reason });
    };
    let (old, new, factor) = (&before.image, &after.image, options.diverged_rms_factor);
    // Where the peak rises as much, nothing has diverged.
    let relative = new.rms * old.peak >= factor * old.rms * new.peak;
    check(Rule::RmsDiverged, "rms", "Jy/beam", old.rms, new.rms, factor, new.rms >= factor * old.rms && relative);
    // The image before the first calibration is cleaned less deeply than those after it: its flux is no measure.
    if let (Some(old), Some(new)) = (before.image.model, after.image.model)
        && !after.first_interval
    {
        let (old, new, factor) = (old.total_flux, new.total_flux, options.diverged_flux_factor);
        // A deeper clean, not divergence, where the noise falls against the peak: the sidelobes of what a shallow clean
        // left go in proportion. Noise that is cleaned away adds by far more flux.
        let noise = after.image.rms * before.image.peak / (before.image.rms * after.image.peak);
        let deeper = new / old * noise < factor;
        check(Rule::FluxDiverged, "model flux", "Jy", old, new, factor, new > factor * old && !deeper);
    }
    reasons
}
