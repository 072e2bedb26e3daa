//! Removing files of old rounds, where the folder takes more than it may.

use super::DatasetRun;
use super::archive;
use super::kept::Attempted;
use crate::Result;
use crate::campaign::journal::JournalEvent;
use crate::campaign::layout::AttemptId;
use crate::campaign::record::Level;
use crate::campaign::rules::acceptance::{best_accepted, last_accepted};
use crate::campaign::rules::budget::{self, AttemptFiles, Chosen};
use crate::util::fs;

const GB: f64 = 1e9;

impl DatasetRun<'_> {
    /// Removes files of old rounds until the folder keeps its budget, or nothing more may go.
    pub(super) fn keep_budget(&mut self) -> Result<()> {
        let Some(limit) = self.settings.disk_budget else { return Ok(()) };
        let root = self.settings.layout.root();
        let attempts = self.attempt_files();
        let wanted = archive::Wanted::of(&self.settings.archive, root, &self.settings.name);
        let chosen = budget::choose(limit, root, &attempts, &|file| wanted.holds(file));
        self.remove(&chosen)?;
        if chosen.left > limit && !self.over_budget {
            self.over_budget = true;
            let (left, limit) = (chosen.left as f64 / GB, limit as f64 / GB);
            let text = format!(
                "the folder takes {left:.3} GB, more than its part of the disk budget ({limit:.3} GB): what is left is \
                 needed (the working copy, tables, the best and the last accepted round). Raise \
                 `campaign.resources.disk_budget_gb`"
            );
            self.note(Level::Warning, text);
        }
        Ok(())
    }

    fn attempt_files(&self) -> Vec<AttemptFiles> {
        let accepted = [last_accepted(&self.history), best_accepted(&self.history)];
        let needed: Vec<AttemptId> = accepted.into_iter().flatten().map(|outcome| outcome.id).collect();
        let files = |a: &Attempted| AttemptFiles {
            folder: self.settings.layout.attempt(a.plan.id),
            needed: needed.contains(&a.plan.id),
            masks: a.given_mask.iter().map(|m| &m.path).chain(a.mask.as_ref().map(|m| &m.path)).cloned().collect(),
            images: vec![a.imaged.products.image.clone(), a.imaged.products.model.clone()],
        };
        self.done.iter().map(files).collect()
    }

    fn remove(&mut self, chosen: &Chosen) -> Result<()> {
        if chosen.files.is_empty() {
            return Ok(());
        }
        // Written down first: a file that is gone without a word would be taken for lost.
        self.journal.append(JournalEvent::Removed { files: chosen.files.clone() })?;
        for file in &chosen.files {
            fs::remove(file)?;
        }
        let (count, size) = (chosen.files.len(), chosen.bytes as f64 / GB);
        self.note(Level::Info, format!("{count} files of old rounds ({size:.3} GB) removed to keep the disk budget"));
        Ok(())
    }
}
