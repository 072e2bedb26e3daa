//! Batch systems: Slurm's clients, and the ledger of what was submitted.

mod job;
pub(crate) mod ledger;
pub(crate) mod slurm;

pub use job::JobOptions;
