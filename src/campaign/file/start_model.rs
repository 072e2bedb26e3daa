//! The model that a campaign's first calibration starts from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// The model that the first calibrated round is solved against: `auto`, `point`, `image`, or a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum StartModel {
    /// That of the first image, or a point where the first image is doubted and solves against a point are better.
    Auto,
    /// A point at the phase centre, with the flux that the shortest baselines see.
    Point,
    /// That of the first image.
    #[default]
    Image,
    /// This one: a model image (FITS, Jy/pixel), or a list of components.
    File(PathBuf),
}

impl From<String> for StartModel {
    fn from(word: String) -> Self {
        match word.as_str() {
            "auto" => Self::Auto,
            "point" => Self::Point,
            "image" => Self::Image,
            _ => Self::File(word.into()),
        }
    }
}

impl From<StartModel> for String {
    fn from(model: StartModel) -> Self {
        model.to_string()
    }
}

impl fmt::Display for StartModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Point => f.write_str("point"),
            Self::Image => f.write_str("image"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl StartModel {
    /// The first image may be of no use: calibration need not start from it.
    pub fn does_without_image(&self) -> bool {
        *self != Self::Image
    }
}
