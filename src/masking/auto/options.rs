//! Limits of automatic masks. The library has them in groups; campaign files, the command line and Python have them flat,
//! all under one name each ([`FlatOptions`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A value for images whose artefacts are at their worst, and one for images without artefacts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64)", into = "(f64, f64)")]
pub struct Span {
    /// For the worst artefacts.
    pub worst: f64,
    /// Without artefacts.
    pub none: f64,
}

impl From<(f64, f64)> for Span {
    fn from((worst, none): (f64, f64)) -> Self {
        Self { worst, none }
    }
}

impl From<Span> for (f64, f64) {
    fn from(span: Span) -> Self {
        (span.worst, span.none)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.worst, self.none)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[worst, none]) => Ok(Self { worst, none }),
            _ => Err("two numbers were expected: for the worst artefacts, and for none (0.05,0.005)".to_string()),
        }
    }
}

/// Limits of automatic masks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "FlatOptions", into = "FlatOptions")]
pub struct AutoMaskOptions {
    /// Levels of the image itself.
    pub levels: LevelOptions,
    /// Islands that stand out from their surroundings.
    pub compact: CompactOptions,
    /// Extended emission.
    pub extended: ExtendedOptions,
    /// Islands that are left out.
    pub vetting: VettingOptions,
}

impl JsonSchema for AutoMaskOptions {
    fn schema_name() -> Cow<'static, str> {
        FlatOptions::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        FlatOptions::json_schema(generator)
    }
}

/// Levels of the image itself, and the extent of the mask.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelOptions {
    /// |most negative pixel| / peak between which the levels move.
    pub negative_ratio: Span,
    /// |most negative pixel| over that of Gaussian noise, between which the levels move.
    pub negative_excess: Span,
    /// Seed factor of the minimum absolute clip.
    pub seed_factor: Span,
    /// Flood factor of the minimum absolute clip.
    pub flood_factor: Span,
    /// Side of the box of the minimum absolute clip, FWHM of the beam.
    pub box_beams: Span,
    /// Seeds of the mask by signal to local noise, sigma; islands of the minimum absolute clip reach it, too.
    pub local_seed: f64,
    /// The level down to which they grow, sigma.
    pub local_flood: f64,
    /// Margin of the islands of the image itself, FWHM of the beam; `None`: 0.5.
    pub margin_beams: Option<f64>,
    /// Largest masked fraction that is believed.
    pub max_fraction: f64,
}

/// Islands that stand out from their surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct CompactOptions {
    /// Side of the box, FWHM of the beam.
    pub box_beams: f64,
    /// Seeds exceed this times the local noise; 0: none are looked for.
    pub seed: f64,
    /// Seeds exceed this times the deepest negative of the box.
    pub negative: f64,
    /// In a residual, seeds exceed this times the highest sidelobe of its brightest pixel.
    pub sidelobe: f64,
}

/// Extended emission, looked for in smoothed images.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtendedOptions {
    /// FWHM of the Gaussians, in FWHM of the beam; empty: none is looked for.
    pub scales: Vec<f64>,
    /// Seeds exceed this times the noise of the smoothed image.
    pub seed: f64,
    /// Seeds exceed this times the deepest negative of the smoothed image.
    pub negative: f64,
    /// Seeds exceed this times the deepest negative of a box of 16 beams.
    pub near_negative: f64,
    /// In a residual, seeds exceed this times what sidelobes make in the smoothed image.
    pub sidelobe: f64,
    /// Islands grow down to this times the noise of the smoothed image.
    pub flood: f64,
    /// Islands do not grow below this fraction of their brightest pixel in the smoothed image.
    pub depth: f64,
}

/// Islands that are left out: artefacts of brighter sources, and what the last image should have shown.
#[derive(Debug, Clone, PartialEq)]
pub struct VettingOptions {
    /// A source brighter than an island by this factor ...
    pub beside_ratio: f64,
    /// ... within this many FWHM of the beam ...
    pub beside_reach: f64,
    /// ... asks that the island exceeds this times the deepest negative of the box of compact islands.
    pub beside_negative: f64,
    /// An island fainter than this fraction of a bright source nearby may be its artefact.
    pub artefact_ratio: f64,
    /// Reach of a bright source's artefacts, FWHM of the beam.
    pub artefact_reach: f64,
    /// An artefact's mirror image at the bright source is negative by this fraction of it.
    pub mirrored_negative: f64,
    /// An artefact has a pixel at the same distance from the bright source that is negative by this fraction.
    pub ring_negative: f64,
    /// An island must have been seen in the last image when it would have stood out there by this many sigma.
    pub visible_sigma: f64,
    /// It was seen when the last image shows this fraction of it.
    pub visible_fraction: f64,
}

