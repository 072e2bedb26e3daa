//! Ending a campaign that is at work.

use super::batch;
use super::{CampaignRun, RunSettings};
use crate::batch_system::ledger::Ledger;
use crate::batch_system::slurm::Slurm;
use crate::campaign::events::Emitter;
use crate::util::lock::{self, CAMPAIGN_LOCK};
use crate::{Error, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time that a run on this machine may take to stop its programs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kind of work that was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// This many jobs.
    Jobs(usize),
    /// A run on this machine.
    Run,
    /// Nothing was at work.
    Nothing,
}

/// Ends the jobs of the campaign in the folder `output`, or its run on this machine.
///
/// # Errors
/// Slurm does not answer; a run on another machine, or one that does not end.
pub(crate) fn cancel(output: &Path, settings: &RunSettings<'_>, events: &Emitter) -> Result<Cancelled> {
    if Ledger::new(output).exists() {
        let count = batch::cancel(output, &Slurm)?;
        let plan = &batch::frozen_plan(output)?;
        // A run that follows the jobs sees that they were cancelled, and writes the record itself.
        batch::steward(CampaignRun { plan, settings, events }, &Slurm)?;
        return Ok(Cancelled::Jobs(count));
    }
    let Some(holder) = lock::holder(output, CAMPAIGN_LOCK) else { return Ok(Cancelled::Nothing) };
    stop_process(output, &holder)?;
    Ok(Cancelled::Run)
}

/// The holder's words are `process 123 on host, since ...`.
fn stop_process(output: &Path, holder: &str) -> Result<()> {
    let host = nix::unistd::gethostname().map(|h| h.to_string_lossy().into_owned()).unwrap_or_default();
    let words: Vec<&str> = holder.split([' ', ',']).collect();
    let (process, theirs) = (words.get(1).and_then(|n| n.parse::<i32>().ok()), words.get(3));
    let Some(process) = process.filter(|_| theirs == Some(&host.as_str())) else {
        return Err(Error::bad_input(format!(
            "{}: {holder} is at work here; end it on its own machine",
            output.display()
        )));
    };
    kill(Pid::from_raw(process), Signal::SIGTERM).map_err(Error::internal)?;
    let waiting = Instant::now();
    while lock::holder(output, CAMPAIGN_LOCK).is_some() {
        if waiting.elapsed() > PATIENCE {
            return Err(Error::external(format!("process {process} has not ended yet")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
