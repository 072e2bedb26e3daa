//! What tests of several subjects share: the real programs, fake ones, simulated data, reference results.

pub mod fake;
pub mod real;
pub mod record;
pub mod references;
pub mod running;
pub mod simulated;