impl Default for LevelOptions {
    fn default() -> Self {
        AutoMaskOptions::from(FlatOptions::default()).levels
    }
}

impl Default for CompactOptions {
    fn default() -> Self {
        AutoMaskOptions::from(FlatOptions::default()).compact
    }
}

impl Default for ExtendedOptions {
    fn default() -> Self {
        AutoMaskOptions::from(FlatOptions::default()).extended
    }
}

impl Default for VettingOptions {
    fn default() -> Self {
        AutoMaskOptions::from(FlatOptions::default()).vetting
    }
}

/// Limits of the automatic masks. A pair of numbers is for images whose artefacts are at their worst, and for those
/// without artefacts.
#[derive(Debug, Clone, PartialEq, clap::Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "AutoMaskOptions")]
#[command(next_help_heading = "Automatic masks")]
pub struct FlatOptions {
    /// |most negative pixel| / peak: the range over which the levels change.
    #[schemars(with = "(f64, f64)")]
    #[arg(long, value_name = "WORST,NONE", default_value_t = Span { worst: 0.05, none: 0.005 })]
    pub negative_ratio: Span,
    /// |most negative pixel| over that of Gaussian noise: the range over which the levels change.
    #[schemars(with = "(f64, f64)")]
    #[arg(long, value_name = "WORST,NONE", default_value_t = Span { worst: 2.5, none: 1.2 })]
    pub negative_excess: Span,
    /// Seed factor of the minimum absolute clip.
    #[schemars(with = "(f64, f64)")]
    #[arg(long, value_name = "WORST,NONE", default_value_t = Span { worst: 1.6, none: 1.1 })]
    pub seed_factor: Span,
    /// Flood factor of the minimum absolute clip.
    #[schemars(with = "(f64, f64)")]
    #[arg(long, value_name = "WORST,NONE", default_value_t = Span { worst: 1.0, none: 0.7 })]
    pub flood_factor: Span,
    /// Side of the box of the minimum absolute clip, FWHM of the beam.
    #[schemars(with = "(f64, f64)")]
    #[arg(long, value_name = "WORST,NONE", default_value_t = Span { worst: 100.0, none: 50.0 })]
    pub box_beams: Span,
    /// Seed level of the mask by signal to local noise, sigma; that mask is used for images without artefacts. Islands of
    /// the minimum absolute clip must reach it, too.
    #[arg(long, value_name = "SIGMA", default_value_t = 5.0)]
    pub local_seed: f64,
    /// Level down to which these seeds grow, sigma.
    #[arg(long, value_name = "SIGMA", default_value_t = 2.0)]
    pub local_flood: f64,
    /// Side of the box of compact islands, FWHM of the beam. They are compared with their surroundings, not with the worst
    /// artefact of the whole image.
    #[arg(long, value_name = "FWHM", default_value_t = 25.0)]
    pub prominent_box_beams: f64,
    /// Seed level of compact islands, in units of the local noise; 0 turns them off.
    #[arg(long, value_name = "SIGMA", default_value_t = 6.0)]
    pub prominent_seed: f64,
    /// Seed level of compact islands, in units of the deepest negative of the box.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.3)]
    pub prominent_negative: f64,
    /// Seed level of compact islands in a residual, in units of the highest sidelobe of its brightest pixel.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5)]
    pub prominent_sidelobe: f64,
    /// FWHM of the Gaussians that smooth the image to find extended emission, in FWHM of the beam; an empty list turns the
    /// search off.
    #[arg(long, value_name = "FWHM", num_args = 0.., value_delimiter = ',', default_values_t = [2.0, 4.0, 8.0])]
    pub extended_scales: Vec<f64>,
    /// Seed level of extended emission, in units of the smoothed image's noise.
    #[arg(long, value_name = "SIGMA", default_value_t = 6.0)]
    pub extended_seed: f64,
    /// Seed level of extended emission, in units of the smoothed image's deepest negative.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5)]
    pub extended_negative: f64,
    /// Seed level of extended emission, in units of the deepest negative in a box of 16 beams.
    #[arg(long, value_name = "FACTOR", default_value_t = 2.5)]
    pub extended_near_negative: f64,
    /// Seed level of extended emission in a residual, in units of the sidelobes in the smoothed image: those of the
    /// brightest pixel, and those of the brightest emission of the same scale. Most of these go once it is cleaned.
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0)]
    pub extended_sidelobe: f64,
    /// Level down to which extended emission grows, in units of the smoothed image's noise; but never below half of the
    /// deepest negative, nor below the sidelobes.
    #[arg(long, value_name = "SIGMA", default_value_t = 2.0)]
    pub extended_flood: f64,
    /// Lowest level to which extended emission grows, as a fraction of its brightest pixel in the smoothed image.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2)]
    pub extended_depth: f64,
    /// Margin around the islands of the image itself, FWHM of the beam: faint wings are cleaned with them. A wide one lets
    /// CLEAN follow the calibration errors beside a source, and the next solve keeps them. Masks that are eroded have none.
    /// Default: 0.5, in a campaign 1.25 where fewer than 20 antennas observed.
    #[arg(long, value_name = "FWHM")]
    pub margin_beams: Option<f64>,
    /// Largest masked fraction; if a mask exceeds it, it is made again with higher levels.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.25)]
    pub max_fraction: f64,
    /// Ratio of brightness from which on an island counts as beside a bright source.
    #[arg(long, value_name = "FACTOR", default_value_t = 5.0)]
    pub beside_ratio: f64,
    /// Distance within which an island counts as beside a bright source, FWHM of the beam.
    #[arg(long, value_name = "FWHM", default_value_t = 25.0)]
    pub beside_reach: f64,
    /// Least level of islands beside a bright source, in units of the deepest negative of the box of compact islands.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.8)]
    pub beside_negative: f64,
    /// An island fainter than this fraction of a bright source nearby may be one of its artefacts.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1)]
    pub artefact_ratio: f64,
    /// Reach of a bright source's artefacts, FWHM of the beam.
    #[arg(long, value_name = "FWHM", default_value_t = 60.0)]
    pub artefact_reach: f64,
    /// An island is an artefact if the point mirrored at the bright source is negative by this fraction of it.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.6)]
    pub mirrored_negative: f64,
    /// An island is an artefact if a pixel at the same distance from the bright source is negative by this fraction of it.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.9)]
    pub ring_negative: f64,
    /// A new island must be visible in the last image if it would have stood out there by this many sigma.
    #[arg(long, value_name = "SIGMA", default_value_t = 5.0)]
    pub visible_sigma: f64,
    /// An island counts as visible if the last image shows this fraction of it.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.4)]
    pub visible_fraction: f64,
}

