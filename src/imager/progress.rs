//! What an imager or calibrator tells while it works: events, which a progress bar, a log or a test consumes.

use std::sync::Arc;

/// One event of a running program.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// A stage began, e.g. `making the PSF`, `deconvolving (2)`.
    Stage(String),
    /// How much of the present stage is done, 0 to 1.
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
    /// A warning of the program, which it may repeat in each of its calls.
    Warning {
        /// The program's name.
        program: String,
        /// Its words.
        text: String,
    },
}

/// Consumer of events. It is called from the thread that runs the program and should return soon.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// A consumer that drops everything.
pub fn silent() -> ProgressSink {
    Arc::new(|_| {})
}
