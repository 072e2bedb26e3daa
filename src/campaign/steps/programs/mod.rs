//! The real backend: imagers, calibrators and masks made from a resolved plan.
//!
//! Each step has a file: `prepare`, `proposal` (with `intervals` and `relaxation`), `calibration`,
//! `facets`, `imaging`; masks are in [`super::masks`].

mod calibration;
mod centres;
mod facets;
mod facts;
mod groups;
mod imaging;
mod intervals;
mod observed;
mod prepare;
mod proposal;
mod relaxation;
mod side_by_side;
mod start;
mod working_sets;

use super::masks;
use super::onto::Applier;
use super::{
    Backend, CalibrationStep, FacetInputs, FacetStep, GivenMask, Imaged, ImagedData, ImagingStep, MaskStep, Past,
    Prepared, PreparedSet, Proposal, SolveJob, Solved, StartChains, StepContext,
};
use crate::Result;
use crate::calibrator::SolutionTable;
use crate::calibrator::facets::FacetSolution;
use crate::campaign::file::{Executables, StartModel, WorkOn};
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::Share;
use crate::campaign::plan::containers::Mounts;
use crate::campaign::plan::share::mpi_processes;
use crate::campaign::plan::{self, MeasurementSetPlan, Plan, RoundPlan, TargetPlan};
use crate::campaign::record::{MaskRecord, MemberSolutions};
use crate::campaign::rules::acceptance::Relaxation;
use crate::imager::command::fill_group;
use crate::imager::{FacetFiles, Products};
use crate::measurement_set;
use crate::process::Limits;
use crate::programs::casa::Casa;
use crate::util::digest;
use intervals::Intervals;
use start::Started;
use std::path::{Path, PathBuf};

/// Programs of one target.
pub(crate) struct Programs<'p> {
    plan: &'p Plan,
    /// Those of the plan, with their bind mounts.
    executables: Executables,
    target: TargetPlan,
    share: Share,
    casa: Option<Casa>,
    /// Workers for solves at the same time, beside the first.
    more_casa: Vec<Casa>,
    /// Its measurement sets, once they are prepared.
    sets: Vec<PreparedSet>,
    intervals: Intervals,
    started: Option<Started>,
}

impl<'p> Programs<'p> {
    /// Programs of `target`, which may use `share` of the machine.
    pub(crate) fn new(plan: &'p Plan, target: &TargetPlan, share: Share) -> Self {
        let mounts = Mounts::of(plan, target);
        let mut executables = mounts.put_into_all(&plan.executables);
        if let Some(channels) = &target.channels {
            fill_group(&mut executables.imager, &channels.group);
        }
        Self {
            plan,
            executables,
            target: target.clone(),
            share,
            casa: None,
            more_casa: Vec::new(),
            sets: Vec::new(),
            intervals: Intervals::default(),
            started: None,
        }
    }

    fn round(&self, round: usize) -> &RoundPlan {
        &self.plan.rounds[round.min(self.plan.rounds.len() - 1)]
    }

    /// The CASA worker, started when it is first needed.
    ///
    /// # Errors
    /// CASA is not set up.
    pub(crate) fn casa(&mut self) -> Result<Casa> {
        if self.casa.is_none() {
            let processes = mpi_processes(self.plan, self.share);
            let casa = Casa::open_with(&self.executables.casa, processes, None)?;
            casa.set_threads(if processes.is_some() { 1 } else { self.share.threads });
            casa.set_limits(self.limits(self.plan.resources.calibrator_time_limit.as_ref().map(|l| l.0)));
            self.casa = Some(casa);
        }
        Ok(self.casa.clone().expect("just opened"))
    }

    /// Solutions by direction that belong to the data of a final imaging; none where its imager takes none.
    fn given_facets(&self, step: &ImagingStep) -> Option<FacetFiles> {
        let of = self.plan.final_of.as_ref().filter(|_| step.imager.takes_facets())?;
        let target = self.target.channels.as_ref().map_or(&self.target.name, |channels| &channels.target);
        of.facets.get(target).filter(|_| step.imager.cube_channels().is_none()).cloned()
    }

    fn limits(&self, time: Option<std::time::Duration>) -> Limits {
        let silence = self.plan.resources.stall_limit.as_ref().map(|l| l.0);
        Limits { time, silence, ..Limits::default() }
    }
}

