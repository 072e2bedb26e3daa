//! A campaign and its measurement sets.

use super::FORMAT;
use super::continuum::ContinuumRecord;
use super::final_images::{CubeRecord, FinalRecord};
use super::message::MessageRecord;
use super::round::RoundRecord;
use crate::campaign::journal::State;
use crate::campaign::rules::schedule::Limit;
use crate::campaign::rules::start_model::StartTrial;
use indexmap::IndexMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A whole campaign.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "cleanloop record")]
pub struct CampaignRecord {
    /// Version of this format.
    #[schemars(extend("const" = FORMAT))]
    pub format: u32,
    /// The campaign's name.
    pub name: String,
    /// Program and version that wrote the record, e.g. `cleanloop 0.1.0`.
    pub program: String,
    /// The campaign file's text, as it was run.
    pub config: String,
    /// Where that file was.
    pub config_path: Option<PathBuf>,
    /// The command line that started (or last resumed) the campaign.
    pub command_line: Vec<String>,
    /// Programs that were used, with their versions.
    pub tools: Vec<ToolVersion>,
    /// Start of the first run.
    pub started: Option<Timestamp>,
    /// End; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// When this record was last changed.
    pub updated: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// One entry per measurement set (or group of them that is imaged together).
    pub datasets: Vec<DatasetRecord>,
    /// Images and cubes that were made after the best round.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub final_images: Vec<FinalRecord>,
    /// Cubes that were put together from groups of channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cubes: Vec<CubeRecord>,
    /// Continuum that was subtracted from the data of a final imaging, by measurement set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continuum: Vec<ContinuumRecord>,
    /// Messages about the campaign as a whole.
    pub messages: Vec<MessageRecord>,
}

/// How the model was chosen that the first calibration started from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StartRecord {
    /// What spoke against the first image.
    pub doubt: String,
    /// The solves that were tried.
    pub trials: Vec<StartTrial>,
    /// Index into `trials` of the best; `None`: there was nothing to calibrate on.
    pub chosen: Option<usize>,
}

/// A program that was used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ToolVersion {
    /// Its name, e.g. `wsclean`.
    pub name: String,
    /// Its version, in its own words.
    pub version: String,
}

/// One measurement set of the campaign.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DatasetRecord {
    /// Short name, unique in the campaign.
    pub name: String,
    /// The user's measurement sets.
    pub sources: Vec<PathBuf>,
    /// The folder of its products.
    pub folder: PathBuf,
    /// Facts worth showing (telescope, antennas, channels, frequencies, time range), label to text.
    pub facts: IndexMap<String, String>,
    /// Theoretical noise of its images with natural weighting, Jy/beam, where the data tell.
    pub theoretical_noise_jy: Option<f64>,
    /// Where it stands.
    pub state: State,
    /// Rounds planned, round 0 included.
    pub planned_rounds: usize,
    /// All attempts at all rounds, in the order in which they were made.
    pub rounds: Vec<RoundRecord>,
    /// Index into `rounds` of the best accepted attempt: the product.
    pub best: Option<usize>,
    /// The model that the first calibration started from, where the first image was not trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<StartRecord>,
    /// Why that one.
    pub best_why: String,
    /// The limit that an automatic schedule met; `None`: it goes on, or the campaign file gives the intervals.
    pub limit: Option<Limit>,
    /// The line that applies the best tables to another measurement set.
    pub apply_line: Option<String>,
    /// Messages about it.
    pub messages: Vec<MessageRecord>,
}

impl CampaignRecord {
    /// A fresh record of this version of the program.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            format: FORMAT,
            name: name.into(),
            program: concat!("cleanloop ", env!("CARGO_PKG_VERSION")).to_string(),
            ..Self::default()
        }
    }
}

impl DatasetRecord {
    /// The best accepted attempt.
    pub fn best_round(&self) -> Option<&RoundRecord> {
        self.rounds.get(self.best?)
    }

    /// Noise of the best image over the theoretical one: by how much the dynamic range could still grow.
    pub fn times_theoretical_noise(&self) -> Option<f64> {
        let image = self.best_round()?.metrics.as_ref()?;
        let theoretical = self.theoretical_noise_jy.filter(|noise| *noise > 0.0)?;
        (image.noise > 0.0).then(|| image.noise / theoretical)
    }

    /// The last accepted attempt before index `index` of `rounds`.
    pub fn accepted_before(&self, index: usize) -> Option<&RoundRecord> {
        self.rounds[..index.min(self.rounds.len())].iter().rev().find(|r| r.is_accepted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::{DecisionRecord, Verdict};

    #[test]
    fn the_last_accepted_round_is_found() {
        let with = |verdict| RoundRecord {
            decision: Some(DecisionRecord { verdict, ..Default::default() }),
            ..Default::default()
        };
        let dataset = DatasetRecord {
            rounds: vec![with(Verdict::Accepted), with(Verdict::Rejected), with(Verdict::Converged)],
            ..Default::default()
        };
        assert_eq!(dataset.accepted_before(2), Some(&dataset.rounds[0]));
        assert_eq!(dataset.accepted_before(0), None);
    }
}
