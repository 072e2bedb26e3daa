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
//! safe side, and it is made anew after each round. The schedule starts with an interval of comfortable S/N, grows
//! shorter while that pays, and adds amplitudes when the phases have settled.

use crate::quality::solutions::{AntennaSolutions, GainSeries, SolutionStats};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Antennas below which the formula has no meaning (N - 3 must be positive) and phases do not close.
pub const MIN_ANTENNAS: usize = 4;
/// A hopeless antenna's S/N is below this part of the array's median.
const HOPELESS_SHARE: f64 = 0.5;
/// While a shortening gains more than this fraction of the dynamic range, it pays to go on, however alike the phases of
/// two rounds are: intervals of nearly the same length always give nearly the same phases.
const STILL_PAYS: f64 = 0.1;
/// Degrees of freedom that the solution takes.
const SOLVED_ANTENNAS: f64 = 3.0;

/// Limits of the automatic intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SolintOptions {
    /// Least estimated S/N of an antenna's phase in an interval (auto_selfcal's 3).
    pub min_snr: f64,
    /// S/N that the first interval aims at: a comfortable one, as the first model is the worst.
    pub start_snr: f64,
    /// Least estimated S/N of an antenna when amplitudes are solved for.
    pub amplitude_snr: f64,
    /// The next interval is shorter by at most this factor.
    pub max_step: f64,
    /// A shorter interval pays when the dynamic range gained at least this fraction.
    pub min_gain: f64,
    /// Phases have settled when they change by less than this from one round's tables to the next, degrees.
    pub settled_deg: f64,
    /// Amplitudes get at least this many times the last phase interval.
    pub amplitude_factor: f64,
    /// Never solve for amplitudes.
    pub phase_only: bool,
    /// Tables with a larger fraction of flagged solutions are refused, and so are intervals that short.
    pub flagged_solutions: f64,
    /// An antenna with a larger fraction of flagged solutions is passed through uncorrected.
    pub hopeless_flagged: f64,
}

impl Default for SolintOptions {
    fn default() -> Self {
        Self {
            min_snr: 3.0,
            start_snr: 6.0,
            amplitude_snr: 10.0,
            max_step: 4.0,
            min_gain: 0.02,
            settled_deg: 10.0,
            amplitude_factor: 2.0,
            phase_only: false,
            flagged_solutions: 0.3,
            hopeless_flagged: 0.7,
        }
    }
}

/// The observation, as far as intervals depend on it. Times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Antennas with unflagged data.
    pub antennas: usize,
    /// Integration time.
    pub integration_s: f64,
    /// Length of each scan on the target.
    pub scans_s: Vec<f64>,
}

impl Observation {
    /// Time on source.
    pub fn total_s(&self) -> f64 {
        self.scans_s.iter().sum()
    }

    /// The median scan (the longer of the two middle ones).
    fn scan_s(&self) -> f64 {
        let mut scans = self.scans_s.clone();
        scans.sort_unstable_by(f64::total_cmp);
        scans.get(scans.len() / 2).copied().unwrap_or(0.0)
    }
}

/// The image's signal and noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageSignal {
    /// Peak, Jy/beam.
    pub peak: f64,
    /// Flux that the array sees at once, Jy: e.g. the root of the summed squares of the islands' CLEAN fluxes. Taken
    /// where it exceeds the peak.
    pub flux: Option<f64>,
    /// Noise, Jy/beam.
    pub rms: f64,
}

impl ImageSignal {
    /// S/N of the image; 0 without signal or noise.
    pub fn snr(&self) -> f64 {
        let signal = self.flux.unwrap_or(0.0).max(self.peak);
        if signal > 0.0 && self.rms > 0.0 { signal / self.rms } else { 0.0 }
    }
}

/// A solution interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interval {
    /// All scans together (`solint='inf'`, `combine='scan'`).
    Everything,
    /// One solution a scan (`solint='inf'`).
    Scan,
    /// So many seconds, a whole number of integrations.
    Seconds(f64),
}

impl Interval {
    /// Its length in this observation, seconds.
    pub fn seconds(self, observation: &Observation) -> f64 {
        match self {
            Self::Everything => observation.total_s(),
            Self::Scan => observation.scan_s(),
            Self::Seconds(s) => s,
        }
    }

