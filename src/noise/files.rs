//! Background and rms maps of an image file.

use super::{NoiseError, NoiseMaps, NoiseMethod, NoiseOptions, beam_of, estimate};
use crate::image::{FitsImage, PixelType, PlaneWriter, Zeros};
use crate::options::Validate;
use crate::util::fs::same_file;
use crate::{Error, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// The files of the maps of an image or cube, in its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseMapFiles {
    /// The background.
    pub background: PathBuf,
    /// The rms.
    pub rms: PathBuf,
    /// Values of the background.
    pub background_range: MapRange,
    /// Values of the rms.
    pub rms_range: MapRange,
    /// Planes of the image.
    pub planes: usize,
    /// Those without data; their maps are NaN.
    pub blank: usize,
    /// Exact zeros that counted as no data.
    pub zeros: usize,
}

/// The finite values of a map.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MapRange {
    sum: f64,
    count: usize,
    ends: Option<(f32, f32)>,
}

/// Writes `BASE_bkg.fits` and `BASE_rms.fits` of an image or cube, plane by plane.
///
/// # Errors
/// An image that cannot be read, has no finite pixel or an absurd beam, invalid options, maps that would replace the image or cannot
/// be written.
pub fn write_maps(image: &Path, base: &Path, options: &NoiseOptions, zeros: Zeros) -> Result<NoiseMapFiles> {
    options.validate()?;
    let needs_beam = options.method == NoiseMethod::Bane && options.step.is_none();
    let mut source = FitsImage::open(image)?;
    let mut files = NoiseMapFiles::new(base, source.polarisations() * source.channels());
    if let Some(path) = [&files.background, &files.rms].into_iter().find(|path| same_file(path, image)) {
        return Err(Error::bad_input(format!(
            "{}: the output would replace the input; name another base with --output",
            path.display()
        )));
    }
    let axes = source.axes().to_vec();
    let create = |path| PlaneWriter::create(path, &axes, PixelType::F32, source.header(), false);
    let (mut background, mut rms) = (create(&files.background)?, create(&files.rms)?);
    for polarisation in 0..source.polarisations() {
        for channel in 0..source.channels() {
            let mut plane = source.read_plane(polarisation, channel)?;
            files.zeros += zeros.blank(&mut plane);
            let beam = if needs_beam { beam_of(&source, polarisation, channel)? } else { None };
            let maps = match estimate(plane.view(), beam, options) {
                // Blank channels are normal in a cube.
                Err(NoiseError::NoData) if files.planes > 1 => {
                    files.blank += 1;
                    let blank = Array2::from_elem(plane.dim(), f32::NAN);
                    NoiseMaps { background: blank.clone(), rms: blank }
                }
                other => other.map_err(|e| Error::bad_input(format!("{}: {e}", image.display())))?,
            };
            files.background_range.add(&maps.background);
            files.rms_range.add(&maps.rms);
            let index = source.plane_index(polarisation, channel);
            background.write_plane(index, maps.background.view())?;
            rms.write_plane(index, maps.rms.view())?;
        }
    }
    background.finish()?;
    rms.finish()?;
    Ok(files)
}

impl NoiseMapFiles {
    fn new(base: &Path, planes: usize) -> Self {
        let named = |kind: &str| {
            let mut name = base.as_os_str().to_owned();
            name.push(format!("_{kind}.fits"));
            PathBuf::from(name)
        };
        Self {
            background: named("bkg"),
            rms: named("rms"),
            background_range: MapRange::default(),
            rms_range: MapRange::default(),
            planes,
            blank: 0,
            zeros: 0,
        }
    }
}

impl MapRange {
    fn add(&mut self, map: &Array2<f32>) {
        for &v in map.iter().filter(|v| v.is_finite()) {
            self.sum += f64::from(v);
            self.count += 1;
            let (low, high) = self.ends.unwrap_or((v, v));
            self.ends = Some((low.min(v), high.max(v)));
        }
    }

    /// Their mean; `None` without data.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The least and the greatest; `None` without data.
    pub fn ends(&self) -> Option<(f32, f32)> {
        self.ends
    }
}
