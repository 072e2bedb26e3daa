//! Mask and image of an attempt.

use super::kept::{ActiveCalibration, Attempted, ImagePart};
use super::step::StepSpec;
use super::{DatasetRun, MaskSource};
use crate::campaign::journal::{Column, Step, StepId, StepKey};
use crate::campaign::record::MaskRecord;
use crate::campaign::steps::{
    AttemptPlan, FacetInputs, FacetReference, GivenMask, Imaged, ImagedData, ImagingInputs, ImagingStep, MaskStep,
    Prepared, StepContext,
};
use crate::util::fs;
use crate::{Error, Result};

impl DatasetRun<'_> {
    /// Makes the mask (from `base`, if there is one) and the image.
    pub(super) fn make_images(
        &mut self,
        data: &Prepared,
        plan: &AttemptPlan,
        (mut active, part): (ActiveCalibration, ImagePart),
        base: Option<&Attempted>,
    ) -> Result<Attempted> {
        let source = base.map(MaskSource::from).or_else(|| self.settings.mask_source.clone());
        let mask_job =
            plan.mask.as_ref().zip(source.as_ref()).map(|(step, source)| (step, source, step.key(&source.key)));
        let mask_key = mask_job.as_ref().map(|(_, _, key)| key.clone());
        let inputs = ImagingInputs {
            data: self.data_key(),
            column: active.column,
            applied: active.key(),
            mask: mask_key.as_ref(),
            facets: active.facets.as_ref().map(|facets| &facets.key),
        };
        let image_key = plan.imaging.key(&inputs);
        let spec = StepSpec { id: StepId::of(plan.id, Step::Image), key: image_key.clone(), touches: &[Column::Model] };
        if self.finished::<Imaged>(spec.id, &spec.key, self.exist_or_removed()).is_none() {
            self.ensure_corrected(data, &active)?;
        }
        let mask = match mask_job {
            Some((step, source, key)) => Some(self.make_mask(data, plan, step, MaskInputs { source, base, key })?),
            None => None,
        };
        let last = base.and_then(|base| base.given_mask.as_ref().map(|given| (given, &base.imaged.cycles[..])));
        let given_mask = mask.as_ref().map(|mask| GivenMask::of_round(mask, last));
        let context = self.context_of_image(data, spec.id, &active, part)?;
        let imaged = match (&active.facets, &plan.facets) {
            (Some(facets), Some(step)) => {
                let judged = base.map(|base| FacetReference {
                    residual: &base.imaged.products.residual,
                    mask: base.mask.as_ref().map(|mask| mask.path.as_path()),
                    earlier: base.active.facets.as_ref().map(|earlier| &earlier.solution.files),
                });
                let (files, directions) = (&facets.solution.files, &facets.solution.directions[..]);
                let inputs = FacetInputs { files, directions, judged, images: step.options.images };
                let read = ImagedData { column: active.column, facets: Some(inputs) };
                self.make_image((&plan.imaging, &read), given_mask.as_ref(), spec, &context)?
            }
            _ => self.make_image((&plan.imaging, &active.imaged()), given_mask.as_ref(), spec, &context)?,
        };
        let given_mask = self.take_over_facets(&mut active, &imaged, given_mask);
        let (mask_key, mask) = match (mask, &imaged.mask) {
            (Some(before), Some(last)) => (None, Some(last.grown_from(&before))),
            (None, Some(last)) => (None, Some(last.clone())),
            (Some(mask), None) => (mask_key, Some(mask)),
            (None, None) => (None, None),
        };
        Ok(Attempted { plan: plan.clone(), active, image_key, imaged, given_mask, mask, mask_key, part })
    }

    fn make_mask(
        &mut self,
        data: &Prepared,
        plan: &AttemptPlan,
        step: &MaskStep,
        inputs: MaskInputs<'_>,
    ) -> Result<MaskRecord> {
        let MaskInputs { source, base, key } = inputs;
        let id = StepId::of(plan.id, Step::Mask);
        let context = self.context(data, id, "mask", "mask.log")?;
        let spec = StepSpec { id, key, touches: &[] };
        let mask = self.step(
            spec,
            |m: &MaskRecord| m.path.exists(),
            |run| {
                if let Some(base) = base {
                    run.ensure_files(data, base)?;
                }
                run.backend.mask(step, &source.products, source.mask.as_ref(), &context)
            },
        )?;
        if mask.pixels == 0 && !plan.mask_may_be_empty() {
            return Err(Error::bad_input(format!(
                "the mask of round {} is empty: nothing in {} is above the levels asked for. Lower the seed levels \
                 (`masking:` of that round), or image this round without a mask (`campaign: mask: rounds`)",
                plan.id.round,
                source.products.image.display()
            )));
        }
        Ok(mask)
    }

    fn make_image(
        &mut self,
        (step, read): (&ImagingStep, &ImagedData<'_>),
        mask: Option<&GivenMask>,
        spec: StepSpec<'_>,
        context: &StepContext,
    ) -> Result<Imaged> {
        let there = self.exist_or_removed();
        if self.finished::<Imaged>(spec.id, &spec.key, &there).is_none() && self.was_begun_otherwise(&spec) {
            // An imager goes on from what it finds there: those are cycles of other data or other options.
            fs::remove(&context.folder)?;
            fs::make(&context.folder)?;
        }
        let imaged = self.step(spec, there, |run| run.backend.image(step, read, mask, context))?;
        self.note_commands(Step::Image, &imaged.commands, &context.log);
        Ok(imaged)
    }

    /// The context of an image, with the measurement sets that it is made of.
    pub(super) fn context_of_image(
        &self,
        data: &Prepared,
        id: StepId,
        active: &ActiveCalibration,
        part: ImagePart,
    ) -> Result<StepContext> {
        let context = self.context(data, id, part.folder(), part.log())?;
        Ok(StepContext { measurement_sets: active.imaged_sets(data), ..context })
    }

    /// For steps that image: the files are there, or were removed to keep the disk budget.
    fn exist_or_removed(&self) -> impl Fn(&Imaged) -> bool + use<> {
        let removed = self.journal.removed_files();
        move |imaged: &Imaged| {
            [&imaged.products.image, &imaged.products.model].iter().all(|f| f.exists() || removed.contains(*f))
        }
    }
}

/// Inputs of a mask.
struct MaskInputs<'a> {
    source: &'a MaskSource,
    /// The attempt that made those images, if it was one of this run.
    base: Option<&'a Attempted>,
    key: StepKey,
}

impl From<&Attempted> for MaskSource {
    fn from(base: &Attempted) -> Self {
        Self { key: base.image_key.clone(), products: base.imaged.products.clone(), mask: base.mask.clone() }
    }
}