impl Default for FlatOptions {
    fn default() -> Self {
        Self {
            negative_ratio: Span { worst: 0.05, none: 0.005 },
            negative_excess: Span { worst: 2.5, none: 1.2 },
            seed_factor: Span { worst: 1.6, none: 1.1 },
            flood_factor: Span { worst: 1.0, none: 0.7 },
            box_beams: Span { worst: 100.0, none: 50.0 },
            local_seed: 5.0,
            local_flood: 2.0,
            prominent_box_beams: 25.0,
            prominent_seed: 6.0,
            prominent_negative: 1.3,
            prominent_sidelobe: 1.5,
            extended_scales: vec![2.0, 4.0, 8.0],
            extended_seed: 6.0,
            extended_negative: 1.5,
            extended_near_negative: 2.5,
            extended_sidelobe: 3.0,
            extended_flood: 2.0,
            extended_depth: 0.2,
            margin_beams: None,
            max_fraction: 0.25,
            beside_ratio: 5.0,
            beside_reach: 25.0,
            beside_negative: 1.8,
            artefact_ratio: 0.1,
            artefact_reach: 60.0,
            mirrored_negative: 0.6,
            ring_negative: 0.9,
            visible_sigma: 5.0,
            visible_fraction: 0.4,
        }
    }
}

impl From<FlatOptions> for AutoMaskOptions {
    fn from(flat: FlatOptions) -> Self {
        Self {
            levels: LevelOptions {
                negative_ratio: flat.negative_ratio,
                negative_excess: flat.negative_excess,
                seed_factor: flat.seed_factor,
                flood_factor: flat.flood_factor,
                box_beams: flat.box_beams,
                local_seed: flat.local_seed,
                local_flood: flat.local_flood,
                margin_beams: flat.margin_beams,
                max_fraction: flat.max_fraction,
            },
            compact: CompactOptions {
                box_beams: flat.prominent_box_beams,
                seed: flat.prominent_seed,
                negative: flat.prominent_negative,
                sidelobe: flat.prominent_sidelobe,
            },
            extended: ExtendedOptions {
                scales: flat.extended_scales,
                seed: flat.extended_seed,
                negative: flat.extended_negative,
                near_negative: flat.extended_near_negative,
                sidelobe: flat.extended_sidelobe,
                flood: flat.extended_flood,
                depth: flat.extended_depth,
            },
            vetting: VettingOptions {
                beside_ratio: flat.beside_ratio,
                beside_reach: flat.beside_reach,
                beside_negative: flat.beside_negative,
                artefact_ratio: flat.artefact_ratio,
                artefact_reach: flat.artefact_reach,
                mirrored_negative: flat.mirrored_negative,
                ring_negative: flat.ring_negative,
                visible_sigma: flat.visible_sigma,
                visible_fraction: flat.visible_fraction,
            },
        }
    }
}