    /// gaincal's `solint`.
    pub fn solint(self) -> String {
        match self {
            Self::Everything | Self::Scan => "inf".to_string(),
            Self::Seconds(s) => format!("{s}s"),
        }
    }

    /// gaincal's `combine`.
    pub fn combine(self) -> &'static str {
        if self == Self::Everything { "scan" } else { "" }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("all scans together"),
            Self::Scan => f.write_str("one scan"),
            Self::Seconds(s) => write!(f, "{s} s"),
        }
    }
}

/// What is solved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SolveMode {
    /// Phases (`calmode='p'`).
    Phase,
    /// Amplitudes and phases (`calmode='ap'`).
    AmplitudePhase,
}

impl SolveMode {
    /// gaincal's `calmode`.
    pub fn calmode(self) -> &'static str {
        match self {
            Self::Phase => "p",
            Self::AmplitudePhase => "ap",
        }
    }
}

/// An interval that was tried, oldest first in a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The interval.
    pub interval: Interval,
    /// The mode.
    pub mode: SolveMode,
    /// The round was accepted.
    pub accepted: bool,
    /// Gain in dynamic range over the accepted round before it, a fraction.
    pub gain: f64,
    /// Its tables.
    pub solutions: SolutionStats,
}

/// What the next round solves for, or why none is worth it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Solve.
    Solve {
        /// The interval.
        interval: Interval,
        /// The mode.
        mode: SolveMode,
        /// Estimated S/N of an antenna in the interval.
        snr: f64,
        /// Why this one.
        why: String,
    },
    /// There is nothing worth trying.
    Stop {
        /// Why.
        why: String,
    },
}

/// S/N of one antenna's gain in `interval_s` of `total_s` seconds; 0 below [`MIN_ANTENNAS`].
pub fn antenna_snr(image_snr: f64, antennas: usize, total_s: f64, interval_s: f64) -> f64 {
    if antennas < MIN_ANTENNAS || total_s <= 0.0 || interval_s <= 0.0 {
        return 0.0;
    }
    image_snr / ((antennas as f64 - SOLVED_ANTENNAS).sqrt() * (total_s / interval_s).sqrt())
}

/// The interval in which one antenna reaches `wanted` S/N, seconds; infinite when none does.
pub fn interval_for_snr(wanted: f64, image_snr: f64, antennas: usize, total_s: f64) -> f64 {
    let of_everything = antenna_snr(image_snr, antennas, total_s, total_s);
    if of_everything <= 0.0 { f64::INFINITY } else { total_s * (wanted / of_everything).powi(2) }
}

/// The shortest interval of at least `seconds`: whole integrations that divide the scan into nearly equal parts, the
/// scan, or everything; `None` when even that is too short.
fn round_up(seconds: f64, observation: &Observation) -> Option<Interval> {
    let (scan, integration) = (observation.scan_s(), observation.integration_s);
    // Half an integration of slack for times that do not quite add up.
    if seconds > observation.total_s() + 0.5 * integration {
        return None;
    }
    if seconds > scan + 0.5 * integration {
        return Some(Interval::Everything);
    }
    let integrations = (scan / integration).round().max(1.0);
    let wanted = (seconds / integration - 1e-9).ceil().max(1.0);
    let parts = (integrations / wanted).floor().max(1.0);
    if parts == 1.0 {
        return Some(Interval::Scan);
    }
    // Equal parts: a short rest at the scan's end would be solved from too little data.
    Some(Interval::Seconds((integrations / parts).ceil().min(integrations) * integration))
}

