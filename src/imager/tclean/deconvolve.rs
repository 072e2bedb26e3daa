//! Deconvolution alone: residual, PSF and model from disk, one minor cycle of CASA's tools, no visibilities.

use super::imager::{absolute, stop_reason};
use super::options::{Deconvolver, jansky};
use crate::Result;
use crate::imager::cycle::{Residual, StopReason};
use crate::options::{Checks, OptionError, Validate};
use crate::programs::casa::Casa;
use crate::programs::casa::requests::{DeconvolutionPrepare, DeconvolutionRun};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Options of a deconvolution: names, defaults and units of CASA's tclean.
#[derive(Debug, Clone, PartialEq, Serialize, clap::Args)]
#[command(next_help_heading = "Deconvolution")]
pub struct DeconvolveOptions {
    /// The algorithm that finds components.
    #[arg(long, value_enum, default_value_t = Deconvolver::Hogbom)]
    pub deconvolver: Deconvolver,
    /// Scales of multiscale and mtmfs, pixels.
    #[arg(long, value_name = "PIXELS", num_args = 1.., value_delimiter = ',')]
    pub scales: Vec<f64>,
    /// Taylor terms of mtmfs.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub nterms: u32,
    /// Bias towards small scales.
    #[arg(long, value_name = "BIAS", default_value_t = 0.0, allow_negative_numbers = true)]
    pub smallscalebias: f64,
    /// Most minor iterations; in a cube, of all channels together.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub niter: u64,
    /// Fraction of the peak that a minor iteration subtracts.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1)]
    pub gain: f64,
    /// Threshold with its unit; a bare number is in Jy.
    #[arg(long, value_name = "LEVEL", default_value = "0.0")]
    pub threshold: String,
    /// Threshold in units of the residual's robust noise (needs --pb); 0: not used.
    #[arg(long, value_name = "SIGMAS", default_value_t = 0.0)]
    pub nsigma: f64,
    /// With --one-cycle: most minor iterations (in a cube, of one channel); -1: no limit.
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    pub cycleniter: i64,
    /// With --one-cycle: multiplies the level at which the minor cycle ends.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub cyclefactor: f64,
    /// With --one-cycle: lowest level at which the minor cycle ends, fraction of the peak.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.05)]
    pub minpsffraction: f64,
    /// With --one-cycle: highest level at which the minor cycle ends, fraction of the peak.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.8)]
    pub maxpsffraction: f64,
}

impl Validate for DeconvolveOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::of("deconvolve");
        let expected = "a flux density such as 0.1mJy, or a number in Jy";
        checks.check(jansky(&self.threshold).is_some(), "threshold", &self.threshold, expected);
        let valid = self.gain > 0.0 && self.gain <= 1.0;
        checks.check(valid, "gain", self.gain, "a number above 0, 1 at most");
        checks.check(self.niter > 0, "niter", self.niter, "at least one iteration");
        let valid = self.deconvolver != Deconvolver::Mtmfs || self.nterms > 0;
        checks.check(valid, "nterms", self.nterms, "at least one Taylor term");
        let valid = self.scales.iter().all(|s| s.is_finite() && *s >= 0.0);
        checks.check(valid, "scales", format!("{:?}", self.scales), "widths in pixels, 0 or more");
        checks.problems()
    }
}

impl DeconvolveOptions {
    /// Taylor terms of the images; 0: they have none.
    fn terms(&self) -> u32 {
        if self.deconvolver == Deconvolver::Mtmfs { self.nterms } else { 0 }
    }
}

/// Inputs of a deconvolution: FITS files or CASA images. With mtmfs, one image for each Taylor term.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeconvolveInputs {
    /// Residual, Jy/beam.
    pub residual: Vec<PathBuf>,
    /// PSF, unit peak; mtmfs needs 2 n - 1 of them.
    pub psf: Vec<PathBuf>,
    /// Model so far, Jy/pixel; none: nothing was cleaned.
    pub model: Vec<PathBuf>,
    /// Primary beam.
    pub pb: Option<PathBuf>,
}

