//! Imaging and the CASA worker, with the real programs.

pub(crate) mod casa;
pub(crate) mod deconvolve;
pub(crate) mod final_cubes;
pub(crate) mod one_round;
pub(crate) mod tclean;
mod worker;
pub(crate) mod wsclean;
