//! Rules, reasons, and what follows from them.

use crate::campaign::layout::AttemptId;
use crate::quality::metrics::ImageMetrics;
use crate::quality::solutions::SolutionStats;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Measurements of a round by which it is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundMetrics {
    /// Of its images.
    pub image: ImageMetrics,
    /// Of its gain solutions; `None` for a round without calibration.
    pub solutions: Option<SolutionStats>,
    /// It is the first calibrated round, with the longest interval.
    pub first_interval: bool,
    /// It was solved against another model than that of the last accepted image, which was not trusted.
    pub fresh_start: bool,
    /// An image without a model is no fault: calibration starts from another.
    pub model_may_be_empty: bool,
    /// Amplitudes were solved for.
    pub amplitudes: bool,
    /// Gains were solved for by direction.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_direction: bool,
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
    /// Noise against the last accepted round, where the image is no better.
    Rms,
    /// Deepest negative over the peak against the last accepted round.
    Negative,
    /// Area of the restoring beam against the last accepted round.
    BeamArea,
    /// Fraction of flagged gain solutions.
    FlaggedSolutions,
    /// S/N of the gain solutions.
    SolutionSnr,
    /// Flux of the model in the islands of the last mask: a warning that the flux scale drifts.
    FluxScale,
    /// Noise beyond the divergence limit.
    RmsDiverged,
    /// Model flux beyond the divergence limit.
    FluxDiverged,
    /// Progress over the last rounds.
    Convergence,
    /// There is no accepted round to compare with.
    FirstRound,
    /// Number of attempts.
    Retries,
    /// Number of directions that are bright enough to be solved for.
    Directions,
}

/// One rule's outcome with the numbers behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Which rule.
    pub rule: Rule,
    /// It speaks for the round.
    pub passed: bool,
    /// It does not speak against the round, but people should know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
    /// Value of the last accepted round.
    pub before: Option<f64>,
    /// Value of this round.
    pub after: Option<f64>,
    /// The largest or smallest value that passes.
    pub limit: Option<f64>,
    /// The same for people.
    pub words: String,
}

impl Reason {
    /// A rule's outcome without numbers.
    pub(super) fn plain(rule: Rule, passed: bool, words: impl Into<String>) -> Self {
        Self { rule, passed, warning: false, before: None, after: None, limit: None, words: words.into() }
    }
}

/// A change of a round's settings for a relaxed attempt; the driver applies all that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Choose another chain, knowing that this one failed (`solint: auto`); the schedule alone ends such a campaign.
    ChooseAgain,
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongerInterval { factor } => write!(f, "a solution interval {factor} times as long"),
            Self::PhaseOnly => f.write_str("phases only"),
            Self::ConservativeMask { factor } => write!(f, "a mask with seeds {factor} times as high"),
            Self::CalOnly => f.write_str("tables applied without flagging"),
            Self::ChooseAgain => f.write_str("another chain of the schedule"),
        }
    }
}

/// The driver's way after a decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The course of the campaign after it.
    pub next: Next,
}

impl Decision {
    /// The rules that spoke against the round.
    pub fn failed(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|r| !r.passed)
    }

    /// What does not speak against the round, but people should know.
    pub fn warnings(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|r| r.warning)
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
    /// The metrics that it was judged by.
    pub metrics: RoundMetrics,
    /// The judgement.
    pub decision: Decision,
}
