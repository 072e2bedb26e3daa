//! Images made from wsclean's images: cubes put together from channels, empty models, planes of masks.

use crate::image::{Beam, FitsImage, Header, PixelType, PlaneWriter, append_beam_table, is_masked};
use crate::imager::wsclean::error::WscleanError;
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Puts planes together as one cube [channel, y, x], in their order, plane by plane.
///
/// The header is that of the middle plane with the frequency axis of all of them; each plane's beam is in a table `BEAMS`
/// (zeros: it has none), so that what is made of a plane does not depend on the others.
///
/// # Errors
/// A plane cannot be read, or has another size than the first.
pub(crate) fn assemble(planes: &[PathBuf], cube: &Path) -> Result<(), WscleanError> {
    let frequency = |image: &FitsImage| image.header().get_f64("CRVAL3");
    let first = FitsImage::open(&planes[0])?;
    let (ny, nx) = first.plane_shape();
    let mut header: Header = FitsImage::open(&planes[planes.len() / 2])?.header().clone();
    if let Some(start) = frequency(&first) {
        header.set_f64("CRVAL3", start);
        if planes.len() > 1
            && let Some(end) = frequency(&FitsImage::open(&planes[planes.len() - 1])?)
        {
            header.set_f64("CDELT3", (end - start) / (planes.len() - 1) as f64);
        }
    }
    let mut beams = Vec::with_capacity(planes.len());
    for path in planes {
        let none = Beam { major_deg: 0.0, minor_deg: 0.0, pa_deg: 0.0 };
        beams.push(FitsImage::open(path)?.header_beam().unwrap_or(none));
    }
    let has_beams = beams.iter().any(|beam| beam.major_deg > 0.0);
    if has_beams {
        ["BMAJ", "BMIN", "BPA"].into_iter().for_each(|key| header.remove(key));
        header.set_logical("CASAMBM", true);
    }
    let mut writer = PlaneWriter::create(cube, &[nx, ny, planes.len(), 1], PixelType::F32, &header, false)?;
    for (index, path) in planes.iter().enumerate() {
        let mut image = FitsImage::open(path)?;
        if image.plane_shape() != (ny, nx) {
            return Err(crate::image::ImageError::ShapesDiffer {
                left: planes[0].clone(),
                left_shape: (ny, nx),
                right: path.clone(),
                right_shape: image.plane_shape(),
            }
            .into());
        }
        writer.write_plane(index, image.read_plane(0, 0)?.view())?;
    }
    writer.finish()?;
    if has_beams {
        append_beam_table(cube, &beams)?;
    }
    Ok(())
}

/// Writes an empty model for this image: what cleaning nothing leaves.
///
/// # Errors
/// The image cannot be read, the model not written.
pub(crate) fn empty_model(image: &Path, model: &Path) -> Result<(), WscleanError> {
    let like = FitsImage::open(image)?;
    let mut header = like.header().clone();
    header.set_str("BUNIT", "JY/PIXEL");
    let mut writer = PlaneWriter::create(model, like.axes(), PixelType::F32, &header, false)?;
    let zeros = Array2::<f32>::zeros(like.plane_shape());
    for index in 0..like.axes()[2..].iter().product::<usize>() {
        writer.write_plane(index, zeros.view())?;
    }
    writer.finish()?;
    Ok(())
}

/// Divides an image by a primary beam, plane by plane; no data where the beam is below `limit` or no data itself. The
/// beam has a plane for each channel, or one for all; every polarisation is divided by its first one.
///
/// # Errors
/// A file cannot be read or written, or the sizes differ.
pub(crate) fn divide(image: &Path, beam: &Path, limit: f64, quotient: &Path) -> Result<(), WscleanError> {
    let mut image = FitsImage::open(image)?;
    let mut beam = image.companion(beam)?;
    let mut writer = PlaneWriter::create(quotient, image.axes(), PixelType::F32, image.header(), false)?;
    for channel in 0..image.channels() {
        let by = beam.read_matching(0, channel)?;
        for polarisation in 0..image.polarisations() {
            let mut plane = image.read_plane(polarisation, channel)?;
            // A NaN compares as false, and so gives no data.
            plane.zip_mut_with(&by, |v, &b| *v = if f64::from(b) >= limit { *v / b } else { f32::NAN });
            writer.write_plane(image.plane_index(polarisation, channel), plane.view())?;
        }
    }
    writer.finish()?;
    Ok(())
}

/// Writes one plane of a mask cube as a mask of its own.
///
/// # Errors
/// The cube cannot be read, the plane not written.
pub(crate) fn mask_plane(cube: &Path, channel: usize, to: &Path) -> Result<(), WscleanError> {
    let mut image = FitsImage::open(cube)?;
    // A NaN is no data, and nothing is cleaned there.
    let plane = image.read_plane(0, channel)?.mapv(|v| u8::from(is_masked(v)));
    // wsclean looks at the size alone, but refuses half a header (a frequency axis without its value).
    crate::image::write_plane(to, plane.view(), PixelType::U8, &Header::default(), 2)?;
    Ok(())
}

#[cfg(test)]
pub(super) fn write_test_image(folder: &Path, name: &str, value: f32, frequency: f64) -> PathBuf {
    let mut header = Header::default();
    header.set_str("CTYPE3", "FREQ");
    header.set_f64("CRVAL3", frequency);
    header.set_f64("BMAJ", 0.001 * f64::from(value));
    header.set_f64("BMIN", 0.0005);
    let path = folder.join(name);
    crate::image::write_plane(&path, ndarray::array![[value, 0.0, 2.0]].view(), PixelType::F32, &header, 4)
        .expect("written");
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn planes_of_a_cube_keep_their_beams() {
        let folder = tempfile::tempdir().expect("folder");
        let planes = [(1.0, "a.fits"), (2.0, "b.fits"), (4.0, "c.fits")];
        let planes = planes.map(|(value, name)| write_test_image(folder.path(), name, value, 1e9));
        let beams = |planes: &[PathBuf]| -> Vec<f64> {
            let cube = folder.path().join("cube.fits");
            assemble(planes, &cube).expect("put together");
            let cube = FitsImage::open(&cube).expect("a cube");
            let major = |channel| cube.plane_beam(0, channel).expect("readable").map_or(0.0, |beam| beam.major_deg);
            (0..planes.len()).map(major).collect()
        };
        let whole = beams(&planes);
        assert!(whole.iter().zip([0.001, 0.002, 0.004]).all(|(is, was)| (is / was - 1.0).abs() < 1e-6), "{whole:?}");
        // To the last bit, whatever the others are.
        assert_eq!([beams(&planes[..1]), beams(&planes[1..])].concat(), whole);
    }

    #[test]
    fn empty_models_and_mask_planes() {
        let folder = tempfile::tempdir().expect("folder");
        let image = write_test_image(folder.path(), "a.fits", f32::NAN, 1e9);
        empty_model(&image, &folder.path().join("m.fits")).expect("written");
        let mut model = FitsImage::open(folder.path().join("m.fits")).expect("model");
        assert!(model.read_plane(0, 0).expect("plane").iter().all(|v| *v == 0.0));
        assert_eq!(model.header().get("BUNIT").as_deref(), Some("JY/PIXEL"));
        mask_plane(&image, 0, &folder.path().join("mask.fits")).expect("written");
        let mut mask = FitsImage::open(folder.path().join("mask.fits")).expect("mask");
        assert_eq!(mask.read_plane(0, 0).expect("plane"), array![[0.0, 0.0, 1.0]], "NaN is no data");
        assert_eq!(mask.bitpix(), 8);
    }
}
