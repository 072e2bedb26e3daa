//! Which planes of two files belong together, and which pixels of a mask are masked.

use super::{FitsImage, ImageError};
use ndarray::Array2;

/// Whether a pixel of a mask is masked: it is neither 0 nor blank.
pub fn is_masked(value: f32) -> bool {
    value != 0.0 && !value.is_nan()
}

impl FitsImage {
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
