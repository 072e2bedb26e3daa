//! Clean masks.

pub mod extract;
pub mod multithresh;
