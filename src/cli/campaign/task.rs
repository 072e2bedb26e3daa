//! `cleanloop task DIR`: what a job of a campaign does. Written into job scripts by `cleanloop run`, not typed by people.

use crate::campaign::{self, BarrierOf, Follow, JobWork, RunOptions, TaskOf};
use crate::process::{interrupt, own};
use crate::report::terminal::Log;
use crate::{Error, ExitStatus, Result, report};
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

    /// Do the work that is needed once before this round, from all measurement sets.
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
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    interrupt::install().map_err(Error::internal)?;
    let job = match (args.round, args.barrier, args.steward) {
        (Some(round), _, _) => JobWork::Round(TaskOf { round, index: args.offset + args.index.unwrap_or_default() }),
        (_, Some(round), _) => JobWork::Barrier(BarrierOf { round, generation: args.generation.unwrap_or_default() }),
        (_, _, true) => JobWork::Steward,
        _ => return Err(Error::bad_input("task: one of --round, --barrier and --steward is needed")),
    };
    campaign::run_job(&args.folder, &args.plan, job, log_only())?;
    Ok(ExitStatus::Done)
}

/// Options of work that nobody watches: the log hears of it, and the report is renewed.
pub(super) fn log_only() -> RunOptions {
    RunOptions {
        consumers: vec![Box::new(Log::default())],
        report: Some(Box::new(report::Html)),
        command_line: own::words(),
        follow: Follow::Detach,
        ..RunOptions::default()
    }
}
