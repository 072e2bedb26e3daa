//! wsclean: options, command lines, its log, and the lifecycle made of several calls of it.

mod options;

pub use options::{ExtraValue, WscleanOptions};
