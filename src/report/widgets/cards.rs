//! The cards of an image's metrics.

use super::Card;
use crate::quality::metrics::ImageMetrics;
use crate::report::numbers::{flux, grouped, percent, significant, with_unit};

/// The most important metrics, compared with those of round 0 in `first`.
pub(crate) fn of_metrics(metrics: &ImageMetrics, first: Option<&ImageMetrics>) -> Vec<Card> {
    let compared = |now: f64, then: Option<f64>| match then.filter(|t| *t > 0.0 && now > 0.0) {
        Some(then) => format!("{} × round 0", significant(now / then, 3)),
        None => String::new(),
    };
    let mut cards = vec![
        Card::new("Dynamic range", significant(metrics.dynamic_range, 4))
            .noted(compared(metrics.dynamic_range, first.map(|f| f.dynamic_range))),
        Card::new("Noise (rms)", flux(metrics.rms)).noted(compared(metrics.rms, first.map(|f| f.rms))),
        Card::new("Peak", flux(metrics.peak)).noted(compared(metrics.peak, first.map(|f| f.peak))),
        Card::new("Negative peak", flux(metrics.minimum))
            .noted(format!("{} of the peak", percent(metrics.negative_ratio))),
    ];
    if let Some(model) = metrics.model {
        let components = format!("{} components", grouped(model.components));
        cards.push(Card::new("Model flux", with_unit(model.total_flux, "Jy")).noted(components));
    }
    if let Some(n) = metrics.masked_pixels {
        let fraction = metrics.masked_fraction.map(percent).unwrap_or_default();
        cards.push(Card::new("Masked", format!("{} px", grouped(n))).noted(fraction));
    }
    cards
}
