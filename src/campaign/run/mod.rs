//! A whole campaign: the folder and its lock, all measurement sets side by side, the record and the report.

pub(crate) mod barriers;
pub(crate) mod batch;
mod cancel;
mod mask_source;
mod options;
mod record_keeping;
pub(crate) mod renamed_sets;
mod report_refresh;
mod restart;
mod selection;
mod side_by_side;
mod summary;

pub use cancel::Cancelled;
pub(crate) use cancel::cancel;
pub use options::RunOptions;
pub(crate) use record_keeping::{freeze, fresh, note_tools, open_record, plan_hashes, show};
pub(crate) use selection::Selection;
pub(crate) use summary::summarise;

pub(crate) use super::layout::FROZEN_PLAN;

use super::events::{Emitter, Event};
use super::file::SchedulerKind;
use super::plan::{Plan, Share, TargetPlan};
use super::record::{CampaignRecord, DatasetRecord, Level, MessageRecord, State};
use super::rounds::archive;
use super::steps::Backend;
use crate::batch_system::slurm::Slurm;
use crate::process::interrupt;
use crate::util::lock::Lock;
use crate::{Error, ExitStatus, Result};
use batch::Follow;
use report_refresh::ReportRefresh;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the frozen copy of the campaign file.
pub(crate) const FROZEN_CONFIG: &str = "campaign.yaml";

/// How long a run waits for the steward of the campaign's jobs, which holds the lock while it looks after them.
const STEWARD_PATIENCE: Duration = Duration::from_secs(30);

/// Writes what people look at from a campaign's record, again and again while the campaign runs.
pub trait ReportWriter: Send + Sync {
    /// Writes (or renews) the report of `record` in the campaign folder `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    fn write(&self, record: &CampaignRecord, folder: &Path) -> Result<()>;
}

/// Outcome of a campaign's run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Done, converged or diverged; waiting after a run of a part of it; running where its jobs go on by themselves.
    pub state: State,
    /// The campaign folder.
    pub folder: PathBuf,
    /// Everything that was recorded of the campaign.
    pub record: CampaignRecord,
}

impl Outcome {
    fn new(plan: &Plan, record: CampaignRecord) -> Self {
        Self { state: record.state, folder: plan.output.clone(), record }
    }

    /// The exit status that stands for this end: that of a diverged campaign, or success.
    pub fn exit_status(&self) -> ExitStatus {
        if self.state == State::Diverged { ExitStatus::Diverged } else { ExitStatus::Done }
    }
}

/// Settings of a run apart from the plan.
pub(crate) struct RunSettings<'a> {
    /// Put what earlier runs left aside, and start from the beginning.
    pub(crate) restart: bool,
    /// The command line, for the record.
    pub(crate) command_line: Vec<String>,
    /// The campaign file's text.
    pub(crate) config: String,
    /// Writes the report into the campaign folder; `None`: there is no report.
    pub(crate) report: Option<&'a dyn ReportWriter>,
    /// Makes the backend of one measurement set.
    pub(crate) backend: &'a MakeBackend,
    /// How a run on Slurm accompanies its jobs.
    pub(crate) follow: Follow,
    /// Work that is done once, from all measurement sets, before a round that waits for all of them
    /// ([`super::plan::RoundPlan::waits_for_all`]): gets the round and the records so far.
    pub(crate) at_barrier: &'a AtBarrier,
    /// Work that is done once when all measurement sets have ended well.
    pub(crate) at_end: &'a AtEnd,
    /// The part of the campaign that is run.
    pub(crate) selection: Selection,
}

/// The work at a barrier.
pub(crate) type AtBarrier = dyn Fn(&Plan, usize, &[DatasetRecord], &Emitter) -> Result<()> + Sync;

/// The work at the end.
pub(crate) type AtEnd = dyn Fn(&Plan, &mut CampaignRecord, &Emitter) -> Result<()> + Sync;

/// Makes the backend of one target with its share of the machine. All of them share the plan.
pub(crate) type MakeBackend = dyn for<'p> Fn(&'p Plan, &TargetPlan, Share) -> Result<Box<dyn Backend + 'p>> + Sync;

/// A campaign that is run: plan, settings and receiver of events.
#[derive(Clone, Copy)]
pub(crate) struct CampaignRun<'a> {
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// Settings of this run.
    pub(crate) settings: &'a RunSettings<'a>,
    /// Receives what happens.
    pub(crate) events: &'a Emitter,
}

/// Runs (or resumes) the campaign.
///
/// # Errors
/// The folder is in use or belongs to another campaign; the failure of the only measurement set, or of some of many;
/// an interruption.
pub(crate) fn run(plan: &Plan, settings: &RunSettings<'_>, events: &Emitter) -> Result<Outcome> {
    settings.selection.check(plan)?;
    let _lock = take_lock(&plan.output, events)?;
    let slurm = plan.scheduler.engine == SchedulerKind::Slurm;
    if settings.restart {
        batch::refuse_if_queued(&plan.output, &Slurm, "and --restart would take its folder away")?;
        restart::put_aside(plan, events)?;
    }
    let identity = |set: &TargetPlan| (settings.backend)(plan, set, Share::of(plan))?.data_identity();
    let plan = &renamed_sets::under_known_names(plan, &identity, events);
    if !slurm {
        batch::refuse_if_queued(&plan.output, &Slurm, "and this run is not on Slurm")?;
    }
    let campaign = CampaignRun { plan, settings, events };
    let record = open_record(campaign)?;
    if slurm { batch::run(campaign, record, &Slurm) } else { campaign.run_here(record) }
}

