//! Solving for gains, one measurement set after the other.

use super::DatasetRun;
use super::kept::Attempted;
use super::step::StepSpec;
use crate::Result;
use crate::campaign::journal::{Step, StepId, StepKey};
use crate::campaign::layout::{AttemptId, part_of_member};
use crate::campaign::record::Level;
use crate::campaign::steps::{CalibrationStep, Prepared, Solved};
use crate::quality::solutions::{IdentityGainAntenna, SolutionStats};
use crate::util::fs;
use std::path::Path;

/// Solutions of one measurement set.
pub(super) struct SolvedSet {
    pub(super) key: StepKey,
    pub(super) solved: Solved,
    /// JSON file of the statistics, where the record leaves their series out.
    pub(super) file: Option<std::path::PathBuf>,
}

impl DatasetRun<'_> {
    /// Solves for the gains of every measurement set against the model that `base` is followed by.
    pub(super) fn solve_all(
        &mut self,
        data: &Prepared,
        attempt: AttemptId,
        step: &CalibrationStep,
        base: &Attempted,
    ) -> Result<Vec<SolvedSet>> {
        (0..data.sets.len()).map(|member| self.solve(data, (attempt, member), step, base)).collect()
    }

    fn solve(
        &mut self,
        data: &Prepared,
        (attempt, member): (AttemptId, usize),
        step: &CalibrationStep,
        base: &Attempted,
    ) -> Result<SolvedSet> {
        let id = StepId::of(attempt, Step::Solve).member(member);
        let key = step.key(self.member_data_key(data, member).as_ref(), &self.model_key(base));
        let part = part_of_member("calibration", data.member_name(member));
        let context = self.context(data, id, &part, &data.log_name("solve", member))?;
        let spec = StepSpec { id, key: key.clone(), touches: &[] };
        let tables_exist = |s: &Solved| s.tables.iter().all(|t| t.path.exists());
        let solved = self.step(spec, tables_exist, |run| {
            run.ensure_model_to_solve(data, base)?;
            // Tables of an unfinished solve would be appended to.
            fs::remove(&context.folder)?;
            fs::make(&context.folder)?;
            run.backend.solve(member, step, base.active.tables(member), &context)
        })?;
        self.note_commands(Step::Solve, &solved.commands, &context.log);
        let of_set = data.member_name(member).map_or_else(String::new, |name| format!("{name}: "));
        for IdentityGainAntenna { name, term, why } in &solved.stats.identity_gains {
            let of_term = if term.is_empty() { String::new() } else { format!(" in `{term}`") };
            let text = format!("round {}: {of_set}antenna {name} gets identity gains{of_term}: {why}", attempt.round);
            self.note(Level::Warning, text);
        }
        let file = self.keep_series(&context.folder, &solved.stats)?;
        Ok(SolvedSet { key, solved, file })
    }

    /// Writes the statistics into a file of their own, where the record leaves their series out.
    fn keep_series(&self, folder: &Path, stats: &SolutionStats) -> Result<Option<std::path::PathBuf>> {
        if !self.settings.series_apart {
            return Ok(None);
        }
        let file = folder.join("solutions.json");
        fs::write_atomically(&file, &serde_json::to_vec(stats).expect("statistics are plain data"))?;
        Ok(Some(file))
    }
}
