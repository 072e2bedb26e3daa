//! Whether a round is kept, undone, tried again more gently, or the last one. Pure functions of metrics.
//!
//! The rules extend those of NRAO's auto_selfcal (accept when the S/N does not fall, the beam grows by less than
//! 5 % and the noise rises by less than 5 %; tolerate a small loss for the first, longest interval) and CARACal
//! (stop when the statistics change by less than 2 %). docs/acceptance.md explains each with its source.

use crate::campaign::layout::AttemptId;
use crate::options::{Checks, OptionError, Validate};
use crate::quality::metrics::ImageMetrics;
use crate::quality::solutions::SolutionStats;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// More flux in the model is a deeper clean, not divergence, as long as the growth of the flux times the fall of the noise
/// stays below this fraction of the factor that counts as divergence: the sidelobes of sources that a shallow clean left
/// go in proportion. Noise that is cleaned away adds by far more flux.
const DEEPER_CLEAN: f64 = 0.5;

/// Limits of the acceptance rules. Fractions are of the last accepted round's value: 0.02 is 2 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptanceOptions {
    /// Largest fall of the dynamic range (peak / rms) of an accepted round.
    pub dynamic_range_fall: f64,
    /// The same for the first calibrated round, whose long interval prepares what the next ones gain.
    pub first_dynamic_range_fall: f64,
    /// Largest fall of the near-field S/N; null does not look at it.
    pub near_field_snr_fall: Option<f64>,
    /// Largest rise of the noise.
    pub rms_rise: f64,
    /// Largest growth of the restoring beam's area: flagged long baselines widen the beam.
    pub beam_area_growth: f64,
    /// Largest fraction of flagged gain solutions.
    pub flagged_solutions: f64,
    /// A gain in dynamic range below this is no progress.
    pub converged_gain: f64,
    /// The campaign has converged after this many accepted rounds in a row without progress; 0 never stops early.
    pub converged_rounds: usize,
    /// The round has diverged when the noise reaches this multiple of the last accepted round's.
    pub diverged_rms_factor: f64,
    /// The round has diverged when the model's flux exceeds this multiple of the last accepted round's, unless the noise
    /// fell in proportion: then it was cleaned deeper, as after a shallow first image.
    pub diverged_flux_factor: f64,
    /// How often a rejected round is tried again with a gentler setting before the campaign stops.
    pub retries: usize,
    /// Also try a diverged round again, instead of stopping.
    pub retry_diverged: bool,
    /// The gentler setting multiplies the solution interval by this.
    pub retry_interval_factor: f64,
    /// The gentler setting multiplies the mask's seed level by this.
    pub retry_mask_factor: f64,
}

impl Default for AcceptanceOptions {
    fn default() -> Self {
        Self {
            dynamic_range_fall: 0.02,
            first_dynamic_range_fall: 0.02,
            near_field_snr_fall: None,
            rms_rise: 0.05,
            beam_area_growth: 0.05,
            flagged_solutions: 0.3,
            converged_gain: 0.02,
            converged_rounds: 2,
            diverged_rms_factor: 2.0,
            diverged_flux_factor: 3.0,
            retries: 1,
            retry_diverged: false,
            retry_interval_factor: 2.0,
            retry_mask_factor: 1.3,
        }
    }
}

impl Validate for AcceptanceOptions {
    fn problems(&self) -> Vec<OptionError> {
        let fraction = "a fraction from 0 to 1 (0.02 is 2 %)";
        let not_negative = "a number of at least 0 (0.05 is 5 %)";
        let factor = "a factor above 1";
        let unit = |v: f64| (0.0..=1.0).contains(&v);
        let above = |v: f64| v > 1.0 && v.is_finite();
        let mut checks = Checks::of("acceptance");
        for (key, value) in [
            ("dynamic_range_fall", self.dynamic_range_fall),
            ("first_dynamic_range_fall", self.first_dynamic_range_fall),
            ("near_field_snr_fall", self.near_field_snr_fall.unwrap_or(0.0)),
            ("flagged_solutions", self.flagged_solutions),
        ] {
            checks.check(unit(value), key, value, fraction);
        }
        for (key, value) in [
            ("rms_rise", self.rms_rise),
            ("beam_area_growth", self.beam_area_growth),
            ("converged_gain", self.converged_gain),
        ] {
            checks.check(value >= 0.0, key, value, not_negative);
        }
        for (key, value) in [
            ("diverged_rms_factor", self.diverged_rms_factor),
            ("diverged_flux_factor", self.diverged_flux_factor),
            ("retry_interval_factor", self.retry_interval_factor),
            ("retry_mask_factor", self.retry_mask_factor),
        ] {
            checks.check(above(value), key, value, factor);
        }
        checks.problems()
    }
}

