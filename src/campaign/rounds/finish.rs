//! The end of a campaign: final products, and the archive.

use super::DatasetRun;
use super::archive::{self, ArchivePart, Archived};
use super::attempt::file_name;
use super::kept::{AppliedTables, Attempted};
use super::step::{Nothing, StepSpec};
use crate::calibrator::SolutionTable;
use crate::calibrator::facets::FacetSolution;
use crate::campaign::events::Place;
use crate::campaign::file::ApplyTo;
use crate::campaign::journal::{Step, StepId, StepKey};
use crate::campaign::layout::FROZEN_PLAN;
use crate::campaign::record::{Level, MemberSolutions};
use crate::campaign::rules::acceptance::best_accepted;
use crate::campaign::steps::{Prepared, PreparedSet};
use crate::measurement_set::has_column;
use crate::util::fs;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

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
        let solutions = self.solutions(data, &best);
        self.record.apply_line = lines_of_sets(data, &apply_lines);
        let target = self.settings.layout.final_folder();
        let spec = StepSpec {
            id: StepId::FINISH,
            key: StepKey::of(&("finish", &best.image_key, best.active.key(), "with solutions", best.facets_key())),
            touches: &[],
        };
        let image = target.join("image.fits");
        self.step(
            spec,
            |_: &Nothing| image.exists(),
            |run| {
                run.ensure_files(data, &best)?;
                let fresh = target.with_extension("new");
                // What an interrupted exchange left there comes back first.
                keep_final_imagings(&fresh, &target)?;
                fs::remove(&fresh)?;
                fs::make(&fresh)?;
                gather(&best, &fresh)?;
                if let Some(facets) = &best.active.facets {
                    gather_facets(
                        &facets.solution,
                        &run.backend.facets_line(&best.plan.imaging, &facets.solution),
                        &fresh,
                    )?;
                }
                for (member, line) in apply_lines.iter().enumerate() {
                    let folder = data.member_name(member).map_or_else(|| fresh.clone(), |name| fresh.join(name));
                    gather_tables(best.active.tables(member), line.as_deref(), &folder)?;
                }
                MemberSolutions::save(&solutions, &fresh)?;
                keep_final_imagings(&target, &fresh)?;
                fs::swap_in(&fresh, &target)?;
                Ok(Nothing {})
            },
        )?;
        self.apply_to(data, &best, &solutions)
    }

    /// The solutions of all measurement sets that have some.
    fn solutions(&self, data: &Prepared, best: &Attempted) -> Vec<MemberSolutions> {
        let root = self.settings.layout.root();
        let members = data.sets.iter().zip(&self.settings.sources).enumerate();
        let of = |(member, (set, source)): (usize, (&PreparedSet, &PathBuf))| {
            let AppliedTables { step, tables, .. } = best.active.member(member)?;
            let field = set.part.field.and_then(|_| set.summary.fields.first());
            (!tables.is_empty()).then(|| MemberSolutions {
                name: set.name.clone(),
                source: source.clone(),
                part: set.part.clone(),
                field: field.map(|field| field.name.clone()),
                start_column: self.settings.start_column,
                calibration: step.options.clone(),
                tables: MemberSolutions::relative(tables, root),
            })
        };
        members.filter_map(of).collect()
    }

    /// Applies the best solutions to the data that the campaign file names.
    fn apply_to(&mut self, data: &Prepared, best: &Attempted, solutions: &[MemberSolutions]) -> Result<()> {
        let Some(to) = self.settings.apply_to.clone() else { return Ok(()) };
        if solutions.is_empty() {
            self.note(
                Level::Warning,
                "apply_to: the best round is not calibrated: there is nothing to apply".to_owned(),
            );
            return Ok(());
        }
        let pairs: Vec<(&MemberSolutions, PathBuf)> = solutions
            .iter()
            .map(|member| match &to {
                ApplyTo::Original => (member, member.source.clone()),
                ApplyTo::File(path) => (member, path.clone()),
            })
            .collect();
        let key = StepKey::of(&("apply to", self.data_key(), best.active.key(), &to));
        let spec = StepSpec { id: StepId::APPLY_TO, key, touches: &[] };
        let context = self.context(data, StepId::of(best.plan.id, Step::Apply), "calibration", "apply-to.log")?;
        let root = self.settings.layout.root().to_path_buf();
        let written = |path: &Path| has_column(path, "CORRECTED_DATA") == Some(true);
        let known = self.step(
            spec,
            |_: &Vec<String>| pairs.iter().all(|(_, to)| written(to)),
            |run| {
                let notes = pairs.iter().map(|(member, to)| run.backend.apply_to(member, &root, to, &context));
                Ok(notes.collect::<Result<Vec<_>>>()?.concat())
            },
        )?;
        for (member, to) in &pairs {
            let text = format!("the solutions of {} are applied to {} (CORRECTED_DATA)", member.name, to.display());
            self.note(Level::Info, text);
        }
        known.into_iter().for_each(|text| self.note(Level::Warning, text));
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

/// Moves the folders of final imagings, each with a plan, from one folder of products into another.
fn keep_final_imagings(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        if entry.path().join(FROZEN_PLAN).is_file() {
            fs::make(to)?;
            std::fs::rename(entry.path(), to.join(entry.file_name())).map_err(Error::internal)?;
        }
    }
    Ok(())
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
    for file in products.of_polarisations() {
        fs::link_or_copy(&file, &folder.join(file_name(&file)))?;
    }
    Ok(())
}

/// Links or copies facets and solutions into a folder, with the line that images other data with them.
fn gather_facets(solution: &FacetSolution, line: &str, folder: &Path) -> Result<()> {
    for file in solution.files.all().chain([solution.sky.as_path()]) {
        fs::link_or_copy(file, &folder.join(file_name(file)))?;
    }
    fs::write_atomically(&folder.join("image-with-facets.txt"), format!("{line}\n").as_bytes())?;
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
