//! FITS images through cfitsio: read and written plane by plane, outputs made visible by an atomic rename.

use super::{Beam, Header, ImageError};
use crate::kernels::bitmask::{BitMask, unpack_row};
use fitsio_sys as sys;
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::ffi::{CStr, CString, c_int, c_void};
use std::path::{Path, PathBuf};

/// cfitsio's type codes (fitsio.h).
const TBYTE: c_int = 11;
const TINT: c_int = 31;
const TFLOAT: c_int = 42;
const TDOUBLE: c_int = 82;
const TSHORT: c_int = 21;
const GZIP_1: c_int = 21;
/// A FITS file has at most this many axes that we look at.
const MAX_AXES: usize = 9;
/// Pixels of a plain file that a thread reads at once: 512 kB, which stay in a core's cache for the byte swap.
const PIECE: usize = 1 << 17;

/// Pixels of a mask that are written at once.
const BITS_AT_ONCE: usize = 1 << 19;

/// What role an axis beyond the second plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaneKind {
    /// Frequency, velocity or wavelength.
    Channel,
    /// Stokes parameter or correlation.
    Polarisation,
}

/// Pixel type of a file to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelType {
    /// BITPIX 8, unsigned.
    U8,
    /// BITPIX 16.
    I16,
    /// BITPIX 32.
    I32,
    /// BITPIX -32.
    F32,
    /// BITPIX -64.
    F64,
}

impl PixelType {
    /// The smallest integer type that holds `bits` bits of a multi-scale mask.
    pub fn for_bits(bits: usize) -> Self {
        match bits {
            0..=8 => Self::U8,
            9..=15 => Self::I16,
            _ => Self::I32,
        }
    }

    fn bitpix(self) -> c_int {
        match self {
            Self::U8 => 8,
            Self::I16 => 16,
            Self::I32 => 32,
            Self::F32 => -32,
            Self::F64 => -64,
        }
    }
}

/// A pixel type that cfitsio writes.
pub trait Pixel: Copy {
    /// cfitsio's code of the type in memory.
    const CODE: c_int;
}
impl Pixel for u8 {
    const CODE: c_int = TBYTE;
}
impl Pixel for i16 {
    const CODE: c_int = TSHORT;
}
impl Pixel for i32 {
    const CODE: c_int = TINT;
}
impl Pixel for f32 {
    const CODE: c_int = TFLOAT;
}
impl Pixel for f64 {
    const CODE: c_int = TDOUBLE;
}

/// An open cfitsio handle; closed on drop.
struct Handle(*mut sys::fitsfile);

// A handle may move between threads (cfitsio is built reentrant); it is never shared, as every call takes `&mut`.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut status = 0;
        unsafe { sys::ffclos(self.0, &mut status) };
    }
}

fn words(status: c_int) -> String {
    let mut text = [0 as std::ffi::c_char; 81];
    unsafe { sys::ffgerr(status, text.as_mut_ptr()) };
    let short = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
    let mut detail = String::new();
    loop {
        let mut line = [0 as std::ffi::c_char; 81];
        if unsafe { sys::ffgmsg(line.as_mut_ptr()) } == 0 {
            break;
        }
        if detail.is_empty() {
            detail = unsafe { CStr::from_ptr(line.as_ptr()) }.to_string_lossy().into_owned();
        }
    }
    if detail.is_empty() { short } else { format!("{short} ({detail})") }
}

fn c_path(path: &Path) -> Option<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// A FITS image of 2 to 4 axes, read plane by plane (plain, `.gz`, or tile-compressed).
///
/// Pixels arrive as float32 whatever the file holds: BSCALE and BZERO are applied, BLANK becomes NaN.
pub struct FitsImage {
    path: PathBuf,
    handle: Handle,
    /// Lengths of the FITS axes, first (x) first.
    axes: Vec<usize>,
    kinds: Vec<PlaneKind>,
    bitpix: i32,
    header: Header,
    /// The pixels, where they can be read without cfitsio.
    plain: Option<PlainPixels>,
}

