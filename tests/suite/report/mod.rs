//! The report.

pub mod pages;
