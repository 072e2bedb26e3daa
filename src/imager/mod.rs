//! Imaging: what to run, step by step, to make an image inside a clean mask.
//!
//! [`Imager`] is the lifecycle that every imager goes through, whichever program does the work; see
//! `docs/imagers.md` for how each program is made to follow it. One value of it is one imaging: one round of one
//! measurement set.

pub mod command;
pub mod progress;
pub mod tclean;
pub mod wsclean;

use crate::Result;
use crate::process::Limits;
use progress::ProgressSink;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What is imaged, and where the files go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImagingJob {
    /// The measurement sets that go into one image (usually one).
    pub measurement_sets: Vec<PathBuf>,
    /// Column to be imaged: `DATA` or `CORRECTED_DATA`, decided by the campaign's state.
    pub data_column: String,
    /// Folder that the imager may fill; its products end up there under the names of [`Products`].
    pub folder: PathBuf,
    /// Log file of the imager's own words.
    pub log: PathBuf,
    /// Threads the imager may use.
    pub threads: usize,
    /// Memory it may use, GB; `None`: its own default.
    pub memory_gb: Option<f64>,
    /// Leave the final model in `MODEL_DATA` (the next calibration solves against it).
    pub update_model: bool,
}

/// Names of the final files inside [`ImagingJob::folder`]; all are FITS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Products {
    /// Restored image, Jy/beam (`image.fits`).
    pub image: PathBuf,
    /// Residual, Jy/beam (`residual.fits`).
    pub residual: PathBuf,
    /// CLEAN components, Jy/pixel (`model.fits`).
    pub model: PathBuf,
    /// Point-spread function, unit peak (`psf.fits`).
    pub psf: PathBuf,
    /// Image before any cleaning (`dirty.fits`).
    pub dirty: Option<PathBuf>,
    /// Primary beam (`pb.fits`), where the imager makes one.
    pub pb: Option<PathBuf>,
    /// Image divided by the primary beam (`image.pbcor.fits`).
    pub pbcor: Option<PathBuf>,
    /// The output channels by themselves, in the order of frequency, where the imager makes them: beside the image of
    /// the whole band (joined channels), or as the planes that a cube was put together from.
    #[serde(default)]
    pub channels: Vec<ChannelProducts>,
}

/// The files of one output channel (`image-0000.fits`, `residual-0000.fits`...).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelProducts {
    /// Restored image, Jy/beam.
    pub image: PathBuf,
    /// Residual, Jy/beam.
    pub residual: PathBuf,
    /// CLEAN components, Jy/pixel.
    pub model: PathBuf,
    /// Point-spread function, if there is one a channel.
    pub psf: Option<PathBuf>,
}

/// What an imager can do; shown by `cleanloop plan`, so that nothing comes as a surprise at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Program and version, e.g. `wsclean 3.1.0`.
    pub program: String,
    /// It can be given a fresh mask before each minor cycle.
    pub mask_per_cycle: bool,
    /// A mask cube is used channel by channel (wsclean 3.1 uses its first plane for all channels).
    pub mask_cube_per_channel: bool,
    /// It reads a bit mask with one bit a scale (`-multiscale-fits-mask`).
    pub multiscale_bit_masks: bool,
    /// It makes a primary beam for this telescope, or why it does not.
    pub primary_beam: std::result::Result<(), String>,
}

impl Capabilities {
    /// What people should know before a run: subject and words.
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let cycles = if self.mask_per_cycle {
            "it takes a fresh mask before each"
        } else {
            "it images in one call, with one mask: `mask: {cadence: cycle}` is refused"
        };
        let cubes = if self.mask_cube_per_channel {
            "a mask for each channel"
        } else {
            "one mask for all channels: of a mask cube only the first plane counts"
        };
        let scales = if self.multiscale_bit_masks {
            "a mask for each scale, from the bits of the mask"
        } else {
            "one mask for all scales: of a mask with a bit for each scale any bit counts"
        };
        let beam = match &self.primary_beam {
            Ok(()) => "there is one: image.pbcor.fits is the image divided by it",
            Err(why) => why,
        };
        [("major cycles", cycles), ("cubes", cubes), ("scales", scales), ("primary beam", beam)]
            .map(|(subject, words)| (subject, words.to_owned()))
            .into()
    }
}

/// An imaging with a fresh mask before major cycles, as far as it is known before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Folder of the masks `cycle-000.fits`, `cycle-001.fits`...
    pub masks: PathBuf,
    /// Limit of minor iterations.
    pub iterations: u64,
    /// Limit of major cycles.
    pub major_cycles: usize,
    /// A fresh mask before every n-th.
    pub every: usize,
    /// Stop level, Jy/beam; `None`: it follows from the residual's noise before each call.
    pub threshold_jy: Option<f64>,
}

/// A call of the imager, as `plan` shows it. Words in capital letters stand for what only a run knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCall {
    /// What it is for, and when it is made.
    pub what: String,
    /// Its words.
    pub words: Vec<String>,
}

