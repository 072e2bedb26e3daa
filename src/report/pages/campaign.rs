//! The part of the campaign that each page shows.

use super::continuum::ContinuumView;
use super::final_images::{CubeView, FinalView};
use crate::campaign::record::CampaignRecord;
use crate::report::numbers::{duration, time};
use crate::report::widgets::{self, Fact, MessageView};
use crate::report::words;
use crate::util::shell;
use serde::Serialize;

/// Everything about the campaign that each page shows.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct CampaignView {
    /// Name of the campaign.
    pub(crate) name: String,
    /// `cleanloop` with its version.
    pub(crate) program: String,
    /// Where the campaign (or, on the pages of one measurement set of many, that set) stands.
    pub(crate) state: String,
    /// Style class of the state.
    pub(crate) state_class: String,
    /// Start of the first run.
    pub(crate) started: String,
    /// End; empty while it runs.
    pub(crate) finished: String,
    /// Time of the last change.
    pub(crate) updated: String,
    /// Wall time from start to end, or to the last change.
    pub(crate) elapsed: String,
    /// Versions of the other programs.
    pub(crate) tools: Vec<Fact>,
    /// The command that started it, for a shell.
    pub(crate) command_line: String,
    /// Text of the campaign file.
    pub(crate) config: String,
    /// Path of the campaign file.
    pub(crate) config_path: String,
    /// Messages about the campaign as a whole.
    pub(crate) messages: Vec<MessageView>,
    /// Images and cubes after the best round.
    pub(crate) final_images: Vec<FinalView>,
    /// Continuum that was subtracted from the data.
    pub(crate) continuum: Vec<ContinuumView>,
    /// Cubes that were put together from groups of channels.
    pub(crate) cubes: Vec<CubeView>,
    /// It is under way.
    pub(crate) running: bool,
}

impl CampaignView {
    /// Of a whole campaign.
    pub(crate) fn new(record: &CampaignRecord) -> Self {
        let end = record.finished.or(record.updated);
        let elapsed = match (record.started, end) {
            (Some(a), Some(b)) => duration(b.duration_since(a).as_secs_f64()),
            _ => String::new(),
        };
        Self {
            name: record.name.clone(),
            program: record.program.clone(),
            state: words::state(record.state).into(),
            state_class: words::state_class(record.state).into(),
            started: time(record.started),
            finished: time(record.finished),
            updated: time(record.updated),
            elapsed,
            tools: record.tools.iter().map(|t| Fact::new(&t.name, &t.version)).collect(),
            command_line: shell::line(&record.command_line),
            config: record.config.clone(),
            config_path: record.config_path.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
            messages: widgets::messages(&record.messages),
            continuum: Vec::new(),
            final_images: Vec::new(),
            cubes: Vec::new(),
            running: !record.state.is_final(),
        }
    }
}
