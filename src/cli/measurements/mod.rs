//! The commands that measure images and data, one file per subcommand.

pub(super) mod confetti;
pub(super) mod inspect;
mod inspect_text;
pub(super) mod metrics;
pub(super) mod noise;
