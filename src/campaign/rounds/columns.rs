//! Content of the measurement sets' columns, and their restoration when a round is rejected.

use super::DatasetRun;
use super::kept::Attempted;
use super::kept::{ActiveCalibration, Applied, AppliedTables};
use super::step::StepSpec;
use crate::Result;
use crate::campaign::journal::{Column, Step, StepId, StepKey};
use crate::campaign::layout::part_of_member;
use crate::campaign::record::Level;
use crate::campaign::steps::{Imaged, Prepared};

impl DatasetRun<'_> {
    /// Makes `CORRECTED_DATA` hold what `active` says.
    pub(super) fn ensure_corrected(&mut self, data: &Prepared, active: &ActiveCalibration) -> Result<()> {
        let Some(Applied { attempt, members, .. }) = &active.applied else { return Ok(()) };
        for (member, AppliedTables { key, step, tables }) in members.iter().enumerate() {
            let column = Column::Corrected(member);
            if self.journal.holder(column) == Some(key) {
                continue;
            }
            let id = StepId::of(*attempt, Step::Apply).member(member);
            let part = part_of_member("calibration", data.member_name(member));
            let context = self.context(data, id, &part, &data.log_name("apply", member))?;
            let spec = StepSpec { id, key: key.clone(), touches: &[column] };
            self.effect(spec, |run| run.backend.apply(member, step, tables, &context))?;
        }
        Ok(())
    }

    /// Makes `MODEL_DATA` hold the model of `base`.
    pub(super) fn ensure_model(&mut self, data: &Prepared, base: &Attempted) -> Result<()> {
        if !data.model_wanted {
            return Ok(());
        }
        let key = StepKey::of(&("predict", &base.image_key));
        // An imager writes the model into the data that it images, and into no others.
        let all_imaged = base.active.left_out().is_empty();
        let holds = |holder: Option<&StepKey>| (holder == Some(&base.image_key) && all_imaged) || holder == Some(&key);
        if holds(self.journal.holder(Column::Model)) {
            return Ok(());
        }
        self.ensure_files(data, base)?;
        if holds(self.journal.holder(Column::Model)) {
            return Ok(());
        }
        let id = StepId::of(base.plan.id, Step::Revert);
        let mut context = self.context(data, id, "logs", "predict.log")?;
        if base.active.facets.is_some() {
            // There are solutions by direction for what was imaged, and nothing else is solved for any more.
            context.measurement_sets = base.active.imaged_sets(data);
        }
        let spec = StepSpec { id, key, touches: &[Column::Model] };
        self.effect(spec, |run| {
            run.backend.predict(&base.plan.imaging, &base.active.imaged(), &base.imaged.products.model, &context)
        })
    }

    /// Makes sure that the images of `base` are there: those that were removed to keep the disk budget are made again.
    pub(super) fn ensure_files(&mut self, data: &Prepared, base: &Attempted) -> Result<()> {
        let products = &base.imaged.products;
        if [&products.image, &products.model, &products.residual, &products.psf].iter().all(|file| file.exists()) {
            return Ok(());
        }
        let attempt = base.plan.id;
        self.note(
            Level::Info,
            format!("{attempt}: its images were removed to keep the disk budget, but are needed now: imaging again"),
        );
        self.ensure_corrected(data, &base.active)?;
        let id = StepId::of(attempt, Step::Image);
        let context = self.context_of_image(data, id, &base.active, base.part)?;
        let spec = StepSpec { id, key: base.image_key.clone(), touches: &[Column::Model] };
        let (imaged, mask) = (base.active.imaged(), base.given_mask.as_ref());
        self.step(
            spec,
            |_: &Imaged| false,
            |run| {
                let again = run.backend.image(&base.plan.imaging, &imaged, mask, &context)?;
                // With facets it is the last image of several: what had come of them stays known.
                Ok(Imaged { facets: base.imaged.facets.clone(), mask: base.imaged.mask.clone(), ..again })
            },
        )?;
        Ok(())
    }
}
