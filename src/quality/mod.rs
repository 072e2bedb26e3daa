//! Metrics of images and models, statistics of gain solutions, confetti.

pub mod confetti;
pub mod facets;
mod joint;
pub(crate) mod line_channels;
pub mod metrics;
pub mod residual;
pub mod solutions;
