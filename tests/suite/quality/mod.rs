//! Metrics, noise maps and confetti.

pub(crate) mod confetti;
pub(crate) mod metrics;
pub(crate) mod noise;
