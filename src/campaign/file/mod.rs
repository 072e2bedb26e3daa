//! The campaign file: flint's strategy format 0.2 plus a `campaign:` block. See `docs/campaign.md`.
//!
//! [`load`] reads a file in four steps: text to a tree with places, the tree against the schema of the option structs
//! (all mistakes are collected), values on top that come from the command line ([`Overrides`]), and rules that concern
//! several keys: each element's own `check`. What a round then really does is resolved by [`crate::campaign::plan`].
//!
//! One file an element: its type, default, reading, documentation and tests are together.

mod archive;
mod block;
mod final_imaging;
mod mask;
mod modes;
mod plain;
mod programs;
mod reading;
mod resources;
mod rounds;
mod scheduler;
mod selection;
mod stages;
mod start_model;

pub use crate::batch_system::JobOptions;
pub use crate::major_cycle::StopOptions;
pub use crate::util::duration::TimeLimit;
pub use archive::{ArchiveOptions, FlintArchiveOptions};
pub use block::{CampaignBlock, OnFailure, StartColumn, WorkOn};
pub use final_imaging::{FinalData, FinalImaging, RestoringBeam, Subtract};
pub use mask::{CombineRule, FieldOptions, MaskCadence, MaskImage, MaskMethod, MaskSettings};
pub(crate) use modes::operation_path;
pub use modes::{BaneOptions, ModeOptions, Modes};
pub use plain::FilledIn;
pub use programs::{CalibratorKind, Executables, ImagerKind};
pub(crate) use reading::automatic::Automatic;
#[doc(hidden)]
pub use reading::schema;
pub(crate) use reading::typed::invalid_values;
pub use reading::{ConfigError, LoadError, Overrides, Problem, TextSpan, load, parse};
pub(crate) use reading::{env, yaml};
pub use resources::Resources;
pub use rounds::{RoundSelection, consider_mask_round};
pub use scheduler::{Loss, SchedulerKind, SchedulerOptions};
pub use selection::{ApplyTo, AverageOptions, FieldChoice, Together};
pub use stages::{FacetStage, Multiscale};
pub use start_model::StartModel;

use indexmap::IndexMap;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use yaml::Node;

/// Written options, by mode.
pub type ModeMaps = BTreeMap<String, ModeOptions>;

/// A campaign file that was read and checked, with the command line's values on top.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignFile {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The `campaign:` block; environment variables are not yet replaced.
    pub block: CampaignBlock,
    /// The options for all rounds, by mode: those that are written, and the defaults of a plain campaign.
    pub defaults: ModeMaps,
    /// The options that are written, by round and mode.
    pub rounds: BTreeMap<usize, ModeMaps>,
    /// The options that are written in flint's operations after self-calibration, by operation ([`operation_path`] is the
    /// place of one) and mode.
    pub(crate) operations: IndexMap<String, ModeMaps>,
    /// The options given on the command line, by mode; they go before those of any round.
    pub overrides: ModeMaps,
    /// The defaults in `block` and `defaults` that are not written.
    pub filled_in: FilledIn,
    /// Modes and operations that load but are not run, where they stand.
    pub not_run: Vec<String>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// The `campaign:` block as data.
    pub(crate) block_data: Json,
    pub(crate) tree: Node,
    /// Options in `defaults` that are chosen from the data.
    pub(crate) automatic: Vec<Automatic>,
    pub(crate) command_line_sets: bool,
    pub(crate) command_line_output: bool,
}

impl CampaignFile {
    /// An error about a key of the file, shown with its line.
    pub fn error_at(&self, path: &[&str], message: impl Into<String>, help: impl Into<String>) -> ConfigError {
        let span = self.tree.at(path).map(|node| node.span);
        ConfigError {
            name: self.path.display().to_string(),
            text: self.text.clone(),
            problems: vec![Problem::new(span, message).help(help)],
        }
    }

    /// Folder at which relative paths of the file start.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Name of the campaign.
    pub fn name(&self) -> String {
        let stem = || self.path.file_stem().map_or_else(|| "campaign".into(), |stem| stem.to_string_lossy());
        self.block.name.clone().unwrap_or_else(|| stem().into_owned())
    }

    /// The last round; round 0 comes on top.
    pub fn last_round(&self) -> usize {
        self.block.rounds.unwrap_or_else(|| self.rounds.keys().next_back().copied().unwrap_or(0))
    }

    /// The rounds that are cleaned with a mask: `mask.rounds`, or flint's field options where those are given.
    pub fn mask_rounds(&self) -> RoundSelection {
        let block = &self.block;
        match (&block.use_beam_masks_rounds, block.use_beam_masks_from) {
            (Some(rounds), _) => rounds.clone(),
            (None, Some(first)) => RoundSelection::From(first),
            (None, None) => block.mask.rounds.clone(),
        }
    }

    /// Whether masks are allowed at all.
    pub fn masks_allowed(&self) -> bool {
        self.block.use_beam_masks.unwrap_or(true) && self.block.mask.allow
    }
}
