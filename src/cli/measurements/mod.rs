//! The commands that measure images, one file per subcommand.

pub mod confetti;
pub mod metrics;
pub mod noise;
