//! tclean's lifecycle: its tools stay open in the worker, and each minor cycle gets its mask from outside.

use super::TcleanOptions;
use super::options::Deconvolver;
use crate::Result;
use crate::imager::channels::CubeGrid;
use crate::imager::context::ImagerContext;
use crate::imager::cycle::{
    ChannelControls, ChannelCycle, ChannelRevert, MinorControls, MinorCycle, Residual, StopReason,
};
use crate::imager::job::{ImagingJob, Products};
use crate::imager::lifecycle::{CycleImager, Imager};
use crate::imager::preview::Capabilities;
use crate::imager::progress::Progress;
use crate::options::Validate;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::{
    ChannelLimit, ChannelResult, ChannelState, CycleFiles, GridAnswer, Request, RestoredFiles, TcleanClose, TcleanGrid,
    TcleanMajor, TcleanMinor, TcleanOpen, TcleanPb, TcleanPredict, TcleanPsf, TcleanReplaceModel, TcleanRestore,
    TcleanRevertChannels, TcleanRollBack,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Stop codes of CASA's iteration controller.
const STOP_ITERATIONS: i64 = 1;
const STOP_THRESHOLD: i64 = 2;
const STOP_NO_CHANGE: i64 = 4;
const STOP_DIVERGED: [i64; 2] = [5, 6];
const STOP_ZERO_MASK: i64 = 7;
const STOP_NSIGMA: i64 = 8;
const STOP_MAJOR_CYCLES: i64 = 9;

/// tclean, one imaging.
pub struct TcleanImager {
    job: ImagingJob,
    options: TcleanOptions,
    casa: Casa,
    context: ImagerContext,
    program: String,
    /// How often the worker had been started when the tools were opened in it.
    opened: Option<u64>,
    cycles: usize,
    iterations: u64,
    stopped: Option<StopReason>,
}

impl TcleanImager {
    /// # Errors
    /// An option with an invalid value; CASA does not run.
    pub fn new(job: ImagingJob, options: TcleanOptions, casa: Casa, context: ImagerContext) -> Result<Self> {
        options.validate()?;
        casa.set_limits(context.limits);
        casa.set_cancel(context.cancel.clone());
        let program = casa.version()?;
        Ok(Self { job, options, casa, context, program, opened: None, cycles: 0, iterations: 0, stopped: None })
    }

    /// Minor iterations so far, those of an earlier, interrupted run included.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// The reason for which CASA's controller ended the last minor cycle; `None`: it goes on.
    pub fn stopped(&self) -> Option<&StopReason> {
        // The controller compares each look with the one before: it must not be asked twice in a cycle.
        self.stopped.as_ref()
    }

    /// tclean's parameters, as the worker gets them.
    fn parameters(&self) -> Map<String, Value> {
        let mut map = self.options.parameters();
        let sets: Vec<String> =
            self.job.measurement_sets.iter().map(|p| absolute(p).to_string_lossy().into_owned()).collect();
        let column = if self.job.data_column == "CORRECTED_DATA" { "corrected" } else { "data" };
        map.extend([
            ("vis".to_owned(), if sets.len() == 1 { json!(sets[0]) } else { json!(sets) }),
            ("datacolumn".to_owned(), json!(column)),
            ("usemask".to_owned(), json!("user")),
            ("mask".to_owned(), json!("")),
            // The tools that image read the data only; the model is written at the end, by others.
            ("savemodel".to_owned(), json!("none")),
        ]);
        map
    }

    /// The frequencies of the cube's channels, in its frame: worked out from the data as CASA does, without imaging.
    ///
    /// # Errors
    /// CASA's failure.
    pub(crate) fn grid(&mut self) -> Result<CubeGrid> {
        let GridAnswer { first_hz, width_hz } =
            self.ask(&TcleanGrid { folder: self.folder(), parameters: self.parameters() })?;
        Ok(CubeGrid { first_hz, width_hz })
    }

    /// Folder of the imaging, for the worker.
    fn folder(&self) -> PathBuf {
        absolute(&self.job.folder)
    }

    fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let sink = self.context.progress.clone();
        self.casa.ask_with_events(request, Some(&self.job.log), &mut |event| {
            if let Some(text) = event["text"].as_str() {
                sink(Progress::Stage(text.to_owned()));
            }
        })
    }

    /// Opens the tools, and goes on from the complete cycles of an earlier run, if there are any; with `fixed` from one
    /// that used this mask in every cycle.
    fn open(&mut self, fixed: Option<Option<&Path>>) -> Result<()> {
        std::fs::create_dir_all(&self.job.folder).map_err(|e| {
            crate::Error::internal(format!("{}: the folder cannot be made: {e}", self.job.folder.display()))
        })?;
        let opened = self.ask(&TcleanOpen {
            folder: self.folder(),
            parameters: self.parameters(),
            fixed_mask: fixed.is_some(),
            mask: fixed.flatten().map(absolute),
        })?;
        self.opened = Some(self.casa.starts());
        (self.cycles, self.iterations, self.stopped) = (opened.cycles, opened.iterations, None);
        Ok(())
    }

    fn minor(&mut self, mask: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
        let limit = |c: &ChannelControls| ChannelLimit { active: c.active, threshold_jy: Some(c.threshold_jy) };
        let channels = Some(&controls.channels).filter(|c| !c.is_empty());
        let minor = self.ask(&TcleanMinor {
            folder: self.folder(),
            mask: mask.map(absolute),
            threshold_jy: Some(controls.threshold_jy),
            iterations_left: controls.iterations_left,
            channels: channels.map(|all| all.iter().map(limit).collect()),
        })?;
        self.iterations += minor.iterations;
        self.stopped = stop_reason(minor.stop_code, minor.words);
        if self.stopped.is_none() && minor.iterations == 0 {
            // tclean ends here, too: the residual would be the same again.
            self.stopped = Some(StopReason::NoNewFlux);
        }
        let of_channel = |c: ChannelResult| ChannelCycle {
            iterations: c.iterations,
            major_iterations: 1,
            cycle_threshold_jy: c.cycle_threshold_jy,
            threshold_reached: c.threshold_reached,
            stopped: None,
        };
        Ok(MinorCycle {
            iterations: minor.iterations,
            major_iterations: 1,
            cycle_threshold_jy: minor.cycle_threshold_jy,
            threshold_reached: minor.threshold_reached,
            stopped: self.stopped.clone(),
            channels: minor.channels.into_iter().map(of_channel).collect(),
        })
    }
}