/// Unscaled, uncompressed float32 pixels: they are read from the file itself by all threads at once.
struct PlainPixels {
    file: std::fs::File,
    /// Of the first pixel.
    offset: u64,
}

impl PlainPixels {
    /// `None` when the pixels need cfitsio: another type, a scale, compression, an odd file.
    fn of(path: &Path, handle: &Handle) -> Option<Self> {
        use std::os::unix::fs::FileExt;
        let (mut kind, mut status) = (0, 0);
        unsafe {
            sys::ffgidt(handle.0, &mut kind, &mut status);
            if status != 0 || kind != -32 || sys::fits_is_compressed_image(handle.0, &mut status) != 0 {
                return None;
            }
        }
        for (key, neutral) in [(c"BSCALE", 1.0), (c"BZERO", 0.0)] {
            let (mut value, mut status) = (neutral, 0);
            unsafe {
                sys::ffgkyd(handle.0, key.as_ptr(), &mut value, std::ptr::null_mut(), &mut status);
                // An absent key is no error.
                sys::ffcmsg();
            }
            if value != neutral {
                return None;
            }
        }
        let (mut header, mut data, mut end, mut status) = (0, 0, 0, 0);
        unsafe { sys::ffghadll(handle.0, &mut header, &mut data, &mut end, &mut status) };
        let file = std::fs::File::open(path).ok()?;
        // A gzipped file is unpacked by cfitsio in memory, where its offsets belong to.
        let mut magic = [0u8; 9];
        file.read_exact_at(&mut magic, 0).ok()?;
        let long_enough = file.metadata().is_ok_and(|m| m.len() >= end as u64);
        (status == 0 && &magic == b"SIMPLE  =" && long_enough).then_some(Self { file, offset: data as u64 })
    }

    /// Reads pixels from number `first` on, by all threads.
    fn read(&self, first: usize, out: &mut [f32]) -> std::io::Result<()> {
        out.par_chunks_mut(PIECE).enumerate().try_for_each(|(i, piece)| self.read_piece(first + i * PIECE, piece))
    }

    /// Reads pixels from number `first` on, by this thread.
    fn read_piece(&self, first: usize, out: &mut [f32]) -> std::io::Result<()> {
        use std::os::unix::fs::FileExt;
        let at = self.offset + (first * size_of::<f32>()) as u64;
        // Any four bytes are a float.
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

/// A plane of a plain file; see [`FitsImage::plain_plane`].
pub struct PlainPlane<'a> {
    pixels: &'a PlainPixels,
    path: &'a Path,
    /// Number of the plane's first pixel.
    first: usize,
    shape: (usize, usize),
}

impl PlainPlane<'_> {
    /// Reads whole rows, from row `first` on, as many as the buffer holds.
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

impl std::fmt::Debug for FitsImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FitsImage").field("path", &self.path).field("axes", &self.axes).finish_non_exhaustive()
    }
}

