//! Measurement sets side by side, as many at the same time as the machine is shared among.

use super::barriers::{self, Stage};
use super::record_keeping::{note_tools, plan_hashes};
use super::report_refresh::ReportRefresh;
use super::{CampaignRun, mask_source};
use crate::campaign::file::OnFailure;
use crate::campaign::plan::{Plan, Share};
use crate::campaign::record::{DatasetRecord, State, ToolVersion};
use crate::campaign::rounds::{DatasetRun, DatasetSettings, OnRecord};
use crate::process::interrupt;
use crate::util::lock::{DATASET_LOCK, Lock};
use crate::util::parallel;
use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// Outcome of each measurement set; `None`: it was not begun.
pub(crate) type Outcomes = Vec<Option<Result<State>>>;

/// Works through the stages; at a barrier all measurement sets wait for each other.
pub(super) fn run_stages(campaign: CampaignRun<'_>, refresh: &ReportRefresh<'_>) -> Result<Outcomes> {
    let CampaignRun { plan, settings, events } = campaign;
    let count = plan.targets.len();
    let selection = &settings.selection;
    let mut outcomes: Outcomes = ended_before(campaign, refresh);
    let stop = AtomicBool::new(false);
    for stage in barriers::of(plan) {
        let goes_on = |outcome: &Option<Result<State>>| matches!(outcome, None | Some(Ok(State::Running)));
        let left: Vec<usize> =
            (0..count).filter(|i| goes_on(&outcomes[*i]) && selection.has(&plan.targets[*i].name)).collect();
        if left.is_empty() || stop.load(Ordering::SeqCst) {
            break;
        }
        let last = match stage {
            // What is made of all measurement sets needs all of them to have come so far.
            Stage::Barrier { round } if !selection.goes_past(round) => break,
            Stage::Barrier { round } => {
                (settings.at_barrier)(plan, round, &refresh.record().datasets, events)?;
                continue;
            }
            Stage::Rounds { first, last } => match selection.until(first, last) {
                Some(last) => last,
                None => break,
            },
        };
        let done = parallel::run_all(left.len(), plan.resources.concurrent, &stop, |i| {
            let index = left[i];
            let on_record = &mut |changed: &DatasetRecord, tools: &[ToolVersion]| {
                refresh.change(|record| {
                    record.datasets[index] = changed.clone();
                    note_tools(record, tools);
                });
                Ok(())
            };
            let outcome = campaign.run_one(index, Some(last), Share::of(plan), on_record);
            let interrupted = matches!(outcome, Err(Error::Interrupted)) || interrupt::requested();
            if interrupted || (outcome.is_err() && plan.on_failure == OnFailure::Stop) {
                stop.store(true, Ordering::SeqCst);
            }
            outcome
        });
        for (index, outcome) in left.into_iter().zip(done) {
            outcomes[index] = outcome;
        }
    }
    Ok(outcomes)
}

impl CampaignRun<'_> {
    /// Works on one measurement set up to a round (or as far as it goes), under its lock.
    pub(crate) fn run_one(
        self,
        index: usize,
        until_round: Option<usize>,
        share: Share,
        on_record: OnRecord<'_>,
    ) -> Result<State> {
        let CampaignRun { plan, settings, events } = self;
        let set = &plan.targets[index];
        let layout = plan.layout_of(set);
        let _lock = Lock::take_named(layout.root(), DATASET_LOCK)?;
        let mut backend = (settings.backend)(plan, set, share)?;
        let dataset = DatasetSettings {
            name: set.name.clone(),
            sources: set.paths(),
            layout,
            acceptance: plan.acceptance.clone(),
            plan_hashes: plan_hashes(plan),
            until_round,
            series_apart: plan.targets.len() > 1,
            disk_budget: disk_budget(plan),
            archive: plan.archive.clone(),
            apply_to: plan.apply_to.clone(),
            start_column: plan.start_column,
            first_round: plan.only_round.unwrap_or(0),
            start_model: plan.start_model.clone(),
            takes_any_image: plan.final_of.is_some(),
            mask_source: mask_source::of(plan, set)?,
        };
        DatasetRun::new(dataset, backend.as_mut(), events.clone())?.run(on_record).1
    }
}

/// How the measurement sets that this run leaves alone ended in earlier runs; `None` for all others.
fn ended_before(campaign: CampaignRun<'_>, refresh: &ReportRefresh<'_>) -> Outcomes {
    let ended = |dataset: &DatasetRecord| {
        let is_over = matches!(dataset.state, State::Done | State::Converged | State::Diverged);
        (is_over && !campaign.settings.selection.has(&dataset.name)).then_some(Ok(dataset.state))
    };
    refresh.record().datasets.iter().map(ended).collect()
}

/// Each measurement set's part of the disk budget, bytes.
fn disk_budget(plan: &Plan) -> Option<u64> {
    const GB: f64 = 1e9;
    let parts = plan.targets.len().max(1) as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Checked to be positive; far below 2^64.
    plan.resources.disk_budget_gb.map(|gb| (gb * GB / parts) as u64)
}