/// What the next round should solve for, given what was tried and the last accepted image.
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
    let snr = image.snr();
    if observation.antennas < MIN_ANTENNAS {
        return stop(format!("{} antennas cannot be self-calibrated, {MIN_ANTENNAS} can", observation.antennas));
    }
    if observation.integration_s <= 0.0 || observation.total_s() <= 0.0 {
        return stop("the time on source or the integration time is not known".into());
    }
    if rounds_left == 0 {
        return stop("no round is left".into());
    }
    let estimate = |interval: Interval| {
        antenna_snr(snr, observation.antennas, observation.total_s(), interval.seconds(observation))
    };
    let reaching =
        |wanted: f64| round_up(interval_for_snr(wanted, snr, observation.antennas, observation.total_s()), observation);
    let solve = |interval: Interval, mode: SolveMode, why: String| Choice::Solve {
        interval,
        mode,
        snr: estimate(interval),
        why: format!("{why}; estimated S/N {:.1} an antenna", estimate(interval)),
    };
    let Some(shortest) = reaching(options.min_snr) else {
        return stop(format!(
            "even with all {} s together an antenna would reach an S/N of {:.1} only, {} is wanted",
            observation.total_s(),
            estimate(Interval::Everything),
            options.min_snr
        ));
    };
    let phases: Vec<&Tried> = history.iter().filter(|t| t.mode == SolveMode::Phase).collect();
    let kept: Vec<&&Tried> = phases.iter().filter(|t| usable(t, options)).collect();
    let Some(last) = kept.last() else {
        return first_interval(&phases, shortest, reaching(options.start_snr), observation, &solve, options);
    };
    let length = |i: Interval| i.seconds(observation);
    let current = length(last.interval);
    // Intervals that failed, or that the tables refused, bound the search from below.
    let failed = phases.iter().filter(|t| !usable(t, options)).map(|t| length(t.interval)).fold(0.0, f64::max);
    let pays = kept.len() == 1 || last.gain >= options.min_gain;
    let may_shorten = length(shortest) < current && failed == 0.0 && pays;
    let settled = settled_phases(&kept);
    let is_settled = settled.is_some_and(|d| d < options.settled_deg) && last.gain < STILL_PAYS;
    let last_chance = rounds_left == 1 && kept.len() > 1;
    // Amplitudes that failed had phases of a longer interval than could be had: those first, if they may be shorter.
    let amplitudes_failed = history.last().is_some_and(|t| t.mode == SolveMode::AmplitudePhase && !usable(t, options));
    let amplitudes_due = !options.phase_only && (!may_shorten || (!amplitudes_failed && (is_settled || last_chance)));
    if may_shorten && !amplitudes_due {
        // Reach the shortest interval with one round to spare for amplitudes.
        let steps = rounds_left.saturating_sub(usize::from(!options.phase_only)).max(1) as f64;
        let factor = (current / length(shortest)).powf(1.0 / steps).clamp(1.5, options.max_step.max(1.5));
        let next = round_up((current / factor).max(length(shortest)), observation).unwrap_or(shortest);
        if length(next) < current {
            let why = if amplitudes_failed {
                format!("amplitudes failed: phases, shorter than {}", last.interval)
            } else if kept.len() == 1 {
                format!("phases, shorter than {}, which was accepted", last.interval)
            } else {
                format!("phases, shorter than {}, which gained {:.1} %", last.interval, 100.0 * last.gain)
            };
            return solve(next, SolveMode::Phase, why);
        }
    }
    if options.phase_only {
        let why = if failed > 0.0 {
            format!("an interval of {failed} s failed")
        } else if !pays {
            format!("the last interval gained only {:.1} %", 100.0 * last.gain)
        } else {
            format!("no shorter interval than {} reaches an S/N of {}", last.interval, options.min_snr)
        };
        return stop(why);
    }
    let reason = match settled {
        Some(d) if is_settled => format!("phases change by {d:.1} degrees only"),
        _ if last_chance && may_shorten => "this is the last round".to_string(),
        _ if failed > 0.0 => format!("phases at {failed} s failed"),
        _ if !pays => format!("shorter phases gained only {:.1} %", 100.0 * last.gain),
        _ => format!("no shorter interval than {} reaches an S/N of {}", last.interval, options.min_snr),
    };
    let amplitudes: Vec<&Tried> = history.iter().filter(|t| t.mode == SolveMode::AmplitudePhase).collect();
    amplitude_interval(&amplitudes, current, reaching(options.amplitude_snr), &reason, observation, &solve, options)
}

