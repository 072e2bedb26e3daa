//! Before the first round: programs, options, data and disk are checked, and the working copies are made.

use super::working_sets::{Making, PLAIN_END, Source};
use super::{Programs, facts};
use crate::campaign::file::{CalibratorKind, StartColumn};
use crate::campaign::steps::{Prepared, PreparedSet, StepContext};
use crate::imager::ImagerOptions;
use crate::imager::progress::Progress;
use crate::measurement_set::inspection::{self, Fault};
use crate::measurement_set::{self, TheoreticalNoise};
use crate::programs::casa::Casa;
use crate::programs::dp3::Dp3;
use crate::util::{disk, fs};
use crate::{Error, Result};
use indexmap::IndexMap;
use std::path::Path;

/// Bytes of a pixel of a FITS image.
const PIXEL_BYTES: u64 = 4;
/// Full-size images that a round leaves behind: image, residual, model, psf, dirty, mask, and the imager's own.
const IMAGES_A_ROUND: u64 = 12;
/// Dysco takes 10 to 12 bits a number where plain columns take 32, and weights for each visibility.
const DYSCO_RATIO: u64 = 5;
/// Remedy for a disk that is too small.
const LESS_ROOM: &str = "choose another output, or use `work_on: original`";

impl Programs<'_> {
    /// Prepares without looking into the measurement sets.
    pub(super) fn prepare_unread(&mut self, context: &StepContext) -> Result<Prepared> {
        let copied = self.plan.copies(&self.target);
        let size = if copied { self.size() } else { 0 };
        disk::check_room(&context.folder, size, "a copy of the data", LESS_ROOM)?;
        let tools = IndexMap::from([("imager".to_string(), self.check_imager(StartColumn::Data, context)?)]);
        let how = Making { casa: None, copied, adopts: false, not_finite: false };
        let sources = self.target.members.iter().map(|set| Source::unread(set.clone()));
        Ok(Prepared {
            sets: sources.map(|source| self.working_set(source, &how, context)).collect::<Result<_>>()?,
            facts: IndexMap::new(),
            tools,
            column: StartColumn::Data,
            model_wanted: false,
            warnings: Vec::new(),
        })
    }

    /// Prepares measurement sets that are looked into; those that CASA cannot read are decompressed first.
    pub(super) fn prepare_read(&mut self, context: &StepContext) -> Result<Prepared> {
        let Some(casa) = self.casa_if_needed(context)? else { return self.prepare_plain(None, context) };
        if !self.target.members.iter().any(|set| measurement_set::is_foreign(&casa, &set.path)) {
            return self.prepare_plain(Some(casa), context);
        }
        self.inspect(&casa, context)?;
        let original = self.target.clone();
        let prepared = self.decompress(&casa, context).and_then(|()| self.prepare_plain(Some(casa), context));
        let plain = std::mem::replace(&mut self.target, original).paths();
        for left in plain.iter().filter(|path| path.starts_with(&context.folder)) {
            fs::remove(left)?;
        }
        prepared
    }

    /// Puts decompressed measurement sets, in the context's folder, in the place of those that CASA cannot read.
    fn decompress(&mut self, casa: &Casa, context: &StepContext) -> Result<()> {
        let threads = self.share.threads;
        for set in self.target.members.iter_mut().filter(|set| measurement_set::is_foreign(casa, &set.path)) {
            // It was there when the data were looked into.
            let Some(dp3) = Dp3::find() else { return Err(Error::external("DP3 has gone: run `cleanloop setup dp3`")) };
            let plain = context.folder.join(format!(".{}{PLAIN_END}", set.name));
            let needed = DYSCO_RATIO * disk::size_of(&set.path);
            disk::check_room(&context.folder, needed, "decompressed data", LESS_ROOM)?;
            fs::remove(&plain)?;
            (context.progress)(Progress::Message(format!("{}: DP3 decompresses it", set.name)));
            measurement_set::decompress(&dp3, &set.path, &plain, threads, &context.log)?;
            set.path = plain;
        }
        Ok(())
    }

    /// Prepares measurement sets that CASA can read.
    fn prepare_plain(&mut self, casa: Option<Casa>, context: &StepContext) -> Result<Prepared> {
        let start = self.plan.start_column;
        let calibrated = self.plan.calibrator != CalibratorKind::None;
        let not_finite = casa.as_ref().map_or(Ok(false), |casa| self.inspect(casa, context))?;
        let sources = self.sources(casa.as_ref())?;
        let parts = sources.iter().any(|source| !source.part.is_all());
        let copied = self.plan.copies(&self.target) || parts || self.must_be_shifted(&sources);
        if start == StartColumn::CorrectedData && !copied && calibrated {
            return Err(Error::bad_input(
                "start_column: CORRECTED_DATA needs work_on: copy, as each round writes its own CORRECTED_DATA",
            ));
        }
        self.check_room(&sources, copied, &context.folder)?;
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
        // A copy that is calibrated starts from corrected data as its DATA; a part of the data has them there in any case.
        let moved = copied && (calibrated || parts);
        let column = if moved { StartColumn::Data } else { start };
        let how =
            Making { casa: casa.as_ref(), copied, adopts: moved && start == StartColumn::CorrectedData, not_finite };
        let (mut warnings, mut sets) = (Vec::new(), Vec::new());
        for source in sources {
            warnings.extend(self.warnings_of(&source, &how)?);
            let mut set = self.working_set(source, &how, context)?;
            if let Some(casa) = &casa {
                set.summary.theoretical_noise = self.theoretical_noise(casa, &set, column, context);
            }
            sets.push(set);
        }
        if let Some(casa) = &casa {
            warnings.extend(self.make_one_centre(casa, &sets, copied)?);
        }
        warnings.extend(facts::weight_scales(&sets));
        let facts = facts::of_target(&sets);
        Ok(Prepared { sets, facts, tools, column, model_wanted: calibrated, warnings })
    }

    /// Looks into the measurement sets and says what should be known; returns whether unflagged data are no numbers.
    fn inspect(&self, casa: &Casa, context: &StepContext) -> Result<bool> {
        let mut not_finite = false;
        for set in &self.target.members {
            let inspection = inspection::inspect(casa, &set.path, Some(self.plan.start_column.name()), true)?;
            let purpose = self.plan.purpose(&self.target, set, &inspection.facts);
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

    /// The theoretical noise of the images; `None` where it cannot be told, which is no reason to give up.
    fn theoretical_noise(
        &self,
        casa: &Casa,
        set: &PreparedSet,
        column: StartColumn,
        context: &StepContext,
    ) -> Option<TheoreticalNoise> {
        let imaging = &self.plan.rounds_to_run()[0].imaging;
        let one_field = set.summary.fields.iter().filter(|f| f.observed).count() < 2;
        // wsclean images the first field; tclean's selection may name several.
        let field = (matches!(imaging, ImagerOptions::Wsclean(_)) && !one_field).then_some(0);
        match TheoreticalNoise::measure(casa, &set.path, column.name(), field) {
            Ok(noise) => Some(noise),
            Err(e) => {
                let text = format!("the theoretical noise cannot be told from the weights ({e})");
                (context.progress)(Progress::Message(text));
                None
            }
        }
    }

    fn check_room(&self, sources: &[Source], copied: bool, folder: &Path) -> Result<()> {
        let data: u64 = sources.iter().map(|source| source.disk_needed(copied)).sum();
        let rounds = self.plan.rounds_to_run();
        let images = rounds[0].imaging.pixels() * PIXEL_BYTES * IMAGES_A_ROUND * rounds.len() as u64;
        let what = if copied { "a copy of the data, two columns and the images" } else { "two columns and the images" };
        Ok(disk::check_room(folder, data + images, what, LESS_ROOM)?)
    }

    /// The imager's name and version, when it accepts the options of the first round.
    pub(super) fn check_imager(&mut self, column: StartColumn, context: &StepContext) -> Result<String> {
        let mut job = self.job(column.name(), None, context);
        job.measurement_sets = self.target.paths();
        let imaging = self.imaging_of(&self.plan.rounds_to_run()[0])?;
        let mut imager = self.imager(&imaging, job, context)?;
        let checked = imager.setup();
        let program = imager.capabilities().program;
        imager.teardown();
        checked.map(|()| program)
    }
}
