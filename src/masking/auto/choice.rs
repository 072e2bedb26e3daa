//! The levels of an automatic mask, chosen from the state of the image.

use super::options::{AutoMaskOptions, Span};
use super::state::ImageState;
use crate::masking::MaskingOptions;
use serde::{Deserialize, Serialize};

/// The box of the minimum absolute clip is enlarged at most this many times inside extended emission.
const ADAPTIVE_DEPTH: usize = 3;

/// Options for an automatic mask, and the reason for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AutoChoice {
    /// Strength of the artefacts: 0 none, 1 the worst.
    pub artefacts: f64,
    /// Options of flint's pipeline.
    pub masking: MaskingOptions,
    /// Why, with the numbers.
    pub why: String,
}

/// Chooses the options for an image in this state. `base` gives what is not about levels (erosion, scales);
/// `caution` multiplies the levels: 1, or more for a more cautious mask.
pub fn choose(base: &MaskingOptions, state: &ImageState, caution: f64, options: &AutoMaskOptions) -> AutoChoice {
    let by_ratio = position(state.negative_ratio, options.levels.negative_ratio);
    let by_excess = position(state.negative_excess, options.levels.negative_excess);
    // Deep negatives are artefacts only where both agree: in a faint field noise alone makes a large ratio, and beside a
    // strong source, an excess well below its peak does not matter.
    let artefacts = by_ratio.min(by_excess);
    let numbers = format!(
        "the most negative pixel is {:.2} % of the peak and {:.1} times what noise would make",
        100.0 * state.negative_ratio,
        state.negative_excess
    );
    // The pipeline scale by scale knows the minimum absolute clip only.
    if by_excess <= 0.0 && !base.convolve_first {
        let masking = MaskingOptions {
            flood_fill: true,
            flood_fill_use_mac: false,
            flood_fill_positive_seed_clip: options.levels.local_seed * caution,
            flood_fill_positive_flood_clip: options.levels.local_flood * caution,
            ..base.clone()
        };
        let why = format!(
            "{numbers}: no artefacts, so seeds are {:.2} and growth {:.2} times the local noise",
            masking.flood_fill_positive_seed_clip, masking.flood_fill_positive_flood_clip
        );
        return AutoChoice { artefacts, masking, why };
    }
    let between = |span: Span| span.none + artefacts * (span.worst - span.none);
    let masking = MaskingOptions {
        flood_fill: true,
        flood_fill_use_mac: true,
        flood_fill_use_mac_box_size: (between(options.levels.box_beams) * state.fwhm).round().max(3.0) as usize,
        flood_fill_use_mac_adaptive_max_depth: Some(ADAPTIVE_DEPTH),
        flood_fill_positive_seed_clip: between(options.levels.seed_factor) * caution,
        flood_fill_positive_flood_clip: between(options.levels.flood_factor) * caution,
        grow_low_snr_island: false,
        ..base.clone()
    };
    let why = format!(
        "{numbers}: minimum absolute clip, seeds {:.2} and growth {:.2} times the deepest pixel in boxes of {} pixels",
        masking.flood_fill_positive_seed_clip,
        masking.flood_fill_positive_flood_clip,
        masking.flood_fill_use_mac_box_size
    );
    AutoChoice { artefacts, masking, why }
}

/// The place of `value` between none (0) and the worst (1), on a logarithmic scale.
fn position(value: f64, Span { worst, none }: Span) -> f64 {
    if value <= none { 0.0 } else { ((value / none).ln() / (worst / none).ln()).clamp(0.0, 1.0) }
}