/// Phases for the first time, or again after all failed so far.
fn first_interval(
    failed: &[&Tried],
    shortest: Interval,
    comfortable: Option<Interval>,
    observation: &Observation,
    solve: &impl Fn(Interval, SolveMode, String) -> Choice,
    options: &SolintOptions,
) -> Choice {
    let Some(longest_failed) = failed.iter().map(|t| t.interval.seconds(observation)).reduce(f64::max) else {
        let (interval, why) = match comfortable {
            Some(i) => (i, format!("phases, the shortest interval with an S/N of {}", options.start_snr)),
            None => {
                (Interval::Everything, format!("phases, as nothing shorter reaches an S/N of {}", options.start_snr))
            }
        };
        return solve(interval, SolveMode::Phase, why);
    };
    match round_up(2.0 * longest_failed, observation) {
        Some(longer) if longer.seconds(observation) > longest_failed => {
            let interval = if longer.seconds(observation) < shortest.seconds(observation) { shortest } else { longer };
            solve(interval, SolveMode::Phase, format!("phases, longer than {longest_failed} s, which failed"))
        }
        _ if longest_failed < observation.total_s() => solve(
            Interval::Everything,
            SolveMode::Phase,
            format!("phases, longer than {longest_failed} s, which failed"),
        ),
        _ => Choice::Stop { why: "the longest interval failed".into() },
    }
}

fn amplitude_interval(
    tried: &[&Tried],
    phase_s: f64,
    reaching: Option<Interval>,
    reason: &str,
    observation: &Observation,
    solve: &impl Fn(Interval, SolveMode, String) -> Choice,
    options: &SolintOptions,
) -> Choice {
    let Some(reaching) = reaching else {
        return Choice::Stop {
            why: format!("{reason}; amplitudes would not reach an S/N of {}", options.amplitude_snr),
        };
    };
    let least = reaching.seconds(observation);
    let Some(last) = tried.last() else {
        let wanted = (options.amplitude_factor * phase_s).max(least);
        let interval = round_up(wanted, observation).unwrap_or(Interval::Everything);
        return solve(interval, SolveMode::AmplitudePhase, format!("{reason}: amplitudes, too"));
    };
    if !usable(last, options) {
        let failed = last.interval.seconds(observation);
        let wanted = round_up((options.amplitude_factor * phase_s).max(least), observation);
        let is_new = |w: &Interval| w.seconds(observation) < failed && tried.iter().all(|t| t.interval != *w);
        if let Some(wanted) = wanted.filter(is_new) {
            return solve(
                wanted,
                SolveMode::AmplitudePhase,
                format!("{reason}: amplitudes again, after shorter phases"),
            );
        }
        // Once longer: after that, or after others were accepted, it is over.
        let longer = round_up(2.0 * failed, observation).unwrap_or(Interval::Everything);
        if tried.len() == 1 && longer.seconds(observation) > failed {
            let why = format!("amplitudes, longer than {}, which failed", last.interval);
            return solve(longer, SolveMode::AmplitudePhase, why);
        }
        return Choice::Stop { why: format!("amplitudes at {} failed", last.interval) };
    }
    if last.gain < options.min_gain {
        return Choice::Stop { why: format!("amplitudes at {} gained only {:.1} %", last.interval, 100.0 * last.gain) };
    }
    let current = last.interval.seconds(observation);
    match round_up((0.5 * current).max(least).max(phase_s), observation) {
        Some(next) if next.seconds(observation) < current => solve(
            next,
            SolveMode::AmplitudePhase,
            format!("amplitudes, shorter than {}, which gained {:.1} %", last.interval, 100.0 * last.gain),
        ),
        _ => Choice::Stop { why: format!("amplitudes at {} cannot be shortened", last.interval) },
    }
}

fn usable(tried: &Tried, options: &SolintOptions) -> bool {
    tried.accepted && refused(&tried.solutions, options).is_none()
}

/// Why tables must not be applied: they hold no solution, or are mostly flagged.
/// Of a calibrator that keeps its solutions to itself nothing is refused.
pub fn refused(solutions: &SolutionStats, options: &SolintOptions) -> Option<String> {
    if solutions.are_unknown() {
        return None;
    }
    if solutions.solutions == 0 {
        return Some("the tables hold no solution".into());
    }
    (solutions.flagged_fraction > options.flagged_solutions).then(|| {
        format!(
            "{:.0} % of the solutions are flagged, {:.0} % are allowed",
            100.0 * solutions.flagged_fraction,
            100.0 * options.flagged_solutions
        )
    })
}

