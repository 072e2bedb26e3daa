//! Which planes of two files belong together, and which pixels of a mask are masked.

use super::{CelestialWcs, FitsImage, ImageError};
use ndarray::Array2;
use std::path::PathBuf;

/// Whether a pixel of a mask is masked: it is neither 0 nor blank.
pub fn is_masked(value: f32) -> bool {
    value != 0.0 && !value.is_nan()
}

/// Pixels by which two grids may differ and still be the same.
const SAME_GRID: f64 = 0.1;

/// The grid of an image's pixels on the sky, to be compared with that of others.
#[derive(Debug)]
pub(crate) struct SkyGrid {
    path: PathBuf,
    shape: (usize, usize),
    /// `None` without usable celestial coordinates.
    wcs: Option<CelestialWcs>,
    /// The system of the positions, where no other can be converted to it.
    other_frame: Option<String>,
}

impl SkyGrid {
    /// The grid of an image.
    pub(crate) fn of(image: &FitsImage) -> Self {
        let (wcs, other_frame) = CelestialWcs::read(image.header(), true).map_or((None, None), |(w, f)| (Some(w), f));
        // The equinox of FK4 where none is given (FITS standard, section 8.3).
        let other_frame = other_frame.map(|name| if name == "FK4" { "FK4, equinox 1950".into() } else { name });
        Self { path: image.path().to_path_buf(), shape: image.plane_shape(), wcs, other_frame }
    }

    /// Refuses an image of this one's size whose pixels are at other positions on the sky, or at positions in another
    /// system that cannot be compared; images without usable celestial coordinates fit.
    ///
    /// # Errors
    /// [`ImageError::GridsDiffer`] and [`ImageError::FramesDiffer`], with the other image first.
    pub(crate) fn check(&self, other: &FitsImage) -> Result<(), ImageError> {
        let other = Self::of(other);
        let (Some(own), Some(theirs)) = (&self.wcs, &other.wcs) else { return Ok(()) };
        let (left, right) = (other.path.clone(), self.path.clone());
        if self.other_frame != other.other_frame {
            let name = |grid: &Self, wcs: &CelestialWcs| match &grid.other_frame {
                Some(name) => name.clone(),
                None => wcs.frame().to_string(),
            };
            let (left_frame, right_frame) = (name(&other, theirs), name(self, own));
            return Err(ImageError::FramesDiffer { left, left_frame, right, right_frame });
        }
        let pixels = theirs.offset_from(own, self.shape);
        if pixels <= SAME_GRID {
            return Ok(());
        }
        Err(ImageError::GridsDiffer { left, right, pixels })
    }
}

impl FitsImage {
    /// As [`SkyGrid::check`].
    pub(crate) fn check_same_sky(&self, other: &Self) -> Result<(), ImageError> {
        SkyGrid::of(self).check(other)
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

    /// An image of 20 x 20 pixels with these cards besides its coordinates.
    fn grid(folder: &std::path::Path, name: &str, cards: &[(&str, f64)], system: &str) -> FitsImage {
        let mut header = Header::default();
        for (key, value) in [("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN")] {
            header.set_str(key, value);
        }
        if !system.is_empty() {
            header.set_str("RADESYS", system);
        }
        let usual = [
            ("CRVAL1", 30.0),
            ("CRVAL2", -40.0),
            ("CRPIX1", 10.0),
            ("CRPIX2", 10.0),
            ("CDELT1", -1e-3),
            ("CDELT2", 1e-3),
        ];
        usual.iter().chain(cards).for_each(|&(key, value)| header.set_f64(key, value));
        let path = folder.join(name);
        let mut writer = PlaneWriter::create(&path, &[20, 20], PixelType::F32, &header, false).unwrap();
        writer.write_plane(0, Array2::<f32>::zeros((20, 20)).view()).unwrap();
        writer.finish().unwrap();
        FitsImage::open(&path).unwrap()
    }

    #[test]
    fn equal_numbers_in_other_systems_are_other_positions() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name, cards: &[_], system| grid(folder.path(), name, cards, system);
        let year = |year| [("EQUINOX", year)];
        let (icrs, fk5) = (of("icrs.fits", &[], ""), of("fk5.fits", &year(2000.0), ""));
        let (fk4, old) = (of("fk4.fits", &year(1950.0), ""), of("old.fits", &[], "FK4"));
        let (of_date, unlike) = (of("date.fits", &year(2026.5), "FK5"), of("unlike.fits", &[("CRVAL1", 31.0)], "FK4"));
        for (a, b) in [(&icrs, &fk5), (&fk4, &old), (&of_date, &of_date), (&old, &fk4)] {
            assert!(a.check_same_sky(b).is_ok());
        }
        for (a, b) in [(&icrs, &fk4), (&fk5, &old), (&fk5, &of_date), (&fk4, &of_date)] {
            for e in [a.check_same_sky(b).unwrap_err(), b.check_same_sky(a).unwrap_err()] {
                assert!(matches!(e, ImageError::FramesDiffer { .. }), "{e}");
            }
        }
        let e = fk5.check_same_sky(&fk4).unwrap_err().to_string();
        assert!(e.contains("FK4, equinox 1950") && e.contains("FK5, equinox 2000"), "{e}");
        let shifted = of("shifted.fits", &[("CRVAL1", 31.0), ("EQUINOX", 1950.0)], "");
        assert!(matches!(fk4.check_same_sky(&shifted).unwrap_err(), ImageError::GridsDiffer { .. }));
        assert!(unlike.check_same_sky(&fk4).is_err());
    }

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
