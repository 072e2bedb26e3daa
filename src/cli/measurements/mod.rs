//! The commands that measure images, one file per subcommand.

pub(super) mod confetti;
pub(super) mod metrics;
pub(super) mod noise;
