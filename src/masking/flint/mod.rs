//! flint's mask pipeline, in the order of its steps: [`seeds`] and [`mac`] (seeds and floor by SNR or minimum absolute clip, with
//! `bounds` of its minima),
//! `flood` (growth, islands of low signal), `erosion` (by the beam, at one or many scales), or [`convolve_first`]
//! (all of it scale by scale). docs/masking.md explains them with pictures.

mod bounds;
#[doc(hidden)]
pub mod convolve_first;
pub(crate) mod erosion;
pub(crate) mod flood;
#[doc(hidden)]
pub mod mac;
mod notes;
mod options;
pub(super) mod pipeline;
#[doc(hidden)]
pub mod seeds;

pub use notes::MaskNote;
pub(crate) use options::LARGEST_SCALE;
pub use options::{MOST_SCALES, MaskingOptions};
pub(crate) use pipeline::signal_of;
pub use pipeline::{MaskOutput, MaskingError, make_mask, mask_of_signal, to_signal};