/// What is known of a round when it is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundMetrics {
    /// Of its images.
    pub image: ImageMetrics,
    /// Of its gain solutions; `None` for a round without calibration.
    pub solutions: Option<SolutionStats>,
    /// It is the first calibrated round, with the longest interval.
    pub first_interval: bool,
    /// Amplitudes were solved for.
    pub amplitudes: bool,
    /// Interval and mode were chosen from the image (`solint: auto`), and so are those of a retry.
    #[serde(default)]
    pub interval_chosen: bool,
    /// The plan still holds settings of another kind (a shorter interval, amplitudes, a deeper mask): a round
    /// without progress does not end the campaign.
    pub more_to_try: bool,
}

/// The judgement of a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Kept: better than, or as good as, the last accepted round.
    #[default]
    Accepted,
    /// Kept, and the last one: there is no progress any more.
    Converged,
    /// Undone: the last accepted round is active again.
    Rejected,
    /// Undone, and so much worse that the campaign is stopped.
    Diverged,
}

impl Verdict {
    /// The round's products may be used.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::Converged)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The rules, by what they look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// Every pixel of image and model is a number.
    Finite,
    /// The noise could be measured.
    NoiseMeasured,
    /// The model holds components.
    ModelNotEmpty,
    /// Dynamic range against the last accepted round.
    DynamicRange,
    /// Near-field S/N against the last accepted round.
    NearField,
    /// Noise against the last accepted round.
    Rms,
    /// Area of the restoring beam against the last accepted round.
    BeamArea,
    /// Fraction of flagged gain solutions.
    FlaggedSolutions,
    /// Noise beyond the divergence limit.
    RmsDiverged,
    /// Model flux beyond the divergence limit.
    FluxDiverged,
    /// Progress over the last rounds.
    Convergence,
    /// There is no accepted round to compare with.
    FirstRound,
    /// How many attempts were made.
    Retries,
}

/// One rule's outcome with the numbers behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Which rule.
    pub rule: Rule,
    /// It speaks for the round.
    pub passed: bool,
    /// Value of the last accepted round.
    pub before: Option<f64>,
    /// Value of this round.
    pub after: Option<f64>,
    /// The largest or smallest value that passes.
    pub limit: Option<f64>,
    /// The same for people.
    pub words: String,
}

/// A change that makes a round gentler; the driver applies all that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
#[non_exhaustive]
pub enum Relaxation {
    /// Multiply the solution interval.
    LongerInterval {
        /// By this.
        factor: f64,
    },
    /// Solve for phases only.
    PhaseOnly,
    /// Raise the mask's seed level.
    ConservativeMask {
        /// Times this.
        factor: f64,
    },
    /// Apply the tables without flagging data (`applymode='calonly'`).
    CalOnly,
    /// Choose interval and mode again, knowing that these failed (`solint: auto`).
    ChooseAgain,
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongerInterval { factor } => write!(f, "a solution interval {factor} times as long"),
            Self::PhaseOnly => f.write_str("phases only"),
            Self::ConservativeMask { factor } => write!(f, "a mask with seeds {factor} times as high"),
            Self::CalOnly => f.write_str("tables applied without flagging"),
            Self::ChooseAgain => f.write_str("another solution interval"),
        }
    }
}

/// The driver's way after a decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Next {
    /// Go on with the next round of the plan.
    #[default]
    Continue,
    /// Go back to the last accepted round and repeat this one with these changes.
    RetryRelaxed {
        /// All of them together.
        changes: Vec<Relaxation>,
    },
    /// End the campaign with the best accepted round.
    Stop,
}

/// Verdict, the reasons for it, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The judgement.
    pub verdict: Verdict,
    /// Every rule that was looked at, passed or not.
    pub reasons: Vec<Reason>,
    /// What the driver does.
    pub next: Next,
}

impl Decision {
    /// The rules that spoke against the round.
    pub fn failed(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|r| !r.passed)
    }

    /// One line: the verdict and what decided it.
    pub fn summary(&self) -> String {
        let decisive: Vec<&str> = match self.verdict {
            Verdict::Accepted => self
                .reasons
                .iter()
                .filter(|r| matches!(r.rule, Rule::DynamicRange | Rule::Rms | Rule::FirstRound))
                .map(|r| r.words.as_str())
                .collect(),
            Verdict::Converged => {
                self.reasons.iter().filter(|r| r.rule == Rule::Convergence).map(|r| r.words.as_str()).collect()
            }
            Verdict::Rejected | Verdict::Diverged => self.failed().map(|r| r.words.as_str()).collect(),
        };
        format!("{}: {}", self.verdict, decisive.join("; "))
    }
}

