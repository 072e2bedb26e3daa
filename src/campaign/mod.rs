//! Self-calibration campaigns: from a campaign file over its plan to a run with journal, record and report.
//!
//! [`Campaign`] is the way in:
//!
//! ```no_run
//! use cleanloop::campaign::{Campaign, RunOptions};
//!
//! let plan = Campaign::load("campaign.yaml")?.plan()?;
//! println!("{plan}");
//! let outcome = plan.run(RunOptions::default())?;
//! println!("{}: {:?}", outcome.folder.display(), outcome.state);
//! # Ok::<(), cleanloop::Error>(())
//! ```
//!
//! The rooms, bottom to top; each may use those before it: `layout` (places in a campaign folder), [`rules`] (pure
//! decisions), [`file`](mod@file) (the campaign file), [`plan`] (everything resolved), `journal`, [`record`],
//! [`events`], [`steps`] (what the loop asks of programs), `rounds` (the loop), `run` (measurement sets side by side,
//! on this machine or as jobs). This module puts the real programs behind the loop.

mod apply;
mod choice;
pub mod events;
pub mod file;
mod final_imaging;
pub(crate) mod journal;
pub(crate) mod layout;
pub mod plan;
pub mod record;
pub(crate) mod rounds;
pub mod rules;
pub(crate) mod run;
#[doc(hidden)]
pub mod steps;

pub use apply::{ApplyRequest, apply};
pub use choice::{ChoiceRequest, choose};
pub(crate) use run::batch::{BarrierOf, TaskOf};
pub use run::batch::{Follow, JobsStatus};
pub use run::{Cancelled, Outcome, ReportWriter, RunOptions};

use crate::Result;
use crate::batch_system::slurm::{Slurm, SlurmError};
use events::Emitter;
use file::{CampaignFile, Overrides, StartColumn};
use plan::Plan;
use record::CampaignRecord;
use run::batch;
use run::{CampaignRun, RunSettings};
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use steps::programs::Programs;
use steps::{cube, field, final_data};

/// A campaign file that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    file: CampaignFile,
}

impl Campaign {
    /// Reads and checks a campaign file.
    ///
    /// # Errors
    /// The file cannot be read, or has mistakes: all of them are in the error.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, &Overrides::default())
    }

    /// As [`Campaign::load`], with values that go before those of the file.
    ///
    /// # Errors
    /// As [`Campaign::load`]; also mistakes in the values.
    pub fn load_with(path: impl AsRef<Path>, overrides: &Overrides) -> Result<Self> {
        Ok(Self { file: file::load(path.as_ref(), overrides)? })
    }

    /// The campaign file.
    pub fn file(&self) -> &CampaignFile {
        &self.file
    }

    /// Finds the measurement sets and resolves all options of every round.
    ///
    /// # Errors
    /// A measurement set that does not exist, an environment variable that is not set, options that do not go together.
    pub fn plan(&self) -> Result<CampaignPlan> {
        let file = choice::filled(&self.file)?;
        Ok(CampaignPlan { plan: plan::resolve(&file)?, config: file.text })
    }
}

/// The [`Plan`] of a campaign, ready to run: it can be printed, hashed ([`Plan::hash`]) and saved ([`Plan::save`]).
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignPlan {
    plan: Plan,
    /// The campaign file's text.
    config: String,
}

impl CampaignPlan {
    /// The imaging of one round alone, without calibration; see [`Plan::imaging_alone`].
    ///
    /// # Errors
    /// There is no such round.
    pub fn imaging_alone(self, round: usize, column: Option<StartColumn>) -> Result<Self> {
        Ok(Self { plan: self.plan.imaging_alone(round, column)?, ..self })
    }

    /// Runs the campaign; one that was interrupted goes on after the last step that is done.
    ///
    /// # Errors
    /// The folder is in use or belongs to another campaign; the failure of the only measurement set, or of some of many;
    /// an interruption. What was done is kept in the campaign folder in any case.
    pub fn run(mut self, options: RunOptions) -> Result<Outcome> {
        if options.threads.is_some() {
            self.plan.resources.threads = options.threads;
        }
        with_real_programs(self.config, options, |settings, events| {
            let outcome = run::run(&self.plan, settings, events)?;
            final_imaging::run_all(&self.plan, settings, events, outcome)
        })
    }

