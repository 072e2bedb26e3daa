//! Metrics and confetti.

pub mod confetti;
pub mod metrics;
