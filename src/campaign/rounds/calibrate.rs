//! The calibration of an attempt: its tables are judged before they are applied.

use super::DatasetRun;
use super::judge::metrics_of_tables;
use super::kept::{ActiveCalibration, Applied, AppliedTables, Attempted};
use super::solve::SolvedSet;
use crate::campaign::journal::StepKey;
use crate::campaign::record::{Level, MemberRecord};
use crate::campaign::rules::acceptance::{Decision, RoundMetrics, judge_solutions};
use crate::campaign::steps::{AttemptPlan, Prepared};
use crate::quality::solutions::SolutionStats;
use crate::{Error, Result};

/// The end of a calibration.
pub(super) enum Calibrated {
    /// There is something to image.
    Done { active: Box<ActiveCalibration>, stats: Option<SolutionStats> },
    /// The tables were refused before they were applied.
    Refused(Decision, Box<RoundMetrics>),
}

impl DatasetRun<'_> {
    /// Solves against the model of `base`, and judges the tables.
    pub(super) fn calibrate(
        &mut self,
        data: &Prepared,
        plan: &AttemptPlan,
        base: Option<&Attempted>,
    ) -> Result<Calibrated> {
        let Some(step) = &plan.calibration else {
            // Without a solve of its own the round images what the last accepted one imaged.
            let active =
                base.map_or(ActiveCalibration { column: data.column.name(), applied: None }, |b| b.active.clone());
            return Ok(Calibrated::Done { active: Box::new(active), stats: None });
        };
        let Some(base) = base else {
            return Err(Error::bad_input(format!(
                "round {}: there is no accepted image to calibrate against; round 0 must image before any calibration",
                plan.id.round
            )));
        };
        let solved = self.solve_all(data, plan.id, step, base)?;
        let weak = self.weak_sets(plan, &solved);
        let stats = self.record_solutions(data, &solved, &weak);
        let tables = metrics_of_tables(plan, Some(stats.clone()));
        if let Some(decision) = judge_solutions(&self.history, &tables, &self.settings.acceptance) {
            return Ok(Calibrated::Refused(decision, Box::new(tables)));
        }
        let members = solved.into_iter().zip(weak).enumerate().map(|(member, (set, weak))| {
            let tables = if weak.is_none() { set.solved.tables } else { Vec::new() };
            let what = if weak.is_none() { "apply" } else { "leave as is" };
            AppliedTables { key: StepKey::of(&(what, self.member_data_key(data, member), &set.key)), tables }
        });
        let applied = Applied::new(plan.id, step.clone(), members.collect());
        let active = ActiveCalibration { column: "CORRECTED_DATA", applied: Some(applied) };
        Ok(Calibrated::Done { active: Box::new(active), stats: Some(stats) })
    }

    /// The measurement sets whose own tables would be refused, with the reason: they keep their data as they are, and do
    /// not spoil the others. None where that would be all of them: their tables are judged, and refused, together.
    fn weak_sets(&self, plan: &AttemptPlan, solved: &[SolvedSet]) -> Vec<Option<String>> {
        let refused = |set: &SolvedSet| {
            let metrics = metrics_of_tables(plan, Some(set.solved.stats.clone()));
            judge_solutions(&self.history, &metrics, &self.settings.acceptance).map(|decision| decision.summary())
        };
        let mut weak: Vec<Option<String>> = solved.iter().map(refused).collect();
        if weak.iter().all(Option::is_some) {
            weak.iter_mut().for_each(|set| *set = None);
        }
        weak
    }

    /// Puts the statistics together, and writes down those of each measurement set.
    fn record_solutions(&mut self, data: &Prepared, solved: &[SolvedSet], weak: &[Option<String>]) -> SolutionStats {
        if let [only] = solved {
            let stats = only.solved.stats.clone();
            let record = self.current();
            record.solutions = Some(shown(&stats, only.file.is_some()));
            record.solutions_file.clone_from(&only.file);
            record.tables.clone_from(&only.solved.tables);
            return stats;
        }
        let mut members = Vec::new();
        let mut good = Vec::new();
        for ((set, of), why) in data.sets.iter().zip(solved).zip(weak) {
            match why {
                Some(why) => {
                    let text =
                        format!("{}: its data stay as they are, and do not count in the judgement: {why}", set.name);
                    self.note(Level::Warning, format!("round {}: {text}", self.place.at.round));
                }
                None => good.push((set.name.as_str(), &of.solved.stats)),
            }
            members.push(MemberRecord {
                name: set.name.clone(),
                solutions: Some(shown(&of.solved.stats, of.file.is_some())),
                solutions_file: of.file.clone(),
                tables: if why.is_none() { of.solved.tables.clone() } else { Vec::new() },
                left_as_is: why.clone(),
            });
        }
        let stats = SolutionStats::of_sets(&good);
        let record = self.current();
        record.tables = members.iter().flat_map(|member| member.tables.clone()).collect();
        record.solutions = Some(shown(&stats, true));
        record.members = members;
        stats
    }
}

/// Statistics for the record, with or without the series for plots.
fn shown(stats: &SolutionStats, without_series: bool) -> SolutionStats {
    let mut stats = stats.clone();
    if without_series {
        stats.antennas.iter_mut().for_each(|antenna| antenna.series.clear());
    }
    stats
}
