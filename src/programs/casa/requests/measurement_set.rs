//! Measurement sets: their facts and their columns of visibilities.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Reads the facts about a measurement set.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// The measurement set.
    pub ms: PathBuf,
}

/// Reads where a measurement set points; its data are not looked at.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReadPointing {
    /// The measurement set.
    pub ms: PathBuf,
}

/// Whether `MODEL_DATA` is zero everywhere.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ModelIsEmpty {
    /// The measurement set.
    pub ms: PathBuf,
}

/// Flux that the shortest baselines see in `DATA`, Jy.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ShortBaselineFlux {
    /// The measurement set.
    pub ms: PathBuf,
}

/// Measures the theoretical noise of an image.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MeasureNoise {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column that is imaged.
    pub column: String,
    /// Number of the field that is imaged; `None`: all.
    pub field: Option<usize>,
}

/// SHA-256 of a column's values.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Checksum {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column.
    pub column: String,
}

/// Copies a column of visibilities.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CopyColumn {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column that is read.
    pub source: String,
    /// The column that is written, added where it is missing.
    pub target: String,
}

/// Makes `CORRECTED_DATA` the `DATA` of a working copy.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AdoptCorrected {
    /// The working copy.
    pub ms: PathBuf,
}

/// Copies a part of a measurement set, averaged; the column becomes `DATA`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Split {
    /// The measurement set.
    pub ms: PathBuf,
    /// The copy, which must not exist.
    pub output: PathBuf,
    /// The column that is read: `DATA` or `CORRECTED_DATA`.
    pub column: String,
    /// Numbers of the fields; none: all.
    pub fields: Vec<usize>,
    /// Windows and channels in CASA's words; empty: all.
    pub spw: String,
    /// Length of a bin in time, s; `None`: not averaged.
    pub time_s: Option<f64>,
    /// Channels of a bin.
    pub channels: usize,
}

/// Part of a point source's flux that averaging takes away at a distance from the phase centre.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Smearing {
    /// The measurement set.
    pub ms: PathBuf,
    /// Number of the field; `None`: all.
    pub field: Option<usize>,
    /// Distance from the phase centre, rad.
    pub radius_rad: f64,
    /// Frequency, Hz.
    pub frequency_hz: f64,
    /// Width of a bin in frequency, Hz.
    pub bandwidth_hz: f64,
    /// Length of a bin in time, s.
    pub time_s: f64,
}

/// Gives a working copy the phase centre of another measurement set.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ShiftPhaseCentre {
    /// The working copy.
    pub ms: PathBuf,
    /// The other one.
    pub like: PathBuf,
}

/// Keeps a column of visibilities in files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SaveColumn {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column.
    pub column: String,
    /// Folder of the files.
    pub folder: PathBuf,
}

/// Puts a column back that [`SaveColumn`] kept.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoadColumn {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column.
    pub column: String,
    /// Folder of the files.
    pub folder: PathBuf,
}

/// Copies a measurement set as one of four correlations and one spectral window, for programs that take nothing else: cross
/// hands that it lacks are 0 and not flagged, its windows come one after the other in the order of frequency.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FourCorrelations {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column that becomes `DATA`.
    pub column: String,
    /// The copy.
    pub output: PathBuf,
}

/// The facts about a measurement set that campaigns need.
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
    /// Integration time, s: the median spacing of a baseline's times within a scan; of `INTERVAL` where scans have one time.
    pub integration_s: f64,
    /// Longest baseline, m.
    pub longest_baseline_m: f64,
    /// Shortest baseline, m.
    pub shortest_baseline_m: f64,
    /// Distance in the uv plane below which baselines may be left out of a solve, m: a tenth of the visibilities is
    /// shorter, or a twentieth, so that each antenna keeps two thirds of its own; 0, as with fewer than 20 antennas: none
    /// may.
    #[serde(default)]
    pub short_baselines_m: f64,
    /// Part of the visibilities (without autocorrelations) that is not flagged.
    pub unflagged_fraction: f64,
    /// The antenna nearest the centre of the array among those with most unflagged data; `None`: all is flagged.
    pub reference_antenna: Option<String>,
    /// Size of one column of complex visibilities, bytes.
    pub column_bytes: u64,
    /// Theoretical noise of an image, where it was measured.
    #[serde(default)]
    pub theoretical_noise: Option<TheoreticalNoise>,
}

/// Where a measurement set points, and with which beam.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pointing {
    /// Fields.
    pub fields: Vec<Field>,
    /// Median diameter of the antennas, m; 0: unknown.
    pub dish_m: f64,
    /// The highest frequency, Hz: the primary beam is narrowest there.
    pub highest_hz: f64,
}

/// The theoretical noise of an image of Stokes I with natural weighting, from the weights of the unflagged data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TheoreticalNoise {
    /// The noise if the weights are in 1/Jy² (1 over the square of the noise of the real part of a visibility), Jy/beam: 1
    /// over the root of the sum of weights. `None`: nothing is unflagged, or no weight is positive.
    pub natural_jy: Option<f64>,
    /// Measured noise of a visibility over what its weight says, from second differences between neighbouring channels and
    /// neighbouring times; `None`: there are too few data.
    pub scatter: Option<f64>,
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Right ascension of the phase centre, degrees.
    pub ra_deg: f64,
    /// Declination of the phase centre, degrees.
    pub dec_deg: f64,
    /// Whether there are data of it.
    pub observed: bool,
    /// Rows of it.
    #[serde(default)]
    pub rows: u64,
    /// Numbers of the spectral windows that have data of it.
    #[serde(default)]
    pub windows: Vec<usize>,
    /// Part of its visibilities (without autocorrelations) that is not flagged.
    #[serde(default)]
    pub unflagged_fraction: f64,
    /// Intents of its scans (`OBSERVE_TARGET#ON_SOURCE`).
    #[serde(default)]
    pub intents: Vec<String>,
}
