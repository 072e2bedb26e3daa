//! A run that follows its jobs, and the job that looks after them when no run does.

use super::cancel::cancel;
use super::dataset_file::{DATASET_RECORD, read_dataset};
use super::decide::{NextJob, Outlook};
use super::{Batch, Follow};
use crate::batch_system::slurm::{BatchSystem, TaskState};
use crate::campaign::events::{Event, Place};
use crate::campaign::file::TimeLimit;
use crate::campaign::plan::TargetPlan;
use crate::campaign::record::{CampaignRecord, DatasetRecord, Level, State};
use crate::campaign::run::{self, CampaignRun, Outcome, note_tools};
use crate::process::interrupt;
use crate::util::lock::{CAMPAIGN_LOCK, Lock, STEWARD};
use crate::{Error, Result};
use std::time::{Duration, Instant};

/// Submits the campaign's jobs and follows them as `follow` says. The caller holds the campaign's lock.
///
/// # Errors
/// As [`run::run`]; data that cannot be worked with; also a Slurm that does not answer or refuses.
pub(crate) fn run(campaign: CampaignRun<'_>, mut record: CampaignRecord, system: &dyn BatchSystem) -> Result<Outcome> {
    let CampaignRun { plan, events, .. } = campaign;
    let follow = campaign.settings.follow;
    check_data(campaign)?;
    let mut batch = Batch::new(campaign, system);
    batch.begin()?;
    run::freeze(campaign)?;
    campaign.announce();
    let TimeLimit(poll) = plan.scheduler.poll;
    let mut due = Instant::now();
    loop {
        let outlook = batch.advance()?;
        batch.collect(&mut record, &outlook);
        if !outlook.going_on {
            return finish(&batch, record, &outlook);
        }
        if follow == Follow::Detach || Instant::now() >= due {
            let clock = Instant::now();
            // What people look at must not stop the jobs.
            if let Err(error) = run::show(campaign, record.clone()) {
                events.message(None, Level::Warning, format!("the report could not be renewed: {error}"));
            }
            due = Instant::now() + clock.elapsed() * 9;
        }
        if follow == Follow::Detach {
            let text = format!(
                "the jobs are submitted and go on without this program; `cleanloop status {0}` shows their state, \
                 `cleanloop cancel {0}` ends them",
                plan.output.display()
            );
            events.message(None, Level::Info, text);
            return Ok(Outcome::new(plan, record));
        }
        let waiting = Instant::now();
        while waiting.elapsed() < poll && !interrupt::requested() {
            std::thread::sleep(Duration::from_millis(50).min(poll));
        }
        if interrupt::requested() {
            return interrupted(&mut batch, record, follow);
        }
    }
}

/// Looks into the data that no job has begun with: what cannot be worked with is refused before it waits in a queue.
fn check_data(campaign: CampaignRun<'_>) -> Result<()> {
    let CampaignRun { plan, events, .. } = campaign;
    let is_new = |target: &TargetPlan| !plan.layout_of(target).journal().exists();
    for note in plan.check_data_of(&is_new)? {
        events.message(None, Level::Info, note);
    }
    Ok(())
}

fn interrupted(batch: &mut Batch<'_>, mut record: CampaignRecord, follow: Follow) -> Result<Outcome> {
    let output = &batch.campaign.plan.output;
    if follow == Follow::CancelOnInterrupt {
        cancel(output, batch.system)?;
        let outlook = batch.advance()?;
        batch.collect(&mut record, &outlook);
        record.state = State::Interrupted;
        run::show(batch.campaign, record)?;
    } else {
        let text = format!(
            "the jobs go on; the same command follows them again, `cleanloop cancel {}` ends them",
            output.display()
        );
        batch.campaign.events.message(None, Level::Info, text);
    }
    Err(Error::Interrupted)
}

fn finish(batch: &Batch<'_>, record: CampaignRecord, outlook: &Outlook) -> Result<Outcome> {
    let (state, result) = match (&outlook.trouble, outlook.cancelled) {
        (Some(trouble), _) => (State::Failed, Err(Error::external(trouble.clone()))),
        (None, true) => (State::Interrupted, Err(Error::Interrupted)),
        (None, false) => run::summarise(batch.campaign.plan, batch.outcomes(&record, outlook)),
    };
    batch.campaign.end(record, state, result)
}

