//! One attempt at one round: its steps, its products, its verdict.

use super::facets::FacetRecord;
use super::mask::MaskRecord;
use super::message::MessageRecord;
use crate::calibrator::options::{CalMode, GainType, GaincalOptions, TermKind};
use crate::calibrator::{SolutionTable, term_names};
use crate::campaign::journal::{State, Step};
use crate::campaign::layout::AttemptId;
use crate::campaign::rules::acceptance::{Decision, Next, Rule, Verdict};
use crate::campaign::rules::schedule::Weighed;
use crate::imager::{Products, StopReason};
use crate::major_cycle::{ConfettiRecord, CycleRecord};
use crate::quality::metrics::ImageMetrics;
use crate::quality::solutions::SolutionStats;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One attempt at one round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoundRecord {
    /// Round, 0 first.
    pub round: usize,
    /// Attempt at this round, 1 first.
    pub attempt: usize,
    /// Where it stands.
    pub state: State,
    /// Start.
    pub started: Option<Timestamp>,
    /// End.
    pub finished: Option<Timestamp>,
    /// Column that was imaged.
    pub data_column: String,
    /// Calibrator, e.g. `casa`; empty in a round without calibration.
    pub calibrator: String,
    /// Solution interval, as given to the calibrator; of the first solve of a chain.
    pub solint: Option<String>,
    /// Mode that was solved for; of the first solve of a chain.
    pub calmode: Option<CalMode>,
    /// The solves, each with those before it applied.
    pub chain: Vec<TermRecord>,
    /// Why this chain, where the program chose it.
    pub solint_why: Option<String>,
    /// What else was weighed then.
    pub weighed: Vec<Weighed>,
    /// Statistics of its solutions.
    pub solutions: Option<SolutionStats>,
    /// JSON file of [`SolutionStats`] with the series for plots; a campaign of many measurement sets leaves the series
    /// out of `solutions`, so that the record stays small.
    pub solutions_file: Option<PathBuf>,
    /// The tables, in the order in which they are applied; of several measurement sets, one after the other.
    pub tables: Vec<SolutionTable>,
    /// Solutions by measurement set, where several are imaged together; `solutions` holds those of all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberRecord>,
    /// Its directions; `None`: it did not solve by direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facets: Option<FacetRecord>,
    /// The mask that the round was cleaned with; `None`: without one.
    pub mask: Option<MaskRecord>,
    /// Imager, e.g. `wsclean`.
    pub imager: String,
    /// Final files.
    pub products: Option<Products>,
    /// Metrics of its images.
    pub metrics: Option<ImageMetrics>,
    /// One entry per major cycle, where the campaign drove them one by one.
    pub cycles: Vec<CycleRecord>,
    /// Why cleaning ended.
    pub stopped: Option<StopReason>,
    /// The verdict.
    pub decision: Option<DecisionRecord>,
    /// Programs that were run, in order.
    pub commands: Vec<CommandRecord>,
    /// Confetti that was found (cubes).
    pub confetti: Vec<ConfettiRecord>,
    /// Messages about it.
    pub messages: Vec<MessageRecord>,
}

/// Solutions of one measurement set of several that are imaged together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MemberRecord {
    /// Its name.
    pub name: String,
    /// Statistics of its solutions.
    pub solutions: Option<SolutionStats>,
    /// JSON file of [`SolutionStats`] with the series for plots, where `solutions` leaves them out.
    pub solutions_file: Option<PathBuf>,
    /// Its solves, where they differ from those of the round: longer intervals, as its S/N is lower.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<TermRecord>,
    /// The tables that are applied to it, in this order; none: its data stay as they are.
    pub tables: Vec<SolutionTable>,
    /// Why its new solutions are neither counted nor applied; those of the last accepted round stay. `None`: they are good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weak: Option<String>,
    /// The image is made without it: it is better so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
}

/// One solve of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TermRecord {
    /// Name of the term.
    pub term: String,
    /// Its kind.
    pub kind: TermKind,
    /// Solution interval, as given to the calibrator.
    pub solint: String,
    /// Mode that was solved for.
    pub calmode: CalMode,
    /// Kind of gain.
    pub gaintype: GainType,
    /// The last accepted round's solutions were taken, if it had any.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reuse: bool,
}

impl TermRecord {
    /// The solves of a chain.
    pub fn of_chain(chain: &[GaincalOptions]) -> Vec<Self> {
        let one = |(term, o): (String, &GaincalOptions)| Self {
            term,
            kind: o.kind(),
            solint: o.solint.clone(),
            calmode: o.calmode,
            gaintype: o.gaintype,
            reuse: o.reuse,
        };
        term_names(chain).into_iter().zip(chain).map(one).collect()
    }
}

/// A verdict with the numbers behind it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DecisionRecord {
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence.
    pub summary: String,
    /// Every rule that was looked at.
    pub rules: Vec<RuleRecord>,
    /// The course after it.
    pub next: Next,
}

impl From<&Decision> for DecisionRecord {
    fn from(decision: &Decision) -> Self {
        let rules = decision.reasons.iter().map(|r| RuleRecord {
            rule: r.rule,
            text: r.words.clone(),
            kept: r.passed,
            warning: r.warning,
            value: r.after,
            limit: r.limit,
        });
        Self {
            verdict: decision.verdict,
            summary: decision.summary(),
            rules: rules.collect(),
            next: decision.next.clone(),
        }
    }
}

/// One rule of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleRecord {
    /// Which rule.
    pub rule: Rule,
    /// One sentence with the numbers and units.
    pub text: String,
    /// The rule was kept.
    pub kept: bool,
    /// It was, but people should know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
    /// The value of this round.
    pub value: Option<f64>,
    /// The value that it was compared with.
    pub limit: Option<f64>,
}

/// A program that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRecord {
    /// The step that ran it.
    pub step: Step,
    /// The exact words (for a worker: its request).
    pub words: Vec<String>,
    /// Wall time, seconds.
    pub seconds: Option<f64>,
    /// Its own words.
    pub log: Option<PathBuf>,
    /// Exit status; `None` for a worker's request.
    pub status: Option<i32>,
}

impl RoundRecord {
    /// The record of an attempt that begins now.
    pub fn begun(id: AttemptId) -> Self {
        Self {
            round: id.round,
            attempt: id.attempt,
            state: State::Running,
            started: Some(Timestamp::now()),
            ..Self::default()
        }
    }

    /// The attempt.
    pub fn id(&self) -> AttemptId {
        AttemptId { round: self.round, attempt: self.attempt }
    }

    /// It was judged, and its products may be used.
    pub fn is_accepted(&self) -> bool {
        self.decision.as_ref().is_some_and(|d| d.verdict.is_accepted())
    }

    /// Wall time, seconds, once it has ended; at least that of its programs, some of which an earlier run may have run.
    pub fn seconds(&self) -> Option<f64> {
        let wall = self.finished?.duration_since(self.started?).as_secs_f64();
        Some(wall.max(self.commands.iter().filter_map(|c| c.seconds).sum()))
    }
}
