//! Options of one run of a campaign.

use super::batch::Follow;
use super::{ReportWriter, Selection};
use crate::campaign::events::Consumer;
use std::fmt;

/// How a campaign is run. The default runs (or resumes) all of it, silently and without a report.
#[derive(Default)]
pub struct RunOptions {
    /// See every event of the run: progress, verdicts, messages.
    pub consumers: Vec<Box<dyn Consumer>>,
    /// Writes the report, again and again while the campaign runs; `None`: there is no report.
    pub report: Option<Box<dyn ReportWriter>>,
    /// Put aside what earlier runs left in the campaign folder, and start from the beginning.
    pub restart: bool,
    /// Names of the measurement sets that are worked on; empty: all.
    pub only_sets: Vec<String>,
    /// The last round that is run; `None`: all rounds.
    pub until_round: Option<usize>,
    /// Threads of all programs together; `None`: as the campaign file says.
    pub threads: Option<usize>,
    /// How a run with `scheduler: slurm` accompanies its jobs.
    pub follow: Follow,
    /// The command line that started the run, for the record.
    pub command_line: Vec<String>,
}

impl RunOptions {
    pub(crate) fn selection(&self) -> Selection {
        Selection { sets: self.only_sets.clone(), until_round: self.until_round }
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("consumers", &self.consumers.len())
            .field("report", &self.report.is_some())
            .field("restart", &self.restart)
            .field("only_sets", &self.only_sets)
            .field("until_round", &self.until_round)
            .field("threads", &self.threads)
            .field("follow", &self.follow)
            .field("command_line", &self.command_line)
            .finish()
    }
}