    /// Makes one final image of a campaign that has ended (`campaign: final_imaging`).
    ///
    /// # Errors
    /// There is no final imaging of this name; the campaign has not ended; the failure of a program; an interruption.
    pub fn run_final(mut self, name: &str, options: RunOptions) -> Result<Outcome> {
        if options.threads.is_some() {
            self.plan.resources.threads = options.threads;
        }
        with_real_programs(self.config, options, |settings, events| {
            final_imaging::run_alone(&self.plan, name, settings, events)
        })
    }
}

impl Deref for CampaignPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl fmt::Display for CampaignPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

/// Does `work` with the settings of a run that starts the real programs.
fn with_real_programs<T>(
    config: String,
    options: RunOptions,
    work: impl FnOnce(&RunSettings<'_>, &Emitter) -> Result<T>,
) -> Result<T> {
    let selection = options.selection();
    let settings = RunSettings {
        restart: options.restart,
        command_line: options.command_line,
        config,
        report: options.report.as_deref(),
        backend: &|plan, set, share| Ok(Box::new(Programs::new(plan, set, share))),
        follow: options.follow,
        at_barrier: &|plan, round, records, events| {
            let tell = |level, text| events.message(None, level, text);
            match &plan.final_of {
                Some(of) => final_data::make(plan, of, &tell),
                None => field::make(plan, round, records, &tell),
            }
        },
        at_end: &|plan, record, events| {
            if let Some(of) = &plan.final_of {
                let tell = |level, text| events.message(None, level, text);
                record.continuum = final_data::continuum(plan, of);
                record.cubes = cube::finish(plan, of, &record.datasets, &tell)?;
            }
            Ok(())
        },
        selection,
    };
    work(&settings, &Emitter::new(options.consumers))
}

/// The work of one job of a campaign on Slurm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobWork {
    /// A round of one measurement set.
    Round(TaskOf),
    /// The product of all measurement sets before a round.
    Barrier(BarrierOf),
    /// The check of the other jobs.
    Steward,
}

/// Does the work of a job that was submitted for the campaign in `folder` when its plan had the hash `plan_hash`.
///
/// # Errors
/// As the work itself; the plan in the folder is another one.
pub(crate) fn run_job(folder: &Path, plan_hash: &str, job: JobWork, options: RunOptions) -> Result<()> {
    let plan = &batch::frozen_plan(folder)?;
    with_real_programs(String::new(), options, |settings, events| {
        let campaign = CampaignRun { plan, settings, events };
        match job {
            // That a measurement set diverged is in its record; the job did its work.
            JobWork::Round(task) => batch::task(campaign, plan_hash, task).map(drop),
            JobWork::Barrier(barrier) => batch::barrier(campaign, plan_hash, barrier),
            JobWork::Steward => {
                batch::steward(campaign, &Slurm)?;
                final_imaging::go_on(plan, settings, events)
            }
        }
    })
}

/// Ends the campaign in `folder`, its jobs or its run on this machine; what is done is kept.
///
/// # Errors
/// Slurm does not answer; a run on another machine, or one that does not end.
pub fn cancel(folder: &Path, options: RunOptions) -> Result<Cancelled> {
    with_real_programs(String::new(), options, |settings, events| run::cancel(folder, settings, events))
}

/// Where a campaign stands.
#[derive(Debug)]
#[non_exhaustive]
pub struct Status {
    /// Its record, brought up to date.
    pub record: CampaignRecord,
    /// Its jobs, or why Slurm does not say where they are; `None`: it has none.
    pub jobs: Option<std::result::Result<JobsStatus, SlurmError>>,
}

/// Reads where the campaign in `folder` stands; changes nothing on the disk.
///
/// # Errors
/// A folder without the record of a campaign.
pub fn status(folder: &Path) -> Result<Status> {
    let mut record = CampaignRecord::load(folder)?;
    let jobs = batch::status(folder, &mut record, &Slurm)?;
    Ok(Status { record, jobs })
}
