//! `cleanloop combine`: masks and regions put together, tidied up and listed.

use crate::image::{CelestialWcs, FitsImage, Header, ImageError, PixelType, PlaneWriter, SkyGrid};
use crate::masking::combine::{self, Island, Operation, TidyOptions};
use crate::masking::extract::extract;
use crate::masking::regions;
use crate::util::fs::same_file;
use crate::{Error, ExitStatus, Result};
use ndarray::Array2;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `combine`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Masks (FITS; a pixel that is neither 0 nor blank is masked) or region files (DS9 or CRTF).
    #[arg(required = true, value_name = "MASK")]
    pub masks: Vec<PathBuf>,

    /// How the masks are combined.
    #[arg(long, value_enum, default_value_t = Operation::Union)]
    pub operation: Operation,

    /// Then add these regions or masks.
    #[arg(long, value_name = "FILE")]
    pub add: Vec<PathBuf>,

    /// Then remove these regions or masks.
    #[arg(long, value_name = "FILE")]
    pub remove: Vec<PathBuf>,

    /// Then keep only islands that touch these regions or masks.
    #[arg(long, value_name = "FILE")]
    pub keep_touching: Vec<PathBuf>,

    /// Then drop islands that touch these regions or masks.
    #[arg(long, value_name = "FILE")]
    pub drop_touching: Vec<PathBuf>,

    #[command(flatten)]
    pub tidy: TidyOptions,

    /// Image whose grid and header the result gets; needed if all masks are region files [default: the first mask].
    #[arg(long, value_name = "IMAGE")]
    pub like: Option<PathBuf>,

    /// Put masks of another sky position, pixel size or number of pixels onto the grid (nearest pixel), instead of
    /// refusing them.
    #[arg(long)]
    pub reproject: bool,

    /// The result.
    #[arg(short, long, value_name = "FILE", required_unless_present = "islands")]
    pub output: Option<PathBuf>,

    /// Write 32-bit integers as flint does, instead of bytes.
    #[arg(long)]
    pub flint_types: bool,

    /// List the islands of the result: position, size, and with --image peak and flux.
    #[arg(long)]
    pub islands: bool,

    /// Image (Jy/beam) in which the islands are measured.
    #[arg(long, value_name = "IMAGE", requires = "islands")]
    pub image: Option<PathBuf>,

    /// Write the list as JSON.
    #[arg(long, requires = "islands", conflicts_with = "csv")]
    pub json: bool,

    /// Write the list as comma-separated values.
    #[arg(long, requires = "islands")]
    pub csv: bool,
}

/// A mask or a region file.
enum Source {
    Fits(Box<FitsImage>),
    Regions(PathBuf, Vec<regions::Region>),
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
        // FITS files, plain or compressed, are recognised by their first bytes.
        let mut start = [0u8; 9];
        let read = std::fs::File::open(path).and_then(|mut f| std::io::Read::read(&mut f, &mut start));
        match read {
            Ok(n) if !start[..n].starts_with(b"SIMPLE") && !start[..n].starts_with(b"\x1f\x8b") => {
                Ok(Self::Regions(path.to_path_buf(), regions::load(path)?))
            }
            _ => Ok(Self::Fits(Box::new(FitsImage::open(path)?))),
        }
    }

    fn open_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        paths.iter().map(|p| Self::open(p)).collect()
    }
}

/// The grid of all masks.
struct PixelGrid {
    path: PathBuf,
    shape: (usize, usize),
    axes: Vec<usize>,
    polarisations: usize,
    channels: usize,
    /// Planes of the file from one polarisation, and from one channel, to the next.
    strides: (usize, usize),
    header: Header,
    /// Without sky coordinates, or with unsupported ones: why.
    wcs: Result<CelestialWcs, ImageError>,
    /// To compare other grids with.
    sky: SkyGrid,
    /// Masks on other grids are put onto this one.
    reproject: bool,
}

