//! The calibration of an attempt: its tables are judged before they are applied.

mod facets;
mod solve;
mod weak_sets;

use super::DatasetRun;
use super::judge::metrics_of_tables;
use super::kept::{ActiveCalibration, Applied, AppliedTables, Attempted};
use crate::campaign::journal::StepKey;
use crate::campaign::record::{Level, MemberRecord, TermRecord};
use crate::campaign::rules::acceptance::{Decision, RoundMetrics, judge_solutions};
use crate::campaign::steps::{AttemptPlan, CalibrationStep, Prepared, PreparedSet};
use crate::quality::solutions::SolutionStats;
use crate::{Error, Result};
use solve::SolvedSet;

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
            let active = base.map_or_else(|| ActiveCalibration::none(data.column.name()), |b| b.active.clone());
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
        let stats = self.together(data, &solved, &weak);
        let members: Vec<AppliedTables> =
            (0..solved.len()).map(|member| self.applied(data, (step, member), (&solved, &weak), base)).collect();
        self.record_solutions(data, (&solved, &weak), (step, &members), &stats);
        let tables = metrics_of_tables(plan, Some(stats.clone()));
        if let Some(decision) = judge_solutions(&self.history, &tables, &self.settings.acceptance) {
            return Ok(Calibrated::Refused(decision, Box::new(tables)));
        }
        let weak = (0..weak.len()).filter(|member| weak[*member].is_some()).collect();
        let applied = Applied { weak, ..Applied::new(plan.id, members) };
        let active = ActiveCalibration { applied: Some(applied), ..ActiveCalibration::none("CORRECTED_DATA") };
        Ok(Calibrated::Done { active: Box::new(active), stats: Some(stats) })
    }

    /// The measurement sets whose own tables would be refused, with the reason: they do not spoil the others. None where
    /// that would be all of them: their tables are judged, and refused, together.
    fn weak_sets(&self, plan: &AttemptPlan, solved: &[SolvedSet]) -> Vec<Option<String>> {
        let refused = |set: &SolvedSet| {
            let metrics = metrics_of_tables(plan, Some(set.solved.stats.clone()));
            let decision = judge_solutions(&self.history, &metrics, &self.settings.acceptance)?;
            let failed = decision.reasons.iter().filter(|reason| !reason.passed);
            Some(failed.map(|reason| reason.words.as_str()).collect::<Vec<_>>().join("; "))
        };
        let mut weak: Vec<Option<String>> = solved.iter().map(refused).collect();
        if weak.iter().all(Option::is_some) {
            weak.iter_mut().for_each(|set| *set = None);
        }
        weak
    }

    /// The statistics of the measurement sets that count.
    fn together(&self, data: &Prepared, solved: &[SolvedSet], weak: &[Option<String>]) -> SolutionStats {
        let counted = data.sets.iter().zip(solved).zip(weak).filter(|(_, weak)| weak.is_none());
        let named = counted.map(|((set, of), _)| (set.name.as_str(), &of.solved.stats));
        SolutionStats::of_sets(&named.collect::<Vec<_>>())
    }

    /// What is applied to a measurement set: its new tables; where they are too weak, those of the last accepted round, or
    /// none.
    fn applied(
        &self,
        data: &Prepared,
        (step, member): (&CalibrationStep, usize),
        (solved, weak): (&[SolvedSet], &[Option<String>]),
        base: &Attempted,
    ) -> AppliedTables {
        let of_data = self.member_data_key(data, member);
        match (&weak[member], base.active.member(member)) {
            (None, _) => AppliedTables {
                key: StepKey::of(&("apply", of_data, &solved[member].key)),
                step: step.of_set(member),
                tables: solved[member].solved.tables.clone(),
            },
            (Some(_), Some(earlier)) => earlier.clone(),
            (Some(_), None) => AppliedTables {
                key: StepKey::of(&("as it is", of_data)),
                step: step.of_set(member),
                tables: Vec::new(),
            },
        }
    }

    /// Writes down the statistics, together and of each measurement set.
    fn record_solutions(
        &mut self,
        data: &Prepared,
        (solved, weak): (&[SolvedSet], &[Option<String>]),
        (step, applied): (&CalibrationStep, &[AppliedTables]),
        stats: &SolutionStats,
    ) {
        let round = self.place.at.round;
        let record = self.current();
        record.tables = applied.iter().flat_map(|member| member.tables.clone()).collect();
        if let [only] = solved {
            record.solutions = Some(shown(stats, only.file.is_some()));
            record.solutions_file.clone_from(&only.file);
            return;
        }
        record.solutions = Some(stats.clone());
        let member = |((set, of), (weak, applied)): ((&PreparedSet, &SolvedSet), (&Option<String>, &AppliedTables))| {
            MemberRecord {
                name: set.name.clone(),
                solutions: Some(shown(&of.solved.stats, of.file.is_some())),
                solutions_file: of.file.clone(),
                tables: applied.tables.clone(),
                chain: Vec::new(),
                weak: weak.clone(),
                left_out: false,
            }
        };
        let members = data.sets.iter().zip(solved).zip(weak.iter().zip(applied)).map(member);
        record.members = members.collect();
        for (member, chain) in record.members.iter_mut().zip(&step.chains) {
            if *chain != step.options.chain {
                member.chain = TermRecord::of_chain(chain);
            }
        }
        for ((set, weak), applied) in data.sets.iter().zip(weak).zip(applied) {
            let Some(why) = weak else { continue };
            let kept =
                if applied.tables.is_empty() { "its data stay as they are" } else { "it keeps its earlier tables" };
            let text =
                format!("round {round}: the solutions of {} are too weak and do not count: {why}; {kept}", set.name);
            self.note(Level::Warning, text);
        }
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
