//! The mask of a field cut to one of its beams.

use super::{Mask, MaskStats, UserPixels};
use crate::Result;
use crate::image::{FitsImage, ImageError, PixelType, PlaneWriter};
use crate::masking::MaskBits;
use crate::masking::extract::extract;
use std::path::Path;

/// A beam's mask to be cut from that of a field.
#[derive(Debug, Clone, Copy)]
pub struct CutRequest<'a> {
    /// The field's mask: one plane, one bit per scale.
    pub field_mask: &'a Path,
    /// Scales of the mask.
    pub scales: usize,
    /// Image whose grid and header the mask gets.
    pub beam_image: &'a Path,
    /// Pixels of the beam's image that the user puts in and takes out.
    pub users: &'a UserPixels,
    /// An earlier mask on the beam's grid to compare with.
    pub previous: Option<&'a Path>,
    /// The file to be made.
    pub output: &'a Path,
}

/// Puts the field's mask onto the beam image's grid, nearest neighbour, scale by scale ([`extract`]), and writes it.
/// Beyond the field's image nothing is masked.
///
/// # Errors
/// Files that cannot be read or written, a field mask of several planes, images without celestial coordinates.
pub fn cut(request: &CutRequest<'_>) -> Result<Mask> {
    let image = FitsImage::open(request.beam_image)?;
    let mut field = FitsImage::open(request.field_mask)?;
    if field.channels() * field.polarisations() > 1 {
        return Err(ImageError::Unsuitable {
            path: request.field_mask.to_path_buf(),
            reason: "has several planes; a field's mask has one".into(),
        }
        .into());
    }
    let (shape, beam_wcs, field_wcs) = (image.plane_shape(), image.wcs()?, field.wcs()?);
    let mut mask = MaskBits::empty(shape, request.scales);
    for scale in 0..request.scales.max(1) {
        // Masks hold small whole numbers.
        #[allow(clippy::cast_possible_truncation)]
        let source = field.read_plane_as(0, 0, |v| (v as i64) >> scale & 1 == 1)?;
        mask.set(scale, extract(source.view(), &field_wcs, &beam_wcs, shape).view());
    }
    request.users.apply_to_scales(&mut mask, request.scales);
    let before = match request.previous {
        Some(path) => Some(image.companion(path)?.read_mask(0, 0)?),
        None => None,
    };
    let mut stats = MaskStats::start(before.is_some(), true);
    stats.count(&mask.any_bits(), before.as_ref());
    let axes = [shape.1, shape.0];
    let mut writer =
        PlaneWriter::create(request.output, &axes, PixelType::for_bits(request.scales), image.header(), false)?;
    mask.write(&mut writer, 0)?;
    writer.finish()?;
    let bits = request.scales.max(1);
    Ok(Mask { path: request.output.to_path_buf(), stats, planes: 1, bits, ..Mask::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, write_plane};
    use ndarray::{Array2, array};

    fn header(x: f64) -> Header {
        let mut header = Header::default();
        header.set_str("CTYPE1", "RA---SIN");
        header.set_str("CTYPE2", "DEC--SIN");
        let values =
            [("CRPIX1", x), ("CRPIX2", 2.0), ("CRVAL1", 10.0), ("CRVAL2", 0.0), ("CDELT1", -0.01), ("CDELT2", 0.01)];
        for (key, value) in values {
            header.set_f64(key, value);
        }
        header
    }

    #[test]
    fn every_scale_is_cut_and_the_user_has_the_last_word() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let field = array![[0u8, 0, 0, 0, 0, 0], [1, 3, 2, 0, 1, 0], [0, 0, 0, 0, 0, 0]];
        write_plane(at("field.fits"), field.view(), PixelType::U8, &header(3.0), 2).unwrap();
        // Its first column is the field's second; its last one lies beyond the field.
        write_plane(at("beam.fits"), Array2::<f32>::zeros((3, 6)).view(), PixelType::F32, &header(2.0), 4).unwrap();
        write_plane(at("before.fits"), array![[1u8; 6], [0; 6], [0; 6]].view(), PixelType::U8, &header(2.0), 2)
            .unwrap();
        let include = Array2::from_shape_fn((3, 6), |p| p == (0, 0));
        let exclude = Array2::from_shape_fn((3, 6), |p| p == (1, 1));
        let (field_mask, beam_image, previous, output) =
            (at("field.fits"), at("beam.fits"), at("before.fits"), at("o.fits"));
        let request = CutRequest {
            field_mask: &field_mask,
            scales: 2,
            beam_image: &beam_image,
            users: &UserPixels { include: Some(include), exclude: Some(exclude) },
            previous: Some(&previous),
            output: &output,
        };
        let stats = cut(&request).unwrap().stats;
        let mask = FitsImage::open(&output).unwrap().read_plane(0, 0).unwrap();
        assert_eq!(mask, array![[3f32, 0., 0., 0., 0., 0.], [3., 0., 0., 1., 0., 0.], [0.; 6]]);
        assert_eq!((stats.masked, stats.added, stats.removed), (3, Some(2), Some(5)));
    }
}
