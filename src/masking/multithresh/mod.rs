//! CASA's auto-multithresh, plane by plane, with the state that tclean keeps.
//!
//! Reproduces casatasks 6.7.0.31 (`SDMaskHandler::autoMaskByMultiThreshold`; Kepley et al. 2020, PASP 132, 024505)
//! pixel for pixel. The algorithm, every parameter and what differs from other implementations is described in
//! `docs/automask.md`; each rule is a function here:
//!
//! - [`options`]: tclean's parameters and the observatories' sets of them;
//! - [`statistics`]: median and MAD, Chauvenet clipping;
//! - [`thresholds`]: which of sidelobes and noise limits, and how a cut is made;
//! - [`smooth`]: smoothing with the beam and the cut that follows;
//! - [`mod@grow`]: growing into the low-noise region;
//! - [`plane`]: one call for one plane, in order;
//! - [`state`]: what is kept of a plane between calls.

pub mod grow;
pub mod options;
pub mod plane;
pub mod smooth;
pub mod state;
pub mod statistics;
pub mod thresholds;

pub use options::{MultithreshOptions, Preset};
pub use plane::{Call, PlaneMasker, PlaneSummary, Scratch, automask_plane};
pub use state::ChannelMaskState;
pub use thresholds::{ThresholdKind, Thresholds};

use crate::image::PixelBeam;

/// What can be wrong with a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultithreshError {
    /// A parameter has a value that makes no sense.
    #[error("{name} is {value}; expected {expected}")]
    BadOption {
        /// tclean's name of it.
        name: &'static str,
        /// The value.
        value: f32,
        /// What would be sensible.
        expected: &'static str,
    },
    /// The restoring beam cannot be used.
    #[error("the restoring beam is {} x {} pixels at {} degrees; expected two positive widths and an angle", beam.major, beam.minor, beam.pa_deg)]
    BadBeam {
        /// The beam.
        beam: PixelBeam,
    },
    /// Planes of one call differ in size.
    #[error("the {what} has {} x {} pixels, but the residual has {} x {}", found.1, found.0, expected.1, expected.0)]
    PlanesDiffer {
        /// Which plane.
        what: &'static str,
        /// Its `(ny, nx)`.
        found: (usize, usize),
        /// The residual's.
        expected: (usize, usize),
    },
}

impl From<MultithreshError> for crate::Error {
    fn from(e: MultithreshError) -> Self {
        Self::bad_input(e)
    }
}
