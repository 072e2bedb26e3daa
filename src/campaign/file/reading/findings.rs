//! Mistakes and warnings that the checks of a campaign file's elements find.

use super::{Problem, TextSpan};
use crate::campaign::file::CampaignFile;

/// Mistakes and warnings found so far.
pub(in crate::campaign::file) struct Findings<'a> {
    /// The file, with its block read.
    pub(in crate::campaign::file) campaign: &'a CampaignFile,
    /// Mistakes.
    pub(in crate::campaign::file) problems: Vec<Problem>,
    /// Warnings.
    pub(in crate::campaign::file) warnings: Vec<String>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(campaign: &'a CampaignFile) -> Self {
        Self { campaign, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Place of a key inside the `campaign:` block.
    pub(in crate::campaign::file) fn span(&self, key: &[&str]) -> Option<TextSpan> {
        let path: Vec<&str> = std::iter::once("campaign").chain(key.iter().copied()).collect();
        self.campaign.tree.at(&path).map(|node| node.span)
    }

    /// Adds a mistake at a key of the `campaign:` block.
    pub(in crate::campaign::file) fn problem(&mut self, key: &[&str], message: impl Into<String>, help: &str) {
        let problem = Problem::new(self.span(key), message);
        self.problems.push(if help.is_empty() { problem } else { problem.help(help) });
    }
}
