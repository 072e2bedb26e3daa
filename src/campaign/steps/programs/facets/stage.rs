//! The last stage of the automatic schedule: rounds by direction.

use super::super::Programs;
use super::super::intervals::IntervalChoice;
use super::field_noise;
use crate::calibrator::facets::options::FacetOptions;
use crate::calibrator::facets::{FacetSource, check, directions_by_noise, unresolved};
use crate::campaign::file::FilledIn;
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::RoundPlan;
use crate::campaign::rules::facets::{self, Stage, StageStep};
use crate::campaign::rules::schedule::Limit;
use crate::campaign::steps::{Past, theoretical_noise_jy};
use crate::image::FitsImage;
use crate::imager::{ImagerOptions, Products};
use crate::kernels::facets::{Limits, choose, components, own_islands, sources};
use crate::quality::facets::around;
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Sources that are looked at for errors that depend on direction.
const LOOKED_AT: usize = 10;
/// They are at least this part of the image's width apart: what is around the brightest is not around another.
const APART: f64 = 1.0 / 16.0;
/// What was seen in the images, in the attempt's folder: those of old attempts may be gone when a run goes on.
const SEEN: &str = "by-direction.json";

/// What the images of the last accepted attempt say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    /// Why errors may depend on direction; `None`: nothing says so.
    why: Option<String>,
    /// Integrations of the shortest interval.
    shortest: u32,
}

