//! Batch systems: Slurm's clients, and the ledger of what was submitted.

pub mod ledger;
pub mod slurm;
