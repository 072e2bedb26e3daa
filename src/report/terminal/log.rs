//! Events as log lines.

use crate::campaign::events::{Consumer, Event, Step};
use crate::campaign::record::Level;
use crate::report::words;

/// Version of the format of the lines with `--log-format json`.
pub(super) const FORMAT: u32 = 1;

/// Writes events as `tracing` records: rounds and messages as info (or graver), steps and progress as debug.
#[derive(Debug, Default, Clone, Copy)]
pub struct Log {
    /// Each record has the event's name in its field `event`, for programs.
    pub named: bool,
}

impl Log {
    /// The value of the field `event`; `None` leaves the field out.
    fn named(self, name: &'static str) -> Option<&'static str> {
        self.named.then_some(name)
    }

    /// The value of the field `step`: the step's name in journals.
    fn step(self, step: Step) -> Option<String> {
        self.named.then(|| step.to_string())
    }
}

impl Consumer for Log {
    fn event(&self, event: &Event) {
        match event {
            Event::CampaignStarted { name, datasets, rounds } => {
                tracing::info!(event = self.named("campaign-started"), format = self.named.then_some(FORMAT), campaign = %name, datasets = datasets.len(), rounds, "campaign started");
            }
            Event::RoundStarted { place, about } => {
                tracing::info!(event = self.named("round-started"), dataset = %place.dataset, round = place.at.round, attempt = place.at.attempt, "round started: {about}");
            }
            Event::StepStarted { place, step, .. } => {
                tracing::debug!(event = self.named("step-started"), step = self.step(*step), dataset = %place.dataset, round = place.at.round, "{}", words::step(*step));
            }
            Event::Progress { place, fraction, words: text, .. } => {
                tracing::trace!(event = self.named("progress"), dataset = %place.dataset, round = place.at.round, fraction, "{text}");
            }
            Event::StepFinished { place, step, end, seconds } => {
                tracing::debug!(event = self.named("step-finished"), step = self.step(*step), dataset = %place.dataset, round = place.at.round, seconds, ?end, "{}: ended", words::step(*step));
            }
            Event::RoundFinished { place, verdict, why, rms, peak, dynamic_range } => {
                tracing::info!(event = self.named("round-finished"), verdict = self.named(words::verdict(*verdict)), attempt = place.at.attempt, dataset = %place.dataset, round = place.at.round, rms, peak, dynamic_range, "round {}: {why}", words::verdict(*verdict));
            }
            Event::DatasetFinished { dataset, state, best_round } => {
                tracing::info!(event = self.named("dataset-finished"), state = self.named(words::state(*state)), dataset = %dataset, best_round, "measurement set {}", words::state(*state));
            }
            Event::CampaignFinished { state } => tracing::info!(
                event = self.named("campaign-finished"),
                state = self.named(words::state(*state)),
                "campaign {}",
                words::state(*state)
            ),
            Event::Message { dataset, level, text } => {
                let dataset = dataset.as_deref();
                match level {
                    Level::Info => tracing::info!(event = self.named("message"), dataset, "{text}"),
                    Level::Warning => tracing::warn!(event = self.named("message"), dataset, "{text}"),
                    Level::Error => tracing::error!(event = self.named("message"), dataset, "{text}"),
                }
            }
        }
    }
}
