//! Solving, applying, and the worth of solutions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A table of solutions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GainTable {
    /// The table.
    pub path: PathBuf,
    /// First and last channel that it is for; `None`: the whole band.
    pub channels: Option<(usize, usize)>,
    /// Spectral window of these channels.
    pub spectral_window: Option<usize>,
}

/// A table of solutions with the way in which it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AppliedTable {
    /// The table.
    pub path: PathBuf,
    /// First and last channel that it is for; `None`: the whole band.
    pub channels: Option<(usize, usize)>,
    /// Spectral window of these channels.
    pub spectral_window: Option<usize>,
    /// Interpolation.
    pub interp: String,
    /// Calibrate the weights, too.
    pub calwt: bool,
}

/// Parameters of gaincal under its own names; `None`: gaincal's default.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GaincalParameters {
    /// Solution interval.
    pub solint: String,
    /// Phases, amplitudes or both.
    pub calmode: String,
    /// Least signal-to-noise ratio of a solution.
    pub minsnr: f64,
    /// Kind of gain; `B` is solved by the task bandpass.
    pub gaintype: String,
    /// Normalise amplitudes.
    pub solnorm: bool,
    /// How amplitudes are normalised.
    pub normtype: String,
    /// How the reference antenna is kept.
    pub refantmode: String,
    /// Least number of baselines to an antenna.
    pub minblperant: u32,
    /// Boundaries that solutions may cross.
    pub combine: String,
    /// Robust solving.
    pub solmode: String,
    /// Whether the selections below apply.
    pub selectdata: bool,
    /// Spectral windows and channels.
    pub spw: String,
    /// Fields.
    pub field: String,
    /// Baselines.
    pub uvrange: Option<String>,
    /// Antennas.
    pub antenna: Option<String>,
    /// Times.
    pub timerange: Option<String>,
    /// Scans.
    pub scan: Option<String>,
}

/// Solves `DATA` against `MODEL_DATA`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Gaincal {
    /// The measurement set.
    pub ms: PathBuf,
    /// Folder of the tables.
    pub folder: PathBuf,
    /// Name of the table, or the start of the names.
    pub name: String,
    /// Reference antenna; `None`: the antenna with most unflagged data nearest the array's centre.
    pub refant: Option<String>,
    /// Number of equal channel ranges.
    pub nspw: usize,
    /// Tables that are applied before the solve.
    pub applied: Vec<AppliedTable>,
    /// With the norm `flux`: the last tables of one of several sets that are imaged together. `None`: it is alone.
    pub flux_of: Option<Vec<PathBuf>>,
    /// gaincal's own parameters.
    pub parameters: GaincalParameters,
}

/// Answer to [`Gaincal`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaincalAnswer {
    /// The tables in the order of application.
    pub tables: Vec<GainTable>,
    /// The reference antenna.
    pub refant: String,
    /// Number of channel ranges without data.
    pub missing: usize,
}

/// Applies tables from `DATA` to `CORRECTED_DATA`; without tables the column becomes a copy.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Applycal {
    /// The measurement set.
    pub ms: PathBuf,
    /// The tables.
    pub tables: Vec<AppliedTable>,
    /// Treatment of data that have no solution.
    pub applymode: String,
}

/// Applies tables of a copy to the data that it was made from; answers the windows that the tables say nothing about.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ApplyOnto {
    /// The measurement set.
    pub ms: PathBuf,
    /// Number of the field whose rows are written; `None`: all.
    pub field: Option<usize>,
    /// Number, first and last channel of each window of the copy, in its order; none: all.
    pub windows: Vec<(usize, usize, usize)>,
    /// Channels that were averaged.
    pub bin: usize,
    /// The tables.
    pub tables: Vec<AppliedTable>,
    /// Treatment of data that have no solution.
    pub applymode: String,
}

/// The spwmap of each table, for other data with the same windows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SpectralWindowMaps {
    /// The tables.
    pub tables: Vec<GainTable>,
}

/// Statistics of CASA's tables.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TableStatistics {
    /// The tables.
    pub tables: Vec<GainTable>,
}

/// Gives antennas identity gains: applied, the tables leave their data as they are.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct IdentityGains {
    /// The tables.
    pub tables: Vec<GainTable>,
    /// Names of the antennas.
    pub antennas: Vec<String>,
}

/// The gains of one solve of another calibrator.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GainTerm {
    /// The calibrator's names of its terms.
    pub names: Vec<String>,
    /// Solutions of a lower signal-to-noise ratio are flagged.
    pub minsnr: f64,
    /// `mean` or `median`: amplitudes are normalised by it; `None`: they are not.
    pub normalise: Option<String>,
}

/// Statistics of another calibrator's gains, measured on the data, for each solve.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GainStatistics {
    /// The measurement set.
    pub ms: PathBuf,
    /// The gains, arrays of numpy.
    pub gains: PathBuf,
    /// File for flags and scales, arrays of numpy.
    pub edits: PathBuf,
    /// The solves.
    pub terms: Vec<GainTerm>,
}
