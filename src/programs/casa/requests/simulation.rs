//! Simulated fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Makes `output/name.ms` of a preset with known sky and gains; numbers that are `None` come from the preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Simulate {
    /// Folder of the results.
    pub output: PathBuf,
    /// Name of the measurement set, without `.ms`.
    pub name: String,
    /// Name of the preset.
    pub preset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Scatter of the antennas' phases, degrees.
    pub phase_rms_deg: Option<f64>,
    /// Scatter of the antennas' amplitudes, relative.
    pub amplitude_rms: Option<f64>,
    /// Correlation time of the gains' drift, s.
    pub gain_time_s: Option<f64>,
    /// Scatter of the antennas' delays, ns; constant in time.
    pub delay_rms_ns: Option<f64>,
    /// Scatter of the antennas' constant phase between the two polarisations, degrees.
    pub hand_phase_deg: Option<f64>,
    /// Scatter of the antennas' constant phase of each spectral window after the first, degrees.
    pub window_phase_deg: Option<f64>,
    /// Whether every row has a random phase, which no gains of antennas can correct.
    pub random_phases: bool,
    /// Whether there are gain errors at all; without them sky and noise are the same.
    pub gain_errors: bool,
    /// Number of random point sources.
    pub sources: Option<u32>,
    /// Half the side of the square of sky, arcsec.
    pub field_arcsec: Option<f64>,
    /// Offset of a beam's phase centre east and north of the field's, arcsec.
    pub pointing_arcsec: Option<[f64; 2]>,
    /// Flux of the brightest source, Jy.
    pub bright_jy: Option<f64>,
    /// Noise of a visibility, Jy, real and imaginary part each.
    pub noise_jy: Option<f64>,
    /// Length of the observation, s.
    pub duration_s: Option<f64>,
    /// Integration time, s.
    pub integration_s: Option<f64>,
    /// CASA's file of the array, e.g. `vla.c.cfg`; the telescope stays the preset's.
    pub config: Option<String>,
    /// Number of antennas.
    pub antennas: Option<u32>,
    /// Number of channels of a spectral window.
    pub channels: Option<u32>,
    /// Number of spectral windows, one above the other, all with the same drift of the gains.
    pub windows: Option<u32>,
    /// Number of the night, 0 the first: the sky is that of the seed, gains and noise are the night's own.
    pub night: Option<u32>,
    /// Hour angle of the middle of the observation, h.
    pub hour_angle_h: Option<f64>,
    /// Part of the rows that is flagged, at random, 0 to 1.
    pub flagged_fraction: Option<f64>,
    /// Correlations, e.g. `RR RL LR LL`.
    pub stokes: Option<String>,
    /// Number of directions that have gain errors of their own; 0: none. Each gets a bright point source; every other
    /// source has the errors of the nearest.
    pub directions: Option<u32>,
    /// Scatter of the antennas' phases in each direction, degrees.
    pub direction_phase_rms_deg: Option<f64>,
    /// Scatter of the antennas' amplitudes in each direction, relative.
    pub direction_amplitude_rms: Option<f64>,
    /// Correlation time of the drift in each direction, s; `None`: that of the gains in common.
    pub direction_gain_time_s: Option<f64>,
}

impl Default for Simulate {
    fn default() -> Self {
        Self {
            output: PathBuf::new(),
            name: "field".into(),
            preset: "demo".into(),
            seed: 1,
            phase_rms_deg: None,
            amplitude_rms: None,
            gain_time_s: None,
            delay_rms_ns: None,
            hand_phase_deg: None,
            window_phase_deg: None,
            random_phases: false,
            gain_errors: true,
            sources: None,
            field_arcsec: None,
            pointing_arcsec: None,
            bright_jy: None,
            noise_jy: None,
            duration_s: None,
            integration_s: None,
            config: None,
            antennas: None,
            channels: None,
            windows: None,
            night: None,
            hour_angle_h: None,
            flagged_fraction: None,
            stokes: None,
            directions: None,
            direction_phase_rms_deg: None,
            direction_amplitude_rms: None,
            direction_gain_time_s: None,
        }
    }
}

/// Answer to [`Simulate`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulateAnswer {
    /// The measurement set.
    pub measurement_set: PathBuf,
    /// Rows of its main table.
    pub rows: u64,
    /// Antennas.
    pub antennas: u64,
    /// Integrations.
    pub integrations: u64,
    /// Channels.
    pub channels: u64,
    /// The true sky, JSON.
    pub sky: PathBuf,
    /// The true gains, arrays of numpy.
    pub gains: PathBuf,
    /// The true gains, JSON.
    pub gains_json: PathBuf,
}

/// Puts the true sky into `MODEL_DATA`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FillModel {
    /// The measurement set.
    pub ms: PathBuf,
    /// The true sky, as [`Simulate`] wrote it.
    pub sky: PathBuf,
}