impl FitsImage {
    /// Opens the first image of the file that has pixels.
    ///
    /// # Errors
    /// A file that is absent, not FITS, has no image, a zero-sized axis, or more than one axis beyond x and y
    /// that is neither frequency nor polarisation.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref().to_path_buf();
        let unreadable = |reason: String| ImageError::Unreadable { path: path.clone(), reason };
        let unsuitable = |reason: String| ImageError::Unsuitable { path: path.clone(), reason };
        match std::fs::metadata(&path) {
            Err(e) => return Err(unreadable(e.to_string())),
            Ok(m) if m.is_dir() => {
                return Err(unsuitable(
                    "is a directory, not a FITS file (a CASA image? export it with exportfits)".into(),
                ));
            }
            Ok(m) if m.len() == 0 => return Err(unsuitable("is empty (0 bytes)".into())),
            Ok(_) => {}
        }
        let name = c_path(&path).ok_or_else(|| unreadable("its name holds a NUL byte".into()))?;
        let mut fptr = std::ptr::null_mut();
        let mut status = 0;
        unsafe { sys::ffdkopn(&mut fptr, name.as_ptr(), 0, &mut status) };
        if status != 0 {
            return Err(unsuitable(format!("is not a FITS file that can be read: {}", words(status))));
        }
        let handle = Handle(fptr);
        // The primary HDU of a tile-compressed file is empty: take the first image with pixels.
        let (mut naxis, mut bitpix) = (0, 0);
        loop {
            let mut hdutype = 0;
            unsafe {
                sys::ffghdt(handle.0, &mut hdutype, &mut status);
                sys::ffgidm(handle.0, &mut naxis, &mut status);
            }
            if status == 0 && naxis > 0 {
                break;
            }
            status = 0;
            unsafe { sys::ffmrhd(handle.0, 1, std::ptr::null_mut(), &mut status) };
            if status != 0 {
                words(status);
                return Err(unsuitable("holds no image (no HDU with pixels)".into()));
            }
        }
        if naxis as usize > MAX_AXES {
            return Err(unsuitable(format!("has {naxis} axes; 2 to 4 were expected")));
        }
        let mut lengths = [0 as std::ffi::c_long; MAX_AXES];
        unsafe {
            sys::ffgiet(handle.0, &mut bitpix, &mut status);
            sys::ffgisz(handle.0, naxis, lengths.as_mut_ptr(), &mut status);
        }
        if status != 0 {
            return Err(unreadable(words(status)));
        }
        let axes: Vec<usize> = lengths[..naxis as usize].iter().map(|&n| n.max(0) as usize).collect();
        let header = read_header(&handle).map_err(unreadable)?;
        if axes.len() < 2 {
            return Err(unsuitable(format!("has {} axis; an image has at least 2", axes.len())));
        }
        if axes.contains(&0) {
            return Err(unsuitable(format!("has a zero-sized axis ({axes:?})")));
        }
        let kinds = (3..=axes.len())
            .map(|i| {
                let ctype = header.get(&format!("CTYPE{i}")).unwrap_or_default().to_uppercase();
                match ctype.as_str() {
                    c if c.starts_with("STOKES") || c.starts_with("CORR") => PlaneKind::Polarisation,
                    // Without names: the customary order RA, DEC, FREQ, STOKES.
                    "" if i == 4 => PlaneKind::Polarisation,
                    _ => PlaneKind::Channel,
                }
            })
            .collect::<Vec<_>>();
        for kind in [PlaneKind::Channel, PlaneKind::Polarisation] {
            let long = kinds.iter().zip(&axes[2..]).filter(|(k, n)| **k == kind && **n > 1).count();
            if long > 1 {
                return Err(unsuitable(format!(
                    "has {} axes ({axes:?}) that cannot be told apart as frequency and Stokes",
                    axes.len()
                )));
            }
        }
        let plain = PlainPixels::of(&path, &handle);
        Ok(Self { path, handle, axes, kinds, bitpix, header, plain })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header's meaningful cards.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// `(ny, nx)`.
    pub fn plane_shape(&self) -> (usize, usize) {
        (self.axes[1], self.axes[0])
    }

    /// Lengths of all FITS axes, x first.
    pub fn axes(&self) -> &[usize] {
        &self.axes
    }

    /// BITPIX of the stored pixels, as cfitsio sees them after scaling (an int16 with BSCALE counts as float).
    pub fn bitpix(&self) -> i32 {
        self.bitpix
    }

    /// What the axes beyond the second are, third first.
    pub fn plane_kinds(&self) -> &[PlaneKind] {
        &self.kinds
    }

    fn count(&self, kind: PlaneKind) -> usize {
        self.kinds.iter().zip(&self.axes[2..]).filter(|(k, _)| **k == kind).map(|(_, n)| n).product()
    }

    /// Number of frequency channels (1 for a plane).
    pub fn channels(&self) -> usize {
        self.count(PlaneKind::Channel)
    }

    /// Number of polarisations (1 for a plane).
    pub fn polarisations(&self) -> usize {
        self.count(PlaneKind::Polarisation)
    }

