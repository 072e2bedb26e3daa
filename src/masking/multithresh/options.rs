//! The parameters, with tclean's names, types and defaults, and the parameter sets in use at observatories.

use crate::options::{Checks, OptionError, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From this `cutthreshold` on CASA warns that faint regions may be lost.
const LARGE_CUT: f32 = 0.2;

/// Parameters of auto-multithresh: names, types and defaults of CASA's tclean (6.7).
///
/// One struct gives the flags of `cleanloop automask`, the keys of a campaign file, their schema and their docs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct MultithreshOptions {
    /// Sidelobe threshold, in units of the PSF's sidelobe level times the peak of |residual|.
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0, allow_negative_numbers = true)]
    pub sidelobethreshold: f32,
    /// Noise threshold, in units of the robust rms (1.4826 MAD).
    #[arg(long, value_name = "SIGMAS", default_value_t = 5.0, allow_negative_numbers = true)]
    pub noisethreshold: f32,
    /// Noise threshold down to which earlier masks grow, in units of the robust rms.
    #[arg(long, value_name = "SIGMAS", default_value_t = 1.5, allow_negative_numbers = true)]
    pub lownoisethreshold: f32,
    /// Noise threshold of masks around absorption, in units of the robust rms; 0 makes none.
    #[arg(long, value_name = "SIGMAS", default_value_t = 0.0, allow_negative_numbers = true)]
    pub negativethreshold: f32,
    /// Factor on the restoring beam with which masks are smoothed.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, allow_negative_numbers = true)]
    pub smoothfactor: f32,
    /// Smallest region that is kept, in beam areas; 0 keeps all.
    #[arg(long, value_name = "BEAMS", default_value_t = 0.3, allow_negative_numbers = true)]
    pub minbeamfrac: f32,
    /// Level at which a smoothed mask is cut, as a fraction of its maximum.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.01, allow_negative_numbers = true)]
    pub cutthreshold: f32,
    /// Most pixels by which the previous cycle's mask grows into the low-noise region; 0 turns growing off.
    #[arg(long, value_name = "N", default_value_t = 75)]
    pub growiterations: u32,
    /// Drop small regions of the grown mask, too (needs minbeamfrac above 0).
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    pub dogrowprune: bool,
    /// Percentage: a plane whose mask changes by less once the cleaning threshold is reached is left alone from then on;
    /// negative turns this test off.
    #[arg(long, value_name = "PERCENT", default_value_t = -1.0, allow_negative_numbers = true)]
    pub minpercentchange: f32,
    /// Measure the noise from all valid pixels; otherwise from those outside the mask, or after Chauvenet clipping.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    pub fastnoise: bool,
    /// Primary-beam level above which pixels may be masked; 0 uses the residual's own valid pixels.
    #[arg(long, value_name = "LEVEL", default_value_t = 0.0, allow_negative_numbers = true)]
    pub pbmask: f32,
}

impl Default for MultithreshOptions {
    fn default() -> Self {
        Self {
            sidelobethreshold: 3.0,
            noisethreshold: 5.0,
            lownoisethreshold: 1.5,
            negativethreshold: 0.0,
            smoothfactor: 1.0,
            minbeamfrac: 0.3,
            cutthreshold: 0.01,
            growiterations: 75,
            dogrowprune: true,
            minpercentchange: -1.0,
            fastnoise: true,
            pbmask: 0.0,
        }
    }
}

impl Validate for MultithreshOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::default();
        for (name, value) in [
            ("sidelobethreshold", self.sidelobethreshold),
            ("noisethreshold", self.noisethreshold),
            ("lownoisethreshold", self.lownoisethreshold),
            ("negativethreshold", self.negativethreshold),
            ("minbeamfrac", self.minbeamfrac),
        ] {
            checks.check(value.is_finite() && value >= 0.0, name, value, "0 or a positive number");
        }
        let smooth = self.smoothfactor;
        checks.check(smooth.is_finite() && smooth > 0.0, "smoothfactor", smooth, "a positive number");
        let cut = self.cutthreshold;
        let expected = "a fraction of the maximum, from 0 to below 1 (usually 0.01)";
        checks.check((0.0..1.0).contains(&cut), "cutthreshold", cut, expected);
        let change = self.minpercentchange;
        let expected = "a percentage, or a negative number for no test";
        checks.check(change.is_finite(), "minpercentchange", change, expected);
        let expected = "a primary-beam level from 0 (not used) to below 1";
        checks.check((0.0..1.0).contains(&self.pbmask), "pbmask", self.pbmask, expected);
        checks.problems()
    }
}

