//! The end of a campaign: final products, and the archive.

use super::DatasetRun;
use super::archive::{self, ArchivePart, Archived};
use super::attempt::file_name;
use super::kept::Attempted;
use super::step::{Nothing, StepSpec};
use crate::Result;
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
        let applied = best.active.applied.as_ref();
        self.record.apply_line = applied.and_then(|a| self.backend.apply_line(&a.step, &a.tables));
        let apply_line = self.record.apply_line.clone();
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
                gather(&best, apply_line.as_deref(), &fresh)?;
                fs::swap_in(&fresh, &target)?;
                Ok(Nothing {})
            },
        )?;
        Ok(())
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

/// Links or copies an attempt's products into a folder.
fn gather(best: &Attempted, apply_line: Option<&str>, folder: &Path) -> Result<()> {
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
    for table in &best.active.tables() {
        fs::link_or_copy(&table.path, &folder.join(file_name(&table.path)))?;
    }
    if let Some(line) = apply_line {
        fs::write_atomically(&folder.join("apply-solutions.txt"), format!("{line}\n").as_bytes())?;
    }
    Ok(())
}
