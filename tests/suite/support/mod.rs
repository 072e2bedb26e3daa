//! What tests of several subjects share: the real programs, fake ones, simulated data, reference results.

pub(crate) mod fake;
pub(crate) mod real;
pub(crate) mod record;
pub(crate) mod references;
pub(crate) mod running;
pub(crate) mod schema;
pub(crate) mod scripts;
pub(crate) mod simulated;
pub(crate) mod words;
