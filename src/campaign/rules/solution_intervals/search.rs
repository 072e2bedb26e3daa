//! The search for the next interval: phases first, then amplitudes.

use super::estimate::{antenna_snr, interval_for_snr, round_up};
use super::tables::{settled_phases, usable};
use super::{Choice, Interval, Observation, SolintOptions, SolveMode, Tried};

/// While a shortening gains more than this fraction of the dynamic range, it pays to go on, however alike the phases of
/// two rounds are: intervals of nearly the same length always give nearly the same phases.
const STILL_PAYS: f64 = 0.1;

/// Inputs of every choice.
pub(super) struct Search<'a> {
    pub(super) image_snr: f64,
    pub(super) observation: &'a Observation,
    /// Rounds that may still be calibrated, this one included.
    pub(super) rounds_left: usize,
    pub(super) options: &'a SolintOptions,
}

/// The phase intervals that were tried, as far as the next choice depends on them.
struct Phases<'a> {
    /// The last one that was kept.
    last: &'a Tried,
    /// Number of those that were kept.
    kept: usize,
    /// The longest one that failed, seconds; 0: none.
    failed_s: f64,
    /// The last one gained enough (or was the first).
    pays: bool,
    /// A shorter one may be tried.
    may_shorten: bool,
    /// Change of the phases between the two last ones, degrees.
    change_deg: Option<f64>,
    /// That change is so small that amplitudes are due.
    settled: bool,
}

