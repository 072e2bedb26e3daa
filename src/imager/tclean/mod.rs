//! CASA's tclean, driven through its tools in the worker.

mod imager;
mod options;

pub use imager::TcleanImager;
pub use options::{Deconvolver, Gridder, OneOrMore, OneOrTwo, SpecMode, TcleanOptions, TextValue};
