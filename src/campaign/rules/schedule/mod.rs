//! `solint: auto`: which terms the next round should solve for, and over which intervals. Pure functions.
//!
//! The schedule is a search. From the chain that is in force it lists the chains that may be better, in the order in
//! which self-calibration is done by hand: delays, phases from long intervals to single integrations, amplitudes on top
//! of the fastest phases, again from long to short, last amplitudes and phases together; then all terms again with the
//! better model. The first one that was not tried against this model, and whose solutions will have enough S/N, is the
//! choice; the image decides what becomes of it. All state comes from the history of attempts, so a resumed campaign
//! chooses as the interrupted one did.
//!
//! | file | holds |
//! |---|---|
//! | `types`, `options` | what goes in and comes out |
//! | `estimate` | S/N of an antenna in an interval, from tables and image; intervals that divide a scan |
//! | `state` | the history: the chain in force, what was tried, what it gained |
//! | `sharing` | one solution for both polarisations, for all windows |
//! | `phases`, `amplitudes` | the chains that may follow |
//! | `sets` | several measurement sets of one image, whose S/N differ |
//! | `course` | their order, what speaks against each, the end |
//! | `tables` | tables that are refused, antennas that are hopeless |

mod amplitudes;
mod course;
mod estimate;
mod options;
mod phases;
mod sets;
mod sharing;
mod state;
mod tables;
#[cfg(test)]
mod tests;
mod types;

pub use estimate::{antenna_snr, interval_for_snr};
pub use options::SolintOptions;
pub use sets::{SetSignal, best_over_mean, chains_of_sets};
pub use tables::{hopeless_antennas, refused};
pub use types::{Choice, ImageSignal, Interval, Limit, Observation, Sharing, TermChoice, Tried, Weighed};

use course::Course;

/// Antennas below which the formula has no meaning (N - 3 must be positive) and phases do not close.
pub const MIN_ANTENNAS: usize = 4;

/// The chain of the next attempt, given those so far (oldest first) and the last accepted image.
///
/// `rounds_left` counts the rounds that may still be calibrated, this one included: the last one is for amplitudes.
pub fn choose(
    history: &[Tried],
    image: &ImageSignal,
    observation: &Observation,
    rounds_left: usize,
    options: &SolintOptions,
) -> Choice {
    let stop = |limit: Limit, why: String| Choice::Stop { why, limit };
    if observation.antennas < MIN_ANTENNAS {
        let why = format!("{} antennas cannot be self-calibrated, {MIN_ANTENNAS} can", observation.antennas);
        return stop(Limit::NothingToCalibrateOn, why);
    }
    if observation.integration_s <= 0.0 || observation.total_s() <= 0.0 {
        return stop(Limit::NothingToCalibrateOn, "the time on source or the integration time is not known".into());
    }
    if rounds_left == 0 {
        return stop(Limit::Rounds, "no round is left".into());
    }
    Course::new(history, image, observation, rounds_left, options).choose()
}
