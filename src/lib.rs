//! cleanloop drives self-calibration campaigns of radio interferometers and makes the clean masks that
//! decide whether a campaign converges.
//!
//! The modules, bottom to top; each may use those listed before it, never those after it:
//!
//! - `error`, `util`, [`options`]: errors and exit codes; files, shells and threads; checks of option structs.
//! - [`kernels`]: pixels in, pixels out: rolling extrema, box counts, geodesic dilation, islands, erosion, smoothing,
//!   medians. No files, no processes, no global state.
//! - [`image`]: planes, cubes, restoring beams and headers; FITS in and out, plane by plane.
//! - [`noise`]: background and rms maps.
//! - [`masking`]: clean masks: flint's pipeline, CASA's auto-multithresh, automatic masks, and their combination.
//! - [`quality`]: metrics of images and rounds, statistics of gain solutions, confetti.
//! - `process`: the only module that starts programs; also the protocol of the workers.
//! - `programs`: CASA's worker, and the environments that the program makes itself.
//! - `measurement_set`: the content of a measurement set, and copies of it.
//! - [`imager`]: wsclean, tclean, or any command.
//! - [`major_cycle`]: the loop over the major cycles of one imaging, with a mask before each; needs no campaign.
//! - [`calibrator`]: CASA, QuartiCal, or any command.
//! - `batch_system`: jobs in Slurm.
//! - [`campaign`]: the campaign file, its plan, the loop over rounds, journal and record. [`campaign::Campaign`] is the
//!   way in.
//! - [`report`]: HTML pages, terminal and logs.
//! - `cli`: one file per subcommand.

pub mod calibrator;
pub mod campaign;
pub mod image;
pub mod imager;
pub mod kernels;
pub mod major_cycle;
pub mod masking;
pub mod noise;
pub mod options;
pub mod quality;
pub mod report;

// Open for the binary, the tests, the examples and the Python package alone: no part of the library's surface.
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod measurement_set;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod programs;
#[doc(hidden)]
pub mod util;

mod batch_system;
mod error;

pub use error::{Error, ExitStatus, Result};
