//! Campaigns on a batch system.

pub(crate) mod slurm;
