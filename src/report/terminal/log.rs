//! Events as log lines.

use crate::campaign::events::{Consumer, Event};
use crate::campaign::record::Level;
use crate::report::words;

/// Writes events as `tracing` records: rounds and messages as info (or graver), steps and progress as debug.
#[derive(Debug, Default, Clone, Copy)]
pub struct Log;

impl Consumer for Log {
    fn event(&self, event: &Event) {
        match event {
            Event::CampaignStarted { name, datasets, rounds } => {
                tracing::info!(campaign = %name, datasets = datasets.len(), rounds, "campaign started");
            }
            Event::RoundStarted { place, about } => {
                tracing::info!(dataset = %place.dataset, round = place.at.round, attempt = place.at.attempt, "round started: {about}");
            }
            Event::StepStarted { place, step, .. } => {
                tracing::debug!(dataset = %place.dataset, round = place.at.round, "{}", words::step(*step));
            }
            Event::Progress { place, fraction, words: text, .. } => {
                tracing::trace!(dataset = %place.dataset, round = place.at.round, fraction, "{text}");
            }
            Event::StepFinished { place, step, end, seconds } => {
                tracing::debug!(dataset = %place.dataset, round = place.at.round, seconds, ?end, "{}: ended", words::step(*step));
            }
            Event::RoundFinished { place, verdict, why, rms, peak, dynamic_range } => {
                tracing::info!(dataset = %place.dataset, round = place.at.round, rms, peak, dynamic_range, "round {}: {why}", words::verdict(*verdict));
            }
            Event::DatasetFinished { dataset, state, best_round } => {
                tracing::info!(dataset = %dataset, best_round, "measurement set {}", words::state(*state));
            }
            Event::CampaignFinished { state } => tracing::info!("campaign {}", words::state(*state)),
            Event::Message { dataset, level, text } => {
                let dataset = dataset.as_deref();
                match level {
                    Level::Info => tracing::info!(dataset, "{text}"),
                    Level::Warning => tracing::warn!(dataset, "{text}"),
                    Level::Error => tracing::error!(dataset, "{text}"),
                }
            }
        }
    }
}
