//! `cleanloop simulate`: a measurement set of a known sky with known, drifting antenna gains.

use crate::programs::casa::Casa;
use crate::programs::casa::requests::Simulate;
use crate::{ExitStatus, Result};
use clap::ValueEnum;
use std::path::PathBuf;

/// Arguments of `simulate`. Numbers that are not given come from the preset.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for NAME.ms, NAME.sky.json (the true sky), NAME.gains.npz and NAME.gains.json (the true gains).
    #[arg(short, long)]
    pub output: PathBuf,

    /// Name of the measurement set, without `.ms`.
    #[arg(long, default_value = "field")]
    pub name: String,

    /// The field to observe.
    #[arg(long, value_enum, default_value_t = SimulationPreset::Demo)]
    pub preset: SimulationPreset,

    /// Seed of the random numbers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Scatter of the antennas' phases, degrees.
    #[arg(long = "phase-rms", value_name = "DEG")]
    pub phase_rms_deg: Option<f64>,

    /// Scatter of the antennas' amplitudes, relative.
    #[arg(long = "amp-rms", value_name = "FRACTION")]
    pub amplitude_rms: Option<f64>,

    /// Correlation time of the gains' drift, s.
    #[arg(long = "gain-time", value_name = "S")]
    pub gain_time_s: Option<f64>,

    /// Scatter of the antennas' delays, ns; constant in time.
    #[arg(long = "delay-rms", value_name = "NS")]
    pub delay_rms_ns: Option<f64>,

    /// Scatter of the antennas' constant phase between the two polarisations, degrees.
    #[arg(long = "hand-phase", value_name = "DEG")]
    pub hand_phase_deg: Option<f64>,

    /// Scatter of the antennas' constant phase of each spectral window after the first, degrees.
    #[arg(long = "window-phase", value_name = "DEG")]
    pub window_phase_deg: Option<f64>,

    /// A random phase in every row, which no gains of antennas can correct: nothing is left to calibrate on.
    #[arg(long)]
    pub random_phases: bool,

    /// No gain errors; sky and noise stay the same.
    #[arg(long)]
    pub no_gain_errors: bool,

    /// Number of random point sources.
    #[arg(long)]
    pub sources: Option<u32>,

    /// Half the side of the square of sky that holds the sources, arcsec; large sources shrink with it.
    #[arg(long = "field", value_name = "ARCSEC")]
    pub field_arcsec: Option<f64>,

    /// One beam of a field: its phase centre lies this far east and north of the field's, arcsec. The sky is that of the
    /// seed, dimmed by the primary beam; noise and gains are the beam's own.
    #[arg(long = "pointing", value_name = "EAST,NORTH", value_parser = pair, allow_hyphen_values = true)]
    pub pointing_arcsec: Option<[f64; 2]>,

    /// Flux of the brightest source, Jy.
    #[arg(long = "bright", value_name = "JY")]
    pub bright_jy: Option<f64>,

    /// Noise of a visibility, Jy, real and imaginary part each.
    #[arg(long = "noise", value_name = "JY")]
    pub noise_jy: Option<f64>,

    /// Length of the observation, s; its middle is the transit unless --hour-angle says otherwise.
    #[arg(long = "duration", value_name = "S")]
    pub duration_s: Option<f64>,

    /// Integration time, s.
    #[arg(long = "integration", value_name = "S")]
    pub integration_s: Option<f64>,

    /// Configuration of the VLA, from the widest to the most compact [default: b].
    #[arg(long, value_name = "A..D", value_parser = ["a", "b", "c", "d"], ignore_case = true)]
    pub configuration: Option<String>,

    /// Number of antennas, taken evenly from the array's list [default: all].
    #[arg(long)]
    pub antennas: Option<u32>,

    /// Number of channels of a spectral window.
    #[arg(long)]
    pub channels: Option<u32>,

    /// Number of spectral windows, one above the other, all with the same drift of the gains.
    #[arg(long)]
    pub windows: Option<u32>,

    /// Number of the night, 0 the first: the sky is that of the seed; noise, gains and date are the night's own.
    #[arg(long)]
    pub night: Option<u32>,

    /// Hour angle of the middle of the observation, h.
    #[arg(long = "hour-angle", value_name = "H", allow_hyphen_values = true)]
    pub hour_angle_h: Option<f64>,

    /// Part of the rows that is flagged, at random, 0 to 1.
    #[arg(long = "flagged", value_name = "FRACTION")]
    pub flagged_fraction: Option<f64>,

    /// Number of directions with gain errors of their own, on top of those in common. Each gets a bright point (the last a
    /// quarter of the flux of the first); every other source has the errors of the nearest.
    #[arg(long, value_name = "N")]
    pub directions: Option<u32>,

    /// Scatter of the antennas' phases in each direction, degrees [default: 25].
    #[arg(long = "direction-phase-rms", value_name = "DEG", requires = "directions")]
    pub direction_phase_rms_deg: Option<f64>,

    /// Scatter of the antennas' amplitudes in each direction, relative [default: 0.05].
    #[arg(long = "direction-amp-rms", value_name = "FRACTION", requires = "directions")]
    pub direction_amplitude_rms: Option<f64>,

    /// Correlation time of the drift in each direction, s [default: that of --gain-time].
    #[arg(long = "direction-gain-time", value_name = "S", requires = "directions")]
    pub direction_gain_time_s: Option<f64>,
}

