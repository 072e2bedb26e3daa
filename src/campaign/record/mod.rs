//! The record of a campaign, for people and programs: the data of the report.
//!
//! The driver keeps one [`CampaignRecord`] up to date from its journal and saves it as `record.json` in the campaign
//! folder; the report, `cleanloop status` and other tools read it. Most fields have a default, so that the record of
//! a campaign in mid-flight loads.
//!
//! Paths are absolute or relative to the campaign folder.

mod continuum;
mod dataset;
mod facets;
mod file;
mod final_images;
mod mask;
mod message;
mod round;
mod solutions;

pub use super::journal::State;
pub use super::rules::acceptance::Verdict;
pub use super::rules::facets::DirectionFault;
pub use super::rules::start_model::{StartKind, StartTrial};
pub use crate::major_cycle::{ChannelRecord, ConfettiRecord, CycleRecord};
pub use crate::masking::MaskMethod;
pub use continuum::ContinuumRecord;
pub use dataset::{CampaignRecord, DatasetRecord, StartRecord, ToolVersion};
pub use facets::{FacetOutcome, FacetRecord, JudgedDirection};
pub use file::{FILE_NAME, RecordError};
pub use final_images::{CubeRecord, FinalRecord};
pub use mask::{MaskOrigin, MaskRecord};
pub use message::{Level, MessageRecord};
pub use round::{CommandRecord, DecisionRecord, MemberRecord, RoundRecord, RuleRecord, TermRecord};
pub use solutions::MemberSolutions;

/// Version of the format; a later one is read as far as its fields are known, an earlier one is refused.
pub const FORMAT: u32 = 2;
