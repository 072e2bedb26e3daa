//! Campaigns on a batch system.

pub mod slurm;
