//! The lifecycle of an imaging with wsclean: an ordinary run, or a chain of calls with a fresh mask for each.

use super::command_line::{Arguments, Installed};
use super::cycles::{self, WscleanState};
use super::error::WscleanError;
use super::files::{self, PREFIX};
use super::imaging::Imaging;
use super::options::WscleanOptions;
use super::{checks, primary_beam};
use crate::Result;
use crate::imager::context::ImagerContext;
use crate::imager::cycle::{BegunCycle, ChannelRevert, MinorControls, MinorCycle, Residual};
use crate::imager::job::{ImagingJob, Products};
use crate::imager::lifecycle::{CycleImager, Imager};
use crate::imager::preview::Capabilities;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Text about primary beams in the capabilities.
const NO_BEAM: &str = "none: wsclean computes one only for the telescopes that EveryBeam knows, and cleanloop asks for none. \
                       Name a FITS image of it (`wsclean: {primary_beam: {image: FILE}}`), and the image is divided by it";

/// One imaging by wsclean; see [`CycleImager`] for the order of its steps.
pub struct WscleanImager {
    imaging: Imaging,
    state: WscleanState,
    checked: bool,
    /// The leftovers of an earlier run were looked at: files outside of the state may go.
    opened: bool,
    finished: bool,
}

impl WscleanImager {
    /// An imaging of `job`; nothing is run but wsclean's help, once for each executable.
    pub fn new(job: ImagingJob, options: WscleanOptions, context: ImagerContext) -> Self {
        let imaging = Imaging::new(job, options, context);
        let state = WscleanState::new(imaging.scratch(), imaging.job.log.clone(), imaging.options.is_cube())
            .of_cube(imaging.options.channels_of_cube());
        Self { imaging, state, checked: false, opened: false, finished: false }
    }

    /// Options, data and disk are checked once; then wsclean itself is the judge of values.
    fn check(&mut self) -> std::result::Result<(), WscleanError> {
        if self.checked {
            return Ok(());
        }
        let installed = match &self.imaging.installed {
            Ok(installed) => Arc::clone(installed),
            // Asked once more for the error itself.
            Err(_) => Installed::probe(&self.imaging.context.executable)?,
        };
        self.imaging.installed = Ok(Arc::clone(&installed));
        if self.imaging.options.niter == 0 {
            let reason = "0 minor iterations clean nothing: a campaign needs a model";
            return Err(WscleanError::bad_value("niter", reason));
        }
        let mut a: Arguments = self.imaging.calls().ordinary(None)?;
        a.check(&installed)?;
        checks::data(&self.imaging)?;
        checks::facets(&self.imaging)?;
        primary_beam::check(&self.imaging)?;
        files::make_folder(&self.imaging.job.folder)?;
        checks::room(&self.imaging)?;
        a.flag("dry-run");
        let line = self.imaging.calls().line(&self.imaging.job.folder.join(PREFIX), &a);
        self.imaging.run(line)?;
        self.checked = true;
        Ok(())
    }

    fn image_with(&mut self, mask: Option<&Path>) -> std::result::Result<Products, WscleanError> {
        self.check()?;
        self.opened = true;
        let mask = self.imaging.calls().mask_or_option(mask)?;
        let planes = mask.as_deref().map(|m| checks::mask(&self.imaging, m)).transpose()?.unwrap_or(1);
        let by_channel = self.imaging.installed.as_ref().is_ok_and(|i| i.mask_cube_per_channel());
        if planes > 1 && !by_channel {
            // One process per channel, each with its own plane, in one long call.
            self.state.clear()?;
            cycles::make_start(&self.imaging, &mut self.state)?;
            cycles::clean(&self.imaging, &mut self.state, mask.as_deref(), None)?;
            return self.finish();
        }
        self.ordinary_run(mask.as_deref())
    }

    fn ordinary_run(&self, mask: Option<&Path>) -> std::result::Result<Products, WscleanError> {
        let imaging = &self.imaging;
        let folder = imaging.scratch().join("run");
        files::fresh_folder(&folder)?;
        let a = imaging.calls().ordinary(mask)?;
        imaging.run_call(&folder.join(PREFIX), a, &imaging.listener())?;
        let mut products =
            files::collect(&folder, &imaging.job.folder, imaging.options.names_channels(), &imaging.job.log)?;
        files::remove_folder(&folder)?;
        if imaging.job.facets.is_some() {
            checks::numbers(&products.image, &imaging.job.log)?;
        }
        primary_beam::correct(imaging, &mut products)?;
        Ok(products)
    }

    fn finish(&mut self) -> std::result::Result<Products, WscleanError> {
        let products = cycles::finish(&self.imaging, &self.state)?;
        self.finished = true;
        Ok(products)
    }

    fn present_residual(&self) -> std::result::Result<Residual, WscleanError> {
        self.state.residual(self.imaging.primary_beam()?)
    }

