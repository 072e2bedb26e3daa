//! What is in a measurement set.

use crate::Result;
use crate::programs::casa::Casa;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// What is in a measurement set, as far as campaigns need to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MsSummary {
    /// Name of the telescope.
    pub telescope: String,
    /// Rows of the main table.
    pub rows: u64,
    /// Columns of the main table.
    pub columns: Vec<String>,
    /// Antennas in the order of the antenna table.
    pub antennas: Vec<Antenna>,
    /// Spectral windows.
    pub spectral_windows: Vec<SpectralWindow>,
    /// Correlation types (casacore's numbers: 5 RR, 8 LL, 9 XX, 12 YY ...).
    pub correlation_types: Vec<i32>,
    /// Fields.
    pub fields: Vec<Field>,
    /// Number of scans.
    pub scans: u64,
    /// Start of the first integration, modified Julian date in seconds (UTC).
    pub time_start_s: f64,
    /// End of the last integration, modified Julian date in seconds (UTC).
    pub time_end_s: f64,
    /// Number of distinct times.
    pub integrations: u64,
    /// Median integration time, s.
    pub integration_s: f64,
    /// Longest baseline, m.
    pub longest_baseline_m: f64,
    /// Shortest baseline, m.
    pub shortest_baseline_m: f64,
    /// Part of the visibilities (without autocorrelations) that is not flagged.
    pub unflagged_fraction: f64,
    /// The antenna nearest the centre of the array among those with most unflagged data; `None`: all is flagged.
    pub reference_antenna: Option<String>,
    /// Size of one column of complex visibilities, bytes.
    pub column_bytes: u64,
}

/// An antenna.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Antenna {
    /// Name.
    pub name: String,
    /// Geocentric position x, y, z, m.
    pub position_m: [f64; 3],
    /// Diameter, m.
    pub diameter_m: f64,
    /// Distance from the array's centre (the median position of the antennas with data), m.
    pub distance_m: f64,
    /// Part of its visibilities that is not flagged.
    pub unflagged_fraction: f64,
    /// Whether it has any visibilities, flagged or not.
    pub has_data: bool,
}

/// A spectral window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectralWindow {
    /// Name.
    pub name: String,
    /// Centre of each channel, Hz.
    pub frequencies_hz: Vec<f64>,
    /// Width of the first channel, Hz.
    pub channel_width_hz: f64,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Right ascension of the phase centre, degrees.
    pub ra_deg: f64,
    /// Declination of the phase centre, degrees.
    pub dec_deg: f64,
    /// Whether there are data of it.
    pub observed: bool,
}

impl MsSummary {
    /// Asks CASA.
    ///
    /// # Errors
    /// No such measurement set, one that is not one, cannot be read or has no rows; CASA is not set up.
    pub fn read(casa: &Casa, measurement_set: &Path) -> Result<Self> {
        casa.call("ms_summary", json!({"ms": measurement_set}), None)
    }

    /// What the table description says: which of the columns with visibilities there are.
    pub fn of_files(measurement_set: &Path) -> Self {
        let there = |c: &&str| super::has_column(measurement_set, c) == Some(true);
        let columns = ["DATA", "MODEL_DATA", "CORRECTED_DATA"].iter().filter(|c| there(c));
        Self { columns: columns.map(|c| (*c).to_owned()).collect(), ..Self::default() }
    }

    /// Whether there is a column of that name.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|c| c == name)
    }

    /// Whether the telescope's hands are circular (R, L) rather than linear (X, Y).
    pub fn is_circular(&self) -> bool {
        self.correlation_types.iter().any(|c| (5..=8).contains(c))
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

/// Whether `MODEL_DATA` is zero everywhere.
///
/// # Errors
/// The column is missing; CASA's failure.
pub fn model_is_empty(casa: &Casa, measurement_set: &Path) -> Result<bool> {
    casa.call("model_is_empty", json!({"ms": measurement_set}), None)
}

/// SHA-256 of a column's values, in hexadecimal digits; the same for a copy of the measurement set.
///
/// # Errors
/// The column is missing; CASA's failure.
pub fn checksum(casa: &Casa, measurement_set: &Path, column: &str) -> Result<String> {
    casa.call("checksum", json!({"ms": measurement_set, "column": column}), None)
}

/// Makes `CORRECTED_DATA` the `DATA` of a working copy, for a campaign that starts from data calibrated before.
/// Only ever call it on a copy: it is the one place where a column `DATA` is written.
///
/// # Errors
/// CASA's failure, or no such column.
pub fn adopt_corrected(casa: &Casa, working_copy: &Path) -> Result<()> {
    casa.call::<serde_json::Value>("adopt_corrected", json!({"ms": working_copy}), None).map(drop)
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
