//! The report: pages for people (one for the campaign, one per measurement set, one per attempt at a round) and
//! `summary.json` for machines.
//!
//! Every page is self-contained: pictures, style and script are inside, nothing is fetched from anywhere. Pages appear by
//! atomic rename, so a page that is reloaded while the campaign runs is never half-written.
//!
//! ```text
//! report/index.html               the campaign; with one measurement set, that one's page
//! report/round-02.html            a round (of the only measurement set)
//! report/round-02-attempt-2.html  its second attempt
//! report/beam07/index.html        with several: one page each, and its rounds beside it
//! report/summary.json             the numbers
//! report/.figures/                finished figures, so that renewing the report draws only what is new
//! ```

mod draw;
mod figures;
pub(crate) mod numbers;
pub(crate) mod pack;
mod pages;
mod quantities;
pub(crate) mod summary;
pub mod terminal;
mod trouble;
mod widgets;
pub(crate) mod words;

use crate::campaign::ReportWriter;
use crate::campaign::record::{CampaignRecord, DatasetRecord};
use crate::util::fs::{FileError, write_atomically};
use figures::Store;
use pages::{CampaignView, DatasetWriter, OverviewEntry, OverviewPage, Templates};
use pages::{continuum, final_images};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use trouble::Trouble;

/// Folder of the report inside a campaign's.
const FOLDER: &str = "report";
/// Folder of kept figures inside the report.
const FIGURES: &str = ".figures";

/// The reason why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A folder cannot be made.
    #[error("{}: cannot be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A page cannot be written.
    #[error(transparent)]
    Page(#[from] FileError),
    /// A template failed: a bug of cleanloop.
    #[error("the report's template failed: {0:#}; please report it")]
    Template(#[from] minijinja::Error),
    /// The summary failed: a bug of cleanloop.
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
/// Only what changed since the last time is drawn and written. Files that are missing or cannot be read are named on
/// the page; they are no error.
///
/// # Errors
/// The report's folder cannot be written.
pub fn write(record: &CampaignRecord, folder: &Path) -> Result<PathBuf, ReportError> {
    write_all(record, folder, false)
}

/// Writes the report of a campaign while it runs, as [`write()`] does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Html;

impl ReportWriter for Html {
    fn write(&self, record: &CampaignRecord, folder: &Path) -> crate::Result<()> {
        write(record, folder)?;
        Ok(())
    }
}

/// Like [`write()`], but draws and writes every figure and page again.
///
/// # Errors
/// As [`write()`].
pub fn rewrite(record: &CampaignRecord, folder: &Path) -> Result<PathBuf, ReportError> {
    write_all(record, folder, true)
}

fn make(folder: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Folder { path: folder.to_path_buf(), source })
}

fn write_all(record: &CampaignRecord, folder: &Path, force: bool) -> Result<PathBuf, ReportError> {
    let report = folder.join(FOLDER);
    make(&report)?;
    let templates = Templates::new()?;
    let store = Store::new(report.join(FIGURES).join("campaign"), force);
    let campaign = CampaignView {
        final_images: final_images::of_record(record, folder),
        cubes: final_images::cubes(record, folder, &store),
        continuum: continuum::of_record(record),
        ..CampaignView::new(record)
    };
    let trouble = trouble::of_all(&record.datasets);
    let names = page_folders(&record.datasets);
    let writer = Writer { templates: &templates, campaign: &campaign, folder, report: &report, force };
    let many = record.datasets.len() != 1;
    record
        .datasets
        .par_iter()
        .zip(&names)
        .zip(&trouble)
        .try_for_each(|((dataset, name), trouble)| writer.write_dataset(dataset, trouble, name, many))?;
    let index = report.join("index.html");
    if many {
        let sets = record.datasets.iter().zip(&trouble).zip(&names);
        let entry = |((dataset, trouble), name): ((_, _), &String)| OverviewEntry {
            dataset,
            trouble,
            href: format!("{name}/index.html"),
        };
        let mut entries: Vec<OverviewEntry<'_>> = sets.map(entry).collect();
        entries.sort_by(|a, b| {
            b.trouble.score.total_cmp(&a.trouble.score).then_with(|| a.dataset.name.cmp(&b.dataset.name))
        });
        templates.write(&OverviewPage::new(&campaign, &entries), &index)?;
    }
    let mut text = serde_json::to_vec_pretty(&summary::RecordSummary::new(record, &trouble, &names))?;
    text.push(b'\n');
    write_atomically(&report.join("summary.json"), &text)?;
    Ok(index)
}

/// Writes the pages of measurement sets that have changed.
struct Writer<'a> {
    templates: &'a Templates,
    campaign: &'a CampaignView,
    folder: &'a Path,
    report: &'a Path,
    /// Write all of them.
    force: bool,
}

impl Writer<'_> {
    /// `name` is the set's folder below the report; empty for the only set.
    fn write_dataset(
        &self,
        dataset: &DatasetRecord,
        trouble: &Trouble,
        name: &str,
        many: bool,
    ) -> Result<(), ReportError> {
        let page_folder = if name.is_empty() { self.report.to_path_buf() } else { self.report.join(name) };
        let store_folder = self.report.join(FIGURES).join(if name.is_empty() { "only" } else { name });
        let mut campaign = self.campaign.clone();
        if many {
            // Those are on the campaign's page.
            (campaign.final_images, campaign.cubes) = (Vec::new(), Vec::new());
            campaign.continuum = Vec::new();
            // Pages of a set that has ended are finished, whatever the others still do.
            campaign.running = !dataset.state.is_final();
            campaign.state = words::state(dataset.state).to_string();
        }
        let stamp = store_folder.join("written");
        let key = key_of_pages(&campaign, dataset, trouble);
        let last_page = page_folder.join("index.html");
        if !self.force && last_page.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|k| k == key) {
            return Ok(());
        }
        make(&page_folder)?;
        make(&store_folder)?;
        let writer = DatasetWriter {
            templates: self.templates,
            campaign: &campaign,
            many,
            folder: self.folder,
            page_folder: &page_folder,
            store: &Store::new(store_folder.clone(), self.force),
        };
        writer.write(dataset, trouble)?;
        Ok(write_atomically(&stamp, key.as_bytes())?)
    }
}

/// A digest of all that a measurement set's pages show.
fn key_of_pages(campaign: &CampaignView, dataset: &DatasetRecord, trouble: &Trouble) -> String {
    // Times of the campaign change with every step of every dataset: they alone are no reason to write all pages.
    let lasting = (&campaign.name, &campaign.program, &campaign.state, &campaign.tools, &campaign.config);
    let after = (&campaign.final_images, &campaign.cubes, &campaign.continuum);
    let text = serde_json::to_vec(&(lasting, after, dataset, trouble)).unwrap_or_default();
    let mut digest = Sha256::new();
    pages::sources().for_each(|part| digest.update(part));
    digest.update(text);
    digest.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Folders of the measurement sets' pages below the report: empty for the only set, else distinct names that are valid
/// in file systems and links.
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
}
