//! `campaign.archive`: what is collected at the end. And flint's mode `archive`, which says the same in its own way.

use super::reading::findings::Findings;
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
    /// Folder of the copies, if it is not that of the `tar.gz`. Default: as `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_to: Option<PathBuf>,
    /// As `copy`, by regular expressions on flint's names; see docs/surveys.md. Default: those of the mode `archive`, if
    /// a folder is named for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copy_file_re_patterns: Vec<String>,
    /// As `compress`, by regular expressions on flint's names. Default: as with `copy_file_re_patterns`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tar_file_re_patterns: Vec<String>,
}

/// flint's options of the mode `archive` (flint, state of 2026-08): regular expressions on names of files. They are used
/// where a folder is named: `sbid_archive_path` or `sbid_copy_path`, as with flint, or `campaign.archive.to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlintArchiveOptions {
    /// Patterns of the files that go into the tar file.
    pub tar_file_re_patterns: Vec<String>,
    /// Patterns of the files that are copied.
    pub copy_file_re_patterns: Vec<String>,
}

const FLINT_TAR: [&str; 11] = [
    r".*MFS.*image\.fits",
    r".*linmos.*",
    r".*weight\.fits",
    r".*yaml",
    r".*\.txt",
    r".*png",
    r".*beam[0-9]+\.ms\.zip",
    r".*beam[0-9]+\.ms",
    r".*\.caltable",
    r".*\.tar",
    r".*\.csv",
];
const FLINT_COPY: [&str; 4] = [r".*linmos.*fits", r".*weight\.fits", r".*png", r".*csv"];

impl Default for FlintArchiveOptions {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Self { tar_file_re_patterns: list(&FLINT_TAR), copy_file_re_patterns: list(&FLINT_COPY) }
    }
}

impl FlintArchiveOptions {
    /// Patterns that are no regular expressions: key and why.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let lists = [
            ("tar_file_re_patterns", &self.tar_file_re_patterns),
            ("copy_file_re_patterns", &self.copy_file_re_patterns),
        ];
        let all = lists.into_iter().flat_map(|(key, patterns)| patterns.iter().map(move |p| (key, p)));
        all.filter_map(|(key, pattern)| Some((key, no_expression(pattern)?))).collect()
    }
}

/// Why a text is no regular expression, in one line.
fn no_expression(pattern: &str) -> Option<String> {
    let error = regex::Regex::new(pattern).err()?.to_string();
    let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    Some(format!("`{pattern}` is not a regular expression that is supported here: {why}"))
}

impl ArchiveOptions {
    /// Nothing is to be collected.
    pub fn is_empty(&self) -> bool {
        let lists = [&self.copy, &self.compress, &self.copy_file_re_patterns, &self.tar_file_re_patterns];
        lists.iter().all(|list| list.is_empty())
    }

    /// Patterns that cannot be meant: key, pattern, why.
    pub fn problems(&self) -> Vec<(&'static str, String, String)> {
        let lists = [("copy", &self.copy), ("compress", &self.compress)];
        let all = lists.into_iter().flat_map(|(key, patterns)| patterns.iter().map(move |p| (key, p)));
        let expressions = [
            ("copy_file_re_patterns", &self.copy_file_re_patterns),
            ("tar_file_re_patterns", &self.tar_file_re_patterns),
        ];
        let expressions = expressions.into_iter().flat_map(|(key, patterns)| patterns.iter().map(move |p| (key, p)));
        let wrong = expressions.filter_map(|(key, p)| no_expression(p).map(|why| (key, p.clone(), why)));
        all.filter_map(|(key, pattern)| {
            let outside = pattern.starts_with('/') || pattern.split('/').any(|part| part == "..");
            let why = match glob::Pattern::new(pattern) {
                Err(error) => error.msg.to_owned(),
                Ok(_) if outside => "patterns start at the measurement set's folder and stay inside it".to_owned(),
                Ok(_) => return None,
            };
            Some((key, pattern.clone(), why))
        })
        .chain(wrong)
        .collect()
    }
}

/// All patterns can be used.
pub(super) fn check(found: &mut Findings<'_>) {
    for (key, pattern, why) in found.campaign.block.archive.problems() {
        let text = format!("`archive.{key}`: the pattern `{pattern}`: {why}");
        found.problem(&["archive", key], text, "for example `final/*.fits`, `**/*.cal`");
    }
}
