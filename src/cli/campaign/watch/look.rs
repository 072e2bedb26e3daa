//! What a campaign is at, for those who look on from outside.

use crate::Result;
use crate::campaign::journal::{Journal, JournalEvent, Step, StepId};
use crate::campaign::layout::{AttemptId, Layout};
use crate::campaign::record::DatasetRecord;
use crate::campaign::{Status, status};
use crate::util::lock::{self, CAMPAIGN_LOCK};
use jiff::Timestamp;
use std::path::Path;

/// A campaign, seen from outside.
#[derive(Debug)]
pub(super) struct Progress {
    /// Where it stands.
    pub(super) status: Status,
    /// The steps in hand, in the order of the measurement sets.
    pub(super) in_hand: Vec<StepInHand>,
    /// Whether somebody works on it: a run, or jobs that are queued.
    pub(super) at_work: bool,
}

/// A step that was begun and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepInHand {
    /// The measurement set's name.
    pub(super) dataset: String,
    /// The attempt at a round; `None`: it is before or after the rounds.
    pub(super) attempt: Option<AttemptId>,
    /// The step.
    pub(super) step: Step,
    /// When it was begun.
    pub(super) since: Timestamp,
}

/// Looks at the campaign in `folder`; changes nothing on the disk.
///
/// # Errors
/// A folder without the record of a campaign.
pub(super) fn progress(folder: &Path) -> Result<Progress> {
    let status = status(folder)?;
    let jobs = match &status.jobs {
        None => false,
        // A Slurm that does not answer may still have them.
        Some(Err(_)) => true,
        Some(Ok(jobs)) => jobs.counts.keys().any(|(_, state)| state.is_live()),
    };
    let at_work = jobs || lock::holder(folder, CAMPAIGN_LOCK).is_some();
    let unfinished = status.record.datasets.iter().filter(|dataset| !dataset.state.is_final());
    let in_hand = unfinished.filter_map(|dataset| step_in_hand(folder, dataset)).collect();
    Ok(Progress { status, in_hand, at_work })
}

fn step_in_hand(folder: &Path, dataset: &DatasetRecord) -> Option<StepInHand> {
    let journal = Layout::new(folder.join(&dataset.folder)).journal();
    let mut begun: Option<(StepId, Timestamp)> = None;
    for entry in Journal::read(&journal).ok()? {
        match entry.event {
            JournalEvent::Started { step, .. } => begun = Some((step, entry.time)),
            JournalEvent::Done { step, .. } | JournalEvent::Failed { step, .. } => {
                begun = begun.filter(|(id, _)| *id != step);
            }
            JournalEvent::Interrupted | JournalEvent::Paused { .. } | JournalEvent::Ended { .. } => begun = None,
            _ => {}
        }
    }
    let (id, since) = begun?;
    Some(StepInHand { dataset: dataset.name.clone(), attempt: id.attempt, step: id.step, since })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::{CampaignRecord, State};

    #[test]
    fn the_step_in_hand_is_the_last_that_was_begun_and_has_not_ended() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = DatasetRecord { name: "field".into(), state: State::Running, ..DatasetRecord::default() };
        let record = CampaignRecord { datasets: vec![dataset], ..CampaignRecord::new("field") };
        record.save(folder.path()).unwrap();
        let look = || progress(folder.path()).unwrap();
        assert!(look().in_hand.is_empty() && !look().at_work);

        let mut journal = Journal::open(folder.path().join("journal.jsonl")).unwrap();
        let step = StepId::of(AttemptId::first(1), Step::Image);
        let key = crate::campaign::journal::StepKey::of(&1);
        journal.append(JournalEvent::Started { step, key, touches: Vec::new() }).unwrap();
        let held = lock::Lock::take(folder.path()).unwrap();
        let seen = look();
        assert!(seen.at_work);
        assert_eq!((seen.in_hand[0].step, seen.in_hand[0].attempt), (Step::Image, Some(AttemptId::first(1))));
        drop(held);
        journal.append(JournalEvent::Failed { step, error: "no".into() }).unwrap();
        assert!(look().in_hand.is_empty() && !look().at_work);
    }
}
