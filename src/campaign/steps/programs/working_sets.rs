//! The measurement sets that are worked on: the user's own, or copies of the part of the data that is wanted.

use super::Programs;
use crate::campaign::file::WorkOn;
use crate::campaign::plan::{MeasurementSetPlan, NAME_A_FIELD};
use crate::campaign::steps::{PreparedSet, StepContext};
use crate::image::SkyPosition;
use crate::measurement_set::inspection;
use crate::measurement_set::{self, DataPart, Field, MsSummary, windows_of};
use crate::programs::casa::Casa;
use crate::util::{disk, fs};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Averaging that takes a larger part of the flux of a source at the image's edge is said: a few per cent, the accuracy of
/// flux scales.
const SMEARING_SAID: f64 = 0.03;

/// End of the names of decompressed measurement sets, which become working copies.
pub(super) const PLAIN_END: &str = ".ms.plain";

/// A measurement set of the user's, and what of it is wanted.
pub(super) struct Source {
    set: MeasurementSetPlan,
    summary: MsSummary,
    pub(super) part: DataPart,
}

/// How working copies are made.
pub(super) struct Making<'a> {
    /// `None`: it is not there, and nothing needs it.
    pub(super) casa: Option<&'a Casa>,
    /// There are copies.
    pub(super) copied: bool,
    /// Their `DATA` are the original's `CORRECTED_DATA`.
    pub(super) adopts: bool,
    /// Unflagged data that are no numbers are flagged in them.
    pub(super) not_finite: bool,
}

impl Source {
    /// All of a measurement set that nobody looks into.
    pub(super) fn unread(set: MeasurementSetPlan) -> Self {
        Self { set, summary: MsSummary::default(), part: DataPart::default() }
    }

    /// The phase centre of the field that is wanted; `None`: there are several.
    pub(super) fn centre(&self) -> Option<SkyPosition> {
        let wanted = |(number, field): &(usize, &Field)| self.part.field.map_or(field.observed, |f| f == *number);
        let mut fields = self.summary.fields.iter().enumerate().filter(wanted);
        let (_, only) = fields.next().filter(|_| fields.next().is_none())?;
        Some(SkyPosition { lon_deg: only.ra_deg, lat_deg: only.dec_deg })
    }

    /// Disk for two columns, and for the part that is copied, bytes.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // An estimate.
    pub(super) fn disk_needed(&self, copied: bool) -> u64 {
        let whole = self.summary.disk_needed(disk::size_of(&self.set.path), copied);
        if self.part.is_all() { whole } else { (whole as f64 * self.part.share(&self.summary)) as u64 }
    }
}