/// The files of one residual, after a major cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// Residual image or cube, Jy/beam.
    pub residual: PathBuf,
    /// Where the imager's own pixel mask limits the plane (primary-beam limit): non-zero is valid.
    pub pixel_mask: Option<PathBuf>,
    /// Primary beam, if there is one.
    pub pb: Option<PathBuf>,
    /// Point-spread function.
    pub psf: PathBuf,
    /// Model that was subtracted, Jy/pixel; `None` before the first cycle.
    pub model: Option<PathBuf>,
}

/// What limits one minor cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinorControls {
    /// Minor iterations that are left, over all cycles.
    pub iterations_left: u64,
    /// Stop level of the whole run, Jy/beam.
    pub threshold_jy: f64,
    /// How many major iterations this call may contain (1: a fresh mask for each).
    pub major_iterations: usize,
    /// This is the last call: write the model to the data.
    pub last: bool,
    /// Limits of the channels of a cube, in the order of its planes; empty: all channels have the limits above.
    /// An imager that controls its channels itself (CASA) may ignore them.
    #[serde(default)]
    pub channels: Vec<ChannelControls>,
}

/// What limits one minor cycle of one channel of a cube.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChannelControls {
    /// The channel is still to be cleaned; those that are done are left alone.
    pub active: bool,
    /// Minor iterations that are left, over all cycles.
    pub iterations_left: u64,
    /// Stop level of the whole run, Jy/beam.
    pub threshold_jy: f64,
}

/// A channel of a cube that goes back to an earlier state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRevert {
    /// Its plane, 0 first.
    pub channel: usize,
    /// The state after this cycle (1 is the first; 0: before any).
    pub cycle: usize,
}

/// What one minor cycle did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinorCycle {
    /// Minor iterations done in this call.
    pub iterations: u64,
    /// Major iterations done in this call.
    pub major_iterations: usize,
    /// Level down to which this cycle cleaned, Jy/beam, as far as the imager tells.
    pub cycle_threshold_jy: Option<f64>,
    /// The cycle's own threshold was the user's: the flag that auto-multithresh's skip rule needs.
    pub threshold_reached: bool,
    /// The imager's reason for stopping, if it will not go on by itself.
    pub stopped: Option<StopReason>,
    /// The channels of a cube by themselves, in the order of its planes; empty where there is but one plane.
    #[serde(default)]
    pub channels: Vec<ChannelCycle>,
}

/// What one minor cycle did in one channel of a cube; see [`MinorCycle`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelCycle {
    /// Minor iterations done in this call.
    pub iterations: u64,
    /// Level down to which this cycle cleaned, Jy/beam, as far as the imager tells.
    pub cycle_threshold_jy: Option<f64>,
    /// The cycle's own threshold was the user's.
    pub threshold_reached: bool,
    /// Why the channel is done, if it is.
    pub stopped: Option<StopReason>,
}

/// Why cleaning ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// The peak inside the mask is at or below the user's threshold.
    Threshold,
    /// The peak inside the mask is at or below n sigma of the residual's robust noise.
    NSigma,
    /// The iteration limit.
    Iterations,
    /// The limit of major cycles.
    MajorCycles,
    /// A cycle added no flux.
    NoNewFlux,
    /// There is nothing to clean: the mask is empty.
    EmptyMask,
    /// Peak or rms rose beyond the limit; the last good cycle was taken.
    Diverged,
    /// The imager's own words.
    Other(String),
}

/// Context in which any imager runs: where its program is, what limits it, who listens.
#[derive(Clone)]
pub struct ImagerContext {
    /// Executable as a list of words (containers, `mpirun`); empty: the program's usual name.
    pub executable: Vec<String>,
    /// Limits of time and silence of each call.
    pub limits: Limits,
    /// Receives the events of progress.
    pub progress: ProgressSink,
    /// Set to `true` from elsewhere, stops whatever runs like an interruption.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for ImagerContext {
    fn default() -> Self {
        Self { executable: Vec::new(), limits: Limits::default(), progress: progress::silent(), cancel: None }
    }
}

/// Which program images, with its options.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ImagerOptions {
    /// wsclean.
    Wsclean(Box<wsclean::WscleanOptions>),
    /// Any program, from templates of command lines.
    Command(command::CommandOptions),
}

/// An imager for one job. Nothing is computed before [`Imager::setup`].
///
/// # Errors
/// Options that cannot be turned into an imager at all.
pub fn open(job: ImagingJob, options: &ImagerOptions, context: ImagerContext) -> Result<Box<dyn Imager>> {
    Ok(match options {
        ImagerOptions::Wsclean(o) => Box::new(wsclean::WscleanImager::new(job, (**o).clone(), context)),
        ImagerOptions::Command(o) => Box::new(command::CommandImager::new(job, o.clone(), context)?),
    })
}

