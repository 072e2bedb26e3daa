//! Recipe of a mask, whatever its image: the method, its options, and the rule that combines two methods.

use super::MaskingOptions;
use super::auto::AutoMaskOptions;
use super::combine::{Operation, select_islands};
use super::multithresh::MultithreshOptions;
use crate::image::Zeros;
use crate::noise::NoiseOptions;
use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How clean masks are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MaskMethod {
    /// No masks; the imager's own auto-masking, if its options ask for it.
    None,
    /// flint's pipeline with the options of `masking`, on the last accepted image.
    #[default]
    Flint,
    /// CASA's auto-multithresh with the options of `automask`, on the current residual.
    Multithresh,
    /// Both, combined as `combine` says.
    Both,
    /// Levels chosen from the image itself, round by round.
    Auto,
}

impl MaskMethod {
    /// The method's name in campaign files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Flint => "flint",
            Self::Multithresh => "multithresh",
            Self::Both => "both",
            Self::Auto => "auto",
        }
    }

    /// Whether auto-multithresh takes part.
    pub fn uses_multithresh(self) -> bool {
        matches!(self, Self::Multithresh | Self::Both)
    }
}

/// How the masks of both methods are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CombineRule {
    /// Pixels in either.
    #[default]
    Union,
    /// Pixels in both.
    Intersection,
    /// Whole islands of auto-multithresh that touch flint's mask.
    MultithreshWithinFlint,
    /// Whole islands of flint's mask that touch that of auto-multithresh.
    FlintWithinMultithresh,
}

impl CombineRule {
    /// The combination of auto-multithresh's mask and flint's, both `[y, x]`.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn apply(self, mut multithresh: Array2<bool>, mut flint: Array2<bool>) -> Array2<bool> {
        match self {
            Self::Union => Operation::Union.apply(&mut multithresh, flint.view()),
            Self::Intersection => Operation::Intersection.apply(&mut multithresh, flint.view()),
            Self::MultithreshWithinFlint => select_islands(&mut multithresh, flint.view(), true),
            Self::FlintWithinMultithresh => {
                select_islands(&mut flint, multithresh.view(), true);
                return flint;
            }
        }
        multithresh
    }
}

/// A method with its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskRecipe {
    /// The method.
    pub method: MaskMethod,
    /// With [`MaskMethod::Both`]: how the two masks are combined.
    pub combine: CombineRule,
    /// Options of flint's pipeline; with [`MaskMethod::Auto`] only those that are not about levels count.
    pub flint: MaskingOptions,
    /// Limits of automatic masks.
    pub auto: AutoMaskOptions,
    /// Options of auto-multithresh.
    pub multithresh: MultithreshOptions,
    /// How background and noise are estimated where they are needed and not given.
    pub noise: NoiseOptions,
    /// Factor on the levels of automatic masks: 1, or more for a more cautious mask.
    pub caution: f64,
    /// Meaning of large regions of exact zeros. Noise maps that are given tell themselves where there is no data, and
    /// auto-multithresh takes zeros as data, as CASA does.
    #[serde(default, skip_serializing_if = "Zeros::is_default")]
    pub zeros: Zeros,
}

impl MaskRecipe {
    /// The options that the method uses, each map under its name in a campaign file.
    pub fn used_options(&self) -> Vec<(&'static str, Value)> {
        let method = self.method;
        let maps = [
            ("masking", matches!(method, MaskMethod::Flint | MaskMethod::Both), serde_json::to_value(&self.flint)),
            ("auto", method == MaskMethod::Auto, serde_json::to_value(&self.auto)),
            ("noise", method != MaskMethod::Multithresh, serde_json::to_value(&self.noise)),
            ("automask", method.uses_multithresh(), serde_json::to_value(&self.multithresh)),
        ];
        let used = maps.into_iter().filter(|(_, used, _)| *used);
        used.map(|(name, _, options)| (name, options.expect("options are plain data"))).collect()
    }
}

impl Default for MaskRecipe {
    fn default() -> Self {
        Self {
            method: MaskMethod::default(),
            combine: CombineRule::default(),
            flint: MaskingOptions::default(),
            auto: AutoMaskOptions::default(),
            multithresh: MultithreshOptions::default(),
            noise: NoiseOptions::default(),
            caution: 1.0,
            zeros: Zeros::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{draw, mask};
    use rstest::rstest;

    #[rstest]
    #[case(CombineRule::Union, ["###.##"])]
    #[case(CombineRule::Intersection, [".#...."])]
    #[case(CombineRule::MultithreshWithinFlint, ["##...."])]
    #[case(CombineRule::FlintWithinMultithresh, [".##..."])]
    fn rules_combine_pixels_or_islands(#[case] rule: CombineRule, #[case] expected: [&str; 1]) {
        assert_eq!(draw(rule.apply(mask(&["##..#."]), mask(&[".##..#"])).view()), expected);
    }
}
