//! Masks: flint's and CASA's pixels, files, commands.

pub(crate) mod any_image;
pub(crate) mod automatic;
pub(crate) mod combine;
pub(crate) mod fields;
pub(crate) mod flint_masks;
pub(crate) mod groups;
pub(crate) mod mask_command;
pub(crate) mod multithresh;
pub(crate) mod multithresh_pclean;
pub(crate) mod multithresh_runs;
pub(crate) mod permissions;
