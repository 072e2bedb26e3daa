//! One cube from the cubes of its channels, plane by plane: the pixels are copied as they are, so that the disk is the
//! limit, and there is never more than a piece of a plane in memory.

use super::beam_table::append_beam_table_of;
use super::header::{BLOCK, CARD};
use super::mosaic::files::convolved_to;
use super::{Beam, CelestialWcs, FitsImage, Header, ImageError, PixelType, PlaneKind, PlaneWriter};
use crate::util::temporary::Temporary;
use ndarray::Array2;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// Neighbouring channels of a cube, in a file of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CubePart {
    /// The file.
    pub path: PathBuf,
    /// Its first channel that is taken.
    pub first: usize,
    /// How many channels are taken.
    pub channels: usize,
}

/// A part that was looked at.
struct Opened<'a> {
    part: &'a CubePart,
    image: FitsImage,
}

/// The restoring beams of a cube that is put together: one for each channel, of zero width where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CubeBeams<'a> {
    /// It has none, or those of its first part's header.
    Unknown,
    /// They become its table `BEAMS`, or, where they are all the same, that of its header.
    Each(&'a [Beam]),
    /// All channels are convolved to one beam.
    Common {
        /// The channels' own beams.
        from: &'a [Beam],
        /// That beam.
        to: Beam,
    },
}

/// Puts a cube together from parts of it, in their order. Its header is that of the first part, with the spectral axis of
/// all of them.
///
/// # Errors
/// A part cannot be read, has too few channels, or planes of another size; the cube cannot be written: then there is none.
pub fn assemble(parts: &[CubePart], cube: &Path, beams: CubeBeams<'_>) -> Result<(), ImageError> {
    let mut opened = Vec::with_capacity(1);
    for part in parts {
        let image = FitsImage::open(&part.path)?;
        check(&image, part, opened.first().map(|first: &Opened<'_>| &first.image))?;
        if opened.is_empty() {
            opened.push(Opened { part, image });
        }
    }
    let Some(first) = opened.pop() else { return Ok(()) };
    let channels: usize = parts.iter().map(|part| part.channels).sum();
    let header = header(&first, parts, channels, beams)?;
    let layout = Layout::of(&first.image, channels);
    let temporary = Temporary::beside(cube);
    if first.image.plain_plane(0, 0).is_some() && !matches!(beams, CubeBeams::Common { .. }) {
        copy_plain(parts, &layout, &header, temporary.path())?;
    } else {
        copy_pixels(parts, &layout, (&header, beams), temporary.path())?;
    }
    if let CubeBeams::Each(beams) = beams
        && differ(beams)
    {
        append_beam_table_of(temporary.path(), beams, layout.polarisations)?;
    }
    let fail = |e: std::io::Error| ImageError::Unwritable { path: cube.to_path_buf(), reason: e.to_string() };
    File::open(temporary.path()).and_then(|f| f.sync_all()).map_err(fail)?;
    temporary.rename(cube).map_err(fail)
}

fn differ(beams: &[Beam]) -> bool {
    beams.windows(2).any(|pair| pair[0] != pair[1])
}

fn check(image: &FitsImage, part: &CubePart, first: Option<&FitsImage>) -> Result<(), ImageError> {
    if image.channels() < part.first + part.channels {
        return Err(ImageError::Unsuitable {
            path: part.path.clone(),
            reason: format!("it has {} channels; {} were expected", image.channels(), part.first + part.channels),
        });
    }
    let Some(first) = first else { return Ok(()) };
    if image.plane_shape() != first.plane_shape() {
        return Err(ImageError::ShapesDiffer {
            left: first.path().to_path_buf(),
            left_shape: first.plane_shape(),
            right: part.path.clone(),
            right_shape: image.plane_shape(),
        });
    }
    if image.polarisations() != first.polarisations() {
        let reason = format!("it has {} polarisations, others {}", image.polarisations(), first.polarisations());
        return Err(ImageError::Unsuitable { path: part.path.clone(), reason });
    }
    Ok(())
}

/// The axes of the cube, and where its planes are.
struct Layout {
    axes: Vec<usize>,
    kinds: Vec<PlaneKind>,
    channels: usize,
    polarisations: usize,
    /// Pixels are bytes: a mask.
    bytes: bool,
}

impl Layout {
    fn of(first: &FitsImage, channels: usize) -> Self {
        let mut axes = first.axes().to_vec();
        let mut kinds = first.plane_kinds().to_vec();
        match kinds.iter().position(|kind| *kind == PlaneKind::Channel) {
            Some(axis) => axes[axis + 2] = channels,
            None => {
                axes.push(channels);
                kinds.push(PlaneKind::Channel);
            }
        }
        Self { axes, kinds, channels, polarisations: first.polarisations(), bytes: first.bitpix() == 8 }
    }

    /// Polarisation and channel of each plane, in the file's order.
    fn planes(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let polarisation_first = self.kinds.first() == Some(&PlaneKind::Polarisation);
        (0..self.channels * self.polarisations).map(move |plane| match polarisation_first {
            true => (plane % self.polarisations, plane / self.polarisations),
            false => (plane / self.channels, plane % self.channels),
        })
    }

    fn plane_pixels(&self) -> usize {
        self.axes[0] * self.axes[1]
    }
}

/// Finds the part of each channel; parts are opened one after the other.
struct Walk<'a> {
    parts: &'a [CubePart],
    /// First channel of each part in the cube.
    starts: Vec<usize>,
    open: Option<(usize, FitsImage)>,
}

impl<'a> Walk<'a> {
    fn new(parts: &'a [CubePart]) -> Self {
        let starts = parts.iter().scan(0, |next, part| {
            let start = *next;
            *next += part.channels;
            Some(start)
        });
        Self { parts, starts: starts.collect(), open: None }
    }

    /// The image that holds this channel of the cube, and the channel's number in it.
    fn at(&mut self, channel: usize) -> Result<(&mut FitsImage, usize), ImageError> {
        let number = self.starts.partition_point(|start| *start <= channel) - 1;
        let part = &self.parts[number];
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            self.open = Some((number, FitsImage::open(&part.path)?));
        }
        let (_, image) = self.open.as_mut().expect("just opened");
        Ok((image, part.first + channel - self.starts[number]))
    }
}

