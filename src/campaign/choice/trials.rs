//! First images of the data: the beam, and what is bright outside.

use super::geometry::Angle;
use crate::Result;
use crate::campaign::file::ImagerKind;
use crate::image::FitsImage;
use crate::imager::{self, ImagerContext, ImagerOptions, ImagingJob, Products};
use crate::programs::casa::Casa;
use ndarray::ArrayView2;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Side of the image that the beam is fitted in, pixels.
const BEAM_SIDE: u64 = 512;
/// Sidelobes lie further from the centre than this, major axes of the beam.
const SIDELOBES_FROM: f64 = 1.5;

/// How first images are made.
pub(super) struct Trials<'a> {
    pub(super) imager: ImagerKind,
    pub(super) casa: &'a Casa,
    pub(super) measurement_set: &'a Path,
    pub(super) column: &'a str,
    pub(super) field: Option<usize>,
    pub(super) threads: usize,
    /// Folder of their files.
    pub(super) folder: PathBuf,
}

/// Size and depth of a first image.
pub(super) struct Frame {
    pub(super) side: u64,
    pub(super) pixel_arcsec: f64,
    pub(super) robust: f64,
    pub(super) taper_arcsec: Option<f64>,
    pub(super) iterations: u64,
}

/// What a first point spread function shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FirstPsf {
    /// Major and minor axis of the beam, arcsec: the fitted ones, or what to expect where none could be fitted.
    pub(super) beam: (f64, f64),
    /// Standard deviation of what lies further than 1.5 major axes from the centre, where the peak is 1.
    pub(super) sidelobes: f64,
}

impl Trials<'_> {
    /// The point spread function with a robust weighting; `guess_arcsec` is about the width of the natural beam.
    ///
    /// # Errors
    /// The imager's failure.
    pub(super) fn psf(&self, guess_arcsec: f64, robust: f64) -> Result<FirstPsf> {
        // One iteration: campaigns clean, and so does an imager here. The robust weighting narrows the beam of the natural one, by half at most.
        let pixel_arcsec = guess_arcsec / 8.0;
        let frame = Frame { side: BEAM_SIDE, pixel_arcsec, robust, taper_arcsec: None, iterations: 1 };
        let products = self.image(&format!("beam-{robust}"), &frame)?;
        let fitted = FitsImage::open(&products.image)?.beam();
        let arcsec = fitted.map(|beam| (3600.0 * beam.major_deg, 3600.0 * beam.minor_deg));
        let fitted = arcsec.filter(|(major, minor)| *minor > 0.0 && major.is_finite());
        // Where none can be fitted: that of natural weighting, narrowed as the robust one does.
        let beam = fitted.unwrap_or((0.8 * guess_arcsec, 0.8 * guess_arcsec));
        let psf = FitsImage::open(&products.psf)?.read_plane(0, 0)?;
        let sidelobes = sidelobes(psf.view(), SIDELOBES_FROM * beam.0 / pixel_arcsec);
        Ok(FirstPsf { beam, sidelobes })
    }

    /// A first image.
    ///
    /// # Errors
    /// The imager's failure.
    pub(super) fn image(&self, name: &str, frame: &Frame) -> Result<Products> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(crate::Error::internal)?;
        let mut options = self.imager.options(self.options(frame), &[]).map_err(crate::Error::internal)?;
        if let ImagerOptions::Wsclean(options) = &mut options
            && options.defeats_gridder()
        {
            options.use_w_stacking();
        }
        let job = ImagingJob {
            measurement_sets: vec![self.measurement_set.to_path_buf()],
            data_column: self.column.to_owned(),
            log: folder.join("imager.log"),
            folder,
            threads: self.threads,
            memory_gb: None,
            update_model: false,
            facets: None,
        };
        let executable = if self.imager == ImagerKind::Wsclean { vec!["wsclean".to_owned()] } else { Vec::new() };
        let context = ImagerContext { executable, casa: Some(self.casa.clone()), ..ImagerContext::default() };
        let mut imager = imager::open(job, &options, context)?;
        let made = imager.setup().and_then(|()| imager.image_once(None));
        imager.teardown();
        made
    }

    fn options(&self, frame: &Frame) -> Value {
        let Frame { side, pixel_arcsec, robust, taper_arcsec, iterations } = frame;
        if self.imager == ImagerKind::Wsclean {
            let mut extra = serde_json::Map::new();
            if let Some(field) = self.field {
                extra.insert("field".into(), json!(field));
            }
            return json!({
                "size": side, "scale": scale(*pixel_arcsec), "weight": format!("briggs {robust}"),
                "niter": iterations, "nmiter": 3, "mgain": 0.8, "auto_threshold": 8, "auto_mask": null,
                "local_rms": false, "multiscale": false, "channels_out": 1, "join_channels": false,
                "fit_spectral_pol": null, "deconvolution_channels": null, "taper_gaussian": taper_arcsec,
                "no_update_model_required": true, "extra": extra,
            });
        }
        json!({
            "imsize": side, "cell": format!("{pixel_arcsec}arcsec"), "weighting": "briggs", "robust": robust,
            "niter": iterations, "nmajor": 3, "nsigma": 8.0,
            "field": self.field.map_or_else(String::new, |field| field.to_string()),
            "uvtaper": taper_arcsec.iter().map(|taper| format!("{taper}arcsec")).collect::<Vec<_>>(),
        })
    }
}

