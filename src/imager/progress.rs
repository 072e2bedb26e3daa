//! Events of a running imager or calibrator, which a progress bar, a log or a test consumes.

use std::sync::Arc;

/// One event of a running program.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// A stage began, e.g. `making the PSF`, `deconvolving (2)`.
    Stage(String),
    /// Part of the present stage that is done, 0 to 1.
    Fraction(f64),
    /// The highest residual so far, and what has been done to bring it down.
    Peak {
        /// Peak of the residual inside the mask, Jy/beam.
        jy: f64,
        /// Minor iterations done in this call.
        iterations: u64,
    },
    /// Something worth a line in the log.
    Message(String),
    /// A warning of the program, once per call; it may come again with each call.
    Warning(ImagerWarning),
}

/// A warning of an imager.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImagerWarning {
    /// The program.
    pub program: &'static str,
    /// Its subject, as far as it is known.
    pub kind: WarningKind,
    /// The program's own text.
    pub text: String,
}

/// Subject of an imager's warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// The measurement set has no usable `WEIGHT_SPECTRUM`: the coarser `WEIGHT` is used.
    NoWeightSpectrum,
    /// Any other.
    Other,
}

/// Consumer of events. It is called from the thread that runs the program and should return soon.
pub(crate) type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// A consumer that drops everything.
pub(crate) fn silent() -> ProgressSink {
    Arc::new(|_| {})
}
