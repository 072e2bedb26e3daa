//! How a campaign ended, from what became of its measurement sets.

use super::side_by_side::Outcomes;
use crate::campaign::plan::Plan;
use crate::campaign::record::State;
use crate::process::interrupt;
use crate::{Error, ExitStatus, Result};

/// How the campaign ended, from what became of each measurement set; an error where some failed.
pub(crate) fn summarise(plan: &Plan, outcomes: Outcomes) -> (State, Result<()>) {
    let mut failures: Vec<(&str, Error)> = Vec::new();
    let (mut diverged, mut converged, mut not_begun) = (0, 0, 0);
    for (set, outcome) in plan.targets.iter().zip(outcomes) {
        match outcome {
            Some(Ok(State::Diverged)) => diverged += 1,
            Some(Ok(State::Converged)) => converged += 1,
            Some(Ok(State::Done | State::Failed | State::Interrupted | State::Waiting)) => {}
            Some(Err(Error::Interrupted)) => return (State::Interrupted, Err(Error::Interrupted)),
            Some(Err(e)) => failures.push((&set.name, e)),
            None | Some(Ok(State::Running)) => not_begun += 1,
        }
    }
    if interrupt::requested() {
        return (State::Interrupted, Err(Error::Interrupted));
    }
    let all = plan.targets.len();
    if all == 1
        && let Some((_, error)) = failures.pop()
    {
        return (State::Failed, Err(error));
    }
    if !failures.is_empty() {
        let mut words = format!("{} of {all} measurement sets failed", failures.len());
        if not_begun > 0 {
            words.push_str(&format!(" and {not_begun} were not begun"));
        }
        for (name, error) in &failures {
            words.push_str(&format!("\n  {name}: {error}"));
        }
        let error = match failures[0].1.exit_status() {
            ExitStatus::BadInput => Error::bad_input(words),
            ExitStatus::Internal => Error::internal(words),
            _ => Error::external(words),
        };
        return (State::Failed, Err(error));
    }
    match (diverged, converged) {
        (0, n) if n == all => (State::Converged, Ok(())),
        (0, _) => (State::Done, Ok(())),
        _ => (State::Diverged, Ok(())),
    }
}
