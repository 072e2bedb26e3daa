//! A linear mosaic: the images of a field's beams on one grid, so that one mask can be made for the whole field.
//!
//! Pixels that several beams see are averaged with the weights of least noise: with primary-beam response A and noise
//! sigma of each image I (not corrected for the primary beam), the mosaic is sum(A I / sigma^2) / sum(A^2 / sigma^2)
//! (Cornwell 1988; the `linmos` of MIRIAD and ASKAPsoft). It is corrected for the primary beam; its noise is
//! 1 / sqrt(sum(A^2 / sigma^2)).

pub(crate) mod files;

use super::{CelestialWcs, Header, SkyPosition, WcsError};
use ndarray::{Array2, ArrayView2, Axis, Zip, s};
use rayon::prelude::*;

/// Full width at half maximum of a dish's primary beam in wavelengths over diameters (as ASKAPsoft's linmos).
pub const PRIMARY_BEAM_WIDTH: f64 = 1.09;
/// Where an image's response is below this, it takes no part.
pub const DEFAULT_CUTOFF: f64 = 0.1;
/// Speed of light, metres a second.
const LIGHT: f64 = 299_792_458.0;
/// Steps along each edge of an image when its outline is mapped.
const OUTLINE_STEPS: usize = 16;

/// The primary-beam response over an image, 1 at its maximum.
#[derive(Debug, Clone, Copy)]
pub enum Response<'a> {
    /// 1 everywhere: unknown, or the images are corrected already.
    Unity,
    /// A map on the image's own grid, `[y, x]`.
    Map(ArrayView2<'a, f32>),
    /// A Gaussian on the sky.
    Gaussian {
        /// Its centre in the image's frame.
        centre: SkyPosition,
        /// Full width at half maximum, degrees.
        fwhm_deg: f64,
    },
}

/// Full width at half maximum, in degrees, of the primary beam of a dish of `diameter` metres at `frequency` Hz.
pub fn primary_beam_fwhm(diameter: f64, frequency: f64) -> f64 {
    (PRIMARY_BEAM_WIDTH * LIGHT / frequency / diameter).to_degrees()
}

/// A mosaic in the making: images are added one at a time.
#[derive(Debug)]
pub struct Mosaic {
    wcs: CelestialWcs,
    cutoff: f64,
    /// Sum of A I / sigma^2, and of A^2 / sigma^2, `[y, x]`.
    sum: Array2<f32>,
    weight: Array2<f32>,
}

impl Mosaic {
    /// An empty mosaic of `shape` `(ny, nx)`.
    pub fn new(wcs: CelestialWcs, shape: (usize, usize), cutoff: f64) -> Self {
        Self { wcs, cutoff, sum: Array2::zeros(shape), weight: Array2::zeros(shape) }
    }

    /// Adds an image, `[y, x]`, with noise `sigma` in its unit, interpolated linearly between its pixels.
    ///
    /// Pixels without data, and those of a response below the cutoff, take no part. Weights are in the unit of the
    /// image to the power of -2; scaling all sigmas together changes nothing but them.
    ///
    /// # Panics
    /// When a response map has another shape than the image.
    pub fn add(&mut self, image: ArrayView2<'_, f32>, wcs: &CelestialWcs, sigma: f64, response: Response<'_>) {
        if let Response::Map(map) = response {
            assert_eq!(map.dim(), image.dim(), "response and image have the same grid");
        }
        let Some((xs, ys)) = covered(wcs, image.dim(), &self.wcs, self.sum.dim()) else { return };
        let to_image = self.wcs.to_pixels_of(wcs);
        let per_variance = sigma.powi(-2);
        let cutoff = self.cutoff;
        let (x0, y0) = (xs.start, ys.start);
        let mut sum = self.sum.slice_mut(s![ys.clone(), xs.clone()]);
        let mut weight = self.weight.slice_mut(s![ys, xs]);
        sum.axis_iter_mut(Axis(0)).into_par_iter().zip(weight.axis_iter_mut(Axis(0))).enumerate().for_each(
            |(y, (mut sum, mut weight)): (
                usize,
                (ndarray::ArrayViewMut1<'_, f32>, ndarray::ArrayViewMut1<'_, f32>),
            )| {
                for (x, (sum, weight)) in sum.iter_mut().zip(weight.iter_mut()).enumerate() {
                    let Some((ix, iy)) = to_image.map((x0 + x) as f64, (y0 + y) as f64) else { continue };
                    let Some(value) = bilinear(image, ix, iy) else { continue };
                    let a = match response {
                        Response::Unity => Some(1.0),
                        Response::Map(map) => bilinear(map, ix, iy),
                        Response::Gaussian { centre, fwhm_deg } => wcs
                            .pixel_to_sky(ix, iy)
                            .map(|p| (-4.0 * std::f64::consts::LN_2 * (p.separation(centre) / fwhm_deg).powi(2)).exp()),
                    };
                    let Some(a) = a.filter(|&a| a > 0.0 && a >= cutoff) else { continue };
                    *sum += (a * value * per_variance) as f32;
                    *weight += (a * a * per_variance) as f32;
                }
            },
        );
    }

