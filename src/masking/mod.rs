//! Clean masks.
//!
//! - [`flint`]: flint's pipeline ([`make_mask`], [`mask_of_signal`]); [`mask_file`] goes from file to file.
//! - [`auto`]: automatic masks, which choose levels for that pipeline from the image (docs/acceptance.md).
//! - [`multithresh`]: CASA's auto-multithresh.
//! - [`regions`], [`combine`], [`extract`]: regions of files, what one does to masks by hand, a part of a larger mask.

pub mod auto;
mod bits;
pub mod combine;
pub mod extract;
pub mod field;
pub mod file;
pub mod files;
pub mod flint;
pub mod multithresh;
pub mod regions;

pub use bits::MaskBits;
pub use file::{MaskReport, MaskRequest, default_mask_path, mask_file};
pub(crate) use flint::signal_of;
pub use flint::{
    MOST_SCALES, MaskNote, MaskOutput, MaskingError, MaskingOptions, make_mask, mask_of_signal, to_signal,
};