    /// Position of a plane in the file, counted in planes.
    pub fn plane_index(&self, polarisation: usize, channel: usize) -> usize {
        let (mut index, mut stride) = (0, 1);
        for (kind, &n) in self.kinds.iter().zip(&self.axes[2..]) {
            if n > 1 {
                index += stride
                    * match kind {
                        PlaneKind::Channel => channel,
                        PlaneKind::Polarisation => polarisation,
                    };
            }
            stride *= n;
        }
        index
    }

    /// Reads one plane, `[y, x]`, float32.
    pub fn read_plane(&mut self, polarisation: usize, channel: usize) -> Result<Array2<f32>, ImageError> {
        let (ny, nx) = self.plane_shape();
        let mut data = vec![0f32; ny * nx];
        self.read_plane_into(polarisation, channel, &mut data)?;
        Ok(Array2::from_shape_vec((ny, nx), data).expect("length is ny * nx"))
    }

    /// Reads one plane into a buffer of `ny * nx` pixels.
    ///
    /// # Panics
    /// When the buffer has another length, or the plane is outside the cube.
    pub fn read_plane_into(&mut self, polarisation: usize, channel: usize, out: &mut [f32]) -> Result<(), ImageError> {
        let (ny, nx) = self.plane_shape();
        assert_eq!(out.len(), ny * nx);
        self.read_rows_into(polarisation, channel, 0, out)
    }

    /// Reads whole rows of one plane, from row `first` on, as many as the buffer holds.
    ///
    /// # Panics
    /// When the buffer is not a whole number of rows, or the rows or the plane are outside the cube.
    pub fn read_rows_into(
        &mut self,
        polarisation: usize,
        channel: usize,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        let (ny, nx) = self.plane_shape();
        assert!(out.len().is_multiple_of(nx) && first + out.len() / nx <= ny);
        assert!(polarisation < self.polarisations() && channel < self.channels());
        let first = (self.plane_index(polarisation, channel) * ny + first) * nx;
        if let Some(plain) = &self.plain {
            let fail = |e: std::io::Error| ImageError::Unreadable { path: self.path.clone(), reason: e.to_string() };
            return plain.read(first, out).map_err(fail);
        }
        // Floating-point files hold NaN themselves; only integer ones need BLANK turned into NaN.
        let mut nan = f32::NAN;
        let null: *mut c_void =
            if self.header_has_float_pixels() { std::ptr::null_mut() } else { (&raw mut nan).cast() };
        let (mut status, mut any) = (0, 0);
        unsafe {
            sys::ffgpv(
                self.handle.0,
                TFLOAT,
                first as i64 + 1,
                out.len() as i64,
                null,
                out.as_mut_ptr().cast(),
                &mut any,
                &mut status,
            );
        }
        if status != 0 {
            return Err(ImageError::Unreadable { path: self.path.clone(), reason: words(status) });
        }
        Ok(())
    }

