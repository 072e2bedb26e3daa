//! The report.

mod browser;
pub mod html;
mod pages;
