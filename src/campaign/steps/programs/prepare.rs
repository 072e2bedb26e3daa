//! Before the first round: programs, options, data and disk are checked, and the working copies are made.

use super::{Programs, facts};
use crate::campaign::file::{CalibratorKind, StartColumn};
use crate::campaign::plan::MeasurementSetPlan;
use crate::campaign::steps::{Prepared, PreparedSet, StepContext};
use crate::imager::ImagerOptions;
use crate::imager::progress::Progress;
use crate::measurement_set::inspection::{self, Fault};
use crate::measurement_set::{self, MsSummary, TheoreticalNoise};
use crate::programs::casa::Casa;
use crate::util::disk;
use crate::util::fs;
use crate::{Error, Result};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

/// Bytes of a pixel of a FITS image.
const PIXEL_BYTES: u64 = 4;
/// Full-size images that a round leaves behind: image, residual, model, psf, dirty, mask, and the imager's own.
const IMAGES_A_ROUND: u64 = 12;
/// Remedy for a disk that is too small.
const LESS_ROOM: &str = "choose another output, or use `work_on: original`";

impl Programs<'_> {
    /// Prepares without looking into the measurement sets.
    pub(super) fn prepare_unread(&mut self, context: &StepContext) -> Result<Prepared> {
        let size = if self.plan.copies(&self.target) { self.size() } else { 0 };
        disk::check_room(&context.folder, size, "a copy of the data", LESS_ROOM)?;
        let tools = IndexMap::from([("imager".to_string(), self.check_imager(StartColumn::Data, context)?)]);
        let summaries = vec![MsSummary::default(); self.target.members.len()];
        Ok(Prepared {
            sets: self.working_sets(summaries, context, &|_| Ok(()))?,
            facts: IndexMap::new(),
            tools,
            column: StartColumn::Data,
            model_wanted: false,
        })
    }

    /// Prepares measurement sets that CASA can read.
    pub(super) fn prepare_read(&mut self, context: &StepContext) -> Result<Prepared> {
        let start = self.plan.start_column;
        let copied = self.plan.copies(&self.target);
        let calibrated = self.plan.calibrator != CalibratorKind::None;
        let casa = self.casa_if_needed(context)?;
        let sources = self.target.paths();
        let mut not_finite = false;
        if let Some(casa) = &casa {
            not_finite = self.inspect(casa, context)?;
        }
        let checked = sources.iter().map(|source| self.checked_summary(source, casa.as_ref()));
        let mut summaries = checked.collect::<Result<Vec<MsSummary>>>()?;
        if start == StartColumn::CorrectedData && !copied && calibrated {
            return Err(Error::bad_input(
                "start_column: CORRECTED_DATA needs work_on: copy, as each round writes its own CORRECTED_DATA",
            ));
        }
        self.check_room(&summaries, copied, &context.folder)?;
        let mut tools = IndexMap::new();
        if let Some(casa) = &casa {
            tools.insert("casa".to_string(), casa.version()?);
        }
        if let Some(calibration) = self.plan.rounds.iter().find_map(|r| r.calibration.clone())
            && calibration.calibrator != CalibratorKind::Casa
        {
            // Before hours of imaging: options that it does not know, a program that is not there.
            tools.insert("calibrator".into(), self.calibrator(&calibration)?.version()?);
        }
        tools.insert("imager".into(), self.check_imager(start, context)?);
        if let Some(casa) = &casa {
            for (source, summary) in sources.iter().zip(&mut summaries) {
                summary.theoretical_noise = self.theoretical_noise(casa, source, summary, context);
            }
        }
        let sets = self.working_sets(summaries, context, &|copy| {
            let Some(casa) = &casa else { return Ok(()) };
            if not_finite {
                inspection::flag_not_finite(casa, copy, start.name())?;
            }
            match start {
                StartColumn::CorrectedData if calibrated => measurement_set::adopt_corrected(casa, copy),
                _ => Ok(()),
            }
        })?;
        let facts = facts::of_target(&sets);
        // A copy that is calibrated starts from corrected data as its DATA.
        let column = if copied && calibrated { StartColumn::Data } else { start };
        Ok(Prepared { sets, facts, tools, column, model_wanted: calibrated })
    }

    /// Looks into the measurement sets and says what should be known; returns whether unflagged data are no numbers.
    fn inspect(&self, casa: &Casa, context: &StepContext) -> Result<bool> {
        let purpose = self.plan.purpose(&self.target);
        let mut not_finite = false;
        for set in &self.target.members {
            let inspection = inspection::inspect(casa, &set.path, Some(self.plan.start_column.name()), true)?;
            for problem in inspection.check(&purpose)? {
                not_finite |= matches!(problem.fault, Fault::NotFinite { .. });
                (context.progress)(Progress::Message(format!("{}: {problem}", set.name)));
            }
        }
        Ok(not_finite)
    }

    /// Size of the target's measurement sets, bytes.
    fn size(&self) -> u64 {
        self.target.members.iter().map(|set| disk::size_of(&set.path)).sum()
    }

    /// CASA; `None` where it is absent and only the report is the poorer for it.
    fn casa_if_needed(&mut self, context: &StepContext) -> Result<Option<Casa>> {
        match self.casa() {
            Ok(casa) => Ok(Some(casa)),
            Err(e) if !self.plan.needs_casa() => {
                let text = format!("going on without CASA, so the report says less of the data ({e})");
                (context.progress)(Progress::Message(text));
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Summary of the measurement set, which must have the column that is imaged first.
    fn checked_summary(&self, source: &Path, casa: Option<&Casa>) -> Result<MsSummary> {
        let start = self.plan.start_column;
        let summary = match casa {
            Some(casa) => MsSummary::read(casa, source)?,
            None => MsSummary::of_files(source),
        };
        if !summary.has_column(start.name()) {
            return Err(Error::bad_input(format!(
                "{}: has no column {}; it has {}. Set `campaign: start_column` to one that is there",
                source.display(),
                start.name(),
                summary.columns.join(", ")
            )));
        }
        Ok(summary)
    }

    /// The theoretical noise of the images; `None` where it cannot be told, which is no reason to give up.
    fn theoretical_noise(
        &self,
        casa: &Casa,
        source: &Path,
        summary: &MsSummary,
        context: &StepContext,
    ) -> Option<TheoreticalNoise> {
        let imaging = &self.plan.rounds_to_run()[0].imaging;
        let one_field = summary.fields.iter().filter(|f| f.observed).count() < 2;
        // wsclean images the first field; tclean's selection may name several.
        let field = (matches!(imaging, ImagerOptions::Wsclean(_)) && !one_field).then_some(0);
        match TheoreticalNoise::measure(casa, source, self.plan.start_column.name(), field) {
            Ok(noise) => Some(noise),
            Err(e) => {
                let text = format!("the theoretical noise cannot be told from the weights ({e})");
                (context.progress)(Progress::Message(text));
                None
            }
        }
    }

    fn check_room(&self, summaries: &[MsSummary], copied: bool, folder: &Path) -> Result<()> {
        let needed =
            |(set, summary): (&MeasurementSetPlan, &MsSummary)| summary.disk_needed(disk::size_of(&set.path), copied);
        let data: u64 = self.target.members.iter().zip(summaries).map(needed).sum();
        let rounds = self.plan.rounds_to_run();
        let images = rounds[0].imaging.pixels() * PIXEL_BYTES * IMAGES_A_ROUND * rounds.len() as u64;
        let what = if copied { "a copy of the data, two columns and the images" } else { "two columns and the images" };
        Ok(disk::check_room(folder, data + images, what, LESS_ROOM)?)
    }

    /// The imager's name and version, when it accepts the options of the first round.
    fn check_imager(&mut self, column: StartColumn, context: &StepContext) -> Result<String> {
        let mut job = self.job(column.name(), context);
        job.measurement_sets = self.target.paths();
        let imaging = self.plan.rounds_to_run()[0].imaging.clone();
        let mut imager = self.imager(&imaging, job, context)?;
        let checked = imager.setup();
        let program = imager.capabilities().program;
        imager.teardown();
        checked.map(|()| program)
    }

    /// The measurement sets to work on: the originals, or copies on which `finish` has done its part.
    fn working_sets(
        &self,
        summaries: Vec<MsSummary>,
        context: &StepContext,
        finish: &dyn Fn(&Path) -> Result<()>,
    ) -> Result<Vec<PreparedSet>> {
        let prepared = |(set, summary): (&MeasurementSetPlan, MsSummary)| {
            Ok(PreparedSet { name: set.name.clone(), path: self.working_set(set, context, finish)?, summary })
        };
        self.target.members.iter().zip(summaries).map(prepared).collect()
    }

    fn working_set(
        &self,
        set: &MeasurementSetPlan,
        context: &StepContext,
        finish: &dyn Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let source = &set.path;
        if !self.plan.copies(&self.target) {
            return Ok(source.clone());
        }
        let target = context.folder.join(format!("{}.ms", set.name));
        let unfinished = context.folder.join(format!(".{}.ms.part", set.name));
        fs::remove(&unfinished)?;
        fs::remove(&target)?;
        let failed =
            |e| Error::internal(format!("{}: cannot be copied to {}: {e}", source.display(), target.display()));
        measurement_set::copy(source, &unfinished).map_err(failed)?;
        finish(&unfinished)?;
        std::fs::rename(&unfinished, &target).map_err(Error::internal)?;
        Ok(target)
    }
}
