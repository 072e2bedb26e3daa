//! `cleanloop noise IMAGE`: background and rms maps, named as BANE names them.

use crate::image::{FitsImage, PixelType, PlaneWriter, sidecar_path};
use crate::noise::{self, NoiseError, NoiseMaps, NoiseOptions};
use crate::options::Validate;
use crate::util::fs::same_file;
use crate::{Error, ExitStatus, Result};
use ndarray::Array2;
use std::path::PathBuf;

/// Arguments of `noise`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image or cube (FITS).
    pub image: PathBuf,

    /// Start of the output names, BASE_bkg.fits and BASE_rms.fits [default: the image's name without its suffix].
    #[arg(short, long, value_name = "BASE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub noise: NoiseOptions,
}

/// Writes the maps, plane by plane, and prints a summary.
///
/// # Errors
/// An image that cannot be read or has no finite pixel, options that cannot be used.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    args.noise.validate()?;
    let mut image = FitsImage::open(&args.image)?;
    let beam = noise::beam_of(&image);
    let base = args.output.unwrap_or_else(|| {
        // `X.fits`, `X.fits.gz` and `X.fits.fz` give X.
        sidecar_path(&args.image, "").with_extension("").with_extension("")
    });
    let named = |kind: &str| {
        let mut name = base.clone().into_os_string();
        name.push(format!("_{kind}.fits"));
        PathBuf::from(name)
    };
    let paths = [named("bkg"), named("rms")];
    if let Some(path) = paths.iter().find(|p| same_file(p, &args.image)) {
        return Err(Error::bad_input(format!(
            "{}: the output would replace the input; name another base with --output",
            path.display()
        )));
    }
    let axes = image.axes().to_vec();
    let create = |path| PlaneWriter::create(path, &axes, PixelType::F32, image.header(), false);
    let (mut background, mut rms) = (create(&paths[0])?, create(&paths[1])?);
    let planes = image.polarisations() * image.channels();
    let mut summary = MapsSummary::default();
    for polarisation in 0..image.polarisations() {
        for channel in 0..image.channels() {
            let plane = image.read_plane(polarisation, channel)?;
            let maps = match noise::estimate(plane.view(), beam, &args.noise) {
                // Blank channels are normal in a cube.
                Err(NoiseError::NoData) if planes > 1 => {
                    summary.blank += 1;
                    let blank = Array2::from_elem(plane.dim(), f32::NAN);
                    NoiseMaps { background: blank.clone(), rms: blank }
                }
                other => other.map_err(|e| Error::bad_input(format!("{}: {e}", args.image.display())))?,
            };
            summary.add(&maps);
            let index = image.plane_index(polarisation, channel);
            background.write_plane(index, maps.background.view())?;
            rms.write_plane(index, maps.rms.view())?;
        }
    }
    background.finish()?;
    rms.finish()?;
    let of = if planes > 1 { format!(" ({planes} planes, {} blank)", summary.blank) } else { String::new() };
    println!("{}: {}{of}", paths[0].display(), summary.background);
    println!("{}: {}{of}", paths[1].display(), summary.rms);
    Ok(ExitStatus::Done)
}

/// Ranges of the values written.
#[derive(Default)]
struct MapsSummary {
    background: Range,
    rms: Range,
    blank: usize,
}

impl MapsSummary {
    fn add(&mut self, maps: &NoiseMaps) {
        self.background.add(&maps.background);
        self.rms.add(&maps.rms);
    }
}

#[derive(Default)]
struct Range {
    sum: f64,
    count: usize,
    ends: Option<(f32, f32)>,
}

impl Range {
    fn add(&mut self, map: &Array2<f32>) {
        for &v in map.iter().filter(|v| v.is_finite()) {
            self.sum += f64::from(v);
            self.count += 1;
            let (low, high) = self.ends.unwrap_or((v, v));
            self.ends = Some((low.min(v), high.max(v)));
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ends {
            None => write!(f, "no data"),
            Some((low, high)) => write!(f, "mean {:.4e}, {low:.4e} to {high:.4e}", self.sum / self.count as f64),
        }
    }
}
