//! wsclean: options, command lines, its log, and the lifecycle made of several calls of it.
//!
//! The behaviour described here is that of wsclean 3.1.0 (Debian's package); see `docs/imagers.md`. [`WscleanImager`]
//! runs; `command_line` builds the words of each call, `cycles` keeps what each call left, `files` knows the names.

mod call;
mod checks;
mod command_line;
mod cycles;
mod error;
mod files;
mod gridding;
mod imager;
mod imaging;
mod log;
mod options;
pub(super) mod preview;
mod primary_beam;
mod version;

pub use command_line::{INSTALL_HINT, Installed};
pub use error::{CubeExtent, WscleanError};
pub use imager::WscleanImager;
pub use options::{ExtraValue, PrimaryBeam, WscleanOptions};
pub use version::Version;