/// Looks after the campaign once, unless a run that follows its jobs does so.
///
/// # Errors
/// As [`Batch::advance`].
pub(crate) fn steward(campaign: CampaignRun<'_>, system: &dyn BatchSystem) -> Result<()> {
    let CampaignRun { plan, events, .. } = campaign;
    let Ok(_lock) = Lock::take_in_role(&plan.output, CAMPAIGN_LOCK, STEWARD) else {
        events.message(None, Level::Info, "a run follows these jobs; nothing to do");
        return Ok(());
    };
    let mut record = CampaignRecord::load(&plan.output)?;
    let mut batch = Batch::new(campaign, system);
    let outlook = batch.advance()?;
    batch.collect(&mut record, &outlook);
    if outlook.going_on {
        run::show(campaign, record)?;
        return Ok(());
    }
    // Failed measurement sets are in the record; the steward itself did its work.
    let _ = finish(&batch, record, &outlook);
    Ok(())
}

impl Batch<'_> {
    /// Puts the campaign's record together, and emits events for what is new in it.
    pub(crate) fn collect(&mut self, record: &mut CampaignRecord, outlook: &Outlook) {
        for (index, next) in outlook.next.iter().enumerate() {
            let set = &self.campaign.plan.targets[index];
            let layout = self.campaign.plan.layout_of(set);
            let inode = layout.root().join(DATASET_RECORD).metadata().map(|m| std::os::unix::fs::MetadataExt::ino(&m));
            if let Ok(inode) = inode {
                let known = self.records.get(&set.name).is_some_and(|(then, _)| *then == inode);
                if !known && let Some(file) = read_dataset(&layout) {
                    self.tell(&file.dataset);
                    self.records.insert(set.name.clone(), (inode, file));
                }
            }
            if let Some((_, file)) = self.records.get(&set.name) {
                record.datasets[index] = file.dataset.clone();
                record.datasets[index].sources = set.paths();
                note_tools(record, &file.tools);
            }
            let dataset = &mut record.datasets[index];
            dataset.state = match next {
                NextJob::Wait(TaskState::Running) => State::Running,
                NextJob::Submit { .. } if outlook.cancelled => State::Interrupted,
                NextJob::Wait(_) | NextJob::Submit { .. } => State::Waiting,
                NextJob::Over(state) => *state,
                NextJob::Failed | NextJob::GiveUp { .. } => State::Failed,
                NextJob::Cancelled => State::Interrupted,
            };
        }
    }

    fn tell(&mut self, dataset: &DatasetRecord) {
        let reported = self.reported.entry(dataset.name.clone()).or_default();
        for round in dataset.rounds.iter().skip(*reported) {
            let Some(decision) = &round.decision else { break };
            *reported += 1;
            let place = Place { dataset: dataset.name.clone(), at: round.id() };
            self.campaign.events.emit(Event::RoundFinished {
                place,
                verdict: decision.verdict,
                why: decision.summary.clone(),
                rms: round.metrics.as_ref().map(|m| m.rms),
                peak: round.metrics.as_ref().map(|m| m.peak),
                dynamic_range: round.metrics.as_ref().map(|m| m.dynamic_range),
            });
        }
        if dataset.state.is_final() {
            self.campaign.events.emit(Event::DatasetFinished {
                dataset: dataset.name.clone(),
                state: dataset.state,
                best_round: dataset.best_round().map(|r| r.round),
            });
        }
    }

    /// The end of a campaign in the words of a local run.
    fn outcomes(&self, record: &CampaignRecord, outlook: &Outlook) -> Vec<Option<Result<State>>> {
        let outcome = |(index, next): (usize, &NextJob)| match next {
            NextJob::Over(state) => Some(Ok(*state)),
            NextJob::Failed => {
                let messages = &record.datasets[index].messages;
                let why = messages.iter().rev().find(|m| m.level == Level::Error).map(|m| m.text.clone());
                Some(Err(Error::external(why.unwrap_or_else(|| "it failed; see its log".into()))))
            }
            NextJob::Cancelled if outlook.cancelled => Some(Err(Error::Interrupted)),
            _ => None,
        };
        outlook.next.iter().enumerate().map(outcome).collect()
    }
}
