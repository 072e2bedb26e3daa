//! First images of the data: the beam, and what is bright outside.

use super::geometry::Angle;
use crate::Result;
use crate::campaign::file::ImagerKind;
use crate::image::FitsImage;
use crate::imager::{self, ImagerContext, ImagerOptions, ImagingJob, Products};
use crate::programs::casa::Casa;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Side of the image that the beam is fitted in, pixels.
const BEAM_SIDE: u64 = 512;

/// How first images are made.
pub(super) struct Trials<'a> {
    pub(super) imager: ImagerKind,
    pub(super) casa: &'a Casa,
    pub(super) measurement_set: &'a Path,
    pub(super) column: &'a str,
    pub(super) field: Option<usize>,
    pub(super) robust: f64,
    pub(super) threads: usize,
    /// Folder of their files.
    pub(super) folder: PathBuf,
}

/// Size and depth of a first image.
pub(super) struct Frame {
    pub(super) side: u64,
    pub(super) pixel_arcsec: f64,
    pub(super) taper_arcsec: Option<f64>,
    pub(super) iterations: u64,
}

impl Trials<'_> {
    /// Major and minor axis of the restoring beam, arcsec, where one can be fitted; `guess_arcsec` is about its width.
    ///
    /// # Errors
    /// The imager's failure.
    pub(super) fn beam(&self, guess_arcsec: f64) -> Result<Option<(f64, f64)>> {
        // One iteration: campaigns clean, and so does an imager here. The robust weighting narrows the beam of the natural one, by half at most.
        let frame = Frame { side: BEAM_SIDE, pixel_arcsec: guess_arcsec / 8.0, taper_arcsec: None, iterations: 1 };
        let products = self.image("beam", &frame)?;
        let beam = FitsImage::open(&products.image)?.beam();
        let arcsec = beam.map(|beam| (3600.0 * beam.major_deg, 3600.0 * beam.minor_deg));
        Ok(arcsec.filter(|(major, minor)| *minor > 0.0 && major.is_finite()))
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
        };
        let executable = if self.imager == ImagerKind::Wsclean { vec!["wsclean".to_owned()] } else { Vec::new() };
        let context = ImagerContext { executable, casa: Some(self.casa.clone()), ..ImagerContext::default() };
        let mut imager = imager::open(job, &options, context)?;
        let made = imager.setup().and_then(|()| imager.image_once(None));
        imager.teardown();
        made
    }

    fn options(&self, frame: &Frame) -> Value {
        let Frame { side, pixel_arcsec, taper_arcsec, iterations } = frame;
        if self.imager == ImagerKind::Wsclean {
            let mut extra = serde_json::Map::new();
            if let Some(field) = self.field {
                extra.insert("field".into(), json!(field));
            }
            return json!({
                "size": side, "scale": scale(*pixel_arcsec), "weight": format!("briggs {}", self.robust),
                "niter": iterations, "nmiter": 3, "mgain": 0.8, "auto_threshold": 8, "auto_mask": null,
                "local_rms": false, "multiscale": false, "channels_out": 1, "join_channels": false,
                "fit_spectral_pol": null, "deconvolution_channels": null, "taper_gaussian": taper_arcsec,
                "no_update_model_required": true, "extra": extra,
            });
        }
        json!({
            "imsize": side, "cell": format!("{pixel_arcsec}arcsec"), "weighting": "briggs", "robust": self.robust,
            "niter": iterations, "nmajor": 3, "nsigma": 8.0,
            "field": self.field.map_or_else(String::new, |field| field.to_string()),
            "uvtaper": taper_arcsec.iter().map(|taper| format!("{taper}arcsec")).collect::<Vec<_>>(),
        })
    }
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
    fn pixels_are_written_in_a_unit_that_people_read() {
        assert_eq!([1.2, 0.31, 0.0123, 4.3e-6].map(scale), ["1.2asec", "0.31asec", "12.3masec", "0.0043masec"]);
        assert_eq!(scale(0.1 + 0.2), "0.3asec");
    }
}
