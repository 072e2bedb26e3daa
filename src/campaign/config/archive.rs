//! `campaign.archive`: what is collected at the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Files that are collected once a measurement set is done. Patterns are those of a shell (`*`, `?`, `[ab]`, and `**`
/// for any number of folders), relative to the measurement set's folder. Report, field images, campaign file and
/// record are matched in the campaign's folder, when all is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveOptions {
    /// Files and tables that are copied, with their folders.
    pub copy: Vec<String>,
    /// Files and tables that go into `<name>.tar.gz`.
    pub compress: Vec<String>,
    /// Folder of the archive; it gets a folder for each measurement set. A relative path starts at the campaign file's
    /// folder. Default: `archive` in each measurement set's folder.
    pub to: Option<PathBuf>,
}

impl ArchiveOptions {
    /// Nothing is to be collected.
    pub fn is_empty(&self) -> bool {
        self.copy.is_empty() && self.compress.is_empty()
    }

    /// Patterns that cannot be meant: key, pattern, why.
    pub fn problems(&self) -> Vec<(&'static str, String, String)> {
        let lists = [("copy", &self.copy), ("compress", &self.compress)];
        let all = lists.into_iter().flat_map(|(key, patterns)| patterns.iter().map(move |p| (key, p)));
        all.filter_map(|(key, pattern)| {
            let outside = pattern.starts_with('/') || pattern.split('/').any(|part| part == "..");
            let why = match glob::Pattern::new(pattern) {
                Err(error) => error.msg.to_owned(),
                Ok(_) if outside => "patterns start at the measurement set's folder and stay inside it".to_owned(),
                Ok(_) => return None,
            };
            Some((key, pattern.clone(), why))
        })
        .collect()
    }
}