    /// One plane for any number of threads to read from at once; `None` when its pixels need cfitsio (another type than
    /// float32, a scale, compression).
    ///
    /// # Panics
    /// When the plane is outside the cube.
    pub fn plain_plane(&self, polarisation: usize, channel: usize) -> Option<PlainPlane<'_>> {
        assert!(polarisation < self.polarisations() && channel < self.channels());
        let (ny, nx) = self.plane_shape();
        let first = self.plane_index(polarisation, channel) * ny * nx;
        self.plain.as_ref().map(|pixels| PlainPlane { pixels, path: &self.path, first, shape: (ny, nx) })
    }

    /// Reads one plane, `[y, x]`, turning each pixel into something smaller on the way: the float32 plane is never
    /// in memory.
    pub fn read_plane_as<T>(
        &mut self,
        polarisation: usize,
        channel: usize,
        convert: impl Fn(f32) -> T,
    ) -> Result<Array2<T>, ImageError> {
        /// Pixels read at once.
        const STRIP: usize = 1 << 20;
        let (ny, nx) = self.plane_shape();
        let rows = (STRIP / nx).clamp(1, ny);
        let mut buffer = vec![0f32; rows * nx];
        let mut data = Vec::with_capacity(ny * nx);
        for first in (0..ny).step_by(rows) {
            let strip = &mut buffer[..rows.min(ny - first) * nx];
            self.read_rows_into(polarisation, channel, first, strip)?;
            data.extend(strip.iter().map(|&v| convert(v)));
        }
        Ok(Array2::from_shape_vec((ny, nx), data).expect("length is ny * nx"))
    }

    fn header_has_float_pixels(&self) -> bool {
        let (mut raw, mut status) = (0, 0);
        unsafe { sys::ffgidt(self.handle.0, &mut raw, &mut status) };
        raw < 0
    }

    /// The restoring beam of the header (`BMAJ`, `BMIN`, `BPA`); `None` when absent or not positive.
    pub fn beam(&self) -> Option<Beam> {
        let major_deg = self.header.get_f64("BMAJ")?;
        let minor_deg = self.header.get_f64("BMIN")?;
        let pa_deg = self.header.get_f64("BPA").unwrap_or(0.0);
        (major_deg > 0.0 && minor_deg > 0.0).then_some(Beam { major_deg, minor_deg, pa_deg })
    }

    /// Opens a file that goes with this image: its planes must have the same size, and it must be one plane for all
    /// channels or have as many channels.
    ///
    /// # Errors
    /// As [`FitsImage::open`]; sizes or channels that differ.
    pub fn companion(&self, path: &Path) -> Result<Self, ImageError> {
        self.fitting(path, true)
    }

    /// As [`FitsImage::companion`], but one plane does not do for several channels.
    ///
    /// # Errors
    /// As [`FitsImage::companion`].
    pub fn companion_of_all_channels(&self, path: &Path) -> Result<Self, ImageError> {
        self.fitting(path, false)
    }

    fn fitting(&self, path: &Path, may_be_plane: bool) -> Result<Self, ImageError> {
        let other = Self::open(path)?;
        if other.plane_shape() != self.plane_shape() {
            return Err(ImageError::ShapesDiffer {
                left: path.to_path_buf(),
                left_shape: other.plane_shape(),
                right: self.path.clone(),
                right_shape: self.plane_shape(),
            });
        }
        let (found, wanted) = (other.channels(), self.channels());
        if found != wanted && !(may_be_plane && found == 1) {
            let or_one = if may_be_plane { " (or 1)" } else { "" };
            let image = self.path.display();
            let reason =
                format!("has {found} channels, but {image} has {wanted}: both must have the same number{or_one}");
            return Err(ImageError::Unsuitable { path: path.to_path_buf(), reason });
        }
        Ok(other)
    }

    /// Side of the (square) pixels in degrees: |CDELT1| = |CDELT2|, or the CD matrix's scale.
    ///
    /// # Errors
    /// No pixel size in the header, or pixels that are not square.
    pub fn pixel_deg(&self) -> Result<f64, ImageError> {
        let unsuitable = |reason: String| ImageError::Unsuitable { path: self.path.clone(), reason };
        let key = |k: &str| self.header.get_f64(k);
        let (dx, dy) = match (key("CDELT1"), key("CDELT2")) {
            (Some(x), Some(y)) => (x.abs(), y.abs()),
            _ => match (key("CD1_1"), key("CD2_2")) {
                (Some(a), Some(d)) => (a.hypot(key("CD2_1").unwrap_or(0.0)), d.hypot(key("CD1_2").unwrap_or(0.0))),
                _ => return Err(unsuitable("has no pixel size (CDELT1 and CDELT2) in its header".into())),
            },
        };
        if !(dx > 0.0 && (dx - dy).abs() <= 1e-6 * dx) {
            return Err(unsuitable(format!("has pixels of {dx} x {dy} degrees; square pixels are needed")));
        }
        Ok(dx)
    }
}

fn read_header(handle: &Handle) -> Result<Header, String> {
    let (mut status, mut count, mut more) = (0, 0, 0);
    unsafe { sys::ffghsp(handle.0, &mut count, &mut more, &mut status) };
    let mut cards = Vec::with_capacity(count.max(0) as usize);
    for i in 1..=count {
        let mut card = [0 as std::ffi::c_char; 81];
        unsafe { sys::ffgrec(handle.0, i, card.as_mut_ptr(), &mut status) };
        if status != 0 {
            return Err(words(status));
        }
        let bytes = unsafe { CStr::from_ptr(card.as_ptr()) }.to_bytes();
        cards.push(bytes.iter().map(|&b| if b.is_ascii() { b as char } else { '?' }).collect());
    }
    Ok(Header::from_cards(cards))
}