/// Antennas whose solutions are of no use, with the reason: they should pass through uncorrected rather than be lost.
/// A low S/N counts only where the array's is better: in a faint field all antennas are alike.
pub fn hopeless_antennas(solutions: &SolutionStats, options: &SolintOptions) -> Vec<(String, String)> {
    let mut all: Vec<f64> = solutions.antennas.iter().filter_map(|a| a.median_snr).collect();
    all.sort_unstable_by(f64::total_cmp);
    let array = all.get(all.len() / 2).copied().unwrap_or(0.0);
    let why = |a: &AntennaSolutions| {
        if a.flagged_fraction > options.hopeless_flagged {
            return Some(format!("{:.0} % of its solutions are flagged", 100.0 * a.flagged_fraction));
        }
        let snr = a.median_snr.filter(|&snr| snr < options.min_snr && snr < HOPELESS_SHARE * array)?;
        Some(format!("median S/N of its solutions is {snr:.1}, that of all antennas {array:.1}"))
    };
    solutions.antennas.iter().filter_map(|a| Some((a.name.clone(), why(a)?))).collect()
}

/// Change of the phases between the tables of the two last accepted phase rounds.
fn settled_phases(kept: &[&&Tried]) -> Option<f64> {
    let [.., before, after] = kept else { return None };
    phase_change_deg(&before.solutions, &after.solutions)
}

/// Median absolute change of the phases from one round's tables to the next's, degrees; `None` without common
/// unflagged solutions. Each solution is compared with the one nearest in time of the same antenna, polarisation and
/// table; what all antennas share at a time (another reference antenna) does not count.
pub fn phase_change_deg(before: &SolutionStats, after: &SolutionStats) -> Option<f64> {
    // (time, change) of all antennas, to take out what they share.
    let mut changes: Vec<(f64, f64)> = Vec::new();
    for antenna in &after.antennas {
        let Some(old) = before.antennas.iter().find(|a| a.name == antenna.name) else { continue };
        for series in &antenna.series {
            let same = |s: &&GainSeries| s.polarisation == series.polarisation && s.table == series.table;
            let Some(old) = old.series.iter().find(same) else { continue };
            for (time, phase) in unflagged(series) {
                let nearest = unflagged(old).min_by(|a, b| (a.0 - time).abs().total_cmp(&(b.0 - time).abs()));
                if let Some((_, reference)) = nearest {
                    changes.push((time, wrap(phase - reference)));
                }
            }
        }
    }
    if changes.is_empty() {
        return None;
    }
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sizes: Vec<f64> = Vec::with_capacity(changes.len());
    for same_time in changes.chunk_by(|a, b| a.0 == b.0) {
        // The circular mean of a common turn; with fewer antennas than a solution needs, nothing is taken out.
        let (sin, cos) = same_time.iter().fold((0.0, 0.0), |(s, c), (_, d)| {
            let (sin, cos) = d.to_radians().sin_cos();
            (s + sin, c + cos)
        });
        let common = if same_time.len() >= MIN_ANTENNAS { sin.atan2(cos).to_degrees() } else { 0.0 };
        sizes.extend(same_time.iter().map(|(_, d)| wrap(d - common).abs()));
    }
    crate::kernels::order_statistics::median(&mut sizes)
}

fn unflagged(series: &GainSeries) -> impl Iterator<Item = (f64, f64)> + '_ {
    series
        .time_s
        .iter()
        .zip(&series.phase_deg)
        .enumerate()
        .filter(|(i, _)| !series.flagged.get(*i).copied().unwrap_or(false))
        .filter_map(|(_, (&time, &phase))| Some((time, phase?)))
}

