//! Where the work of many measurement sets runs.

pub mod ledger;
pub mod local;
pub mod slurm;