impl Programs<'_> {
    /// The choice of the schedule without directions, or a round by direction in its place: where the schedule has nothing
    /// more to try, hardly gains any more, or needs its last rounds for them.
    pub(in crate::campaign::steps::programs) fn with_facet_stage(
        &mut self,
        plan: &mut RoundPlan,
        id: AttemptId,
        past: &Past<'_>,
    ) -> Result<IntervalChoice> {
        let campaign = self.plan;
        let history = past.history;
        let Some(options) = &campaign.facet_stage else { return Ok(self.choose_interval(plan, id, history)) };
        match facets::stage(history) {
            Stage::Try(step) => {
                let shortest = self.seen(id, past, options)?.map_or(1, |seen| seen.shortest);
                self.by_direction(plan, options, (step, shortest));
                let why = "the next of the steps by direction".to_owned();
                return Ok(IntervalChoice::Chosen { why, weighed: Vec::new(), chains: Vec::new() });
            }
            Stage::Over(why) => return Ok(IntervalChoice::GiveUp { why: why.to_owned(), limit: Limit::NoGain }),
            Stage::Left => {
                let choice = self.choose_interval(plan, id, history);
                let IntervalChoice::GiveUp { why, limit } = choice else { return Ok(choice) };
                let why = format!("{why}; solving by direction does not make the image better");
                return Ok(IntervalChoice::GiveUp { why, limit });
            }
            Stage::Before => {}
        }
        let last_rounds = self.plan.rounds.len().saturating_sub(facets::rounds());
        let rounds_run_out = id.round > 1 && id.round >= last_rounds;
        let enough = rounds_run_out || facets::hardly_gains(self.intervals.tried(history).last());
        let mut untouched = plan.clone();
        let choice = if enough { None } else { Some(self.choose_interval(&mut untouched, id, history)) };
        if let Some(choice) = choice.filter(|choice| !matches!(choice, IntervalChoice::GiveUp { .. })) {
            *plan = untouched;
            return Ok(choice);
        }
        if let Err(unsuited) = check(self.sets.iter().map(|set| (set.path.as_path(), &set.summary))) {
            let choice = self.choose_interval(plan, id, history);
            let IntervalChoice::GiveUp { why, limit } = choice else { return Ok(choice) };
            return Ok(IntervalChoice::GiveUp { why: format!("{why}; no rounds by direction: {unsuited}"), limit });
        }
        let Some(Seen { why: Some(words), shortest }) = self.seen(id, past, options)? else {
            return Ok(self.choose_interval(plan, id, history));
        };
        self.by_direction(plan, options, (facets::first_step(), shortest));
        let why = format!("{words}: errors may depend on direction");
        Ok(IntervalChoice::Chosen { why, weighed: Vec::new(), chains: Vec::new() })
    }

    /// Makes a round one by direction.
    fn by_direction(&self, plan: &mut RoundPlan, options: &FacetOptions, (step, shortest): (StageStep, u32)) {
        let solint = self.solint_of(step.intervals * shortest);
        plan.calibration = None;
        plan.facets = Some(FacetOptions { calmode: step.calmode, solint, ..options.clone() });
        plan.imaging = imaging_by_direction(&plan.imaging, &self.plan.filled_in);
    }

    /// What the images of the last accepted attempt say to this one; `None`: there are none.
    fn seen(&self, id: AttemptId, past: &Past<'_>, options: &FacetOptions) -> Result<Option<Seen>> {
        let file = self.plan.layout_of(&self.target).attempt(id).join(SEEN);
        if let Some(seen) = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(Some(seen));
        }
        let Some((products, mask)) = past.images else { return Ok(None) };
        let field = field_noise(products)?;
        let why = self.errors_by_direction(products, field)?;
        let seen = Seen { why, shortest: self.shortest_interval((products, mask), options, field)? };
        fs::make(file.parent().unwrap_or(Path::new(".")))?;
        fs::write_atomically(&file, &serde_json::to_vec(&seen).map_err(Error::internal)?)?;
        Ok(Some(seen))
    }

    /// Why errors of an image with this noise may depend on direction; `None`: nothing says so.
    fn errors_by_direction(&self, products: &Products, field: f64) -> Result<Option<String>> {
        let mut file = FitsImage::open(&products.model)?;
        let model = file.read_plane(0, 0)?;
        #[allow(clippy::cast_precision_loss)] // Pixels, far below 2^53.
        let apart = Limits { flux: 0.0, distance: model.ncols() as f64 * APART, most: LOOKED_AT };
        let components = components(model.view(), own_islands(model.view()).view(), unresolved(&file));
        let places = choose(&sources(&components), &apart).directions;
        let around = around(&products.residual, &[], &places)?;
        Ok(facets::errors_by_direction(&around, field, theoretical_noise_jy(&self.sets)))
    }

    /// Integrations of the shortest interval in which enough sources are bright enough to be directions.
    fn shortest_interval(
        &self,
        (products, mask): (&Products, Option<&Path>),
        options: &FacetOptions,
        field: f64,
    ) -> Result<u32> {
        let source = FacetSource { model: &products.model, residual: &products.residual, mask, noise_jy: field };
        let count = directions_by_noise(&source, options)?;
        let directions = |integrations: u32| {
            let solint = self.solint_of(integrations);
            count(self.noise_of_solutions(&FacetOptions { solint, ..options.clone() }, field))
        };
        let all = self.summaries().map(|summary| summary.integrations).max().unwrap_or(1);
        Ok(facets::shortest_interval(u32::try_from(all).unwrap_or(u32::MAX), directions))
    }

    /// The interval of so many integrations.
    fn solint_of(&self, integrations: u32) -> String {
        format!("{}s", f64::from(integrations) * self.integration_s())
    }
}

/// Fewer major cycles by direction, unless file or command line say how long they are.
fn imaging_by_direction(imaging: &ImagerOptions, filled_in: &FilledIn) -> ImagerOptions {
    match imaging {
        ImagerOptions::Wsclean(o) if filled_in.value("wsclean.mgain") == Some(&o.mgain.to_string()) => {
            imaging.with_longer_cycles()
        }
        _ => imaging.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imager::wsclean::WscleanOptions;

    #[test]
    fn cycles_are_longer_by_direction_unless_the_file_says_how_long() {
        let imaging = ImagerOptions::Wsclean(WscleanOptions { mgain: 0.8, size: 640, ..WscleanOptions::default() });
        let with = |mgain| ImagerOptions::Wsclean(WscleanOptions { mgain, size: 640, ..WscleanOptions::default() });
        let filled = |values: &[&str]| FilledIn { plain: true, values: values.iter().map(|v| (*v).into()).collect() };
        assert_eq!(imaging_by_direction(&imaging, &filled(&["wsclean.niter=50000", "wsclean.mgain=0.8"])), with(0.9));
        assert_eq!(imaging_by_direction(&imaging, &filled(&["wsclean.niter=50000"])), with(0.8));
        let other = with(0.7);
        assert_eq!(imaging_by_direction(&other, &filled(&["wsclean.mgain=0.8"])), other, "of the command line");
    }
}
