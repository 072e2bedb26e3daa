//! Metrics, noise maps and confetti.

pub mod confetti;
pub mod metrics;
pub mod noise;
