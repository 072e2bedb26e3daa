//! tclean's steps, and deconvolution alone. Images in answers are FITS files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Opens tclean's tools.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanOpen {
    /// Folder of the imaging.
    pub folder: PathBuf,
    /// tclean's parameters.
    pub parameters: Map<String, Value>,
    /// One mask is used for all cycles: an earlier run with another is not gone on from.
    pub fixed_mask: bool,
    /// That mask; `None`: none.
    pub mask: Option<PathBuf>,
}

/// Answer to [`TcleanOpen`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAnswer {
    /// Complete cycles of an earlier run that is gone on from.
    pub cycles: usize,
    /// Minor iterations of these.
    pub iterations: u64,
}

/// Closes the tools.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanClose {
    /// Folder of the imaging.
    pub folder: PathBuf,
}

/// Works out the frequencies of a cube's channels.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanGrid {
    /// An empty folder.
    pub folder: PathBuf,
    /// tclean's parameters.
    pub parameters: Map<String, Value>,
}

/// Answer to [`TcleanGrid`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridAnswer {
    /// Frequency of the first channel, Hz.
    pub first_hz: f64,
    /// From one channel to the next, Hz.
    pub width_hz: f64,
}

/// Makes the PSF.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanPsf {
    /// Folder of the imaging.
    pub folder: PathBuf,
}

/// Makes the primary beam.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanPb {
    /// Folder of the imaging.
    pub folder: PathBuf,
}

/// Answer to [`TcleanPb`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrimaryBeamAnswer {
    /// The primary beam, if the gridder has one.
    pub pb: Option<PathBuf>,
}

/// Makes the residual of the present model.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanMajor {
    /// Folder of the imaging.
    pub folder: PathBuf,
}

/// The files that masks are made from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleFiles {
    /// Residual, Jy/beam; values outside the pixel mask are kept.
    pub residual: PathBuf,
    /// Pixel mask, if it limits anything.
    pub pixel_mask: Option<PathBuf>,
    /// Primary beam.
    pub pb: Option<PathBuf>,
    /// Point-spread function.
    pub psf: PathBuf,
    /// Model, Jy/pixel.
    pub model: Option<PathBuf>,
    /// Complete cycles.
    pub cycles: usize,
}

/// Limit of one channel of a cube.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct ChannelLimit {
    /// Whether it is cleaned.
    pub active: bool,
    /// Threshold, Jy/beam.
    pub threshold_jy: Option<f64>,
}

/// One minor cycle inside a mask.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanMinor {
    /// Folder of the imaging.
    pub folder: PathBuf,
    /// The mask; `None`: everywhere.
    pub mask: Option<PathBuf>,
    /// Threshold of the whole run, Jy/beam; `None`: that of the parameters.
    pub threshold_jy: Option<f64>,
    /// Minor iterations that are left, over all cycles.
    pub iterations_left: u64,
    /// Limits of the channels of a cube.
    pub channels: Option<Vec<ChannelLimit>>,
}

/// Answer to [`TcleanMinor`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinorAnswer {
    /// Minor iterations.
    pub iterations: u64,
    /// CASA's stop code; 0: it goes on.
    pub stop_code: i64,
    /// CASA's words for it.
    pub words: Option<String>,
    /// Level down to which it cleaned, Jy/beam.
    pub cycle_threshold_jy: Option<f64>,
    /// That level was the user's threshold.
    pub threshold_reached: bool,
    /// The channels of a cube.
    pub channels: Vec<ChannelResult>,
}

/// One channel's part of a minor cycle.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelResult {
    /// Minor iterations.
    pub iterations: u64,
    /// Level down to which it was cleaned, Jy/beam.
    pub cycle_threshold_jy: Option<f64>,
    /// That level was its threshold.
    pub threshold_reached: bool,
}

/// Restores the images.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanRestore {
    /// Folder of the imaging.
    pub folder: PathBuf,
    /// Write the model to the data.
    pub update_model: bool,
}