/// Writes an image plane by plane into a temporary file beside its destination; [`PlaneWriter::finish`] renames it.
/// Dropped before that, it leaves nothing.
pub struct PlaneWriter {
    path: PathBuf,
    temporary: PathBuf,
    handle: Option<Handle>,
    plane_pixels: usize,
    finished: bool,
}

impl PlaneWriter {
    /// Creates a file of `axes` (x first) with the cards of `header`. A name that ends in `.gz` makes a gzipped file;
    /// `tile_compressed` makes a tile-compressed one (customarily `.fits.fz`).
    pub fn create(
        path: impl AsRef<Path>,
        axes: &[usize],
        pixel: PixelType,
        header: &Header,
        tile_compressed: bool,
    ) -> Result<Self, ImageError> {
        let path = path.as_ref().to_path_buf();
        let file_name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        // The suffix decides whether cfitsio compresses, so it stays at the end.
        let temporary = path.with_file_name(format!(".{}.{file_name}", std::process::id()));
        let fail = |reason: String| ImageError::Unwritable { path: path.clone(), reason };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(fail(format!("the folder {} does not exist", folder.display())));
        }
        match std::fs::remove_file(&temporary) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e.to_string())),
            _ => {}
        }
        if let Err(e) = std::fs::File::create(&temporary).and_then(|_| std::fs::remove_file(&temporary)) {
            return Err(fail(e.to_string()));
        }
        let name = c_path(&temporary).ok_or_else(|| fail("its name holds a NUL byte".into()))?;
        let mut fptr = std::ptr::null_mut();
        let mut status = 0;
        unsafe { sys::ffdkinit(&mut fptr, name.as_ptr(), &mut status) };
        if status != 0 {
            return Err(fail(words(status)));
        }
        let writer = Self {
            path: path.clone(),
            temporary,
            handle: Some(Handle(fptr)),
            plane_pixels: axes[0] * axes.get(1).copied().unwrap_or(1),
            finished: false,
        };
        let mut lengths: Vec<std::ffi::c_long> = axes.iter().map(|&n| n as _).collect();
        unsafe {
            if tile_compressed {
                sys::fits_set_compression_type(fptr, GZIP_1, &mut status);
                // One tile per block of rows keeps the codec's memory small.
                let mut tile = [1 as std::ffi::c_long; MAX_AXES];
                tile[0] = lengths[0];
                tile[1] = lengths.get(1).copied().unwrap_or(1).min(64);
                sys::fits_set_tile_dim(fptr, lengths.len() as c_int, tile.as_mut_ptr(), &mut status);
            }
            sys::ffcrim(fptr, pixel.bitpix(), lengths.len() as c_int, lengths.as_mut_ptr(), &mut status);
            for card in header.cards() {
                if let Ok(card) = CString::new(card.as_str()) {
                    sys::ffprec(fptr, card.as_ptr(), &mut status);
                }
            }
        }
        if status != 0 {
            return Err(fail(words(status)));
        }
        Ok(writer)
    }

    /// Writes plane number `index` (counted in file order).
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
        let mut status = 0;
        let handle = self.handle.as_ref().expect("open until finish");
        unsafe {
            sys::ffppr(
                handle.0,
                T::CODE,
                (index * self.plane_pixels + first) as i64 + 1,
                pixels.len() as i64,
                pixels.as_ptr().cast_mut().cast(),
                &mut status,
            );
        }
        if status != 0 {
            return Err(ImageError::Unwritable { path: self.path.clone(), reason: words(status) });
        }
        Ok(())
    }

    /// Closes the file, makes it durable and gives it its name.
    pub fn finish(mut self) -> Result<(), ImageError> {
        let fail = |reason: String| ImageError::Unwritable { path: self.path.clone(), reason };
        let mut status = 0;
        let handle = self.handle.take().expect("open until finish");
        unsafe { sys::ffclos(handle.0, &mut status) };
        std::mem::forget(handle);
        if status != 0 {
            return Err(fail(words(status)));
        }
        std::fs::File::open(&self.temporary)
            .and_then(|f| f.sync_all())
            .and_then(|()| std::fs::rename(&self.temporary, &self.path))
            .map_err(|e| fail(e.to_string()))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for PlaneWriter {
    fn drop(&mut self) {
        self.handle.take();
        if !self.finished {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes one plane as a whole file whose axes beyond the second are of length 1 (`axes` gives how many there are).
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

/// `X.fits` (or `X.fits.gz`, `X.fits.fz`) and `mask` give `X.mask.fits`, as flint names its outputs.
pub fn sidecar_path(image: &Path, kind: &str) -> PathBuf {
    let name = image.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.trim_end_matches(".gz").trim_end_matches(".fz");
    let stem = stem.strip_suffix(".fits").or_else(|| stem.strip_suffix(".fit")).unwrap_or(stem);
    image.with_file_name(format!("{stem}.{kind}.fits"))
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn plain_pixels_equal_those_of_cfitsio() {
        let folder = tempfile::tempdir().unwrap();
        // More than two pieces, and a row that straddles them.
        let (ny, nx) = (301, 1001);
        let plane = Array2::from_shape_fn((ny, nx), |(y, x)| if x == 7 { f32::NAN } else { (y * nx + x) as f32 });
        let path = folder.path().join("a.fits");
        let mut writer = PlaneWriter::create(&path, &[nx, ny, 2], PixelType::F32, &Header::default(), false).unwrap();
        writer.write_plane(0, (&plane * -1.0).view()).unwrap();
        writer.write_plane(1, plane.view()).unwrap();
        writer.finish().unwrap();
        let mut image = FitsImage::open(&path).unwrap();
        let same =
            |a: &Array2<f32>, b: &Array2<f32>| a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        assert!(image.plain.is_some());
        let fast = image.read_plane(0, 1).unwrap();
        image.plain = None;
        assert!(same(&fast, &image.read_plane(0, 1).unwrap()) && same(&fast, &plane));
        let mut rows = vec![0f32; 2 * nx];
        FitsImage::open(&path).unwrap().plain_plane(0, 1).unwrap().read_rows(5, &mut rows).unwrap();
        assert_eq!(rows[nx + 8..], plane.as_slice().unwrap()[6 * nx + 8..7 * nx]);
        // Scaled pixels are left to cfitsio.
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.windows(9).position(|w| w == b"END      ").unwrap();
        bytes[end..end + 80].copy_from_slice(format!("{:<80}", "BSCALE  =                  2.0").as_bytes());
        bytes[end + 80..end + 83].copy_from_slice(b"END");
        std::fs::write(&path, bytes).unwrap();
        let mut image = FitsImage::open(&path).unwrap();
        assert!(image.plain.is_none());
        assert_eq!(image.read_plane(0, 1).unwrap()[[0, 1]], 2.0);
    }

    #[test]
    fn an_abandoned_writer_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        drop(PlaneWriter::create(&path, &[3, 2], PixelType::F32, &Header::default(), false).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn bad_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        let missing = FitsImage::open(&path).unwrap_err().to_string();
        assert!(missing.contains("a.fits: cannot be read: No such file"), "{missing}");
        std::fs::write(&path, "not an image").unwrap();
        let text = FitsImage::open(&path).unwrap_err().to_string();
        assert!(text.contains("is not a FITS file"), "{text}");
    }

    #[test]
    fn sidecars_are_named_as_flint_names_them() {
        for (image, mask) in [("d/x.fits", "d/x.mask.fits"), ("x.fits.gz", "x.mask.fits"), ("a.b", "a.b.mask.fits")] {
            assert_eq!(sidecar_path(Path::new(image), "mask"), Path::new(mask));
        }
    }
}
