//! `cleanloop confetti MODEL`: model pixels that are not on the sky.

use crate::quality::confetti::{
    Candidate, ConfettiFiles, ConfettiOptions, ConfettiReport, ConfettiVerdict, draw, of_files, regions,
};
use crate::util::fs;
use crate::{Error, ExitStatus, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `confetti`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// CLEAN model cube (FITS, Jy/pixel).
    pub model: PathBuf,

    /// Residual cube; gives the noise.
    #[arg(long, value_name = "FILE")]
    pub residual: Option<PathBuf>,

    /// Restored cube.
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,

    /// Dirty cube (or residual plus convolved model of an earlier cycle): decides what the data support.
    #[arg(long, value_name = "FILE")]
    pub dirty: Option<PathBuf>,

    /// Noise of all channels, instead of the measured one.
    #[arg(long, value_name = "JY/BEAM", allow_negative_numbers = true)]
    pub noise: Option<f64>,

    /// FWHM of a round beam, instead of the headers'.
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    pub beam: Option<f64>,

    #[command(flatten)]
    pub options: ConfettiOptions,

    /// Also list the candidates that are real.
    #[arg(long)]
    pub all: bool,

    /// Write JSON instead of a table.
    #[arg(long)]
    pub json: bool,

    /// Write DS9 regions of what is confetti or suspicious.
    #[arg(long, value_name = "FILE")]
    pub regions: Option<PathBuf>,

    /// Draw each of them: three channels of every cube, and the spectra (SVG).
    #[arg(long, value_name = "FOLDER")]
    pub plots: Option<PathBuf>,
}

/// Version of the JSON output's format.
const FORMAT: u32 = 1;

/// The JSON output.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "cleanloop confetti")]
pub(in crate::cli) struct Output<'a> {
    /// Version of this format.
    #[schemars(extend("const" = FORMAT))]
    format: u32,
    /// What was found.
    #[serde(flatten)]
    report: &'a ConfettiReport,
}

/// Judges the cube and prints what was found.
///
/// # Errors
/// Cubes that cannot be read or do not match; files that cannot be written.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let files = ConfettiFiles {
        model: args.model,
        residual: args.residual,
        image: args.image,
        dirty: args.dirty,
        noise: args.noise,
        beam_pixels: args.beam,
        channel_beams: Vec::new(),
    };
    let inputs = [&files.residual, &files.image, &files.dirty].into_iter().flatten().chain([&files.model]);
    if let Some(path) = &args.regions
        && inputs.into_iter().any(|input| fs::same_file(input, path))
    {
        let path = path.display();
        return Err(Error::bad_input(format!("{path}: the regions would replace an input; name another file")));
    }
    let mut report = of_files(&files, &args.options)?;
    if let Some(path) = &args.regions {
        fs::write_atomically(path, regions(&report).as_bytes())?;
    }
    if let Some(folder) = &args.plots {
        fs::make(folder)?;
        for cutouts in &report.cutouts {
            let Candidate { channel, pixel: [x, y], verdict, .. } = cutouts.candidate;
            let drawing = draw(cutouts).map_err(Error::internal)?;
            let name = format!("{verdict}-ch{channel:05}-x{x:05}-y{y:05}.svg");
            fs::write_atomically(&folder.join(name), drawing.as_bytes())?;
        }
    }
    if !args.all {
        report.candidates.retain(|c| c.verdict != ConfettiVerdict::Real);
    }
    let text = if args.json {
        serde_json::to_string_pretty(&Output { format: FORMAT, report: &report }).map_err(Error::internal)?
    } else {
        table(&report)
    };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end()).map_err(Error::internal)?;
    Ok(ExitStatus::Done)
}

fn table(report: &ConfettiReport) -> String {
    let counts = report.counts;
    let mut text = String::new();
    if !report.candidates.is_empty() {
        let _ = writeln!(
            text,
            "{:<10}  {:>5}  {:>7}  {:>11}  {:>11}  {:>8}  {:>9}  {:>8}  {:>7}",
            "verdict", "score", "channel", "x,y", "model/Jy", "S/N", "isolation", "pedestal", "support"
        );
    }
    for c in &report.candidates {
        let [x, y] = c.pixel;
        let _ = writeln!(
            text,
            "{:<10}  {:>5.2}  {:>7}  {:>11}  {:>11}  {:>8.1}  {:>9.1}  {:>7.0}%  {:>7}",
            c.verdict,
            c.score,
            c.channel,
            format!("{x},{y}"),
            super::metrics::with_prefix(c.flux),
            c.flux / c.noise,
            c.isolation,
            100.0 * c.pedestal,
            c.support.map_or("-".to_string(), |s| format!("{:.0}%", 100.0 * s)),
        );
    }
    let _ = writeln!(
        text,
        "{} channels: {} confetti, {} suspicious, {} real",
        report.channels, counts.confetti, counts.suspicious, counts.real
    );
    text
}
