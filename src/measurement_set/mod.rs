//! Measurement sets as files: their facts, copies, identity, and the disk that they need.

mod columns;
mod compressed;
pub mod continuum;
mod copy;
mod files;
mod identity;
pub mod inspection;
mod noise;
mod selection;
mod summary;

pub use columns::has_column;
pub(crate) use compressed::{decompress, is_compressed, is_foreign};
pub use copy::copy;
pub use identity::identity;
pub use inspection::{Inspection, inspect};
pub use noise::TheoreticalNoise;
pub use selection::{DataPart, Windows};
pub(crate) use selection::{field_named, split_corrected, target_field, windows_of};
pub use summary::{
    Antenna, Field, MsSummary, Pointing, SpectralWindow, adopt_corrected, checksum, copy_column, model_is_empty,
    shift_phase_centre, short_baseline_flux,
};
