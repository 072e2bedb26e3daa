//! Measuring an attempt, and writing down its judgement.

use super::DatasetRun;
use super::kept::Attempted;
use super::step::StepSpec;
use crate::Result;
use crate::campaign::events::Event;
use crate::campaign::journal::{JournalEvent, Step, StepId, StepKey};
use crate::campaign::layout::AttemptId;
use crate::campaign::record::{DecisionRecord, Level, State};
use crate::campaign::rules::acceptance::{Decision, RoundMetrics, RoundOutcome, best_accepted, why_best};
use crate::campaign::steps::AttemptPlan;
use crate::quality::metrics::{ImageMetrics, RoundFiles};
use crate::quality::solutions::SolutionStats;

impl DatasetRun<'_> {
    /// Measures the images; islands are those of the mask of `base`, whose image is the one before.
    pub(super) fn measure(&mut self, attempted: &Attempted, base: Option<&Attempted>) -> Result<ImageMetrics> {
        let products = &attempted.imaged.products;
        let files = RoundFiles {
            image: products.image.clone(),
            residual: Some(products.residual.clone()),
            model: Some(products.model.clone()),
            mask: attempted.mask.as_ref().map(|m| m.path.clone()),
            islands: base.and_then(|b| b.mask.as_ref()).map(|m| m.path.clone()),
            before: base.map(|b| b.imaged.products.image.clone()),
        };
        let base_key = base.map(|b| &b.image_key);
        let spec = StepSpec {
            id: StepId::of(attempted.plan.id, Step::Metrics),
            key: StepKey::of(&("noise and metrics", &attempted.image_key, &attempted.mask_key, base_key)),
            touches: &[],
        };
        self.step(spec, |_| true, |run| run.backend.measure(&files))
    }

    /// Writes the decision into journal, record and history; `kept` is the attempt, if it imaged.
    pub(super) fn conclude(
        &mut self,
        id: AttemptId,
        kept: Option<Attempted>,
        decision: Decision,
        metrics: RoundMetrics,
    ) -> Result<Decision> {
        self.journal_decision(id, &decision, &metrics)?;
        let image = (!metrics.image.non_finite && kept.is_some()).then_some(&metrics.image);
        if !self.was_reported() {
            self.events.emit(Event::RoundFinished {
                place: self.place.clone(),
                verdict: decision.verdict,
                why: decision.summary(),
                rms: image.map(|m| m.rms),
                peak: image.map(|m| m.peak),
                dynamic_range: image.map(|m| m.dynamic_range),
            });
        }
        for warning in decision.warnings() {
            self.note(Level::Warning, format!("round {}: {}", id.round, warning.words));
        }
        let record = self.current();
        record.state = State::Done;
        record.finished = Some(jiff::Timestamp::now());
        record.decision = Some(DecisionRecord::from(&decision));
        self.done.extend(kept);
        self.history.push(RoundOutcome { id, metrics, decision: decision.clone() });
        self.choose_best();
        self.keep_budget()?;
        Ok(decision)
    }

    fn journal_decision(&mut self, id: AttemptId, decision: &Decision, metrics: &RoundMetrics) -> Result<()> {
        let step = StepId::of(id, Step::Decide);
        let key = StepKey::of(&("decision", metrics, &self.settings.acceptance));
        if self.journal.done(step, &key).is_none() {
            let result = serde_json::to_value(decision).expect("decisions are plain data");
            self.journal.append(JournalEvent::Done { step, key, touches: Vec::new(), seconds: 0.0, result })?;
        }
        Ok(())
    }

    fn choose_best(&mut self) {
        let Some(best) = best_accepted(&self.history) else { return };
        self.record.best = self.record.rounds.iter().position(|r| r.id() == best.id);
        self.record.best_why = why_best(&self.history).unwrap_or_default();
    }
}

/// The metrics of an attempt before it images.
pub(super) fn metrics_of_tables(plan: &AttemptPlan, solutions: Option<SolutionStats>) -> RoundMetrics {
    RoundMetrics {
        solutions,
        first_interval: plan.first_interval,
        amplitudes: plan.amplitudes(),
        by_direction: plan.facets.is_some(),
        interval_chosen: plan.interval_chosen(),
        ..RoundMetrics::default()
    }
}
