//! Before the first round: programs, options, data and disk are checked, and the working copy is made.

use super::Programs;
use crate::campaign::file::{CalibratorKind, ImagerKind, StartColumn};
use crate::campaign::steps::{Prepared, StepContext};
use crate::imager::ImagerOptions;
use crate::imager::progress::Progress;
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
    /// Someone must read the measurement set. An imager that is a command and no calibration know their data themselves.
    pub(super) fn reads_data(&self) -> bool {
        self.plan.imager != ImagerKind::Command
            || self.plan.calibrator != CalibratorKind::None
            || self.plan.start_column == StartColumn::CorrectedData
    }

    /// Prepares without looking into the measurement set.
    pub(super) fn prepare_unread(&mut self, context: &StepContext) -> Result<Prepared> {
        let copied = self.plan.copies(&self.set.path);
        let size = if copied { disk::size_of(&self.set.path) } else { 0 };
        disk::check_room(&context.folder, size, "a copy of the data", LESS_ROOM)?;
        let tools = IndexMap::from([("imager".to_string(), self.check_imager(StartColumn::Data, context)?)]);
        let measurement_set = self.working_set(context, |_| Ok(()))?;
        Ok(Prepared {
            measurement_set,
            summary: MsSummary::default(),
            facts: IndexMap::new(),
            tools,
            column: StartColumn::Data,
            model_wanted: false,
        })
    }

    /// Prepares measurement sets that CASA can read.
    pub(super) fn prepare_read(&mut self, context: &StepContext) -> Result<Prepared> {
        let start = self.plan.start_column;
        let copied = self.plan.copies(&self.set.path);
        let calibrated = self.plan.calibrator != CalibratorKind::None;
        let casa = self.casa_if_needed(context)?;
        let mut summary = self.checked_summary(casa.as_ref())?;
        if start == StartColumn::CorrectedData && !copied && calibrated {
            return Err(Error::bad_input(
                "start_column: CORRECTED_DATA needs work_on: copy, as each round writes its own CORRECTED_DATA",
            ));
        }
        self.check_room(&summary, copied, &context.folder)?;
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
        let measurement_set = self.working_set(context, |copy| match (start, &casa) {
            (StartColumn::CorrectedData, Some(casa)) if calibrated => measurement_set::adopt_corrected(casa, copy),
            _ => Ok(()),
        })?;
        if let Some(casa) = &casa {
            summary.theoretical_noise = self.theoretical_noise(casa, &summary, context);
        }
        let facts = facts(&summary);
        // A copy that is calibrated starts from corrected data as its DATA.
        let column = if copied && calibrated { StartColumn::Data } else { start };
        Ok(Prepared { measurement_set, summary, facts, tools, column, model_wanted: calibrated })
    }

    /// CASA; `None` where it is absent and only the report is the poorer for it.
    fn casa_if_needed(&mut self, context: &StepContext) -> Result<Option<Casa>> {
        match self.casa() {
            Ok(casa) => Ok(Some(casa)),
            Err(e) if !self.needs_casa() => {
                let text = format!("going on without CASA, so the report says less of the data ({e})");
                (context.progress)(Progress::Message(text));
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Summary of the measurement set, which must have the column that is imaged first.
    fn checked_summary(&self, casa: Option<&Casa>) -> Result<MsSummary> {
        let (source, start) = (&self.set.path, self.plan.start_column);
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
    fn theoretical_noise(&self, casa: &Casa, summary: &MsSummary, context: &StepContext) -> Option<TheoreticalNoise> {
        let imaging = &self.plan.rounds_to_run()[0].imaging;
        let one_field = summary.fields.iter().filter(|f| f.observed).count() < 2;
        // wsclean images the first field; tclean's selection may name several.
        let field = (matches!(imaging, ImagerOptions::Wsclean(_)) && !one_field).then_some(0);
        match TheoreticalNoise::measure(casa, &self.set.path, self.plan.start_column.name(), field) {
            Ok(noise) => Some(noise),
            Err(e) => {
                let text = format!("the theoretical noise cannot be told from the weights ({e})");
                (context.progress)(Progress::Message(text));
                None
            }
        }
    }

    fn check_room(&self, summary: &MsSummary, copied: bool, folder: &Path) -> Result<()> {
        let data = summary.disk_needed(disk::size_of(&self.set.path), copied);
        let rounds = self.plan.rounds_to_run();
        let images = rounds[0].imaging.pixels() * PIXEL_BYTES * IMAGES_A_ROUND * rounds.len() as u64;
        let what = if copied { "a copy of the data, two columns and the images" } else { "two columns and the images" };
        Ok(disk::check_room(folder, data + images, what, LESS_ROOM)?)
    }

    /// The imager's name and version, when it accepts the options of the first round.
    fn check_imager(&mut self, column: StartColumn, context: &StepContext) -> Result<String> {
        let mut job = self.job(column.name(), context);
        job.measurement_sets = vec![self.set.path.clone()];
        let imaging = self.plan.rounds_to_run()[0].imaging.clone();
        let mut imager = self.imager(&imaging, job, context)?;
        let checked = imager.setup();
        let program = imager.capabilities().program;
        imager.teardown();
        checked.map(|()| program)
    }

    /// The measurement set to work on: the original, or a copy on which `finish` has done its part.
    fn working_set(&self, context: &StepContext, finish: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let source = &self.set.path;
        if !self.plan.copies(source) {
            return Ok(source.clone());
        }
        let target = context.folder.join(format!("{}.ms", self.set.name));
        let unfinished = context.folder.join(format!(".{}.ms.part", self.set.name));
        fs::remove(&unfinished)?;
        fs::remove(&target)?;
        let failed =
            |e| Error::internal(format!("{}: cannot be copied to {}: {e}", source.display(), target.display()));
        measurement_set::copy(source, &unfinished).map_err(failed)?;
        finish(&unfinished)?;
        std::fs::rename(&unfinished, &target).map_err(Error::internal)?;
        Ok(target)
    }

    /// Something of the plan is done by CASA.
    fn needs_casa(&self) -> bool {
        let images = self.plan.rounds_to_run().iter().any(|r| r.imaging.needs_casa());
        self.plan.calibrator != CalibratorKind::None || images
    }
}

/// Facts about a measurement set for the report, label to text.
fn facts(s: &MsSummary) -> IndexMap<String, String> {
    if s.spectral_windows.is_empty() {
        return IndexMap::new();
    }
    let frequencies: Vec<f64> = s.spectral_windows.iter().flat_map(|w| w.frequencies_hz.iter().copied()).collect();
    let low = frequencies.iter().copied().fold(f64::INFINITY, f64::min) / 1e6;
    let high = frequencies.iter().copied().fold(0.0, f64::max) / 1e6;
    let observed = s.antennas.iter().filter(|a| a.has_data).count();
    let fields: Vec<&str> = s.fields.iter().filter(|f| f.observed).map(|f| f.name.as_str()).collect();
    let pairs = [
        ("telescope", s.telescope.clone()),
        ("field", fields.join(", ")),
        ("antennas", format!("{observed}")),
        ("baselines", format!("{:.0} m to {:.0} m", s.shortest_baseline_m, s.longest_baseline_m)),
        ("frequencies", format!("{low:.3} to {high:.3} MHz, {} channels", frequencies.len())),
        ("time", format!("{:.0} s in {} integrations of {:.1} s", s.duration_s(), s.integrations, s.integration_s)),
        ("rows", format!("{}", s.rows)),
        ("unflagged", format!("{:.1} %", 100.0 * s.unflagged_fraction)),
    ];
    let noise = s.theoretical_noise.as_ref().and_then(noise_words).map(|words| ("theoretical noise", words));
    pairs.into_iter().chain(noise).map(|(k, v)| (k.to_string(), v)).collect()
}

/// The theoretical noise and where it comes from.
fn noise_words(noise: &TheoreticalNoise) -> Option<String> {
    let origin = if noise.is_measured() {
        "the weights are not in Jy, so it comes from the scatter of the visibilities"
    } else {
        "from the weights, which fit the scatter of the visibilities"
    };
    let (jy, prefix) = match noise.jy()? {
        jy if jy >= 1.0 => (jy, ""),
        jy if jy >= 1e-3 => (jy * 1e3, "m"),
        jy => (jy * 1e6, "µ"),
    };
    Some(format!("{jy:.3} {prefix}Jy/beam with natural weighting ({origin})"))
}
