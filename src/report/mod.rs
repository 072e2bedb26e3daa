//! What people look at: a page for the campaign, one a measurement set, one a round; and `summary.json` for machines.
//!
//! Every page stands alone: pictures, style and script are inside, nothing is fetched from anywhere. Pages appear by
//! atomic rename, so a page that is reloaded while the campaign runs is never half-written.
//!
//! ```text
//! report/index.html               the campaign; with one measurement set, that one's page
//! report/round-02.html            a round (of the only measurement set)
//! report/round-02-attempt-2.html  its second attempt
//! report/beam07/index.html        with several: a page each, and its rounds beside it
//! report/summary.json             the numbers
//! report/.figures/                finished figures, so that renewing the report draws only what is new
//! ```

mod chart;
mod figures;
mod map;
mod numbers;
mod outline;
mod raster;
mod sky;
mod summary;
pub mod terminal;
mod trouble;
mod view;

use crate::campaign::ReportWriter;
use crate::campaign::record::{CampaignRecord, DatasetRecord};
use crate::util::fs::{FileError, write_atomically};
use figures::Store;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Folder of the report inside a campaign's.
pub const FOLDER: &str = "report";
/// Folder of kept figures inside the report.
const FIGURES: &str = ".figures";

const BASE: &str = include_str!("templates/base.html");
const MACROS: &str = include_str!("templates/macros.html");
const DATASET: &str = include_str!("templates/dataset.html");
const ROUND: &str = include_str!("templates/round.html");
const OVERVIEW: &str = include_str!("templates/overview.html");
const STYLE: &str = include_str!("templates/style.css");
const SCRIPT: &str = include_str!("templates/script.js");

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A folder cannot be made.
    #[error("{}: cannot be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// A page cannot be written.
    #[error(transparent)]
    Page(#[from] FileError),
    /// A template failed: a fault of cleanloop's own.
    #[error("the report's template failed: {0:#}; please report it")]
    Template(#[from] minijinja::Error),
    /// The summary failed: a fault of cleanloop's own.
    #[error("the report's summary failed: {0}; please report it")]
    Summary(#[from] serde_json::Error),
}

impl From<ReportError> for crate::Error {
    fn from(e: ReportError) -> Self {
        Self::internal(e)
    }
}

/// Writes (or renews) the report of `record` below the campaign folder `folder` and returns its first page.
///
/// Only what changed since the last time is drawn and written. Files that are missing or cannot be read are said on
/// the page; they are no error.
///
/// # Errors
/// The report's folder cannot be written.
pub fn write(record: &CampaignRecord, folder: &Path) -> Result<PathBuf, ReportError> {
    write_pages(record, folder, false)
}

/// Writes the report of a campaign while it runs, as [`write`] does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Html;

impl ReportWriter for Html {
    fn write(&self, record: &CampaignRecord, folder: &Path) -> crate::Result<()> {
        write(record, folder)?;
        Ok(())
    }
}

/// As [`write`], with every figure and page drawn again.
///
/// # Errors
/// As [`write`].
pub fn rewrite(record: &CampaignRecord, folder: &Path) -> Result<PathBuf, ReportError> {
    write_pages(record, folder, true)
}

fn write_pages(record: &CampaignRecord, folder: &Path, force: bool) -> Result<PathBuf, ReportError> {
    let report = folder.join(FOLDER);
    let make = |path: &Path| {
        std::fs::create_dir_all(path).map_err(|source| ReportError::Folder { path: path.to_path_buf(), source })
    };
    make(&report)?;
    let environment = environment()?;
    let campaign = view::campaign(record);
    let trouble = trouble::of_all(&record.datasets);
    let pages = page_folders(&record.datasets);
    let many = record.datasets.len() != 1;
    record.datasets.par_iter().zip(&pages).zip(&trouble).try_for_each(|((dataset, page), trouble)| {
        let page_folder = if page.is_empty() { report.clone() } else { report.join(page) };
        let store_name = if page.is_empty() { "only" } else { page };
        let mut campaign = campaign.clone();
        if many {
            // Pages of a set that has ended are finished, whatever the others still do.
            campaign.running = !dataset.state.is_final();
            campaign.state = dataset.state.word().to_string();
        }
        let campaign = &campaign;
        let stamp = report.join(FIGURES).join(store_name).join("written");
        let key = key_of_pages(campaign, dataset, trouble);
        let last_page = page_folder.join("index.html");
        if !force && last_page.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|k| k == key) {
            return Ok(());
        }
        make(&page_folder)?;
        let store = Store::new(report.join(FIGURES).join(store_name), force);
        make(&report.join(FIGURES).join(store_name))?;
        dataset_pages(&environment, campaign, &store, folder, &page_folder, dataset, trouble, many)?;
        write_atomically(&stamp, key.as_bytes())?;
        Ok::<_, ReportError>(())
    })?;
    let index = report.join("index.html");
    if many {
        let mut entries: Vec<view::OverviewEntry<'_>> = record
            .datasets
            .iter()
            .zip(&trouble)
            .zip(&pages)
            .map(|((dataset, trouble), page)| view::OverviewEntry {
                dataset,
                trouble,
                href: format!("{page}/index.html"),
            })
            .collect();
        entries.sort_by(|a, b| {
            b.trouble.score.total_cmp(&a.trouble.score).then_with(|| a.dataset.name.cmp(&b.dataset.name))
        });
        let overview = view::overview(&entries);
        let html = environment.get_template("overview.html")?.render(context! {
            campaign => Serde(&campaign), overview => Serde(&overview),
        })?;
        write_atomically(&index, html.as_bytes())?;
    }
    let mut text = serde_json::to_vec_pretty(&summary::Summary::new(record, &trouble, &pages))?;
    text.push(b'\n');
    write_atomically(&report.join("summary.json"), &text)?;
    Ok(index)
}

#[allow(clippy::too_many_arguments)]
fn dataset_pages(
    environment: &Environment<'_>,
    campaign: &view::CampaignView,
    store: &Store,
    folder: &Path,
    page_folder: &Path,
    dataset: &DatasetRecord,
    trouble: &trouble::Trouble,
    many: bool,
) -> Result<(), ReportError> {
    // One round after the other: planes of large images fill the memory.
    let drawn: Vec<_> = (0..dataset.rounds.len()).map(|i| figures::of_round(store, folder, dataset, i)).collect();
    for (i, (round, drawn)) in dataset.rounds.iter().zip(&drawn).enumerate() {
        let view = view::round(store, folder, page_folder, dataset, i, drawn);
        let html = environment.get_template("round.html")?.render(context! {
            campaign => Serde(campaign), many, dataset => dataset.name.clone(), round => Serde(&view),
        })?;
        write_atomically(&page_folder.join(format!("{}.html", figures::page_name(round))), html.as_bytes())?;
    }
    remove_stale_pages(page_folder, dataset);
    let view = view::dataset(store, folder, dataset, &drawn, trouble);
    let html = environment.get_template("dataset.html")?.render(context! {
        campaign => Serde(campaign), many, dataset => Serde(&view),
    })?;
    write_atomically(&page_folder.join("index.html"), html.as_bytes())?;
    Ok(())
}

/// Pages of rounds that a changed campaign no longer has would only mislead; that one cannot be removed is no failure.
fn remove_stale_pages(page_folder: &Path, dataset: &DatasetRecord) {
    let current: Vec<String> = dataset.rounds.iter().map(|r| format!("{}.html", figures::page_name(r))).collect();
    for entry in std::fs::read_dir(page_folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("round-") && name.ends_with(".html") && !current.contains(&name) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A digest of all that a dataset's pages show.
fn key_of_pages(campaign: &view::CampaignView, dataset: &DatasetRecord, trouble: &trouble::Trouble) -> String {
    // Times of the campaign change with every step of every dataset: they alone are no reason to write all pages.
    let lasting = (&campaign.name, &campaign.program, &campaign.state, &campaign.tools, &campaign.config);
    let text = serde_json::to_vec(&(lasting, dataset, trouble)).unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [BASE, MACROS, DATASET, ROUND, STYLE, SCRIPT] {
        digest.update(part);
    }
    digest.update(text);
    digest.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Folders of the datasets' pages below the report: none for the only dataset, else names that file systems and links
/// take, all different.
fn page_folders(datasets: &[DatasetRecord]) -> Vec<String> {
    if datasets.len() == 1 {
        return vec![String::new()];
    }
    let mut taken = std::collections::HashSet::new();
    datasets
        .iter()
        .map(|d| {
            let plain: String =
                d.name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
            let plain = plain.trim_start_matches('.');
            let plain = if plain.is_empty() { "dataset" } else { plain };
            let mut name = plain.to_string();
            let mut n = 2;
            while !taken.insert(name.clone()) {
                name = format!("{plain}-{n}");
                n += 1;
            }
            name
        })
        .collect()
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_global("style", minijinja::Value::from_safe_string(STYLE.to_string()));
    environment.add_global("script", minijinja::Value::from_safe_string(SCRIPT.to_string()));
    for (name, source) in [
        ("base.html", BASE),
        ("macros.html", MACROS),
        ("dataset.html", DATASET),
        ("round.html", ROUND),
        ("overview.html", OVERVIEW),
    ] {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_folders_differ_and_are_plain() {
        let named = |name: &str| DatasetRecord { name: name.into(), ..Default::default() };
        let datasets = ["a b", "a/b", "../x", ""].map(named);
        assert_eq!(page_folders(&datasets), ["a_b", "a_b-2", "_x", "dataset"]);
        assert_eq!(page_folders(&datasets[..1]), [""]);
    }

    #[test]
    fn templates_are_sound() {
        environment().unwrap();
    }
}
