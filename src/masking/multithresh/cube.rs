//! The residual of one call and all that belongs to it, checked to fit.

use super::{CycleInputs, MultithreshError, MultithreshOptions};
use crate::image::psf::{Sidelobes, sidelobes_by_channel};
use crate::image::wcs::pixel_position_angle;
use crate::image::{Beam, BeamTable, FitsImage, Header, PixelBeam, PixelType, PlaneKind, PlaneWriter};
use crate::kernels::bitmask::BitMask;
use ndarray::ArrayView2;
use std::path::Path;

/// Length of a restoring beam, in sides of the image, beyond which it cannot be one.
const WIDEST_BEAM: f64 = 10.0;

/// FITS value of Stokes I on a STOKES axis.
const STOKES_I: f64 = 1.0;

/// The residual and everything that belongs to it, checked to fit.
pub(super) struct Cube<'a> {
    pub(super) inputs: &'a CycleInputs,
    pub(super) options: &'a MultithreshOptions,
    pub(super) axes: Vec<usize>,
    /// Kinds of axes 3 and 4.
    pub(super) kinds: Vec<PlaneKind>,
    pub(super) shape: (usize, usize),
    pub(super) channels: usize,
    pub(super) polarisations: usize,
    pub(super) polarisation: usize,
    pub(super) header: Header,
    pub(super) pixel_deg: f64,
    pub(super) beam: Beam,
}

impl<'a> Cube<'a> {
    pub(super) fn open(inputs: &'a CycleInputs, options: &'a MultithreshOptions) -> Result<Self, MultithreshError> {
        let residual = FitsImage::open(&inputs.residual)?;
        let pixel_deg = residual.pixel_deg()?;
        let cube = Self {
            inputs,
            options,
            axes: residual.axes().to_vec(),
            kinds: residual.plane_kinds().to_vec(),
            shape: residual.plane_shape(),
            channels: residual.channels(),
            polarisations: residual.polarisations(),
            polarisation: stokes_i(&residual),
            header: residual.header().clone(),
            pixel_deg,
            beam: find_beam(inputs, &residual)?,
        };
        let (beam, side) = (cube.beam.major_deg / pixel_deg, cube.shape.0.max(cube.shape.1));
        if beam > WIDEST_BEAM * side as f64 {
            return Err(MultithreshError::Unfit {
                path: inputs.residual.clone(),
                reason: format!(
                    "the restoring beam is {beam:.0} pixels long, the image has {side}: the fit to the PSF has failed; \
                     smaller pixels help, or another beam"
                ),
            });
        }
        if options.pbmask > 0.0 && inputs.pb.is_none() {
            return Err(MultithreshError::Missing(format!(
                "pbmask is {}, which needs the primary beam (--pb)",
                options.pbmask
            )));
        }
        for path in [&inputs.pb, &inputs.pixelmask, &inputs.initial_mask].into_iter().flatten() {
            residual.check_same_sky(&cube.open_companion(path)?)?;
        }
        Ok(cube)
    }

    /// The beam in pixels, turned as the axes are.
    pub(super) fn pixel_beam(&self) -> PixelBeam {
        self.on_pixels(self.beam)
    }

    fn on_pixels(&self, beam: Beam) -> PixelBeam {
        let pa_deg = pixel_position_angle(&self.header, beam.pa_deg);
        Beam { pa_deg, ..beam }.in_pixels(self.pixel_deg)
    }

    /// Opens an image that must fit the residual: the same plane size, one channel or as many.
    pub(super) fn open_companion(&self, path: &Path) -> Result<FitsImage, MultithreshError> {
        let image = FitsImage::open(path)?;
        let residual = self.inputs.residual.display();
        let unfit = |reason: String| MultithreshError::Unfit { path: path.into(), reason };
        if image.plane_shape() != self.shape {
            let ((ny, nx), (ry, rx)) = (image.plane_shape(), self.shape);
            return Err(unfit(format!("has {nx} x {ny} pixels, but {residual} has {rx} x {ry}")));
        }
        if image.channels() != 1 && image.channels() != self.channels {
            return Err(unfit(format!(
                "has {} channels, but {residual} has {}; one or as many were expected",
                image.channels(),
                self.channels
            )));
        }
        Ok(image)
    }