    /// The mosaic and its weight (the inverse of the variance); NaN and 0 where no image has data.
    pub fn finish(self) -> (Array2<f32>, Array2<f32>) {
        let Self { mut sum, weight, .. } = self;
        Zip::from(&mut sum).and(&weight).par_for_each(|s, &w| *s = if w > 0.0 { *s / w } else { f32::NAN });
        (sum, weight)
    }
}

/// The value between four pixels; `None` outside the image or where a pixel that counts has no data.
fn bilinear(image: ArrayView2<'_, f32>, x: f64, y: f64) -> Option<f64> {
    /// Rounding of the coordinate transformation, pixels.
    const TOLERANCE: f64 = 1e-6;
    let (ny, nx) = image.dim();
    let axis = |v: f64, size: usize| -> Option<(usize, usize, f64)> {
        let last = (size - 1) as f64;
        if !(-TOLERANCE..=last + TOLERANCE).contains(&v) {
            return None;
        }
        let v = v.clamp(0.0, last);
        let v = if (v - v.round()).abs() < TOLERANCE { v.round() } else { v };
        let low = v.floor() as usize;
        Some((low, (low + 1).min(size - 1), v - low as f64))
    };
    let ((x0, x1, u), (y0, y1, v)) = (axis(x, nx)?, axis(y, ny)?);
    let mut value = 0.0;
    for (y, wy) in [(y0, 1.0 - v), (y1, v)] {
        for (x, wx) in [(x0, 1.0 - u), (x1, u)] {
            if wx * wy > 0.0 {
                value += wx * wy * f64::from(image[[y, x]]);
            }
        }
    }
    value.is_finite().then_some(value)
}

type PixelRange = std::ops::Range<usize>;

/// Columns and rows of `target` that an image can fall on.
fn covered(
    image: &CelestialWcs,
    image_shape: (usize, usize),
    target: &CelestialWcs,
    (ny, nx): (usize, usize),
) -> Option<(PixelRange, PixelRange)> {
    let points: Vec<_> = outline(image_shape).map(|(x, y)| image.to_pixels_of(target).map(x, y)).collect();
    if points.iter().any(Option::is_none) {
        return Some((0..nx, 0..ny));
    }
    let range = |pick: fn(&(f64, f64)) -> f64, size: usize| {
        let (low, high) =
            points.iter().flatten().map(pick).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        // The outline bends between its points.
        let rim = 2.0 + (high - low) / 50.0;
        let end = ((high + rim).max(0.0) as usize + 1).min(size);
        ((low - rim).max(0.0) as usize).min(end)..end
    };
    let (xs, ys) = (range(|p| p.0, nx), range(|p| p.1, ny));
    (!xs.is_empty() && !ys.is_empty()).then_some((xs, ys))
}

/// Points along the edges of an image.
fn outline((ny, nx): (usize, usize)) -> impl Iterator<Item = (f64, f64)> {
    let (right, top) = ((nx - 1) as f64, (ny - 1) as f64);
    (0..=OUTLINE_STEPS).flat_map(move |i| {
        let t = i as f64 / OUTLINE_STEPS as f64;
        [(t * right, 0.0), (t * right, top), (0.0, t * top), (right, t * top)]
    })
}

