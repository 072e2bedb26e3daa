//! Which planes of two files belong together, and which pixels of a mask are masked.

use super::{CelestialWcs, FitsImage, ImageError};
use ndarray::Array2;
use std::path::Path;

/// Whether a pixel of a mask is masked: it is neither 0 nor blank.
pub fn is_masked(value: f32) -> bool {
    value != 0.0 && !value.is_nan()
}

/// Pixels by which two grids may differ and still be the same.
const SAME_GRID: f64 = 0.1;

/// Refuses two images of one size, with these celestial coordinates, whose pixels are at different positions; `left` is
/// named first.
///
/// # Errors
/// [`ImageError::GridsDiffer`].
pub(crate) fn check_same_sky(
    left: (&Path, &CelestialWcs),
    right: (&Path, &CelestialWcs),
    shape: (usize, usize),
) -> Result<(), ImageError> {
    let pixels = left.1.offset_from(right.1, shape);
    if pixels <= SAME_GRID {
        return Ok(());
    }
    Err(ImageError::GridsDiffer { left: left.0.to_path_buf(), right: right.0.to_path_buf(), pixels })
}

impl FitsImage {
    /// Refuses an image of this one's size whose pixels are at other positions on the sky; images without usable
    /// celestial coordinates fit.
    ///
    /// # Errors
    /// [`ImageError::GridsDiffer`], with the other image first.
    pub(crate) fn check_same_sky(&self, other: &Self) -> Result<(), ImageError> {
        match (self.wcs(), other.wcs()) {
            (Ok(own), Ok(theirs)) => check_same_sky((other.path(), &theirs), (self.path(), &own), self.plane_shape()),
            _ => Ok(()),
        }
    }

    /// The `(polarisation, channel)` of this file that belongs to plane `(polarisation, channel)` of another: the same
    /// one, or the last one that there is, so that one plane serves all.
    pub fn matching_plane(&self, polarisation: usize, channel: usize) -> (usize, usize) {
        (polarisation.min(self.polarisations() - 1), channel.min(self.channels() - 1))
    }

    /// Whether this file has one plane for all, or as many polarisations and channels as an image with `planes`.
    pub fn serves_planes(&self, planes: (usize, usize)) -> bool {
        let own = (self.polarisations(), self.channels());
        own == (1, 1) || own == planes
    }

    /// Reads the plane that belongs to plane `(polarisation, channel)` of another file ([`Self::matching_plane`]).
    ///
    /// # Errors
    /// As [`FitsImage::read_plane`].
    pub fn read_matching(&mut self, polarisation: usize, channel: usize) -> Result<Array2<f32>, ImageError> {
        let (polarisation, channel) = self.matching_plane(polarisation, channel);
        self.read_plane(polarisation, channel)
    }

    /// Reads the masked pixels, `[y, x]`, of the plane that belongs to plane `(polarisation, channel)` of another file.
    ///
    /// # Errors
    /// As [`FitsImage::read_plane`].
    pub fn read_mask(&mut self, polarisation: usize, channel: usize) -> Result<Array2<bool>, ImageError> {
        let (polarisation, channel) = self.matching_plane(polarisation, channel);
        self.read_plane_as(polarisation, channel, is_masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, PixelType, PlaneWriter};
    use ndarray::array;

    #[test]
    fn one_plane_serves_all_channels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.fits");
        let mut writer = PlaneWriter::create(&path, &[3, 1, 2], PixelType::F32, &Header::default(), false).unwrap();
        writer.write_plane(0, array![[0f32, 1., 2.]].view()).unwrap();
        writer.write_plane(1, array![[f32::NAN, -1., 0.]].view()).unwrap();
        writer.finish().unwrap();
        let mut cube = FitsImage::open(&path).unwrap();
        assert_eq!(cube.read_mask(0, 0).unwrap(), array![[false, true, true]]);
        assert_eq!(cube.read_mask(0, 1).unwrap(), array![[false, true, false]]);
        assert_eq!((cube.matching_plane(3, 7), cube.matching_plane(0, 0)), ((0, 1), (0, 0)));
        assert!(cube.serves_planes((1, 2)) && !cube.serves_planes((1, 3)));
    }
}