    /// The beam of one channel in pixels: of its residual, of its PSF, or that of all.
    pub(super) fn pixel_beam_of(
        &self,
        channel: usize,
        residual: &FitsImage,
        psf: Option<&FitsImage>,
    ) -> Result<PixelBeam, MultithreshError> {
        let own = |image: &FitsImage| image.plane_beam(0, image.matching_plane(0, channel).1);
        let residual = own(residual)?;
        let beam = match (residual, psf) {
            (None, Some(psf)) => own(psf)?,
            (beam, _) => beam,
        };
        Ok(self.on_pixels(beam.unwrap_or(self.beam)))
    }

    /// The PSF's sidelobes, channel by channel.
    pub(super) fn sidelobes_of(&self, psf: &Path) -> Result<Vec<Sidelobes>, MultithreshError> {
        let mut image = FitsImage::open(psf)?;
        // Each plane's own fitted beam: the PSF's table, then its header, then what is known of the residual.
        let fitting = |table: Option<BeamTable>, channels: usize| {
            table.map(|t| t.of_polarisation(0).to_vec()).filter(|beams| beams.len() == channels)
        };
        let beams = fitting(BeamTable::read(psf)?, image.channels())
            .or_else(|| image.beam().map(|b| vec![b]))
            .or(fitting(BeamTable::read(&self.inputs.residual)?, image.channels()))
            .unwrap_or_else(|| vec![self.beam]);
        Ok(sidelobes_by_channel(&mut image, &beams)?)
    }

    pub(super) fn mask_writer(&self, path: &Path) -> Result<PlaneWriter, MultithreshError> {
        let mut header = self.header.clone();
        for key in ["CASAMBM", "BTYPE", "BUNIT"] {
            header.remove(key);
        }
        header.add_history("cleanloop automask: 1 where cleaning is allowed");
        Ok(PlaneWriter::create(path, &self.axes, PixelType::U8, &header, false)?)
    }

    pub(super) fn write_mask(
        &self,
        writer: &mut PlaneWriter,
        channel: usize,
        mask: &BitMask,
        bytes: &mut [u8],
    ) -> Result<(), MultithreshError> {
        let (_, nx) = self.shape;
        bytes.fill(0);
        for (y, row) in bytes.chunks_exact_mut(nx).enumerate() {
            mask.for_each_run(y, |x0, x1| row[x0..x1].fill(1));
        }
        for polarisation in 0..self.polarisations {
            let index = self.plane_index(polarisation, channel);
            writer.write_plane(index, ArrayView2::from_shape(self.shape, bytes).expect("a plane"))?;
        }
        Ok(())
    }

    /// Position of a plane in a file of the residual's axes, counted in planes.
    pub(super) fn plane_index(&self, polarisation: usize, channel: usize) -> usize {
        let (mut index, mut stride) = (0, 1);
        for (kind, &n) in self.kinds.iter().zip(&self.axes[2..]) {
            let place = match kind {
                PlaneKind::Channel => channel,
                PlaneKind::Polarisation => polarisation,
            };
            index += stride * place.min(n - 1);
            stride *= n;
        }
        index
    }

    /// The residual's header for a cube of channels only: one mask serves all polarisations, and compressed images
    /// have at most three axes.
    pub(super) fn state_header(&self) -> Header {
        let mut header = self.header.clone();
        for key in ["CASAMBM", "BTYPE", "BUNIT", "WCSAXES"] {
            header.remove(key);
        }
        let of_channels = self.kinds.iter().position(|kind| *kind == PlaneKind::Channel).map(|i| i + 3);
        let text = |key: &str| of_channels.and_then(|axis| self.header.get(&format!("{key}{axis}")));
        let number = |key: &str| of_channels.and_then(|axis| self.header.get_f64(&format!("{key}{axis}")));
        for axis in 3..=self.axes.len().max(4) {
            for key in ["CTYPE", "CUNIT", "CRVAL", "CRPIX", "CDELT", "CROTA"] {
                header.remove(&format!("{key}{axis}"));
            }
            for other in 1..=self.axes.len().max(4) {
                for key in ["PC", "CD"] {
                    header.remove(&format!("{key}{axis}_{other}"));
                    header.remove(&format!("{key}{other}_{axis}"));
                }
            }
        }
        header.set_str("CTYPE3", text("CTYPE").as_deref().unwrap_or("CHANNEL"));
        if let Some(unit) = text("CUNIT") {
            header.set_str("CUNIT3", &unit);
        }
        for key in ["CRVAL", "CRPIX", "CDELT"] {
            if let Some(value) = number(key) {
                header.set_f64(&format!("{key}3"), value);
            }
        }
        header.add_history("cleanloop automask state: 1 positive mask, 2 other mask (absorption, initial)");
        header
    }
}

