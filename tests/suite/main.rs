//! Integration tests, one module a subject.
mod config;
mod fields;
mod metrics;
mod multithresh;