/// A judged round, in the order of time. A repeated round appears once an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundOutcome {
    /// The attempt.
    pub id: AttemptId,
    /// What it was judged by.
    pub metrics: RoundMetrics,
    /// The judgement.
    pub decision: Decision,
}

/// The last round that is in force.
pub fn last_accepted(history: &[RoundOutcome]) -> Option<&RoundOutcome> {
    history.iter().rev().find(|o| o.decision.verdict.is_accepted())
}

/// The accepted round of the highest dynamic range, the earlier of equal ones: the campaign's product.
pub fn best_accepted(history: &[RoundOutcome]) -> Option<&RoundOutcome> {
    history.iter().filter(|o| o.decision.verdict.is_accepted()).fold(
        None,
        |best: Option<&RoundOutcome>, o| match best {
            Some(b) if b.metrics.image.dynamic_range >= o.metrics.image.dynamic_range => best,
            _ => Some(o),
        },
    )
}

/// Why [`best_accepted`] is the product, in a sentence; `None` when no round was accepted.
pub fn why_best(history: &[RoundOutcome]) -> Option<String> {
    let best = best_accepted(history)?;
    let accepted = history.iter().filter(|o| o.decision.verdict.is_accepted()).count();
    let dynamic_range = number(best.metrics.image.dynamic_range);
    Some(if accepted == 1 {
        format!("round {} is the only accepted one; its dynamic range is {dynamic_range}", best.id.round)
    } else {
        format!(
            "round {} has the highest dynamic range, {dynamic_range}, of the {accepted} accepted rounds (rms {} Jy/beam)",
            best.id.round,
            number(best.metrics.image.rms)
        )
    })
}

/// Judges a round against the last accepted one of `history` (oldest first, the candidate not in it).
pub fn judge(history: &[RoundOutcome], candidate: &RoundMetrics, options: &AcceptanceOptions) -> Decision {
    let reference = last_accepted(history);
    let mut reasons = soundness(candidate, options);
    let diverged = match reference {
        Some(r) => divergence(&r.metrics, candidate, options),
        None => Vec::new(),
    };
    let has_diverged = candidate.image.non_finite || diverged.iter().any(|r| !r.passed);
    reasons.extend(diverged);
    match reference {
        Some(r) => reasons.extend(comparison(&r.metrics, candidate, options)),
        None => reasons.push(Reason {
            rule: Rule::FirstRound,
            passed: true,
            before: None,
            after: Some(candidate.image.dynamic_range),
            limit: None,
            words: format!(
                "first image: dynamic range {}, rms {} Jy/beam; there is nothing to compare it with",
                number(candidate.image.dynamic_range),
                number(candidate.image.rms)
            ),
        }),
    }
    if reasons.iter().all(|r| r.passed) {
        let (converged, reason) = convergence(history, candidate, options);
        reasons.extend(reason);
        return if converged {
            Decision { verdict: Verdict::Converged, reasons, next: Next::Stop }
        } else {
            Decision { verdict: Verdict::Accepted, reasons, next: Next::Continue }
        };
    }
    let verdict = if has_diverged { Verdict::Diverged } else { Verdict::Rejected };
    let next = after_failure(history, candidate, &mut reasons, verdict, options);
    Decision { verdict, reasons, next }
}

/// The tables must hold solutions, most of them unflagged.
fn flagged_solutions(solutions: &SolutionStats, options: &AcceptanceOptions) -> Reason {
    let (after, limit) = (solutions.flagged_fraction, options.flagged_solutions);
    // A table without any solution is as useless as one that is flagged throughout.
    let passed = after <= limit && solutions.solutions > 0;
    let words = if solutions.solutions == 0 {
        "the tables hold no solution".to_string()
    } else {
        format!("{:.1} % of {} solutions flagged, {:.1} % allowed", 100.0 * after, solutions.solutions, 100.0 * limit)
    };
    Reason { rule: Rule::FlaggedSolutions, passed, before: None, after: Some(after), limit: Some(limit), words }
}

