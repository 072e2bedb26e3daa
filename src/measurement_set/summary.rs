//! The facts about a measurement set, and the worker's operations on whole columns.

use crate::Result;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::{
    AdoptCorrected, Checksum, CopyColumn, ModelIsEmpty, ReadPointing, ShiftPhaseCentre, ShortBaselineFlux, Summary,
};
use std::path::Path;

pub use crate::programs::casa::requests::{Antenna, Field, MsSummary, Pointing, SpectralWindow};

impl MsSummary {
    /// Reads the facts with CASA.
    ///
    /// # Errors
    /// No such measurement set, one that cannot be read or has no rows, another kind of folder; CASA is not set up.
    pub fn read(casa: &Casa, measurement_set: &Path) -> Result<Self> {
        casa.ask(&Summary { ms: measurement_set.to_path_buf() }, None)
    }

    /// The columns of visibilities alone, from the table description; no program is needed.
    pub fn of_files(measurement_set: &Path) -> Self {
        let there = |c: &&str| super::has_column(measurement_set, c) == Some(true);
        let columns = ["DATA", "MODEL_DATA", "CORRECTED_DATA"].iter().filter(|c| there(c));
        Self { columns: columns.map(|c| (*c).to_owned()).collect(), ..Self::default() }
    }

    /// Whether there is a column of that name.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|c| c == name)
    }

    /// Number of antennas with data.
    pub(crate) fn antennas_with_data(&self) -> usize {
        self.antennas.iter().filter(|antenna| antenna.has_data).count()
    }

    /// Length from the first to the last integration, s.
    pub fn duration_s(&self) -> f64 {
        self.time_end_s - self.time_start_s
    }

    /// Disk that a campaign needs for the visibilities, bytes: `MODEL_DATA` and `CORRECTED_DATA` where they are not yet
    /// there, and the copy of `size` bytes where one is made.
    pub fn disk_needed(&self, size: u64, copied: bool) -> u64 {
        let missing = ["MODEL_DATA", "CORRECTED_DATA"].iter().filter(|c| !self.has_column(c)).count() as u64;
        missing * self.column_bytes + if copied { size } else { 0 }
    }
}

impl Pointing {
    /// Reads it with CASA.
    ///
    /// # Errors
    /// No such measurement set, one that cannot be read; CASA is not set up.
    pub fn read(casa: &Casa, measurement_set: &Path) -> Result<Self> {
        casa.ask(&ReadPointing { ms: measurement_set.to_path_buf() }, None)
    }

    /// Full width at half maximum of the primary beam at the highest frequency, degrees: 1.22 λ/D; `None`: the dish or the
    /// frequency is unknown.
    pub fn primary_beam_deg(&self) -> Option<f64> {
        const LIGHT_M_S: f64 = 299_792_458.0;
        let known = self.dish_m > 0.0 && self.highest_hz > 0.0;
        known.then(|| (1.22 * LIGHT_M_S / self.highest_hz / self.dish_m).to_degrees())
    }
}

/// Whether `MODEL_DATA` is zero everywhere.
///
/// # Errors
/// The column is missing; CASA's failure.
pub fn model_is_empty(casa: &Casa, measurement_set: &Path) -> Result<bool> {
    casa.ask(&ModelIsEmpty { ms: measurement_set.to_path_buf() }, None)
}

/// Flux that the shortest baselines see in `DATA`, Jy: the median amplitude of their parallel hands, whatever the phases are.
///
/// # Errors
/// No unflagged data on them; CASA's failure.
pub fn short_baseline_flux(casa: &Casa, measurement_set: &Path) -> Result<f64> {
    casa.ask(&ShortBaselineFlux { ms: measurement_set.to_path_buf() }, None)
}

/// SHA-256 of a column's values, in hexadecimal digits; the same for a copy of the measurement set.
///
/// # Errors
/// The column is missing; CASA's failure.
pub fn checksum(casa: &Casa, measurement_set: &Path, column: &str) -> Result<String> {
    casa.ask(&Checksum { ms: measurement_set.to_path_buf(), column: column.to_owned() }, None)
}

/// Copies a column of visibilities to another, which is added where it is missing.
///
/// # Errors
/// No such column; CASA's failure.
pub fn copy_column(casa: &Casa, measurement_set: &Path, source: &str, target: &str) -> Result<()> {
    let ms = measurement_set.to_path_buf();
    casa.ask(&CopyColumn { ms, source: source.to_owned(), target: target.to_owned() }, None)
}

/// Gives a working copy the phase centre of another measurement set's first field that was observed: the phases of `DATA`,
/// the baselines and the field's direction follow, and the other columns of visibilities go. Only ever call it on a copy.
///
/// # Errors
/// CASA's failure.
pub fn shift_phase_centre(casa: &Casa, working_copy: &Path, like: &Path) -> Result<()> {
    casa.ask(&ShiftPhaseCentre { ms: working_copy.to_path_buf(), like: like.to_path_buf() }, None)
}

/// Makes `CORRECTED_DATA` the `DATA` of a working copy, for a campaign that starts from data calibrated before.
/// Only ever call it on a copy: a column `DATA` is written here and in [`shift_phase_centre`] alone.
///
/// # Errors
/// CASA's failure, or no such column.
pub fn adopt_corrected(casa: &Casa, working_copy: &Path) -> Result<()> {
    casa.ask(&AdoptCorrected { ms: working_copy.to_path_buf() }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_counts_missing_columns_and_the_copy() {
        let mut summary = MsSummary { columns: vec!["DATA".into()], column_bytes: 100, ..Default::default() };
        assert_eq!(summary.disk_needed(250, true), 450);
        summary.columns.push("MODEL_DATA".into());
        assert_eq!(summary.disk_needed(250, false), 100);
    }
}
