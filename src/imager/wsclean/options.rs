//! wsclean's options under flint's names (flint strategy files, format 0.2): types and defaults are flint's.

use crate::imager::channels::ChannelGroup;
use crate::imager::cycle::StopLimits;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Options of wsclean: each is wsclean's own option with underscores for dashes.
///
/// `null` (`~`) and `false` leave an option out, `true` gives the bare option. Environment variables (`$MEMDIR`) in
/// strings are expanded when the option is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WscleanOptions {
    /// Memory that wsclean may use, GB. The campaign's `resources.memory_gb` takes precedence.
    pub abs_mem: u64,
    /// Compute the local rms over the image and weigh the peak search, `auto_mask` and `auto_threshold` with it.
    pub local_rms: bool,
    /// Size of the window of `local_rms`, in PSFs.
    pub local_rms_window: Option<u64>,
    /// Width and height of the image, pixels; in `defaults` also `auto`: the primary beam and bright sources outside.
    pub size: u64,
    /// Size of a pixel with its unit; in `defaults` also `auto`: a part of the beam of a first PSF.
    pub scale: String,
    /// Weighting: `natural`, `uniform` or `briggs ROBUST`.
    pub weight: String,
    /// Most minor iterations; 0 makes the dirty image only.
    pub niter: u64,
    /// Most major iterations; 0: no limit.
    pub nmiter: u64,
    /// Fraction of the peak that a minor iteration subtracts.
    pub gain: f64,
    /// Fraction of the peak that is cleaned before the next major iteration.
    pub mgain: f64,
    /// Level, in units of the noise, down to which wsclean cleans everywhere; below it, only where components were found.
    /// Left out when a mask is given.
    pub auto_mask: Option<f64>,
    /// Threshold at which cleaning ends, in units of the noise.
    pub auto_threshold: Option<f64>,
    /// Threshold at which cleaning ends, Jy.
    pub threshold: Option<f64>,
    /// Multi-scale deconvolution.
    pub multiscale: bool,
    /// Bias against large scales.
    pub multiscale_scale_bias: Option<f64>,
    /// Gain of one step of the multi-scale sub-minor loop.
    pub multiscale_gain: Option<f64>,
    /// Scales, pixels.
    pub multiscale_scales: Option<Vec<u64>>,
    /// Number of output channels.
    pub channels_out: u64,
    /// Clean the output channels jointly.
    pub join_channels: bool,
    /// Number of channels in the deconvolution (fewer than `channels_out` saves time).
    pub deconvolution_channels: Option<u64>,
    /// Number of terms of the polynomial fitted over frequency.
    pub fit_spectral_pol: Option<u64>,
    /// Find peaks in the sum of squares over the channels.
    pub squared_channel_joining: bool,
    /// Find peaks in the sum of squares over the polarisations.
    pub join_polarizations: bool,
    /// Weight each channel by itself in joined mode.
    pub no_mf_weighting: bool,
    /// Frequencies at which the band is split first, Hz.
    pub channel_division_frequencies: Option<Vec<f64>>,
    /// Column to be imaged. In a campaign it follows from the state of the data.
    pub data_column: String,
    /// Gridder: `wgridder`, `idg`, `wstacking`...; versions without `-gridder` get the option of the same meaning.
    pub gridder: Option<String>,
    /// Accuracy of the w-gridder.
    pub wgridder_accuracy: Option<f64>,
    /// Number of w-layers.
    pub nwlayers: Option<u64>,
    /// Number of gridders that run at once.
    pub parallel_gridding: Option<u64>,
    /// Size, pixels, of the sub-images that are deconvolved in parallel.
    pub parallel_deconvolution: Option<u64>,
    /// Threads of the deconvolution.
    pub deconvolution_threads: Option<u64>,
    /// Shortest baseline, wavelengths.
    pub minuv_l: Option<f64>,
    /// Shortest baseline, metres.
    pub minuvw_m: Option<f64>,
    /// Leave out w-values above this percentage of the highest.
    pub maxw: Option<f64>,
    /// Gaussian taper, arcsec in the image.
    pub taper_gaussian: Option<f64>,
    /// Size of the box in which the restoring beam is fitted, theoretical beams.
    pub beam_fitting_size: Option<f64>,
    /// Clean mask: non-zero pixels may be cleaned. The campaign's own masks take its place.
    pub fits_mask: Option<PathBuf>,
    /// Clean mask with one bit per scale (newer versions of wsclean).
    pub multiscale_fits_mask: Option<PathBuf>,
    /// Folder of wsclean's temporary files.
    pub temp_dir: Option<PathBuf>,
    /// Polarisations.
    pub pol: String,
    /// First and last (exclusive) channel that is imaged.
    pub channel_range: Option<(u64, u64)>,
    /// First and last (exclusive) time step that is imaged.
    pub interval: Option<(u64, u64)>,
    /// Do not write the model to the data. A campaign writes it whenever a calibration follows.
    pub no_update_model_required: bool,
    /// Grid at the full size of the image.
    pub no_small_inversion: bool,
    /// Do not reorder the visibilities into temporary files.
    pub no_reorder: bool,
    /// Save the list of clean components.
    pub save_source_list: bool,
    /// Log more.
    pub verbose: bool,
    /// flint's: from this round on masks are always made. Not passed to wsclean.
    pub force_mask_rounds: Option<u64>,
    /// flint's: keep wsclean's output out of flint's log. Not passed to wsclean; its output is in a log of its own.
    pub flint_no_log_wsclean_output: bool,
    /// flint's: keep the image, model and residual of the whole band. Not passed to wsclean; they are kept in any case.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flint_save_mfs_products: bool,
    /// flint's: a part of the images' names. Not passed to wsclean; images have a folder of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flint_name_suffix: Option<String>,
    /// The user's own primary beam, for telescopes that wsclean does not know: the restored image is divided by it. Not
    /// passed to wsclean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_beam: Option<PrimaryBeam>,
    /// The group of channels that these options image, of a cube that is imaged in groups; no option of wsclean.
    #[serde(skip)]
    pub group: Option<ChannelGroup>,
    /// Any further option of the installed wsclean, by its own name with or without dashes: `extra: {padding: 1.4}`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub extra: IndexMap<String, ExtraValue>,
}

