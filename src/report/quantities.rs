//! The quantities that tables and curves of rounds show.

use crate::campaign::record::RoundRecord;
use crate::quality::metrics::ImageMetrics;

/// One number of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    /// Heading of its column and title of its curve.
    pub(crate) name: &'static str,
    /// Unit without prefix; empty for plain numbers.
    pub(crate) unit: &'static str,
    /// One line of explanation.
    pub(crate) explanation: &'static str,
    /// Its value, in `unit`.
    pub(crate) of: fn(&RoundRecord) -> Option<f64>,
}

/// The metrics of a round's images, if they were measured.
pub(crate) fn metrics_of(round: &RoundRecord) -> Option<&ImageMetrics> {
    round.metrics.as_ref()
}

/// Masked pixels of a round, as counted with its mask or its image.
fn masked_pixels(round: &RoundRecord) -> Option<f64> {
    let of_mask = || round.mask.as_ref().map(|m| m.pixels).filter(|n| *n > 0);
    metrics_of(round).and_then(|m| m.masked_pixels).or_else(of_mask).map(|n| n as f64)
}

/// Flagged gain solutions of a round, percent.
fn flagged_solutions(round: &RoundRecord) -> Option<f64> {
    let known = round.solutions.as_ref().filter(|s| s.solutions > 0 || s.flagged_fraction > 0.0)?;
    Some(100.0 * known.flagged_fraction)
}

/// Quantities in the table of all rounds, each with a curve from round to round.
pub(crate) const MAIN: [Quantity; 9] = [
    Quantity {
        name: "Noise (rms)",
        unit: "Jy/beam",
        explanation: "robust noise of the residual outside the mask",
        of: |r| Some(metrics_of(r)?.rms),
    },
    Quantity {
        name: "Dynamic range",
        unit: "",
        explanation: "peak of the image over the standard deviation of the residual outside the mask",
        of: |r| Some(metrics_of(r)?.dynamic_range),
    },
    Quantity {
        name: "Near-field S/N",
        unit: "",
        explanation: "peak over the noise in an annulus around it",
        of: |r| metrics_of(r)?.near_field_snr,
    },
    Quantity {
        name: "Peak",
        unit: "Jy/beam",
        explanation: "brightest pixel of the image",
        of: |r| Some(metrics_of(r)?.peak),
    },
    Quantity {
        name: "Negative peak",
        unit: "Jy/beam",
        explanation: "most negative pixel of the image",
        of: |r| Some(metrics_of(r)?.minimum),
    },
    Quantity { name: "Masked pixels", unit: "", explanation: "pixels inside the clean mask", of: masked_pixels },
    Quantity {
        name: "Model flux",
        unit: "Jy",
        explanation: "sum of the CLEAN components",
        of: |r| Some(metrics_of(r)?.model?.total_flux),
    },
    Quantity {
        name: "Flux outside",
        unit: "Jy",
        explanation: "sum of |components| outside the islands of earlier rounds",
        of: |r| metrics_of(r)?.model?.outside_flux,
    },
    Quantity {
        name: "Flagged solutions",
        unit: "%",
        explanation: "gain solutions that are flagged",
        of: flagged_solutions,
    },
];

/// Further quantities, on the page of a round only.
pub(crate) const DETAILED: [Quantity; 7] = [
    Quantity {
        name: "Noise (standard deviation)",
        unit: "Jy/beam",
        explanation: "standard deviation of the residual outside the mask, safe against single bad regions",
        of: |r| Some(metrics_of(r)?.noise),
    },
    Quantity {
        name: "S/N",
        unit: "",
        explanation: "peak of the image over the robust noise",
        of: |r| Some(metrics_of(r)?.snr),
    },
    Quantity {
        name: "Near-field noise",
        unit: "Jy/beam",
        explanation: "noise in an annulus around the peak",
        of: |r| metrics_of(r)?.near_field_rms,
    },
    Quantity {
        name: "Masked fraction",
        unit: "%",
        explanation: "masked pixels over valid pixels",
        of: |r| Some(100.0 * metrics_of(r)?.masked_fraction?),
    },
    Quantity {
        name: "Components",
        unit: "",
        explanation: "model pixels that are not 0",
        of: |r| Some(metrics_of(r)?.model?.components as f64),
    },
    Quantity {
        name: "Negative components",
        unit: "%",
        explanation: "negative flux over all |flux| of the model",
        of: |r| Some(100.0 * metrics_of(r)?.model?.negative_fraction),
    },
    Quantity {
        name: "Beam area",
        unit: "arcsec²",
        explanation: "solid angle of the restoring beam",
        of: |r| metrics_of(r)?.beam_area_arcsec2,
    },
];
