//! Damaged and hostile files, refused before cfitsio or the allocator meets them.

use super::Header;
use super::header::{BLOCK, CARD};
use crate::util::memory;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Blocks of a header beyond which it cannot be one: a million cards.
const MOST_BLOCKS: usize = 1_000_000 / (BLOCK / CARD);
/// Most axes of a compressed image.
const MOST_AXES: i64 = 9;
/// Pixels that a byte of a compressed file can stand for at most: twice those of PLIO's longest runs, 4095 pixels in
/// two bytes, which no other algorithm of the FITS standard reaches.
const PIXELS_PER_COMPRESSED_BYTE: u128 = 4096;
/// Largest block of pixels in Rice's algorithm; the standard knows 16 and 32.
const LARGEST_RICE_BLOCK: i64 = 1 << 16;
/// Largest ZDITHER0, the start of a sequence of random numbers (FITS standard 4.0, section 10.2.1).
const LARGEST_DITHER_SEED: i64 = 10_000;

/// Refuses sizes that the file cannot hold: `axes` are those of the header, x first; `data` are the bytes before the
/// pixels and of one pixel, `None` in a compressed file.
pub(crate) fn check_size(path: &Path, axes: &[usize], data: Option<(u64, u32)>) -> Result<(), String> {
    let length = std::fs::metadata(path).map_or(u64::MAX, |m| m.len());
    let named = axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
    let pixels = axes.iter().try_fold(1u128, |all, &n| all.checked_mul(n as u128)).unwrap_or(u128::MAX);
    let damaged = "it is truncated, or NAXIS in its header is damaged";
    match data {
        Some((offset, size)) => {
            let end = pixels.saturating_mul(u128::from(size)).saturating_add(u128::from(offset));
            if end > u128::from(length) {
                return Err(format!(
                    "has a header for {named} pixels, which end at byte {end}, but the file has {length} bytes: \
                     {damaged}"
                ));
            }
        }
        None if pixels > PIXELS_PER_COMPRESSED_BYTE * u128::from(length) => {
            return Err(format!("has a header for {named} pixels, but the file has {length} bytes: {damaged}"));
        }
        None => {}
    }
    let plane = axes.iter().take(2).try_fold(size_of::<f32>() as u128, |all, &n| all.checked_mul(n as u128));
    memory::check(plane.unwrap_or(u128::MAX), &format!("has {named} pixels; one plane needs"))
}

/// Where bytes come from: a file, or a gzipped one unpacked on the way.
enum Source {
    Plain(File),
    Gzipped(MultiGzDecoder<File>),
}

impl Source {
    fn open(path: &Path) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let mut magic = [0; 2];
        let gzipped = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
        file.seek(SeekFrom::Start(0))?;
        Ok(if gzipped { Self::Gzipped(MultiGzDecoder::new(file)) } else { Self::Plain(file) })
    }

    /// The next block; `None` at the end, or where the bytes cannot be read.
    fn block(&mut self) -> Option<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        match self {
            Self::Plain(file) => file.read_exact(&mut block),
            Self::Gzipped(stream) => stream.read_exact(&mut block),
        }
        .ok()?;
        Some(block)
    }

    /// Goes `bytes` further; false where that is beyond the end.
    fn skip(&mut self, bytes: u64) -> bool {
        match self {
            Self::Plain(file) => i64::try_from(bytes).is_ok_and(|n| file.seek(SeekFrom::Current(n)).is_ok()),
            Self::Gzipped(stream) => {
                std::io::copy(&mut stream.take(bytes), &mut std::io::sink()).is_ok_and(|n| n == bytes)
            }
        }
    }

    /// The cards of the header that begins here; `None` if there is none.
    fn header(&mut self) -> Option<Header> {
        let mut cards = Vec::new();
        for _ in 0..MOST_BLOCKS {
            for card in self.block()?.chunks_exact(CARD) {
                if card.starts_with(b"END     ") {
                    return Some(Header::verbatim(cards));
                }
                cards.push(card.iter().map(|&b| if b.is_ascii() { b as char } else { '?' }).collect());
            }
        }
        None
    }
}

/// Refuses tile-compressed images with parameters that trap or mislead cfitsio. All header and data units are looked
/// at, or those up to the first one with pixels when `first_image` is set.
///
/// # Errors
/// The keyword, its value and what was expected.
pub(crate) fn check_tiles(path: &Path, first_image: bool) -> Result<(), String> {
    // What cannot be read or is not FITS is refused by cfitsio.
    let Ok(mut source) = Source::open(path) else { return Ok(()) };
    while let Some(header) = source.header() {
        let is_compressed = header.get("ZIMAGE").is_some_and(|v| v == "T");
        if is_compressed {
            check_parameters(&header)?;
        }
        let Some(bytes) = data_bytes(&header) else { return Ok(()) };
        let is_table = header.get("XTENSION").is_some_and(|kind| kind != "IMAGE");
        if first_image && (is_compressed || (bytes > 0 && !is_table)) {
            return Ok(());
        }
        if !source.skip(bytes.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)) {
            return Ok(());
        }
    }
    Ok(())
}

