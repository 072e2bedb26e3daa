//! Campaigns: the file, whole runs, faults, many measurement sets.

pub mod calibrators;
pub mod confetti_loop;
pub mod facade;
pub mod faults;
pub mod file;
pub mod many;
pub mod strategies;
pub mod surveys;
pub mod survival;
pub mod whole;