/// Judges a round by its tables alone, before they are applied: `None` lets it go on, a decision refuses it.
/// Only `solutions` and `amplitudes` of the candidate are looked at.
pub fn judge_solutions(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    options: &AcceptanceOptions,
) -> Option<Decision> {
    let reason = flagged_solutions(candidate.solutions.as_ref().filter(|s| !s.are_unknown())?, options);
    if reason.passed {
        return None;
    }
    let mut reasons = vec![reason];
    let next = after_failure(history, candidate, &mut reasons, Verdict::Rejected, options);
    Some(Decision { verdict: Verdict::Rejected, reasons, next })
}

/// Rules that need no earlier round.
fn soundness(candidate: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    let image = &candidate.image;
    let plain = |rule, passed, words: &str| Reason {
        rule,
        passed,
        before: None,
        after: None,
        limit: None,
        words: words.to_string(),
    };
    let mut reasons = vec![if image.non_finite {
        plain(Rule::Finite, false, "image or model hold infinite values, NaN in the model, or no number at all")
    } else {
        plain(Rule::Finite, true, "image and model are finite")
    }];
    if !image.non_finite && image.rms <= 0.0 {
        reasons.push(plain(Rule::NoiseMeasured, false, "no noise could be measured outside the mask (rms is 0)"));
    }
    if let Some(model) = image.model {
        let words = format!("the model holds {} components, {} Jy", model.components, number(model.total_flux));
        let words = if model.components == 0 { "the model is empty".to_string() } else { words };
        reasons.push(plain(Rule::ModelNotEmpty, model.components > 0, &words));
    }
    let known = candidate.solutions.as_ref().filter(|s| !s.are_unknown());
    reasons.extend(known.map(|s| flagged_solutions(s, options)));
    reasons
}

/// Rules whose failure means that something has gone badly wrong.
fn divergence(before: &RoundMetrics, after: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut check = |rule, what: &str, unit: &str, old: f64, new: f64, factor: f64, reached: bool| {
        if old <= 0.0 {
            return;
        }
        reasons.push(Reason {
            rule,
            passed: !reached,
            before: Some(old),
            after: Some(new),
            limit: Some(factor * old),
            words: format!(
                "{what} {} -> {} {unit} ({:.2} times; diverged {factor} times)",
                number(old),
                number(new),
                new / old
            ),
        });
    };
    let (old, new, factor) = (before.image.rms, after.image.rms, options.diverged_rms_factor);
    check(Rule::RmsDiverged, "rms", "Jy/beam", old, new, factor, new >= factor * old);
    if let (Some(old), Some(new)) = (before.image.model, after.image.model) {
        let (old, new, factor) = (old.total_flux, new.total_flux, options.diverged_flux_factor);
        let deeper = new / old * after.image.rms / before.image.rms < DEEPER_CLEAN * factor;
        check(Rule::FluxDiverged, "model flux", "Jy", old, new, factor, new > factor * old && !deeper);
    }
    reasons
}

/// Rules against the last accepted round.
fn comparison(before: &RoundMetrics, after: &RoundMetrics, options: &AcceptanceOptions) -> Vec<Reason> {
    /// Whether a rule limits a fall or a rise, as a fraction of the old value.
    enum Limit {
        Fall(f64),
        Rise(f64),
    }
    let mut reasons = Vec::new();
    let mut check = |rule, what: &str, unit: &str, old: f64, new: f64, allowed: Limit| {
        if old <= 0.0 {
            return;
        }
        let change = new / old - 1.0;
        let (passed, limit, sign, fraction) = match allowed {
            Limit::Fall(f) => (new >= (1.0 - f) * old, (1.0 - f) * old, '-', f),
            Limit::Rise(f) => (new <= (1.0 + f) * old, (1.0 + f) * old, '+', f),
        };
        reasons.push(Reason {
            rule,
            passed,
            before: Some(old),
            after: Some(new),
            limit: Some(limit),
            words: format!(
                "{what} {} -> {}{unit} ({:+.1} %, limit {sign}{} %)",
                number(old),
                number(new),
                100.0 * change,
                number(100.0 * fraction)
            ),
        });
    };
    let fall = if after.first_interval {
        options.first_dynamic_range_fall.max(options.dynamic_range_fall)
    } else {
        options.dynamic_range_fall
    };
    let (old, new) = (&before.image, &after.image);
    check(Rule::DynamicRange, "dynamic range", "", old.dynamic_range, new.dynamic_range, Limit::Fall(fall));
    if let (Some(fall), Some(old), Some(new)) = (options.near_field_snr_fall, old.near_field_snr, new.near_field_snr) {
        check(Rule::NearField, "near-field S/N", "", old, new, Limit::Fall(fall));
    }
    check(Rule::Rms, "rms", " Jy/beam", old.rms, new.rms, Limit::Rise(options.rms_rise));
    if let (Some(old), Some(new)) = (old.beam_area_arcsec2, new.beam_area_arcsec2) {
        check(Rule::BeamArea, "beam area", " square arcsec", old, new, Limit::Rise(options.beam_area_growth));
    }
    reasons
}