impl Backend for Programs<'_> {
    fn data_identity(&mut self) -> Result<String> {
        let (plan, whole) = (self.plan, self.plan.work_on == WorkOn::Copy);
        let identity = |set: &MeasurementSetPlan| {
            let identity = measurement_set::identity(&set.path, whole)?;
            // Of the data as they are it is that of the files alone.
            let part = plan.selects(set).then(|| plan::hash(&(&identity, &set.field, &plan.spw, &plan.average)));
            Ok(part.unwrap_or(identity))
        };
        let mut identities = self.target.members.iter().map(identity).collect::<Result<Vec<String>>>()?;
        Ok(if self.target.is_joint() { digest::of_value(&identities) } else { identities.swap_remove(0) })
    }

    fn prepare(&mut self, context: &StepContext) -> Result<Prepared> {
        if self.target.channels.is_some() {
            return self.prepare_group(context);
        }
        if self.plan.reads_data() { self.prepare_read(context) } else { self.prepare_unread(context) }
    }

    fn prepared(&mut self, prepared: &Prepared) {
        self.sets.clone_from(&prepared.sets);
    }

    fn last_round(&self) -> usize {
        self.plan.only_round.unwrap_or(self.plan.rounds.len() - 1)
    }

    fn propose(&mut self, id: AttemptId, changes: &[Relaxation], past: &Past<'_>) -> Result<Proposal> {
        self.proposal(id, changes, past)
    }

    fn solve(
        &mut self,
        member: usize,
        step: &CalibrationStep,
        earlier: &[SolutionTable],
        context: &StepContext,
    ) -> Result<Solved> {
        self.solve_gains(member, &step.options, earlier, context)
    }

    fn solves_at_once(&self) -> usize {
        self.share.threads
    }

    fn solve_several(&mut self, jobs: &[SolveJob<'_>]) -> Vec<Result<Solved>> {
        self.solve_at_once(jobs)
    }

    fn apply(
        &mut self,
        member: usize,
        step: &CalibrationStep,
        tables: &[SolutionTable],
        context: &StepContext,
    ) -> Result<()> {
        self.calibrator(&step.options)?.apply(&context.measurement_sets[member], tables, &context.log)
    }

    fn mask(
        &mut self,
        step: &MaskStep,
        source: &Products,
        previous: Option<&MaskRecord>,
        context: &StepContext,
    ) -> Result<MaskRecord> {
        let MaskStep { mask, caution, field } = step;
        match field {
            Some(field) => masks::from_field(mask, *caution, field, source, previous, &context.folder),
            None => masks::from_image(mask, *caution, source, previous, &context.folder),
        }
    }

    fn solve_facets(
        &mut self,
        step: &FacetStep,
        column: &str,
        source: (&Products, Option<&Path>),
        context: &StepContext,
    ) -> Result<FacetSolution> {
        self.solve_by_direction(step, column, source, context)
    }

    fn image(
        &mut self,
        step: &ImagingStep,
        data: &ImagedData<'_>,
        mask: Option<&GivenMask>,
        context: &StepContext,
    ) -> Result<Imaged> {
        let given = self.given_facets(step);
        let given = given.as_ref().map(|files| FacetInputs { files, directions: &[], judged: None, images: 1 });
        let data = &ImagedData { facets: data.facets.or(given), ..*data };
        match &data.facets {
            Some(facets) => self.image_with_facets(step, (data, facets), mask.map(|mask| mask.path.as_path()), context),
            None => self.make_image(step, data.column, mask, context),
        }
    }

    fn predict(
        &mut self,
        step: &ImagingStep,
        data: &ImagedData<'_>,
        model: &Path,
        context: &StepContext,
    ) -> Result<()> {
        self.predict_with(step, (data.column, data.facets.as_ref().map(|facets| facets.files)), model, context)
    }

    fn start_chains(&mut self, id: AttemptId) -> StartChains {
        self.chains_to_start(id)
    }

    fn start_model(&mut self, source: &StartModel, like: &Products, context: &StepContext) -> Result<PathBuf> {
        self.make_start_model(source, like, context)
    }

    fn start_with(&mut self, id: AttemptId, step: &CalibrationStep, why: &str) {
        self.note_start(id, step, why);
    }

    fn apply_to(
        &mut self,
        solutions: &MemberSolutions,
        root: &Path,
        to: &Path,
        context: &StepContext,
    ) -> Result<Vec<String>> {
        let casa = self.casa()?;
        let mut calibrator = self.calibrator(&solutions.calibration)?;
        Applier { casa: &casa, calibrator: calibrator.as_mut(), root, log: &context.log }.apply(solutions, to)
    }

    fn apply_line(&mut self, step: &CalibrationStep, tables: &[SolutionTable]) -> Option<String> {
        self.calibrator(&step.options).ok()?.apply_line(tables)
    }
}
