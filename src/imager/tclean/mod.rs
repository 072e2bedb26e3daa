//! CASA's tclean, driven through its tools in the worker.

mod options;

pub use options::{Deconvolver, Gridder, OneOrMore, OneOrTwo, SpecMode, TcleanOptions, TextValue};
