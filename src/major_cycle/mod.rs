//! The loop over the major cycles of one imaging: mask, minor cycle, major cycle, until there is a reason to stop.
//!
//! [`run`] drives any [`CycleImager`](crate::imager::CycleImager), which takes a fresh mask for each call, and any
//! [`CycleMasks`], which makes them. It sees paths and numbers only, and writes down each cycle (`cycles.json`), so that
//! an interrupted imaging goes on from its last complete cycle with the same masks. It needs no campaign.
//!
//! One turn of the loop: veto confetti, choose the mask, look at the residual inside it, revert channels that diverged,
//! decide, clean. The decision is a pure function of what was seen; everything else is in the order of its phases.
//!
//! ```
//! use cleanloop::imager::{CycleImager, Residual};
//! use cleanloop::major_cycle::{self, CycleMask, CycleMasks, CycleReport, MaskMoment, Measures, StopRules};
//! use cleanloop::quality::residual::{measure, model_fluxes};
//! use std::path::{Path, PathBuf};
//!
//! /// The same mask before each major cycle.
//! struct FixedMask(PathBuf);
//!
//! impl CycleMasks for FixedMask {
//!     fn make(&mut self, _: &Residual, _: &MaskMoment<'_>) -> cleanloop::Result<CycleMask> {
//!         Ok(CycleMask { path: self.0.clone(), ..CycleMask::default() })
//!     }
//! }
//!
//! fn image(imager: &mut dyn CycleImager, rules: &StopRules, folder: &Path) -> cleanloop::Result<CycleReport> {
//!     let mut masks = FixedMask("mask.fits".into());
//!     let measures = Measures { residual: &measure, flux: &model_fluxes };
//!     major_cycle::run(imager, &mut masks, measures, rules, folder)
//! }
//! ```

mod begin;
mod channels;
mod cycles;
mod decide;
mod limits;
mod masks;
mod measures;
mod notes;
mod records;
mod settled;
mod stop;
#[cfg(test)]
mod tests;

pub use cycles::{CycleReport, run};
pub use limits::StopRules;
pub use masks::{ChannelMoment, CycleMask, CycleMasks, CycleVeto, FirstMask, MaskMoment, PlaneMask};
pub use measures::{MeasureResidual, Measures};
pub use records::{ChannelRecord, ConfettiRecord, CycleRecord};
pub use stop::StopOptions;
