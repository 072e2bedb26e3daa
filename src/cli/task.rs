//! `cleanloop task DIR`: what a job of a campaign does. Written into job scripts by `cleanloop run`, not typed by people.

use super::run::settings;
use crate::batch_system::slurm::Slurm;
use crate::campaign::events::{Emitter, Log};
use crate::campaign::run::batch::{self, Follow, TaskOf};
use crate::process::interrupt;
use crate::{Error, ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `task`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The campaign folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Hash of the plan that the job was submitted for.
    #[arg(long, value_name = "HASH")]
    pub plan: String,

    /// A round of one measurement set.
    #[arg(long, requires = "index")]
    pub round: Option<usize>,

    /// Index of the measurement set of the array's index 0.
    #[arg(long, default_value_t = 0)]
    pub offset: usize,

    /// Index of the measurement set in the array.
    #[arg(long)]
    pub index: Option<usize>,

    /// What is done once before this round, from all measurement sets.
    #[arg(long, conflicts_with = "round", requires = "generation")]
    pub barrier: Option<usize>,

    /// The run that the barrier belongs to.
    #[arg(long)]
    pub generation: Option<u32>,

    /// Look after the other jobs: submit lost ones again, renew the report.
    #[arg(long, conflicts_with_all = ["round", "barrier"])]
    pub steward: bool,
}

/// Does the work of the job.
///
/// # Errors
/// As the work itself; exit statuses other than 0 keep Slurm from starting the jobs that depend on this one.
pub fn run(args: Args) -> Result<ExitStatus> {
    interrupt::install().map_err(Error::internal)?;
    let plan = batch::frozen_plan(&args.folder)?;
    let settings = settings("", false, Follow::Detach);
    let events = Emitter::new(vec![Box::new(Log)]);
    match (args.round, args.barrier, args.steward) {
        (Some(round), _, _) => {
            let index = args.offset + args.index.unwrap_or_default();
            batch::task(&plan, &args.plan, TaskOf { round, index }, &settings, &events)?;
            // That a measurement set diverged is in its record; the job did its work.
            Ok(ExitStatus::Done)
        }
        (_, Some(round), _) => {
            batch::barrier(&plan, &args.plan, round, args.generation.unwrap_or_default(), &settings, &events)?;
            Ok(ExitStatus::Done)
        }
        (_, _, true) => batch::steward(&plan, &settings, &events, &Slurm),
        _ => Err(Error::bad_input("task: one of --round, --barrier and --steward is needed")),
    }
}
