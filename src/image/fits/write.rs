//! Images written plane by plane, visible once they are whole.

use super::PixelType;
use super::cfitsio::{Handle, Pixel, c_path};
use crate::image::header::is_legal;
use crate::image::{Header, ImageError};
use crate::kernels::bitmask::{BitMask, unpack_row};
use crate::util::fs::folder_of;
use crate::util::temporary::{Temporary, beside};
use ndarray::ArrayView2;
use std::path::{Path, PathBuf};

/// Pixels of a mask that are written at once.
const BITS_AT_ONCE: usize = 1 << 19;

/// Writes an image plane by plane into a temporary file beside its destination; [`PlaneWriter::finish`] renames it.
/// Dropped before that, it leaves nothing.
pub struct PlaneWriter {
    path: PathBuf,
    /// Dropped before the file that it has open.
    handle: Option<Handle>,
    temporary: Temporary,
    plane_pixels: usize,
}

impl PlaneWriter {
    /// Creates a file of `axes` (x first) with the cards of `header`. A name that ends in `.gz` makes a gzipped file;
    /// `tile_compressed` makes a tile-compressed one (customarily `.fits.fz`). The umask decides its permissions.
    ///
    /// # Errors
    /// A folder that is absent or may not be written to, a full disk, cards or axes that cfitsio refuses.
    pub fn create(
        path: impl AsRef<Path>,
        axes: &[usize],
        pixel: PixelType,
        header: &Header,
        tile_compressed: bool,
    ) -> Result<Self, ImageError> {
        let path = path.as_ref().to_path_buf();
        // The suffix decides whether cfitsio compresses, so it stays at the end.
        let name = beside(&path);
        let fail = |reason: String| ImageError::Unwritable { path: path.clone(), reason };
        let folder = folder_of(&path);
        if !folder.is_dir() {
            return Err(fail(format!("the folder {} does not exist", folder.display())));
        }
        match std::fs::remove_file(&name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e.to_string())),
            _ => {}
        }
        let temporary = Temporary::at(name);
        if let Err(e) = std::fs::File::create(temporary.path()).and_then(|_| std::fs::remove_file(temporary.path())) {
            return Err(fail(e.to_string()));
        }
        let name = c_path(temporary.path()).ok_or_else(|| fail("its name holds a NUL byte".into()))?;
        let handle = Handle::create(&name).map_err(fail)?;
        let plane_pixels = axes[0] * axes.get(1).copied().unwrap_or(1);
        let mut writer = Self { path: path.clone(), temporary, handle: Some(handle), plane_pixels };
        let handle = writer.handle.as_mut().expect("just created");
        handle.create_image(axes, pixel, tile_compressed).map_err(fail)?;
        let (legal, illegal): (Vec<&String>, Vec<&String>) = header.cards().iter().partition(|card| is_legal(card));
        handle.write_cards(legal).map_err(fail)?;
        for card in illegal {
            tracing::warn!(
                "{}: a card of the header is left out, as it is not legal FITS: `{}`",
                path.display(),
                card.trim_end()
            );
        }
        Ok(writer)
    }

    /// Writes plane number `index` (counted in file order).
    ///
    /// # Errors
    /// Pixels that cannot be written, with the path.
    ///
    /// # Panics
    /// When the plane has another number of pixels than the file's planes.
    pub fn write_plane<T: Pixel>(&mut self, index: usize, plane: ArrayView2<'_, T>) -> Result<(), ImageError> {
        assert_eq!(plane.len(), self.plane_pixels);
        let contiguous = plane.as_standard_layout();
        self.write_pixels(index, 0, contiguous.as_slice().expect("standard order"))
    }

    /// Writes plane number `index` from bits, as 0 and 1.
    ///
    /// # Errors
    /// Pixels that cannot be written, with the path.
    ///
    /// # Panics
    /// When the mask has another number of pixels than the file's planes.
    pub fn write_bits(&mut self, index: usize, mask: &BitMask) -> Result<(), ImageError> {
        let (ny, nx) = mask.dim();
        assert_eq!(ny * nx, self.plane_pixels);
        let rows = (BITS_AT_ONCE / nx.max(1)).clamp(1, ny.max(1));
        let mut bytes = vec![0u8; rows * nx];
        for first in (0..ny).step_by(rows) {
            let bytes = &mut bytes[..rows.min(ny - first) * nx];
            for (k, out) in bytes.chunks_exact_mut(nx.max(1)).enumerate() {
                unpack_row(mask.row(first + k), out, u8::from);
            }
            self.write_pixels(index, first * nx, bytes)?;
        }
        Ok(())
    }

    /// Writes pixels of plane number `index` from its pixel number `first` on.
    fn write_pixels<T: Pixel>(&mut self, index: usize, first: usize, pixels: &[T]) -> Result<(), ImageError> {
        let handle = self.handle.as_mut().expect("open until finish");
        handle
            .write(index * self.plane_pixels + first, pixels)
            .map_err(|reason| ImageError::Unwritable { path: self.path.clone(), reason })
    }

    /// Closes the file, makes it durable and gives it its name.
    ///
    /// # Errors
    /// Pixels that cannot be written, a rename that is refused; no file is left then.
    pub fn finish(mut self) -> Result<(), ImageError> {
        let fail = |reason: String| ImageError::Unwritable { path: self.path.clone(), reason };
        self.handle.take().expect("open until finish").close().map_err(fail)?;
        std::fs::File::open(self.temporary.path())
            .and_then(|f| f.sync_all())
            .and_then(|()| self.temporary.rename(&self.path))
            .map_err(|e| fail(e.to_string()))
    }
}