/// Result of a deconvolution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deconvolved {
    /// Minor iterations.
    pub iterations: u64,
    /// Why it ended; `None`: where tclean would go back to the data.
    pub stopped: Option<StopReason>,
    /// Level at which the minor cycle was to end, Jy/beam.
    pub cycle_threshold_jy: Option<f64>,
    /// Peak inside the mask before, Jy/beam.
    pub peak_before_jy: f64,
    /// Peak inside the mask after, Jy/beam.
    pub peak_after_jy: f64,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}

/// A deconvolution at work in a folder of its own.
pub struct Deconvolution {
    casa: Casa,
    options: DeconvolveOptions,
    folder: PathBuf,
    log: Option<PathBuf>,
}

impl Deconvolution {
    /// `folder` is filled with copies of the images; it should be removed afterwards.
    ///
    /// # Errors
    /// An option with an invalid value.
    pub fn new(casa: Casa, options: DeconvolveOptions, folder: &Path, log: Option<&Path>) -> Result<Self> {
        options.validate()?;
        Ok(Self { casa, options, folder: absolute(folder), log: log.map(absolute) })
    }

    /// Brings the images in; returns FITS files of them, from which masks can be made.
    ///
    /// # Errors
    /// Images that are not there or do not fit each other.
    pub fn prepare(&self, inputs: &DeconvolveInputs) -> Result<Residual> {
        let all = |paths: &[PathBuf]| paths.iter().map(|p| absolute(p)).collect::<Vec<_>>();
        let request = DeconvolutionPrepare {
            folder: self.folder.clone(),
            residual: all(&inputs.residual),
            psf: all(&inputs.psf),
            model: all(&inputs.model),
            pb: inputs.pb.as_deref().map(absolute),
            terms: self.options.terms(),
        };
        self.casa.ask(&request, self.log.as_deref()).map(Residual::from)
    }

    /// One minor cycle inside a mask (FITS; `None`: everywhere), down to the threshold or, with `one_cycle`, to where
    /// tclean would go back to the data. `outputs` is the start of the results' names.
    ///
    /// # Errors
    /// A mask of another size, CASA's failure.
    pub fn run(&self, mask: Option<&Path>, one_cycle: bool, outputs: &Path, casa_images: bool) -> Result<Deconvolved> {
        let request = DeconvolutionRun {
            folder: self.folder.clone(),
            parameters: json!(self.options).as_object().cloned().unwrap_or_default(),
            mask: mask.map(absolute),
            one_cycle,
            terms: self.options.terms(),
            outputs: absolute(outputs),
            casa_images,
        };
        let done = self.casa.ask(&request, self.log.as_deref())?;
        Ok(Deconvolved {
            iterations: done.iterations,
            stopped: stop_reason(done.stop_code, None),
            cycle_threshold_jy: done.cycle_threshold_jy,
            peak_before_jy: done.peak_before_jy,
            peak_after_jy: done.peak_after_jy,
            files: done.files,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: DeconvolveOptions,
    }

    #[test]
    fn invalid_values() {
        let cases: [&[&str]; 4] = [
            &["--threshold", "3 sigma"],
            &["--gain", "0"],
            &["--niter", "0"],
            &["--deconvolver", "mtmfs", "--nterms", "0"],
        ];
        let said = cases.map(|words| {
            let line = Line::try_parse_from(["x"].iter().chain(words)).expect("parsed");
            line.options.validate().expect_err("wrong").to_string()
        });
        insta::assert_snapshot!(said.join("\n"), @"
        deconvolve.threshold is 3 sigma; expected a flux density such as 0.1mJy, or a number in Jy
        deconvolve.gain is 0; expected a number above 0, 1 at most
        deconvolve.niter is 0; expected at least one iteration
        deconvolve.nterms is 0; expected at least one Taylor term
        ");
    }
}