/// A path for the worker, which has a working folder of its own.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// CASA's stop code in our terms; `None`: go on.
pub(super) fn stop_reason(code: i64, words: Option<String>) -> Option<StopReason> {
    Some(match code {
        0 => return None,
        STOP_ITERATIONS => StopReason::Iterations,
        STOP_THRESHOLD => StopReason::Threshold,
        STOP_NO_CHANGE => StopReason::NoNewFlux,
        STOP_ZERO_MASK => StopReason::EmptyMask,
        STOP_NSIGMA => StopReason::NSigma,
        STOP_MAJOR_CYCLES => StopReason::MajorCycles,
        code if STOP_DIVERGED.contains(&code) => StopReason::Diverged,
        code => StopReason::Other(words.unwrap_or_else(|| format!("CASA's stop code {code}"))),
    })
}

impl From<CycleFiles> for Residual {
    fn from(files: CycleFiles) -> Self {
        let CycleFiles { residual, pixel_mask, pb, psf, model, cycles: _ } = files;
        Self { residual, pixel_mask, pb, psf, model }
    }
}

impl From<RestoredFiles> for Products {
    fn from(files: RestoredFiles) -> Self {
        let RestoredFiles { image, residual, model, psf, dirty, pb, pbcor } = files;
        Self { image, residual, model, psf, dirty, pb, pbcor, channels: Vec::new() }
    }
}

impl Imager for TcleanImager {
    fn capabilities(&self) -> Capabilities {
        super::preview::capabilities(&self.program)
    }

    fn setup(&mut self) -> Result<()> {
        self.open(None)
    }

    fn teardown(&mut self) {
        // Tools of a worker that has gone went with it; to close them would only start another.
        let alive = self.opened.take().is_some_and(|starts| starts == self.casa.starts() && self.casa.pid().is_some());
        if !alive || crate::process::interrupt::requested() {
            return;
        }
        if let Err(e) = self.ask(&TcleanClose { folder: self.folder() }) {
            tracing::warn!("CASA's tools could not be closed: {e}");
        }
    }

