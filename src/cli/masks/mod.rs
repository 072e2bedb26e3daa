//! The commands of masks and images, one file per subcommand, and what they share.

pub mod automask;
pub mod combine;
pub mod deconvolve;
pub mod extractmask;
mod given;
pub mod kernel;
pub mod mask;
pub mod mosaic;
