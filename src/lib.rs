//! cleanloop drives self-calibration campaigns of radio interferometers and makes the clean masks that
//! decide whether a campaign converges.
//!
//! The modules, in the order in which data meet them; each may use those listed before it in `image`,
//! `kernels`, and never those that come after it:
//!
//! - [`image`]: planes, cubes, restoring beams and headers; FITS in and out, plane by plane.
//! - [`kernels`]: pixels in, pixels out: rolling extrema, box counts, geodesic dilation, islands, erosion,
//!   smoothing, medians. No files, no processes, no global state.
//! - [`disk`]: room on disks.
//! - [`noise`]: background and rms maps.
//! - [`masking`]: clean masks: the flint pipeline, CASA's auto-multithresh, and their combination.
//! - [`quality`]: what an image or a model is worth: metrics of a round, PSF sidelobe level, confetti.
//! - [`process`]: the only module that starts programs; also the JSON-lines protocol of workers.
//! - [`casa`]: the CASA worker, a Python process that everybody shares who needs CASA.
//! - [`measurement_set`]: what is in a measurement set, copies of it.
//! - [`setup`]: environments that the program makes itself: CASA and QuartiCal.
//! - [`imager`] and [`calibrator`]: what to start: wsclean, CASA, QuartiCal, or any command.
//! - [`campaign`]: when: the campaign file, the resolved plan, the loop over rounds and major cycles, the journal.
//! - [`scheduler`]: where the work of many measurement sets runs.
//! - [`report`]: what people look at.
//! - [`cli`]: one file a subcommand: arguments in, library call, words out.

pub mod batch_system;
pub mod calibrator;
pub mod campaign;
pub mod cli;
pub mod error;
pub mod image;
pub mod imager;
pub mod kernels;
pub mod major_cycle;
pub mod masking;
pub mod measurement_set;
pub mod noise;
pub mod options;
pub mod process;
pub mod programs;
pub mod quality;
pub mod report;
pub mod util;

pub use error::{Error, ExitStatus, Result};
