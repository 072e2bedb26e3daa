//! The measurement sets of a campaign: patterns expanded and sorted, each with a name of its own.

use super::{MeasurementSetPlan, PlanError};
use crate::campaign::file::yaml::Value;
use crate::campaign::file::{CampaignFile, ConfigError, Problem};
use crate::imager::ImagerOptions;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Finds the measurement sets: patterns expanded and sorted, names made unique.
pub(super) fn measurement_sets(
    campaign: &CampaignFile,
    patterns: &[String],
) -> Result<Vec<MeasurementSetPlan>, PlanError> {
    let start = if campaign.command_line_sets { Path::new(".") } else { campaign.folder() };
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut missing = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let full = absolute(&start.join(pattern))?;
        let mut found: Vec<PathBuf> = if full.exists() {
            vec![full]
        } else {
            glob::glob(&full.to_string_lossy()).map(|paths| paths.flatten().collect()).unwrap_or_default()
        };
        if found.is_empty() {
            if campaign.command_line_sets {
                return Err(PlanError::NoSuchSet(pattern.clone()));
            }
            missing.push(no_such_set(campaign, index, pattern));
        }
        found.sort();
        paths.extend(found);
    }
    if !missing.is_empty() {
        return Err(PlanError::Config(ConfigError {
            name: campaign.path.display().to_string(),
            text: campaign.text.clone(),
            problems: missing,
        }));
    }
    let mut sets: Vec<MeasurementSetPlan> = Vec::new();
    let (mut known, mut names) = (HashSet::new(), HashSet::new());
    for path in paths {
        if !known.insert(path.clone()) {
            return Err(PlanError::Twice(path));
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = folder_name(&stem);
        let mut name = stem.clone();
        let mut number = 2;
        while !names.insert(name.clone()) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        sets.push(MeasurementSetPlan { name, path, field: None });
    }
    Ok(sets)
}

fn no_such_set(campaign: &CampaignFile, index: usize, pattern: &str) -> Problem {
    let list = campaign.tree.at(&["campaign", "measurement_sets"]);
    let span = list.map(|node| match &node.value {
        Value::Seq(items) => items.get(index).map_or(node.span, |item| item.span),
        _ => node.span,
    });
    let is_pattern = pattern.contains(['*', '?', '[']);
    let message = if is_pattern {
        format!("no measurement set matches `{pattern}`")
    } else {
        format!("there is no measurement set `{pattern}`")
    };
    Problem::new(span, message).help(format!("relative paths start at the folder {}", campaign.folder().display()))
}

/// An absolute path without `.`; the file itself need not exist.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, PlanError> {
    let absolute =
        std::path::absolute(path).map_err(|source| PlanError::NoAbsolutePath { path: path.to_path_buf(), source })?;
    Ok(absolute.components().collect())
}

/// An imager's options with absolute paths: it runs in a folder of its own, and relative ones start at the campaign file's.
pub(super) fn from_folder(campaign: &CampaignFile, mut imaging: ImagerOptions) -> Result<ImagerOptions, PlanError> {
    for path in imaging.paths_mut() {
        *path = absolute(&campaign.folder().join(&*path))?;
    }
    Ok(imaging)
}

/// A name without characters that make trouble in paths and scripts.
pub(super) fn folder_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "._-+".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.trim_matches('.').is_empty() { "campaign".to_owned() } else { name }
}
