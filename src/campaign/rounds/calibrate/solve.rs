//! Solving for gains, of several measurement sets at the same time.

use crate::Result;
use crate::campaign::events::Event;
use crate::campaign::journal::{JournalEvent, Step, StepId, StepKey};
use crate::campaign::layout::{AttemptId, part_of_member};
use crate::campaign::record::Level;
use crate::campaign::rounds::DatasetRun;
use crate::campaign::rounds::kept::Attempted;
use crate::campaign::rounds::step::StepSpec;
use crate::campaign::steps::{CalibrationStep, Prepared, SolveJob, Solved, StepContext};
use crate::process::interrupt;
use crate::quality::solutions::{IdentityGainAntenna, SolutionStats};
use crate::util::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Solutions of one measurement set.
pub(in crate::campaign::rounds) struct SolvedSet {
    pub(in crate::campaign::rounds) key: StepKey,
    pub(in crate::campaign::rounds) solved: Solved,
    /// JSON file of the statistics, where the record leaves their series out.
    pub(in crate::campaign::rounds) file: Option<PathBuf>,
}

/// A solve that is to be done, unless it is.
struct MemberSolve {
    member: usize,
    id: StepId,
    key: StepKey,
    context: StepContext,
    /// The options of this measurement set.
    step: CalibrationStep,
}

impl DatasetRun<'_> {
    /// Solves for the gains of every measurement set against the model that `base` is followed by.
    pub(in crate::campaign::rounds) fn solve_all(
        &mut self,
        data: &Prepared,
        attempt: AttemptId,
        step: &CalibrationStep,
        base: &Attempted,
    ) -> Result<Vec<SolvedSet>> {
        let solves = (0..data.sets.len()).map(|member| self.member_solve(data, (attempt, member), step, base));
        let solves = solves.collect::<Result<Vec<MemberSolve>>>()?;
        self.solve_several(data, base, &solves)?;
        solves.into_iter().map(|solve| self.solve(data, solve, base)).collect()
    }

    fn member_solve(
        &self,
        data: &Prepared,
        (attempt, member): (AttemptId, usize),
        step: &CalibrationStep,
        base: &Attempted,
    ) -> Result<MemberSolve> {
        let id = StepId::of(attempt, Step::Solve).member(member);
        let step = step.of_set(member);
        let key = step.key(self.member_data_key(data, member).as_ref(), &self.model_key(base));
        let part = part_of_member("calibration", data.member_name(member));
        let context = self.context(data, id, &part, &data.log_name("solve", member))?;
        Ok(MemberSolve { member, id, key, context, step })
    }

    /// Does those of several solves that are not done, as many at the same time as there are processors for.
    fn solve_several(&mut self, data: &Prepared, base: &Attempted, solves: &[MemberSolve]) -> Result<()> {
        let at_once = self.backend.solves_at_once();
        let open = |solve: &&MemberSolve| self.finished::<Solved>(solve.id, &solve.key, tables_exist).is_none();
        let open: Vec<&MemberSolve> = solves.iter().filter(open).collect();
        if at_once < 2 || open.len() < 2 {
            return Ok(());
        }
        self.ensure_model_to_solve(data, base)?;
        open.chunks(at_once).try_for_each(|some| self.solve_at_once(base, some))
    }

    /// Does some solves at the same time; each is a step of its own.
    fn solve_at_once(&mut self, base: &Attempted, some: &[&MemberSolve]) -> Result<()> {
        interrupt::check()?;
        for MemberSolve { id, key, context, .. } in some {
            self.journal.append(JournalEvent::Started { step: *id, key: key.clone(), touches: Vec::new() })?;
            // Tables of an unfinished solve would be appended to.
            fs::remove(&context.folder)?;
            fs::make(&context.folder)?;
        }
        let job = |MemberSolve { member, context, step, .. }: &&MemberSolve| SolveJob {
            member: *member,
            step: step.clone(),
            earlier: base.active.tables(*member),
            context: context.clone(),
        };
        let jobs: Vec<SolveJob<'_>> = some.iter().map(job).collect();
        let (clock, place) = (Instant::now(), self.place.clone());
        self.events.emit(Event::StepStarted { place, step: Step::Solve, expected_s: None });
        let results = self.backend.solve_several(&jobs);
        let seconds = clock.elapsed().as_secs_f64();
        let mut failed = None;
        for (MemberSolve { id, key, .. }, result) in some.iter().zip(results) {
            let event = match result {
                Ok(solved) => {
                    let result = serde_json::to_value(solved).expect("results are plain data");
                    JournalEvent::Done { step: *id, key: key.clone(), touches: Vec::new(), seconds, result }
                }
                Err(error) => {
                    let words = error.to_string();
                    failed = failed.or(Some(error));
                    JournalEvent::Failed { step: *id, error: words }
                }
            };
            self.journal.append(event)?;
        }
        failed.map_or(Ok(()), Err)
    }

    fn solve(
        &mut self,
        data: &Prepared,
        MemberSolve { member, id, key, context, step }: MemberSolve,
        base: &Attempted,
    ) -> Result<SolvedSet> {
        let spec = StepSpec { id, key: key.clone(), touches: &[] };
        let solved = self.step(spec, tables_exist, |run| {
            run.ensure_model_to_solve(data, base)?;
            // Tables of an unfinished solve would be appended to.
            fs::remove(&context.folder)?;
            fs::make(&context.folder)?;
            run.backend.solve(member, &step, base.active.tables(member), &context)
        })?;
        self.note_commands(Step::Solve, &solved.commands, &context.log);
        let of_set = data.member_name(member).map_or_else(String::new, |name| format!("{name}: "));
        let round = self.place.at.round;
        for IdentityGainAntenna { name, term, why } in &solved.stats.identity_gains {
            let of_term = if term.is_empty() { String::new() } else { format!(" in `{term}`") };
            let text = format!("round {round}: {of_set}antenna {name} gets identity gains{of_term}: {why}");
            self.note(Level::Warning, text);
        }
        let file = self.keep_series(&context.folder, &solved.stats)?;
        Ok(SolvedSet { key, solved, file })
    }

    /// Writes the statistics into a file of their own, where the record leaves their series out.
    fn keep_series(&self, folder: &Path, stats: &SolutionStats) -> Result<Option<PathBuf>> {
        if !self.settings.series_apart {
            return Ok(None);
        }
        let file = folder.join("solutions.json");
        fs::write_atomically(&file, &serde_json::to_vec(stats).expect("statistics are plain data"))?;
        Ok(Some(file))
    }
}

fn tables_exist(solved: &Solved) -> bool {
    solved.tables.iter().all(|table| table.path.exists())
}
