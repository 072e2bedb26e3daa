//! Pixels that need no cfitsio: read from the file itself, by all threads at once.

use super::cfitsio::Handle;
use crate::image::ImageError;
use multiversion::multiversion;
use rayon::prelude::*;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Pixels that a thread reads at once: 512 kB, which stay in a core's cache for the byte swap.
const PIECE: usize = 1 << 17;

/// Unscaled, uncompressed float32 pixels.
pub(super) struct PlainPixels {
    file: File,
    /// Bytes in the file before the first pixel.
    offset: u64,
}

/// Bytes before the pixels and of one pixel; `None` when they are not in the file as they are: in a compressed image, or
/// in a gzipped file, which cfitsio unpacks in memory.
pub(super) fn bytes_of_pixels(path: &Path, handle: &Handle) -> Option<(u64, u32)> {
    let mut magic = [0u8; 9];
    File::open(path).ok()?.read_exact_at(&mut magic, 0).ok()?;
    if &magic != b"SIMPLE  =" || handle.is_compressed() {
        return None;
    }
    Some((handle.data_range()?.0, handle.stored_bitpix()?.unsigned_abs() / 8))
}

impl PlainPixels {
    /// `None` when the pixels need cfitsio: another type, a scale, compression, an odd file.
    pub(super) fn of(path: &Path, handle: &Handle) -> Option<Self> {
        let (offset, _) = bytes_of_pixels(path, handle)?;
        if handle.stored_bitpix() != Some(-32) {
            return None;
        }
        let is_neutral = |key, neutral| handle.number(key).is_none_or(|value| value == neutral);
        if !is_neutral(c"BSCALE", 1.0) || !is_neutral(c"BZERO", 0.0) {
            return None;
        }
        Some(Self { file: File::open(path).ok()?, offset })
    }

    /// Reads pixels from number `first` on, by all threads.
    pub(super) fn read(&self, first: usize, out: &mut [f32]) -> std::io::Result<()> {
        out.par_chunks_mut(PIECE).enumerate().try_for_each(|(i, piece)| self.read_piece(first + i * PIECE, piece))
    }

    /// Reads pixels from number `first` on, by this thread.
    fn read_piece(&self, first: usize, out: &mut [f32]) -> std::io::Result<()> {
        let at = self.offset + (first * size_of::<f32>()) as u64;
        // SAFETY: the bytes are those of `out`, borrowed mutably as long as they are used; any four bytes are a float.
        let bytes = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u8>(), size_of_val(&*out)) };
        self.file.read_exact_at(bytes, at)?;
        from_big_endian(out);
        Ok(())
    }
}

/// FITS is big-endian.
#[multiversion(targets("x86_64+avx2"))]
fn from_big_endian(pixels: &mut [f32]) {
    pixels.iter_mut().for_each(|v| *v = f32::from_bits(u32::from_be(v.to_bits())));
}

/// A plane of a plain file; see [`FitsImage::plain_plane`](super::FitsImage::plain_plane).
pub struct PlainPlane<'a> {
    pub(super) pixels: &'a PlainPixels,
    pub(super) path: &'a Path,
    /// Number of the plane's first pixel.
    pub(super) first: usize,
    /// `(ny, nx)`.
    pub(super) shape: (usize, usize),
}

impl PlainPlane<'_> {
    /// Writes the plane's bytes, as they are, behind what is written; `bytes` is their number.
    ///
    /// # Errors
    /// The operating system's refusal, with the path.
    pub(crate) fn copy_bytes(&self, to: &mut File, bytes: u64) -> Result<(), ImageError> {
        let fail = |e: std::io::Error| ImageError::Unreadable { path: self.path.to_path_buf(), reason: e.to_string() };
        let mut from = &self.pixels.file;
        from.seek(SeekFrom::Start(self.pixels.offset + (self.first * size_of::<f32>()) as u64)).map_err(fail)?;
        let copied = std::io::copy(&mut from.take(bytes), to).map_err(fail)?;
        if copied == bytes { Ok(()) } else { Err(fail(std::io::ErrorKind::UnexpectedEof.into())) }
    }

    /// Reads whole rows, from row `first` on, as many as the buffer holds.
    ///
    /// # Errors
    /// The operating system's refusal, with the path.
    ///
    /// # Panics
    /// When the buffer is not a whole number of rows, or the rows are outside the plane.
    pub fn read_rows(&self, first: usize, out: &mut [f32]) -> Result<(), ImageError> {
        let (ny, nx) = self.shape;
        assert!(out.len().is_multiple_of(nx) && first + out.len() / nx <= ny);
        let fail = |e: std::io::Error| ImageError::Unreadable { path: self.path.to_path_buf(), reason: e.to_string() };
        self.pixels.read_piece(self.first + first * nx, out).map_err(fail)
    }
}
