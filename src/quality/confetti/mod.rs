//! Confetti: single pixels of a model cube that are far too bright in one channel only, inside a faintly negative
//! patch that hides them from the residual. The restored cube then shows a point source with a line one channel
//! wide that does not exist.
//!
//! Source: ALMA-IMF's notes (A. Ginsburg, "Confetti artifacts in clean"). What tells a genuine source on a single
//! model pixel from confetti: it is there in the neighbouring channels, its surroundings are not negative, or the
//! data show it at the brightness that the model claims.
//!
//! ```text
//! model, channel c-1    channel c          channel c+1        dirty cube at the pixel
//!  0 0 0                -1 -1 -1            0 0 0             c-1  c  c+1
//!  0 0 0                -1  9 -1            0 0 0               0  0    0   confetti
//!  0 0 0                -1 -1 -1            0 0 0               0  9    0   a narrow line
//! ```
//!
//! [`judge_channel`] is the statistic, a pure function of three planes; [`veto_channel`] is what a campaign does
//! about it; [`of_files`] streams finished cubes.

mod between_cycles;
mod files;
mod plots;
mod statistic;
mod veto;

pub use between_cycles::{VetoFiles, VetoReport, Vetoed, veto_files};
pub(crate) use files::robust_noise;
pub use files::{ConfettiFiles, ConfettiReport, Counts, Cutouts, of_files, regions};
pub use plots::draw;
pub use statistic::{ChannelPlanes, judge_channel, judge_cube};
pub use veto::{ChannelVeto, Patch, apply_patches, veto_channel};

use crate::options::{Checks, OptionError, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Limits of the confetti statistic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct ConfettiOptions {
    /// Model pixels above this many times the residual's noise are judged.
    #[arg(long, default_value_t = 5.0, value_name = "K")]
    pub min_snr: f64,
    /// A pixel is isolated in frequency when it is this many times brighter than the neighbouring channels' model.
    #[arg(long, default_value_t = 3.0, value_name = "RATIO")]
    pub isolation: f64,
    /// Negative model around a pixel is a pedestal when its sum exceeds this fraction of the pixel.
    #[arg(long, default_value_t = 0.3, value_name = "FRACTION")]
    pub pedestal: f64,
    /// Radius of the pedestal, in FWHM of the restoring beam, at most 2.
    #[arg(long, default_value_t = 1.0, value_name = "BEAMS")]
    pub pedestal_radius: f64,
    /// The data support a pixel when they show at least this fraction of the brightness that the model claims.
    #[arg(long, default_value_t = 0.5, value_name = "FRACTION")]
    pub support: f64,
    /// Without a pedestal, a pixel is confetti only when the data miss the claim by this many sigma.
    #[arg(long, default_value_t = 5.0, value_name = "SIGMA")]
    pub missing_sigma: f64,
    /// Radius around a vetoed pixel that is removed from the mask, in FWHM of the restoring beam.
    #[arg(long, default_value_t = 0.5, value_name = "BEAMS")]
    pub guard_radius: f64,
}

impl Default for ConfettiOptions {
    fn default() -> Self {
        Self {
            min_snr: 5.0,
            isolation: 3.0,
            pedestal: 0.3,
            pedestal_radius: 1.0,
            support: 0.5,
            missing_sigma: 5.0,
            guard_radius: 0.5,
        }
    }
}

/// Largest radius of the pedestal, FWHM of the beam.
pub const MAX_PEDESTAL_RADIUS: f64 = 2.0;

/// An invalid request for confetti.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfettiError {
    /// An option with an invalid value.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// An image of one channel.
    #[error("{}: has one channel: confetti is defined for cubes (a pixel is compared with the neighbouring channels)", path.display())]
    NotACube {
        /// The model.
        path: std::path::PathBuf,
    },
    /// No source of noise.
    #[error("{}: a noise is needed to judge it: give the residual, the image or the dirty cube, or the noise in Jy/beam", path.display())]
    NoNoise {
        /// The model.
        path: std::path::PathBuf,
    },
    /// No beam in any header.
    #[error("{}: neither it nor the other cubes name a restoring beam (BMAJ, BMIN) and a pixel size: give the beam's FWHM in pixels", path.display())]
    NoBeam {
        /// The model.
        path: std::path::PathBuf,
    },
}

impl From<ConfettiError> for crate::Error {
    fn from(e: ConfettiError) -> Self {
        Self::bad_input(e)
    }
}

impl Validate for ConfettiOptions {
    fn problems(&self) -> Vec<OptionError> {
        let positive = |v: f64| v > 0.0 && v.is_finite();
        let mut checks = Checks::of("confetti");
        checks.check(positive(self.min_snr), "min_snr", self.min_snr, "a number above 0");
        checks.check(self.isolation > 1.0, "isolation", self.isolation, "a ratio above 1");
        checks.check(positive(self.pedestal), "pedestal", self.pedestal, "a fraction above 0");
        let valid = positive(self.pedestal_radius) && self.pedestal_radius <= MAX_PEDESTAL_RADIUS;
        checks.check(valid, "pedestal_radius", self.pedestal_radius, "beams above 0, at most 2");
        let valid = positive(self.support) && self.support <= 1.0;
        checks.check(valid, "support", self.support, "a fraction above 0, at most 1");
        checks.check(positive(self.missing_sigma), "missing_sigma", self.missing_sigma, "a number above 0");
        let valid = self.guard_radius >= 0.0 && self.guard_radius.is_finite();
        checks.check(valid, "guard_radius", self.guard_radius, "beams of at least 0");
        checks.problems()
    }
}

/// The judgement of a model pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfettiVerdict {
    /// It is not confetti.
    #[default]
    Real,
    /// Some of the evidence is there; a person should look.
    Suspicious,
    /// It does not exist.
    Confetti,
}

impl fmt::Display for ConfettiVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Real => "real",
            Self::Suspicious => "suspicious",
            Self::Confetti => "confetti",
        })
    }
}

/// A bright, locally largest model pixel with the evidence for and against it. All numbers are finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// Zero-based channel.
    pub channel: usize,
    /// Zero-based `[x, y]`.
    pub pixel: [usize; 2],
    /// The model there, Jy/pixel.
    pub flux: f64,
    /// Robust noise of the channel's residual, Jy/beam.
    pub noise: f64,
    /// Isolation in frequency: the pixel over the brightest model within 3 x 3 pixels of either neighbouring channel
    /// (at least a quarter of the noise).
    pub isolation: f64,
    /// Sum of the negative model around it over the pixel, as a positive fraction.
    pub pedestal: f64,
    /// Claim of the model: model smoothed with the beam, over the mean of the neighbouring channels, Jy/beam.
    pub claim: f64,
    /// The same excess in the restored cube, in units of the noise; `None` without one.
    pub image_excess: Option<f64>,
    /// The same excess in the dirty cube, Jy/beam; `None` without one.
    pub dirty_excess: Option<f64>,
    /// Fraction of the claim in the dirty cube: 1 is all of it; `None` without one, or where its noise hides the claim.
    pub support: Option<f64>,
    /// By how many sigma of the dirty cube the claim is missed.
    pub missing_sigma: Option<f64>,
    /// 0 (real) to 1 (confetti): isolation part times the mean of the pedestal and the support part.
    pub score: f64,
    /// The judgement.
    pub verdict: ConfettiVerdict,
    /// The reason of the verdict.
    pub why: String,
}
