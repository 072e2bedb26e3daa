//! All unsafe calls of cfitsio, behind safe methods.

use super::PixelType;
use fitsio_sys as sys;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::path::Path;

/// cfitsio's type codes (fitsio.h).
const TBYTE: c_int = 11;
const TSHORT: c_int = 21;
const TINT: c_int = 31;
const TFLOAT: c_int = 42;
const TDOUBLE: c_int = 82;
/// cfitsio's code of tile compression by gzip.
const GZIP_1: c_int = 21;
/// Rows of a compressed tile: a whole plane in one tile would need as much memory again.
const TILE_ROWS: c_long = 64;
/// Most axes of an image that are looked at.
pub(super) const MAX_AXES: usize = 9;
/// Bytes of a header card or a message, with the NUL at its end.
const CARD: usize = 81;

/// A pixel type that cfitsio writes.
///
/// # Safety
/// `CODE` must be cfitsio's code of exactly this type: cfitsio reads that many bytes for each pixel.
pub unsafe trait Pixel: Copy {
    /// cfitsio's code of the type in memory.
    const CODE: c_int;
}

// SAFETY: TBYTE is an unsigned 8-bit integer.
unsafe impl Pixel for u8 {
    const CODE: c_int = TBYTE;
}

// SAFETY: TSHORT is a C short, 16 bits on every platform of cfitsio.
unsafe impl Pixel for i16 {
    const CODE: c_int = TSHORT;
}

// SAFETY: TINT is a C int, 32 bits on every platform of cfitsio.
unsafe impl Pixel for i32 {
    const CODE: c_int = TINT;
}

// SAFETY: TFLOAT is a C float.
unsafe impl Pixel for f32 {
    const CODE: c_int = TFLOAT;
}

// SAFETY: TDOUBLE is a C double.
unsafe impl Pixel for f64 {
    const CODE: c_int = TDOUBLE;
}

impl PixelType {
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

/// An open file; closed on drop. The pointer is never null and is used by this value alone.
pub(super) struct Handle(*mut sys::fitsfile);

// SAFETY: cfitsio is built reentrant, so a file may be used by any thread, one at a time; no other value has the
// pointer, and `Handle` is not `Sync`.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut status = 0;
        // SAFETY: the file is open: `close` forgets the handle.
        unsafe { sys::ffclos(self.0, &mut status) };
    }
}

impl Handle {
    /// Opens a file for reading, at its first image with pixels or else at its start.
    pub(super) fn open(path: &CStr) -> Result<Self, String> {
        let mut file = std::ptr::null_mut();
        let mut status = 0;
        // SAFETY: `path` ends with a NUL, the other two are places to write to; mode 0 is reading.
        unsafe { sys::ffdkopn(&mut file, path.as_ptr(), 0, &mut status) };
        if status == 0 { Ok(Self(file)) } else { Err(message(status)) }
    }

    /// Creates a file, which must not exist.
    pub(super) fn create(path: &CStr) -> Result<Self, String> {
        let mut file = std::ptr::null_mut();
        let mut status = 0;
        // SAFETY: `path` ends with a NUL, the other two are places to write to.
        unsafe { sys::ffdkinit(&mut file, path.as_ptr(), &mut status) };
        if status == 0 { Ok(Self(file)) } else { Err(message(status)) }
    }

    /// Closes the file.
    pub(super) fn close(self) -> Result<(), String> {
        let mut status = 0;
        // SAFETY: the file is open, and is not touched again: the handle is forgotten.
        unsafe { sys::ffclos(self.0, &mut status) };
        std::mem::forget(self);
        if status == 0 { Ok(()) } else { Err(message(status)) }
    }

    /// Moves on to the next image that has pixels (this one counts) and returns its number of axes; `None` at the
    /// file's end.
    pub(super) fn seek_image(&mut self) -> Option<usize> {
        loop {
            let (mut kind, mut naxis, mut status) = (0, 0, 0);
            // SAFETY: the file is open; all other arguments are places to write to.
            unsafe {
                sys::ffghdt(self.0, &mut kind, &mut status);
                sys::ffgidm(self.0, &mut naxis, &mut status);
            }
            if status == 0 && naxis > 0 {
                return Some(naxis as usize);
            }
            status = 0;
            // SAFETY: the file is open; the null pointer says that the kind of the next unit is of no interest.
            unsafe { sys::ffmrhd(self.0, 1, std::ptr::null_mut(), &mut status) };
            if status != 0 {
                message(status);
                return None;
            }
        }
    }