/// Into (-180, 180].
fn wrap(degrees: f64) -> f64 {
    let turned = degrees.rem_euclid(360.0);
    if turned > 180.0 { turned - 360.0 } else { turned }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The simulated field of docs/acceptance.md: 27 antennas, one scan of 2 h, integrations of 30 s.
    fn field() -> Observation {
        Observation { antennas: 27, integration_s: 30.0, scans_s: vec![7200.0] }
    }

    fn image(snr: f64) -> ImageSignal {
        ImageSignal { peak: snr, flux: None, rms: 1.0 }
    }

    fn good_tables() -> SolutionStats {
        SolutionStats { solutions: 100, flagged_fraction: 0.01, ..SolutionStats::default() }
    }

    fn tried(interval: Interval, mode: SolveMode, gain: f64) -> Tried {
        Tried { interval, mode, accepted: true, gain, solutions: good_tables() }
    }

    fn chosen(choice: &Choice) -> (Interval, SolveMode) {
        match choice {
            Choice::Solve { interval, mode, .. } => (*interval, *mode),
            Choice::Stop { why } => panic!("stopped: {why}"),
        }
    }

    #[rstest]
    // 28 antennas: sqrt(25) = 5; a quarter of the time: 2.
    #[case(100.0, 28, 7200.0, 1800.0, 10.0)]
    #[case(100.0, 28, 7200.0, 7200.0, 20.0)]
    #[case(100.0, 3, 7200.0, 7200.0, 0.0)]
    fn estimate(#[case] image: f64, #[case] n: usize, #[case] total: f64, #[case] t: f64, #[case] snr: f64) {
        assert!((antenna_snr(image, n, total, t) - snr).abs() < 1e-12);
        if snr > 0.0 {
            assert!((interval_for_snr(snr, image, n, total) - t).abs() < 1e-6);
        }
    }

    #[rstest]
    #[case(1.0, Some(Interval::Seconds(30.0)))]
    #[case(30.0, Some(Interval::Seconds(30.0)))]
    #[case(31.0, Some(Interval::Seconds(60.0)))]
    #[case(210.0, Some(Interval::Seconds(240.0)))] // 34 parts of 240 integrations: 8 each, no short rest
    #[case(4000.0, Some(Interval::Scan))]
    #[case(7200.0, Some(Interval::Scan))]
    #[case(7300.0, None)]
    fn intervals_divide_the_scan(#[case] seconds: f64, #[case] interval: Option<Interval>) {
        assert_eq!(round_up(seconds, &field()), interval);
    }

    #[test]
    fn several_scans_can_be_combined() {
        let observation = Observation { antennas: 27, integration_s: 10.0, scans_s: vec![600.0, 600.0, 580.0] };
        assert_eq!(round_up(601.0, &observation), Some(Interval::Scan));
        assert_eq!(round_up(900.0, &observation), Some(Interval::Everything));
        assert_eq!((Interval::Everything.solint(), Interval::Everything.combine()), ("inf".to_string(), "scan"));
        assert_eq!((Interval::Seconds(60.0).solint(), Interval::Scan.combine()), ("60s".to_string(), ""));
    }

    #[test]
    fn a_campaign_of_three_calibrated_rounds_comes_down_to_amplitudes() {
        // Dynamic ranges of the hand-tuned campaign of the simulated field (phase 180 s, phase 60 s, both 120 s).
        let options = SolintOptions::default();
        let mut history = Vec::new();
        let first = chosen(&choose(&history, &image(168.0), &field(), 3, &options));
        assert_eq!(first, (Interval::Seconds(240.0), SolveMode::Phase));
        history.push(tried(first.0, first.1, 4.8));
        let second = chosen(&choose(&history, &image(973.0), &field(), 2, &options));
        assert_eq!(second, (Interval::Seconds(60.0), SolveMode::Phase));
        history.push(tried(second.0, second.1, 0.6));
        let third = choose(&history, &image(1561.0), &field(), 1, &options);
        assert_eq!(chosen(&third), (Interval::Seconds(120.0), SolveMode::AmplitudePhase));
        let Choice::Solve { why, .. } = third else { unreachable!() };
        insta::assert_snapshot!(why, @"this is the last round: amplitudes, too; estimated S/N 41.1 an antenna");
    }

    #[test]
    fn many_rounds_take_small_steps() {
        let history = [tried(Interval::Seconds(960.0), SolveMode::Phase, 1.0)];
        let options = SolintOptions::default();
        let (interval, mode) = chosen(&choose(&history, &image(900.0), &field(), 6, &options));
        // From 960 s to 30 s in five steps: a factor of two each.
        assert_eq!((interval, mode), (Interval::Seconds(480.0), SolveMode::Phase));
    }

    #[test]
    fn faint_fields_start_longer_or_not_at_all() {
        let options = SolintOptions::default();
        assert_eq!(chosen(&choose(&[], &image(31.0), &field(), 3, &options)).0, Interval::Scan);
        // 15 / sqrt(24) = 3.06 in everything: below the comfortable 6, above the least 3.
        assert_eq!(chosen(&choose(&[], &image(15.0), &field(), 3, &options)).0, Interval::Everything);
        let Choice::Stop { why } = choose(&[], &image(14.0), &field(), 3, &options) else { panic!() };
        assert!(why.contains("S/N of 2.9 only, 3 is wanted"), "{why}");
        assert!(matches!(
            choose(&[], &ImageSignal { rms: 0.0, ..image(9.0) }, &field(), 3, &options),
            Choice::Stop { .. }
        ));
        let few = Observation { antennas: 3, ..field() };
        assert!(matches!(choose(&[], &image(1e4), &few, 3, &options), Choice::Stop { .. }));
    }

    #[test]
    fn integrated_flux_counts_where_it_is_more() {
        let extended = ImageSignal { peak: 10.0, flux: Some(200.0), rms: 1.0 };
        assert_eq!(extended.snr(), 200.0);
        assert_eq!(ImageSignal { flux: Some(3.0), ..extended }.snr(), 10.0);
    }

    #[test]
    fn a_failed_interval_is_followed_by_a_longer_one_and_then_by_amplitudes() {
        let options = SolintOptions::default();
        let mut failed = tried(Interval::Seconds(60.0), SolveMode::Phase, -0.5);
        failed.accepted = false;
        let (interval, mode) = chosen(&choose(std::slice::from_ref(&failed), &image(500.0), &field(), 3, &options));
        assert_eq!((interval, mode), (Interval::Seconds(120.0), SolveMode::Phase));
        let history = [tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0), failed];
        let choice = choose(&history, &image(500.0), &field(), 3, &options);
        assert_eq!(chosen(&choice), (Interval::Seconds(480.0), SolveMode::AmplitudePhase));
        let phase_only = SolintOptions { phase_only: true, ..options };
        assert!(
            matches!(choose(&history, &image(500.0), &field(), 3, &phase_only), Choice::Stop { why } if why.contains("60 s failed"))
        );
    }

    #[test]
    fn failed_amplitudes_are_tried_once_more_with_a_longer_interval() {
        let options = SolintOptions::default();
        let mut history = vec![
            tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0),
            tried(Interval::Seconds(120.0), SolveMode::Phase, 0.01),
        ];
        let failed = |seconds: f64| Tried {
            accepted: false,
            ..tried(Interval::Seconds(seconds), SolveMode::AmplitudePhase, -0.2)
        };
        history.push(failed(240.0));
        let again = choose(&history, &image(900.0), &field(), 1, &options);
        assert_eq!(chosen(&again), (Interval::Seconds(480.0), SolveMode::AmplitudePhase));
        history.push(failed(480.0));
        assert!(matches!(choose(&history, &image(900.0), &field(), 1, &options), Choice::Stop { .. }));
        // What was accepted at a longer interval is not tried at that again.
        history[2].accepted = true;
        assert!(matches!(choose(&history, &image(900.0), &field(), 1, &options), Choice::Stop { .. }));
    }

    #[test]
    fn after_failed_amplitudes_phases_get_shorter_while_they_may() {
        let options = SolintOptions::default();
        let mut history = vec![
            tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0),
            tried(Interval::Seconds(120.0), SolveMode::Phase, 0.09),
            Tried { accepted: false, ..tried(Interval::Seconds(240.0), SolveMode::AmplitudePhase, -0.1) },
        ];
        let choice = choose(&history, &image(900.0), &field(), 1, &options);
        assert_eq!(chosen(&choice), (Interval::Seconds(30.0), SolveMode::Phase), "the last round");
        let choice = choose(&history, &image(900.0), &field(), 3, &options);
        assert_eq!(chosen(&choice), (Interval::Seconds(60.0), SolveMode::Phase));
        history.push(tried(Interval::Seconds(60.0), SolveMode::Phase, 0.01));
        let choice = choose(&history, &image(900.0), &field(), 2, &options);
        assert_eq!(chosen(&choice), (Interval::Seconds(120.0), SolveMode::AmplitudePhase));
    }

    #[test]
    fn mostly_flagged_tables_count_as_failed() {
        let options = SolintOptions::default();
        let mut flagged = tried(Interval::Seconds(60.0), SolveMode::Phase, 0.3);
        flagged.solutions.flagged_fraction = 0.6;
        assert_eq!(
            refused(&flagged.solutions, &options).unwrap(),
            "60 % of the solutions are flagged, 30 % are allowed"
        );
        let choice = choose(&[flagged], &image(500.0), &field(), 3, &options);
        assert_eq!(chosen(&choice).0, Interval::Seconds(120.0));
        assert_eq!(refused(&SolutionStats::default(), &options), None, "a calibrator that tells nothing");
        let empty = SolutionStats { antennas: vec![AntennaSolutions::default()], ..SolutionStats::default() };
        assert!(refused(&empty, &options).unwrap().contains("no solution"));
    }

    #[test]
    fn what_does_not_pay_ends() {
        let options = SolintOptions::default();
        let mut history = vec![
            tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0),
            tried(Interval::Seconds(120.0), SolveMode::Phase, 0.01),
        ];
        assert_eq!(chosen(&choose(&history, &image(900.0), &field(), 5, &options)).1, SolveMode::AmplitudePhase);
        history.push(tried(Interval::Seconds(240.0), SolveMode::AmplitudePhase, 0.2));
        let shorter = chosen(&choose(&history, &image(1200.0), &field(), 4, &options));
        assert_eq!(shorter, (Interval::Seconds(120.0), SolveMode::AmplitudePhase));
        history.push(tried(Interval::Seconds(120.0), SolveMode::AmplitudePhase, 0.01));
        assert!(matches!(choose(&history, &image(1200.0), &field(), 3, &options), Choice::Stop { .. }));
    }

    /// Tables of five antennas with the given phases at two times.
    fn tables(phases: [f64; 5]) -> SolutionStats {
        let antennas = phases.iter().enumerate().map(|(i, &p)| AntennaSolutions {
            name: format!("a{i}"),
            series: vec![GainSeries {
                time_s: vec![0.0, 60.0],
                phase_deg: vec![Some(p), Some(p)],
                amplitude: vec![Some(1.0); 2],
                flagged: vec![false; 2],
                ..GainSeries::default()
            }],
            ..AntennaSolutions::default()
        });
        SolutionStats { antennas: antennas.collect(), ..good_tables() }
    }

    #[test]
    fn phase_changes_wrap_and_ignore_the_reference() {
        let before = tables([0.0, 10.0, 170.0, -90.0, 40.0]);
        // All turned by 20 degrees (170 + 20 wraps to -170): no change.
        assert!(phase_change_deg(&before, &tables([20.0, 30.0, -170.0, -70.0, 60.0])).unwrap() < 1e-9);
        let changed = phase_change_deg(&before, &tables([30.0, -20.0, 200.0, -120.0, 40.0])).unwrap();
        assert!((changed - 30.0).abs() < 1e-6, "{changed}");
        assert_eq!(phase_change_deg(&SolutionStats::default(), &before), None);
    }

    #[test]
    fn settled_phases_call_for_amplitudes_and_unsettled_ones_do_not() {
        let options = SolintOptions::default();
        let history = |second: [f64; 5], gain: f64| {
            let mut all = [
                tried(Interval::Seconds(960.0), SolveMode::Phase, 1.0),
                tried(Interval::Seconds(480.0), SolveMode::Phase, gain),
            ];
            all[0].solutions = tables([0.0, 10.0, 170.0, -90.0, 40.0]);
            all[1].solutions = tables(second);
            all
        };
        let mode = |second, gain| chosen(&choose(&history(second, gain), &image(900.0), &field(), 5, &options)).1;
        let alike = [0.0, 12.0, 168.0, -93.0, 41.0];
        assert_eq!(mode(alike, 0.05), SolveMode::AmplitudePhase);
        assert_eq!(mode(alike, 0.5), SolveMode::Phase, "shorter intervals still pay");
        assert_eq!(mode([30.0, -20.0, 200.0, -120.0, 40.0], 0.05), SolveMode::Phase);
    }

    #[test]
    fn hopeless_antennas_are_named_with_the_reason() {
        let mut stats = tables([0.0; 5]);
        stats.antennas[1].flagged_fraction = 0.9;
        stats.antennas[3].median_snr = Some(1.4);
        for k in [0, 2, 4] {
            stats.antennas[k].median_snr = Some(30.0);
        }
        let hopeless = hopeless_antennas(&stats, &SolintOptions::default());
        assert_eq!(
            hopeless,
            [
                ("a1".to_string(), "90 % of its solutions are flagged".to_string()),
                ("a3".to_string(), "median S/N of its solutions is 1.4, that of all antennas 30.0".to_string())
            ]
        );
        // In a faint field all are alike, and none is given up.
        let mut faint = tables([0.0; 5]);
        faint.antennas.iter_mut().for_each(|a| a.median_snr = Some(1.5));
        assert_eq!(hopeless_antennas(&faint, &SolintOptions::default()), []);
    }
}
