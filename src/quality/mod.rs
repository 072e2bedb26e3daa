//! What an image, a model or a round is worth.

pub mod confetti;
pub mod metrics;
pub mod residual;
pub mod solutions;
