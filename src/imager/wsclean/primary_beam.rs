//! The user's primary beam: checked before the imaging, divided by after it.

use super::error::{CubeExtent, WscleanError};
use super::files;
use super::imaging::Imaging;
use crate::image::FitsImage;
use crate::imager::job::Products;

/// The beam is on the image's pixels, with one plane or one for each channel.
pub(crate) fn check(imaging: &Imaging) -> Result<(), WscleanError> {
    let Some(path) = imaging.primary_beam()? else { return Ok(()) };
    let image = FitsImage::open(&path)?;
    let (height, width) = image.plane_shape();
    let found = CubeExtent { width, height, planes: image.channels() };
    let (size, planes) = (imaging.options.size, imaging.options.planes());
    let fits = |pixels: usize| pixels as u64 == size;
    if !fits(width) || !fits(height) || (found.planes != 1 && found.planes != planes) {
        return Err(WscleanError::PrimaryBeamSize { path, found, size, planes });
    }
    Ok(())
}

/// Puts the beam beside the products, and makes the image divided by it.
pub(crate) fn correct(imaging: &Imaging, products: &mut Products) -> Result<(), WscleanError> {
    let (Some(path), Some(beam)) = (imaging.primary_beam()?, &imaging.options.primary_beam) else { return Ok(()) };
    let folder = &imaging.job.folder;
    let (pb, pbcor) = (folder.join("pb.fits"), folder.join("image.pbcor.fits"));
    // A copy: the user's file may be written again by its owner, in place.
    files::copy(&path, &pb)?;
    files::divide(&products.image, &pb, beam.limit, &pbcor)?;
    (products.pb, products.pbcor) = (Some(pb), Some(pbcor));
    Ok(())
}