/// A primary beam that the user has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrimaryBeam {
    /// FITS image of the beam, 1 at the centre, on the pixels of the image; one plane, or one per channel of a cube.
    pub image: PathBuf,
    /// Pixels where the beam is below this are left without data (as with tclean's `pblimit`).
    #[serde(default = "default_limit")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub limit: f64,
}

/// tclean's default of `pblimit`.
const PRIMARY_BEAM_LIMIT: f64 = 0.2;

fn default_limit() -> f64 {
    PRIMARY_BEAM_LIMIT
}

/// Value of an option under [`WscleanOptions::extra`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExtraValue {
    /// `true`: the bare option; `false`: left out.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A string; it stays one word.
    Text(String),
    /// Several words after the option.
    Words(Vec<ExtraValue>),
    /// `null`: left out.
    Absent(()),
}

impl Default for WscleanOptions {
    /// flint's defaults.
    fn default() -> Self {
        Self {
            abs_mem: 100,
            local_rms: true,
            local_rms_window: None,
            size: 10128,
            scale: "2.5asec".into(),
            weight: "briggs -0.5".into(),
            niter: 750_000,
            nmiter: 15,
            gain: 0.1,
            mgain: 0.7,
            auto_mask: Some(3.5),
            auto_threshold: Some(0.5),
            threshold: None,
            multiscale: false,
            multiscale_scale_bias: Some(0.75),
            multiscale_gain: None,
            multiscale_scales: None,
            channels_out: 4,
            join_channels: true,
            deconvolution_channels: None,
            fit_spectral_pol: None,
            squared_channel_joining: false,
            join_polarizations: false,
            no_mf_weighting: false,
            channel_division_frequencies: None,
            data_column: "CORRECTED_DATA".into(),
            gridder: Some("wgridder".into()),
            wgridder_accuracy: None,
            nwlayers: None,
            parallel_gridding: None,
            parallel_deconvolution: None,
            deconvolution_threads: None,
            minuv_l: None,
            minuvw_m: None,
            maxw: None,
            taper_gaussian: None,
            beam_fitting_size: Some(1.25),
            fits_mask: None,
            multiscale_fits_mask: None,
            temp_dir: None,
            pol: "i".into(),
            channel_range: None,
            interval: None,
            no_update_model_required: false,
            no_small_inversion: false,
            no_reorder: false,
            save_source_list: false,
            verbose: false,
            force_mask_rounds: None,
            flint_no_log_wsclean_output: false,
            flint_save_mfs_products: false,
            flint_name_suffix: None,
            primary_beam: None,
            group: None,
            extra: IndexMap::new(),
        }
    }
}

