//! The options of the flint mask pipeline: flint's names, types and defaults.

use crate::options::{Checks, OptionError, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most erosion scales: each has a bit of a signed 32-bit pixel.
pub const MOST_SCALES: usize = 31;
/// The largest scale, pixels: images are hardly larger, and the footprint of one ten times as large takes the memory of
/// most machines.
pub(crate) const LARGEST_SCALE: u32 = 4096;
/// Greatest skew delta: a fraction of positive pixels cannot exceed 1.
const SKEW_DELTA_LIMIT: f64 = 0.5;

/// Options of flint's mask pipeline; names, types and defaults are those of flint's `MaskingOptions` (2026-08).
///
/// One definition serves the command line, the `masking` mode of a campaign, its JSON schema, and the library.
#[derive(Debug, Clone, PartialEq, clap::Args, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Plain clip")]
pub struct MaskingOptions {
    /// Level above which pixels are masked, sigma; used when flood filling is off.
    ///
    /// The simplest mask: signal = (image - background) / rms, masked where it exceeds the clip.
    #[arg(long, value_name = "SIGMA", default_value_t = 4.0, allow_negative_numbers = true)]
    pub base_snr_clip: f64,

    /// Grow islands from bright seeds down to a lower level.
    ///
    /// Seeds are pixels at or above the seed clip. They grow into touching pixels (corners count) above the flood clip,
    /// at most 1000 pixels far. If no pixel reaches the seed clip, 0.9 of the greatest signal is taken, with a warning.
    #[arg(long, help_heading = "Flood fill")]
    pub flood_fill: bool,

    /// Level of seeds: sigma, or the factor of the minimum absolute clip.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value_t = 4.5,
        allow_negative_numbers = true,
        help_heading = "Flood fill"
    )]
    pub flood_fill_positive_seed_clip: f64,

    /// Level down to which seeds grow: sigma, or the factor of the minimum absolute clip.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value_t = 1.5,
        allow_negative_numbers = true,
        help_heading = "Flood fill"
    )]
    pub flood_fill_positive_flood_clip: f64,

    /// Compare with the most negative pixel nearby instead of the rms (the minimum absolute clip, MAC).
    ///
    /// Seeds are pixels brighter than the seed clip times |M|, the floor those brighter than the flood clip times |M|,
    /// where M is the minimum of the box around the pixel. Negative artefacts of bright sources raise the level just
    /// where artefacts are; no background or rms is needed. Factors of 1.2 to 1.5 are usual.
    #[arg(long, help_heading = "Minimum absolute clip")]
    pub flood_fill_use_mac: bool,

    /// Side of the minimum absolute clip's box, pixels; the image counts as periodic.
    #[arg(long, value_name = "PIXELS", default_value_t = 75, help_heading = "Minimum absolute clip")]
    pub flood_fill_use_mac_box_size: usize,

    /// Enlarge the box at most this many times where positive emission fills it.
    ///
    /// Inside large diffuse sources a small box sees no negative pixel, M is too small, and everything would be masked.
    #[arg(long, value_name = "TIMES", help_heading = "Minimum absolute clip")]
    pub flood_fill_use_mac_adaptive_max_depth: Option<usize>,

    /// Factor by which the box grows each time; its side is rounded down to a whole number.
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 2.0,
        allow_negative_numbers = true,
        help_heading = "Minimum absolute clip"
    )]
    pub flood_fill_use_mac_adaptive_step_factor: f64,

    /// A box is too small where the fraction of positive pixels exceeds 0.5 by more than this; between 0 and 0.5.
    #[arg(
        long,
        value_name = "DELTA",
        default_value_t = 0.2,
        allow_negative_numbers = true,
        help_heading = "Minimum absolute clip"
    )]
    pub flood_fill_use_mac_adaptive_skew_delta: f64,

    /// Add large islands of low signal that hold no seed, such as diffuse emission (needs --flood-fill).
    ///
    /// These are the pixels above the island clip, with gaps of up to four pixels closed, in islands of at least the
    /// given size.
    #[arg(long, help_heading = "Islands of low signal")]
    pub grow_low_snr_island: bool,

    /// Level of islands of low signal, sigma.
    #[arg(
        long,
        value_name = "SIGMA",
        default_value_t = 1.75,
        allow_negative_numbers = true,
        help_heading = "Islands of low signal"
    )]
    pub grow_low_snr_island_clip: f64,

    /// Least size of islands of low signal, pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 768, help_heading = "Islands of low signal")]
    pub grow_low_snr_island_size: usize,

    /// Erode the mask with the shape of the restoring beam.
    ///
    /// A pixel stays when the beam's footprint around it lies in the mask: clean components stand where a source may
    /// have its centre, not in the wings of the beam. Without a beam in the header the mask is left as it is.
    #[arg(long, help_heading = "Erosion")]
    pub beam_shape_erode: bool,

    /// The footprint is the area where the beam exceeds this fraction of its peak; between 0 and 1.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.6,
        allow_negative_numbers = true,
        help_heading = "Erosion"
    )]
    pub beam_shape_erode_minimum_response: f64,

    /// Scales, pixels; the mask is eroded once for each, and scale number n, from 0, becomes bit n of the mask.
    ///
    /// Scale s widens the footprint by a Gaussian of s pixels FWHM, as a multi-scale clean's component of that scale is
    /// wider. Give them as "0 8 16" or "0,8,16".
    #[arg(long, value_name = "PIXELS", num_args = 1.., value_delimiter = ',', help_heading = "Erosion")]
    pub beam_shape_erode_scales: Option<Vec<u32>>,

    /// Smooth the image to each scale first, then clip, grow and erode: one mask per scale of a multi-scale clean.
    ///
    /// For each of the erosion scales: opening and smoothing to the scale, minimum absolute clip with a box enlarged by
    /// the scale, holes filled, seeds grown, eroded by the beam at that scale. Replaces the rest of the pipeline.
    #[arg(long, help_heading = "Scale by scale")]
    pub convolve_first: bool,
}