/// Whether the last accepted rounds, the candidate included, brought no progress; the reason where one is due.
fn convergence(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    options: &AcceptanceOptions,
) -> (bool, Option<Reason>) {
    let mut ranges: Vec<f64> =
        history.iter().filter(|o| o.decision.verdict.is_accepted()).map(|o| o.metrics.image.dynamic_range).collect();
    ranges.push(candidate.image.dynamic_range);
    // The gain is over the best so far: a fall and a return to where one was are no progress.
    let mut best = ranges[0];
    let mut gains = Vec::new();
    for &range in &ranges[1..] {
        gains.push(if best > 0.0 { range / best - 1.0 } else { f64::INFINITY });
        best = best.max(range);
    }
    let idle = gains.iter().rev().take_while(|&&g| g < options.converged_gain).count();
    let needed = options.converged_rounds;
    if needed == 0 || idle < needed {
        return (false, None);
    }
    let listed: Vec<String> = gains[gains.len() - idle..].iter().map(|g| format!("{:+.1} %", 100.0 * g)).collect();
    let mut words = format!(
        "gains in dynamic range of the last {idle} accepted rounds {} are below {} %",
        listed.join(", "),
        number(100.0 * options.converged_gain)
    );
    if candidate.more_to_try {
        words.push_str("; other settings are still to be tried");
    }
    let reason = Reason {
        rule: Rule::Convergence,
        passed: true,
        before: None,
        after: gains.last().copied(),
        limit: Some(options.converged_gain),
        words,
    };
    (!candidate.more_to_try, Some(reason))
}

