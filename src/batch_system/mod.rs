//! Batch systems: Slurm's clients, and the ledger of what was submitted.

mod job;
pub mod ledger;
pub mod slurm;

pub use job::JobOptions;
