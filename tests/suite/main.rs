//! Integration tests, one module a subject.
//! Integration tests, one module a subject.
mod fields;
mod flint_masks;
mod metrics;

mod multithresh;