    /// BITPIX after scaling and the lengths of the `naxis` axes (at most [`MAX_AXES`]), first (x) first.
    pub(super) fn shape(&mut self, naxis: usize) -> Result<(i32, Vec<usize>), String> {
        assert!(naxis <= MAX_AXES);
        let mut lengths = [0 as c_long; MAX_AXES];
        let (mut bitpix, mut status) = (0, 0);
        // SAFETY: the file is open; `lengths` has room for `naxis` numbers.
        unsafe {
            sys::ffgiet(self.0, &mut bitpix, &mut status);
            sys::ffgisz(self.0, naxis as c_int, lengths.as_mut_ptr(), &mut status);
        }
        if status != 0 {
            return Err(message(status));
        }
        Ok((bitpix, lengths[..naxis].iter().map(|&n| n.max(0) as usize).collect()))
    }

    /// BITPIX as stored, before scaling; `None` where there is none.
    pub(super) fn stored_bitpix(&self) -> Option<i32> {
        let (mut bitpix, mut status) = (0, 0);
        // SAFETY: the file is open; the other arguments are places to write to.
        unsafe { sys::ffgidt(self.0, &mut bitpix, &mut status) };
        (status == 0).then_some(bitpix)
    }

    /// Whether the image is tile-compressed.
    pub(super) fn is_compressed(&self) -> bool {
        let mut status = 0;
        // SAFETY: the file is open.
        unsafe { sys::fits_is_compressed_image(self.0, &mut status) != 0 }
    }

    /// A number of the header; `None` for an absent key.
    pub(super) fn number(&self, key: &CStr) -> Option<f64> {
        let (mut value, mut status) = (0.0, 0);
        // SAFETY: the file is open, `key` ends with a NUL, and the null pointer says that the comment is of no interest.
        unsafe {
            sys::ffgkyd(self.0, key.as_ptr(), &mut value, std::ptr::null_mut(), &mut status);
            // An absent key is no error.
            sys::ffcmsg();
        }
        (status == 0).then_some(value)
    }

    /// Bytes in the file from its start to the image's data, and to their end.
    pub(super) fn data_range(&self) -> Option<(u64, u64)> {
        let (mut header, mut data, mut end, mut status) = (0, 0, 0, 0);
        // SAFETY: the file is open; the other arguments are places to write to.
        unsafe { sys::ffghadll(self.0, &mut header, &mut data, &mut end, &mut status) };
        (status == 0).then_some((data as u64, end as u64))
    }

    /// All cards of the header; bytes that are not printable ASCII become `?`.
    pub(super) fn cards(&self) -> Result<Vec<String>, String> {
        let (mut status, mut count, mut more) = (0, 0, 0);
        // SAFETY: the file is open; the other arguments are places to write to.
        unsafe { sys::ffghsp(self.0, &mut count, &mut more, &mut status) };
        let mut cards = Vec::with_capacity(count.max(0) as usize);
        for i in 1..=count {
            let mut card = [0 as c_char; CARD];
            // SAFETY: the file is open; a card has 80 characters and a NUL.
            unsafe { sys::ffgrec(self.0, i, card.as_mut_ptr(), &mut status) };
            if status != 0 {
                return Err(message(status));
            }
            cards
                .push(bytes(&card).iter().map(|&b| if (b' '..=b'~').contains(&b) { b as char } else { '?' }).collect());
        }
        Ok(cards)
    }

