//! How the mask of a round was made.

use crate::masking::MaskMethod;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Origin of a mask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaskOrigin {
    /// The last accepted image, before imaging.
    #[default]
    Image,
    /// The image of the whole field, from whose mask it was cut.
    Field,
    /// The residual before each major cycle.
    Cycles,
}

/// Method and origin of a mask.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MaskRecord {
    /// The file.
    pub path: PathBuf,
    /// Method.
    pub method: MaskMethod,
    /// The image or images that it was made from.
    pub origin: MaskOrigin,
    /// The image that it was made from.
    pub source: Option<PathBuf>,
    /// Options that differ from the defaults, or were chosen by the program, name to value.
    pub options: IndexMap<String, String>,
    /// Numbers that came out (seeds, islands, levels in Jy/beam), name to value.
    pub numbers: IndexMap<String, f64>,
    /// Masked pixels.
    pub pixels: u64,
    /// Islands.
    pub islands: Option<u64>,
    /// Pixels that the previous accepted round's mask did not have.
    pub added: Option<u64>,
    /// Pixels that only the previous accepted round's mask had.
    pub removed: Option<u64>,
    /// Why it was made so.
    pub why: String,
}

impl MaskRecord {
    /// This mask between cycles with what is known of the one before imaging, which it has grown from.
    pub fn grown_from(&self, base: &Self) -> Self {
        let Self { options, numbers, why, .. } = base.clone();
        Self { options, numbers, why, ..self.clone() }
    }
}
