//! What every part of the program needs of the operating system: files, locks, room on disks, threads.

pub(crate) mod digest;
pub(crate) mod disk;
pub(crate) mod duration;
pub(crate) mod fs;
pub mod lock;
pub(crate) mod parallel;
pub(crate) mod shell;
#[cfg(test)]
pub(crate) mod testing;
