//! The last stage of the automatic schedule: rounds by direction.

use super::super::Programs;
use super::super::intervals::IntervalChoice;
use crate::Result;
use crate::calibrator::facets::options::FacetOptions;
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::RoundPlan;
use crate::campaign::rules::acceptance::{RoundOutcome, last_accepted};
use crate::campaign::rules::facets::{self, Stage, StageStep};
use crate::campaign::rules::schedule::Limit;
use crate::campaign::steps::theoretical_noise_jy;
use crate::image::FitsImage;
use crate::kernels::facets::{Limits, choose, sources};
use crate::quality::{facets::around, residual};

/// Sources that are looked at for errors that depend on direction.
const LOOKED_AT: usize = 10;
/// They are at least this part of the image's width apart: what is around the brightest is not around another.
const APART: f64 = 1.0 / 16.0;

impl Programs<'_> {
    /// The choice of the schedule without directions, or a round by direction in its place: where the schedule has nothing
    /// more to try, or needs its last rounds for them.
    pub(in crate::campaign::steps::programs) fn with_facet_stage(
        &mut self,
        plan: &mut RoundPlan,
        id: AttemptId,
        history: &[RoundOutcome],
    ) -> Result<IntervalChoice> {
        let campaign = self.plan;
        let Some(options) = &campaign.facet_stage else { return Ok(self.choose_interval(plan, id, history)) };
        match facets::stage(history) {
            Stage::Try(step) => {
                self.by_direction(plan, options, step);
                let why = "the next of the steps by direction".to_owned();
                return Ok(IntervalChoice::Chosen { why, weighed: Vec::new() });
            }
            Stage::Over(why) => return Ok(IntervalChoice::GiveUp { why: why.to_owned(), limit: Limit::NoGain }),
            Stage::Before => {}
        }
        let last_rounds = self.plan.rounds.len().saturating_sub(facets::rounds());
        let rounds_run_out = id.round > 1 && id.round >= last_rounds;
        let mut untouched = plan.clone();
        let choice = if rounds_run_out { None } else { Some(self.choose_interval(&mut untouched, id, history)) };
        if let Some(choice) = choice.filter(|choice| !matches!(choice, IntervalChoice::GiveUp { .. })) {
            *plan = untouched;
            return Ok(choice);
        }
        let Some(words) = self.errors_by_direction(history)? else {
            return Ok(self.choose_interval(plan, id, history));
        };
        self.by_direction(plan, options, facets::first_step());
        let why = format!("{words}: errors may depend on direction");
        Ok(IntervalChoice::Chosen { why, weighed: Vec::new() })
    }

    /// Makes a round one by direction.
    fn by_direction(&self, plan: &mut RoundPlan, options: &FacetOptions, step: StageStep) {
        let solint = format!("{}s", f64::from(step.integrations) * self.integration_s());
        plan.calibration = None;
        plan.facets = Some(FacetOptions { calmode: step.calmode, solint, ..options.clone() });
    }

    /// Why errors of the last accepted image may depend on direction; `None`: nothing says so.
    fn errors_by_direction(&self, history: &[RoundOutcome]) -> Result<Option<String>> {
        let Some(accepted) = last_accepted(history) else { return Ok(None) };
        let layout = self.plan.layout_of(&self.target);
        let image = |name: &str| layout.part(accepted.id, "image").join(name);
        if !image("model.fits").is_file() || !image("residual.fits").is_file() {
            return Ok(None);
        }
        let model = FitsImage::open(image("model.fits"))?.read_plane(0, 0)?;
        #[allow(clippy::cast_precision_loss)] // Pixels, far below 2^53.
        let apart = Limits { flux: 0.0, distance: model.ncols() as f64 * APART, most: LOOKED_AT };
        let places = choose(&sources(model.view(), None), &apart).directions;
        let field = residual::measure(&image("residual.fits"), None, None)?.overall.rms;
        let around = around(&image("residual.fits"), &[], &places)?;
        Ok(facets::errors_by_direction(&around, field, theoretical_noise_jy(&self.sets)))
    }
}
