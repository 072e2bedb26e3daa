//! The record of a campaign, for people and programs: the data of the report.
//!
//! The driver keeps one [`CampaignRecord`] up to date from its journal and saves it as `record.json` in the campaign
//! folder; the report, `cleanloop status` and other tools read it. Most fields have a default, so that the record of
//! a campaign in mid-flight loads.
//!
//! Paths are absolute or relative to the campaign folder.

pub use super::journal::State;
use super::journal::Step;
use super::layout::AttemptId;
pub use super::rules::acceptance::Verdict;
use super::rules::acceptance::{Decision, Next, Rule};
use crate::calibrator::SolutionTable;
use crate::calibrator::options::CalMode;
use crate::imager::{Products, StopReason};
pub use crate::major_cycle::{ChannelRecord, ConfettiRecord, CycleRecord};
pub use crate::masking::MaskMethod;
use crate::quality::metrics::ImageMetrics;
use crate::quality::solutions::SolutionStats;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file inside a campaign folder.
pub const FILE_NAME: &str = "record.json";
/// Version of the format; a later one is read as far as its fields are known, an earlier one is refused.
pub const FORMAT: u32 = 2;

/// Errors of a record file.
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
    #[error("{}: is not a campaign record: {source}; run the campaign again to write it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The parser's error, with line and column.
        source: serde_json::Error,
    },
    /// An earlier version of the program wrote it.
    #[error(
        "{}: was written by an earlier version of cleanloop, whose campaigns this version cannot read or resume. Run \
         with another output, or put the old campaign aside with --restart",
        path.display()
    )]
    EarlierVersion {
        /// The file.
        path: PathBuf,
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
    /// One entry per measurement set (or group of them that is imaged together).
    pub datasets: Vec<DatasetRecord>,
    /// Messages about the campaign as a whole.
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
    /// Messages about it.
    pub messages: Vec<MessageRecord>,
}

/// Level of a message.
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
    /// Its level.
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
    /// Mode that was solved for.
    pub calmode: Option<CalMode>,
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
    /// The course after it.
    pub next: Next,
}

impl From<&Decision> for DecisionRecord {
    fn from(decision: &Decision) -> Self {
        let rules = decision.reasons.iter().map(|r| RuleRecord {
            rule: r.rule,
            text: r.words.clone(),
            kept: r.passed,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Which rule.
    pub rule: Rule,
    /// One sentence with the numbers and units.
    pub text: String,
    /// The rule was kept.
    pub kept: bool,
    /// The value of this round.
    pub value: Option<f64>,
    /// The value that it was compared with.
    pub limit: Option<f64>,
}

/// Origin of a mask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskOrigin {
    /// The last accepted image, before imaging.
    #[default]
    Image,
    /// The image of the whole field, from whose mask it was cut.
    Field,
    /// The residual before each major cycle.
    Cycles,
}

/// Method and origin of a mask.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskRecord {
    /// The file.
    pub path: PathBuf,
    /// Method.
    pub method: MaskMethod,
    /// The image or images that it was made from.
    pub origin: MaskOrigin,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// The version of a record's format; those of the first version may lack it.
#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    format: u32,
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
        let malformed = |source| RecordError::Malformed { path: path.clone(), source };
        let Version { format } = serde_json::from_slice(&text).map_err(malformed)?;
        if format < FORMAT {
            return Err(RecordError::EarlierVersion { path });
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    /// As [`CampaignRecord::load`]; `None` where there is no record yet, or none that can be read: it is then written
    /// again from the journals.
    ///
    /// # Errors
    /// A record of an earlier version, whose journals cannot be read either.
    pub(crate) fn load_earlier(folder: &Path) -> Result<Option<Self>, RecordError> {
        match Self::load(folder) {
            Ok(record) => Ok(Some(record)),
            Err(error @ RecordError::EarlierVersion { .. }) => Err(error),
            Err(_) => Ok(None),
        }
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
    fn later_records_load_and_earlier_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |format: &str| {
            let rest = r#""name": "f", "from_the_future": [1], "datasets": [{"rounds": [{"round": 3}]}]}"#;
            std::fs::write(folder.path().join(FILE_NAME), format!("{{{format}{rest}")).unwrap();
        };
        write(r#""format": 3, "#);
        let record = CampaignRecord::load(folder.path()).unwrap();
        assert_eq!((record.name.as_str(), record.datasets[0].rounds[0].round, record.format), ("f", 3, 3));
        for earlier in ["", r#""format": 1, "#] {
            write(earlier);
            let error = CampaignRecord::load(folder.path()).unwrap_err();
            assert!(matches!(error, RecordError::EarlierVersion { .. }), "{error}");
            assert!(CampaignRecord::load_earlier(folder.path()).is_err());
            assert_eq!(crate::Error::from(error).exit_status(), crate::ExitStatus::BadInput);
        }
        std::fs::write(folder.path().join(FILE_NAME), "{").unwrap();
        assert!(CampaignRecord::load_earlier(folder.path()).unwrap().is_none());
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
