//! `mask: auto`: levels chosen from the image itself, and a mask that is checked before it is used. Pure functions.
//!
//! The worst image makes the first mask, so the early rounds decide a campaign: what is cleaned there wrongly is
//! calibrated into the data. Where negative peaks are deep (compared with the brightest pixel, and with what noise
//! alone would make), they measure the artefacts, and seeds must exceed them: a minimum absolute clip with a high
//! factor and a large box. As the negative peaks fall the factor and the box shrink, and once they are no deeper than
//! noise makes them, signal to local noise decides. The limits between which the factors move are those of a schedule
//! tuned by hand on a simulated field (docs/acceptance.md).
//!
//! ```
//! use cleanloop::masking::MaskingOptions;
//! use cleanloop::masking::auto::{self, AutoInputs, AutoMaskOptions, AutoSettings};
//! use cleanloop::noise::NoiseOptions;
//! use ndarray::Array2;
//!
//! // A ripple for noise, 1e-4 Jy/beam, and a source of 1 Jy/beam.
//! let image = Array2::from_shape_fn((128, 128), |(y, x)| {
//!     let (dy, dx) = (y as f32 - 64.0, x as f32 - 64.0);
//!     1e-4 * ((37 * y + 11 * x * x) as f32).sin() + (-(dx * dx + dy * dy) / 8.0).exp()
//! });
//! let inputs =
//!     AutoInputs { image: image.view(), beam: None, sidelobes: None, uncleaned: None, last: None, left: 0.0 };
//! let settings = AutoSettings {
//!     base: &MaskingOptions::default(),
//!     noise: &NoiseOptions::default(),
//!     caution: 1.0,
//!     limits: &AutoMaskOptions::default(),
//! };
//! let made = auto::make(&inputs, &settings)?;
//! println!("{}", made.choice.why);
//! assert!(made.fraction > 0.0 && made.fraction < 0.2);
//! # Ok::<(), auto::AutoMaskError>(())
//! ```

mod attempt;
mod choice;
mod compact;
pub(crate) mod extended;
mod islands;
mod options;
mod smoothing;
mod state;
mod vetting;

pub use choice::{AutoChoice, choose};
pub use extended::PsfSidelobes;
pub use options::{AutoMaskOptions, CompactOptions, ExtendedOptions, FlatOptions, LevelOptions, Span, VettingOptions};
pub use state::{ImageState, fwhm_of, measure};
pub use vetting::{LastRound, RemovedIsland};

use super::{MaskBits, MaskNote, MaskingError, MaskingOptions};
use crate::image::PixelBeam;
use crate::kernels::rows::Rows;
use crate::noise::NoiseOptions;
use attempt::Maker;
use extended::ScaleFound;
use ndarray::ArrayView2;

/// A mask that is too large is made again, with higher levels, at most this many times.
const MOST_ATTEMPTS: usize = 5;
/// Each of these attempts multiplies the levels by this.
const ATTEMPT_FACTOR: f64 = 1.3;

/// The plane that a mask is made of, and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub struct AutoInputs<'a> {
    /// A restored image or a residual, `[y, x]`, Jy/beam.
    pub image: ArrayView2<'a, f32>,
    /// Its restoring beam.
    pub beam: Option<&'a PixelBeam>,
    /// For a residual: the sidelobes that are still in it, on the scales of the options.
    pub sidelobes: Option<&'a PsfSidelobes>,
    /// For a residual: the same field with its bright sources in it (the dirty image), `[y, x]`, Jy/beam.
    pub uncleaned: Option<ArrayView2<'a, f32>>,
    /// The last accepted round, against which islands are checked.
    pub last: Option<LastRound<'a>>,
    /// For a restored image: the highest sidelobe of what was left uncleaned, Jy/beam, below which nothing new is believed;
    /// 0: nothing was.
    pub left: f64,
}

/// The options of an automatic mask.
#[derive(Debug, Clone, Copy)]
pub struct AutoSettings<'a> {
    /// Options of flint's pipeline that are not about levels (erosion, scales).
    pub base: &'a MaskingOptions,
    /// How the local noise is estimated.
    pub noise: &'a NoiseOptions,
    /// Factor on all levels: 1, or more for a more cautious mask.
    pub caution: f64,
    /// The limits.
    pub limits: &'a AutoMaskOptions,
}

/// An automatic mask of one plane.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoMask {
    /// The mask, one bit per scale.
    pub mask: MaskBits,
    /// The levels that were chosen.
    pub choice: AutoChoice,
    /// The state of the image.
    pub state: ImageState,
    /// Masked pixels over pixels with data.
    pub fraction: f64,
    /// Number of times that it was made again with higher levels, because too much was masked.
    pub raised: usize,
    /// Islands that were not believed.
    pub removed: Vec<RemovedIsland>,
    /// Pixels of islands that stand out from their surroundings.
    pub compact: usize,
    /// Whether sidelobes of what is not cleaned yet may hide islands that stand out from the noise.
    pub hidden: bool,
    /// Extended emission that was looked for, scale by scale.
    pub extended: Vec<ScaleFound>,
    /// Notes of the pipeline.
    pub notes: Vec<MaskNote>,
}

/// Reasons for which there is no automatic mask.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AutoMaskError {
    /// No positive pixel, or no noise.
    #[error("the image has no positive pixel or no noise; no mask can be chosen from it")]
    NoSignal,
    /// Too much is masked, whatever the levels.
    #[error("{:.1} % of the image would be masked, {:.1} % are allowed, even with levels raised {raised} times", 100.0 * fraction, 100.0 * allowed)]
    TooMuch {
        /// Fraction that would be masked.
        fraction: f64,
        /// Largest fraction that is allowed.
        allowed: f64,
        /// Number of times that the levels were raised.
        raised: usize,
    },
    /// The pipeline failed.
    #[error(transparent)]
    Masking(#[from] MaskingError),
    /// The noise could not be estimated.
    #[error(transparent)]
    Noise(#[from] crate::noise::NoiseError),
}

impl From<AutoMaskError> for crate::Error {
    fn from(e: AutoMaskError) -> Self {
        Self::bad_input(e)
    }
}

/// Chooses levels for an image, makes the mask and checks it.
///
/// # Errors
/// An image without signal, invalid options, or a mask that stays too large.
pub fn make(inputs: &AutoInputs<'_>, settings: &AutoSettings<'_>) -> Result<AutoMask, AutoMaskError> {
    make_beside(inputs, inputs.uncleaned.as_ref().map(|plane| plane as &dyn Rows), settings)
}

/// [`make`] with rows of the image before cleaning, as they are needed, in place of the plane in the inputs.
///
/// # Errors
/// As [`make`].
pub(crate) fn make_beside(
    inputs: &AutoInputs<'_>,
    uncleaned: Option<&dyn Rows>,
    settings: &AutoSettings<'_>,
) -> Result<AutoMask, AutoMaskError> {
    let maker = Maker::new(inputs, uncleaned, settings)?;
    let allowed = settings.limits.levels.max_fraction;
    for raised in 0..=MOST_ATTEMPTS {
        let made = maker.attempt(settings.caution * ATTEMPT_FACTOR.powi(raised as i32))?;
        if made.fraction <= allowed {
            return Ok(AutoMask { raised, ..made });
        }
        if raised == MOST_ATTEMPTS {
            return Err(AutoMaskError::TooMuch { fraction: made.fraction, allowed, raised });
        }
    }
    unreachable!("the last attempt returns")
}

#[cfg(test)]
mod tests;