/// Decoded and written again: pixels of other types, scaled or compressed ones, those that are convolved.
fn copy_pixels(
    parts: &[CubePart],
    layout: &Layout,
    (header, beams): (&Header, CubeBeams<'_>),
    to: &Path,
) -> Result<(), ImageError> {
    let pixel = if layout.bytes { PixelType::U8 } else { PixelType::F32 };
    let mut writer = PlaneWriter::create(to, &layout.axes, pixel, header, false)?;
    let mut walk = Walk::new(parts);
    for (index, (polarisation, channel)) in layout.planes().enumerate() {
        let (image, own) = walk.at(channel)?;
        if layout.bytes {
            writer.write_plane(index, image.read_plane_as(polarisation, own, |v| v as u8)?.view())?;
            continue;
        }
        let mut plane = image.read_plane(polarisation, own)?;
        if let CubeBeams::Common { from, to } = beams
            && from[channel].major_deg > 0.0
            && from[channel] != to
        {
            let wcs = CelestialWcs::from_header(image.header())
                .map_err(|e| ImageError::Unsuitable { path: image.path().to_path_buf(), reason: e.to_string() })?;
            plane = with_beam(plane, &from[channel], &to, &wcs);
        }
        writer.write_plane(index, plane.view())?;
    }
    writer.finish()
}

/// A plane in Jy/beam convolved from one beam to another; no data stay no data, and count as nothing in the convolution.
fn with_beam(mut plane: Array2<f32>, from: &Beam, to: &Beam, wcs: &CelestialWcs) -> Array2<f32> {
    let known = plane.mapv(f32::is_finite);
    plane.mapv_inplace(|v| if v.is_finite() { v } else { 0.0 });
    let mut convolved = convolved_to(plane, from, to, wcs, true);
    convolved.zip_mut_with(&known, |v, known| *v = if *known { *v } else { f32::NAN });
    convolved
}

/// The bytes of float32 pixels, as they are.
fn copy_plain(parts: &[CubePart], layout: &Layout, header: &Header, to: &Path) -> Result<(), ImageError> {
    let fail = |e: std::io::Error| ImageError::Unwritable { path: to.to_path_buf(), reason: e.to_string() };
    let mut out = File::create(to).map_err(fail)?;
    write_header(&mut out, layout, header).map_err(fail)?;
    let bytes = (layout.plane_pixels() * size_of::<f32>()) as u64;
    let mut walk = Walk::new(parts);
    for (polarisation, channel) in layout.planes() {
        let (image, own) = walk.at(channel)?;
        let Some(plane) = image.plain_plane(polarisation, own) else {
            // A part that is stored in another way than the first.
            return copy_pixels(parts, layout, (header, CubeBeams::Unknown), to);
        };
        plane.copy_bytes(&mut out, bytes)?;
    }
    let end = out.stream_position().map_err(fail)?;
    let padding = (BLOCK as u64 - end % BLOCK as u64) % BLOCK as u64;
    out.set_len(end + padding).map_err(fail)
}

fn write_header(out: &mut File, layout: &Layout, header: &Header) -> std::io::Result<()> {
    let mut writer = BufWriter::new(&mut *out);
    let mut written = 0;
    let mut card = |text: String| {
        written += CARD;
        write!(writer, "{text:<CARD$.CARD$}")
    };
    card(format!("{:<8}= {:>20}", "SIMPLE", "T"))?;
    card(format!("{:<8}= {:>20}", "BITPIX", -32))?;
    card(format!("{:<8}= {:>20}", "NAXIS", layout.axes.len()))?;
    for (axis, length) in layout.axes.iter().enumerate() {
        card(format!("{:<8}= {length:>20}", format!("NAXIS{}", axis + 1)))?;
    }
    card(format!("{:<8}= {:>20}", "EXTEND", "T"))?;
    for text in header.cards().iter().filter(|text| super::header::is_legal(text)) {
        card(text.clone())?;
    }
    card("END".to_owned())?;
    let padding = (BLOCK - written % BLOCK) % BLOCK;
    write!(writer, "{:padding$}", "")?;
    writer.flush()
}

/// The header of the first part, with the spectral axis and the beams of the whole cube.
fn header(first: &Opened<'_>, parts: &[CubePart], channels: usize, beams: CubeBeams<'_>) -> Result<Header, ImageError> {
    let mut header = first.image.header().clone();
    let kinds = first.image.plane_kinds();
    let axis = kinds.iter().position(|kind| *kind == PlaneKind::Channel).map_or(3, |axis| axis + 3);
    let (pixel, value, step) = (format!("CRPIX{axis}"), format!("CRVAL{axis}"), format!("CDELT{axis}"));
    let of_channel = |header: &Header, channel: usize| {
        let reference = header.get_f64(&pixel).unwrap_or(1.0);
        let width = header.get_f64(&step).unwrap_or(0.0);
        Some(header.get_f64(&value)? + (channel as f64 + 1.0 - reference) * width)
    };
    if let Some(start) = of_channel(&header, first.part.first) {
        header.set_f64(&value, start);
        header.set_f64(&pixel, 1.0);
        if let Some(last) = parts.last().filter(|_| channels > 1) {
            let image = FitsImage::open(&last.path)?;
            if let Some(end) = of_channel(image.header(), last.first + last.channels - 1) {
                header.set_f64(&step, (end - start) / (channels - 1) as f64);
            }
        }
    }
    let one = match beams {
        CubeBeams::Unknown => return Ok(header),
        CubeBeams::Common { to, .. } => Some(to),
        CubeBeams::Each(beams) => beams.first().copied().filter(|_| !differ(beams)),
    };
    ["BMAJ", "BMIN", "BPA", "CASAMBM"].into_iter().for_each(|key| header.remove(key));
    match one {
        Some(beam) if beam.major_deg > 0.0 => {
            header.set_f64("BMAJ", beam.major_deg);
            header.set_f64("BMIN", beam.minor_deg);
            header.set_f64("BPA", beam.pa_deg);
        }
        Some(_) => {}
        None => header.set_logical("CASAMBM", true),
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BeamTable;

    /// A cube whose pixels are the channel's number, from `first` on.
    fn part(folder: &Path, name: &str, first: usize, channels: usize, pixel: PixelType) -> CubePart {
        let mut header = Header::default();
        header.set_str("CTYPE3", "FREQ");
        header.set_f64("CRPIX3", 1.0);
        header.set_f64("CRVAL3", 1e9 + first as f64 * 1e6);
        header.set_f64("CDELT3", 1e6);
        header.set_str("CTYPE4", "STOKES");
        header.set_f64("CDELT1", -1.0 / 3600.0);
        header.set_f64("CDELT2", 1.0 / 3600.0);
        let path = folder.join(name);
        let mut writer = PlaneWriter::create(&path, &[5, 4, channels, 1], pixel, &header, false).unwrap();
        for channel in 0..channels {
            writer.write_plane(channel, Array2::<f32>::from_elem((4, 5), (first + channel) as f32).view()).unwrap();
        }
        writer.finish().unwrap();
        CubePart { path, first: 0, channels }
    }

    #[test]
    fn parts_become_one_cube_with_the_spectral_axis_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts: Vec<CubePart> = [(0, 3), (3, 2), (5, 1)]
            .iter()
            .map(|(first, n)| part(folder.path(), &format!("{first}.fits"), *first, *n, PixelType::F32))
            .collect();
        // The last part was imaged with a neighbour before it.
        parts[2] = CubePart { first: 1, ..part(folder.path(), "5.fits", 4, 2, PixelType::F32) };
        parts[2].channels = 1;
        let cube = folder.path().join("cube.fits");
        let beam = |n: usize| Beam { major_deg: (n + 2) as f64 / 3600.0, minor_deg: 2.0 / 3600.0, pa_deg: 10.0 };
        let beams: Vec<Beam> = (0..6).map(beam).collect();
        assemble(&parts, &cube, CubeBeams::Each(&beams)).unwrap();
        let mut image = FitsImage::open(&cube).unwrap();
        assert_eq!((image.channels(), image.polarisations()), (6, 1));
        for channel in 0..6 {
            assert!(image.read_plane(0, channel).unwrap().iter().all(|v| *v == channel as f32), "{channel}");
        }
        assert_eq!((image.header().get_f64("CRVAL3"), image.header().get_f64("CDELT3")), (Some(1e9), Some(1e6)));
        let table = BeamTable::read(&cube).unwrap().unwrap();
        assert_eq!(table.channels(), 6);
        assert!((table.all()[5].major_deg * 3600.0 - 7.0).abs() < 1e-5);
        assert_eq!(std::fs::metadata(&cube).unwrap().len() % BLOCK as u64, 0);
    }

    #[test]
    fn one_beam_for_all_is_in_the_header_and_other_pixels_are_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let parts: Vec<CubePart> = [(0, 2), (2, 2)]
            .iter()
            .map(|(first, n)| part(folder.path(), &format!("{first}.fits"), *first, *n, PixelType::U8))
            .collect();
        let cube = folder.path().join("cube.fits");
        let beam = Beam { major_deg: 1e-3, minor_deg: 1e-3, pa_deg: 0.0 };
        assemble(&parts, &cube, CubeBeams::Each(&[beam; 4])).unwrap();
        let mut image = FitsImage::open(&cube).unwrap();
        assert_eq!(image.read_plane(0, 3).unwrap()[[0, 0]], 3.0);
        assert_eq!(image.header().get_f64("BMAJ"), Some(1e-3));
        assert!(BeamTable::read(&cube).unwrap().is_none());
    }

    #[test]
    fn parts_that_do_not_fit_leave_no_cube() {
        let folder = tempfile::tempdir().unwrap();
        let short = CubePart { channels: 3, ..part(folder.path(), "a.fits", 0, 2, PixelType::F32) };
        let cube = folder.path().join("cube.fits");
        assert!(matches!(assemble(&[short], &cube, CubeBeams::Unknown), Err(ImageError::Unsuitable { .. })));
        assert!(!cube.exists());
    }
}