impl Search<'_> {
    /// Estimated S/N of an antenna in an interval.
    pub(super) fn estimate(&self, interval: Interval) -> f64 {
        let o = self.observation;
        antenna_snr(self.image_snr, o.antennas, o.total_s(), interval.seconds(o))
    }

    /// The shortest interval that reaches an S/N.
    pub(super) fn reaching(&self, wanted: f64) -> Option<Interval> {
        let o = self.observation;
        round_up(interval_for_snr(wanted, self.image_snr, o.antennas, o.total_s()), o)
    }

    fn length(&self, interval: Interval) -> f64 {
        interval.seconds(self.observation)
    }

    fn solve(&self, interval: Interval, mode: SolveMode, why: String) -> Choice {
        let snr = self.estimate(interval);
        Choice::Solve { interval, mode, snr, why: format!("{why}; estimated S/N {snr:.1} per antenna") }
    }

    /// The next choice; `shortest` is the shortest interval with enough S/N.
    pub(super) fn choose(&self, history: &[Tried], shortest: Interval) -> Choice {
        let tried: Vec<&Tried> = history.iter().filter(|t| t.mode == SolveMode::Phase).collect();
        let kept: Vec<&Tried> = tried.iter().copied().filter(|t| usable(t, self.options)).collect();
        let Some(phases) = self.phases(&tried, &kept, shortest) else {
            return self.first_phases(&tried, shortest);
        };
        let last_chance = self.rounds_left == 1 && phases.kept > 1;
        // Amplitudes that failed had phases of a longer interval than could be had: those first, if they may be shorter.
        let failed = |t: &Tried| t.mode == SolveMode::AmplitudePhase && !usable(t, self.options);
        let amplitudes_failed = history.last().is_some_and(failed);
        let wait = amplitudes_failed || !(phases.settled || last_chance);
        let amplitudes_due = !(self.options.phase_only || phases.may_shorten && wait);
        if phases.may_shorten
            && !amplitudes_due
            && let Some(choice) = self.shorter_phases(&phases, shortest, amplitudes_failed)
        {
            return choice;
        }
        if self.options.phase_only {
            return Choice::Stop { why: self.why_no_shorter_phases(&phases) };
        }
        let amplitudes: Vec<&Tried> = history.iter().filter(|t| t.mode == SolveMode::AmplitudePhase).collect();
        self.amplitudes(&amplitudes, self.length(phases.last.interval), &self.why_amplitudes(&phases, last_chance))
    }

    fn phases<'t>(&self, tried: &[&'t Tried], kept: &[&'t Tried], shortest: Interval) -> Option<Phases<'t>> {
        let last = *kept.last()?;
        // Intervals that failed, or that the tables refused, bound the search from below.
        let failed = tried.iter().filter(|t| !usable(t, self.options));
        let failed_s = failed.map(|t| self.length(t.interval)).fold(0.0, f64::max);
        let pays = kept.len() == 1 || last.gain >= self.options.min_gain;
        let change_deg = settled_phases(kept);
        Some(Phases {
            last,
            kept: kept.len(),
            failed_s,
            pays,
            may_shorten: self.length(shortest) < self.length(last.interval) && failed_s == 0.0 && pays,
            change_deg,
            settled: change_deg.is_some_and(|d| d < self.options.settled_deg) && last.gain < STILL_PAYS,
        })
    }

    /// Phases of a shorter interval, unless rounding makes it as long as the last.
    fn shorter_phases(&self, phases: &Phases<'_>, shortest: Interval, amplitudes_failed: bool) -> Option<Choice> {
        let (current, least) = (self.length(phases.last.interval), self.length(shortest));
        // Reach the shortest interval with one round to spare for amplitudes.
        let steps = self.rounds_left.saturating_sub(usize::from(!self.options.phase_only)).max(1) as f64;
        let factor = (current / least).powf(1.0 / steps).clamp(1.5, self.options.max_step.max(1.5));
        let next = round_up((current / factor).max(least), self.observation).unwrap_or(shortest);
        let last = phases.last;
        let why = if amplitudes_failed {
            format!("amplitudes failed: phases, shorter than {}", last.interval)
        } else if phases.kept == 1 {
            format!("phases, shorter than {}, which was accepted", last.interval)
        } else {
            format!("phases, shorter than {}, which gained {:.1} %", last.interval, 100.0 * last.gain)
        };
        (self.length(next) < current).then(|| self.solve(next, SolveMode::Phase, why))
    }

    fn why_no_shorter_phases(&self, phases: &Phases<'_>) -> String {
        if phases.failed_s > 0.0 {
            format!("an interval of {} s failed", phases.failed_s)
        } else if !phases.pays {
            format!("the last interval gained only {:.1} %", 100.0 * phases.last.gain)
        } else {
            format!("no shorter interval than {} reaches an S/N of {}", phases.last.interval, self.options.min_snr)
        }
    }

    fn why_amplitudes(&self, phases: &Phases<'_>, last_chance: bool) -> String {
        match phases.change_deg {
            Some(d) if phases.settled => format!("phases change by {d:.1} degrees only"),
            _ if last_chance && phases.may_shorten => "this is the last round".to_string(),
            _ if phases.failed_s > 0.0 => format!("phases at {} s failed", phases.failed_s),
            _ if !phases.pays => format!("shorter phases gained only {:.1} %", 100.0 * phases.last.gain),
            _ => {
                format!("no shorter interval than {} reaches an S/N of {}", phases.last.interval, self.options.min_snr)
            }
        }
    }

    /// Phases for the first time, or again after all failed so far.
    fn first_phases(&self, failed: &[&Tried], shortest: Interval) -> Choice {
        let Some(longest_failed) = failed.iter().map(|t| self.length(t.interval)).reduce(f64::max) else {
            let wanted = self.options.start_snr;
            let (interval, why) = match self.reaching(wanted) {
                Some(i) => (i, format!("phases, the shortest interval with an S/N of {wanted}")),
                None => (Interval::Everything, format!("phases, as nothing shorter reaches an S/N of {wanted}")),
            };
            return self.solve(interval, SolveMode::Phase, why);
        };
        let why = format!("phases, longer than {longest_failed} s, which failed");
        match round_up(2.0 * longest_failed, self.observation) {
            Some(longer) if self.length(longer) > longest_failed => {
                let interval = if self.length(longer) < self.length(shortest) { shortest } else { longer };
                self.solve(interval, SolveMode::Phase, why)
            }
            _ if longest_failed < self.observation.total_s() => self.solve(Interval::Everything, SolveMode::Phase, why),
            _ => Choice::Stop { why: "the longest interval failed".into() },
        }
    }

    /// Amplitudes after phases of `phase_s` seconds; `reason` says why now.
    fn amplitudes(&self, tried: &[&Tried], phase_s: f64, reason: &str) -> Choice {
        let Some(reaching) = self.reaching(self.options.amplitude_snr) else {
            let wanted = self.options.amplitude_snr;
            return Choice::Stop { why: format!("{reason}; amplitudes would not reach an S/N of {wanted}") };
        };
        let least = self.length(reaching);
        let Some(last) = tried.last() else {
            let wanted = (self.options.amplitude_factor * phase_s).max(least);
            let interval = round_up(wanted, self.observation).unwrap_or(Interval::Everything);
            return self.solve(interval, SolveMode::AmplitudePhase, format!("{reason}: amplitudes, too"));
        };
        if !usable(last, self.options) {
            return self.amplitudes_again(tried, last, (self.options.amplitude_factor * phase_s).max(least), reason);
        }
        let (interval, gain) = (last.interval, 100.0 * last.gain);
        if last.gain < self.options.min_gain {
            return Choice::Stop { why: format!("amplitudes at {interval} gained only {gain:.1} %") };
        }
        let current = self.length(interval);
        match round_up((0.5 * current).max(least).max(phase_s), self.observation) {
            Some(next) if self.length(next) < current => {
                let why = format!("amplitudes, shorter than {interval}, which gained {gain:.1} %");
                self.solve(next, SolveMode::AmplitudePhase, why)
            }
            _ => Choice::Stop { why: format!("amplitudes at {interval} cannot be shortened") },
        }
    }

    /// Amplitudes after the `last` ones failed: those that shorter phases allow, or once a longer interval.
    fn amplitudes_again(&self, tried: &[&Tried], last: &Tried, wanted_s: f64, reason: &str) -> Choice {
        let failed = self.length(last.interval);
        let is_new = |w: &Interval| self.length(*w) < failed && tried.iter().all(|t| t.interval != *w);
        if let Some(wanted) = round_up(wanted_s, self.observation).filter(is_new) {
            let why = format!("{reason}: amplitudes again, after shorter phases");
            return self.solve(wanted, SolveMode::AmplitudePhase, why);
        }
        // Once longer: after that, or after others were accepted, it is over.
        let longer = round_up(2.0 * failed, self.observation).unwrap_or(Interval::Everything);
        if tried.len() == 1 && self.length(longer) > failed {
            let why = format!("amplitudes, longer than {}, which failed", last.interval);
            return self.solve(longer, SolveMode::AmplitudePhase, why);
        }
        Choice::Stop { why: format!("amplitudes at {} failed", last.interval) }
    }
}
