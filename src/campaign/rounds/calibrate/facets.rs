//! Solving by direction, on top of the last accepted tables.

use crate::Result;
use crate::calibrator::facets::FacetSolution;
use crate::campaign::journal::{Step, StepId};
use crate::campaign::record::{DirectionFault, FacetRecord, Level};
use crate::campaign::rounds::DatasetRun;
use crate::campaign::rounds::kept::{ActiveCalibration, ActiveFacets, Attempted};
use crate::campaign::rounds::step::StepSpec;
use crate::campaign::rules::acceptance::{Decision, without_directions};
use crate::campaign::steps::{AttemptPlan, GivenMask, Imaged, Prepared, StepContext};
use crate::util::fs;

impl DatasetRun<'_> {
    /// Solves by direction where the plan says so; the inner error is the refusal of data without enough directions.
    pub(in crate::campaign::rounds) fn solve_facets(
        &mut self,
        data: &Prepared,
        plan: &AttemptPlan,
        base: Option<&Attempted>,
        active: ActiveCalibration,
    ) -> Result<std::result::Result<ActiveCalibration, Box<Decision>>> {
        let Some((step, base)) = plan.facets.as_ref().zip(base) else { return Ok(Ok(active)) };
        let key = step.key((active.column, active.key()), &base.image_key, base.mask_key.as_ref());
        let id = StepId::of(plan.id, Step::Facets);
        let context = self.context(data, id, "facets", "facets.log")?;
        let context = StepContext { measurement_sets: active.imaged_sets(data), ..context };
        let spec = StepSpec { id, key: key.clone(), touches: &[] };
        let solution = self.step(spec, FacetSolution::is_there, |run| {
            run.ensure_files(data, base)?;
            run.ensure_corrected(data, &active)?;
            fs::remove(&context.folder)?;
            fs::make(&context.folder)?;
            let source = (&base.imaged.products, base.mask.as_ref().map(|mask| mask.path.as_path()));
            run.backend.solve_facets(step, active.column, source, &context)
        })?;
        self.note_commands(Step::Facets, &solution.commands, &context.log);
        if let Some(why) = &solution.refused {
            return Ok(Err(Box::new(without_directions(why))));
        }
        let (solint, calmode) = (&step.options.intervals(), step.options.calmode);
        let record = self.current();
        record.facets = Some(FacetRecord::of(&solution, solint, calmode));
        (record.solint, record.calmode) = (Some(solint.clone()), Some(calmode));
        let facets = Some(ActiveFacets { key, solution });
        Ok(Ok(ActiveCalibration { facets, ..active }))
    }

    /// Takes over what became of the directions: the solutions that the image was made with, and its mask, with which it
    /// would be made again.
    pub(in crate::campaign::rounds) fn take_over_facets(
        &mut self,
        active: &mut ActiveCalibration,
        imaged: &Imaged,
        given_mask: Option<GivenMask>,
    ) -> Option<GivenMask> {
        let Some((facets, outcome)) = active.facets.as_mut().zip(imaged.facets.as_ref()) else { return given_mask };
        facets.solution.files.clone_from(&outcome.files);
        let names = facets.solution.directions.iter().map(|direction| direction.name.as_str());
        let worse = names.zip(&outcome.judged).filter(|(_, judged)| judged.put_back);
        let why = worse.map(|(name, judged)| match judged.fault {
            Some(DirectionFault::Negative) => format!("the deepest negative around {name} is deeper"),
            _ => format!("the noise around {name} rose"),
        });
        let why: Vec<String> = why.collect();
        let text = (!why.is_empty()).then(|| {
            let round = self.place.at.round;
            format!("round {round}: {}: back to the earlier solutions there", why.join(", "))
        });
        if let Some(record) = &mut self.current().facets {
            record.files.clone_from(&outcome.files);
            record.judged.clone_from(&outcome.judged);
            record.images.clone_from(&outcome.images);
        }
        if let Some(text) = text {
            self.note(Level::Warning, text);
        }
        imaged.mask.as_ref().map(|mask| GivenMask::of_round(mask, None)).or(given_mask)
    }
}
