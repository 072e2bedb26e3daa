//! Batch systems: Slurm's clients, the ledger of what was submitted, and work in job arrays that is followed to its end.

pub(crate) mod array;
mod job;
pub(crate) mod ledger;
pub(crate) mod slurm;

pub use job::JobOptions;
pub(crate) use job::job_words;
