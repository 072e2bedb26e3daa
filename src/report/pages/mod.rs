//! The pages: a struct for each, which its template is filled with.
//!
//! A new page takes a template in `templates/`, a file here with its struct, and its lines in this one (`mod`,
//! [`TEMPLATES`], and its place in [`DatasetWriter::write`] or [`super::write`]).

mod campaign;
pub(super) mod continuum;
mod dataset;
pub(super) mod final_images;
mod overview;
mod round;

pub(super) use campaign::CampaignView;
pub(super) use overview::{OverviewEntry, OverviewPage};

use super::ReportError;
use super::figures::{self, Store, page_name};
use super::trouble::Trouble;
use crate::campaign::record::DatasetRecord;
use crate::util::fs::write_atomically;
use dataset::DatasetPage;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use round::{RoundPage, RoundSource};
use serde::Serialize;
use std::path::Path;

const STYLE: &str = include_str!("../templates/style.css");
const SCRIPT: &str = include_str!("../templates/script.js");

/// A template's name and text.
struct Template {
    name: &'static str,
    text: &'static str,
}

/// All templates; `base.html` is the frame of every page, `macros.html` has the widgets.
const TEMPLATES: [Template; 5] = [
    Template { name: "base.html", text: include_str!("../templates/base.html") },
    Template { name: "macros.html", text: include_str!("../templates/macros.html") },
    Template { name: DatasetPage::TEMPLATE, text: include_str!("../templates/dataset.html") },
    Template { name: RoundPage::TEMPLATE, text: include_str!("../templates/round.html") },
    Template { name: OverviewPage::TEMPLATE, text: include_str!("../templates/overview.html") },
];

/// A page: the names that its template uses are its fields.
pub(super) trait Page: Serialize {
    /// Name of its template.
    const TEMPLATE: &'static str;
}

/// The templates, ready to be filled.
#[derive(Debug)]
pub(super) struct Templates(Environment<'static>);

impl Templates {
    pub(super) fn new() -> Result<Self, ReportError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.add_global("style", minijinja::Value::from_safe_string(STYLE.to_string()));
        environment.add_global("script", minijinja::Value::from_safe_string(SCRIPT.to_string()));
        for Template { name, text } in TEMPLATES {
            environment.add_template(name, text)?;
        }
        Ok(Self(environment))
    }

    /// Fills the template of `page` and puts the result at `path` by atomic rename.
    pub(super) fn write<P: Page>(&self, page: &P, path: &Path) -> Result<(), ReportError> {
        let html = self.0.get_template(P::TEMPLATE)?.render(Serde(page))?;
        Ok(write_atomically(path, html.as_bytes())?)
    }
}

/// Everything that the text of all pages depends on, besides the record.
pub(super) fn sources() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|t| t.text).chain([STYLE, SCRIPT])
}

/// Writes the pages of one measurement set.
#[derive(Debug)]
pub(super) struct DatasetWriter<'a> {
    /// The templates.
    pub(super) templates: &'a Templates,
    /// The part of the campaign that each page shows.
    pub(super) campaign: &'a CampaignView,
    /// There is an overview of several measurement sets.
    pub(super) many: bool,
    /// The campaign folder: paths in the record are relative to it.
    pub(super) folder: &'a Path,
    /// Folder of the pages.
    pub(super) page_folder: &'a Path,
    /// Figures of earlier reports.
    pub(super) store: &'a Store,
}

impl DatasetWriter<'_> {
    /// A page for each attempt at a round, and last the page of the set.
    pub(super) fn write(&self, dataset: &DatasetRecord, trouble: &Trouble) -> Result<(), ReportError> {
        let rounds = &dataset.rounds;
        // One round after the other: planes of large images fill the memory.
        let drawn: Vec<_> = (0..rounds.len()).map(|i| figures::of_round(self.store, self.folder, dataset, i)).collect();
        for (index, (round, figures)) in rounds.iter().zip(&drawn).enumerate() {
            let page = RoundPage::new(self, &RoundSource { dataset, index, figures });
            self.templates.write(&page, &self.page_folder.join(format!("{}.html", page_name(round))))?;
        }
        self.remove_stale_pages(dataset);
        let page = DatasetPage::new(self, dataset, &drawn, trouble);
        self.templates.write(&page, &self.page_folder.join("index.html"))
    }

    /// Pages of rounds that a changed campaign no longer has would only mislead; that one cannot be removed is no
    /// failure.
    fn remove_stale_pages(&self, dataset: &DatasetRecord) {
        let current: Vec<String> = dataset.rounds.iter().map(|r| format!("{}.html", page_name(r))).collect();
        for entry in std::fs::read_dir(self.page_folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("round-") && name.ends_with(".html") && !current.contains(&name) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound() {
        Templates::new().unwrap();
    }
}
