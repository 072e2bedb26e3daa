//! What every part of the program needs of the operating system: files, locks, room on disks, threads.

pub(crate) mod digest;
pub mod disk;
pub mod duration;
pub mod fs;
pub mod lock;
pub mod parallel;
pub(crate) mod shell;
#[cfg(test)]
pub(crate) mod testing;
