//! The start of a run: what a changed plan invalidates, and the working copies.

use super::DatasetRun;
use super::step::StepSpec;
use crate::Result;
use crate::campaign::journal::{Column, JournalEvent, StepId, StepKey};
use crate::campaign::record::Level;
use crate::campaign::steps::Prepared;
use crate::util::fs;

impl DatasetRun<'_> {
    /// Journals the start, and says what a changed campaign file invalidates.
    pub(super) fn announce(&mut self) -> Result<()> {
        let earlier = self.journal.entries().iter().rev().find_map(|entry| match &entry.event {
            JournalEvent::Run { plan, .. } => Some(plan),
            _ => None,
        });
        if let Some(earlier) = earlier.filter(|_| self.reported_until.is_none()) {
            let now = &self.settings.plan_hashes;
            let changed: Vec<&str> =
                now.iter().filter(|(name, hash)| earlier.get(*name) != Some(hash)).map(|(n, _)| n.as_str()).collect();
            let text = if changed.is_empty() {
                "resuming; the plan has not changed".to_string()
            } else {
                let parts = changed.join(", ");
                format!(
                    "resuming; the plan has changed in {parts}: steps from there on whose inputs differ are done again"
                )
            };
            self.events.message(Some(&self.settings.name), Level::Info, text);
        }
        self.journal.append(JournalEvent::Run {
            version: env!("CARGO_PKG_VERSION").into(),
            plan: self.settings.plan_hashes.clone(),
        })?;
        Ok(())
    }

    pub(super) fn prepare(&mut self) -> Result<Prepared> {
        let identity = match self.backend.data_identity() {
            Ok(identity) => identity,
            // The user's measurement sets may have been moved or removed since the working copies were made.
            Err(e) => {
                let Some(prepared) = self.working_copy() else { return Err(e) };
                self.note(Level::Warning, format!("{e}; going on with the working copy"));
                return Ok(prepared);
            }
        };
        let root = self.settings.layout.root();
        let (data, logs) = (root.join("data"), root.join("logs"));
        fs::make(&data)?;
        fs::make(&logs)?;
        let context = self.context_of_preparing(data, logs.join("prepare.log"));
        let corrected = (0..self.settings.sources.len().max(1)).map(Column::Corrected);
        let touches: Vec<Column> = std::iter::once(Column::Model).chain(corrected).collect();
        let spec = StepSpec { id: StepId::PREPARE, key: StepKey::of_data(&identity), touches: &touches };
        self.step(spec, Prepared::is_there, |run| run.backend.prepare(&context))
    }

    /// The working copies of an earlier run, if they are still there.
    fn working_copy(&self) -> Option<Prepared> {
        let key = self.journal.last_key(StepId::PREPARE)?;
        self.finished(StepId::PREPARE, key, Prepared::is_there)
    }
}