impl Args {
    /// The demonstration's field, `field.ms` in `output`, everything as the preset has it.
    pub fn demo(output: PathBuf) -> Self {
        Self {
            output,
            name: "field".into(),
            preset: SimulationPreset::Demo,
            seed: 1,
            phase_rms_deg: None,
            amplitude_rms: None,
            gain_time_s: None,
            delay_rms_ns: None,
            hand_phase_deg: None,
            window_phase_deg: None,
            random_phases: false,
            no_gain_errors: false,
            sources: None,
            field_arcsec: None,
            pointing_arcsec: None,
            bright_jy: None,
            noise_jy: None,
            duration_s: None,
            integration_s: None,
            configuration: None,
            antennas: None,
            channels: None,
            windows: None,
            night: None,
            hour_angle_h: None,
            flagged_fraction: None,
            directions: None,
            direction_phase_rms_deg: None,
            direction_amplitude_rms: None,
            direction_gain_time_s: None,
        }
    }
}

impl From<Args> for Simulate {
    fn from(args: Args) -> Self {
        let preset = args.preset.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        Self {
            output: args.output,
            name: args.name,
            preset,
            seed: args.seed,
            phase_rms_deg: args.phase_rms_deg,
            amplitude_rms: args.amplitude_rms,
            gain_time_s: args.gain_time_s,
            delay_rms_ns: args.delay_rms_ns,
            hand_phase_deg: args.hand_phase_deg,
            window_phase_deg: args.window_phase_deg,
            random_phases: args.random_phases,
            gain_errors: !args.no_gain_errors,
            sources: args.sources,
            field_arcsec: args.field_arcsec,
            pointing_arcsec: args.pointing_arcsec,
            bright_jy: args.bright_jy,
            noise_jy: args.noise_jy,
            duration_s: args.duration_s,
            integration_s: args.integration_s,
            config: args.configuration.map(|letter| format!("vla.{}.cfg", letter.to_lowercase())),
            antennas: args.antennas,
            channels: args.channels,
            windows: args.windows,
            night: args.night,
            hour_angle_h: args.hour_angle_h,
            flagged_fraction: args.flagged_fraction,
            stokes: None,
            directions: args.directions,
            direction_phase_rms_deg: args.direction_phase_rms_deg,
            direction_amplitude_rms: args.direction_amplitude_rms,
            direction_gain_time_s: args.direction_gain_time_s,
        }
    }
}

/// Two numbers with a comma between them.
fn pair(text: &str) -> std::result::Result<[f64; 2], String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.iter().all(|n| n.is_finite()));
    numbers.and_then(|n| n.try_into().ok()).ok_or_else(|| "two numbers were expected, as in -300,0".to_owned())
}

/// Fields that the program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SimulationPreset {
    /// 20 point sources, a bright one, one extended source; phases 40 degrees, amplitudes 10 %.
    Demo,
    /// Points only.
    Pointlike,
    /// 60 point sources.
    Crowded,
    /// Five large sources among the points.
    Extended,
    /// Few and faint sources.
    LowSnr,
    /// Amplitude errors of 25 %.
    Amplitude,
    /// One source of 15 Jy.
    Bright,
    /// No source: noise alone.
    Empty,
    /// ALMA, 10 channels: emission of changing extent, an absorption, empty ends; no gain errors.
    LineCube,
}

/// Simulates, and prints where the measurement set is.
///
/// # Errors
/// CASA is not set up, or failed; the measurement set is there already.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    crate::process::interrupt::install().map_err(crate::Error::internal)?;
    let answer = Casa::open(&[], None)?.ask_with_events(&Simulate::from(args), None, &mut |event| {
        tracing::info!("channel {} of {}", event["done"], event["total"]);
    })?;
    println!("{}", answer.measurement_set.display());
    println!(
        "  {} rows: {} antennas, {} integrations, {} channels",
        answer.rows, answer.antennas, answer.integrations, answer.channels
    );
    println!("  true sky: {}\n  true gains: {}", answer.sky.display(), answer.gains.display());
    Ok(ExitStatus::Done)
}