    /// Reads float32 pixels from number `first` (from 0) on; BLANK becomes NaN.
    pub(super) fn read(&mut self, first: usize, out: &mut [f32]) -> Result<(), String> {
        // Floating-point files hold NaN themselves; only integer ones need BLANK turned into NaN.
        let mut nan = f32::NAN;
        let has_floats = self.stored_bitpix().is_some_and(|bitpix| bitpix < 0);
        let blank: *mut c_void = if has_floats { std::ptr::null_mut() } else { (&raw mut nan).cast() };
        let (mut status, mut any) = (0, 0);
        // SAFETY: the file is open; `out` has room for as many floats as are asked for, and `blank` is null or a float.
        unsafe {
            let pixels = out.as_mut_ptr().cast();
            sys::ffgpv(self.0, TFLOAT, first as i64 + 1, out.len() as i64, blank, pixels, &mut any, &mut status);
        }
        if status == 0 { Ok(()) } else { Err(message(status)) }
    }

    /// Makes an image of `axes` (x first) in a new file, by tiles of gzip if so wished.
    pub(super) fn create_image(&mut self, axes: &[usize], pixel: PixelType, tiles: bool) -> Result<(), String> {
        assert!(!axes.is_empty() && axes.len() <= MAX_AXES);
        let mut lengths: Vec<c_long> = axes.iter().map(|&n| n as c_long).collect();
        let naxis = lengths.len() as c_int;
        let mut status = 0;
        if tiles {
            let mut tile = [1 as c_long; MAX_AXES];
            tile[0] = lengths[0];
            tile[1] = lengths.get(1).copied().unwrap_or(1).min(TILE_ROWS);
            // SAFETY: the file is open; `tile` has at least `naxis` numbers.
            unsafe {
                sys::fits_set_compression_type(self.0, GZIP_1, &mut status);
                sys::fits_set_tile_dim(self.0, naxis, tile.as_mut_ptr(), &mut status);
            }
        }
        // SAFETY: the file is open; `lengths` has `naxis` numbers.
        unsafe { sys::ffcrim(self.0, pixel.bitpix(), naxis, lengths.as_mut_ptr(), &mut status) };
        if status == 0 { Ok(()) } else { Err(message(status)) }
    }

    /// Appends cards to the header; those with a NUL are left out.
    pub(super) fn write_cards<'a>(&mut self, cards: impl IntoIterator<Item = &'a String>) -> Result<(), String> {
        let mut status = 0;
        for card in cards.into_iter().filter_map(|card| CString::new(card.as_str()).ok()) {
            // SAFETY: the file is open; the card ends with a NUL.
            unsafe { sys::ffprec(self.0, card.as_ptr(), &mut status) };
        }
        if status == 0 { Ok(()) } else { Err(message(status)) }
    }

    /// Writes pixels from number `first` (from 0) on.
    pub(super) fn write<T: Pixel>(&mut self, first: usize, pixels: &[T]) -> Result<(), String> {
        let mut status = 0;
        // SAFETY: the file is open; `pixels` holds as many values of `T::CODE` as are named, and cfitsio only reads them
        // although its argument is not const.
        unsafe {
            let values = pixels.as_ptr().cast_mut().cast();
            sys::ffppr(self.0, T::CODE, first as i64 + 1, pixels.len() as i64, values, &mut status);
        }
        if status == 0 { Ok(()) } else { Err(message(status)) }
    }
}

/// A path as cfitsio takes it; `None` when it holds a NUL byte.
pub(super) fn c_path(path: &Path) -> Option<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// The text of an error status, with the oldest message of cfitsio's stack, which is emptied.
fn message(status: c_int) -> String {
    let mut text = [0 as c_char; CARD];
    // SAFETY: a status text has at most 30 characters and a NUL.
    unsafe { sys::ffgerr(status, text.as_mut_ptr()) };
    let short = String::from_utf8_lossy(bytes(&text)).into_owned();
    let mut detail = String::new();
    loop {
        let mut line = [0 as c_char; CARD];
        // SAFETY: a message has at most 80 characters and a NUL.
        if unsafe { sys::ffgmsg(line.as_mut_ptr()) } == 0 {
            break;
        }
        if detail.is_empty() {
            detail = String::from_utf8_lossy(bytes(&line)).into_owned();
        }
    }
    if detail.is_empty() { short } else { format!("{short} ({detail})") }
}

/// The bytes before the first NUL.
fn bytes(text: &[c_char; CARD]) -> &[u8] {
    // SAFETY: `c_char` is a byte, whatever its sign.
    let all = unsafe { std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), CARD) };
    all.split(|&b| b == 0).next().unwrap_or_default()
}
