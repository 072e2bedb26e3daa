//! CASA's tclean, driven through its tools in the worker.

mod deconvolve;
mod imager;
mod options;
pub(super) mod preview;

pub use deconvolve::{Deconvolution, DeconvolveInputs, DeconvolveOptions, Deconvolved};
pub use imager::TcleanImager;
pub use options::{Deconvolver, Gridder, OneOrMore, OneOrTwo, SpecMode, TcleanOptions, TextValue};
