//! Imaging: programs that make an image inside a clean mask.
//!
//! [`Imager`] is the lifecycle that every imager goes through, whichever program does the work, and [`CycleImager`] that
//! of imagers which take a fresh mask before each minor cycle; see `docs/imagers.md` for how each program is made to
//! follow it. One value of it is one imaging: one round of one measurement set. [`ImagerOptions`] says which program
//! images and how; [`open`] makes the imager.

mod channels;
pub mod command;
mod context;
mod cycle;
mod groups;
mod job;
mod lifecycle;
mod options;
mod pixel;
mod preview;
pub(crate) mod progress;
pub mod tclean;
pub mod wsclean;

pub use channels::{ChannelGroup, CubeGrid, DataChannels};
pub use context::ImagerContext;
pub use cycle::{
    BegunCycle, ChannelControls, ChannelCycle, ChannelRevert, MinorControls, MinorCycle, NoiseThreshold, Residual,
    StopLimits, StopReason,
};
pub use groups::CubeBand;
pub use job::{ChannelProducts, FacetFiles, ImagingJob, Products};
pub use lifecycle::{CycleImager, Guarded, Imager};
pub use options::{ImagerKind, ImagerOptions, open};
pub use preview::{Capabilities, ImagerPreview, PlannedCall, PlannedCycles, PlannedMasks};