impl From<AutoMaskOptions> for FlatOptions {
    fn from(options: AutoMaskOptions) -> Self {
        let AutoMaskOptions { levels, compact, extended, vetting } = options;
        Self {
            negative_ratio: levels.negative_ratio,
            negative_excess: levels.negative_excess,
            seed_factor: levels.seed_factor,
            flood_factor: levels.flood_factor,
            box_beams: levels.box_beams,
            local_seed: levels.local_seed,
            local_flood: levels.local_flood,
            prominent_box_beams: compact.box_beams,
            prominent_seed: compact.seed,
            prominent_negative: compact.negative,
            prominent_sidelobe: compact.sidelobe,
            extended_scales: extended.scales,
            extended_seed: extended.seed,
            extended_negative: extended.negative,
            extended_near_negative: extended.near_negative,
            extended_sidelobe: extended.sidelobe,
            extended_flood: extended.flood,
            extended_depth: extended.depth,
            margin_beams: levels.margin_beams,
            max_fraction: levels.max_fraction,
            beside_ratio: vetting.beside_ratio,
            beside_reach: vetting.beside_reach,
            beside_negative: vetting.beside_negative,
            artefact_ratio: vetting.artefact_ratio,
            artefact_reach: vetting.artefact_reach,
            mirrored_negative: vetting.mirrored_negative,
            ring_negative: vetting.ring_negative,
            visible_sigma: vetting.visible_sigma,
            visible_fraction: vetting.visible_fraction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Alone {
        #[command(flatten)]
        options: FlatOptions,
    }

    #[test]
    fn the_command_line_and_files_have_the_same_defaults_and_names() {
        let flat = Alone::parse_from(["mask"]).options;
        assert_eq!(flat, FlatOptions::default());
        assert_eq!(AutoMaskOptions::from(flat), AutoMaskOptions::default());
        assert_eq!(serde_yaml::from_str::<AutoMaskOptions>("{}").unwrap(), AutoMaskOptions::default());
        let yaml = "{negative_ratio: [0.1, 0.01], prominent_seed: 7, extended_scales: [3], beside_reach: 20}";
        let flags = "mask --negative-ratio 0.1,0.01 --prominent-seed 7 --extended-scales 3 --beside-reach 20";
        let from_flags = AutoMaskOptions::from(Alone::parse_from(flags.split_whitespace()).options);
        assert_eq!(from_flags, serde_yaml::from_str(yaml).unwrap());
        assert_eq!((from_flags.compact.seed, from_flags.levels.negative_ratio.worst), (7.0, 0.1));
        let serde_json::Value::Object(keys) = serde_json::to_value(&from_flags).unwrap() else { panic!("a map") };
        let command = <Alone as clap::CommandFactory>::command();
        let long: Vec<String> =
            command.get_arguments().filter_map(|a| a.get_long().map(|l| l.replace('-', "_"))).collect();
        assert_eq!(keys.keys().cloned().collect::<Vec<_>>(), long);
        let none = Alone::parse_from(["mask", "--extended-scales"]).options;
        assert!(none.extended_scales.is_empty());
    }

    #[test]
    fn flat_keys_survive_and_unknown_ones_are_refused() {
        let options = AutoMaskOptions {
            compact: CompactOptions { seed: 9.0, ..CompactOptions::default() },
            ..AutoMaskOptions::default()
        };
        let value = serde_json::to_value(&options).unwrap();
        assert_eq!((&value["prominent_seed"], &value["seed_factor"]), (&9.0.into(), &serde_json::json!([1.6, 1.1])));
        assert_eq!(serde_json::from_value::<AutoMaskOptions>(value).unwrap(), options);
        assert!(serde_yaml::from_str::<AutoMaskOptions>("{compact: {seed: 9}}").is_err());
    }
}
