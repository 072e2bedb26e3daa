//! Lines of a journal.

use super::key::StepKey;
use super::state::State;
use super::step::{Column, StepId};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Entry {
    /// Number of the line, from 0: a clock that jumps does not change the order.
    pub seq: u64,
    /// Wall clock, for people; nothing is decided by it.
    pub time: jiff::Timestamp,
    /// The event.
    #[serde(flatten)]
    pub event: JournalEvent,
}

/// An event that a journal keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub(crate) enum JournalEvent {
    /// A run began (also after a resume), with the version and the plan's hash by round.
    Run {
        /// cleanloop's version.
        version: String,
        /// `round NN` to the hash of its resolved options.
        plan: IndexMap<String, String>,
    },
    /// A step began; while it is not done, whatever it writes is of unknown state.
    Started {
        /// The step.
        step: StepId,
        /// Its key.
        key: StepKey,
        /// Columns that it changes.
        touches: Vec<Column>,
    },
    /// A step is done.
    Done {
        /// The step.
        step: StepId,
        /// Its key.
        key: StepKey,
        /// Columns whose content now belongs to this key.
        touches: Vec<Column>,
        /// Seconds it took.
        seconds: f64,
        /// Its result.
        result: serde_json::Value,
    },
    /// A step failed (the run may go on or end).
    Failed {
        /// The step.
        step: StepId,
        /// The error's words.
        error: String,
    },
    /// A signal ended the run.
    Interrupted,
    /// The rounds that were asked for are done; another run (another job) does the further ones.
    Paused {
        /// The last round that is done.
        round: usize,
    },
    /// Files of old rounds that were removed to keep the disk budget.
    Removed {
        /// The files.
        files: Vec<PathBuf>,
    },
    /// A message worth keeping.
    Note {
        /// Words.
        text: String,
    },
    /// The run ended by itself.
    Ended {
        /// A final state.
        state: State,
        /// Why, in words.
        reason: String,
    },
}
