//! Whole campaigns on a toy array: phases, amplitudes and delays that drift, noise, and a model that limits each round.

use super::*;
use crate::quality::solutions::Difference;
use rstest::rstest;

/// An observation whose errors are known.
#[derive(Debug, Clone)]
struct Toy {
    observation: Observation,
    /// Phase errors, radians, and their correlation time, s.
    phases: (f64, f64),
    /// Amplitude errors, relative, and their correlation time, s.
    amplitudes: (f64, f64),
    /// Phase errors by delays, radians.
    delays: f64,
    /// Difference of the two hands, radians.
    hands: f64,
    /// S/N of an antenna in an integration, everything together.
    snr: f64,
}

fn toy() -> Toy {
    Toy {
        observation: Observation { polarisations: 2, ..field() },
        phases: (0.8, 720.0),
        amplitudes: (0.12, 720.0),
        delays: 0.0,
        hands: 0.0,
        snr: 30.0,
    }
}

impl Toy {
    fn snr(&self, term: &TermChoice) -> f64 {
        let o = &self.observation;
        let hands = if term.polarisations == Sharing::Each { o.polarisations as f64 } else { 1.0 };
        self.snr * (term.interval.seconds(o) / o.integration_s / hands).sqrt()
    }

    /// Variance of an error that is left by solutions over `t` seconds, times its correlation time.
    fn left(&self, (rms, time): (f64, f64), t: Option<f64>) -> f64 {
        match t {
            Some(t) => rms * rms * (1.0 - (-t / (2.0 * time)).exp()) * t.min(time),
            None => rms * rms * time,
        }
    }

    /// Dynamic range with a chain, the model being no limit.
    fn limit(&self, chain: &[TermChoice]) -> f64 {
        let o = &self.observation;
        let length = |kinds: &[TermKind]| {
            let of = chain.iter().filter(|t| kinds.contains(&t.kind)).map(|t| t.interval.seconds(o));
            of.reduce(f64::min)
        };
        let mut error = self.left(self.phases, length(&[TermKind::Phase, TermKind::Gains]));
        error += self.left(self.amplitudes, length(&[TermKind::Gains]));
        if !chain.iter().any(|t| t.kind == TermKind::Delay) {
            error += self.delays.powi(2) * o.total_s();
        }
        for term in chain.iter().filter(|t| t.kind != TermKind::Delay) {
            let snr = self.snr(term);
            // Half of it in phases, half in amplitudes; phases on top of phases add nothing.
            let parts = if !chain.iter().any(|t| t.kind == TermKind::Phase) && term.kind == TermKind::Gains {
                1.0
            } else {
                0.5
            };
            error += parts * (1.0 + (2.5 / snr).powi(4)) * term.interval.seconds(o) / snr.powi(2);
            if term.polarisations == Sharing::Together {
                error += self.hands.powi(2) / 4.0 * o.total_s();
            }
        }
        let n = o.antennas as f64;
        let noise = self.snr * (n * o.total_s() / o.integration_s).sqrt();
        1.0 / (noise.powi(-2) + error / o.total_s() / n).sqrt()
    }

    /// Dynamic range of the image, the model being the last image's.
    fn image(&self, chain: &[TermChoice], before: f64) -> f64 {
        (self.limit(chain).powi(-2) + (8.0 * before).powi(-2)).powf(-0.5)
    }

    fn stats(&self, chain: &[TermChoice]) -> SolutionStats {
        let of = |t: &TermChoice| {
            let snr = self.snr(t);
            let expected = (0.6745 * 2f64.sqrt() / snr).to_degrees();
            let measured = expected.hypot(0.6745 * self.hands.to_degrees());
            let difference = Difference { measured_deg: measured, expected_deg: expected };
            TermStats {
                kind: t.kind,
                median_snr: Some(snr),
                flagged_fraction: (-(snr / 2.0).powi(2)).exp(),
                polarisation_difference: (t.polarisations == Sharing::Each && self.observation.polarisations > 1)
                    .then_some(difference),
                ..TermStats::default()
            }
        };
        let terms: Vec<TermStats> = chain.iter().map(of).collect();
        let flagged_fraction = terms.iter().map(|t| t.flagged_fraction).fold(0.0, f64::max);
        SolutionStats { solutions: 1000, flagged_fraction, terms, ..SolutionStats::default() }
    }