/// Header (based on the first image's) and shape `(ny, nx)` of the smallest SIN grid, north up, that holds all images.
///
/// Its centre is the mean of the images' centres and its pixels are the smallest of theirs. Images around a pole, where
/// north is no one direction, get the grid about the pole that is as the first image's if that is smaller.
///
/// # Errors
/// An image whose centre or outline has no position, or that lies too far away from the others for one projection.
pub fn common_grid(images: &[(&Header, &CelestialWcs, (usize, usize))]) -> Result<(Header, (usize, usize)), WcsError> {
    let (first, frame) = (images[0].1, images[0].1.frame());
    let (mut mean, mut pixel) = ([0.0; 3], f64::MAX);
    for (_, wcs, (ny, nx)) in images {
        let centre = wcs
            .pixel_to_sky((*nx as f64 - 1.0) / 2.0, (*ny as f64 - 1.0) / 2.0)
            .ok_or_else(|| unusable("the centre of an image has no position on the sky"))?;
        let v = centre.in_frame(wcs.frame(), frame).to_vector();
        mean.iter_mut().zip(v).for_each(|(m, v)| *m += v);
        pixel = pixel.min(wcs.pixel_area().sqrt());
    }
    let centre = SkyPosition::from_vector(mean);
    let grid = grid_about(centre, pixel, images);
    let pole = SkyPosition { lon_deg: first.reference().lon_deg, lat_deg: 90f64.copysign(centre.lat_deg) };
    let holds_pole = |(_, (ny, nx)): &(Header, (usize, usize))| {
        centre.separation(pole) <= 0.5 * pixel * (*ny as f64).hypot(*nx as f64)
    };
    if !grid.as_ref().is_ok_and(holds_pole) {
        return grid;
    }
    let (usual, polar) = (grid?, grid_about(pole, pixel, images));
    let area = |shape: (usize, usize)| shape.0.saturating_mul(shape.1);
    Ok(polar.ok().filter(|polar| area(polar.1) < area(usual.1)).unwrap_or(usual))
}

fn unusable(what: &str) -> WcsError {
    WcsError::Unusable(format!("{what}; name a grid with --like"))
}

