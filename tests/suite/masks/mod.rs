//! Masks: flint's and CASA's pixels, files, commands.

pub mod automatic;
pub mod combine;
pub mod fields;
pub mod flint_masks;
pub mod mask_command;
pub mod multithresh;
pub mod multithresh_pclean;
pub mod multithresh_runs;
pub mod permissions;
