//! Metrics of images and models, statistics of gain solutions, confetti.

pub mod confetti;
pub mod facets;
mod joint;
pub mod metrics;
pub mod residual;
pub mod solutions;
