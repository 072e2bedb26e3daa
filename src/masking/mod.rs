//! Clean masks.
//!
//! The flint pipeline ([`make_mask`], [`mask_of_signal`]), in the order of its steps: [`seeds`] (seeds and floor by SNR
//! or minimum absolute clip), [`flood`] (growth, islands of low signal), [`erosion`] (by the beam, at one or many
//! scales), or [`convolve_first`] (all of it scale by scale); [`mask_file`] goes from file to file. docs/masking.md
//! explains them with pictures.
//!
//! Automatic masks: [`auto`] chooses levels for that pipeline, [`prominent`] and [`smoothed`] find what it misses, and
//! [`doubts`] takes out what is not believed (docs/acceptance.md).

pub mod auto;
mod bits;
pub mod combine;
pub mod convolve_first;
pub mod doubts;
pub mod erosion;
pub mod extract;
pub mod field;
pub mod file;
pub mod files;
pub mod flood;
pub mod mosaic;
pub mod mosaic_files;
pub mod multithresh;
mod options;
mod pipeline;
pub mod prominent;
pub mod regions;
pub mod seeds;
pub mod smoothed;

pub use bits::MaskBits;
pub use file::{MaskReport, MaskRequest, default_mask_path, mask_file};
pub use options::{MOST_SCALES, MaskingOptions, OptionError};
pub(crate) use pipeline::signal_of;
pub use pipeline::{MaskNote, MaskOutput, MaskingError, make_mask, mask_of_signal, to_signal};
