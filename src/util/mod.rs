//! Services of the operating system for every part of the program: files, locks, disk space, threads.

pub(crate) mod digest;
pub(crate) mod disk;
pub(crate) mod duration;
pub(crate) mod fs;
pub mod huge_pages;
pub mod lock;
pub(crate) mod memory;
pub(crate) mod parallel;
pub(crate) mod shell;
pub(crate) mod temporary;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod wrap;