    fn image_once(&mut self, mask: Option<&Path>) -> Result<Products> {
        self.open(Some(mask))?;
        self.make_psf()?;
        self.make_pb()?;
        self.residual()?;
        let threshold_jy = self.options.threshold_jy().unwrap_or_default();
        while self.options.niter > 0 {
            crate::process::interrupt::check()?;
            let controls = MinorControls {
                iterations_left: self.options.niter.saturating_sub(self.iterations),
                threshold_jy,
                follows_noise: None,
                major_iterations: 1,
                last: false,
                channels: Vec::new(),
            };
            if self.minor(mask, &controls)?.stopped.is_some() {
                break;
            }
            self.residual()?;
        }
        let products = self.restore()?;
        self.teardown();
        Ok(products)
    }

    fn predict(&mut self, model: &Path) -> Result<()> {
        self.casa.ask(&TcleanPredict { parameters: self.parameters(), model: absolute(model) }, Some(&self.job.log))
    }

    fn command_lines(&self, mask: Option<&Path>) -> Vec<Vec<String>> {
        let parameters = self.parameters();
        let defaults = TcleanOptions::default().parameters();
        let mut words = vec!["tclean".to_owned()];
        words.extend(
            parameters
                .iter()
                .filter(|(key, value)| key.as_str() != "mask" && defaults.get(*key) != Some(*value))
                .map(|(key, value)| format!("{key}={}", crate::programs::casa::python(value))),
        );
        words.extend(mask.map(|path| format!("mask={}", crate::programs::casa::python(&json!(path)))));
        vec![words]
    }

    fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
        Some(self)
    }
}

impl CycleImager for TcleanImager {
    fn make_psf(&mut self) -> Result<()> {
        self.ask(&TcleanPsf { folder: self.folder() })
    }

    fn make_pb(&mut self) -> Result<Option<PathBuf>> {
        Ok(self.ask(&TcleanPb { folder: self.folder() })?.pb)
    }

    fn residual(&mut self) -> Result<Residual> {
        // The worker knows whether this is its session's first: after a resumption that is not the run's first.
        let files = self.ask(&TcleanMajor { folder: self.folder() })?;
        self.cycles = files.cycles;
        Ok(files.into())
    }

    fn clean(&mut self, mask: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
        self.minor(mask, controls)
    }

    fn calls_are_cheap(&self) -> bool {
        // The tools stay open, and each call is a place to go on from.
        true
    }

    fn restore(&mut self) -> Result<Products> {
        self.ask(&TcleanRestore { folder: self.folder(), update_model: self.job.update_model }).map(Products::from)
    }

    fn completed_cycles(&self) -> usize {
        self.cycles
    }

    fn roll_back(&mut self, cycle: usize) -> Result<()> {
        self.iterations = self.ask(&TcleanRollBack { folder: self.folder(), cycle })?.iterations;
        (self.cycles, self.stopped) = (cycle, None);
        Ok(())
    }

    fn replace_model(&mut self, model: &Path) -> Result<Option<Residual>> {
        if !self.options.is_cube() || self.options.deconvolver == Deconvolver::Mtmfs {
            return Ok(None);
        }
        let request = TcleanReplaceModel { folder: self.folder(), model: absolute(model) };
        self.ask(&request).map(|files| Some(files.into()))
    }

    fn revert_channels(&mut self, reverts: &[ChannelRevert]) -> Result<bool> {
        if !self.options.is_cube() || self.cycles == 0 {
            return Ok(false);
        }
        let back = reverts.iter().map(|b| ChannelState { channel: b.channel, cycle: b.cycle }).collect();
        self.ask(&TcleanRevertChannels { folder: self.folder(), back })?;
        self.stopped = None;
        Ok(true)
    }

    fn lines_run(&self) -> Vec<Vec<String>> {
        Vec::new()
    }
}

impl Drop for TcleanImager {
    fn drop(&mut self) {
        self.teardown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_codes_become_stop_reasons() {
        assert_eq!(stop_reason(0, None), None);
        assert_eq!(stop_reason(7, Some("zero mask".into())), Some(StopReason::EmptyMask));
        assert_eq!(stop_reason(6, None), Some(StopReason::Diverged));
        assert_eq!(stop_reason(3, Some("force stop".into())), Some(StopReason::Other("force stop".into())));
    }
}