    /// A campaign of ten rounds: the best dynamic range, the limit that was met, and the course for people.
    fn campaign(&self) -> (f64, Limit, String) {
        let options = SolintOptions::default();
        let (mut history, mut now, mut best, mut course) = (Vec::new(), self.limit(&[]), 0f64, String::new());
        let mut left = 10;
        loop {
            let signal = ImageSignal { peak: now, flux: None, rms: 0.5, theoretical: None };
            let (chain, why) = match choose(&history, &signal, &self.observation, left, &options) {
                Choice::Solve { chain, why, .. } => (chain, why),
                Choice::Stop { why, limit } => return (best.max(now), limit, format!("{course}{limit:?}: {why}\n")),
            };
            let solutions = self.stats(&chain);
            let refused = solutions.flagged_fraction > options.flagged_solutions;
            let gain = if refused { -1.0 } else { self.image(&chain, now) / now - 1.0 };
            let accepted = gain >= -0.02;
            history.push(Tried { chain, accepted, before: now, gain, change: None, solutions });
            course.push_str(&format!("{now:6.0} {:+7.1} % {} {why}\n", 100.0 * gain, if accepted { ' ' } else { 'x' }));
            if accepted {
                left -= 1;
                now *= 1.0 + gain;
                best = best.max(now);
            }
        }
    }

    /// The best of fixed chains whose solutions have an S/N of 3.
    fn by_hand(&self) -> f64 {
        let o = &self.observation;
        let intervals = [1, 2, 4, 8, 16, 32, 64, 240].map(|n| Interval::Seconds(n as f64 * o.integration_s));
        let mut best = self.limit(&[]);
        for polarisations in [Sharing::Each, Sharing::Together] {
            let term = |kind, interval| TermChoice { kind, interval, polarisations, windows: Sharing::Each };
            let delays = term(TermKind::Delay, Interval::Everything);
            for p in intervals {
                for g in intervals {
                    let (p, g) = (term(TermKind::Phase, p), term(TermKind::Gains, g));
                    let chains = [vec![p], vec![g], vec![p, g], vec![delays, p, g], vec![delays, g]];
                    let strong = |c: &&Vec<TermChoice>| c.iter().all(|t| self.snr(t) >= 3.0);
                    best = chains.iter().filter(strong).map(|c| self.limit(c)).fold(best, f64::max);
                }
            }
        }
        best
    }
}

#[rstest]
#[case::errors_of_2_min(Toy { phases: (0.8, 120.0), amplitudes: (0.12, 120.0), ..toy() })]
#[case::errors_of_12_min(toy())]
#[case::errors_of_60_min(Toy { phases: (0.4, 3600.0), amplitudes: (0.25, 3600.0), ..toy() })]
#[case::small_amplitudes(Toy { amplitudes: (0.01, 7200.0), ..toy() })]
#[case::few_data(Toy { snr: 5.5, ..toy() })]
#[case::faint(Toy { snr: 2.0, ..toy() })]
#[case::very_faint(Toy { snr: 0.5, ..toy() })]
#[case::bright(Toy { snr: 300.0, ..toy() })]
#[case::hands_that_differ(Toy { hands: 0.5, ..toy() })]
#[case::delays(Toy { delays: 0.4, observation: Observation { channels: 16, ..toy().observation }, ..toy() })]
#[case::no_delays(Toy { observation: Observation { channels: 16, ..toy().observation }, ..toy() })]
fn ten_rounds_come_near_the_best_fixed_chain(#[case] toy: Toy) {
    let (reached, limit, course) = toy.campaign();
    let best = toy.by_hand();
    let said = format!("{:.3} of {best:.0}, {limit:?}\n{course}", reached / best);
    assert!(reached >= 0.95 * best, "{said}");
    println!("{said}");
}

#[test]
fn where_nothing_drifts_nothing_is_lost() {
    let quiet = Toy { phases: (0.0, 720.0), amplitudes: (0.0, 720.0), snr: 2.0, ..toy() };
    let (reached, _, course) = quiet.campaign();
    assert!(reached >= 0.999 * quiet.limit(&[]), "{course}");
    assert!(course.lines().count() < 10, "it ends soon:\n{course}");
}