/// Standard deviation of a point spread function further than `from` pixels from its middle.
fn sidelobes(psf: ArrayView2<'_, f32>, from: f64) -> f64 {
    let (ny, nx) = psf.dim();
    let is_far = |(y, x): (usize, usize)| (x as f64 - (nx / 2) as f64).hypot(y as f64 - (ny / 2) as f64) > from;
    let far = psf.indexed_iter().filter(|(at, value)| is_far(*at) && value.is_finite()).map(|(_, v)| f64::from(*v));
    let (count, sum, squares) = far.fold((0.0, 0.0, 0.0), |(n, s, q), v| (n + 1.0, s + v, q + v * v));
    if count > 0.0 { f64::sqrt((squares / count - (sum / count).powi(2)).max(0.0)) } else { 0.0 }
}

/// A size of a pixel as wsclean takes it, in a unit that people read.
pub(super) fn scale(pixel_arcsec: f64) -> String {
    if pixel_arcsec >= 0.1 {
        format!("{}asec", short(pixel_arcsec))
    } else {
        format!("{}masec", short(1e3 * pixel_arcsec))
    }
}

/// Without the digits that binary fractions add.
fn short(value: f64) -> f64 {
    let digit = 10f64.powf(value.abs().log10().floor() - 5.0);
    format!("{:.*}", usize::try_from(-digit.log10().round() as i64).unwrap_or(0), value).parse().unwrap_or(value)
}

/// Size of a beam, for people.
pub(super) fn beam_words((major, minor): (f64, f64)) -> String {
    format!("{} x {}", Angle(major), Angle(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidelobes_are_what_lies_outside_the_beam() {
        let mut psf = ndarray::Array2::<f32>::zeros((64, 64));
        psf[[32, 32]] = 1.0;
        psf[[32, 34]] = 0.5;
        assert_eq!(sidelobes(psf.view(), 3.0), 0.0);
        psf.row_mut(0).fill(0.2);
        psf.row_mut(63).fill(-0.2);
        let found = sidelobes(psf.view(), 3.0);
        assert!((found - 0.2 * f64::sqrt(2.0 / 64.0)).abs() < 1e-3, "{found}");
        assert_eq!(sidelobes(psf.view(), 100.0), 0.0);
    }

    #[test]
    fn pixels_are_written_in_a_unit_that_people_read() {
        assert_eq!([1.2, 0.31, 0.0123, 4.3e-6].map(scale), ["1.2asec", "0.31asec", "12.3masec", "0.0043masec"]);
        assert_eq!(scale(0.1 + 0.2), "0.3asec");
    }
}