/// Bytes of the data after a header; `None` where it does not tell, or no file could be as long.
fn data_bytes(header: &Header) -> Option<u64> {
    let number = |key: &str| header.get(key).map(|text| text.parse::<u64>().ok());
    let naxis = number("NAXIS")??;
    if naxis == 0 {
        return Some(0);
    }
    let axes = (1..=naxis.min(999)).map(|i| number(&format!("NAXIS{i}"))?).collect::<Option<Vec<_>>>()?;
    // Random groups (visibilities of old) have a first axis of 0 and no size of their own.
    let pixels = axes.iter().skip(usize::from(axes[0] == 0)).try_fold(1u64, |all, &n| all.checked_mul(n))?;
    let size = header.get("BITPIX")?.parse::<i64>().ok()?.unsigned_abs() / 8;
    let (parameters, groups) = (number("PCOUNT").map_or(Some(0), |n| n)?, number("GCOUNT").map_or(Some(1), |n| n)?);
    pixels.checked_add(parameters)?.checked_mul(groups)?.checked_mul(size)
}

fn check_parameters(header: &Header) -> Result<(), String> {
    let within = |key: &str, required: bool, range: std::ops::RangeInclusive<i64>| {
        let Some(text) = header.get(key) else {
            return if required { Err(format!("is compressed, but has no {key} in its header")) } else { Ok(1) };
        };
        // cfitsio also takes numbers in quotes and with a decimal point.
        match text.trim().trim_end_matches('.').parse::<i64>() {
            Ok(n) if range.contains(&n) => Ok(n),
            _ => {
                let (low, high) = (range.start(), range.end());
                Err(format!("is compressed, with {key} = '{text}' in its header; {low} to {high} was expected"))
            }
        }
    };
    let naxis = within("ZNAXIS", true, 1..=MOST_AXES)?;
    let mut tile = 1i64;
    for axis in 1..=naxis {
        let length = within(&format!("ZNAXIS{axis}"), true, 1..=i64::from(i32::MAX))?;
        let key = format!("ZTILE{axis}");
        let side = within(&key, false, 1..=i64::from(i32::MAX))?;
        // Without the keyword a tile is a row.
        let side = if axis == 1 && header.get(&key).is_none() { length } else { side };
        tile = tile.saturating_mul(side);
    }
    if tile > i64::from(i32::MAX) {
        return Err(format!("is compressed in tiles of {tile} pixels (ZTILE); at most {} were expected", i32::MAX));
    }
    within("ZDITHER0", false, 1..=LARGEST_DITHER_SEED)?;
    if header.get("ZCMPTYPE").is_some_and(|kind| kind.starts_with("RICE")) {
        within("ZVAL1", true, 1..=LARGEST_RICE_BLOCK)?;
        within("ZVAL2", false, 1..=LARGEST_RICE_BLOCK)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{FitsImage, ImageError, PixelType, PlaneWriter, write_plane};
    use crate::util::testing::{damaged as damaged_bytes, words};
    use ndarray::Array2;
    use rstest::rstest;

    /// A file whose card `from` (its beginning) is replaced by `to`.
    fn damaged(path: &Path, from: &str, to: &str) {
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.chunks(CARD).position(|card| card.starts_with(from.as_bytes())).unwrap() * CARD;
        bytes[at..at + CARD].copy_from_slice(format!("{to:<80}").as_bytes());
        std::fs::write(path, bytes).unwrap();
    }

    fn write(path: &Path, tiles: bool) {
        let mut writer = PlaneWriter::create(path, &[20, 8], PixelType::I16, &Header::default(), tiles).unwrap();
        writer.write_plane(0, Array2::<i16>::zeros((8, 20)).view()).unwrap();
        writer.finish().unwrap();
    }

    fn refusal(path: &Path) -> String {
        let error = FitsImage::open(path).unwrap_err();
        assert!(matches!(error, ImageError::Unsuitable { .. }), "{error:?}");
        words(error, path.parent().unwrap())
    }

    #[test]
    fn sizes_beyond_the_end_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        write(&path, false);
        FitsImage::open(&path).unwrap();
        damaged(&path, "NAXIS2", "NAXIS2  =         999999999999");
        insta::assert_snapshot!(refusal(&path), @"<folder>/a.fits: has a header for 20 x 999999999999 pixels, which end at byte 40000000002840, but the file has 5760 bytes: it is truncated, or NAXIS in its header is damaged");
        // The largest file with an overflow in each product.
        damaged(&path, "NAXIS2", "NAXIS2  =  9223372036854775807");
        assert!(refusal(&path).contains("NAXIS in its header is damaged"));
        // The same in a compressed file, where bytes say less.
        let path = folder.path().join("a.fits.gz");
        write(&folder.path().join("b.fits"), false);
        damaged(&folder.path().join("b.fits"), "NAXIS2", "NAXIS2  =            999999999");
        let packed = std::fs::File::create(&path).unwrap();
        let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
        std::io::copy(&mut std::fs::File::open(folder.path().join("b.fits")).unwrap(), &mut packer).unwrap();
        packer.finish().unwrap();
        assert!(refusal(&path).contains("NAXIS in its header is damaged"));
    }

    #[test]
    fn a_file_that_lacks_only_its_padding_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        let plane = Array2::from_elem((8, 20), 3f32);
        write_plane(&path, plane.view(), PixelType::F32, &Header::default(), 2).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..BLOCK + 4 * 160]).unwrap();
        assert_eq!(FitsImage::open(&path).unwrap().read_plane(0, 0).unwrap(), plane);
        std::fs::write(&path, &bytes[..BLOCK + 4 * 160 - 1]).unwrap();
        assert!(refusal(&path).contains("it is truncated"));
    }

    #[rstest]
    #[case("ZTILE1", "ZTILE1  =                    0")]
    #[case("ZTILE2", "ZTILE2  =           2147483647")]
    #[case("ZNAXIS1", "ZNAXIS1 =                   -1")]
    #[case("ZCMPTYPE", "ZCMPTYPE= 'RICE_1  '")]
    fn parameters_that_trap_cfitsio_are_refused(#[case] from: &str, #[case] to: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits.fz");
        write(&path, true);
        check_tiles(&path, true).unwrap();
        damaged(&path, from, to);
        assert!(refusal(&path).starts_with("<folder>/a.fits.fz: is compressed"), "{}", refusal(&path));
    }

    #[rstest]
    #[case("ZVAL1   =                   ''", false)]
    #[case("ZVAL1   =                    0", false)]
    #[case("ZVAL1   =                  -32", false)]
    #[case("ZVAL1   =                   32", true)]
    fn the_blocks_of_rice_have_a_size(#[case] card: &str, #[case] right: bool) {
        let cards = ["ZNAXIS  = 1", "ZNAXIS1 = 20", "ZCMPTYPE= 'RICE_1'", card].map(String::from);
        assert_eq!(check_parameters(&Header::verbatim(cards.to_vec())).is_ok(), right);
    }

    /// A file's bytes: with coordinates and a beam, plain or in tiles of gzip.
    fn file_bytes(tiles: bool) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        let mut header = Header::default();
        for (key, text) in [("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN"), ("CTYPE3", "FREQ")] {
            header.set_str(key, text);
        }
        let grid = [("CRPIX1", 9.0), ("CRPIX2", 5.0), ("CRVAL1", 10.0), ("CRVAL2", -30.0)];
        let sizes = [("CDELT1", -1e-3), ("CDELT2", 1e-3), ("BMAJ", 4e-3), ("BMIN", 3e-3), ("LONPOLE", 180.0)];
        grid.iter().chain(&sizes).for_each(|(key, value)| header.set_f64(key, *value));
        let mut writer = PlaneWriter::create(&path, &[20, 8, 2], PixelType::I16, &header, tiles).unwrap();
        writer.write_plane(0, Array2::from_shape_fn((8, 20), |(y, x)| (x * y) as i16).view()).unwrap();
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    /// Everything that a command asks of an image; the answers do not matter.
    fn look_at(bytes: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        std::fs::write(&path, bytes).unwrap();
        let Ok(mut image) = FitsImage::open(&path) else { return };
        let _ = (image.beam(), image.plane_beam(0, 0), image.pixel_beam(0, image.channels() - 1));
        if let Ok(wcs) = image.wcs() {
            let _ = wcs.pixel_to_sky(1.0, 2.0).map(|position| wcs.sky_to_pixel(position));
        }
        let last = image.channels() - 1;
        if let Ok(plane) = image.read_plane(0, last) {
            let copy = folder.path().join("b.fits");
            let _ = write_plane(copy, plane.view(), PixelType::F32, image.header(), 3);
        }
    }

    proptest::proptest! {
        #[test]
        #[ignore = "long; in `make test` and `make fuzz`"]
        fn no_image_does_harm(bytes in damaged_bytes(file_bytes(false))) {
            look_at(&bytes);
        }

        #[test]
        #[ignore = "long; in `make test` and `make fuzz`"]
        fn no_compressed_image_does_harm(bytes in damaged_bytes(file_bytes(true))) {
            look_at(&bytes);
        }
    }
}
