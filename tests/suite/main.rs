//! Integration tests, one module a subject.
mod campaign;
mod casa;
mod combine;
mod confetti;
mod config;
mod fields;
mod flint_masks;
mod mask_command;
mod metrics;
mod multithresh;
mod multithresh_pclean;
mod multithresh_runs;
mod real;
mod report;
mod simulated;
mod strategies;
mod wsclean;
