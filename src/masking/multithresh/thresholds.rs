//! The thresholds of a plane, from its statistics.

use super::MultithreshOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which threshold was the higher one and so decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdKind {
    /// The sidelobe threshold (also when both are equal).
    Sidelobe,
    /// The noise threshold.
    Noise,
}

impl std::fmt::Display for ThresholdKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Sidelobe => "sidelobe",
            Self::Noise => "noise",
        })
    }
}

/// Statistics of a plane, rounded to f32 as CASA hands them on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PlaneStatistics {
    /// Median.
    pub median: f32,
    /// 1.4826 MAD.
    pub sigma: f32,
    /// The pixel farthest from zero, with its sign.
    pub peak: f32,
}

/// Thresholds in the residual's unit, the median included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Thresholds {
    /// The threshold that decides: the higher of `sidelobe` and `noise`.
    pub value: f32,
    /// Which of the two that is.
    pub kind: ThresholdKind,
    /// sidelobethreshold x sidelobe level x peak + median.
    pub sidelobe: f32,
    /// noisethreshold x sigma + median.
    pub noise: f32,
    /// The level at which growing stops: the higher of `sidelobe` and lownoisethreshold x sigma + median.
    pub low_noise: f32,
    /// The level below which absorption lies; meaningful with a negativethreshold above 0.
    pub negative: f32,
}

impl Thresholds {
    /// In f32 and in CASA's order of operations.
    pub fn new(statistics: PlaneStatistics, sidelobe_level: f32, options: &MultithreshOptions) -> Self {
        let PlaneStatistics { median, sigma, peak } = statistics;
        let side = (sidelobe_level * options.sidelobethreshold) * peak.abs();
        let negative = median - side.max(options.negativethreshold * sigma);
        let sidelobe = side + median;
        let noise = options.noisethreshold * sigma + median;
        let low = options.lownoisethreshold * sigma + median;
        let value = sidelobe.max(noise);
        let kind = if value == sidelobe { ThresholdKind::Sidelobe } else { ThresholdKind::Noise };
        Self { value, kind, sidelobe, noise, low_noise: sidelobe.max(low), negative }
    }
}

/// A cut: strictly above a threshold, or strictly below one that is negative. NaN never passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut(pub f32);

#[cfg(test)]
mod tests {
    use super::*;

    impl Cut {
        /// Whether the value passes.
        fn passes(self, value: f32) -> bool {
            if self.0 < 0.0 { value < self.0 } else { value > self.0 }
        }
    }

    fn thresholds(median: f32, sigma: f32, peak: f32) -> Thresholds {
        let options =
            MultithreshOptions { sidelobethreshold: 2.0, negativethreshold: 3.0, ..MultithreshOptions::default() };
        Thresholds::new(PlaneStatistics { median, sigma, peak }, 0.25, &options)
    }

    #[test]
    fn the_higher_one_decides() {
        let t = thresholds(0.5, 1.0, -8.0);
        assert_eq!((t.value, t.kind), (5.5, ThresholdKind::Noise));
        assert_eq!((t.sidelobe, t.noise, t.low_noise, t.negative), (4.5, 5.5, 4.5, -3.5));
        let t = thresholds(0.0, 1.0, 20.0);
        assert_eq!((t.value, t.kind, t.low_noise, t.negative), (10.0, ThresholdKind::Sidelobe, 10.0, -10.0));
    }

    #[test]
    fn a_tie_counts_as_sidelobe() {
        assert_eq!(thresholds(0.0, 1.0, 10.0).kind, ThresholdKind::Sidelobe);
        // A plane of zeros.
        let t = thresholds(0.0, 0.0, 0.0);
        assert_eq!((t.value, t.kind), (0.0, ThresholdKind::Sidelobe));
    }

    #[test]
    fn cuts_are_strict_and_follow_the_sign() {
        assert!(Cut(1.0).passes(1.0f32.next_up()) && !Cut(1.0).passes(1.0));
        assert!(Cut(-1.0).passes((-1.0f32).next_down()) && !Cut(-1.0).passes(-1.0) && !Cut(-1.0).passes(0.0));
        assert!(!Cut(0.0).passes(0.0) && !Cut(-0.0).passes(0.0) && Cut(0.0).passes(1e-30));
        for cut in [-1.0, 0.0, 1.0] {
            assert!(!Cut(cut).passes(f32::NAN));
        }
    }
}
