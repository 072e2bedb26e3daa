//! Which files of a folder the archive's patterns name.

use super::is_unfinished;
use crate::campaign::file::ArchiveOptions;
use std::path::{Component, Path, PathBuf};

/// Names in a campaign's folder that belong to the campaign as a whole, not to a measurement set.
const OF_THE_CAMPAIGN: [&str; 5] = ["report", "field", "campaign.yaml", "plan.json", "record.json"];
/// Names that are nobody's product.
const NEVER: [&str; 4] = [super::FOLDER, "lock", "dataset.lock", "discarded-*"];

/// A part of a folder that is collected by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArchivePart {
    /// Rounds, logs, final products: what belongs to one measurement set.
    MeasurementSet,
    /// Report, field images, campaign file, record.
    Campaign,
}

impl ArchivePart {
    fn takes(self, relative: &Path) -> bool {
        let Some(Component::Normal(first)) = relative.components().next() else { return false };
        let first = first.to_string_lossy();
        let never = NEVER.iter().any(|name| glob::Pattern::new(name).is_ok_and(|p| p.matches(&first)));
        !never && (OF_THE_CAMPAIGN.contains(&first.as_ref()) == (self == Self::Campaign))
    }
}

/// Whether a pattern names things of the campaign as a whole: report, field images, campaign file, record.
pub(crate) fn is_of_the_campaign(pattern: &str) -> bool {
    let first = pattern.split('/').next().unwrap_or_default();
    glob::Pattern::new(first).is_ok_and(|p| OF_THE_CAMPAIGN.iter().any(|name| p.matches(name)))
}

/// The patterns of all that an archive holds of a measurement set, asked of one file at a time.
pub(crate) struct Wanted<'a> {
    root: &'a Path,
    name: &'a str,
    globs: Vec<glob::Pattern>,
    expressions: Expressions,
}

impl<'a> Wanted<'a> {
    /// Patterns for files below `root`, the folder of the measurement set `name`.
    pub(crate) fn of(options: &ArchiveOptions, root: &'a Path, name: &'a str) -> Self {
        let globs = options.copy.iter().chain(&options.compress).filter_map(|p| glob::Pattern::new(p).ok()).collect();
        let expressions = Expressions::of(options.copy_file_re_patterns.iter().chain(&options.tar_file_re_patterns));
        Self { root, name, globs, expressions }
    }

    /// Whether any pattern names the file, or a folder that it is in.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        let Ok(relative) = path.strip_prefix(self.root) else { return false };
        relative.ancestors().any(|part| {
            let named = !part.as_os_str().is_empty() && self.globs.iter().any(|p| p.matches_path_with(part, MATCHING));
            named || self.expressions.match_name(&flint_name(ArchivePart::MeasurementSet, self.name, part))
        })
    }
}

/// Regular expressions, each looked for anywhere in a name, as flint does it.
pub(super) struct Expressions(Vec<regex::Regex>);

impl Expressions {
    /// Those that cannot be read were refused with the campaign file.
    pub(super) fn of<'a>(patterns: impl IntoIterator<Item = &'a String>) -> Self {
        Self(patterns.into_iter().filter_map(|p| regex::Regex::new(p).ok()).collect())
    }

    fn match_name(&self, name: &str) -> bool {
        self.0.iter().any(|expression| expression.is_match(name))
    }

    /// Files and CASA tables below `root` whose names match; other folders are looked into.
    pub(super) fn find(&self, root: &Path, part: ArchivePart, name: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if !self.0.is_empty() {
            self.look_into(root, Path::new(""), part, name, &mut found);
        }
        found
    }

    fn look_into(&self, root: &Path, folder: &Path, part: ArchivePart, name: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
        for entry in entries.flatten() {
            let relative = folder.join(entry.file_name());
            if !part.takes(&relative) {
                continue;
            }
            let path = entry.path();
            let whole = !path.is_dir() || path.join(TABLE_MARK).exists();
            if whole && self.match_name(&flint_name(part, name, &relative)) {
                found.push(relative);
            } else if entry.file_type().is_ok_and(|t| t.is_dir()) && !whole {
                self.look_into(root, &relative, part, name, found);
            }
        }
    }
}

/// A folder with this file is a CASA table.
const TABLE_MARK: &str = "table.dat";

/// The name under which flint's patterns look for a file: its path with the measurement set's name before it, rounds
/// (`round-04`), field images (`field`) and tables (`.cal`) called as flint calls them (`round4`, `linmos`, `.caltable`).
///
/// ```text
/// beam03, round-04/image/image-MFS-image.fits -> beam03/round4/image/image-MFS-image.fits
/// field/round-01/image.fits                   -> linmos/round1/image.fits
/// ```
pub(super) fn flint_name(part: ArchivePart, name: &str, relative: &Path) -> String {
    let mut words: Vec<String> = if part == ArchivePart::MeasurementSet { vec![name.to_owned()] } else { Vec::new() };
    for component in relative.components() {
        let word = component.as_os_str().to_string_lossy();
        words.push(match word.strip_prefix("round-") {
            Some(number) if number.starts_with(|c: char| c.is_ascii_digit()) => {
                let digits = number.len() - number.trim_start_matches('0').len();
                // One zero stays of round 0.
                let digits =
                    if number[digits..].starts_with(|c: char| c.is_ascii_digit()) { digits } else { digits - 1 };
                format!("round{}", &number[digits..])
            }
            _ if part == ArchivePart::Campaign && words.is_empty() && word == "field" => "linmos".to_owned(),
            _ => match word.strip_suffix(".cal") {
                Some(table) => format!("{table}.caltable"),
                None => word.into_owned(),
            },
        });
    }
    words.join("/")
}

/// As a shell does it: `*` stops at a slash, `**` does not.
const MATCHING: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Paths relative to `root` that the patterns name.
pub(super) fn matches(
    patterns: &[String],
    root: &Path,
    part: ArchivePart,
    unmatched: &mut Vec<String>,
) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let full = format!("{}/{pattern}", glob::Pattern::escape(&root.to_string_lossy()));
        let before = found.len();
        let paths = glob::glob_with(&full, MATCHING).into_iter().flatten().flatten();
        let relative = paths.filter_map(|path| path.strip_prefix(root).map(Path::to_path_buf).ok());
        found.extend(relative.filter(|relative| part.takes(relative) && !is_unfinished(relative)));
        if found.len() == before {
            unmatched.push(pattern.clone());
        }
    }
    found
}
