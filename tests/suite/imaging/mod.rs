//! Imaging and the CASA worker, with the real programs.

pub mod casa;
pub mod deconvolve;
pub mod one_round;
pub mod tclean;
mod worker;
pub mod wsclean;
