//! FITS images through cfitsio: read and written plane by plane, outputs made visible by an atomic rename.

mod cfitsio;
mod plain;
mod read;
mod write;

pub use cfitsio::Pixel;
pub use plain::PlainPlane;
pub use read::FitsImage;
pub use write::{PlaneWriter, write_plane};

use std::path::{Path, PathBuf};

/// Role of an axis beyond the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaneKind {
    /// Frequency, velocity or wavelength.
    Channel,
    /// Stokes parameter or correlation.
    Polarisation,
}

/// Pixel type of a file to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelType {
    /// BITPIX 8, unsigned.
    U8,
    /// BITPIX 16.
    I16,
    /// BITPIX 32.
    I32,
    /// BITPIX -32.
    F32,
    /// BITPIX -64.
    F64,
}

impl PixelType {
    /// The smallest integer type that holds `bits` bits of a multi-scale mask.
    pub fn for_bits(bits: usize) -> Self {
        match bits {
            0..=8 => Self::U8,
            9..=15 => Self::I16,
            _ => Self::I32,
        }
    }
}

/// `X.fits` (or `X.fits.gz`, `X.fits.fz`) and `mask` give `X.mask.fits`, as flint names its outputs.
pub fn sidecar_path(image: &Path, kind: &str) -> PathBuf {
    let name = image.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.trim_end_matches(".gz").trim_end_matches(".fz");
    let stem = stem.strip_suffix(".fits").or_else(|| stem.strip_suffix(".fit")).unwrap_or(stem);
    image.with_file_name(format!("{stem}.{kind}.fits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageError;
    use crate::util::testing::words;

    #[test]
    fn bad_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        let missing = FitsImage::open(&path).unwrap_err();
        assert!(matches!(missing, ImageError::Unreadable { .. }), "{missing:?}");
        insta::assert_snapshot!(words(missing, folder.path()), @"<folder>/a.fits: cannot be read: No such file or directory (os error 2)");
        std::fs::write(&path, "not an image").unwrap();
        let other = FitsImage::open(&path).unwrap_err();
        let ImageError::Unsuitable { path: named, reason } = other else { panic!("{other:?}") };
        assert_eq!(named, path);
        insta::assert_snapshot!(reason, @"is not a FITS file: it does not begin with SIMPLE (another format, or a copy that went wrong?)");
        std::fs::write(&path, "SIMPLE  =                    T").unwrap();
        let ImageError::Unsuitable { reason, .. } = FitsImage::open(&path).unwrap_err() else { panic!("{path:?}") };
        // cfitsio's own words follow.
        insta::assert_snapshot!(reason.split(':').next().unwrap(), @"is not a FITS file that can be read");
    }

    #[test]
    fn sidecars_are_named_as_flint_names_them() {
        for (image, mask) in [("d/x.fits", "d/x.mask.fits"), ("x.fits.gz", "x.mask.fits"), ("a.b", "a.b.mask.fits")] {
            assert_eq!(sidecar_path(Path::new(image), "mask"), Path::new(mask));
        }
    }
}
