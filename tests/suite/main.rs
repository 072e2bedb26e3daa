//! Integration tests, one module a subject.
//! Integration tests, one module a subject.
mod fields;
mod metrics;

mod multithresh;
