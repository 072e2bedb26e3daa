//! Measurement sets as files: what is in one, copies of it, and the disk that they need.

mod copy;
mod summary;

pub use copy::{available_space, copy, size_on_disk};
pub use summary::{Antenna, Field, MsSummary, SpectralWindow, checksum, model_is_empty};
