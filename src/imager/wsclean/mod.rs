//! wsclean: options, command lines, its log, and the lifecycle made of several calls of it.
//!
//! The behaviour described here is that of wsclean 3.1.0 (Debian's package); see `docs/imagers.md`.

mod arguments;
mod call;
mod error;
mod files;
mod imager;
mod installed;
mod log;
mod memory;
mod options;
pub(super) mod preview;
mod repair;
mod revert;

pub use error::WscleanError;
pub use imager::WscleanImager;
pub use installed::{INSTALL_HINT, Installed, Version};
pub use log::{LogReader, MajorLog, RunLog, Stop};
pub use options::{ExtraValue, PrimaryBeam, WscleanOptions};
