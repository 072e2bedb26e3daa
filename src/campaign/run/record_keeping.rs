//! Files that a run writes: the frozen campaign file and plan, the record, and the report from it.

use super::{CampaignRun, FROZEN_CONFIG, FROZEN_PLAN};
use crate::campaign::plan::{self, Plan, TargetPlan};
use crate::campaign::record::{CampaignRecord, DatasetRecord, Level, MessageRecord, State, ToolVersion};
use crate::util::fs;
use crate::{Error, Result};

/// Writes down what was asked for, as written and as resolved.
pub(crate) fn freeze(campaign: CampaignRun<'_>) -> Result<()> {
    let CampaignRun { plan, settings, .. } = campaign;
    fs::write_atomically(&plan.output.join(FROZEN_CONFIG), settings.config.as_bytes())?;
    plan.save(&plan.output.join(FROZEN_PLAN))
}

/// The record of a measurement set of which nothing was done yet.
pub(crate) fn fresh(plan: &Plan, set: &TargetPlan) -> DatasetRecord {
    DatasetRecord {
        name: set.name.clone(),
        sources: set.paths(),
        folder: plan.layout_of(set).root().to_path_buf(),
        planned_rounds: plan.rounds_to_run().len(),
        ..DatasetRecord::default()
    }
}

/// Writes the record and the report.
pub(crate) fn show(campaign: CampaignRun<'_>, mut record: CampaignRecord) -> Result<()> {
    let CampaignRun { plan, settings, .. } = campaign;
    record.updated = Some(jiff::Timestamp::now());
    record.save(&plan.output)?;
    settings.report.map_or(Ok(()), |report| report.write(&record, &plan.output))
}

/// The record at the start of a run: measurement sets that this run leaves alone keep what is recorded of them.
pub(crate) fn open_record(campaign: CampaignRun<'_>) -> Result<CampaignRecord> {
    let CampaignRun { plan, settings, .. } = campaign;
    let earlier = CampaignRecord::load_earlier(&plan.output)?;
    if let Some(earlier) = earlier.as_ref().filter(|e| e.name != plan.name) {
        return Err(Error::bad_input(format!(
            "{}: this folder belongs to the campaign `{}`, not to `{}`. Give another output, or put the old one aside \
             with --restart",
            plan.output.display(),
            earlier.name,
            plan.name
        )));
    }
    let one = plan.targets.len() == 1;
    if earlier.as_ref().is_some_and(|e| (e.datasets.len() == 1) != one) {
        return Err(Error::bad_input(format!(
            "{}: the campaign in this folder imaged {} target(s), now there are {} (a target is what is imaged together: \
             `campaign: together`). Give another output, or put the old one aside with --restart",
            plan.output.display(),
            earlier.map_or(0, |e| e.datasets.len()),
            plan.targets.len()
        )));
    }
    let mut record = CampaignRecord::new(&plan.name);
    record.started = earlier.as_ref().and_then(|e| e.started).or_else(|| Some(jiff::Timestamp::now()));
    record.config.clone_from(&settings.config);
    record.config_path = Some(plan.campaign_file.clone());
    record.command_line.clone_from(&settings.command_line);
    record.state = State::Running;
    record.final_images = earlier.as_ref().map(|e| e.final_images.clone()).unwrap_or_default();
    record.final_images.retain(|made| plan.final_imaging.iter().any(|planned| planned.name == made.name));
    let mut earlier = earlier.map(|e| e.datasets).unwrap_or_default();
    earlier.retain(|dataset| !settings.selection.has(&dataset.name));
    let kept = |set: &TargetPlan| earlier.iter().find(|dataset| dataset.name == set.name).cloned();
    record.datasets = plan.targets.iter().map(|set| kept(set).unwrap_or_else(|| fresh(plan, set))).collect();
    record.messages = plan
        .warnings
        .iter()
        .map(|text| MessageRecord { at: record.started, level: Level::Warning, text: text.clone() })
        .collect();
    Ok(record)
}

pub(crate) fn note_tools(record: &mut CampaignRecord, tools: &[ToolVersion]) {
    for tool in tools {
        if !record.tools.contains(tool) {
            record.tools.push(tool.clone());
        }
    }
}

/// The hash of each round's options, as the journals keep them.
pub(crate) fn plan_hashes(plan: &Plan) -> indexmap::IndexMap<String, String> {
    let rounds = plan.rounds_to_run().iter().map(|r| (format!("round {}", r.round), r.hash()));
    rounds.chain([("acceptance".to_string(), plan::hash(&plan.acceptance))]).collect()
}
