//! The report.

mod browser;
pub(crate) mod html;
mod pages;
