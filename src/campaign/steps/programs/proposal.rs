//! From a round of the plan to the steps of an attempt.

use super::Programs;
use super::intervals::IntervalChoice;
use super::relaxation::relax;
use crate::Result;
use crate::calibrator::options::GaincalOptions;
use crate::calibrator::term_names;
use crate::campaign::file::{MaskCadence, MaskImage, MaskMethod, Multiscale};
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::{CalibrationPlan, MaskPlan, RoundPlan};
use crate::campaign::rules::acceptance::Relaxation;
use crate::campaign::rules::scales;
use crate::campaign::steps::field;
use crate::campaign::steps::{
    AttemptPlan, CalibrationStep, CycleMasking, FacetStep, ImagingStep, MaskStep, Past, Proposal,
};

/// Fewer antennas than these see only the brightest parts of a source through their sidelobes at first: islands need more
/// room. Dynamic range of the VLA set with 18, the EHT set with 8 and the VLBA set with 10 antennas (docs/benchmarks.md)
/// with margins of 0.5 and 1.25 beams: 69 and 97, 86 and 139, 2777 and 2799; simulated fields of 27 antennas end higher with
/// 0.5 (docs/acceptance.md).
const FEW_ANTENNAS: usize = 20;
/// Their margin, FWHM of the beam.
const MARGIN_BEAMS_OF_FEW: f64 = 1.25;

impl Programs<'_> {
    /// The attempt at a round with these changes.
    pub(super) fn proposal(&mut self, id: AttemptId, changes: &[Relaxation], past: &Past<'_>) -> Result<Proposal> {
        let mut plan = self.round(id.round).clone();
        plan.imaging = self.imaging_of(&plan)?;
        let resolved = self.plan.multiscale == Multiscale::Auto && scales::are_resolved(past.history);
        if resolved && let Some(imaging) = plan.imaging.with_multiscale() {
            plan.imaging = imaging;
        }
        if let (Some(mask), Some(channels)) = (plan.mask.as_mut(), &self.target.channels) {
            mask.exclude.extend(channels.veto.clone());
        }
        self.widen_margin(&mut plan);
        let started = self.started_with(id);
        if let Some((options, _)) = &started {
            plan.calibration = Some(options.clone());
        }
        let (interval_why, weighed, chains) = match self.with_facet_stage(&mut plan, id, past)? {
            IntervalChoice::Given => (started.map(|(_, why)| why), Vec::new(), Vec::new()),
            IntervalChoice::Chosen { why, weighed, chains } => (Some(why), weighed, chains),
            IntervalChoice::GiveUp { why, limit } => return Ok(Proposal::GiveUp { why, limit }),
        };
        let chains = self.relaxed_chains(&plan, chains, changes);
        for change in changes {
            relax(&mut plan, change, self.integration_s());
        }
        let later = &self.plan.rounds[(id.round + 1).min(self.plan.rounds.len())..];
        let earlier = &self.plan.rounds[..id.round];
        let mask = self.mask_step(&plan, changes)?;
        Ok(Proposal::Try(Box::new(AttemptPlan {
            id,
            about: about(&plan, changes, resolved),
            changes: changes.to_vec(),
            // Where the schedule chooses, it says when there is nothing more to try.
            more_to_try: interval_why.is_some() || later.iter().any(|r| r.differs_from(self.round(id.round))),
            facets: plan.facets.clone().map(|options| FacetStep { options }),
            interval_why,
            weighed,
            first_interval: plan.calibration.is_some() && earlier.iter().all(|r| r.calibration.is_none()),
            imaging: self.imaging_step(&plan, changes, mask.as_ref()),
            mask,
            calibration: plan.calibration.map(|options| CalibrationStep { options, chains }),
        })))
    }

    /// The chains of measurement sets, relaxed as that of all is.
    fn relaxed_chains(
        &self,
        plan: &RoundPlan,
        chains: Vec<Vec<GaincalOptions>>,
        changes: &[Relaxation],
    ) -> Vec<Vec<GaincalOptions>> {
        let relaxed = |chain: Vec<GaincalOptions>| {
            let mut own = plan.clone();
            own.calibration = own.calibration.map(|options| CalibrationPlan { chain, ..options });
            changes.iter().for_each(|change| relax(&mut own, change, self.integration_s()));
            own.calibration.map(|options| options.chain).unwrap_or_default()
        };
        chains.into_iter().map(relaxed).collect()
    }

    /// Gives automatic masks of few antennas the margin that suits them, unless the plan has one.
    fn widen_margin(&self, plan: &mut RoundPlan) {
        let of_group = self.target.channels.as_ref().map(|channels| channels.antennas);
        let antennas = of_group.or_else(|| self.sets.iter().map(|set| set.summary.antennas_with_data()).max());
        if let (Some(mask), Some(margin)) = (plan.mask.as_mut(), antennas.and_then(margin_of)) {
            mask.recipe.auto.levels.margin_beams.get_or_insert(margin);
        }
    }

    /// The mask before imaging. One between cycles belongs to the imaging; auto-multithresh between cycles needs none
    /// before.
    fn mask_step(&self, plan: &RoundPlan, changes: &[Relaxation]) -> Result<Option<MaskStep>> {
        let only_between = |m: &MaskPlan| m.cadence == MaskCadence::Cycle && m.recipe.method == MaskMethod::Multithresh;
        let Some(mask) = plan.mask.clone().filter(|m| !only_between(m)) else { return Ok(None) };
        let field = match mask.image {
            MaskImage::Field if plan.round > 0 => Some(field::load(&self.plan.output, plan.round)?),
            _ => None,
        };
        Ok(Some(MaskStep { mask, caution: caution(changes), field }))
    }

    fn imaging_step(&self, plan: &RoundPlan, changes: &[Relaxation], before: Option<&MaskStep>) -> ImagingStep {
        // With facets there are no masks between cycles, but between whole runs.
        let between = plan.mask.clone().filter(|m| m.cadence == MaskCadence::Cycle || plan.facets.is_some());
        ImagingStep {
            imager: plan.imaging.clone(),
            cycles: between.map(|mask| CycleMasking { mask, caution: caution(changes) }),
            stop: self.plan.stop.clone(),
            may_clean_nothing: self.plan.start_model.does_without_image(),
            mask_scales: before.map_or(0, |step| step.mask.recipe.flint.bits()),
        }
    }
}

