//! Slurm, for campaigns with `scheduler: slurm`.

use super::check::{Check, Health, Trial};
use crate::process::{Said, capture, find_program};
use std::time::{Duration, Instant};

const AREA: &str = "batch system";
/// The Slurm of the tests (Debian 12).
const TRIED: &str = "22.05";
/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Whether jobs can be submitted here: the controller is asked what it would do with one.
pub(super) fn check() -> Check {
    let check = |health| Check { tried: Some(TRIED), ..Check::new(AREA, "slurm", health) };
    if find_program("sbatch").is_none() {
        return Check {
            about: "campaigns with `scheduler: slurm` run where jobs are submitted; others need no Slurm".into(),
            ..check(Health::Absent)
        };
    }
    let version = say(&["sbatch", "--version"]).map(|said| said.out.trim().replace("slurm-wlm ", ""));
    let found = version.unwrap_or_default();
    let started = Instant::now();
    let answer = say(&["sbatch", "--test-only", "--wrap=true"]);
    let seconds = started.elapsed().as_secs_f64();
    let error = match &answer {
        Some(Said { status: Some(0), .. }) => None,
        Some(Said { status: None, .. }) => Some(format!("no answer within {} s", LIMIT.as_secs())),
        Some(said) => said.err.trim().lines().next_back().map(str::to_owned),
        None => Some("sbatch cannot be started".into()),
    };
    let health = if error.is_none() { Health::Good } else { Health::Warning };
    Check {
        found,
        about: partitions(),
        remedy: (health == Health::Warning)
            .then(|| "ask whoever looks after this Slurm; campaigns without `scheduler: slurm` do not need it".into()),
        trial: Some(Trial { what: "sbatch --test-only", seconds, error }),
        ..check(health)
    }
}

/// The partitions with their time limits and numbers of nodes.
fn partitions() -> String {
    let words = ["sinfo", "--noheader", "--format=%P, %D nodes, time limit %l"];
    let said = say(&words).filter(|said| said.status == Some(0));
    let lines: Vec<String> = said.iter().flat_map(|said| said.out.lines().map(|l| format!("partition {l}"))).collect();
    lines.join("\n")
}

fn say(words: &[&str]) -> Option<Said> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    capture(&words, LIMIT, "").ok()
}