impl WscleanOptions {
    /// The limits at which these options stop the cleaning.
    pub fn stop_limits(&self) -> StopLimits {
        StopLimits {
            threshold_jy: self.threshold,
            nsigma: self.auto_threshold,
            iterations: self.niter,
            major_cycles: usize::try_from(self.nmiter).unwrap_or(usize::MAX),
            independent_channels: self.is_cube(),
        }
    }

    /// The output channels are independent images, the planes of a cube; a group of channels may have but one.
    pub(in crate::imager) fn is_cube(&self) -> bool {
        self.names_channels() || self.group.is_some()
    }

    /// wsclean numbers the files of the cube's channels.
    pub(super) fn names_channels(&self) -> bool {
        self.channels_out > 1 && !self.join_channels
    }

    /// Channels of the whole cube, of which these options may image a group.
    pub(super) fn channels_of_cube(&self) -> usize {
        self.group.map_or(self.planes(), |group| group.of)
    }

    /// Planes of the image: the channels of a cube, otherwise 1.
    pub(super) fn planes(&self) -> usize {
        if self.is_cube() { self.channels_out as usize } else { 1 }
    }

    /// Paths of files that are read, and of the folder for temporary files.
    pub(in crate::imager) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let beam = self.primary_beam.as_mut().map(|beam| &mut beam.image);
        [self.fits_mask.as_mut(), self.multiscale_fits_mask.as_mut(), self.temp_dir.as_mut(), beam]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Folders that wsclean itself must see.
    pub(in crate::imager) fn folders(&self) -> Vec<PathBuf> {
        let masks = self.fits_mask.iter().chain(&self.multiscale_fits_mask);
        let of_masks = masks.filter_map(|mask| mask.parent()).map(Path::to_path_buf);
        self.temp_dir.iter().cloned().chain(of_masks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_fill_what_is_left_out_and_whole_numbers_are_numbers() {
        let options: WscleanOptions = serde_json::from_value(json!({
            "size": 1280, "gain": 1, "auto_mask": null, "channel_range": [0, 4],
            "multiscale_scales": [0, 4, 8], "extra": {"padding": 1.4, "no-negative": true, "shift": ["1h", "2d"]}
        }))
        .expect("valid options");
        assert_eq!((options.size, options.gain, options.auto_mask), (1280, 1.0, None));
        assert_eq!(options.channel_range, Some((0, 4)));
        assert_eq!(options.mgain, 0.7);
        assert_eq!(options.extra["padding"], ExtraValue::Number(1.4));
        assert_eq!(options.extra["no-negative"], ExtraValue::Flag(true));
    }

    #[test]
    fn unknown_names_and_wrong_types_are_refused() {
        let unknown = serde_json::from_value::<WscleanOptions>(json!({"auto_mas": 3})).expect_err("no such option");
        insta::assert_snapshot!(unknown.to_string().split(", expected").next().expect("words"), @"unknown field `auto_mas`");
        assert!(serde_json::from_value::<WscleanOptions>(json!({"size": "big"})).is_err());
        assert!(serde_json::from_value::<WscleanOptions>(json!({"scale": 2.5})).is_err());
    }

    #[test]
    fn options_survive_a_round_trip() {
        let options = WscleanOptions { interval: Some((3, 9)), ..Default::default() };
        let text = serde_json::to_string(&options).expect("serialises");
        assert_eq!(serde_json::from_str::<WscleanOptions>(&text).expect("reads back"), options);
    }

    #[test]
    fn yaml_is_read_with_tuples_as_sequences() {
        let options: WscleanOptions =
            serde_yaml::from_str("multiscale_scales: [0, 15]\nscale: 2asec\nchannel_range: [1, 2]\n").expect("YAML");
        assert_eq!(options.multiscale_scales, Some(vec![0, 15]));
    }

    #[test]
    fn the_schema_describes_every_option() {
        let schema = schemars::schema_for!(WscleanOptions);
        let text = serde_json::to_value(&schema).expect("JSON");
        let properties = text["properties"].as_object().expect("properties");
        let defaults = serde_json::to_value(WscleanOptions::default()).expect("JSON");
        for name in defaults.as_object().expect("a map").keys() {
            assert!(properties.contains_key(name), "{name}");
        }
        assert!(properties.values().all(|p| p.get("description").is_some()));
    }
}
