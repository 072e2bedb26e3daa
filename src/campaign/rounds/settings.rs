//! Settings of a run over the rounds.

use crate::campaign::file::{ApplyTo, ArchiveOptions, StartColumn, StartModel};
use crate::campaign::journal::StepKey;
use crate::campaign::layout::Layout;
use crate::campaign::record::MaskRecord;
use crate::campaign::rules::acceptance::AcceptanceOptions;
use crate::imager::Products;
use indexmap::IndexMap;
use std::path::PathBuf;

/// Settings of a run over one measurement set, apart from its backend.
#[derive(Debug, Clone)]
pub(crate) struct DatasetSettings {
    /// Short name, unique in the campaign.
    pub name: String,
    /// The user's measurement sets, for the record.
    pub sources: Vec<PathBuf>,
    /// Its folder.
    pub layout: Layout,
    /// Limits of the acceptance rules.
    pub acceptance: AcceptanceOptions,
    /// Hash of the resolved options by round, to find what a changed campaign file invalidates.
    pub plan_hashes: IndexMap<String, String>,
    /// Stop after this round (for schedulers that run one round a job); `None`: run them all.
    pub until_round: Option<usize>,
    /// Keep the series of gain solutions out of the record, in files of their own: with many measurement sets they
    /// would make most of it.
    pub series_apart: bool,
    /// Bytes that its folder may take; `None`: no limit.
    pub disk_budget: Option<u64>,
    /// Files that are collected when it is done.
    pub archive: ArchiveOptions,
    /// Data that get the best solutions.
    pub apply_to: Option<ApplyTo>,
    /// The column that rounds start from.
    pub start_column: StartColumn,
    /// The first round: 0, unless a round is imaged alone.
    pub first_round: usize,
    /// The model that the first calibration starts from.
    pub start_model: StartModel,
    /// Every image is a product, whatever the rules say of it: channels may be empty.
    pub takes_any_image: bool,
    /// Images from which a first round's mask is made, where it begins with one.
    pub mask_source: Option<MaskSource>,
}

/// Images of an earlier round from which a mask is made.
#[derive(Debug, Clone)]
pub(crate) struct MaskSource {
    /// Changes when the images do.
    pub key: StepKey,
    /// The images.
    pub products: Products,
    /// That round's own mask.
    pub mask: Option<MaskRecord>,
}
