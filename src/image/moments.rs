//! Maps of a cube: its sum over the channels, and its brightest channel, plane by plane.

use super::{FitsImage, Header, ImageError, PixelType, PlaneKind, write_plane};
use ndarray::{Array2, Zip};
use std::path::Path;

/// Maps of a cube that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MomentFiles<'a> {
    /// The sum over the channels times the width of one (moment 0), in the cube's unit times that of its spectral axis
    /// (`Jy/beam.Hz`, or `Jy/beam.km/s` where the rest frequency is known).
    pub moment0: &'a Path,
    /// The largest value of any channel.
    pub peak: &'a Path,
}

/// Speed of light, km/s.
const LIGHT_KM_S: f64 = 299_792.458;

/// Writes the maps of a cube's first polarisation. With a mask (a cube of the same channels) only what it holds is summed.
///
/// # Errors
/// A cube that cannot be read, a mask of another size, maps that cannot be written.
pub fn write_moments(cube: &Path, mask: Option<&Path>, files: MomentFiles<'_>) -> Result<(), ImageError> {
    let mut image = FitsImage::open(cube)?;
    let mut mask = mask.map(|path| image.companion_of_all_channels(path)).transpose()?;
    let shape = image.plane_shape();
    let mut sum = Array2::<f64>::zeros(shape);
    let mut peak = Array2::<f32>::from_elem(shape, f32::NAN);
    for channel in 0..image.channels() {
        let plane = image.read_plane(0, channel)?;
        Zip::from(&mut peak).and(&plane).for_each(|peak, &v| *peak = peak.max(v));
        match &mut mask {
            Some(mask) => {
                let inside = mask.read_plane(0, channel)?;
                Zip::from(&mut sum).and(&plane).and(&inside).for_each(|sum, &v, &inside| {
                    if super::is_masked(inside) && v.is_finite() {
                        *sum += f64::from(v);
                    }
                });
            }
            None => Zip::from(&mut sum)
                .and(&plane)
                .for_each(|sum, &v| *sum += if v.is_finite() { f64::from(v) } else { 0.0 }),
        }
    }
    let axis = image.plane_kinds().iter().position(|kind| *kind == PlaneKind::Channel).map_or(3, |axis| axis + 3);
    let (width, unit) = width(image.header(), axis);
    Zip::from(&mut sum).and(&peak).for_each(|sum, peak| *sum = if peak.is_nan() { f64::NAN } else { *sum * width });
    let mut header = image.header().clone();
    ["BMAJ", "BMIN", "BPA"].into_iter().filter(|_| image.beams_differ()).for_each(|key| header.remove(key));
    header.remove("CASAMBM");
    for part in ["CTYPE", "CRVAL", "CDELT", "CRPIX", "CUNIT"] {
        for axis in 3..=4 {
            header.remove(&format!("{part}{axis}"));
        }
    }
    let cube_unit = header.get("BUNIT").unwrap_or_default();
    write_plane(files.peak, peak.view(), PixelType::F32, &header, 2)?;
    header.set_str("BUNIT", &format!("{cube_unit}.{unit}"));
    write_plane(files.moment0, sum.mapv(|v| v as f32).view(), PixelType::F32, &header, 2)
}

/// Width of a channel and its unit: a velocity (radio definition) where the rest frequency is known.
fn width(header: &Header, axis: usize) -> (f64, &'static str) {
    let step = header.get_f64(&format!("CDELT{axis}")).unwrap_or(1.0).abs();
    let rest = header.get_f64("RESTFRQ").or(header.get_f64("RESTFREQ")).filter(|rest| *rest > 0.0);
    match rest {
        Some(rest) => (step / rest * LIGHT_KM_S, "km/s"),
        None => (step, "Hz"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::PlaneWriter;
    use ndarray::array;

    #[test]
    fn sums_and_peaks_over_the_channels() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, planes: &[Array2<f32>]| {
            let mut header = Header::default();
            for (key, value) in [("CDELT3", -2e6), ("RESTFRQ", 1.42e9)] {
                header.set_f64(key, value);
            }
            header.set_str("CTYPE3", "FREQ");
            header.set_str("BUNIT", "Jy/beam");
            let path = folder.path().join(name);
            let mut writer =
                PlaneWriter::create(&path, &[2, 1, planes.len(), 1], PixelType::F32, &header, false).unwrap();
            for (index, plane) in planes.iter().enumerate() {
                writer.write_plane(index, plane.view()).unwrap();
            }
            writer.finish().unwrap();
            path
        };
        let cube = write("cube.fits", &[array![[1.0, f32::NAN]], array![[3.0, f32::NAN]]]);
        let mask = write("mask.fits", &[array![[0.0, 1.0]], array![[1.0, 1.0]]]);
        let files = MomentFiles { moment0: &folder.path().join("m0.fits"), peak: &folder.path().join("peak.fits") };
        let width = (2e6 / 1.42e9 * LIGHT_KM_S) as f32;
        for (mask, sum) in [(None, 4.0), (Some(mask.as_path()), 3.0)] {
            write_moments(&cube, mask, files).unwrap();
            let mut moment = FitsImage::open(files.moment0).unwrap();
            assert_eq!(moment.header().get("BUNIT").as_deref(), Some("Jy/beam.km/s"));
            let plane = moment.read_plane(0, 0).unwrap();
            assert!((plane[[0, 0]] / (sum * width) - 1.0).abs() < 1e-6 && plane[[0, 1]].is_nan());
        }
        let peak = FitsImage::open(files.peak).unwrap().read_plane(0, 0).unwrap();
        assert!(peak[[0, 0]] == 3.0 && peak[[0, 1]].is_nan());
    }
}