    /// Channels can be handled one by one, and there is something to change.
    fn has_cleaned_channels(&self) -> bool {
        self.state.cube && self.state.cycles() > 0
    }
}

/// Abilities of the installed wsclean with these options.
pub(super) fn capabilities(imaging: &Imaging) -> Capabilities {
    let installed = imaging.installed.as_ref().ok();
    Capabilities {
        program: installed.map_or_else(|| "wsclean (not found)".to_owned(), |i| format!("wsclean {}", i.version)),
        mask_per_cycle: true,
        // Where the installed version cannot, one process per channel can.
        mask_cube_per_channel: true,
        multiscale_bit_masks: installed.is_some_and(|i| i.multiscale_bit_masks()),
        primary_beam: match imaging.options.primary_beam {
            Some(_) => Ok(()),
            None => Err(NO_BEAM.to_owned()),
        },
    }
}

/// The command line of an ordinary run, for a plan or the record.
pub(super) fn ordinary_line(imaging: &Imaging, mask: Option<&Path>) -> Vec<String> {
    let calls = imaging.calls();
    match calls.ordinary(mask) {
        Ok(a) => calls.line(&imaging.scratch().join("run").join(PREFIX), &a),
        Err(e) => vec![format!("# {e}")],
    }
}

impl Imager for WscleanImager {
    fn capabilities(&self) -> Capabilities {
        capabilities(&self.imaging)
    }

    fn setup(&mut self) -> Result<()> {
        self.check()?;
        self.state.find(&self.imaging.calls().identity()?)?;
        self.opened = true;
        Ok(())
    }

    fn image_once(&mut self, mask: Option<&Path>) -> Result<Products> {
        Ok(self.image_with(mask)?)
    }

    fn predict(&mut self, model: &Path) -> Result<()> {
        Ok(self.imaging.predict(model)?)
    }

    fn command_lines(&self, mask: Option<&Path>) -> Vec<Vec<String>> {
        vec![ordinary_line(&self.imaging, mask)]
    }

    fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
        // With facets, `-reuse-dirty` ends wsclean 3.1 with a segmentation fault, and `-continue` with `-reuse-psf` makes NaN.
        if self.imaging.job.facets.is_some() { None } else { Some(self) }
    }

    fn teardown(&mut self) {
        // The processes ended with their calls. What is whole stays for a resumed run; and all of it, where this one
        // ended before it had looked at it.
        if self.state.has_start() && !self.finished {
            let _ = self.state.forget_after(self.state.cycles());
        } else if self.opened {
            let _ = files::remove_folder(&self.imaging.scratch());
        }
    }
}

impl CycleImager for WscleanImager {
    fn make_psf(&mut self) -> Result<()> {
        if !self.state.has_start() {
            cycles::make_start(&self.imaging, &mut self.state)?;
        }
        Ok(())
    }

    fn begin_inside(&mut self, mask: &Path, controls: &MinorControls) -> Result<Option<BegunCycle>> {
        // With a map of the noise the threshold is a multiple of it, which is not known yet.
        if self.state.cube || self.imaging.options.local_rms {
            return Ok(None);
        }
        let minor = cycles::begin_inside(&self.imaging, &mut self.state, mask, controls)?;
        let dirty = || self.state.dirty(self.imaging.primary_beam()?);
        Ok(minor.map(|minor| dirty().map(|dirty| BegunCycle { dirty, minor })).transpose()?)
    }

    fn make_pb(&mut self) -> Result<Option<PathBuf>> {
        Ok(self.imaging.primary_beam()?)
    }

    fn residual(&mut self) -> Result<Residual> {
        // The call of the minor cycle ended with the inversion; the first residual came with the PSF.
        if !self.state.has_start() {
            return Err(WscleanError::OutOfOrder { step: "a major cycle", needs: "make_psf" }.into());
        }
        Ok(self.present_residual()?)
    }

    fn clean(&mut self, mask: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
        Ok(cycles::clean(&self.imaging, &mut self.state, mask, Some(controls))?)
    }

    fn restore(&mut self) -> Result<Products> {
        Ok(self.finish()?)
    }

    fn completed_cycles(&self) -> usize {
        self.state.cycles()
    }

    fn roll_back(&mut self, cycle: usize) -> Result<()> {
        Ok(self.state.roll_back(cycle)?)
    }

    fn revert_channels(&mut self, reverts: &[ChannelRevert]) -> Result<bool> {
        if !self.has_cleaned_channels() {
            return Ok(false);
        }
        cycles::revert(&mut self.state, reverts)?;
        Ok(true)
    }

    fn replace_model(&mut self, model: &Path) -> Result<Option<Residual>> {
        if !self.has_cleaned_channels() {
            return Ok(None);
        }
        cycles::repair(&self.imaging, &self.state, model)?;
        Ok(Some(self.present_residual()?))
    }

    fn calls_are_cheap(&self) -> bool {
        // Each call reads the visibilities again.
        false
    }

    fn lines_run(&self) -> Vec<Vec<String>> {
        self.state.lines()
    }
}
