//! Solving for gains, and judging the tables before they are applied.

use super::DatasetRun;
use super::judge::metrics_of_tables;
use super::kept::{ActiveCalibration, Applied, Attempted};
use super::step::StepSpec;
use crate::campaign::journal::{Step, StepId, StepKey};
use crate::campaign::layout::AttemptId;
use crate::campaign::record::Level;
use crate::campaign::rules::acceptance::{Decision, RoundMetrics, judge_solutions};
use crate::campaign::steps::{AttemptPlan, CalibrationStep, Prepared, Solved};
use crate::quality::solutions::{IdentityGainAntenna, SolutionStats};
use crate::util::fs;
use crate::{Error, Result};
use std::path::Path;

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
        let key = step.key(self.data_key(), &self.model_key(base));
        let solved = self.solve(data, plan.id, step, &key, base)?;
        let tables = metrics_of_tables(plan, Some(solved.stats.clone()));
        if let Some(decision) = judge_solutions(&self.history, &tables, &self.settings.acceptance) {
            return Ok(Calibrated::Refused(decision, Box::new(tables)));
        }
        let applied = Applied {
            key: StepKey::of(&("apply", self.data_key(), &key)),
            attempt: plan.id,
            step: step.clone(),
            tables: solved.tables,
        };
        let active = ActiveCalibration { column: "CORRECTED_DATA", applied: Some(applied) };
        Ok(Calibrated::Done { active: Box::new(active), stats: Some(solved.stats) })
    }

    fn solve(
        &mut self,
        data: &Prepared,
        attempt: AttemptId,
        step: &CalibrationStep,
        key: &StepKey,
        base: &Attempted,
    ) -> Result<Solved> {
        let id = StepId::of(attempt, Step::Solve);
        let context = self.context(data, id, "calibration", "solve.log")?;
        let spec = StepSpec { id, key: key.clone(), touches: &[] };
        let tables_exist = |s: &Solved| s.tables.iter().all(|t| t.path.exists());
        let solved = self.step(spec, tables_exist, |run| {
            run.ensure_model_to_solve(data, base)?;
            // Tables of an unfinished solve would be appended to.
            fs::remove(&context.folder)?;
            fs::make(&context.folder)?;
            run.backend.solve(step, &base.active.tables(), &context)
        })?;
        self.note_commands(Step::Solve, &solved.commands, &context.log);
        for IdentityGainAntenna { name, term, why } in &solved.stats.identity_gains {
            let of_term = if term.is_empty() { String::new() } else { format!(" in `{term}`") };
            let text = format!("round {}: antenna {name} gets identity gains{of_term}: {why}", attempt.round);
            self.note(Level::Warning, text);
        }
        self.record_solutions(&context.folder, &solved.stats)?;
        self.current().tables.clone_from(&solved.tables);
        Ok(solved)
    }

    fn record_solutions(&mut self, folder: &Path, stats: &SolutionStats) -> Result<()> {
        let mut stats = stats.clone();
        if self.settings.series_apart {
            let file = folder.join("solutions.json");
            fs::write_atomically(&file, &serde_json::to_vec(&stats).expect("statistics are plain data"))?;
            stats.antennas.iter_mut().for_each(|a| a.series.clear());
            self.current().solutions_file = Some(file);
        }
        self.current().solutions = Some(stats);
        Ok(())
    }
}
