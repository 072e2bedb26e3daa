//! `cleanloop kernel IMAGE`: the footprint that masks are eroded with.

use crate::image::{Beam, FitsImage, Header, PixelType, write_plane};
use crate::kernels::beam_footprint;
use crate::masking::flint::LARGEST_SCALE;
use crate::{Error, ExitStatus, Result};
use std::path::PathBuf;

/// Widest footprint that is drawn on the terminal, pixels.
const WIDEST_DRAWING: usize = 100;

/// Arguments of `kernel`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Show or save the footprint of an image's restoring beam",
    long_about = "Show or save the footprint of an image's restoring beam.\n\n\
                  The footprint holds the pixels in which the beam, smoothed to a scale, exceeds a fraction of its peak; \
                  `cleanloop mask --beam-shape-erode` erodes with it. North is up."
)]
pub struct Args {
    /// Image with a restoring beam (BMAJ, BMIN, BPA) in its header.
    pub image: PathBuf,

    /// The footprint is the area where the beam exceeds this fraction of its peak; between 0 and 1.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.6)]
    pub response: f64,

    /// Smooth the beam with a circular Gaussian of this FWHM in pixels first.
    #[arg(long, value_name = "PIXELS", default_value_t = 0.0, allow_negative_numbers = true)]
    pub scale: f64,

    /// Channel of a cube, from 0, whose beam is taken [default: the first that has one].
    #[arg(long, value_name = "NUMBER")]
    pub channel: Option<usize>,

    /// Save the footprint as a FITS image of zeros and ones instead of drawing it.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The beam of a channel, or of the first that has one, and its channel.
fn beam_of(image: &FitsImage, channel: Option<usize>) -> Result<(Beam, usize)> {
    let path = image.path().display();
    if let Some(number) = channel.filter(|&n| n >= image.channels()) {
        let last = image.channels() - 1;
        return Err(Error::bad_input(format!("--channel {number}: {path} has the channels 0 to {last}")));
    }
    let candidates = channel.map_or(0..image.channels(), |n| n..n + 1);
    for channel in candidates {
        if let Some(beam) = image.plane_beam(0, channel)? {
            return Ok((beam, channel));
        }
    }
    let where_from = "BMAJ and BMIN in its header, a table BEAMS, or HISTORY of AIPS";
    Err(Error::bad_input(format!("{path}: has no restoring beam ({where_from} were looked at)")))
}

/// Draws the footprint as text, or saves it.
///
/// # Errors
/// An image without a beam or with pixels that are not square, a response outside (0, 1), a scale that is negative or beyond
/// all images.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    if !(args.response > 0.0 && args.response < 1.0) {
        return Err(Error::bad_input(format!("--response is {}; it must be between 0 and 1", args.response)));
    }
    if !(args.scale >= 0.0 && args.scale.is_finite()) {
        return Err(Error::bad_input(format!("--scale is {}; it must not be negative", args.scale)));
    }
    if args.scale > f64::from(LARGEST_SCALE) {
        return Err(Error::bad_input(format!(
            "--scale is {}; at most {LARGEST_SCALE} pixels are possible",
            args.scale
        )));
    }
    let image = FitsImage::open(&args.image)?;
    let (beam, channel) = beam_of(&image, args.channel)?;
    let pixels = image.on_pixels(&beam, image.pixel_deg()?);
    let footprint = beam_footprint(&pixels, args.response, args.scale);
    let count = footprint.iter().filter(|&&f| f).count();
    if image.beams_differ() {
        println!("channel {channel} (the table BEAMS has others; --channel names one)");
    }
    println!(
        "beam {:.3} x {:.3} arcsec, PA {:.1} deg = {:.2} x {:.2} pixels; response {}, scale {}: {count} pixels",
        beam.major_deg * 3600.0,
        beam.minor_deg * 3600.0,
        beam.pa_deg,
        pixels.major,
        pixels.minor,
        args.response,
        args.scale
    );
    if let Some(path) = args.output {
        let mut header = Header::default();
        header.add_history(&format!(
            "cleanloop {} kernel: response {}, scale {} pixels",
            env!("CARGO_PKG_VERSION"),
            args.response,
            args.scale
        ));
        write_plane(&path, footprint.mapv(u8::from).view(), PixelType::U8, &header, 2)?;
        println!("{}: {} x {} pixels", path.display(), footprint.ncols(), footprint.nrows());
        return Ok(ExitStatus::Done);
    }
    // Only what is set, with a margin of one pixel.
    let set = |along: ndarray::Axis| {
        let lines: Vec<bool> = footprint.axis_iter(along).map(|line| line.iter().any(|&f| f)).collect();
        let first = lines.iter().position(|&l| l).unwrap_or(0);
        let last = lines.iter().rposition(|&l| l).unwrap_or(0);
        first.saturating_sub(1)..(last + 2).min(lines.len())
    };
    let (rows, columns) = (set(ndarray::Axis(0)), set(ndarray::Axis(1)));
    if columns.len() > WIDEST_DRAWING {
        println!("{} x {} pixels: too large to draw; save it with --output", columns.len(), rows.len());
        return Ok(ExitStatus::Done);
    }
    for y in rows.rev() {
        let line: String = columns.clone().map(|x| if footprint[[y, x]] { " #" } else { " ." }).collect();
        println!("{line}");
    }
    Ok(ExitStatus::Done)
}