impl PixelGrid {
    fn of(image: &FitsImage, reproject: bool) -> Self {
        Self {
            reproject,
            path: image.path().to_path_buf(),
            shape: image.plane_shape(),
            axes: image.axes().to_vec(),
            polarisations: image.polarisations(),
            channels: image.channels(),
            strides: (image.plane_index(1, 0), image.plane_index(0, 1)),
            header: image.header().clone(),
            wcs: image.wcs(),
            sky: SkyGrid::of(image),
        }
    }

    /// The masked pixels of a source on one plane.
    fn plane(&self, source: &mut Source, polarisation: usize, channel: usize) -> Result<Array2<bool>> {
        match source {
            Source::Regions(path, list) => {
                let (mask, counts) =
                    regions::rasterise_counted(list, self.wcs.as_ref().ok(), self.shape).map_err(|e| {
                        let why = match (&e, &self.wcs) {
                            (regions::RegionError::NoCoordinates { .. }, Err(why)) => format!(" ({why})"),
                            _ => String::new(),
                        };
                        Error::bad_input(format!("{}: {e}{why}", path.display()))
                    })?;
                if (polarisation, channel) == (0, 0) {
                    for (region, _) in list.iter().zip(counts).filter(|(_, n)| *n == 0) {
                        tracing::warn!("{}, line {}: the region covers no pixel", path.display(), region.line);
                    }
                }
                Ok(mask)
            }
            Source::Fits(image) => {
                let fits = match self.check(image) {
                    Ok(()) => true,
                    Err(_) if self.reproject => false,
                    Err(e) => return Err(e.into()),
                };
                if !image.serves_planes((self.polarisations, self.channels)) {
                    return Err(Error::bad_input(format!(
                        "{} has {} polarisations and {} channels, but {} has {} and {}: they must match, or be 1",
                        image.path().display(),
                        image.polarisations(),
                        image.channels(),
                        self.path.display(),
                        self.polarisations,
                        self.channels
                    )));
                }
                let mask = image.read_mask(polarisation, channel)?;
                if fits {
                    return Ok(mask);
                }
                let own = self.wcs.as_ref().map_err(|e| Error::bad_input(e.to_string()))?;
                Ok(extract(mask.view(), &image.wcs()?, own, self.shape))
            }
        }
    }

    /// Refuses an image of another size, or of another part of the sky.
    fn check(&self, image: &FitsImage) -> Result<(), ImageError> {
        if image.plane_shape() != self.shape {
            return Err(ImageError::ShapesDiffer {
                left: self.path.clone(),
                left_shape: self.shape,
                right: image.path().to_path_buf(),
                right_shape: image.plane_shape(),
            });
        }
        self.sky.check(image)
    }
}

/// One plane's island, as listed.
#[derive(serde::Serialize)]
struct IslandRow {
    polarisation: usize,
    channel: usize,
    #[serde(flatten)]
    island: Island,
}

/// All files of a combination, open, and where the result goes.
struct Combination {
    masks: Vec<Source>,
    add: Vec<Source>,
    remove: Vec<Source>,
    keep_touching: Vec<Source>,
    drop_touching: Vec<Source>,
    grid: PixelGrid,
    image: Option<FitsImage>,
    writer: Option<PlaneWriter>,
}

impl Combination {
    fn open(args: &Args) -> Result<Self> {
        let masks = Source::open_all(&args.masks)?;
        let grid = match &args.like {
            Some(path) => PixelGrid::of(&FitsImage::open(path)?, args.reproject),
            None => masks
                .iter()
                .find_map(
                    |m| if let Source::Fits(image) = m { Some(PixelGrid::of(image, args.reproject)) } else { None },
                )
                .ok_or_else(|| {
                    Error::bad_input("all masks are region files: name an image with --like that gives the grid")
                })?,
        };
        refuse_to_replace(args)?;
        let sources = |paths: &[PathBuf]| Source::open_all(paths);
        let image = args.image.as_ref().map(FitsImage::open).transpose()?;
        if let Some(image) = &image {
            check_image(image, &grid)?;
        }
        let kind = if args.flint_types { PixelType::I32 } else { PixelType::U8 };
        Ok(Self {
            add: sources(&args.add)?,
            remove: sources(&args.remove)?,
            keep_touching: sources(&args.keep_touching)?,
            drop_touching: sources(&args.drop_touching)?,
            writer: match &args.output {
                Some(output) => Some(PlaneWriter::create(output, &grid.axes, kind, &grid.header, false)?),
                None => None,
            },
            masks,
            grid,
            image,
        })
    }

