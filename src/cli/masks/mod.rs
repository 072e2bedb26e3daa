//! The commands of masks and images, one file per subcommand, and what they share.

pub(super) mod automask;
pub(super) mod combine;
pub(super) mod deconvolve;
pub(super) mod extractmask;
mod given;
mod groups;
pub(super) mod kernel;
pub(super) mod mask;
pub(super) mod mosaic;