impl CampaignRun<'_> {
    /// Runs the campaign on this machine.
    fn run_here(self, record: CampaignRecord) -> Result<Outcome> {
        freeze(self)?;
        self.announce();
        let show_one = |record: &CampaignRecord| show(self, record.clone());
        let failed = |error: &Error| {
            self.events.message(None, Level::Warning, format!("the report could not be renewed: {error}"));
        };
        let refresh = ReportRefresh::new(record, &show_one, &failed);
        let outcomes = refresh.during(|| side_by_side::run_stages(self, &refresh));
        let mut record = refresh.into_record();
        let (mut state, result) = match outcomes {
            Ok(outcomes) => summarise(self.plan, outcomes),
            Err(Error::Interrupted) => (State::Interrupted, Err(Error::Interrupted)),
            Err(error) => (State::Failed, Err(error)),
        };
        if self.settings.selection.is_partial() && result.is_ok() {
            state = selection::state_of_part(&mut record, state);
        }
        self.end(record, state, result)
    }

    /// Records how the campaign ended, and collects its archive.
    pub(crate) fn end(self, mut record: CampaignRecord, mut state: State, mut result: Result<()>) -> Result<Outcome> {
        if result.is_ok() && state.is_final() {
            result = (self.settings.at_end)(self.plan, &mut record, self.events);
            match &result {
                Ok(()) => {}
                Err(Error::Interrupted) => state = State::Interrupted,
                Err(error) => {
                    state = State::Failed;
                    let text = error.to_string();
                    record.messages.push(MessageRecord { at: Some(jiff::Timestamp::now()), level: Level::Error, text });
                }
            }
        }
        record.state = state;
        record.finished = Some(jiff::Timestamp::now());
        self.count_warnings(&mut record);
        let mut shown = show(self, record.clone());
        if !matches!(state, State::Interrupted | State::Waiting) {
            shown = shown.and_then(|()| self.collect_archive());
        }
        self.events.emit(Event::CampaignFinished { state });
        result.and(shown)?;
        Ok(Outcome::new(self.plan, record))
    }

    /// Records the warnings that programs gave, each once with the number of calls that gave it.
    fn count_warnings(self, record: &mut CampaignRecord) {
        for (warning, count) in self.events.program_warnings() {
            let text = match count {
                1 => format!("{} warns: {}", warning.program, warning.text),
                _ => format!("{} warns in {count} calls: {}", warning.program, warning.text),
            };
            if count > 1 {
                self.events.message(Some(&warning.dataset), Level::Info, text.as_str());
            }
            if let Some(dataset) = record.datasets.iter_mut().find(|dataset| dataset.name == warning.dataset) {
                dataset.messages.push(MessageRecord { at: record.finished, level: Level::Info, text });
            }
        }
    }

    /// Says what is about to be run, and what of the file is not.
    pub(crate) fn announce(self) {
        let CampaignRun { plan, events, .. } = self;
        events.emit(Event::CampaignStarted {
            name: plan.name.clone(),
            datasets: plan.targets.iter().map(|s| s.name.clone()).collect(),
            rounds: plan.rounds_to_run().len(),
        });
        for text in &plan.warnings {
            events.message(None, Level::Warning, text);
        }
        if !plan.not_run.is_empty() {
            let text = format!("parts of the strategy that are not run: {}", plan.not_run.join(", "));
            events.message(None, Level::Info, text);
        }
    }

    /// Collects what the archive is to hold of the campaign as a whole: report, field images, campaign file, record.
    fn collect_archive(self) -> Result<()> {
        let CampaignRun { plan, events, .. } = self;
        if plan.archive.is_empty() {
            return Ok(());
        }
        let made = archive::collect(&plan.archive, &plan.output, archive::ArchivePart::Campaign, "campaign")?;
        for pattern in
            made.unmatched.iter().filter(|pattern| archive::is_of_the_campaign(pattern) && !pattern.contains('*'))
        {
            events.message(None, Level::Warning, format!("archive: no file matches the pattern `{pattern}`"));
        }
        Ok(())
    }
}

/// The campaign's lock. The steward of its jobs holds it for a moment only: that is waited for.
fn take_lock(output: &Path, events: &Emitter) -> Result<Lock> {
    let waiting = Instant::now();
    let mut said = false;
    loop {
        match Lock::take(output) {
            Err(error) if error.is_passing() && waiting.elapsed() < STEWARD_PATIENCE => {
                if !said && waiting.elapsed() > Duration::from_secs(1) {
                    events.message(None, Level::Info, "the steward of the jobs is at work here: waiting for it");
                    said = true;
                }
                interrupt::check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            taken => return Ok(taken?),
        }
    }
}
