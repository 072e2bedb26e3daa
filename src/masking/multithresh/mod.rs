//! CASA's auto-multithresh, plane by plane, with the state that tclean keeps.
//!
//! Reproduces casatasks 6.7.0.31 (`SDMaskHandler::autoMaskByMultiThreshold`; Kepley et al. 2020, PASP 132, 024505)
//! pixel for pixel. The algorithm, every parameter and what differs from other implementations is described in
//! `docs/automask.md`; each rule is a function here:
//!
//! - `options`: tclean's parameters and the observatories' sets of them;
//! - [`statistics`]: median and MAD, Chauvenet clipping;
//! - `thresholds`: which of sidelobes and noise limits, and how a cut is made;
//! - [`smooth`]: smoothing with the beam and the cut that follows;
//! - [`mod@grow`]: growing into the low-noise region;
//! - `plane`: one call for one plane, in order;
//! - `state`: what is kept of a plane between calls;
//! - `folder`: that, of all channels, on disk;
//! - `cycle`: one call for an image or a cube of files ([`run_cycle`]), which the command line and [`super::maker`] use;
//!   `cube` is the residual with its companions, `channels` runs channels in parallel;
//! - `groups`: the same in groups of channels, each for itself, put together at the end.

mod calls;
mod channels;
mod cube;
mod cycle;
pub(crate) mod folder;
mod groups;
#[doc(hidden)]
pub mod grow;
pub(crate) mod options;
pub(crate) mod plane;
#[doc(hidden)]
pub mod smooth;
pub(crate) mod state;
#[doc(hidden)]
pub mod statistics;
pub(crate) mod thresholds;

pub use calls::{ChannelFacts, CycleInputs, CycleSummary};
pub use cycle::run_cycle;
pub use folder::StateFolder;
pub use groups::{GroupFound, GroupedCycle, run_group};
pub use options::{MultithreshOptions, Preset};
pub use plane::{Call, PlaneMasker, PlaneSummary, Scratch, automask_plane};
pub use state::ChannelMaskState;
pub use thresholds::{ThresholdKind, Thresholds};

use crate::image::{ImageError, PixelBeam};
use std::path::PathBuf;

/// Reasons for which a call fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultithreshError {
    /// A parameter has an invalid value.
    #[error(transparent)]
    Option(#[from] crate::options::OptionError),
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
    /// Something that a call cannot do without was not given.
    #[error("{0}")]
    Missing(String),
    /// An image does not fit the residual.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// The image.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// The state folder was made for something else.
    #[error("the state in {} does not fit this call: {}; give what the first call was given, another state folder, or start again (--reset)", folder.display(), changes.join("; "))]
    StateMismatch {
        /// The folder.
        folder: PathBuf,
        /// The changes, `name: before -> now`.
        changes: Vec<String>,
    },
    /// The state folder cannot be used.
    #[error("{}: {reason}", path.display())]
    StateUnusable {
        /// The folder or a file in it.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// The state could not be written; the one before is still there.
    #[error("{}: cannot be written: {reason}", path.display())]
    StateUnwritable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// An image cannot be read or written.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl From<MultithreshError> for crate::Error {
    fn from(e: MultithreshError) -> Self {
        match e {
            MultithreshError::Image(e) => e.into(),
            MultithreshError::StateUnwritable { .. } => Self::internal(e),
            _ => Self::bad_input(e),
        }
    }
}
