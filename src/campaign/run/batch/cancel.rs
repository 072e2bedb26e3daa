//! Ending the jobs of a campaign, and refusing to work beside them.

use super::decide::of_latest_waves;
use crate::batch_system::ledger::{Ledger, LedgerState};
use crate::batch_system::slurm::BatchSystem;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time that a cancelled job may take to end.
const CANCEL_PATIENCE: Duration = Duration::from_secs(90);
/// After this time jobs that are still there are cancelled again: Slurm may have missed some that were just starting.
const CANCEL_AGAIN: Duration = Duration::from_secs(10);
/// How long a submission may take that has been announced; whoever made it may have died since.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(10);

/// Cancels all jobs of a campaign and waits until they have ended; returns how many were live.
///
/// # Errors
/// Slurm does not answer, or a job does not end.
pub(crate) fn cancel(output: &Path, system: &dyn BatchSystem) -> Result<usize> {
    let ledger = Ledger::new(output);
    let state = ledger.state();
    // First of all nobody must submit them again.
    ledger.set_state(LedgerState { cancelled: true, ..state })?;
    let waiting = Instant::now();
    let mut asked: Option<Instant> = None;
    let mut ended: BTreeSet<(u64, Option<usize>)> = BTreeSet::new();
    loop {
        // Again each time: a run may be submitting at this very moment.
        let (mut jobs, mut on_the_way) = (Vec::new(), 0);
        for submission in ledger.submissions()? {
            match submission.job.map_or_else(|| system.job_named(&submission.name), |job| Ok(Some(job)))? {
                Some(job) => jobs.push(job),
                None => on_the_way += 1,
            }
        }
        let live: Vec<_> = system.tasks(&jobs)?.into_iter().filter(|t| t.state.is_live()).collect();
        if live.is_empty() && (on_the_way == 0 || waiting.elapsed() > SUBMIT_PATIENCE) {
            return Ok(ended.len());
        }
        ended.extend(live.iter().map(|t| (t.job, t.index)));
        if !live.is_empty() && asked.is_none_or(|then| then.elapsed() > CANCEL_AGAIN) {
            let numbers: BTreeSet<u64> = live.iter().map(|t| t.job).collect();
            system.cancel(&numbers.into_iter().collect::<Vec<_>>())?;
            asked = Some(Instant::now());
        }
        if waiting.elapsed() > CANCEL_PATIENCE {
            return Err(Error::external(format!("{} job(s) have not ended yet; `squeue --me` shows them", live.len())));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Refuses where jobs of this campaign are in the queue: they would work on what another run changes.
///
/// # Errors
/// There are such jobs.
pub(crate) fn refuse_if_queued(output: &Path, system: &dyn BatchSystem, why: &str) -> Result<()> {
    let ledger = Ledger::new(output);
    if !ledger.exists() {
        return Ok(());
    }
    let jobs: Vec<u64> = of_latest_waves(&ledger.submissions()?).iter().filter_map(|s| s.job).collect();
    // Where Slurm does not answer, the locks of the measurement sets still protect them.
    let tasks = system.tasks(&jobs).unwrap_or_default();
    match tasks.iter().find(|t| t.state.is_live()) {
        None => Ok(()),
        Some(task) => Err(Error::bad_input(format!(
            "{}: job {} of this campaign is still in Slurm's queue, {why}; wait for it, or end it with `cleanloop cancel {}`",
            output.display(),
            task.job,
            output.display()
        ))),
    }
}