/// The margin that suits so many antennas, FWHM of the beam; `None`: that of all masks.
fn margin_of(antennas: usize) -> Option<f64> {
    (1..FEW_ANTENNAS).contains(&antennas).then_some(MARGIN_BEAMS_OF_FEW)
}

/// One line about an attempt.
fn about(plan: &RoundPlan, changes: &[Relaxation], resolved: bool) -> String {
    let mut about = match (&plan.calibration, &plan.facets) {
        (_, Some(facets)) => {
            format!("calibrating by direction {}, solint {}", facets.calmode.name(), facets.intervals())
        }
        (None, None) => "imaging".to_string(),
        (Some(c), None) => format!("calibrating {}", chain_words(&c.chain)),
    };
    if plan.mask.is_some() {
        about.push_str(", with a mask");
    }
    if resolved {
        about.push_str(", with multi-scale for resolved sources");
    }
    for change in changes {
        about.push_str(&format!("; relaxed: {change}"));
    }
    about
}

/// The terms of a chain with their intervals.
fn chain_words(chain: &[GaincalOptions]) -> String {
    if let [only] = chain {
        return format!("{}, solint {}", only.calmode.name(), only.solint);
    }
    let named = term_names(chain).into_iter().zip(chain);
    named.map(|(name, element)| format!("{name} {}", element.solint)).collect::<Vec<_>>().join(" + ")
}

/// The factor for mask levels that are chosen from the image.
fn caution(changes: &[Relaxation]) -> f64 {
    let factor = |change: &Relaxation| match change {
        Relaxation::ConservativeMask { factor } => *factor,
        _ => 1.0,
    };
    changes.iter().map(factor).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_antennas_get_wider_masks_and_data_that_were_not_read_the_usual_ones() {
        assert_eq!([8, 19].map(margin_of), [Some(MARGIN_BEAMS_OF_FEW); 2]);
        assert_eq!([0, 20, 27].map(margin_of), [None; 3]);
    }
}
