//! Clean masks.

pub mod multithresh;
