//! What is in a measurement set, whatever state it is in.

use super::TheoreticalNoise;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Looks at a measurement set.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Inspect {
    /// The measurement set.
    pub ms: PathBuf,
    /// The column of visibilities; `None`: `DATA`, or else the first that is there.
    pub column: Option<String>,
    /// Read all visibilities; else they are taken to be finite, and only flags and weights are read.
    pub values: bool,
}

/// Flags unflagged visibilities of a working copy that, or whose weights, are no numbers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FlagNotFinite {
    /// The working copy.
    pub ms: PathBuf,
    /// The column of visibilities.
    pub column: String,
}

/// What is in a measurement set. Parts that cannot be read are named and empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MsFacts {
    /// Its folder and main table may be written.
    pub writable: bool,
    /// Rows of the main table.
    pub rows: u64,
    /// Columns of the main table.
    pub columns: Vec<ColumnFacts>,
    /// The column of visibilities that was looked at.
    pub column: String,
    /// Subtables that the definition of measurement sets asks for and that are absent.
    pub missing_subtables: Vec<String>,
    /// It has a subtable of baseline-dependent averaging.
    pub averaged_by_baseline: bool,
    /// Type of a storage manager that CASA does not have: nothing of the main table can be read then.
    pub foreign_manager: Option<String>,
    /// Parts that cannot be read.
    pub unreadable: Vec<UnreadablePart>,
    /// Name of the telescope; empty: unknown.
    pub telescope: String,
    /// Rows of `ANTENNA`, in their order.
    pub antennas: Vec<AntennaFacts>,
    /// Rows of `FIELD`, in their order.
    pub fields: Vec<FieldFacts>,
    /// Rows of `SPECTRAL_WINDOW`, in their order.
    pub windows: Vec<WindowFacts>,
    /// Correlations of all windows together.
    pub correlations: Vec<CorrelationFacts>,
    /// Visibilities of the whole set.
    pub visibilities: Tally,
    /// Each channel has a weight of its own.
    pub weight_spectrum: bool,
    /// Scans in the order of time.
    pub scans: Vec<ScanFacts>,
    /// Start of the first integration, modified Julian date in seconds (UTC).
    pub time_start_s: f64,
    /// End of the last integration, modified Julian date in seconds (UTC).
    pub time_end_s: f64,
    /// Number of distinct times.
    pub integrations: u64,
    /// Spacing of the times, s: the median of a baseline's within a scan; `interval_s` where scans have one time.
    pub spacing_s: f64,
    /// Median of the column `INTERVAL`, s.
    pub interval_s: f64,
    /// Pairs of two antennas.
    pub baselines: u64,
    /// Shortest baseline, m.
    pub shortest_baseline_m: f64,
    /// Longest baseline, m.
    pub longest_baseline_m: f64,
    /// Rows with a coordinate in `UVW` that is no number.
    pub uvw_not_finite: u64,
    /// Rows of two antennas with `UVW` 0.
    pub uvw_zero: u64,
    /// Shortest baseline in wavelengths of the lowest frequency.
    pub shortest_baseline_wavelengths: f64,
    /// Longest baseline in wavelengths of the highest frequency.
    pub longest_baseline_wavelengths: f64,
    /// Beam of all fields together; see [`FieldFacts::beam`].
    pub beam: Option<ExpectedBeam>,
    /// Noise of all fields together.
    pub noise: Option<TheoreticalNoise>,
}

/// A column and where its values are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnFacts {
    /// Name.
    pub name: String,
    /// Type of its storage manager, e.g. `TiledShapeStMan`.
    pub manager: String,
}

/// A part that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreadablePart {
    /// A column, `SUBTABLE/COLUMN`, or `the main table`.
    pub what: String,
    /// CASA's words.
    pub why: String,
}

/// Numbers of visibilities, without autocorrelations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// All.
    pub all: u64,
    /// Those that are not flagged.
    pub unflagged: u64,
    /// Of these, those that are finite and have a finite weight.
    pub finite: u64,
    /// Of these, those that have a positive weight.
    pub usable: u64,
}

impl Tally {
    /// Part that is flagged, 0 to 1; 1 where there are none.
    pub fn flagged(&self) -> f64 {
        if self.all == 0 { 1.0 } else { 1.0 - self.unflagged as f64 / self.all as f64 }
    }
}

/// An antenna; one without visibilities was not used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AntennaFacts {
    /// Name.
    pub name: String,
    /// Diameter, m; 0: unknown.
    pub diameter_m: f64,
    /// Visibilities of its baselines.
    pub visibilities: Tally,
}

/// A field; one without rows was not observed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldFacts {
    /// Name.
    pub name: String,
    /// Right ascension of the phase centre, degrees; `None`: unknown.
    pub ra_deg: Option<f64>,
    /// Declination of the phase centre, degrees.
    pub dec_deg: Option<f64>,
    /// Intents, e.g. `OBSERVE_TARGET#ON_SOURCE`.
    pub intents: Vec<String>,
    /// Rows of the main table.
    pub rows: u64,
    /// Number of distinct times.
    pub integrations: u64,
    /// Visibilities.
    pub visibilities: Tally,
    /// Beam of an image with natural weighting.
    pub beam: Option<ExpectedBeam>,
    /// Noise of an image with natural weighting.
    pub noise: Option<TheoreticalNoise>,
}

/// A spectral window; one without rows has no data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WindowFacts {
    /// Name.
    pub name: String,
    /// A row of `DATA_DESCRIPTION` names it.
    pub described: bool,
    /// Rows of the main table.
    pub rows: u64,
    /// Channels.
    pub channels: u64,
    /// Lower edge of the lowest channel, Hz.
    pub lowest_hz: f64,
    /// Upper edge of the highest channel, Hz.
    pub highest_hz: f64,
    /// Median width of a channel, Hz.
    pub channel_width_hz: f64,
    /// The first channel has the highest frequency.
    pub descending: bool,
    /// Correlations, e.g. `[XX, YY]`.
    pub correlations: Vec<String>,
    /// Shapes of the cells of the column, where there are several.
    pub shapes: Vec<String>,
    /// Visibilities.
    pub visibilities: Tally,
}

/// A correlation of all windows together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CorrelationFacts {
    /// Name, e.g. `XX`.
    pub name: String,
    /// Visibilities.
    pub visibilities: Tally,
}

/// A scan (that of one field, where a number has several).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScanFacts {
    /// Number.
    pub number: i64,
    /// Number of its field.
    pub field: i64,
    /// First time, modified Julian date in seconds (UTC).
    pub start_s: f64,
    /// Last time, modified Julian date in seconds (UTC).
    pub end_s: f64,
    /// Number of distinct times.
    pub integrations: u64,
}

/// The beam to expect with natural weighting: the Gaussian with the curvature of the point spread function at its centre,
/// from the second moments of the coverage in u and v, by weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectedBeam {
    /// Full width at half maximum of the major axis, arcsec.
    pub major_arcsec: f64,
    /// Full width at half maximum of the minor axis, arcsec.
    pub minor_arcsec: f64,
    /// Angle of the major axis from north through east, degrees.
    pub angle_deg: f64,
}
