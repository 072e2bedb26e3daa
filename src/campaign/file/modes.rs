//! The modes of a round: one map of options a tool, as in flint's strategy files.

use super::archive::FlintArchiveOptions;
use crate::calibrator::options::GaincalOptions;
use crate::imager::tclean::TcleanOptions;
use crate::imager::wsclean::WscleanOptions;
use crate::masking::MaskingOptions;
use crate::masking::multithresh::MultithreshOptions;
use crate::noise::{NoiseMethod, NoiseOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Modes of flint that load, but that this program does not run.
pub(super) const MODES_NOT_RUN: [&str; 3] = ["aegean", "potatopeel", "fitscube"];

/// Operations of flint that load, but that this program does not run.
pub(super) const OPERATIONS_NOT_RUN: [&str; 3] = ["stokesv", "subtractcube", "polarisation"];

/// Options of each tool, for one round or (in `defaults`) for all.
///
/// Only the keys that are written count: a round updates the defaults key by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Modes {
    /// wsclean: its own options with underscores for dashes.
    pub wsclean: WscleanOptions,
    /// CASA's gaincal and applycal; what other calibrators know of it steers them, too.
    pub gaincal: GaincalOptions,
    /// flint's mask pipeline.
    pub masking: MaskingOptions,
    /// CASA's auto-multithresh, under tclean's names.
    pub automask: MultithreshOptions,
    /// CASA's tclean.
    pub tclean: TcleanOptions,
    /// Background and noise for masks by signal-to-noise ratio.
    pub noise: NoiseOptions,
    /// flint's options of BANE: they set box and grid of the built-in noise estimator.
    pub bane: BaneOptions,
    /// Loads; not run.
    pub aegean: Json,
    /// flint's patterns of files to keep, used at the end of the campaign where a folder is named for them.
    pub archive: FlintArchiveOptions,
    /// Loads; not run.
    pub potatopeel: Json,
    /// Loads; not run.
    pub fitscube: Json,
}

/// flint's options of BANE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BaneOptions {
    /// Distance of the grid's positions, pixels. Grids are square: the first number counts.
    pub grid_size: Option<(usize, usize)>,
    /// Side of the box around each position, pixels. Boxes are square: the first number counts.
    pub box_size: Option<(usize, usize)>,
    /// Processes of BANE; not used: `campaign.resources.threads` decides.
    pub cores: usize,
}

impl Default for BaneOptions {
    fn default() -> Self {
        Self { grid_size: Some((16, 16)), box_size: Some((196, 196)), cores: 12 }
    }
}

impl BaneOptions {
    /// The built-in estimator with this box and grid.
    pub fn to_noise(&self) -> NoiseOptions {
        NoiseOptions {
            box_size: self.box_size.map(|(side, _)| side),
            step: self.grid_size.map(|(step, _)| step),
            ..NoiseOptions::with_method(NoiseMethod::Bane)
        }
    }
}
