//! Where the jobs of a campaign stand.

use super::dataset_file::read_dataset;
use super::decide::{SetProgress, of_latest_waves};
use super::job::frozen_plan;
use crate::Result;
use crate::batch_system::ledger::{Ledger, Work};
use crate::batch_system::slurm::{BatchSystem, SlurmError, TaskState};
use crate::campaign::journal::Journal;
use crate::campaign::record::{CampaignRecord, State};
use crate::campaign::run::plan_hashes;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Where the jobs of a campaign stand.
#[derive(Debug, Clone, PartialEq)]
pub struct JobsStatus {
    /// Jobs by what they do and their state.
    pub counts: BTreeMap<(String, TaskState), usize>,
    /// Somebody cancelled them.
    pub cancelled: bool,
}

/// Brings a record up to date from the measurement sets' own files and journals, and asks Slurm for the jobs; `None`
/// where the campaign has none. Changes nothing on the disk.
///
/// # Errors
/// The ledger cannot be read. A Slurm that does not answer is the inner error.
pub(crate) fn status(
    output: &Path,
    record: &mut CampaignRecord,
    system: &dyn BatchSystem,
) -> Result<Option<std::result::Result<JobsStatus, SlurmError>>> {
    let ledger = Ledger::new(output);
    if !ledger.exists() {
        return Ok(None);
    }
    let plan = frozen_plan(output)?;
    let hashes = plan_hashes(&plan);
    for (index, set) in plan.targets.iter().enumerate() {
        let layout = plan.layout_of(set);
        if let Some(dataset) = record.datasets.get_mut(index)
            && let Some(file) = read_dataset(&layout)
        {
            let state = dataset.state;
            *dataset = file.dataset;
            // A job that died could not take its own end down.
            if dataset.state == State::Running {
                dataset.state = state;
            }
            if let Some(over) = Journal::read(&layout.journal()).ok().and_then(|e| SetProgress::of(&e, &hashes).over())
            {
                dataset.state = over;
            }
        }
    }
    let submissions = of_latest_waves(&ledger.submissions()?);
    let jobs: Vec<u64> = submissions.iter().filter_map(|s| s.job).collect();
    let what: HashMap<u64, String> = submissions
        .iter()
        .filter_map(|s| {
            let words = match s.work {
                Work::Round { round } => format!("round {round}"),
                Work::Barrier { round } => format!("before round {round}"),
                Work::Steward => "steward".to_string(),
                Work::Pieces => "pieces".to_string(),
            };
            Some((s.job?, words))
        })
        .collect();
    let states = system.tasks(&jobs).map(|tasks| {
        let mut counts: BTreeMap<(String, TaskState), usize> = BTreeMap::new();
        for task in tasks {
            let words = what.get(&task.job).cloned().unwrap_or_default();
            *counts.entry((words, task.state)).or_default() += 1;
        }
        JobsStatus { counts, cancelled: ledger.state().cancelled }
    });
    Ok(Some(states))
}
