//! A linear mosaic from image files to a file.

use super::{Mosaic, Response};
use crate::image::mosaic;
use crate::image::{
    Beam, CelestialWcs, FitsImage, Header, ImageError, PixelType, SkyPosition, common_beam, write_plane,
};
use crate::kernels::order_statistics::median_and_mad;
use crate::kernels::{Covariance, gaussian_convolution};
use crate::util::memory;
use crate::{Error, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Memory of a pixel of the mosaic: the sums of image and weight, float32.
const BYTES_PER_PIXEL: u128 = 8;
/// Part of the mosaic below which images that cover no more are said to be far apart. Two images that touch at a corner
/// cover a half of it, five in a diagonal row a fifth.
const SPARSE: f64 = 0.2;

/// Part below which such a mosaic is refused: two fields of it are two thousand widths apart.
const EMPTY: f64 = 1e-3;

/// The primary beam of an image, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MosaicBeam {
    /// Nothing: it counts as 1.
    Unknown,
    /// A map on the image's own grid.
    Map(PathBuf),
    /// A Gaussian about the reference position, for dishes of this diameter, metres.
    Dish(f64),
}

/// One image of a mosaic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MosaicInput {
    /// An image of one plane, not corrected for the primary beam.
    pub image: PathBuf,
    /// Its primary beam.
    pub primary_beam: MosaicBeam,
}

/// A mosaic to be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MosaicRequest<'a> {
    /// The images, at least one.
    pub inputs: &'a [MosaicInput],
    /// Image whose grid the mosaic gets; `None`: the smallest SIN grid, north up, that holds all images.
    pub like: Option<&'a Path>,
    /// Response below which an image takes no part.
    pub cutoff: f64,
    /// Images with different restoring beams are convolved to the smallest one that all can be convolved to. Otherwise,
    /// and where an image has no beam in its header, they are added up as they are.
    pub common_beam: bool,
    /// The mosaic's file.
    pub output: &'a Path,
    /// The file of its weights, 1 / variance.
    pub weights: &'a Path,
}

/// A mosaic that was made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MosaicSummary {
    /// `(ny, nx)`.
    pub shape: (usize, usize),
    /// Pixels that an image has data for.
    pub seen: usize,
    /// The restoring beam in the mosaic's header.
    pub beam: Option<Beam>,
    /// Images that were convolved to it.
    pub convolved: Vec<PathBuf>,
    /// Images that have another one and were added up as they are.
    pub other_beams: Vec<PathBuf>,
}

/// An input's header, read before the work begins.
struct Opened<'a> {
    input: &'a MosaicInput,
    header: Header,
    wcs: CelestialWcs,
    shape: (usize, usize),
    axes: usize,
    beam: Option<Beam>,
}

impl<'a> Opened<'a> {
    fn open(input: &'a MosaicInput) -> Result<Self> {
        let image = open_plane(&input.image)?;
        Ok(Self {
            input,
            header: image.header().clone(),
            wcs: image.wcs()?,
            shape: image.plane_shape(),
            axes: image.axes().len(),
            beam: image.plane_beam(0, 0)?,
        })
    }

    /// Adds the image to the sum, convolved to the beam `target` where it has another.
    fn add_to(&self, sum: &mut Mosaic, target: Option<&Beam>) -> Result<()> {
        let path = &self.input.image;
        let mut image = open_plane(path)?;
        let mut plane = image.read_plane(0, 0)?;
        if let (Some(to), Some(from)) = (target, &self.beam)
            && to != from
        {
            plane = convolved_to(plane, from, to, &self.wcs, per_beam(image.header()));
        }
        let sigma = median_and_mad(plane.as_slice().expect("own array"), |_| true).map(|m| m.sigma());
        let Some(sigma) = sigma.filter(|&s| s > 0.0) else {
            return Err(ImageError::Unsuitable {
                path: path.clone(),
                reason: "has no noise that could give it a weight (no data, or more than half of its pixels alike)"
                    .into(),
            }
            .into());
        };
        let map: Array2<f32>;
        let response = match &self.input.primary_beam {
            MosaicBeam::Unknown => Response::Unity,
            MosaicBeam::Dish(metres) => Response::Gaussian {
                centre: self.wcs.reference(),
                fwhm_deg: mosaic::primary_beam_fwhm(*metres, frequency(path, image.header())?),
            },
            MosaicBeam::Map(pb) => {
                map = response_map(&image, pb)?;
                Response::Map(map.view())
            }
        };
        sum.add(plane.view(), &self.wcs, sigma, response);
        Ok(())
    }
}

