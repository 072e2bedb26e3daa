//! What tests of several subjects share: the real programs, fake ones, simulated data.

pub mod fake;
pub mod real;
pub mod simulated;
