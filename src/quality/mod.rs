//! What an image, a model or a round is worth.

pub mod solutions;
pub mod metrics;
