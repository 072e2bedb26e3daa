//! The loop over the major cycles of one imaging: mask, minor cycle, major cycle, until there is a reason to stop.
//!
//! [`run`] drives any [`CycleImager`](crate::imager::CycleImager), which takes a fresh mask for each call, and any
//! [`CycleMasks`], which makes them. It sees paths and numbers only, and writes down each cycle (`cycles.json`), so that
//! an interrupted imaging goes on from its last complete cycle with the same masks. It needs no campaign.
//!
//! One turn of the loop: veto confetti, choose the mask, look at the residual inside it, revert channels that diverged,
//! decide, clean. The decision is a pure function of what was seen; everything else is in the order of its phases.

mod channels;
mod cycles;
mod decide;
mod limits;
mod masks;
mod notes;
mod records;
mod stop;
#[cfg(test)]
mod tests;

pub use cycles::{CycleReport, MeasureResidual, Measures, run};
pub use limits::StopRules;
pub use masks::{CycleMask, CycleMasks, CycleVeto, MaskMoment};
pub use records::{ChannelRecord, ConfettiRecord, CycleRecord};
pub use stop::StopOptions;