    /// The combined mask of one plane.
    fn plane(&mut self, args: &Args, polarisation: usize, channel: usize) -> Result<Array2<bool>> {
        let grid = &self.grid;
        let read = |source: &mut Source| grid.plane(source, polarisation, channel);
        let mut mask = read(&mut self.masks[0])?;
        for next in &mut self.masks[1..] {
            args.operation.apply(&mut mask, read(next)?.view());
        }
        for source in &mut self.add {
            Operation::Union.apply(&mut mask, read(source)?.view());
        }
        for source in &mut self.remove {
            Operation::Difference.apply(&mut mask, read(source)?.view());
        }
        for (sources, kept) in [(&mut self.keep_touching, true), (&mut self.drop_touching, false)] {
            let mut probe: Option<Array2<bool>> = None;
            for source in sources.iter_mut() {
                let next = read(source)?;
                match &mut probe {
                    None => probe = Some(next),
                    Some(probe) => Operation::Union.apply(probe, next.view()),
                }
            }
            if let Some(probe) = probe {
                combine::select_islands(&mut mask, probe.view(), kept);
            }
        }
        args.tidy.apply(&mut mask);
        Ok(mask)
    }

    /// The islands of one plane's mask, measured in the image.
    fn islands(&mut self, mask: &Array2<bool>, polarisation: usize, channel: usize) -> Result<Vec<IslandRow>> {
        let area = self.image.as_ref().and_then(|image| {
            let (polarisation, channel) = image.matching_plane(polarisation, channel);
            // An absurd beam gives no flux.
            Some(image.pixel_beam(polarisation, channel).ok()??.area())
        });
        let plane = self.image.as_mut().map(|image| image.read_matching(polarisation, channel)).transpose()?;
        let wcs = self.grid.wcs.as_ref().ok();
        let list = combine::islands(mask.view(), plane.as_ref().map(|p| p.view()), area, wcs);
        Ok(list.into_iter().map(|island| IslandRow { polarisation, channel, island }).collect())
    }
}

fn refuse_to_replace(args: &Args) -> Result<()> {
    let lists = [&args.masks, &args.add, &args.remove, &args.keep_touching, &args.drop_touching];
    let mut inputs = lists.iter().flat_map(|list| list.iter()).chain(&args.image);
    match &args.output {
        Some(output) if inputs.any(|input| same_file(input, output)) => Err(Error::bad_input(format!(
            "{}: the output would replace an input; name another file with --output",
            output.display()
        ))),
        _ => Ok(()),
    }
}

/// The image in which islands are measured is on the grid, and has one plane or as many.
fn check_image(image: &FitsImage, grid: &PixelGrid) -> Result<()> {
    grid.check(image)?;
    if image.serves_planes((grid.polarisations, grid.channels)) {
        return Ok(());
    }
    Err(ImageError::ShapesDiffer {
        left: grid.path.clone(),
        left_shape: grid.shape,
        right: image.path().to_path_buf(),
        right_shape: image.plane_shape(),
    }
    .into())
}