/// FITS number of the Stokes axis.
fn stokes_axis(header: &Header) -> Option<usize> {
    (3..=9).find(|i| header.get(&format!("CTYPE{i}")).is_some_and(|c| c.to_uppercase().starts_with("STOKES")))
}

/// The polarisation that decides: Stokes I, or the first one where there is no I.
fn stokes_i(image: &FitsImage) -> usize {
    let Some(axis) = stokes_axis(image.header()) else { return 0 };
    let key = |name: &str, default: f64| image.header().get_f64(&format!("{name}{axis}")).unwrap_or(default);
    (0..image.polarisations())
        .find(|&i| {
            let value = key("CRVAL", 1.0) + (i as f64 + 1.0 - key("CRPIX", 1.0)) * key("CDELT", 1.0);
            (value - STOKES_I).abs() < 0.5
        })
        .unwrap_or(0)
}

/// The common beam: as given, the residual's table or header, or the PSF's.
fn find_beam(inputs: &CycleInputs, residual: &FitsImage) -> Result<Beam, MultithreshError> {
    if let Some(beam) = inputs.beam {
        return Ok(beam);
    }
    let common = |image: &FitsImage| match image.beams_differ() {
        true => Ok(image.beam()),
        false => (0..image.channels()).find_map(|c| image.plane_beam(0, c).transpose()).transpose(),
    };
    if let Some(beam) = common(residual)? {
        return Ok(beam);
    }
    if let Some(psf) = &inputs.psf
        && let Some(beam) = common(&FitsImage::open(psf)?)?
    {
        return Ok(beam);
    }
    // As tclean itself does.
    if let Some(beam) = residual.unfitted_beam() {
        return Ok(beam);
    }
    Err(MultithreshError::Unfit {
        path: inputs.residual.clone(),
        reason: "has no restoring beam (BMAJ, BMIN, BPA or a table BEAMS), and neither has a PSF; give --beam".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::write_plane;
    use ndarray::Array2;

    #[test]
    fn companions_are_on_the_grid_of_the_residual() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, ra: f64| {
            let mut header = Header::default();
            header.set_str("CTYPE1", "RA---SIN");
            header.set_str("CTYPE2", "DEC--SIN");
            let numbers = [("CRPIX1", 10.0), ("CRPIX2", 10.0), ("CRVAL1", ra), ("CRVAL2", 0.0), ("CDELT1", -1e-3)];
            let beam = [("CDELT2", 1e-3), ("BMAJ", 4e-3), ("BMIN", 3e-3), ("BPA", 0.0)];
            numbers.into_iter().chain(beam).for_each(|(key, value)| header.set_f64(key, value));
            write_plane(at(name), Array2::<f32>::ones((20, 20)).view(), PixelType::F32, &header, 4).unwrap();
            at(name)
        };
        let residual = write("residual.fits", 10.0);
        let open = |pb: &Path| {
            let inputs =
                CycleInputs { residual: residual.clone(), pb: Some(pb.to_path_buf()), ..CycleInputs::default() };
            Cube::open(&inputs, &MultithreshOptions::default()).map(|_| ())
        };
        open(&write("here.fits", 10.0)).unwrap();
        let error = open(&write("there.fits", 10.01)).unwrap_err().to_string();
        assert!(error.contains("there.fits") && error.contains("residual.fits"), "{error}");
    }
}
