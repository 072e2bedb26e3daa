//! Clean masks.
//!
//! - [`maker`]: from image files to a mask file ([`maker::make`]), with a `recipe`: the way for all callers.
//! - [`flint`]: flint's pipeline on arrays ([`make_mask`], [`mask_of_signal`]).
//! - [`auto`]: automatic masks, which choose levels for that pipeline from the image (docs/acceptance.md).
//! - [`multithresh`]: CASA's auto-multithresh.
//! - [`regions`], [`combine`], [`extract`]: regions of files, masks put together by hand, a part of a larger mask.

pub mod auto;
pub mod combine;
pub mod extract;
pub mod flint;
pub mod maker;
mod mask;
pub mod multithresh;
pub(crate) mod recipe;
pub mod regions;

pub(crate) use flint::signal_of;
pub use flint::{
    MOST_SCALES, MaskNote, MaskOutput, MaskingError, MaskingOptions, make_mask, mask_of_signal, to_signal,
};
pub use mask::MaskBits;
pub use recipe::{CombineRule, MaskMethod, MaskRecipe};