impl Default for MaskingOptions {
    fn default() -> Self {
        Self {
            base_snr_clip: 4.0,
            flood_fill: false,
            flood_fill_positive_seed_clip: 4.5,
            flood_fill_positive_flood_clip: 1.5,
            flood_fill_use_mac: false,
            flood_fill_use_mac_box_size: 75,
            flood_fill_use_mac_adaptive_max_depth: None,
            flood_fill_use_mac_adaptive_step_factor: 2.0,
            flood_fill_use_mac_adaptive_skew_delta: 0.2,
            grow_low_snr_island: false,
            grow_low_snr_island_clip: 1.75,
            grow_low_snr_island_size: 768,
            beam_shape_erode: false,
            beam_shape_erode_minimum_response: 0.6,
            beam_shape_erode_scales: None,
            convolve_first: false,
        }
    }
}

impl MaskingOptions {
    /// Whether the mask is made from signal = (image - background) / rms, so that a background and an rms are needed.
    pub fn needs_noise(&self) -> bool {
        !self.flood_fill_use_mac && !self.convolve_first
    }

    /// Number of bits of the mask: one, or as many as there are erosion scales.
    pub fn bits(&self) -> usize {
        match &self.beam_shape_erode_scales {
            Some(scales) if self.convolve_first || self.beam_shape_erode => scales.len().max(1),
            _ => 1,
        }
    }

    /// Erosion scales in pixels; without any: the beam itself.
    pub(crate) fn scales(&self) -> Vec<u32> {
        self.beam_shape_erode_scales.clone().filter(|s| !s.is_empty()).unwrap_or_else(|| vec![0])
    }
}