/// The smallest SIN grid about `centre` that holds all images.
fn grid_about(
    centre: SkyPosition,
    pixel: f64,
    images: &[(&Header, &CelestialWcs, (usize, usize))],
) -> Result<(Header, (usize, usize)), WcsError> {
    let mut header = images[0].0.clone();
    for key in ["CROTA1", "CROTA2", "LONPOLE", "LATPOLE"] {
        header.remove(key);
    }
    for (i, j) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        for key in [format!("CD{i}_{j}"), format!("PC{i}_{j}"), format!("PC{i:03}{j:03}"), format!("PV{i}_{j}")] {
            header.remove(&key);
        }
    }
    let galactic = images[0].1.frame() == crate::image::Frame::Galactic;
    for (axis, kind) in [(1, ["RA---SIN", "GLON-SIN"]), (2, ["DEC--SIN", "GLAT-SIN"])] {
        header.set_str(&format!("CTYPE{axis}"), kind[usize::from(galactic)]);
        header.set_f64(&format!("CRPIX{axis}"), 1.0);
    }
    header.set_f64("CRVAL1", centre.lon_deg);
    header.set_f64("CRVAL2", centre.lat_deg);
    header.set_f64("CDELT1", -pixel);
    header.set_f64("CDELT2", pixel);
    let grid = CelestialWcs::from_header(&header)?;
    let mut bounds = [(f64::MAX, f64::MIN); 2];
    for (_, wcs, shape) in images {
        let map = wcs.to_pixels_of(&grid);
        for (x, y) in outline(*shape) {
            let (x, y) = map.map(x, y).ok_or_else(|| unusable("an image is too far from the mean position"))?;
            for (range, v) in bounds.iter_mut().zip([x, y]) {
                *range = (range.0.min(v), range.1.max(v));
            }
        }
    }
    let [xs, ys] = bounds.map(|(low, high)| ((low + 1e-6).floor(), (high - 1e-6).ceil()));
    header.set_f64("CRPIX1", 1.0 - xs.0);
    header.set_f64("CRPIX2", 1.0 - ys.0);
    // Casts saturate.
    let side = |(low, high): (f64, f64)| ((high - low) as usize).saturating_add(1);
    Ok((header, (side(ys), side(xs))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn header(ra: f64, more: &[(&str, f64)]) -> Header {
        let mut header = Header::default();
        header.set_str("CTYPE1", "RA---SIN");
        header.set_str("CTYPE2", "DEC--SIN");
        let usual =
            [("CRPIX1", 3.0), ("CRPIX2", 2.0), ("CRVAL1", ra), ("CRVAL2", 0.0), ("CDELT1", -0.01), ("CDELT2", 0.01)];
        for (key, value) in usual.iter().chain(more) {
            header.set_f64(key, *value);
        }
        header
    }

    fn wcs(header: &Header) -> CelestialWcs {
        CelestialWcs::from_header(header).unwrap()
    }

    fn near(a: &Array2<f32>, b: &Array2<f32>, tolerance: f32) -> bool {
        a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance || (a.is_nan() && b.is_nan()))
    }

    #[test]
    fn one_image_on_its_own_grid_stays_as_it_is() {
        let h = header(10.0, &[]);
        let image = array![[1f32, 2., f32::NAN, 4., 5.], [6., 7., 8., 9., 10.], [1., 1., 2., 3., 5.]];
        let (common, shape) = common_grid(&[(&h, &wcs(&h), image.dim())]).unwrap();
        assert_eq!(shape, image.dim());
        let mut mosaic = Mosaic::new(wcs(&common), shape, DEFAULT_CUTOFF);
        mosaic.add(image.view(), &wcs(&h), 2.0, Response::Unity);
        let (sky, weight) = mosaic.finish();
        assert!(near(&sky, &image, 1e-5), "{sky}");
        assert_eq!(weight[[0, 2]], 0.0);
        assert_eq!(weight[[1, 1]], 0.25);
    }

    #[test]
    fn at_a_pole_the_grid_is_turned_like_the_images() {
        // The pole is in the middle of the first image; the second is a pixel away in both directions.
        let pole = |ra: f64, x: f64, y: f64, dec: f64| header(ra, &[("CRPIX1", x), ("CRPIX2", y), ("CRVAL2", dec)]);
        let shape = (101, 101);
        for dec in [90.0, -90.0] {
            let (a, b) = (pole(359.95, 51.0, 51.0, dec), pole(359.95, 52.0, 50.0, dec));
            let (_, grid) = common_grid(&[(&a, &wcs(&a), shape), (&b, &wcs(&b), shape)]).unwrap();
            assert_eq!(grid, (102, 102));
        }
        // Two fields on either side of 0h.
        let (a, b) = (header(359.99, &[]), header(0.01, &[]));
        let (_, (ny, nx)) = common_grid(&[(&a, &wcs(&a), (3, 5)), (&b, &wcs(&b), (3, 5))]).unwrap();
        assert!(ny <= 4 && nx <= 8, "{nx} x {ny}");
    }

    #[test]
    fn overlaps_are_averaged_with_the_inverse_of_the_variance() {
        // The second image is one pixel (0.01 degrees) further west: to the right. On the common grid, whose centre is
        // half-way, pixels of both fall between those of the mosaic.
        let (a, b) = (header(10.0, &[]), header(9.99, &[]));
        let shape = (3, 5);
        let (_, grid) = common_grid(&[(&a, &wcs(&a), shape), (&b, &wcs(&b), shape)]).unwrap();
        assert_eq!(grid, (3, 7));
        let mut mosaic = Mosaic::new(wcs(&a), (3, 6), DEFAULT_CUTOFF);
        mosaic.add(Array2::from_elem(shape, 1f32).view(), &wcs(&a), 1.0, Response::Unity);
        mosaic.add(Array2::from_elem(shape, 4f32).view(), &wcs(&b), 2f64.sqrt(), Response::Unity);
        let (sky, weight) = mosaic.finish();
        let row = [1., 2., 2., 2., 2., 4.];
        assert!(near(&sky, &Array2::from_shape_fn((3, 6), |(_, x)| row[x]), 1e-3), "{sky}");
        assert!((weight[[1, 2]] - 1.5).abs() < 1e-6 && (weight[[1, 5]] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_primary_beam_is_taken_out_and_cut_off() {
        let h = header(10.0, &[]);
        // Full width 0.04 degrees: half at 2 pixels from the centre (column 2, row 1).
        let centre = SkyPosition { lon_deg: 10.0, lat_deg: 0.0 };
        let beam = Response::Gaussian { centre, fwhm_deg: 0.04 };
        let attenuated = Array2::from_shape_fn((3, 5), |(y, x)| {
            let r2 = (x as f32 - 2.0).powi(2) + (y as f32 - 1.0).powi(2);
            3.0 * 0.5f32.powf(r2 / 4.0)
        });
        let mut mosaic = Mosaic::new(wcs(&h), (3, 5), 0.49);
        mosaic.add(attenuated.view(), &wcs(&h), 1.0, beam);
        let (sky, weight) = mosaic.finish();
        assert!((sky[[1, 0]] - 3.0).abs() < 1e-4 && (sky[[0, 2]] - 3.0).abs() < 1e-4);
        assert!(sky[[0, 0]].is_nan(), "beyond the cutoff");
        assert!((weight[[1, 2]] - 1.0).abs() < 1e-6 && (weight[[1, 0]] - 0.25).abs() < 1e-4);
        // The same as a map.
        let map = attenuated.mapv(|v| v / 3.0);
        let mut again = Mosaic::new(wcs(&h), (3, 5), 0.49);
        again.add(attenuated.view(), &wcs(&h), 1.0, Response::Map(map.view()));
        assert!(near(&again.finish().0, &sky, 1e-4));
    }

    #[test]
    fn a_dish_of_12_metres_sees_1_56_degrees_at_1_ghz() {
        // 1.09 x 0.29979 m / 12 m = 0.027231 rad.
        assert!((primary_beam_fwhm(12.0, 1e9) - 1.56023).abs() < 1e-4);
    }
}
