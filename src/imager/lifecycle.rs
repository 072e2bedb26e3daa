//! The lifecycle that every imager goes through, whichever program does the work.

use super::cycle::{BegunCycle, ChannelRevert, MinorControls, MinorCycle, Residual};
use super::job::Products;
use super::preview::Capabilities;
use crate::Result;
use std::path::{Path, PathBuf};

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

    /// Makes the PSF and the first residual, and cleans inside a mask that is there before them, in one call; asked again, also by
    /// a later run, it gives the same. `None`: this imager cannot, or found nothing to clean, and the PSF is still to be made.
    ///
    /// # Errors
    /// As [`Imager::image_once`].
    fn begin_inside(&mut self, mask: &Path, controls: &MinorControls) -> Result<Option<BegunCycle>> {
        let _ = (mask, controls);
        Ok(None)
    }

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

    /// The command lines that made the present state, in order, for the record; empty: those of
    /// [`Imager::command_lines`].
    fn lines_run(&self) -> Vec<Vec<String>>;
}
