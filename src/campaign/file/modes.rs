//! The modes of a round: one map of options a tool, as in flint's strategy files.

use super::archive::FlintArchiveOptions;
use crate::calibrator::GaincalInput;
use crate::calibrator::facets::options::FacetOptions;
use crate::imager::tclean::TcleanOptions;
use crate::imager::wsclean::WscleanOptions;
use crate::masking::MaskingOptions;
use crate::masking::multithresh::MultithreshOptions;
use crate::noise::{NoiseMethod, NoiseOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Modes of flint that load, but that this program does not run.
pub(super) const MODES_NOT_RUN: [&str; 6] = ["aegean", "potatopeel", "fitscube", "tukeytractor", "rmsynth", "rmclean"];

/// Operations of flint that load, but that this program does not run.
pub(super) const OPERATIONS_NOT_RUN: [&str; 1] = ["rmsynth"];

/// Operations of flint that are run as final imagings; those of a polarisation have its name after a dash.
pub(super) const OPERATIONS: [&str; 5] =
    ["stokesv", "subtractcube", "polarisation-total", "polarisation-linear", "polarisation-circular"];

/// Where the options of an operation stand in the file.
pub(crate) fn operation_path(operation: &str) -> Vec<&str> {
    operation.split('-').collect()
}

/// flint's operation `polarisation`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Polarisation {
    /// Stokes I.
    pub(super) total: Option<Modes>,
    /// Stokes Q and U, their peaks searched for together.
    pub(super) linear: Option<Modes>,
    /// Stokes V.
    pub(super) circular: Option<Modes>,
    /// Loads; not run.
    pub(super) fitscube: Json,
}

/// Options of each tool, for one round or (in `defaults`) for all.
///
/// Only the keys that are written count: a round updates the defaults key by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Modes {
    /// wsclean: its own options with underscores for dashes.
    pub wsclean: WscleanOptions,
    /// CASA's gaincal, bandpass and applycal; what other calibrators know of it steers them, too. A list of maps is a
    /// chain: solved in this order, each with those before it applied, all applied together.
    pub gaincal: GaincalInput,
    /// Solving by direction with DP3, on top of the tables of the rounds before: a round that has this mode (`facets: {}`
    /// for its defaults) does that instead of `gaincal`. In `defaults` it sets options, but makes no round such a one.
    pub facets: FacetOptions,
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
    /// flint's filter of delays towards the Sun (jolly-roger). Loads; not run.
    pub tukeytractor: Json,
    /// Loads; not run.
    pub rmsynth: Json,
    /// Loads; not run.
    pub rmclean: Json,
}

/// The options of a mode that are written: a map, or (for `gaincal`) a list of maps.
#[derive(Debug, Clone, PartialEq)]
pub enum ModeOptions {
    /// One map.
    Map(Map<String, Json>),
    /// A list of maps.
    List(Vec<Map<String, Json>>),
}

impl Default for ModeOptions {
    fn default() -> Self {
        Self::Map(Map::new())
    }
}

impl ModeOptions {
    /// The options in checked data; a mode without any (`wsclean:`) is an empty map.
    pub(super) fn of(data: &Json) -> Self {
        let map = |data: &Json| data.as_object().cloned().unwrap_or_default();
        match data {
            Json::Array(items) => Self::List(items.iter().map(map).collect()),
            other => Self::Map(map(other)),
        }
    }

    /// Its maps, in order.
    pub fn maps(&self) -> &[Map<String, Json>] {
        match self {
            Self::Map(map) => std::slice::from_ref(map),
            Self::List(maps) => maps,
        }
    }

    /// Its maps, those of a list with their number, 0 first.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (Option<usize>, &Map<String, Json>)> {
        let listed = matches!(self, Self::List(_));
        self.maps().iter().enumerate().map(move |(index, map)| (listed.then_some(index), map))
    }

    /// Nothing is written.
    pub fn is_empty(&self) -> bool {
        self.maps().iter().all(Map::is_empty)
    }

    /// One of its maps has this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.maps().iter().any(|map| map.contains_key(key))
    }

    /// Puts further options on top: a map updates every map that is there; a list takes the place of a list, and each of
    /// its maps updates a single one.
    pub(super) fn update(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::Map(map), Self::Map(more)) => map.extend(more),
            (Self::List(maps), Self::Map(more)) => maps.iter_mut().for_each(|map| map.extend(more.clone())),
            (Self::Map(map), Self::List(list)) => {
                let updated = |more| map.clone().into_iter().chain(more).collect();
                *self = Self::List(list.into_iter().map(updated).collect());
            }
            (Self::List(maps), Self::List(list)) => *maps = list,
        }
    }
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