/// Retry or stop, and with which changes.
fn after_failure(
    history: &[RoundOutcome],
    candidate: &RoundMetrics,
    reasons: &mut Vec<Reason>,
    verdict: Verdict,
    options: &AcceptanceOptions,
) -> Next {
    let tried = history.iter().rev().take_while(|o| !o.decision.verdict.is_accepted()).count();
    let nothing_to_go_back_to = last_accepted(history).is_none();
    if nothing_to_go_back_to || (verdict == Verdict::Diverged && !options.retry_diverged) {
        return Next::Stop;
    }
    if tried >= options.retries {
        if options.retries > 0 {
            reasons.push(Reason {
                rule: Rule::Retries,
                passed: false,
                before: None,
                after: Some(tried as f64),
                limit: Some(options.retries as f64),
                words: format!("a gentler setting was tried {tried} time{} without success", plural(tried)),
            });
        }
        return Next::Stop;
    }
    let failed = |rule: Rule| reasons.iter().any(|r| r.rule == rule && !r.passed);
    let mut changes = Vec::new();
    if candidate.solutions.is_some() {
        if candidate.interval_chosen {
            changes.push(Relaxation::ChooseAgain);
        } else {
            changes.push(Relaxation::LongerInterval { factor: options.retry_interval_factor });
            if candidate.amplitudes {
                changes.push(Relaxation::PhaseOnly);
            }
        }
        if failed(Rule::BeamArea) {
            changes.push(Relaxation::CalOnly);
        }
    }
    // A mask that is already too strict for the model is not made stricter; bad tables are no fault of the mask.
    let image_is_worse = [Rule::DynamicRange, Rule::NearField, Rule::Rms, Rule::RmsDiverged, Rule::FluxDiverged];
    if !failed(Rule::ModelNotEmpty) && image_is_worse.into_iter().any(failed) {
        changes.push(Relaxation::ConservativeMask { factor: options.retry_mask_factor });
    }
    if changes.is_empty() { Next::Stop } else { Next::RetryRelaxed { changes } }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// Four significant digits, without needless zeros.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e7).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::metrics::ModelMetrics;
    use crate::quality::solutions::AntennaSolutions;
    use rstest::rstest;

    /// A sound round: rms 1, beam area 10, model of 5 Jy; 2 % of the solutions flagged.
    fn round(dynamic_range: f64) -> RoundMetrics {
        RoundMetrics {
            image: ImageMetrics {
                rms: 1.0,
                peak: dynamic_range,
                dynamic_range,
                near_field_snr: Some(100.0),
                beam_area_arcsec2: Some(10.0),
                model: Some(ModelMetrics { total_flux: 5.0, components: 9, ..ModelMetrics::default() }),
                ..ImageMetrics::default()
            },
            solutions: Some(SolutionStats { solutions: 100, flagged_fraction: 0.02, ..SolutionStats::default() }),
            ..RoundMetrics::default()
        }
    }

    /// Judges the rounds one after the other, as the driver does.
    fn run(rounds: &[RoundMetrics], options: &AcceptanceOptions) -> Vec<RoundOutcome> {
        let mut history: Vec<RoundOutcome> = Vec::new();
        for (round, metrics) in rounds.iter().enumerate() {
            let decision = judge(&history, metrics, options);
            history.push(RoundOutcome { id: AttemptId::first(round), metrics: metrics.clone(), decision });
        }
        history
    }

    fn verdict_of(change: impl Fn(&mut RoundMetrics), options: &AcceptanceOptions) -> (Verdict, Vec<Rule>) {
        let mut candidate = round(110.0);
        change(&mut candidate);
        let decision = judge(&run(&[round(100.0)], options), &candidate, options);
        (decision.verdict, decision.failed().map(|r| r.rule).collect())
    }

    #[rstest]
    #[case::better(|_: &mut RoundMetrics| {}, Verdict::Accepted, &[])]
    #[case::fall_within(|m: &mut RoundMetrics| m.image.dynamic_range = 98.1, Verdict::Accepted, &[])]
    #[case::fall_beyond(|m: &mut RoundMetrics| m.image.dynamic_range = 97.9, Verdict::Rejected, &[Rule::DynamicRange])]
    #[case::rms_within(|m: &mut RoundMetrics| m.image.rms = 1.049, Verdict::Accepted, &[])]
    #[case::rms_beyond(|m: &mut RoundMetrics| m.image.rms = 1.051, Verdict::Rejected, &[Rule::Rms])]
    #[case::rms_doubled(|m: &mut RoundMetrics| m.image.rms = 2.0, Verdict::Diverged, &[Rule::RmsDiverged, Rule::Rms])]
    #[case::beam_within(|m: &mut RoundMetrics| m.image.beam_area_arcsec2 = Some(10.4), Verdict::Accepted, &[])]
    #[case::beam_beyond(|m: &mut RoundMetrics| m.image.beam_area_arcsec2 = Some(10.6), Verdict::Rejected, &[Rule::BeamArea])]
    #[case::beam_unknown(|m: &mut RoundMetrics| m.image.beam_area_arcsec2 = None, Verdict::Accepted, &[])]
    #[case::flagged_within(|m: &mut RoundMetrics| m.solutions.as_mut().unwrap().flagged_fraction = 0.3, Verdict::Accepted, &[])]
    #[case::flagged_beyond(|m: &mut RoundMetrics| m.solutions.as_mut().unwrap().flagged_fraction = 0.31, Verdict::Rejected, &[Rule::FlaggedSolutions])]
    #[case::no_solution(|m: &mut RoundMetrics| m.solutions = Some(SolutionStats { antennas: vec![AntennaSolutions::default()], ..SolutionStats::default() }), Verdict::Rejected, &[Rule::FlaggedSolutions])]
    #[case::nothing_is_known_of_them(|m: &mut RoundMetrics| m.solutions = Some(SolutionStats::default()), Verdict::Accepted, &[])]
    #[case::empty_model(|m: &mut RoundMetrics| m.image.model = Some(ModelMetrics::default()), Verdict::Rejected, &[Rule::ModelNotEmpty])]
    #[case::no_model_given(|m: &mut RoundMetrics| m.image.model = None, Verdict::Accepted, &[])]
    #[case::flux_three_times(|m: &mut RoundMetrics| m.image.model.as_mut().unwrap().total_flux = 15.0, Verdict::Accepted, &[])]
    #[case::flux_beyond(|m: &mut RoundMetrics| m.image.model.as_mut().unwrap().total_flux = 15.1, Verdict::Diverged, &[Rule::FluxDiverged])]
    #[case::flux_beyond_at_lower_noise(|m: &mut RoundMetrics| (m.image.model.as_mut().unwrap().total_flux, m.image.rms) = (15.1, 0.51), Verdict::Diverged, &[Rule::FluxDiverged])]
    #[case::flux_of_a_deeper_clean(|m: &mut RoundMetrics| (m.image.model.as_mut().unwrap().total_flux, m.image.rms) = (15.1, 0.49), Verdict::Accepted, &[])]
    #[case::flux_of_noise(|m: &mut RoundMetrics| (m.image.model.as_mut().unwrap().total_flux, m.image.rms) = (1000.0, 0.2), Verdict::Diverged, &[Rule::FluxDiverged])]
    #[case::not_finite(|m: &mut RoundMetrics| m.image.non_finite = true, Verdict::Diverged, &[Rule::Finite])]
    #[case::no_noise(|m: &mut RoundMetrics| m.image.rms = 0.0, Verdict::Rejected, &[Rule::NoiseMeasured])]
    fn each_rule(#[case] change: impl Fn(&mut RoundMetrics), #[case] verdict: Verdict, #[case] failed: &[Rule]) {
        assert_eq!(verdict_of(change, &AcceptanceOptions::default()), (verdict, failed.to_vec()));
    }

    #[test]
    fn the_first_interval_and_the_near_field_have_limits_of_their_own() {
        let options = AcceptanceOptions {
            first_dynamic_range_fall: 0.1,
            near_field_snr_fall: Some(0.05),
            ..AcceptanceOptions::default()
        };
        let first = |m: &mut RoundMetrics| (m.image.dynamic_range, m.first_interval) = (91.0, true);
        assert_eq!(verdict_of(first, &options).0, Verdict::Accepted);
        assert_eq!(verdict_of(|m| m.image.dynamic_range = 91.0, &options).0, Verdict::Rejected);
        let near = |m: &mut RoundMetrics| m.image.near_field_snr = Some(94.0);
        assert_eq!(verdict_of(near, &options), (Verdict::Rejected, vec![Rule::NearField]));
        assert_eq!(verdict_of(near, &AcceptanceOptions::default()).0, Verdict::Accepted);
    }

    #[test]
    fn round_0_is_accepted_unless_it_is_unusable() {
        let options = AcceptanceOptions::default();
        let zero = RoundMetrics { solutions: None, ..round(50.0) };
        assert_eq!(judge(&[], &zero, &options).verdict, Verdict::Accepted);
        let mut empty = zero.clone();
        empty.image.model = Some(ModelMetrics::default());
        let decision = judge(&[], &empty, &options);
        assert_eq!((decision.verdict, decision.next), (Verdict::Rejected, Next::Stop));
        let mut broken = zero;
        broken.image.non_finite = true;
        assert_eq!(judge(&[], &broken, &options).verdict, Verdict::Diverged);
    }

    #[rstest]
    #[case::twice_idle(&[100.0, 150.0, 152.0, 153.0], &[Verdict::Accepted, Verdict::Accepted, Verdict::Accepted, Verdict::Converged])]
    #[case::progress_between(&[100.0, 101.0, 150.0, 151.0], &[Verdict::Accepted; 4])]
    #[case::fall_and_return(&[100.0, 99.0, 101.5], &[Verdict::Accepted, Verdict::Accepted, Verdict::Converged])]
    #[case::rejected_do_not_count(&[100.0, 101.0, 50.0, 120.0], &[Verdict::Accepted, Verdict::Accepted, Verdict::Rejected, Verdict::Accepted])]
    fn convergence_by_two_idle_rounds(#[case] ranges: &[f64], #[case] verdicts: &[Verdict]) {
        let rounds: Vec<RoundMetrics> = ranges.iter().map(|&d| round(d)).collect();
        let history = run(&rounds, &AcceptanceOptions::default());
        assert_eq!(history.iter().map(|o| o.decision.verdict).collect::<Vec<_>>(), verdicts);
    }

    #[test]
    fn convergence_waits_for_other_settings_and_can_be_turned_off() {
        let options = AcceptanceOptions::default();
        let history = run(&[round(100.0), round(101.0)], &options);
        let waiting = RoundMetrics { more_to_try: true, ..round(102.0) };
        let decision = judge(&history, &waiting, &options);
        assert_eq!((decision.verdict, &decision.next), (Verdict::Accepted, &Next::Continue));
        assert!(decision.reasons.iter().any(|r| r.words.contains("still to be tried")));
        assert_eq!(judge(&history, &round(102.0), &options).next, Next::Stop);
        let never = AcceptanceOptions { converged_rounds: 0, ..options };
        assert_eq!(judge(&history, &round(102.0), &never).verdict, Verdict::Accepted);
    }

    #[test]
    fn a_rejected_round_is_tried_once_more_gently_and_then_it_is_over() {
        let options = AcceptanceOptions::default();
        let bad = RoundMetrics { amplitudes: true, ..round(60.0) };
        let history = run(&[round(100.0), bad.clone()], &options);
        let changes = vec![
            Relaxation::LongerInterval { factor: 2.0 },
            Relaxation::PhaseOnly,
            Relaxation::ConservativeMask { factor: 1.3 },
        ];
        assert_eq!(history[1].decision.next, Next::RetryRelaxed { changes });
        let second = judge(&history, &bad, &options);
        assert_eq!((second.verdict, &second.next), (Verdict::Rejected, &Next::Stop));
        assert!(second.failed().any(|r| r.rule == Rule::Retries));
        let good = judge(&history, &round(130.0), &options);
        assert_eq!((good.verdict, good.next), (Verdict::Accepted, Next::Continue));
    }

    #[test]
    fn the_gentler_setting_answers_the_fault() {
        let options = AcceptanceOptions::default();
        let changes = |change: fn(&mut RoundMetrics)| {
            let mut candidate = round(110.0);
            change(&mut candidate);
            judge(&run(&[round(100.0)], &options), &candidate, &options).next
        };
        let longer = Relaxation::LongerInterval { factor: 2.0 };
        let retry = |changes: &[Relaxation]| Next::RetryRelaxed { changes: changes.to_vec() };
        assert_eq!(changes(|m| m.solutions.as_mut().unwrap().flagged_fraction = 0.5), retry(&[longer]));
        assert_eq!(changes(|m| m.image.beam_area_arcsec2 = Some(12.0)), retry(&[longer, Relaxation::CalOnly]));
        assert_eq!(changes(|m| m.image.rms = 3.0), Next::Stop, "diverged");
        let chosen = |m: &mut RoundMetrics| {
            (m.interval_chosen, m.amplitudes) = (true, true);
            m.solutions.as_mut().unwrap().flagged_fraction = 0.5;
        };
        assert_eq!(changes(chosen), retry(&[Relaxation::ChooseAgain]));
        let mask = Relaxation::ConservativeMask { factor: 1.3 };
        assert_eq!(changes(|m| (m.image.rms, m.solutions) = (1.2, None)), retry(&[mask]));
        let retry_diverged = AcceptanceOptions { retry_diverged: true, ..AcceptanceOptions::default() };
        let mut diverged = round(110.0);
        diverged.image.rms = 3.0;
        let decision = judge(&run(&[round(100.0)], &options), &diverged, &retry_diverged);
        assert_eq!((decision.verdict, decision.next), (Verdict::Diverged, retry(&[longer, mask])));
    }

    #[test]
    fn the_best_accepted_round_is_the_product() {
        let options = AcceptanceOptions { converged_rounds: 0, ..AcceptanceOptions::default() };
        let history = run(&[round(100.0), round(160.0), round(158.0), round(20.0)], &options);
        assert_eq!(best_accepted(&history).unwrap().id.round, 1);
        assert_eq!(last_accepted(&history).unwrap().id.round, 2);
        insta::assert_snapshot!(why_best(&history).unwrap(), @"round 1 has the highest dynamic range, 160, of the 3 accepted rounds (rms 1 Jy/beam)");
        assert!(best_accepted(&[]).is_none());
    }

    #[test]
    fn reasons_carry_their_numbers_in_words() {
        let options = AcceptanceOptions::default();
        let mut bad = round(61.234);
        bad.image.rms = 1.5;
        let decision = judge(&run(&[round(100.0)], &options), &bad, &options);
        insta::assert_snapshot!(decision.summary(), @"rejected: dynamic range 100 -> 61.23 (-38.8 %, limit -2 %); rms 1 -> 1.5 Jy/beam (+50.0 %, limit +5 %)");
        let json = serde_json::to_string(&decision).unwrap();
        assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), decision);
    }

    #[rstest]
    #[case("rms_rise: -0.1", "acceptance.rms_rise is -0.1; expected a number of at least 0 (0.05 is 5 %)")]
    #[case("diverged_rms_factor: 1.0", "acceptance.diverged_rms_factor is 1; expected a factor above 1")]
    #[case(
        "flagged_solutions: 30",
        "acceptance.flagged_solutions is 30; expected a fraction from 0 to 1 (0.02 is 2 %)"
    )]
    fn invalid_limits_are_named(#[case] yaml: &str, #[case] message: &str) {
        let options: AcceptanceOptions = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(options.validate().unwrap_err().to_string(), message);
    }

    #[test]
    fn defaults_are_valid_and_unknown_keys_are_not() {
        AcceptanceOptions::default().validate().unwrap();
        let error = serde_yaml::from_str::<AcceptanceOptions>("rms_raise: 0.1").unwrap_err().to_string();
        assert!(error.contains("rms_raise"), "{error}");
    }
}
