//! `solint: auto`: which solution interval, and which mode, the next round should use. Pure functions.
//!
//! The S/N of one antenna's gain in an interval t follows from the image's, as in NRAO's auto_selfcal
//! (`get_SNR_self_individual`): the image collects N antennas over the whole time T, a gain is solved from one
//! antenna's baselines over t, and three degrees of freedom go to the solution itself:
//!
//! ```text
//! SNR_antenna(t) = SNR_image / (sqrt(N - 3) sqrt(T / t))
//! ```
//!
//! The image's S/N before calibration is limited by the errors that calibration removes, so the estimate is on the
//! safe side, and it is made again after each round. The schedule starts with an interval of comfortable S/N, grows
//! shorter while that pays, and adds amplitudes when the phases have settled.

mod estimate;
mod search;
mod tables;
#[cfg(test)]
mod tests;
mod types;

pub use estimate::{antenna_snr, interval_for_snr};
pub use tables::{hopeless_antennas, phase_change_deg, refused};
pub use types::{Choice, ImageSignal, Interval, Observation, SolintOptions, SolveMode, Tried};

use search::Search;

/// Antennas below which the formula has no meaning (N - 3 must be positive) and phases do not close.
pub const MIN_ANTENNAS: usize = 4;
/// The interval and mode of the next round, given what was tried and the last accepted image.
///
/// `rounds_left` counts the rounds that may still be calibrated, this one included: with few of them the steps are
/// longer, so that the shortest useful interval and the amplitudes are reached.
pub fn choose(
    history: &[Tried],
    image: &ImageSignal,
    observation: &Observation,
    rounds_left: usize,
    options: &SolintOptions,
) -> Choice {
    let stop = |why: String| Choice::Stop { why };
    if observation.antennas < MIN_ANTENNAS {
        return stop(format!("{} antennas cannot be self-calibrated, {MIN_ANTENNAS} can", observation.antennas));
    }
    if observation.integration_s <= 0.0 || observation.total_s() <= 0.0 {
        return stop("the time on source or the integration time is not known".into());
    }
    if rounds_left == 0 {
        return stop("no round is left".into());
    }
    let search = Search { image_snr: image.snr(), observation, rounds_left, options };
    match search.reaching(options.min_snr) {
        Some(shortest) => search.choose(history, shortest),
        None => stop(format!(
            "even with all {} s together an antenna would reach an S/N of {:.1} only, {} is wanted",
            observation.total_s(),
            search.estimate(Interval::Everything),
            options.min_snr
        )),
    }
}
