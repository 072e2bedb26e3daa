//! Morphology of masks: dilation, erosion and closing, growth inside a floor, holes.

mod fill_holes;
pub(crate) mod footprint_erosion;
mod geodesic_dilation;
mod iterated;

pub use fill_holes::{fill_holes, fill_holes_bits};
pub use footprint_erosion::footprint_erosion;
pub use geodesic_dilation::{geodesic_dilation, geodesic_dilation_bits};
pub use iterated::{binary_closing, binary_dilation, binary_erosion, closing_bits, dilation_bits, erosion_bits};
