//! Planes, cubes, restoring beams and headers; FITS in and out, plane by plane.
//!
//! Arrays are `[y, x]` (row-major: x is FITS axis 1 and runs fastest); a cube's planes are addressed by
//! `(polarisation, channel)`, whichever order its FITS axes 3 and 4 have.

mod assembly;
mod beam;
mod beam_table;
mod beams;
mod common_beam;
pub(crate) mod components;
mod damage;
mod fits;
mod header;
mod moments;
pub mod mosaic;
mod planes;
pub mod psf;
pub(crate) mod wcs;
mod zeros;

pub use crate::kernels::PixelBeam;
pub use assembly::{CubeBeams, CubePart, assemble};
pub use beam::Beam;
pub use beam_table::{BeamTable, append_beam_table};
pub use common_beam::common_beam;
pub use fits::{FitsImage, Pixel, PixelType, PlainPlane, PlaneKind, PlaneWriter, sidecar_path, write_plane};
pub use header::Header;
pub use moments::{MomentFiles, write_moments};
pub(crate) use planes::SkyGrid;
pub use planes::is_masked;
pub use wcs::{CelestialWcs, Frame, PixelMap, SkyPosition, WcsError};
pub use zeros::Zeros;

use crate::util::fs::folder_of;
use std::path::PathBuf;

/// Errors of image files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file is not there or may not be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's or cfitsio's words.
        reason: String,
    },
    /// The file is FITS, but not an image that can be used.
    #[error("{}: {reason}", path.display())]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// Value found and value expected.
        reason: String,
    },
    /// Writing failed; no partial file is left.
    #[error("{}: cannot be written: {reason}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The operating system's or cfitsio's words.
        reason: String,
    },
    /// Two images that must match do not.
    #[error("{} has {} x {} pixels, but {} has {} x {}: both must have the same size", left.display(), left_shape.1, left_shape.0, right.display(), right_shape.1, right_shape.0)]
    ShapesDiffer {
        /// First file.
        left: PathBuf,
        /// Its `(ny, nx)`.
        left_shape: (usize, usize),
        /// Second file.
        right: PathBuf,
        /// Its `(ny, nx)`.
        right_shape: (usize, usize),
    },
    /// Two images of one size that must show the same sky do not.
    #[error("{} is not on the grid of {}: its sky position (CRVAL, CRPIX) or pixel size (CDELT) differs, the same pixel is up to {pixels:.1} pixels away. `cleanloop combine --like IMAGE --reproject` puts a mask onto another grid", left.display(), right.display())]
    GridsDiffer {
        /// First file.
        left: PathBuf,
        /// Second file.
        right: PathBuf,
        /// The largest distance, in pixels of the second.
        pixels: f64,
    },
    /// Two images of one size that must show the same sky have positions in systems that are not converted.
    #[error("{} has positions in {left_frame}, and {} in {right_frame}: they cannot be compared. Put one of them onto the grid of the other with another program (AIPS, astropy), or correct its RADESYS and EQUINOX", left.display(), right.display())]
    FramesDiffer {
        /// First file.
        left: PathBuf,
        /// Its system of coordinates.
        left_frame: String,
        /// Second file.
        right: PathBuf,
        /// Its system of coordinates.
        right_frame: String,
    },
}

impl From<ImageError> for crate::Error {
    fn from(e: ImageError) -> Self {
        match e {
            // A full disk is nobody's fault; an output in a folder that is not there is the caller's.
            ImageError::Unwritable { ref path, .. } if folder_of(path).is_dir() => Self::internal(e),
            _ => Self::bad_input(e),
        }
    }
}