impl Programs<'_> {
    /// The target's measurement sets, which must have the column that is imaged first.
    pub(super) fn sources(&self, casa: Option<&Casa>) -> Result<Vec<Source>> {
        let read = |set: &MeasurementSetPlan| {
            let summary = self.checked_summary(&set.path, casa)?;
            let part = self.part(set, &summary)?;
            Ok(Source { set: set.clone(), summary, part })
        };
        self.target.members.iter().map(read).collect()
    }

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

    /// The part that the plan asks for, or the only target of several fields.
    fn part(&self, set: &MeasurementSetPlan, summary: &MsSummary) -> Result<DataPart> {
        let wrong = |why: String, remedy: &str| Error::bad_input(format!("{}: {why}{remedy}", set.path.display()));
        let field = match &set.field {
            Some(name) => Some(summary.field_named(name).map_err(|why| wrong(why, ""))?),
            None if self.plan.chooses_fields() => None,
            None => summary.target_field().map_err(|why| wrong(why, NAME_A_FIELD))?,
        };
        let mut windows = windows_of(&self.plan.spw).map_err(|why| wrong(why, ""))?;
        summary.check_windows(&windows).map_err(|why| wrong(why, ". Name others with `campaign: spw`"))?;
        if windows.is_empty() && (field.is_some() || self.plan.copies(&self.target)) && !self.plan.chooses_fields() {
            // wsclean 3.1 writes a model of zeros where the first window has no rows.
            windows = summary.windows_with_data(field);
        }
        for (window, channels) in &mut windows {
            let last = summary.spectral_windows[*window].frequencies_hz.len().saturating_sub(1);
            channels.get_or_insert((0, last));
        }
        let average = &self.plan.average;
        let time_s = average.time.map(|bin| bin.0.as_secs_f64()).filter(|bin| *bin > summary.integration_s);
        let part = DataPart { field, windows, time_s, channels: average.channels };
        if !part.is_all() && self.plan.work_on == WorkOn::Original {
            let field = part.field.and_then(|number| summary.fields.get(number)).map(|f| f.name.as_str());
            return Err(wrong(
                format!("it holds several fields, of which {} would be imaged", field.unwrap_or("one")),
                ". That needs a copy: leave out `work_on: original`",
            ));
        }
        Ok(part)
    }

    /// What people should know of the averaging.
    pub(super) fn warnings_of(&self, source: &Source, how: &Making<'_>) -> Result<Vec<String>> {
        let Source { set, summary, part } = source;
        let mut warnings = Vec::new();
        let Some(casa) = how.casa else { return Ok(warnings) };
        if let Some(bin) = self.plan.average.time.filter(|_| part.time_s.is_none()) {
            warnings.push(format!(
                "`average: time` is {bin}, but the times of {} are {:.3} s apart: they are left as they are",
                set.name, summary.integration_s
            ));
        }
        for (window, count) in part.left_out(summary) {
            warnings.push(format!(
                "averaging leaves out the last {count} channel(s) of window {window} of {}, which do not fill a bin of {}",
                set.name, part.channels
            ));
        }
        let radius = self.plan.rounds_to_run().iter().filter_map(|r| r.imaging.half_width_rad()).fold(0.0, f64::max);
        let lost = part.smearing(casa, &set.path, summary, radius)?;
        if lost > SMEARING_SAID {
            warnings.push(format!(
                "averaging smears sources of {} at the edge of the image, {:.1} arcmin from its centre: they lose {:.0} % \
                 of their peak. Average less (`campaign: average`), or make the image smaller",
                set.name,
                radius.to_degrees() * 60.0,
                100.0 * lost
            ));
        }
        Ok(warnings)
    }

    /// The measurement set to work on: the original, or a copy of the part that is wanted.
    pub(super) fn working_set(&self, source: Source, how: &Making<'_>, context: &StepContext) -> Result<PreparedSet> {
        let Source { set, mut summary, part } = source;
        let path = if how.copied { self.copy_of(&set, &part, how, context)? } else { set.path };
        if let Some(casa) = how.casa.filter(|_| !part.is_all()) {
            summary = MsSummary::read(casa, &path)?;
        }
        Ok(PreparedSet { name: set.name, path, summary, part })
    }

    /// The working copy, which appears by rename once it is whole.
    fn copy_of(
        &self,
        set: &MeasurementSetPlan,
        part: &DataPart,
        how: &Making<'_>,
        context: &StepContext,
    ) -> Result<PathBuf> {
        let start = self.plan.start_column.name();
        let target = context.folder.join(format!("{}.ms", set.name));
        let unfinished = context.folder.join(format!(".{}.ms.part", set.name));
        fs::remove(&unfinished)?;
        fs::remove(&target)?;
        // Compressed columns would take weights for whole blocks of rows only: mstransform writes plain ones.
        match how.casa.filter(|_| !part.is_all() || measurement_set::is_compressed(&set.path)) {
            Some(casa) if how.not_finite => {
                // They would make whole bins of averages no numbers.
                let whole = context.folder.join(format!(".{}.ms.whole", set.name));
                fs::remove(&whole)?;
                self.copy_whole(&set.path, &whole, how)?;
                part.copy(casa, &whole, start, &unfinished, &context.log)?;
                fs::remove(&whole)?;
            }
            Some(casa) => part.copy(casa, &set.path, start, &unfinished, &context.log)?,
            None => {
                self.copy_whole(&set.path, &unfinished, how)?;
                if let Some(casa) = how.casa.filter(|_| how.adopts) {
                    measurement_set::adopt_corrected(casa, &unfinished)?;
                }
            }
        }
        std::fs::rename(&unfinished, &target).map_err(Error::internal)?;
        Ok(target)
    }

    fn copy_whole(&self, from: &Path, to: &Path, how: &Making<'_>) -> Result<()> {
        let failed = |e| Error::internal(format!("{}: cannot be copied to {}: {e}", from.display(), to.display()));
        // Decompressed data were written for this.
        let is_ours = from.parent() == to.parent() && from.to_string_lossy().ends_with(PLAIN_END);
        let copied = if is_ours { std::fs::rename(from, to) } else { measurement_set::copy(from, to) };
        copied.map_err(failed)?;
        if let Some(casa) = how.casa.filter(|_| how.not_finite) {
            inspection::flag_not_finite(casa, to, self.plan.start_column.name())?;
        }
        Ok(())
    }
}
