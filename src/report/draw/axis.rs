//! The value axis of a chart.

use crate::report::numbers::{log_ticks, ticks};

/// Values that span more than this ratio are drawn on a logarithmic axis.
pub(super) const LOG_FROM_RATIO: f64 = 30.0;

/// From values to places between 0 (low) and 1 (high).
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// Logarithmic; `low` and `high` are then positive.
    pub(super) log: bool,
}

impl Axis {
    pub(super) fn new(low: f64, high: f64, log: bool) -> Self {
        if log {
            return Self { low: low / 1.25, high: high * 1.25, log };
        }
        // Curves that stay of one sign start at zero unless they vary little.
        let (low, high) = match (low, high) {
            (l, h) if l >= 0.0 && l < 0.6 * h => (0.0, h),
            (l, h) if h <= 0.0 && h > 0.6 * l => (l, 0.0),
            other => other,
        };
        let margin = if high > low { 0.08 * (high - low) } else { 0.1 * high.abs().max(f64::MIN_POSITIVE) };
        let (low_margin, high_margin) =
            (if low == 0.0 { 0.0 } else { margin }, if high == 0.0 && low < 0.0 { 0.0 } else { margin });
        let (low, high) = (low - low_margin, high + high_margin);
        if high > low { Self { low, high, log } } else { Self { low: low - 1.0, high: high + 1.0, log } }
    }

    pub(super) fn place(&self, v: f64) -> f64 {
        if self.log {
            (v.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (v - self.low) / (self.high - self.low)
        }
    }

    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.log { log_ticks(self.low, self.high) } else { ticks(self.low, self.high, 4) }
    }
}