impl MultithreshOptions {
    /// Warnings of values that are allowed but probably not meant.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.cutthreshold >= LARGE_CUT {
            warnings.push(format!(
                "cutthreshold is {}: from {LARGE_CUT} on, faint regions may be lost (0.01 is usual)",
                self.cutthreshold
            ));
        }
        warnings
    }

    /// These options with some keys replaced, as a campaign file or a preset's user gives them.
    ///
    /// # Errors
    /// A key that does not exist or a value of the wrong type, in serde's words.
    pub fn with_overrides(
        &self,
        overrides: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        if let Some(map) = all.as_object_mut() {
            map.extend(overrides.clone());
        }
        serde_json::from_value(all)
    }

    /// `name: before -> now` for each parameter that differs.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let (before, now) = (serde_json::json!(self), serde_json::json!(now));
        let now = now.as_object().expect("a struct");
        before
            .as_object()
            .expect("a struct")
            .iter()
            .filter(|(key, value)| now[*key] != **value)
            .map(|(key, value)| format!("{key}: {value} -> {}", now[key]))
            .collect()
    }
}

/// Named parameter sets: those of NRAO's auto_selfcal (2026), the first five also those of ALMA's pipeline.
///
/// All: `growiterations` 75, `dogrowprune` true, `minpercentchange` 1.0, `negativethreshold` 0 (continuum; line cubes
/// set it above 0), `smoothfactor` 1.0, `cutthreshold` 0.01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
pub enum Preset {
    /// ALMA 12 m array, 75th percentile of the baselines below 300 m.
    #[serde(rename = "alma-12m-compact")]
    #[value(name = "alma-12m-compact")]
    Alma12mCompact,
    /// ALMA 12 m array, 75th percentile of the baselines from 300 to 400 m.
    #[serde(rename = "alma-12m-300-400m")]
    #[value(name = "alma-12m-300-400m")]
    Alma12mMiddle,
    /// ALMA 12 m array, 75th percentile of the baselines from 400 to 2000 m.
    #[serde(rename = "alma-12m-400-2000m")]
    #[value(name = "alma-12m-400-2000m")]
    Alma12mExtended,
    /// ALMA 12 m array, 75th percentile of the baselines above 2000 m.
    #[serde(rename = "alma-12m-long")]
    #[value(name = "alma-12m-long")]
    Alma12mLong,
    /// ALMA 7 m array (ACA).
    #[serde(rename = "alma-7m")]
    #[value(name = "alma-7m")]
    Alma7m,
    /// VLA and VLBA.
    #[serde(rename = "vla")]
    #[value(name = "vla")]
    Vla,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 6] =
        [Self::Alma12mCompact, Self::Alma12mMiddle, Self::Alma12mExtended, Self::Alma12mLong, Self::Alma7m, Self::Vla];

    /// The name used on the command line and in campaign files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alma12mCompact => "alma-12m-compact",
            Self::Alma12mMiddle => "alma-12m-300-400m",
            Self::Alma12mExtended => "alma-12m-400-2000m",
            Self::Alma12mLong => "alma-12m-long",
            Self::Alma7m => "alma-7m",
            Self::Vla => "vla",
        }
    }

    /// Its parameters.
    pub fn options(self) -> MultithreshOptions {
        let (sidelobethreshold, noisethreshold, lownoisethreshold, minbeamfrac, fastnoise) = match self {
            Self::Alma12mCompact => (2.0, 4.25, 1.5, 0.3, false),
            Self::Alma12mMiddle => (2.0, 5.0, 1.5, 0.3, false),
            Self::Alma12mExtended => (2.5, 5.0, 1.5, 0.3, true),
            Self::Alma12mLong | Self::Vla => (2.0, 5.0, 1.5, 0.3, true),
            Self::Alma7m => (1.25, 5.0, 2.0, 0.1, false),
        };
        MultithreshOptions {
            sidelobethreshold,
            noisethreshold,
            lownoisethreshold,
            minbeamfrac,
            fastnoise,
            minpercentchange: 1.0,
            ..MultithreshOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_tclean() {
        let empty: MultithreshOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, MultithreshOptions::default());
        insta::assert_snapshot!(serde_json::to_string_pretty(&empty).unwrap(), @r#"
        {
          "sidelobethreshold": 3.0,
          "noisethreshold": 5.0,
          "lownoisethreshold": 1.5,
          "negativethreshold": 0.0,
          "smoothfactor": 1.0,
          "minbeamfrac": 0.3,
          "cutthreshold": 0.01,
          "growiterations": 75,
          "dogrowprune": true,
          "minpercentchange": -1.0,
          "fastnoise": true,
          "pbmask": 0.0
        }
        "#);
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            options: MultithreshOptions,
        }
        let flags = <Flags as clap::Parser>::parse_from(["x"]);
        assert_eq!(flags.options, empty, "the flags' defaults are the struct's");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<MultithreshOptions>(r#"{"noisetreshold": 4}"#).unwrap_err();
        insta::assert_snapshot!(error, @"unknown field `noisetreshold`, expected one of `sidelobethreshold`, `noisethreshold`, `lownoisethreshold`, `negativethreshold`, `smoothfactor`, `minbeamfrac`, `cutthreshold`, `growiterations`, `dogrowprune`, `minpercentchange`, `fastnoise`, `pbmask` at line 1 column 16");
    }

    #[test]
    fn invalid_values_are_named() {
        let cases = [
            MultithreshOptions { smoothfactor: 0.0, ..Default::default() },
            MultithreshOptions { cutthreshold: 1.0, ..Default::default() },
            MultithreshOptions { minbeamfrac: -0.3, ..Default::default() },
            MultithreshOptions { noisethreshold: f32::NAN, ..Default::default() },
            MultithreshOptions { pbmask: 20.0, ..Default::default() },
        ];
        let said = cases.map(|options: MultithreshOptions| options.validate().unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @"
        smoothfactor is 0; expected a positive number
        cutthreshold is 1; expected a fraction of the maximum, from 0 to below 1 (usually 0.01)
        minbeamfrac is -0.3; expected 0 or a positive number
        noisethreshold is NaN; expected 0 or a positive number
        pbmask is 20; expected a primary-beam level from 0 (not used) to below 1
        ");
    }

    #[test]
    fn a_large_cut_is_warned_of() {
        let warned = |cutthreshold| {
            let options = MultithreshOptions { cutthreshold, ..Default::default() };
            options.validate().unwrap();
            !options.warnings().is_empty()
        };
        assert!(warned(0.2) && !warned(0.19));
    }

    #[test]
    fn presets_have_the_published_values() {
        let table: Vec<_> = Preset::ALL
            .iter()
            .map(|p| {
                let o = p.options();
                o.validate().unwrap();
                assert_eq!(serde_json::to_value(p).unwrap(), p.name());
                assert_eq!(clap::ValueEnum::to_possible_value(p).unwrap().get_name(), p.name());
                assert_eq!((o.minpercentchange, o.growiterations, o.dogrowprune), (1.0, 75, true));
                (p.name(), o.sidelobethreshold, o.noisethreshold, o.lownoisethreshold, o.minbeamfrac, o.fastnoise)
            })
            .collect();
        assert_eq!(
            table,
            [
                ("alma-12m-compact", 2.0, 4.25, 1.5, 0.3, false),
                ("alma-12m-300-400m", 2.0, 5.0, 1.5, 0.3, false),
                ("alma-12m-400-2000m", 2.5, 5.0, 1.5, 0.3, true),
                ("alma-12m-long", 2.0, 5.0, 1.5, 0.3, true),
                ("alma-7m", 1.25, 5.0, 2.0, 0.1, false),
                ("vla", 2.0, 5.0, 1.5, 0.3, true),
            ]
        );
    }

    #[test]
    fn overrides_replace_keys_of_a_preset() {
        let overrides = serde_json::json!({"noisethreshold": 4.0, "fastnoise": true});
        let options = Preset::Alma7m.options().with_overrides(overrides.as_object().unwrap()).unwrap();
        assert_eq!(options, MultithreshOptions { noisethreshold: 4.0, fastnoise: true, ..Preset::Alma7m.options() });
        assert_eq!(
            Preset::Alma7m.options().differences(&options),
            ["noisethreshold: 5.0 -> 4.0", "fastnoise: false -> true"]
        );
    }
}
