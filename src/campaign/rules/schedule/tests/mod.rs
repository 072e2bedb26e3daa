//! Estimates and intervals, each step of the schedule, and whole campaigns on a toy array.

mod estimates;
mod sets;
mod steps;
mod tables;
mod toy;

use super::*;
use crate::quality::solutions::{SolutionStats, TermKind, TermStats};

/// The simulated field of docs/acceptance.md: 27 antennas, one scan of 2 h, integrations of 30 s, one hand and window.
fn field() -> Observation {
    Observation {
        antennas: 27,
        integration_s: 30.0,
        scans_s: vec![7200.0],
        polarisations: 1,
        windows: 1,
        windows_combine: true,
        channels: 2,
        chains: true,
        delays: true,
        best_over_mean: 1.0,
        bandpass: true,
    }
}

fn image(snr: f64) -> ImageSignal {
    ImageSignal { peak: snr, flux: None, rms: 1.0, theoretical: None }
}

fn phases(seconds: f64) -> TermChoice {
    term(TermKind::Phase, seconds)
}

fn gains(seconds: f64) -> TermChoice {
    term(TermKind::Gains, seconds)
}

fn term(kind: TermKind, seconds: f64) -> TermChoice {
    let interval = if seconds >= 7200.0 { Interval::Scan } else { Interval::Seconds(seconds) };
    TermChoice { kind, interval, polarisations: Sharing::Each, windows: Sharing::Each }
}

/// A chain that was accepted with a gain; its tables have this S/N in an integration of 30 s.
fn accepted(chain: &[TermChoice], before: f64, gain: f64, snr: f64) -> Tried {
    let terms = chain.iter().map(|t| TermStats {
        kind: t.kind,
        median_snr: Some(snr * (t.interval.seconds(&field()) / 30.0).sqrt()),
        ..TermStats::default()
    });
    let solutions = SolutionStats { solutions: 100, terms: terms.collect(), ..SolutionStats::default() };
    Tried { chain: chain.to_vec(), accepted: true, before, gain, change: None, solutions }
}

fn rejected(chain: &[TermChoice], before: f64, gain: f64, snr: f64) -> Tried {
    Tried { accepted: false, ..accepted(chain, before, gain, snr) }
}

fn next(history: &[Tried]) -> Vec<TermChoice> {
    next_of(history, &field(), 8)
}

fn next_of(history: &[Tried], observation: &Observation, rounds_left: usize) -> Vec<TermChoice> {
    match choose(history, &image(900.0), observation, rounds_left, &SolintOptions::default()) {
        Choice::Solve { chain, .. } => chain,
        Choice::Stop { why, .. } => panic!("stopped: {why}"),
    }
}

fn end(history: &[Tried]) -> (Limit, String) {
    match choose(history, &image(900.0), &field(), 8, &SolintOptions::default()) {
        Choice::Solve { chain, why, .. } => panic!("{chain:?}: {why}"),
        Choice::Stop { why, limit } => (limit, why),
    }
}