/// The primary beam's map, of the image's size.
fn response_map(image: &FitsImage, pb: &Path) -> Result<Array2<f32>> {
    let mut response = open_plane(pb)?;
    if response.plane_shape() != image.plane_shape() {
        return Err(ImageError::ShapesDiffer {
            left: image.path().to_path_buf(),
            left_shape: image.plane_shape(),
            right: pb.to_path_buf(),
            right_shape: response.plane_shape(),
        }
        .into());
    }
    Ok(response.read_plane(0, 0)?)
}

/// Header and shape of the mosaic, without its beam.
fn grid(request: &MosaicRequest<'_>, inputs: &[Opened<'_>]) -> Result<(Header, (usize, usize))> {
    if let Some(path) = request.like {
        let like = FitsImage::open(path)?;
        like.wcs()?;
        return Ok((like.header().clone(), like.plane_shape()));
    }
    let list: Vec<_> = inputs.iter().map(|i| (&i.header, &i.wcs, i.shape)).collect();
    let unsuitable = |reason: String| ImageError::Unsuitable { path: inputs[0].input.image.clone(), reason };
    Ok(mosaic::common_grid(&list).map_err(|e| unsuitable(e.to_string()))?)
}

/// Refuses a grid that no memory holds, and warns of one that is mostly empty.
fn check_extent(
    request: &MosaicRequest<'_>,
    inputs: &[Opened<'_>],
    header: &Header,
    (ny, nx): (usize, usize),
) -> Result<()> {
    let needed = (ny as u128) * (nx as u128) * BYTES_PER_PIXEL;
    memory::check(needed, &format!("the mosaic would have {nx} x {ny} pixels, which need")).map_err(|words| {
        Error::bad_input(format!(
            "{}: {words}. The images are too far apart for their pixels: leave some out, or name a smaller grid with \
             --like",
            request.output.display()
        ))
    })?;
    let grid = CelestialWcs::from_header(header).map_err(|e| Error::bad_input(e.to_string()))?;
    let covered: f64 = inputs.iter().map(|i| i.wcs.pixel_area() * (i.shape.0 * i.shape.1) as f64).sum();
    let fraction = covered / (grid.pixel_area() * (ny * nx) as f64);
    if request.like.is_none() && fraction < EMPTY {
        return Err(Error::bad_input(format!(
            "{}: the images are too far apart: the mosaic would have {nx} x {ny} pixels, of which they cover {:.1e} %. \
             Leave some out, or name a grid with --like",
            request.output.display(),
            100.0 * fraction
        )));
    }
    if request.like.is_none() && fraction < SPARSE {
        tracing::warn!(
            "{}: the images are far apart: the mosaic has {nx} x {ny} pixels ({:.2} GB with its weights), of which they \
             cover {:.2} % at most",
            request.output.display(),
            needed as f64 / 1e9,
            100.0 * fraction
        );
    }
    Ok(())
}

/// Adds up the images and writes mosaic and weights; one image is in memory at a time.
///
/// # Errors
/// Images that cannot be read, are cubes, or have no celestial coordinates, no data or no noise.
pub(crate) fn write(request: &MosaicRequest<'_>) -> Result<MosaicSummary> {
    let inputs = request.inputs.iter().map(Opened::open).collect::<Result<Vec<_>>>()?;
    let (mut header, shape) = grid(request, &inputs)?;
    copy_beam(&inputs[0].header, &mut header);
    check_extent(request, &inputs, &header, shape)?;
    let target = request.common_beam.then(|| inputs.iter().map(|i| i.beam).collect::<Option<Vec<Beam>>>());
    let target = target.flatten().and_then(|all| common_beam(&all));
    let beam = target.or(inputs[0].beam);
    if let Some(beam) = target {
        for (key, value) in [("BMAJ", beam.major_deg), ("BMIN", beam.minor_deg), ("BPA", beam.pa_deg)] {
            header.set_f64(key, value);
        }
    }
    let others = inputs.iter().filter(|other| other.beam != beam).map(|other| other.input.image.clone());
    let (convolved, other_beams) =
        if target.is_some() { (others.collect(), Vec::new()) } else { (Vec::new(), others.collect()) };
    let wcs = CelestialWcs::from_header(&header).map_err(|e| Error::bad_input(e.to_string()))?;
    let mut sum = Mosaic::new(wcs, shape, request.cutoff);
    for input in &inputs {
        input.add_to(&mut sum, target.as_ref())?;
    }
    let (sky, weight) = sum.finish();
    let axes = inputs[0].axes;
    let seen = weight.iter().filter(|w| **w > 0.0).count();
    write_plane(request.output, sky.view(), PixelType::F32, &header, axes)?;
    header.set_str("BUNIT", "1/variance");
    write_plane(request.weights, weight.view(), PixelType::F32, &header, axes)?;
    Ok(MosaicSummary { shape, seen, beam, convolved, other_beams })
}

/// The values are per beam, as they are where no unit is given.
fn per_beam(header: &Header) -> bool {
    header.get("BUNIT").is_none_or(|unit| unit.trim().is_empty() || unit.to_lowercase().contains("beam"))
}

/// An image with the beam `from` as one with the beam `to` would be: peaks of point sources in Jy/beam stay.
pub(in crate::image) fn convolved_to(
    plane: Array2<f32>,
    from: &Beam,
    to: &Beam,
    wcs: &CelestialWcs,
    per_beam: bool,
) -> Array2<f32> {
    let (from_sky, to_sky) = (from.covariance(), to.covariance());
    let missing = [0, 1, 2].map(|i| to_sky[i] - from_sky[i]);
    let mut plane = gaussian_convolution(plane.view(), &in_pixels(missing, wcs));
    if per_beam {
        let ratio = (to.major_deg * to.minor_deg / (from.major_deg * from.minor_deg)) as f32;
        plane.par_mapv_inplace(|v| v * ratio);
    }
    plane
}

/// A covariance on the sky (east-east, east-north, north-north, degrees squared) in pixels at the reference position:
/// grids may be turned or mirrored.
fn in_pixels([ee, en, nn]: [f64; 3], wcs: &CelestialWcs) -> Covariance {
    /// Degrees over which the grid is straight, and long enough for double precision.
    const STEP: f64 = 1e-4;
    let centre = wcs.reference();
    let at = |east: f64, north: f64| {
        let lat = centre.lat_deg + north * STEP;
        wcs.sky_to_pixel(SkyPosition { lon_deg: centre.lon_deg + east * STEP / lat.to_radians().cos(), lat_deg: lat })
    };
    let slope = |east: f64, north: f64| match (at(-east, -north), at(east, north)) {
        (Some(a), Some(b)) => [(b.0 - a.0) / (2.0 * STEP), (b.1 - a.1) / (2.0 * STEP)],
        // At a pole; any straight grid has this scale.
        _ => [-east / wcs.pixel_area().sqrt(), north / wcs.pixel_area().sqrt()],
    };
    let (e, n) = (slope(1.0, 0.0), slope(0.0, 1.0));
    let product = |i: usize, j: usize| ee * e[i] * e[j] + en * (e[i] * n[j] + n[i] * e[j]) + nn * n[i] * n[j];
    Covariance { xx: product(0, 0), xy: product(0, 1), yy: product(1, 1) }
}

fn open_plane(path: &Path) -> Result<FitsImage> {
    let image = FitsImage::open(path)?;
    if image.channels() * image.polarisations() > 1 {
        return Err(ImageError::Unsuitable {
            path: path.to_path_buf(),
            reason: format!(
                "has {} channels and {} polarisations; an image of one plane was expected",
                image.channels(),
                image.polarisations()
            ),
        }
        .into());
    }
    Ok(image)
}

fn copy_beam(from: &Header, to: &mut Header) {
    for key in ["BMAJ", "BMIN", "BPA"] {
        match from.get_f64(key) {
            Some(value) => to.set_f64(key, value),
            None => to.remove(key),
        }
    }
    if let Some(unit) = from.get("BUNIT") {
        to.set_str("BUNIT", &unit);
    }
}

/// The frequency of an image, Hz.
fn frequency(path: &Path, header: &Header) -> Result<f64> {
    (1..=4)
        .find(|axis| header.get(&format!("CTYPE{axis}")).is_some_and(|t| t.to_uppercase().starts_with("FREQ")))
        .and_then(|axis| header.get_f64(&format!("CRVAL{axis}")))
        .or_else(|| header.get_f64("RESTFRQ"))
        .filter(|&f| f > 0.0)
        .ok_or_else(|| {
            ImageError::Unsuitable {
                path: path.to_path_buf(),
                reason: "has no frequency in its header (an axis of type FREQ, or RESTFRQ), which the size of the \
                         primary beam of a dish follows from"
                    .into(),
            }
            .into()
        })
}
