//! Pixels that a user puts into a mask and takes out of it.

use crate::Result;
use crate::image::{FitsImage, is_masked};
use crate::masking::combine::Operation;
use crate::masking::{MaskBits, regions};
use ndarray::{Array2, Zip};
use std::path::{Path, PathBuf};

/// Pixels of one plane, `[y, x]`, that are always in a mask and never in it; the latter win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPixels {
    /// Pixels that are always in the mask, at every scale.
    pub include: Option<Array2<bool>>,
    /// Pixels that are never in the mask.
    pub exclude: Option<Array2<bool>>,
}

impl UserPixels {
    /// The pixels that masks (FITS: neither 0 nor blank, of the image's size) and region files (DS9 or CRTF) name on the
    /// grid of `image`.
    ///
    /// # Errors
    /// A file that cannot be read, a mask of another size, sky regions for an image without celestial coordinates.
    pub fn load(include: &[PathBuf], exclude: &[PathBuf], image: &Path) -> Result<Self> {
        Ok(Self { include: pixels_of(include, image)?, exclude: pixels_of(exclude, image)? })
    }

    /// Applies them to a plain mask, `[y, x]`.
    pub(super) fn apply(&self, mask: &mut Array2<bool>) {
        if let Some(include) = &self.include {
            Operation::Union.apply(mask, include.view());
        }
        if let Some(exclude) = &self.exclude {
            Operation::Difference.apply(mask, exclude.view());
        }
    }

    /// Applies them to a mask of `scales` scales.
    pub(super) fn apply_to_scales(&self, mask: &mut MaskBits, scales: usize) {
        if let Some(include) = &self.include {
            (0..scales.max(1)).for_each(|bit| mask.set(bit, include.view()));
        }
        if let Some(exclude) = &self.exclude {
            mask.clear(exclude.view());
        }
    }
}

/// `None` without files.
fn pixels_of(files: &[PathBuf], image: &Path) -> Result<Option<Array2<bool>>> {
    if files.is_empty() {
        return Ok(None);
    }
    let image = FitsImage::open(image)?;
    let mut all = Array2::from_elem(image.plane_shape(), false);
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if [".fits", ".fits.gz", ".fits.fz", ".fit"].iter().any(|end| name.ends_with(end)) {
            let plane = image.companion(path)?.read_plane(0, 0)?;
            Zip::from(&mut all).and(&plane).for_each(|a, &v| *a |= is_masked(v));
        } else {
            let regions = regions::load(path)?;
            let wcs = image.wcs().ok();
            let pixels = regions::rasterise(&regions, wcs.as_ref(), image.plane_shape())?;
            Zip::from(&mut all).and(&pixels).for_each(|a, &v| *a |= v);
        }
    }
    Ok(Some(all))
}
