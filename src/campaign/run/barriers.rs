//! The order of a campaign's work as far as measurement sets wait for each other.
//!
//! Rounds of one measurement set follow each other; those of different ones are independent, until a round needs
//! something that is made from all of them (a field mask): before it stands a barrier.

use crate::campaign::plan::Plan;

/// A stretch of the work; one begins when the one before it has ended for every measurement set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Each measurement set goes through these rounds, however far the others are.
    Rounds {
        /// First round.
        first: usize,
        /// Last round.
        last: usize,
    },
    /// Work that is done once, from all measurement sets, before this round.
    Barrier {
        /// The round that waits.
        round: usize,
    },
}

/// The stages of a plan, in order.
pub(crate) fn of(plan: &Plan) -> Vec<Stage> {
    let waits: Vec<bool> = plan.rounds.iter().map(|r| r.waits_for_all).collect();
    split(&waits)
}

/// Stages of rounds of which some (true) wait for all measurement sets; what round 0 waits for is made of the data alone.
///
/// ```text
/// false false true false  ->  rounds 0 to 1, barrier before 2, rounds 2 to 3
/// ```
fn split(waits: &[bool]) -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut first = 0;
    for (round, waits) in waits.iter().enumerate() {
        if *waits {
            if round > 0 {
                stages.push(Stage::Rounds { first, last: round - 1 });
            }
            stages.push(Stage::Barrier { round });
            first = round;
        }
    }
    if !waits.is_empty() {
        stages.push(Stage::Rounds { first, last: waits.len() - 1 });
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&[], &[])]
    #[case(&[true], &[Stage::Barrier { round: 0 }, Stage::Rounds { first: 0, last: 0 }])]
    #[case(&[false, false], &[Stage::Rounds { first: 0, last: 1 }])]
    #[case(&[false, true, true, false], &[
        Stage::Rounds { first: 0, last: 0 }, Stage::Barrier { round: 1 },
        Stage::Rounds { first: 1, last: 1 }, Stage::Barrier { round: 2 }, Stage::Rounds { first: 2, last: 3 },
    ])]
    fn barriers_split_the_rounds(#[case] waits: &[bool], #[case] stages: &[Stage]) {
        assert_eq!(split(waits), stages);
    }
}
