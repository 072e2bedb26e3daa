//! Models of components, put on the grid of an image.

mod angles;
mod list;

pub(crate) use angles::{coordinate, number};
pub(crate) use list::{read_list, read_model};

use super::{Beam, CelestialWcs, FitsImage, Frame, ImageError, PixelType, PlaneWriter, SkyPosition};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Standard deviations out to which a Gaussian is drawn.
const GAUSSIAN_REACH: f64 = 4.0;

/// A component of a model of the sky.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Component {
    /// Its centre, ICRS.
    pub position: SkyPosition,
    /// Its flux, Jy.
    pub flux: f64,
    /// The Gaussian that it is; `None`: a point.
    pub shape: Option<Beam>,
}

/// A point at the reference position of an image, which is where its phase centre is.
pub(crate) fn at_centre(like: &Path, flux: f64) -> Result<Component, ImageError> {
    let image = FitsImage::open(like)?;
    let wcs = image.wcs()?;
    Ok(Component { position: wcs.reference().in_frame(wcs.frame(), Frame::Icrs), flux, shape: None })
}

/// Writes components as a model (`model.fits`, Jy/pixel, and its channels and further terms) on the grid of each of the
/// `model*.fits` in the folder of `like`: points in the pixel that is nearest. Returns the path of `model.fits`.
///
/// # Errors
/// No component lies on the image; images that cannot be read or written.
pub(crate) fn write_like(components: &[Component], like: &Path, folder: &Path) -> Result<PathBuf, ImageError> {
    let stem = like.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut files: Vec<PathBuf> = std::fs::read_dir(like.parent().unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| of_stem(path, &stem))
        .collect();
    files.sort();
    for file in &files {
        let name = file.file_name().unwrap_or_default();
        // Further Taylor terms and polarisations other than the parallel hands hold nothing.
        let words = name.to_string_lossy();
        let empty = words.contains(".tt") && !words.contains(".tt0") || words.split(['-', '.']).any(without_flux);
        write_one(if empty { &[] } else { components }, file, &folder.join(name))?;
    }
    Ok(folder.join(like.file_name().unwrap_or_default()))
}

/// Whether a file is the model of this stem, or that of a channel or term.
fn of_stem(path: &Path, stem: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(".fits"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || rest.starts_with(".tt"))
}

/// Whether a part of a file's name is a polarisation in which unpolarised sources have no flux.
fn without_flux(part: &str) -> bool {
    ["Q", "U", "V", "XY", "YX", "RL", "LR"].contains(&part) || part.ends_with("i") && part.len() == 3
}

fn write_one(components: &[Component], like: &Path, file: &Path) -> Result<(), ImageError> {
    let image = FitsImage::open(like)?;
    let plane = draw(components, &image.wcs()?, image.pixel_deg()?, image.plane_shape());
    if !components.is_empty() && plane.iter().all(|v| *v == 0.0) {
        let reason = format!("none of the {} components of the start model lies on this image", components.len());
        return Err(ImageError::Unsuitable { path: like.to_path_buf(), reason });
    }
    let mut header = image.header().clone();
    header.set_str("BUNIT", "JY/PIXEL");
    let mut writer = PlaneWriter::create(file, image.axes(), PixelType::F32, &header, false)?;
    let empty = Array2::<f32>::zeros(plane.raw_dim());
    for polarisation in 0..image.polarisations() {
        for channel in 0..image.channels() {
            // Of several polarisations the first is Stokes I or a parallel hand.
            let plane = if polarisation == 0 { plane.view() } else { empty.view() };
            writer.write_plane(image.plane_index(polarisation, channel), plane)?;
        }
    }
    writer.finish()
}

/// The components on a plane `[y, x]` with pixels of `pixel` degrees, Jy/pixel.
fn draw(components: &[Component], wcs: &CelestialWcs, pixel: f64, (ny, nx): (usize, usize)) -> Array2<f32> {
    let mut plane = Array2::<f64>::zeros((ny, nx));
    let mut add = |x: f64, y: f64, flux: f64| {
        if (-0.5..nx as f64 - 0.5).contains(&x) && (-0.5..ny as f64 - 0.5).contains(&y) {
            plane[(y.round().max(0.0) as usize, x.round().max(0.0) as usize)] += flux;
        }
    };
    for component in components {
        let position = component.position.in_frame(Frame::Icrs, wcs.frame());
        let Some((x, y)) = wcs.sky_to_pixel(position) else { continue };
        match component.shape {
            None => add(x, y, component.flux),
            Some(shape) => {
                let (offsets, weights) = gaussian(&shape, pixel);
                let total: f64 = weights.iter().sum();
                for ((east, north), weight) in offsets.into_iter().zip(weights) {
                    let at = component.position.offset(east.atan2(north).to_degrees(), east.hypot(north) * pixel);
                    if let Some((x, y)) = wcs.sky_to_pixel(at.in_frame(Frame::Icrs, wcs.frame())) {
                        add(x, y, component.flux * weight / total);
                    }
                }
            }
        }
    }
    plane.mapv(|v| v as f32)
}

/// Offsets (east, north, in pixels of `pixel` degrees) and weights of a Gaussian.
fn gaussian(shape: &Beam, pixel: f64) -> (Vec<(f64, f64)>, Vec<f64>) {
    let [ee, en, nn] = shape.covariance().map(|v| v / (pixel * pixel));
    // Narrower than a pixel it is a point.
    let (ee, nn) = (ee.max(1e-3), nn.max(1e-3));
    let determinant = (ee * nn - en * en).max(1e-9);
    let reach = (GAUSSIAN_REACH * ee.max(nn).sqrt()).ceil() as i64;
    let offsets: Vec<(f64, f64)> =
        (-reach..=reach).flat_map(|e| (-reach..=reach).map(move |n| (e as f64, n as f64))).collect();
    let weight = |&(e, n): &(f64, f64)| (-0.5 * (nn * e * e - 2.0 * en * e * n + ee * n * n) / determinant).exp();
    let weights = offsets.iter().map(weight).collect();
    (offsets, weights)
}

#[cfg(test)]
mod tests;