/// An imager that is torn down when it goes: at the end, after an error, and after a panic.
pub struct Guarded(Box<dyn Imager>);

impl Guarded {
    /// Takes care of an imager.
    pub fn new(imager: Box<dyn Imager>) -> Self {
        Self(imager)
    }
}

impl std::ops::Deref for Guarded {
    type Target = dyn Imager;
    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl std::ops::DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.as_mut()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.teardown();
    }
}

/// The lifecycle of one imaging: setup, [`Imager::image_once`] (or the steps of [`CycleImager`]), teardown.
///
/// Every step may be repeated by a new value on the same folder after a crash: `setup` finds what is there.
pub trait Imager: Send {
    /// Abilities of the imager, with the program's version.
    fn capabilities(&self) -> Capabilities;

    /// Checks options and data before anything is computed.
    ///
    /// # Errors
    /// Bad input (an option that the installed version does not know, a missing column) or a missing program.
    fn setup(&mut self) -> Result<()>;

    /// The whole imaging with one fixed mask (`None`: everywhere), in as few calls of the program as possible.
    ///
    /// # Errors
    /// The program's failure, with its own reason, the command and the log.
    fn image_once(&mut self, mask: Option<&Path>) -> Result<Products>;

    /// Puts `model` (of an earlier round) back into `MODEL_DATA`.
    ///
    /// # Errors
    /// As [`Imager::image_once`].
    fn predict(&mut self, model: &Path) -> Result<()>;

    /// The command lines of [`Imager::image_once`] with this mask (for a worker: its requests), for the record.
    fn command_lines(&self, mask: Option<&Path>) -> Vec<Vec<String>>;

    /// The imaging cycle by cycle; `None`: this imager images in one call.
    fn cycles(&mut self) -> Option<&mut dyn CycleImager>;

    /// Releases everything: processes ended, locks released, temporary files removed. Called after errors, too.
    fn teardown(&mut self);
}

/// An imager that can be given a fresh mask before each minor cycle.
///
/// The order is setup, make_psf, make_pb, residual, then [clean, residual] until the caller ends it, restore, teardown.
pub trait CycleImager: Imager {
    /// Makes the PSF (and fits the restoring beam).
    ///
    /// # Errors
    /// As [`Imager::image_once`].
    fn make_psf(&mut self) -> Result<()>;

    /// Makes the primary beam, or returns `None` where there is none (see [`Capabilities::primary_beam`]).
    ///
    /// # Errors
    /// As [`Imager::image_once`].
    fn make_pb(&mut self) -> Result<Option<PathBuf>>;

    /// The major cycle: makes the residual of the present model; before any cleaning that is the dirty image.
    ///
    /// # Errors
    /// As [`Imager::image_once`].
    fn residual(&mut self) -> Result<Residual>;

    /// The minor cycle: one round of deconvolution inside `mask` (`None`: everywhere).
    ///
    /// # Errors
    /// As [`Imager::image_once`].
    fn clean(&mut self, mask: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle>;

    /// Restores, divides by the primary beam where there is one, and returns the final files under their names in the
    /// job's folder.
    ///
    /// # Errors
    /// As [`Imager::image_once`].
    fn restore(&mut self) -> Result<Products>;

    /// Number of cycles (minor and major together) that are complete in the job's folder; after `setup` those of an
    /// earlier run that was interrupted, from which the loop goes on.
    fn completed_cycles(&self) -> usize;

    /// Takes the state after cycle `cycle` (1 is the first; 0: before any) as the present one; later cycles are
    /// forgotten.
    ///
    /// # Errors
    /// The imager no longer has that state.
    fn roll_back(&mut self, cycle: usize) -> Result<()>;

    /// Takes, for each of these channels of a cube, the state that it had after an earlier cycle, or after the next one
    /// that is still kept; the other channels stay as they are. The next [`CycleImager::residual`] belongs to the new
    /// state. Asked again for the same (by another value, after a crash), it gives the same. `false`: this image has no
    /// channels that can be reverted, and nothing was changed.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    fn revert_channels(&mut self, reverts: &[ChannelRevert]) -> Result<bool>;

    /// Takes this cube (of the shape of [`Residual::model`]) as the present model, and returns the residual that belongs
    /// to it. `None`: this imager keeps its own model, and nothing was changed.
    ///
    /// # Errors
    /// A cube that does not fit, files that cannot be written.
    fn replace_model(&mut self, model: &Path) -> Result<Option<Residual>>;

    /// Calls with one major iteration each cost no more than one call with many: the loop then asks for each by itself,
    /// with the same mask where no fresh one is wanted, and can go on from each.
    fn calls_are_cheap(&self) -> bool;

    /// The calls of an imaging with fresh masks, for `plan`.
    fn chain_lines(&self, chain: &Chain) -> Vec<PlannedCall>;

    /// The command lines that made the present state, in order, for the record; empty: those of
    /// [`Imager::command_lines`].
    fn lines_run(&self) -> Vec<Vec<String>>;
}
