//! One attempt at a round, up to its judgement.

use super::DatasetRun;
use super::calibrate::Calibrated;
use super::judge::metrics_of_tables;
use super::kept::Attempted;
use crate::Result;
use crate::campaign::events::{Event, Place};
use crate::campaign::journal::Step;
use crate::campaign::layout::AttemptId;
use crate::campaign::record::{Level, RoundRecord, TermRecord};
use crate::campaign::rules::acceptance::{Decision, Next, RoundMetrics, Verdict, judge, last_accepted};
use crate::campaign::steps::{AttemptPlan, Prepared};
use crate::quality::metrics::ImageMetrics;
use std::path::Path;

impl DatasetRun<'_> {
    /// Calibrates, images and judges.
    pub(super) fn attempt(&mut self, data: &Prepared, plan: AttemptPlan) -> Result<Decision> {
        self.begin(&plan);
        let base = self.last_accepted_attempt();
        let (active, stats) = match self.calibrate(data, &plan, base.as_ref())? {
            Calibrated::Refused(decision, metrics) => return self.conclude(plan.id, None, decision, *metrics),
            Calibrated::Done { active, stats } => (*active, stats),
        };
        let active = match self.solve_facets(data, &plan, base.as_ref(), active)? {
            Ok(active) => active,
            Err(decision) => return self.conclude(plan.id, None, *decision, metrics_of_tables(&plan, stats)),
        };
        let trusted = base.as_ref().filter(|base| plan.calibration.is_none() || !self.starts_afresh(base));
        let (attempted, image) = self.image_what_is_better(data, &plan, active, trusted)?;
        self.record_images(&attempted, &image);
        let metrics = RoundMetrics {
            image,
            more_to_try: plan.more_to_try,
            fresh_start: trusted.is_none() && base.is_some(),
            model_may_be_empty: base.is_none() && self.settings.start_model.does_without_image(),
            ..metrics_of_tables(&plan, stats)
        };
        let judged = judge(&self.history, &metrics, &self.settings.acceptance);
        let decision = match judged.verdict {
            Verdict::Rejected | Verdict::Diverged if self.settings.takes_any_image => {
                Decision { verdict: Verdict::Accepted, next: Next::Continue, ..judged }
            }
            _ => judged,
        };
        self.conclude(plan.id, Some(attempted), decision, metrics)
    }

    fn begin(&mut self, plan: &AttemptPlan) {
        self.place = Place { dataset: self.settings.name.clone(), at: plan.id };
        if !self.was_reported() {
            self.events.emit(Event::RoundStarted { place: self.place.clone(), about: plan.about.clone() });
        }
        let first = plan.chain().first();
        self.record.rounds.push(RoundRecord {
            solint: first.map(|options| options.solint.clone()),
            calmode: first.map(|options| options.calmode),
            chain: TermRecord::of_chain(plan.chain()),
            solint_why: plan.interval_why.clone(),
            weighed: plan.weighed.clone(),
            ..RoundRecord::begun(plan.id)
        });
    }

    /// The attempt that the next one builds on.
    pub(super) fn last_accepted_attempt(&self) -> Option<Attempted> {
        self.find(last_accepted(&self.history)?.id).cloned()
    }

    pub(super) fn find(&self, id: AttemptId) -> Option<&Attempted> {
        self.done.iter().find(|a| a.plan.id == id)
    }

    fn record_images(&mut self, attempted: &Attempted, image: &ImageMetrics) {
        let Attempted { active, imaged, mask, .. } = attempted;
        let record = self.current();
        let program = record.commands.iter().rev().find(|c| c.step == Step::Image).and_then(|c| c.words.first());
        record.imager = program.map(|word| file_name(Path::new(word))).unwrap_or_default();
        record.data_column = active.column.to_string();
        record.products = Some(imaged.products.clone());
        record.cycles.clone_from(&imaged.cycles);
        record.confetti = imaged.cycles.iter().flat_map(|c| c.confetti.iter().cloned()).collect();
        record.stopped.clone_from(&imaged.stopped);
        record.mask.clone_from(mask);
        record.metrics = Some(image.clone());
        record.tables = active.all_tables();
        let (round, vetoed) = (record.round, record.confetti.len());
        if vetoed > 0 {
            let (pixels, were) = if vetoed == 1 { ("pixel", "was") } else { ("pixels", "were") };
            let text = format!("round {round}: {vetoed} {pixels} of the model {were} confetti and {were} vetoed");
            self.note(Level::Warning, text);
        }
    }
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