impl Validate for MaskingOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::default();
        for (option, value) in [
            ("base_snr_clip", self.base_snr_clip),
            ("flood_fill_positive_seed_clip", self.flood_fill_positive_seed_clip),
            ("flood_fill_positive_flood_clip", self.flood_fill_positive_flood_clip),
            ("grow_low_snr_island_clip", self.grow_low_snr_island_clip),
        ] {
            checks.check(value.is_finite() && value >= 0.0, option, value, "a number that is not negative");
        }
        let mac_box = self.flood_fill_use_mac_box_size;
        checks.check(mac_box > 0, "flood_fill_use_mac_box_size", mac_box, "at least 1 pixel");
        let step = self.flood_fill_use_mac_adaptive_step_factor;
        let valid = step.is_finite() && step > 1.0;
        checks.check(valid, "flood_fill_use_mac_adaptive_step_factor", step, "a number greater than 1");
        let delta = self.flood_fill_use_mac_adaptive_skew_delta;
        let valid = delta > 0.0 && delta < SKEW_DELTA_LIMIT;
        let expected = "a number between 0 and 0.5, both excluded";
        checks.check(valid, "flood_fill_use_mac_adaptive_skew_delta", delta, expected);
        let response = self.beam_shape_erode_minimum_response;
        let valid = response > 0.0 && response < 1.0;
        let expected = "a number between 0 and 1, both excluded";
        checks.check(valid, "beam_shape_erode_minimum_response", response, expected);
        if let Some(scales) = &self.beam_shape_erode_scales {
            let count = scales.len();
            let found = if count == 0 { "an empty list".to_string() } else { format!("a list of {count} scales") };
            let expected = "a list of 1 to 31 scales (each has a bit of the mask), or left out";
            checks.check((1..=MOST_SCALES).contains(&count), "beam_shape_erode_scales", found, expected);
            let largest = scales.iter().copied().max().unwrap_or(0);
            let found = format!("a list with the scale {largest}");
            let expected = "scales of at most 4096 pixels";
            checks.check(largest <= LARGEST_SCALE, "beam_shape_erode_scales", found, expected);
        }
        checks.problems()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Alone {
        #[command(flatten)]
        options: MaskingOptions,
    }

    #[test]
    fn the_command_line_and_yaml_have_the_same_defaults_and_names() {
        let from_flags = Alone::parse_from(["mask"]).options;
        assert_eq!(from_flags, MaskingOptions::default());
        assert_eq!(serde_yaml::from_str::<MaskingOptions>("{}").unwrap(), from_flags);
        let flags = "mask --flood-fill --flood-fill-use-mac --flood-fill-use-mac-box-size 60 \
                     --flood-fill-use-mac-adaptive-max-depth 4 --beam-shape-erode-scales 0 8,16 --base-snr-clip 3";
        let yaml = "{flood_fill: true, flood_fill_use_mac: true, flood_fill_use_mac_box_size: 60, base_snr_clip: 3, \
                    flood_fill_use_mac_adaptive_max_depth: 4, beam_shape_erode_scales: [0, 8, 16]}";
        let from_flags = Alone::parse_from(flags.split_whitespace()).options;
        assert_eq!(from_flags, serde_yaml::from_str(yaml).unwrap());
        assert_eq!(from_flags.beam_shape_erode_scales, Some(vec![0, 8, 16]));
        let names: Vec<String> = match serde_json::to_value(MaskingOptions::default()).unwrap() {
            serde_json::Value::Object(map) => map.keys().cloned().collect(),
            other => panic!("{other}"),
        };
        let mut command = <Alone as clap::CommandFactory>::command();
        let long: Vec<String> =
            command.get_arguments().filter_map(|a| a.get_long().map(|l| l.replace('-', "_"))).collect();
        assert_eq!(names, long);
        assert!(command.render_long_help().to_string().contains("Minimum absolute clip"));
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = serde_yaml::from_str::<MaskingOptions>("{flood_fil: true}").unwrap_err().to_string();
        insta::assert_snapshot!(error.split(", expected").next().unwrap(), @"error: line 1 column 2: unknown field `flood_fil`");
    }

    #[test]
    fn invalid_values_are_named() {
        let cases = [
            "{base_snr_clip: -1}",
            "{flood_fill_positive_seed_clip: .nan}",
            "{flood_fill_use_mac_box_size: 0}",
            "{flood_fill_use_mac_adaptive_skew_delta: 0.5}",
            "{flood_fill_use_mac_adaptive_step_factor: 1}",
            "{beam_shape_erode_minimum_response: 1}",
            "{beam_shape_erode_scales: []}",
            "{beam_shape_erode_scales: [0, 100000]}",
        ];
        let said =
            cases.map(|yaml| serde_yaml::from_str::<MaskingOptions>(yaml).unwrap().validate().unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @"
        base_snr_clip is -1; expected a number that is not negative
        flood_fill_positive_seed_clip is NaN; expected a number that is not negative
        flood_fill_use_mac_box_size is 0; expected at least 1 pixel
        flood_fill_use_mac_adaptive_skew_delta is 0.5; expected a number between 0 and 0.5, both excluded
        flood_fill_use_mac_adaptive_step_factor is 1; expected a number greater than 1
        beam_shape_erode_minimum_response is 1; expected a number between 0 and 1, both excluded
        beam_shape_erode_scales is an empty list; expected a list of 1 to 31 scales (each has a bit of the mask), or left out
        beam_shape_erode_scales is a list with the scale 100000; expected scales of at most 4096 pixels
        ");
    }

    #[test]
    fn bits_follow_the_scales_in_use() {
        let mut options = MaskingOptions { beam_shape_erode_scales: Some(vec![0, 8, 16]), ..Default::default() };
        assert_eq!(options.bits(), 1);
        options.beam_shape_erode = true;
        assert_eq!(options.bits(), 3);
        options = MaskingOptions { convolve_first: true, ..Default::default() };
        assert_eq!((options.bits(), options.scales()), (1, vec![0]));
    }
}
