//! Imaging, at once or major cycle by major cycle.

use super::Programs;
use crate::campaign::file::CalibratorKind;
use crate::campaign::steps::masks::{self, RoundMasks};
use crate::campaign::steps::{CycleMasking, GivenMask, Imaged, ImagingStep, StepContext};
use crate::imager::{self, FacetFiles, Guarded, ImagerContext, ImagerOptions, ImagingJob};
use crate::major_cycle::{self, Measures, StopRules};
use crate::quality;
use crate::{Error, Result};
use std::path::Path;

impl Programs<'_> {
    /// An imager with these options, which cleans up when it is dropped.
    pub(super) fn imager(
        &mut self,
        options: &ImagerOptions,
        mut job: ImagingJob,
        step: &StepContext,
    ) -> Result<Guarded> {
        let executable = self.executables.of_imager(options).to_vec();
        let share = self.share.of_imager(self.plan, options, &executable);
        (job.threads, job.memory_gb) = (share.threads, share.memory_gb);
        let context = ImagerContext {
            executable,
            limits: self.limits(self.plan.resources.imager_time_limit.as_ref().map(|l| l.0)),
            progress: step.progress.clone(),
            cancel: None,
            casa: if options.needs_casa() { Some(self.casa()?) } else { None },
        };
        imager::open(job, options, context)
    }

    /// An imaging of a column in the context's folder, with solutions by direction.
    pub(super) fn job(&self, column: &str, facets: Option<&FacetFiles>, context: &StepContext) -> ImagingJob {
        ImagingJob {
            measurement_sets: context.measurement_sets.clone(),
            data_column: column.to_string(),
            folder: context.folder.clone(),
            log: context.log.clone(),
            threads: self.share.threads,
            memory_gb: self.share.memory_gb,
            update_model: self.plan.calibrator != CalibratorKind::None,
            facets: facets.cloned(),
        }
    }

    /// Puts a model into the data, with the gains of its facets.
    pub(in crate::campaign::steps) fn predict_with(
        &mut self,
        step: &ImagingStep,
        (column, facets): (&str, Option<&FacetFiles>),
        model: &Path,
        context: &StepContext,
    ) -> Result<()> {
        let mut imager = self.imager(&step.imager, self.job(column, facets, context), context)?;
        let result = imager.setup().and_then(|()| imager.predict(model));
        imager.teardown();
        result
    }

    /// Images at once, or cycle by cycle with masks between them.
    pub(super) fn make_image(
        &mut self,
        step: &ImagingStep,
        column: &str,
        given: Option<&GivenMask>,
        context: &StepContext,
    ) -> Result<Imaged> {
        let mut imager = self.imager(&step.imager, self.job(column, None, context), context)?;
        let mut mask = given.map(|mask| mask.path.as_path());
        if let Some(options) = mask.and_then(|path| with_bit_mask(step, path))
            && imager.capabilities().multiscale_bit_masks
        {
            imager = self.imager(&options, self.job(column, None, context), context)?;
            mask = None;
        }
        let result = imager.setup().and_then(|()| {
            let commands = imager.command_lines(mask);
            match &step.cycles {
                Some(masking) => by_cycles(&mut imager, step, masking, given, context, commands),
                None => {
                    let products = imager.image_once(mask)?;
                    Ok(Imaged { products, cycles: Vec::new(), stopped: None, mask: None, facets: None, commands })
                }
            }
        });
        imager.teardown();
        result
    }
}

/// The imager's options with a mask that has a bit for each scale, for an imager that cleans scale by scale; others take
/// any bit as set.
fn with_bit_mask(step: &ImagingStep, mask: &Path) -> Option<ImagerOptions> {
    let applies = step.mask_scales > 1 && step.cycles.is_none();
    step.imager.with_scale_mask(mask).filter(|_| applies)
}

/// Images major cycle by major cycle.
fn by_cycles(
    imager: &mut Guarded,
    step: &ImagingStep,
    masking: &CycleMasking,
    mask: Option<&GivenMask>,
    context: &StepContext,
    planned: Vec<Vec<String>>,
) -> Result<Imaged> {
    let CycleMasking { mask: plan, caution } = masking;
    let program = imager.capabilities().program;
    let Some(cycles) = imager.cycles() else {
        return Err(Error::bad_input(format!(
            "{program} cannot take a fresh mask for each major cycle; use `mask: {{cadence: round}}`"
        )));
    };
    let folder = context.folder.with_file_name("mask");
    let rules = StopRules {
        may_clean_nothing: step.may_clean_nothing,
        ..StopRules::new(&step.stop, &step.imager.stop_limits(), plan.every, plan.freeze_change)
    };
    let mut maker = RoundMasks::new(plan, *caution, mask, folder);
    if rules.limits.independent_channels {
        maker = maker.of_independent_channels(step.imager.group());
    }
    let measures = Measures { residual: &quality::residual::measure, flux: &quality::residual::model_fluxes };
    let report = major_cycle::run(cycles, &mut maker, measures, &rules, &context.folder)?;
    Ok(Imaged {
        products: report.products,
        cycles: report.cycles,
        stopped: Some(report.stopped),
        facets: None,
        mask: report.mask.map(|last| masks::of_cycles(plan, &last)),
        commands: Some(cycles.lines_run()).filter(|lines| !lines.is_empty()).unwrap_or(planned),
    })
}
