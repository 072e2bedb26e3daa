//! `cleanloop status DIR`: where a campaign stands, round by round, with the reasons.

use crate::campaign::record::{CampaignRecord, DatasetRecord, RoundRecord};
use crate::campaign::{self, JobsStatus, Status};
use crate::report::words;
use crate::{ExitStatus, Result};
use std::path::PathBuf;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The campaign folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Print the whole record as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints where the campaign stands.
///
/// # Errors
/// A folder without the record of a campaign.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let status = campaign::status(&args.folder)?;
    if args.json {
        println!("{:#}", serde_json::to_value(&status.record).expect("records are plain data"));
    } else {
        print!("{}", all_text(&status));
    }
    Ok(ExitStatus::Done)
}

/// The status and the jobs for people.
pub(super) fn all_text(status: &Status) -> String {
    let jobs = match &status.jobs {
        None => String::new(),
        Some(Ok(jobs)) => jobs_text(jobs),
        Some(Err(error)) => format!("\nSlurm does not say where the jobs are: {error}\n"),
    };
    text(&status.record) + &jobs
}

/// The status for people.
pub(super) fn text(record: &CampaignRecord) -> String {
    let mut out = format!("campaign {}: {}\n", record.name, words::state(record.state));
    for message in &record.messages {
        out.push_str(&format!("  {}\n", message.text));
    }
    for dataset in &record.datasets {
        out.push_str(&dataset_text(dataset));
    }
    out
}

/// The jobs in Slurm, a line for what they do and their state.
fn jobs_text(jobs: &JobsStatus) -> String {
    let mut out = String::from("\njobs in Slurm");
    if jobs.cancelled {
        out.push_str(" (cancelled; `cleanloop run` resumes the campaign)");
    }
    out.push('\n');
    for ((what, state), count) in &jobs.counts {
        out.push_str(&format!("  {what:<14}  {count:>6}  {}\n", state.word().to_lowercase()));
    }
    if jobs.counts.is_empty() {
        out.push_str("  none that Slurm still knows\n");
    }
    out
}

fn dataset_text(dataset: &DatasetRecord) -> String {
    let mut out = format!("\n{}: {}", dataset.name, words::state(dataset.state));
    if !dataset.best_why.is_empty() {
        out.push_str(&format!("; {}", dataset.best_why));
    }
    out.push('\n');
    let end = words::end(dataset);
    if !end.is_empty() {
        out.push_str(&format!("  {end}\n"));
    }
    let width = dataset.rounds.iter().map(|round| words::short_setting(round).chars().count());
    let width = width.max().unwrap_or(0).max(NARROWEST_CALIBRATION);
    if !dataset.rounds.is_empty() {
        let (name, numbers) = ("calibration", "rms, Jy/beam  dynamic range  masked pixels  verdict");
        out.push_str(&format!("  round  try  {name:<width$}  {numbers}\n"));
    }
    for (i, round) in dataset.rounds.iter().enumerate() {
        out.push_str(&round_text(round, dataset.best == Some(i), width));
    }
    for message in &dataset.messages {
        out.push_str(&format!("  {}: {}\n", format!("{:?}", message.level).to_lowercase(), message.text));
    }
    if let Some(line) = &dataset.apply_line {
        out.push_str(&format!("  to apply the best tables elsewhere: {line}\n"));
    }
    out
}

/// Characters of the column of calibrations, at least.
const NARROWEST_CALIBRATION: usize = 14;

fn round_text(round: &RoundRecord, best: bool, width: usize) -> String {
    let calibration = words::short_setting(round);
    let metrics = round.metrics.as_ref();
    let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
    let rms = metrics.map_or("-".into(), |m| format!("{:.3e}", m.rms));
    let masked = metrics.and_then(|m| m.masked_pixels).map_or("-".into(), |n| n.to_string());
    let verdict = match &round.decision {
        Some(decision) => decision.summary.clone(),
        None => words::state(round.state).to_string(),
    };
    format!(
        "{} {:>5}  {:>3}  {calibration:<width$}  {rms:>12}  {:>13}  {masked:>13}  {verdict}\n",
        if best { "*" } else { " " },
        round.round,
        round.attempt,
        number(metrics.map(|m| m.dynamic_range), 0),
    )
}
