//! What a campaign has done, as people and programs look at it afterwards: the data of the report.
//!
//! The driver keeps one [`CampaignRecord`] up to date from its journal and saves it as `record.json` in the campaign
//! folder; the report, `cleanloop status` and other tools read it. Every field has a default, so that a record of an
//! earlier version (or of a campaign in mid-flight) still loads.
//!
//! Paths are absolute or relative to the campaign folder.

use crate::calibrator::SolutionTable;
use crate::imager::{Products, StopReason};
pub use crate::major_cycle::{ChannelRecord, ConfettiRecord, CycleRecord};
use crate::quality::metrics::ImageMetrics;
use crate::quality::solutions::SolutionStats;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file inside a campaign folder.
pub const FILE_NAME: &str = "record.json";
/// Version of the format; a newer one is read as far as its fields are known.
pub const FORMAT: u32 = 1;

/// What can go wrong with a record file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}; is this the folder of a campaign that has run?", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// It is not a record.
    #[error("{}: is not a campaign record: {source}; run the campaign again to have it written anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser found, with line and column.
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// The file system refused.
    #[error(transparent)]
    Folder(crate::util::fs::FileError),
}

impl From<RecordError> for crate::Error {
    fn from(e: RecordError) -> Self {
        match e {
            RecordError::Unwritable { .. } | RecordError::Folder(_) => Self::internal(e),
            _ => Self::bad_input(e),
        }
    }
}

/// Where a campaign, a dataset or a round stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing was done yet.
    #[default]
    Waiting,
    /// Under way.
    Running,
    /// All that was asked for is done.
    Done,
    /// Ended early, as further rounds gained nothing.
    Converged,
    /// Stopped, as rounds made the image worse; the best one was kept.
    Diverged,
    /// Ended by an error.
    Failed,
    /// Ended by a signal; can be resumed.
    Interrupted,
}

impl State {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Converged => "converged",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// It will not change any more without another run.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// A whole campaign.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CampaignRecord {
    /// Version of this format.
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
    /// One entry a measurement set (or group of them that is imaged together).
    pub datasets: Vec<DatasetRecord>,
    /// What concerns the campaign as a whole.
    pub messages: Vec<MessageRecord>,
}

/// A program that was used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolVersion {
    /// Its name, e.g. `wsclean`.
    pub name: String,
    /// Its version, in its own words.
    pub version: String,
}

/// One measurement set of the campaign.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Where it stands.
    pub state: State,
    /// Rounds planned, round 0 included.
    pub planned_rounds: usize,
    /// All attempts at all rounds, in the order in which they were made.
    pub rounds: Vec<RoundRecord>,
    /// Index into `rounds` of the best accepted attempt: the product.
    pub best: Option<usize>,
    /// Why that one.
    pub best_why: String,
    /// The line that applies the best tables to another measurement set.
    pub apply_line: Option<String>,
    /// What is worth telling.
    pub messages: Vec<MessageRecord>,
}

/// How grave a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    #[default]
    Info,
    /// Someone should look.
    Warning,
    /// Something failed.
    Error,
}

/// A message to people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageRecord {
    /// When.
    pub at: Option<Timestamp>,
    /// How grave.
    pub level: Level,
    /// The words.
    pub text: String,
}

/// One attempt at one round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Solution interval, as given to the calibrator.
    pub solint: Option<String>,
    /// `p`, `a` or `ap`.
    pub calmode: Option<String>,
    /// Why this interval and mode, where the program chose them.
    pub solint_why: Option<String>,
    /// Statistics of its solutions.
    pub solutions: Option<SolutionStats>,
    /// JSON file of [`SolutionStats`] with the series for plots; a campaign of many measurement sets leaves the series
    /// out of `solutions`, so that the record stays small.
    pub solutions_file: Option<PathBuf>,
    /// The tables, in the order in which they are applied.
    pub tables: Vec<SolutionTable>,
    /// The mask that the round was cleaned with; `None`: without one.
    pub mask: Option<MaskRecord>,
    /// Imager, e.g. `wsclean`.
    pub imager: String,
    /// Final files.
    pub products: Option<Products>,
    /// What its images are worth.
    pub metrics: Option<ImageMetrics>,
    /// One entry a major cycle, where the campaign drove them one by one.
    pub cycles: Vec<CycleRecord>,
    /// Why cleaning ended.
    pub stopped: Option<StopReason>,
    /// The verdict.
    pub decision: Option<DecisionRecord>,
    /// Programs that were run, in order.
    pub commands: Vec<CommandRecord>,
    /// Confetti that was found (cubes).
    pub confetti: Vec<ConfettiRecord>,
    /// What is worth telling.
    pub messages: Vec<MessageRecord>,
}

/// What was decided about a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better than, or as good as, the round before.
    #[default]
    Accepted,
    /// Accepted, and the last: nothing is gained any more.
    Converged,
    /// Worse; the last accepted round is in force again.
    Rejected,
    /// So much worse that the campaign was stopped.
    Diverged,
}

impl Verdict {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Converged => "converged",
            Self::Rejected => "rejected",
            Self::Diverged => "diverged",
        }
    }

    /// The round's products may be used.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::Converged)
    }
}

