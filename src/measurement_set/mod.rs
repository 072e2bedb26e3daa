//! Measurement sets as files: what is in one, copies of it, and the disk that they need.

mod copy;

pub use copy::{available_space, copy, size_on_disk};
