//! Rules of a campaign, as pure functions: which rounds are accepted, which solution intervals are tried, which model is
//! started from, which directions are worse than before, which files go.

pub mod acceptance;
pub(crate) mod budget;
pub(crate) mod facets;
pub(crate) mod scales;
pub mod schedule;
pub mod start_model;
