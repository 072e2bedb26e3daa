//! The end of a campaign: final products, and the archive.

use super::DatasetRun;
use super::archive::{self, ArchivePart, Archived};
use super::attempt::file_name;
use super::kept::{AppliedTables, Attempted};
use super::step::{Nothing, StepSpec};
use crate::Result;
use crate::calibrator::SolutionTable;
use crate::campaign::events::Place;
use crate::campaign::journal::{StepId, StepKey};
use crate::campaign::record::Level;
use crate::campaign::rules::acceptance::best_accepted;
use crate::campaign::steps::Prepared;
use crate::util::fs;
use std::path::Path;

impl DatasetRun<'_> {
    /// Collects the best round's files in `final/` and leaves the measurement set in its state.
    pub(super) fn finish(&mut self, data: &Prepared) -> Result<()> {
        let Some(best) = best_accepted(&self.history).and_then(|b| self.find(b.id)).cloned() else {
            return Ok(());
        };
        self.place = Place { dataset: self.settings.name.clone(), at: best.plan.id };
        self.ensure_corrected(data, &best.active)?;
        self.ensure_model(data, &best)?;
        let apply_lines = self.apply_lines(&best);
        self.record.apply_line = lines_of_sets(data, &apply_lines);
        let target = self.settings.layout.final_folder();
        let spec = StepSpec {
            id: StepId::FINISH,
            key: StepKey::of(&("finish", &best.image_key, best.active.key())),
            touches: &[],
        };
        let image = target.join("image.fits");
        self.step(
            spec,
            |_: &Nothing| image.exists(),
            |run| {
                run.ensure_files(data, &best)?;
                let fresh = target.with_extension("new");
                fs::remove(&fresh)?;
                fs::make(&fresh)?;
                gather(&best, &fresh)?;
                for (member, line) in apply_lines.iter().enumerate() {
                    let folder = data.member_name(member).map_or_else(|| fresh.clone(), |name| fresh.join(name));
                    gather_tables(best.active.tables(member), line.as_deref(), &folder)?;
                }
                fs::swap_in(&fresh, &target)?;
                Ok(Nothing {})
            },
        )?;
        Ok(())
    }

    /// The line that applies the best tables of each measurement set elsewhere.
    fn apply_lines(&mut self, best: &Attempted) -> Vec<Option<String>> {
        let Some(applied) = &best.active.applied else { return Vec::new() };
        let line = |AppliedTables { step, tables, .. }: &AppliedTables| {
            if tables.is_empty() { None } else { self.backend.apply_line(step, tables) }
        };
        applied.members.iter().map(line).collect()
    }

    /// Collects what the archive is to hold.
    pub(super) fn collect(&mut self) -> Result<()> {
        let options = self.settings.archive.clone();
        let Some(finish) = self.journal.last_key(StepId::FINISH).filter(|_| !options.is_empty()) else {
            return Ok(());
        };
        // All attempts count, not the best one alone: patterns may name any of them.
        let images: Vec<&StepKey> = self.done.iter().map(|a| &a.image_key).collect();
        let key = StepKey::of(&("archive", finish, images, &options));
        let (root, name) = (self.settings.layout.root().to_path_buf(), self.settings.name.clone());
        let spec = StepSpec { id: StepId::ARCHIVE, key, touches: &[] };
        let archived = self.step(spec, Archived::is_there, |_| {
            archive::collect(&options, &root, ArchivePart::MeasurementSet, &name)
        })?;
        for pattern in &archived.unmatched {
            // Report and campaign file are matched at the end of the campaign.
            if !archive::is_of_the_campaign(pattern) {
                self.note(Level::Warning, format!("archive: no file matches the pattern `{pattern}`"));
            }
        }
        Ok(())
    }
}

/// The lines of all measurement sets for the record; of several, each below the name of its set.
fn lines_of_sets(data: &Prepared, lines: &[Option<String>]) -> Option<String> {
    let shown = lines.iter().enumerate().filter_map(|(member, line)| {
        let line = line.as_ref()?;
        Some(data.member_name(member).map_or_else(|| line.clone(), |name| format!("# {name}\n{line}")))
    });
    let all: Vec<String> = shown.collect();
    (!all.is_empty()).then(|| all.join("\n"))
}

/// Links or copies an attempt's images and mask into a folder.
fn gather(best: &Attempted, folder: &Path) -> Result<()> {
    let products = &best.imaged.products;
    let mut files: Vec<(&Path, &str)> = vec![
        (&products.image, "image.fits"),
        (&products.residual, "residual.fits"),
        (&products.model, "model.fits"),
        (&products.psf, "psf.fits"),
    ];
    files.extend(products.pb.as_deref().map(|p| (p, "pb.fits")));
    files.extend(products.pbcor.as_deref().map(|p| (p, "image.pbcor.fits")));
    files.extend(best.mask.as_ref().map(|m| (m.path.as_path(), "mask.fits")));
    for (from, name) in files {
        fs::link_or_copy(from, &folder.join(name))?;
    }
    Ok(())
}

/// Links or copies tables into a folder, with the line that applies them.
fn gather_tables(tables: &[SolutionTable], apply_line: Option<&str>, folder: &Path) -> Result<()> {
    if tables.is_empty() && apply_line.is_none() {
        return Ok(());
    }
    fs::make(folder)?;
    for table in tables {
        fs::link_or_copy(&table.path, &folder.join(file_name(&table.path)))?;
    }
    if let Some(line) = apply_line {
        fs::write_atomically(&folder.join("apply-solutions.txt"), format!("{line}\n").as_bytes())?;
    }
    Ok(())
}