/// Writes one plane as a whole file whose axes beyond the second are of length 1 (`naxis` is their number, x and y
/// included).
///
/// # Errors
/// As [`PlaneWriter::create`] and [`PlaneWriter::finish`].
pub fn write_plane<T: Pixel>(
    path: impl AsRef<Path>,
    plane: ArrayView2<'_, T>,
    pixel: PixelType,
    header: &Header,
    naxis: usize,
) -> Result<(), ImageError> {
    let (ny, nx) = plane.dim();
    let mut axes = vec![nx, ny];
    axes.resize(naxis.max(2), 1);
    let mut writer = PlaneWriter::create(path, &axes, pixel, header, false)?;
    writer.write_plane(0, plane)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::FitsImage;
    use ndarray::array;

    #[test]
    fn planes_survive_writing_and_reading() {
        let folder = tempfile::tempdir().unwrap();
        for (name, tiles) in [("a.fits", false), ("b.fits.gz", false), ("c.fits.fz", true)] {
            let path = folder.path().join(name);
            let mut header = Header::default();
            header.set_str("CTYPE3", "FREQ");
            header.set_f64("BMAJ", 0.5);
            header.set_f64("BMIN", 0.25);
            let mut writer = PlaneWriter::create(&path, &[3, 2, 2], PixelType::I16, &header, tiles).unwrap();
            writer.write_plane(1, array![[7i16, 8, 9], [10, 11, 12]].view()).unwrap();
            writer.write_plane(0, array![[1i16, 2, 3], [4, 5, 6]].view()).unwrap();
            assert!(!path.exists(), "the file appears only when it is complete");
            writer.finish().unwrap();
            let mut image = FitsImage::open(&path).unwrap();
            assert_eq!((image.plane_shape(), image.channels(), image.polarisations()), ((2, 3), 2, 1));
            assert_eq!(image.read_plane(0, 1).unwrap(), array![[7f32, 8., 9.], [10., 11., 12.]]);
            assert_eq!(
                image.read_plane_as(0, 0, |v| v > 2.5).unwrap(),
                array![[false, false, true], [true, true, true]]
            );
            let mut row = [0f32; 3];
            image.read_rows_into(0, 1, 1, &mut row).unwrap();
            assert_eq!(row, [10f32, 11., 12.]);
            assert_eq!(image.beam().unwrap().major_deg, 0.5);
        }
    }

    #[test]
    fn an_abandoned_writer_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        drop(PlaneWriter::create(&path, &[3, 2], PixelType::F32, &Header::default(), false).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
