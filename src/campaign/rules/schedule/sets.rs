//! Measurement sets that are imaged together: one whose S/N is lower gets longer intervals of its own.
//!
//! The chain is chosen for the best of them. Its image's noise tells what a measurement set sees: N antennas that gather its
//! weight over the time T give an antenna
//!
//! ```text
//! SNR²  per second  ~  1 / (noise² T (N - 3))
//! ```

use super::estimate::{SOLVED_ANTENNAS, Signal};
use super::phases::SAME_LENGTH;
use super::{ImageSignal, Interval, MIN_ANTENNAS, Observation, SolintOptions, TermChoice, Tried};

/// One of several measurement sets.
#[derive(Debug, Clone, PartialEq)]
pub struct SetSignal {
    /// It alone, as an observation.
    pub observation: Observation,
    /// Theoretical noise of its image, Jy/beam.
    pub noise: f64,
}

impl SetSignal {
    /// Weight of one antenna in a second; `None`: not known, or too few antennas to tell.
    fn rate(&self) -> Option<f64> {
        let Observation { antennas, .. } = self.observation;
        let gathered = self.noise.powi(2) * self.observation.total_s() * self.free_antennas();
        (antennas >= MIN_ANTENNAS && gathered > 0.0).then(|| gathered.recip())
    }

    fn free_antennas(&self) -> f64 {
        self.observation.antennas as f64 - SOLVED_ANTENNAS
    }
}

/// Squared S/N that an antenna gathers in a second, of each measurement set, as a fraction of that of the best; 1 for all
/// where it is not known of one.
fn shares(sets: &[SetSignal]) -> Vec<f64> {
    let rates: Option<Vec<f64>> = sets.iter().map(SetSignal::rate).collect();
    let rates = rates.unwrap_or_else(|| vec![1.0; sets.len()]);
    let best = rates.iter().copied().fold(0.0, f64::max);
    rates.iter().map(|rate| rate / best).collect()
}

/// By how much the best of several measurement sets exceeds what all of them gather on average; 1 of one.
pub fn best_over_mean(sets: &[SetSignal]) -> f64 {
    let time: f64 = sets.iter().map(|set| set.observation.total_s() * set.free_antennas()).sum();
    let parts = sets.iter().zip(shares(sets));
    let gathered: f64 = parts.map(|(set, share)| share * set.observation.total_s() * set.free_antennas()).sum();
    if gathered > 0.0 && time > 0.0 { time / gathered } else { 1.0 }
}

/// The chain with the intervals of each measurement set: as chosen for the best, unless its own S/N were lower and not ample.
pub fn chains_of_sets(
    chain: &[TermChoice],
    (history, image, observation): (&[Tried], &ImageSignal, &Observation),
    sets: &[SetSignal],
    options: &SolintOptions,
) -> Vec<Vec<TermChoice>> {
    let best = Signal::of(history, image, observation);
    let of_set = |(set, share): (&SetSignal, f64)| {
        let own = best.times(share);
        let term = |term: &TermChoice| {
            let wanted = best.snr(term, observation).min(options.ample_snr);
            // By so much longer the interval would have to be.
            let factor = (wanted / own.snr(term, &set.observation)).powi(2);
            if factor < SAME_LENGTH {
                return *term;
            }
            let longest = if set.observation.scans_s.len() > 1 { Interval::Everything } else { Interval::Scan };
            let interval = own.reaching(wanted, term, &set.observation).unwrap_or(longest);
            let (now, longer) = (term.interval.seconds(&set.observation), interval.seconds(&set.observation));
            if longer < SAME_LENGTH * now { *term } else { TermChoice { interval, ..*term } }
        };
        chain.iter().map(term).collect()
    };
    sets.iter().zip(shares(sets)).map(of_set).collect()
}
