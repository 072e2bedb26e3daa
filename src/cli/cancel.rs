//! `cleanloop cancel`: ends a campaign that is at work.

use super::run::settings;
use crate::batch_system::ledger::Ledger;
use crate::batch_system::slurm::Slurm;
use crate::campaign::events::{Emitter, Log};
use crate::campaign::run::batch::{self, Follow};
use crate::campaign::{file, plan};

use crate::util::lock::{self, CAMPAIGN_LOCK};
use crate::{Error, ExitStatus, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a run on this machine may take to stop its programs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The campaign folder, or the campaign file.
    #[arg(value_name = "DIR|CAMPAIGN.yaml")]
    pub campaign: PathBuf,
}

/// Ends the campaign's jobs, or its run on this machine; what is done is kept, and `cleanloop run` goes on from there.
///
/// # Errors
/// No such campaign; Slurm does not answer; a run on another machine.
pub fn run(args: Args) -> Result<ExitStatus> {
    let output = match args.campaign.is_dir() {
        true => args.campaign.clone(),
        false => plan::resolve(&file::load(&args.campaign, &file::Overrides::default())?)?.output,
    };
    if Ledger::new(&output).exists() {
        let count = batch::cancel(&output, &Slurm)?;
        let plan = batch::frozen_plan(&output)?;
        // A run that follows the jobs sees that they were cancelled, and writes the record itself.
        batch::steward(&plan, &settings("", false, Follow::Detach), &Emitter::new(vec![Box::new(Log)]), &Slurm)?;
        println!("{count} job(s) cancelled; `cleanloop run` goes on from what is done");
        return Ok(ExitStatus::Done);
    }
    let Some(holder) = lock::holder(&output, CAMPAIGN_LOCK) else {
        println!("{}: nothing is at work here", output.display());
        return Ok(ExitStatus::Done);
    };
    stop_process(&output, &holder)?;
    println!("the run was ended; `cleanloop run` goes on from what is done");
    Ok(ExitStatus::Done)
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