/// A verdict with the numbers behind it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionRecord {
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence.
    pub summary: String,
    /// Every rule that was looked at.
    pub rules: Vec<RuleRecord>,
    /// What follows: the next round, a gentler attempt, the end.
    pub next: String,
}

/// One rule of a decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleRecord {
    /// Name of the rule, e.g. `dynamic range`.
    pub name: String,
    /// One sentence with the numbers and units.
    pub text: String,
    /// The rule was kept.
    pub kept: bool,
    /// What was found.
    pub value: Option<f64>,
    /// What it was compared with.
    pub limit: Option<f64>,
}

/// How a mask was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskRecord {
    /// The file.
    pub path: PathBuf,
    /// Method, e.g. `flint`, `multithresh`, `both (union)`, `user`.
    pub method: String,
    /// The image that it was made from.
    pub source: Option<PathBuf>,
    /// Options that differ from the defaults, or were chosen by the program, name to value.
    pub options: IndexMap<String, String>,
    /// Numbers that came out (seeds, islands, levels in Jy/beam), name to value.
    pub numbers: IndexMap<String, f64>,
    /// Masked pixels.
    pub pixels: u64,
    /// Islands.
    pub islands: Option<u64>,
    /// Pixels that the previous accepted round's mask did not have.
    pub added: Option<u64>,
    /// Pixels that only the previous accepted round's mask had.
    pub removed: Option<u64>,
    /// Why it was made so.
    pub why: String,
}

impl MaskRecord {
    /// This mask between cycles with what is known of the one before imaging, which it has grown from.
    pub fn grown_from(&self, base: &Self) -> Self {
        let Self { options, numbers, why, .. } = base.clone();
        Self { options, numbers, why, ..self.clone() }
    }
}

/// A program that was run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommandRecord {
    /// What for, e.g. `solve`, `apply`, `image`.
    pub step: String,
    /// The exact words (for a worker: its request).
    pub words: Vec<String>,
    /// Wall time, seconds.
    pub seconds: Option<f64>,
    /// Its own words.
    pub log: Option<PathBuf>,
    /// Exit status; `None` for a worker's request.
    pub status: Option<i32>,
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

    /// Reads `folder/record.json`.
    ///
    /// # Errors
    /// A file that is absent, unreadable or not a record.
    pub fn load(folder: &Path) -> Result<Self, RecordError> {
        let path = folder.join(FILE_NAME);
        let text = std::fs::read(&path).map_err(|source| RecordError::Unreadable { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| RecordError::Malformed { path, source })
    }

    /// Writes `folder/record.json`, by atomic rename.
    ///
    /// # Errors
    /// The folder cannot be written, or the disk is full; an earlier record then stays as it was.
    pub fn save(&self, folder: &Path) -> Result<(), RecordError> {
        let path = folder.join(FILE_NAME);
        let mut text =
            serde_json::to_vec(self).map_err(|e| RecordError::Unwritable { path: path.clone(), source: e.into() })?;
        text.push(b'\n');
        crate::util::fs::write_atomically(&path, &text).map_err(RecordError::Folder)
    }
}

impl DatasetRecord {
    /// The best accepted attempt.
    pub fn best_round(&self) -> Option<&RoundRecord> {
        self.rounds.get(self.best?)
    }

    /// The last accepted attempt before index `index` of `rounds`.
    pub fn accepted_before(&self, index: usize) -> Option<&RoundRecord> {
        self.rounds[..index.min(self.rounds.len())].iter().rev().find(|r| r.is_accepted())
    }
}

impl RoundRecord {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = CampaignRecord::new("field");
        record.started = Some("2026-01-02T03:04:05Z".parse().unwrap());
        record.datasets.push(DatasetRecord {
            name: "beam00".into(),
            best: Some(0),
            rounds: vec![RoundRecord {
                round: 1,
                attempt: 2,
                decision: Some(DecisionRecord { verdict: Verdict::Rejected, ..Default::default() }),
                cycles: vec![CycleRecord { peak: Some(0.25), stopped: Some(StopReason::NSigma), ..Default::default() }],
                ..Default::default()
            }],
            ..Default::default()
        });
        record.save(folder.path()).unwrap();
        assert_eq!(CampaignRecord::load(folder.path()).unwrap(), record);
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [FILE_NAME], "no temporary file is left");
    }

    #[test]
    fn old_and_newer_records_load() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"name": "f", "from_the_future": [1], "datasets": [{"rounds": [{"round": 3}]}]}"#;
        std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
        let record = CampaignRecord::load(folder.path()).unwrap();
        assert_eq!((record.name.as_str(), record.datasets[0].rounds[0].round, record.format), ("f", 3, 0));
    }

    #[test]
    fn not_a_number_becomes_unknown() {
        let cycle = CycleRecord { peak: Some(f64::NAN), ..Default::default() };
        let text = serde_json::to_string(&cycle).unwrap();
        assert_eq!(serde_json::from_str::<CycleRecord>(&text).unwrap().peak, None);
    }

    #[test]
    fn a_missing_or_broken_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = CampaignRecord::load(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("record.json: cannot be read") && missing.contains("has run"), "{missing}");
        std::fs::write(folder.path().join(FILE_NAME), "{\"name\": ").unwrap();
        let broken = CampaignRecord::load(folder.path()).unwrap_err().to_string();
        assert!(broken.contains("is not a campaign record") && broken.contains("line 1"), "{broken}");
    }

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
