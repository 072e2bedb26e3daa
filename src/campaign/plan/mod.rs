//! The plan of a campaign: every option of every round resolved.
//!
//! A [`Plan`] is a value: it can be printed (`cleanloop plan`), stored and compared. The driver's journal keeps the
//! hashes of its parts, so that a changed campaign file shows which steps must be done again.

pub(crate) mod containers;
mod data;
mod facets;
mod final_imaging;
mod measurement_sets;
pub mod preview;
mod resolve;
mod selection;
pub(crate) mod share;
mod strategy;
mod targets;
mod text;
mod types;

pub(crate) use data::NAME_A_FIELD;
pub use final_imaging::FinalInput;
pub use resolve::{resolve, resolve_with};
pub use share::Share;
pub use types::{
    CalibrationPlan, ChannelsPlan, FinalOf, FinalPlan, MaskPlan, MeasurementSetPlan, Plan, RoundPlan, TargetPlan,
};

use super::file::ConfigError;
use crate::util::digest;
use serde::Serialize;
use std::path::PathBuf;

/// Why a campaign cannot be planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A mistake in the file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A measurement set or pattern of the command line names nothing.
    #[error("--ms {0}: no such measurement set; name existing ones, or a matching pattern")]
    NoSuchSet(String),
    /// Two measurement sets are one and the same.
    #[error("the measurement set {} is listed twice", .0.display())]
    Twice(PathBuf),
    /// The data do not say what the selection needs.
    #[error("{}: {why}", path.display())]
    Unread {
        /// The measurement set.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A round beyond the last.
    #[error("there is no round {round}: the campaign's last round is {last} (`campaign: rounds`)")]
    NoSuchRound {
        /// The round asked for.
        round: usize,
        /// The last one.
        last: usize,
    },
    /// A final imaging that the file does not have.
    #[error("there is no final imaging `{name}` (`campaign: final_imaging`); {}", names_words(known))]
    NoSuchFinal {
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A measurement set cannot be looked at.
    #[error("{0}")]
    Unreadable(crate::Error),
    /// The working directory is gone.
    #[error("the path {} cannot be made absolute: {source}", path.display())]
    NoAbsolutePath {
        /// The path.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
}

fn names_words(known: &[String]) -> String {
    if known.is_empty() { "the campaign has none".to_owned() } else { format!("there are {}", known.join(", ")) }
}

impl From<crate::Error> for PlanError {
    fn from(error: crate::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<PlanError> for crate::Error {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Unreadable(error) => error,
            error => Self::bad_input(error),
        }
    }
}

/// SHA-256 of a value's canonical JSON (keys sorted, no spaces), 64 hexadecimal digits.
pub fn hash(value: &impl Serialize) -> String {
    digest::of_value(value)
}
