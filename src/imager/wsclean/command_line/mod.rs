//! Command lines of wsclean, built by pure functions for plans and runs alike.

mod arguments;
mod calls;
mod expand;
mod installed;

pub(super) use arguments::Arguments;
pub(super) use calls::{CallResources, Calls, CycleCall, CyclePart, Stops, beam_words};
pub(super) use expand::expanded_path;
pub use installed::{INSTALL_HINT, Installed};
