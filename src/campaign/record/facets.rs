//! Directions of a round that solves by direction.

use crate::calibrator::facets::{FacetDirection, FacetSolution};
use crate::calibrator::options::CalMode;
use crate::campaign::rules::facets::DirectionFault;
use crate::imager::FacetFiles;
use crate::quality::facets::FacetNoise;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The directions of a round, and what became of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FacetRecord {
    /// Solution interval, as given, with that of slower amplitudes, e.g. `30s, amplitudes 300s`.
    pub solint: String,
    /// Quantities that were solved for.
    pub calmode: CalMode,
    /// The directions, the brightest source first.
    pub directions: Vec<FacetDirection>,
    /// Sources that were too faint for a direction of their own.
    pub too_faint: usize,
    /// What an imager takes.
    pub files: FacetFiles,
    /// JSON files of [`FacetGains`](crate::calibrator::facets::FacetGains), one for each measurement set.
    pub gains: Vec<PathBuf>,
    /// Each direction before and after, once there is an image.
    pub judged: Vec<JudgedDirection>,
    /// Dynamic range of each image of the round, each with a mask made from the one before.
    pub images: Vec<f64>,
}

impl FacetRecord {
    /// The record of solutions that are not imaged yet.
    pub(crate) fn of(solution: &FacetSolution, solint: &str, calmode: CalMode) -> Self {
        Self {
            solint: solint.to_owned(),
            calmode,
            directions: solution.directions.clone(),
            too_faint: solution.too_faint,
            files: solution.files.clone(),
            gains: solution.gains.clone(),
            judged: Vec::new(),
            images: Vec::new(),
        }
    }
}

/// What became of the directions of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FacetOutcome {
    /// Facets and solutions that the image was made with.
    pub files: FacetFiles,
    /// Each direction before and after, in the order of the facets.
    pub judged: Vec<JudgedDirection>,
    /// Dynamic range of each image, each with a mask made from the one before; the best was kept.
    pub images: Vec<f64>,
}

/// A direction before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JudgedDirection {
    /// Noise and deepest negative around it in the last accepted image.
    pub before: FacetNoise,
    /// Both with the new solutions.
    pub after: FacetNoise,
    /// It got worse, and went back to its earlier solutions, or to gains of 1.
    pub put_back: bool,
    /// Why it is worse; `None`: it is not, or an earlier version judged it, by the noise alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<DirectionFault>,
}
