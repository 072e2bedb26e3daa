//! Files that jobs leave for the campaign's record.

use crate::Result;
use crate::campaign::journal::{self, Journal};
use crate::campaign::layout::Layout;
use crate::campaign::plan::{Plan, TargetPlan};
use crate::campaign::record::{DatasetRecord, Level, MessageRecord, State, ToolVersion};
use crate::campaign::run::fresh;
use crate::util::fs;
use serde::{Deserialize, Serialize};

/// A measurement set's record, written by its jobs; `record.json` of the campaign is put together from these.
pub(super) const DATASET_RECORD: &str = "dataset.json";

/// A job's part of the campaign's record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct DatasetFile {
    pub(super) dataset: DatasetRecord,
    pub(super) tools: Vec<ToolVersion>,
}

pub(super) fn read_dataset(layout: &Layout) -> Option<DatasetFile> {
    serde_json::from_slice(&std::fs::read(layout.root().join(DATASET_RECORD)).ok()?).ok()
}

pub(super) fn write_dataset(layout: &Layout, file: &DatasetFile) -> Result<()> {
    let json = serde_json::to_vec(file).expect("records are plain data");
    Ok(fs::write_atomically(&layout.root().join(DATASET_RECORD), &json)?)
}

/// Writes into journal and record of a measurement set that it is given up. Its lock must be held.
pub(super) fn write_given_up(plan: &Plan, set: &TargetPlan, why: &str) -> Result<()> {
    let layout = plan.layout_of(set);
    let mut journal = Journal::open(layout.journal())?;
    journal.append(journal::JournalEvent::Ended { state: State::Failed, reason: why.to_string() })?;
    let mut file =
        read_dataset(&layout).unwrap_or_else(|| DatasetFile { dataset: fresh(plan, set), tools: Vec::new() });
    file.dataset.state = State::Failed;
    let message = MessageRecord { at: Some(jiff::Timestamp::now()), level: Level::Error, text: why.to_string() };
    file.dataset.messages.push(message);
    write_dataset(&layout, &file)
}
