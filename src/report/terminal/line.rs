//! The shape of a log line with `--log-format json`, for its schema.

use super::log::FORMAT;
use crate::campaign::events::Step;
use crate::campaign::record::{State, Verdict};
use schemars::{JsonSchema, Schema};
use serde_json::{Value as Json, json};

/// A log line, an object on a line of standard error. A key whose value is not known is left out.
#[derive(JsonSchema)]
#[schemars(title = "cleanloop events", transform = with_or_without_event)]
#[allow(dead_code)] // Only its schema is used.
pub(crate) struct LogLine {
    /// When.
    timestamp: jiff::Timestamp,
    /// Its level.
    level: LogLevel,
    /// Words for people; they may change.
    message: String,
    /// What happened, where it is an event of a campaign.
    #[schemars(flatten)]
    event: LogEvent,
}

/// Lines that are no events have no key `event`, and further keys of their own.
fn with_or_without_event(schema: &mut Schema) {
    if let Some(events) = schema.remove("oneOf").or_else(|| schema.remove("anyOf")) {
        let mut all: Vec<Json> = events.as_array().cloned().unwrap_or_default();
        all.push(json!({"description": "No event of a campaign.", "not": {"required": ["event"]}}));
        schema.insert("anyOf".to_owned(), Json::Array(all));
    }
}

#[derive(JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(dead_code)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(dead_code)]
enum LogEvent {
    /// A campaign begins or goes on.
    CampaignStarted {
        /// Version of the format of these lines.
        #[schemars(extend("const" = FORMAT))]
        format: u32,
        /// Its name.
        campaign: String,
        /// Number of its measurement sets (or groups of them that are imaged together).
        datasets: usize,
        /// Rounds planned for each, round 0 included.
        rounds: usize,
    },
    /// A round begins.
    RoundStarted {
        /// The measurement set.
        dataset: String,
        /// Round, 0 first.
        round: usize,
        /// Attempt at this round, 1 first.
        attempt: usize,
    },
    /// A step begins (`-v`).
    StepStarted {
        /// The measurement set.
        dataset: String,
        /// Round, 0 first.
        round: usize,
        /// Which.
        step: Step,
    },
    /// A step goes on (`-vv`).
    Progress {
        /// The measurement set.
        dataset: String,
        /// Round, 0 first.
        round: usize,
        /// Its progress, 0 to 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        fraction: Option<f64>,
    },
    /// A step has ended (`-v`).
    StepFinished {
        /// The measurement set.
        dataset: String,
        /// Round, 0 first.
        round: usize,
        /// Which.
        step: Step,
        /// Wall time, seconds.
        seconds: f64,
        /// Its outcome.
        end: LogEnd,
    },
    /// A round was judged.
    RoundFinished {
        /// The measurement set.
        dataset: String,
        /// Round, 0 first.
        round: usize,
        /// Attempt at this round, 1 first.
        attempt: usize,
        /// The verdict.
        verdict: Verdict,
        /// Robust noise, Jy/beam.
        #[serde(skip_serializing_if = "Option::is_none")]
        rms: Option<f64>,
        /// Peak, Jy/beam.
        #[serde(skip_serializing_if = "Option::is_none")]
        peak: Option<f64>,
        /// Peak over rms.
        #[serde(skip_serializing_if = "Option::is_none")]
        dynamic_range: Option<f64>,
    },
    /// A measurement set has ended.
    DatasetFinished {
        /// Its name.
        dataset: String,
        /// Its outcome.
        state: State,
        /// Its best round.
        #[serde(skip_serializing_if = "Option::is_none")]
        best_round: Option<usize>,
    },
    /// The campaign has ended.
    CampaignFinished {
        /// Its outcome.
        state: State,
    },
    /// The program ends with an error.
    Failed {
        /// The exit code.
        exit_code: u8,
        /// The page of the documentation that explains it.
        #[serde(skip_serializing_if = "Option::is_none")]
        page: Option<String>,
    },
    /// Words for people.
    Message {
        /// The measurement set that they concern.
        #[serde(skip_serializing_if = "Option::is_none")]
        dataset: Option<String>,
    },
}

/// The outcome of a step.
#[derive(JsonSchema)]
#[allow(dead_code)]
enum LogEnd {
    /// It was done.
    Done,
    /// It had been done by an earlier run with the same inputs.
    AlreadyDone,
    /// It failed.
    Failed,
}