/// Combines plane by plane, writes the result and prints the list.
///
/// # Errors
/// Files that cannot be read or do not match, region files that are not understood, an output that would replace an
/// input.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let mut combination = Combination::open(&args)?;
    let (polarisations, channels) = (combination.grid.polarisations, combination.grid.channels);
    let (mut rows, mut masked) = (Vec::new(), 0);
    for polarisation in 0..polarisations {
        for channel in 0..channels {
            let mask = combination.plane(&args, polarisation, channel)?;
            masked += mask.iter().filter(|&&m| m).count();
            if args.islands {
                rows.extend(combination.islands(&mask, polarisation, channel)?);
            }
            if let Some(writer) = &mut combination.writer {
                let strides = combination.grid.strides;
                writer.write_plane(polarisation * strides.0 + channel * strides.1, mask.mapv(u8::from).view())?;
            }
        }
    }
    if let Some(writer) = combination.writer {
        writer.finish()?;
    }
    if args.islands {
        print_islands(&args, &rows, polarisations * channels > 1)?;
    } else if let Some(output) = &args.output {
        let pixels = combination.grid.shape.0 * combination.grid.shape.1 * polarisations * channels;
        println!(
            "{}: {masked} of {pixels} pixels masked ({:.2} %)",
            output.display(),
            100.0 * masked as f64 / pixels as f64
        );
    }
    Ok(ExitStatus::Done)
}

fn print_islands(args: &Args, rows: &[IslandRow], several_planes: bool) -> Result<()> {
    let text = if args.json {
        serde_json::to_string_pretty(rows).map_err(Error::internal)? + "\n"
    } else if args.csv {
        csv(rows)
    } else {
        table(rows, several_planes)
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Error::internal)
}

fn csv(rows: &[IslandRow]) -> String {
    let optional = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
    let mut text = String::from(
        "number,polarisation,channel,pixels,x,y,ra_deg,dec_deg,first_column,last_column,first_row,last_row,peak,peak_x,peak_y,flux\n",
    );
    for IslandRow { polarisation, channel, island: i } in rows {
        let peak = i.peak_pixel.map_or(",".into(), |[x, y]| format!("{x},{y}"));
        let _ = writeln!(
            text,
            "{},{polarisation},{channel},{},{},{},{},{},{},{},{},{},{},{peak},{}",
            i.number,
            i.pixels,
            i.x,
            i.y,
            optional(i.ra_deg),
            optional(i.dec_deg),
            i.columns[0],
            i.columns[1],
            i.rows[0],
            i.rows[1],
            optional(i.peak),
            optional(i.flux)
        );
    }
    text
}

fn table(rows: &[IslandRow], planes: bool) -> String {
    let dash = || "-".to_string();
    let mut lines =
        vec![["", "plane", "pixels", "x", "y", "RA", "Dec", "peak (Jy/beam)", "flux (Jy)"].map(String::from)];
    for IslandRow { polarisation, channel, island: i } in rows {
        lines.push([
            i.number.to_string(),
            format!("{polarisation}/{channel}"),
            i.pixels.to_string(),
            format!("{:.1}", i.x),
            format!("{:.1}", i.y),
            i.ra_deg.map_or_else(dash, |v| sexagesimal(v / 15.0, 2)),
            i.dec_deg.map_or_else(dash, |v| sexagesimal(v, 1)),
            i.peak.map_or_else(dash, |v| format!("{v:.4e}")),
            i.flux.map_or_else(dash, |v| format!("{v:.4e}")),
        ]);
    }
    let columns: Vec<usize> = (0..9).filter(|&c| planes || c != 1).collect();
    let widths: Vec<usize> = (0..9).map(|c| lines.iter().map(|l| l[c].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = columns.iter().map(|&c| format!("{:>1$}", line[c], widths[c])).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    let _ = writeln!(text, "{} islands", rows.len());
    text
}

/// `12:34:56.78` with this many decimals of seconds.
fn sexagesimal(value: f64, decimals: u32) -> String {
    let unit = 10f64.powi(decimals as i32);
    let ticks = (value.abs() * 3600.0 * unit).round() as u64;
    let (whole, fraction) = (ticks / unit as u64, ticks % unit as u64);
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{:02}:{:02}:{:02}.{fraction:0w$}", whole / 3600, whole / 60 % 60, whole % 60, w = decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::sexagesimal;

    #[test]
    fn seconds_are_rounded_before_they_are_split() {
        assert_eq!(sexagesimal(2.0 + 59.0 / 60.0 + 59.999 / 3600.0, 2), "03:00:00.00");
        assert_eq!(sexagesimal(-0.25, 1), "-00:15:00.0");
    }
}