/// Answer to [`TcleanRestore`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoredFiles {
    /// Restored image, Jy/beam.
    pub image: PathBuf,
    /// Residual, Jy/beam.
    pub residual: PathBuf,
    /// Model, Jy/pixel.
    pub model: PathBuf,
    /// Point-spread function.
    pub psf: PathBuf,
    /// Image before any cleaning.
    pub dirty: Option<PathBuf>,
    /// Primary beam.
    pub pb: Option<PathBuf>,
    /// Image divided by the primary beam.
    pub pbcor: Option<PathBuf>,
}

/// Takes the planes of a cube as the model after the present cycle.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanReplaceModel {
    /// Folder of the imaging.
    pub folder: PathBuf,
    /// The model, FITS.
    pub model: PathBuf,
}

/// Goes back to the model after a cycle.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanRollBack {
    /// Folder of the imaging.
    pub folder: PathBuf,
    /// The cycle; 0: before any.
    pub cycle: usize,
}

/// Answer to [`TcleanRollBack`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBackAnswer {
    /// Minor iterations up to that cycle.
    pub iterations: u64,
}

/// A channel of a cube and the cycle whose model it takes.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct ChannelState {
    /// The channel, 0 first.
    pub channel: usize,
    /// The cycle; 0: before any.
    pub cycle: usize,
}

/// Gives channels of a cube the models of earlier cycles.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanRevertChannels {
    /// Folder of the imaging.
    pub folder: PathBuf,
    /// The channels.
    pub back: Vec<ChannelState>,
}

/// Puts the model of an earlier imaging, FITS, into `MODEL_DATA`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TcleanPredict {
    /// tclean's parameters.
    pub parameters: Map<String, Value>,
    /// The model, in the folder of its imaging.
    pub model: PathBuf,
}

/// One plain call of tclean, with CASA's own masks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Tclean {
    /// tclean's parameters.
    pub parameters: Map<String, Value>,
}

/// Answer to [`Tclean`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcleanAnswer {
    /// CASA's stop code.
    pub stopcode: Option<i64>,
}

/// Writes a CASA image as FITS.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExportImage {
    /// The CASA image.
    pub image: PathBuf,
    /// The FITS file.
    pub path: PathBuf,
}

/// Brings images, FITS or CASA's, into a folder for deconvolution; mtmfs has one for each Taylor term.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeconvolutionPrepare {
    /// The folder.
    pub folder: PathBuf,
    /// Residuals, Jy/beam.
    pub residual: Vec<PathBuf>,
    /// Point-spread functions.
    pub psf: Vec<PathBuf>,
    /// Models, Jy/pixel; may be none.
    pub model: Vec<PathBuf>,
    /// Primary beam.
    pub pb: Option<PathBuf>,
    /// Taylor terms; 0 for other deconvolvers than mtmfs.
    pub terms: u32,
}

/// One minor cycle on images that were prepared.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeconvolutionRun {
    /// The folder.
    pub folder: PathBuf,
    /// Parameters under tclean's names.
    pub parameters: Map<String, Value>,
    /// The mask; `None`: everywhere.
    pub mask: Option<PathBuf>,
    /// End where tclean would go back to the data, rather than at the threshold.
    pub one_cycle: bool,
    /// Taylor terms; 0 for other deconvolvers than mtmfs.
    pub terms: u32,
    /// Start of the results' names.
    pub outputs: PathBuf,
    /// Write CASA images instead of FITS files.
    pub casa_images: bool,
}

/// Answer to [`DeconvolutionRun`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeconvolutionAnswer {
    /// Minor iterations.
    pub iterations: u64,
    /// CASA's stop code; 0: it goes on.
    pub stop_code: i64,
    /// Level down to which it was to clean, Jy/beam.
    pub cycle_threshold_jy: Option<f64>,
    /// Peak inside the mask before, Jy/beam.
    pub peak_before_jy: f64,
    /// Peak inside the mask after, Jy/beam.
    pub peak_after_jy: f64,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}
