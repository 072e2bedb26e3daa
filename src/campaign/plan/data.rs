//! The data of a plan, looked at before anything runs.

use super::{MeasurementSetPlan, Plan, TargetPlan};
use crate::campaign::file::{CalibratorKind, ImagerKind, StartColumn};
use crate::measurement_set::inspection::{self, MsFacts, Purpose};
use crate::measurement_set::{self, windows_of};
use crate::programs::casa::Casa;
use crate::programs::dp3::Dp3;
use crate::util::disk;
use crate::{Error, Result};

/// Measurement sets up to this size, bytes, are read as a whole when a plan is checked; of larger ones flags and weights
/// alone. A run reads them as a whole in any case.
const READ_WHOLE: u64 = 4_000_000_000;

/// What to do where several fields might be meant.
pub(crate) const NAME_A_FIELD: &str =
    ". Name one with `campaign: field` (name or number), or image each by itself with `field: each`";

impl Plan {
    /// Someone must read the measurement sets. An imager that is a command and no calibration know their data themselves.
    pub(crate) fn reads_data(&self) -> bool {
        self.imager != ImagerKind::Command
            || self.calibrator != CalibratorKind::None
            || self.start_column == StartColumn::CorrectedData
    }

    /// Something of the plan is done by CASA.
    pub(crate) fn needs_casa(&self) -> bool {
        let parts = self.targets.iter().flat_map(|target| &target.members).any(|set| self.selects(set));
        self.calibrator != CalibratorKind::None || parts || self.rounds_to_run().iter().any(|r| r.imaging.needs_casa())
    }

    /// Options of imager or calibrator choose fields themselves.
    pub(crate) fn chooses_fields(&self) -> bool {
        let rounds = self.rounds_to_run();
        let mut solves = rounds.iter().filter_map(|r| r.calibration.as_ref()).flat_map(|c| &c.chain);
        rounds.iter().any(|r| r.imaging.chooses_fields()) || solves.any(|o| !o.field.is_empty())
    }

    /// What one of a target's measurement sets is used for.
    pub(crate) fn purpose(&self, target: &TargetPlan, set: &MeasurementSetPlan, facts: &MsFacts) -> Purpose {
        let calibrates = self.calibrator != CalibratorKind::None;
        let fields = facts.as_fields();
        // A field that does not exist, or is not clear, is said where it is chosen.
        let field = match &set.field {
            Some(name) => measurement_set::field_named(&fields, name).ok(),
            None => measurement_set::target_field(&fields).ok().flatten(),
        };
        let windows: Vec<usize> = windows_of(&self.spw).unwrap_or_default().into_iter().map(|(w, _)| w).collect();
        Purpose {
            calibrates,
            casa: self.needs_casa(),
            stokes_i: self.rounds_to_run().iter().any(|round| round.imaging.wants_both_hands()),
            written: calibrates && !self.copies(target),
            decompresses: self.may_decompress(target) && Dp3::find().is_some(),
            fields: field.map(|field| vec![field]),
            windows: Some(windows).filter(|windows| !windows.is_empty()),
        }
    }

    /// Looks into all measurement sets; returns notes on them.
    ///
    /// # Errors
    /// Everything that is wrong with any of them so that it cannot be worked with.
    pub fn check_data(&self) -> Result<Vec<String>> {
        self.check_data_of(&|_| true)
    }

    /// The same for some of the targets.
    ///
    /// # Errors
    /// As [`Self::check_data`].
    pub(crate) fn check_data_of(&self, wanted: &dyn Fn(&TargetPlan) -> bool) -> Result<Vec<String>> {
        // Data of a final imaging were looked into by its campaign, or are not made yet.
        if !self.reads_data() || self.final_of.is_some() {
            return Ok(Vec::new());
        }
        // The plan can be looked at where CASA is not installed.
        let unseen = |error: &Error| format!("the measurement sets were not looked at ({error})");
        let casa = match Casa::open(&self.executables.casa, None) {
            Ok(casa) => casa,
            Err(error) => return Ok(vec![unseen(&error)]),
        };
        let (mut notes, mut refused) = (Vec::new(), Vec::new());
        for target in self.targets.iter().filter(|target| wanted(target)) {
            for set in &target.members {
                let whole = disk::size_of(&set.path) <= READ_WHOLE;
                let found = inspection::inspect(&casa, &set.path, Some(self.start_column.name()), whole);
                let checked = found.and_then(|inspection| {
                    self.check_field(set, &inspection.facts)?;
                    inspection.check(&self.purpose(target, set, &inspection.facts))
                });
                match checked {
                    Ok(problems) => notes.extend(problems.iter().map(|p| format!("{}: {p}", set.path.display()))),
                    Err(Error::BadInput(error)) => refused.push(error.to_string()),
                    Err(Error::Interrupted) => return Err(Error::Interrupted),
                    Err(error) => return Ok(vec![unseen(&error)]),
                }
            }
        }
        if refused.is_empty() { Ok(notes) } else { Err(Error::bad_input(refused.join("\n"))) }
    }

    /// The field to image is named, or there is but one.
    fn check_field(&self, set: &MeasurementSetPlan, facts: &MsFacts) -> Result<()> {
        if set.field.is_some() || self.chooses_fields() || facts.foreign_manager.is_some() {
            return Ok(());
        }
        let unclear = |why| Error::bad_input(format!("{}: {why}{NAME_A_FIELD}", set.path.display()));
        measurement_set::target_field(&facts.as_fields()).map(drop).map_err(unclear)
    }
}
