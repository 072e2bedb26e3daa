//! The part of a campaign that one run works on.

use crate::campaign::file::SchedulerKind;
use crate::campaign::plan::{Plan, TargetPlan};
use crate::campaign::record::{CampaignRecord, State};
use crate::{Error, Result};

/// Measurement sets and rounds of one run; by default all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Names of measurement sets; empty: all.
    pub(crate) sets: Vec<String>,
    /// The last round; `None`: that of the campaign.
    pub(crate) until_round: Option<usize>,
}

impl Selection {
    /// Something is left out.
    pub(crate) fn is_partial(&self) -> bool {
        *self != Self::default()
    }

    /// Refuses names that the plan does not have, and parts of campaigns whose jobs go through all of it.
    pub(crate) fn check(&self, plan: &Plan) -> Result<()> {
        if self.is_partial() && plan.scheduler.engine == SchedulerKind::Slurm {
            return Err(Error::bad_input(
                "the jobs of a campaign on Slurm go through all its measurement sets and rounds: run a part of it with \
                 `scheduler: local`",
            ));
        }
        let Some(name) = self.sets.iter().find(|name| plan.targets.iter().all(|target| target.name != **name)) else {
            return Ok(());
        };
        let holds = |target: &&TargetPlan| target.members.iter().any(|set| set.name == *name);
        Err(Error::bad_input(match plan.targets.iter().find(holds) {
            Some(target) => format!(
                "`{name}` is imaged together with others: name what they are together, `{}`, or image each by itself \
                 (`together: none`)",
                target.name
            ),
            None => format!("the campaign has no measurement set named `{name}`"),
        }))
    }

    /// The measurement set is worked on.
    pub(crate) fn has(&self, set: &str) -> bool {
        self.sets.is_empty() || self.sets.iter().any(|name| name == set)
    }

    /// The run goes past the barrier before `round`, which needs all measurement sets.
    pub(crate) fn goes_past(&self, round: usize) -> bool {
        self.sets.is_empty() && self.until_round.is_none_or(|last| round <= last)
    }

    /// The last of the rounds `first` to `last` that is run; `None`: none of them.
    pub(crate) fn until(&self, first: usize, last: usize) -> Option<usize> {
        let until = self.until_round.unwrap_or(last).min(last);
        (first <= until).then_some(until)
    }
}

/// How a campaign stands after a part of it was run without a failure: waiting, unless nothing of it is left.
pub(super) fn state_of_part(record: &mut CampaignRecord, state: State) -> State {
    for dataset in &mut record.datasets {
        if dataset.state == State::Running {
            dataset.state = State::Waiting;
        }
    }
    if record.datasets.iter().all(|dataset| dataset.state.is_final()) { state } else { State::Waiting }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_at_its_last_round_or_before_what_needs_all_sets() {
        let all = Selection::default();
        assert!(!all.is_partial() && all.has("a") && all.goes_past(3));
        assert_eq!(all.until(2, 5), Some(5));
        let early = Selection { until_round: Some(3), ..Selection::default() };
        assert_eq!((early.until(0, 1), early.until(2, 5), early.until(4, 5)), (Some(1), Some(3), None));
        assert!(early.goes_past(3) && !early.goes_past(4));
        let one = Selection { sets: vec!["a".into()], until_round: None };
        assert!(one.has("a") && !one.has("b") && !one.goes_past(1));
    }
}
