//! `cleanloop metrics IMAGE...`: what an image is worth, for anyone's images.

use crate::quality::metrics::{ImageMetrics, RoundFiles, of_files};
use crate::{Error, ExitStatus, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `metrics`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Restored images, planes or cubes (FITS).
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Residual of each image, in the same order; the noise is measured there.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub residual: Vec<PathBuf>,

    /// CLEAN model of each image (Jy/pixel), in the same order.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub model: Vec<PathBuf>,

    /// Clean mask of each image, in the same order, or one for all; its pixels do not count as noise.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub mask: Vec<PathBuf>,

    /// Mask of known sources, in the same order, or one for all: splits the model's flux into inside and outside.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub islands: Vec<PathBuf>,

    /// Also list every channel of a cube.
    #[arg(long)]
    pub channels: bool,

    /// Write JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Version of the JSON output's format.
const FORMAT: u32 = 1;

/// One image in the JSON output, a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct ImageEntry<'a> {
    /// Version of this format.
    #[schemars(extend("const" = FORMAT))]
    format: u32,
    /// The image, as on the command line.
    image: &'a std::path::Path,
    /// What was measured.
    metrics: &'a ImageMetrics,
}

/// Prints the metrics of every image.
///
/// # Errors
/// A file that cannot be read, does not fit its image, or companions that are not one for each image.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let count = args.images.len();
    check_count("--residual", &args.residual, count, false)?;
    check_count("--model", &args.model, count, false)?;
    check_count("--mask", &args.mask, count, true)?;
    check_count("--islands", &args.islands, count, true)?;
    // One file for all, or the i-th.
    let pick = |files: &[PathBuf], i: usize| files.get(if files.len() == 1 { 0 } else { i }).cloned();
    let mut all = Vec::with_capacity(count);
    for (i, image) in args.images.iter().enumerate() {
        let files = RoundFiles {
            image: image.clone(),
            residual: pick(&args.residual, i),
            model: pick(&args.model, i),
            mask: pick(&args.mask, i),
            islands: pick(&args.islands, i),
            before: None,
        };
        all.push(of_files(&files)?);
    }
    let mut text = if args.json {
        let entry = |(image, metrics)| ImageEntry { format: FORMAT, image, metrics };
        let entries: Vec<ImageEntry<'_>> = args.images.iter().map(PathBuf::as_path).zip(&all).map(entry).collect();
        serde_json::to_string_pretty(&entries).map_err(Error::internal)?
    } else {
        let mut rows = Vec::new();
        for (image, metrics) in args.images.iter().zip(&all) {
            rows.push((image.display().to_string(), metrics));
            if args.channels {
                rows.extend(metrics.channels.iter().enumerate().map(|(c, m)| (format!("  channel {c}"), m)));
            }
        }
        table(&rows)
    };
    text.truncate(text.trim_end().len());
    writeln!(std::io::stdout().lock(), "{text}").map_err(Error::internal)?;
    Ok(ExitStatus::Done)
}

fn check_count(option: &str, files: &[PathBuf], images: usize, one_serves_all: bool) -> Result<()> {
    let found = files.len();
    if found == 0 || found == images || (one_serves_all && found == 1) {
        return Ok(());
    }
    let or_one = if one_serves_all { " (or one for all)" } else { "" };
    Err(Error::bad_input(format!(
        "{option} names {found} file{}, but there are {images} images: give one for each, in the same order{or_one}",
        if found == 1 { "" } else { "s" }
    )))
}

/// A flux with an SI prefix, 4 significant digits: `3.812 m`, `-21.50 u`.
pub(super) fn with_prefix(value: f64) -> String {
    let (scale, prefix) = match value.abs() {
        0.0 => (1.0, ""),
        a if a >= 1.0 => (1.0, ""),
        a if a >= 1e-3 => (1e3, "m"),
        a if a >= 1e-6 => (1e6, "u"),
        _ => (1e9, "n"),
    };
    let scaled = value * scale;
    let digits = match scaled.abs() {
        a if a >= 100.0 => 1,
        a if a >= 10.0 => 2,
        _ => 3,
    };
    format!("{scaled:.digits$} {prefix}").trim_end().to_string()
}

/// Aligns rows under their headings; columns that no row fills are left out.
fn table(rows: &[(String, &ImageMetrics)]) -> String {
    type TableColumn = (&'static str, fn(&ImageMetrics) -> Option<String>);
    let columns: [TableColumn; 14] = [
        ("noise/Jy", |m| Some(with_prefix(m.noise))),
        ("rms/Jy", |m| Some(with_prefix(m.rms))),
        ("peak/Jy", |m| Some(with_prefix(m.peak))),
        ("at x,y", |m| Some(format!("{},{}", m.peak_pixel[0], m.peak_pixel[1]))),
        ("dyn.range", |m| Some(format!("{:.1}", m.dynamic_range))),
        ("S/N", |m| Some(format!("{:.1}", m.snr))),
        ("near-field S/N", |m| m.near_field_snr.map(|s| format!("{s:.1}"))),
        ("minimum/Jy", |m| Some(with_prefix(m.minimum))),
        ("|min|/peak", |m| Some(format!("{:.4}", m.negative_ratio))),
        ("masked", |m| m.masked_fraction.map(|f| format!("{:.3} %", 100.0 * f))),
        ("model/Jy", |m| m.model.map(|m| with_prefix(m.total_flux))),
        ("outside/Jy", |m| m.model.and_then(|m| m.outside_flux).map(with_prefix)),
        ("negative", |m| m.model.map(|m| format!("{:.2} %", 100.0 * m.negative_fraction))),
        ("beam", |m| m.beam.map(|b| format!("{:.2}\"x{:.2}\"", 3600.0 * b.major_deg, 3600.0 * b.minor_deg))),
    ];
    let mut cells: Vec<Vec<String>> = vec![vec!["image".into()]];
    cells.extend(
        rows.iter().map(|(name, m)| vec![format!("{name}{}", if m.non_finite { " (not finite)" } else { "" })]),
    );
    for (heading, cell) in columns {
        let filled: Vec<Option<String>> = rows.iter().map(|(_, m)| cell(m)).collect();
        if filled.iter().any(Option::is_some) {
            cells[0].push(heading.into());
            for (row, text) in cells[1..].iter_mut().zip(filled) {
                row.push(text.unwrap_or_else(|| "-".into()));
            }
        }
    }
    let widths: Vec<usize> =
        (0..cells[0].len()).map(|c| cells.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &cells {
        for (c, cell) in row.iter().enumerate() {
            let width = widths[c];
            let _ = if c == 0 { write!(text, "{cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.0, "0.000")]
    #[case(2.5, "2.500")]
    #[case(0.0038123, "3.812 m")]
    #[case(-0.00002151, "-21.51 u")]
    #[case(1.5e-8, "15.00 n")]
    fn fluxes_have_prefixes(#[case] value: f64, #[case] text: &str) {
        assert_eq!(with_prefix(value), text);
    }

    #[test]
    fn a_residual_for_each_image() {
        let files = vec![PathBuf::from("a"), PathBuf::from("b")];
        assert!(check_count("--mask", &files[..1], 3, true).is_ok());
        let error = check_count("--residual", &files, 3, false).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"--residual names 2 files, but there are 3 images: give one for each, in the same order");
    }
}
