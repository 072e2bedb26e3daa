//! The restoring beams of an image file, wherever they are written: the table `BEAMS`, the header, or AIPS's HISTORY.

use super::beam_table::Beams;
use super::wcs::pixel_position_angle;
use super::{Beam, BeamTable, FitsImage, Header, ImageError, PixelBeam, common_beam};

/// Major axis, degrees, below which a beam only fills a field that must hold a number: 3.6 microarcseconds. CASA writes
/// the least float32 for flagged channels.
const PLACEHOLDER_DEG: f64 = 1e-9;
/// What CASA writes where it could not fit a beam to the PSF, as with pixels that are too large: a microarcsecond.
const UNFITTED_DEG: f64 = 1e-6 / 3600.0;
/// Major axis, pixels, below which nothing was imaged with this beam. (The minor axis of a beam that was fitted on too large
/// pixels may be anything.)
const NARROWEST_PIXELS: f64 = 0.1;
/// Minor axis, pixels, below which not one pixel is inside the beam's own footprint: no fit makes such a beam.
const NEEDLE_PIXELS: f64 = 1e-3;
/// Widths of a believable beam: at least this many pixels, at most this part of the image.
const BELIEVABLE: (f64, f64) = (1.0, 0.25);
/// Units that BMAJ is written in by mistake, and their size in degrees.
const OTHER_UNITS: [(&str, f64); 3] =
    [("arcseconds", 1.0 / 3600.0), ("arcminutes", 1.0 / 60.0), ("radians", 180.0 / std::f64::consts::PI)];

impl Beams {
    /// Reads them; the table goes before the header, which holds the beam of a reference channel then.
    fn read(image: &FitsImage) -> Result<Self, ImageError> {
        let header = image.header();
        let own = of_header(header);
        let has_table = header.get("CASAMBM").is_some_and(|v| v == "T");
        if (has_table || own.is_none())
            && let Some(table) = BeamTable::read(image.path())?
        {
            let (found, channels) = (table.channels(), image.channels());
            if found != 1 && found != channels {
                return Err(unsuitable(
                    image,
                    format!("has {channels} channels, but its table BEAMS has beams of {found}"),
                ));
            }
            return Ok(Self::Each(table));
        }
        Ok(own.or_else(|| of_history(header)).map_or(Self::None, Self::Same))
    }

    fn of_plane(&self, polarisation: usize, channel: usize) -> Option<Beam> {
        match self {
            Self::None => None,
            Self::Same(beam) => Some(*beam),
            Self::Each(table) => {
                let beams = table.of_polarisation(polarisation);
                Some(beams[channel.min(beams.len() - 1)])
            }
        }
    }
}

/// BMAJ, BMIN and BPA of a header.
fn of_header(header: &Header) -> Option<Beam> {
    let (major_deg, minor_deg) = (header.get_f64("BMAJ")?, header.get_f64("BMIN")?);
    Some(Beam { major_deg, minor_deg, pa_deg: header.get_f64("BPA").unwrap_or(0.0) })
}

/// The last beam that AIPS wrote into HISTORY: `AIPS   CLEAN BMAJ=  1.3889E-03 BMIN=  1.3889E-03 BPA=   0.00`.
fn of_history(header: &Header) -> Option<Beam> {
    let of_card = |card: &String| {
        let text = card.strip_prefix("HISTORY")?.trim_start().strip_prefix("AIPS")?;
        let number = |key: &str| text.split_once(key)?.1.split_whitespace().next()?.parse::<f64>().ok();
        Some(Beam { major_deg: number("BMAJ=")?, minor_deg: number("BMIN=")?, pa_deg: number("BPA=")? })
    };
    header.cards().iter().rev().find_map(of_card)
}

fn unsuitable(image: &FitsImage, reason: String) -> ImageError {
    ImageError::Unsuitable { path: image.path().to_path_buf(), reason }
}

/// Whether a beam only stands where a number must be: zero, tiny, or not finite.
pub(super) fn is_placeholder(beam: &Beam) -> bool {
    !(beam.major_deg.is_finite() && beam.minor_deg.is_finite() && beam.pa_deg.is_finite())
        || beam.major_deg < PLACEHOLDER_DEG
        || beam.minor_deg < PLACEHOLDER_DEG
}

/// Why a beam cannot be that of an image with `side` pixels of `pixel` degrees, with a guess.
fn absurdity(beam: &Beam, pixel: f64, side: usize) -> Option<String> {
    let (major, minor, size) = (beam.major_deg / pixel, beam.minor_deg / pixel, side as f64);
    let fault = match () {
        () if major > size => "is larger than the image",
        () if major < NARROWEST_PIXELS => "is narrower than a tenth of a pixel",
        () if minor < NEEDLE_PIXELS => "is narrower than a thousandth of a pixel",
        () => return None,
    };
    let believable = |factor: f64| minor * factor >= BELIEVABLE.0 && major * factor <= BELIEVABLE.1 * size;
    let guess = OTHER_UNITS.iter().find(|(_, factor)| believable(*factor)).map_or_else(
        || "BMAJ and BMIN are in degrees".to_string(),
        |(unit, _)| format!("BMAJ and BMIN are in degrees; are these {unit}?"),
    );
    Some(format!(
        "has a restoring beam of {:e} x {:e} degrees (BMAJ, BMIN), which {fault} ({side} pixels of {pixel:e} degrees): \
         {guess}",
        beam.major_deg, beam.minor_deg
    ))
}

impl FitsImage {
    fn beams(&self) -> Result<&Beams, ImageError> {
        let beams = self.beams.get_or_init(|| Beams::read(self));
        beams.as_ref().map_err(|e| match e {
            ImageError::Unreadable { path, reason } => {
                ImageError::Unreadable { path: path.clone(), reason: reason.clone() }
            }
            ImageError::Unsuitable { reason, .. } => unsuitable(self, reason.clone()),
            other => unsuitable(self, other.to_string()),
        })
    }

    /// The restoring beam of a plane: its row of the table `BEAMS`, or `BMAJ`, `BMIN` and `BPA` of the header, or what
    /// AIPS wrote into HISTORY. `None` without one; placeholders (0, tiny, not finite) are none, with a warning.
    ///
    /// # Errors
    /// A beam that is larger than the image or narrower than a tenth of a pixel, a table that cannot be used.
    pub fn plane_beam(&self, polarisation: usize, channel: usize) -> Result<Option<Beam>, ImageError> {
        let Some(beam) = self.beams()?.of_plane(polarisation, channel) else { return Ok(None) };
        if is_placeholder(&beam) {
            let plane = if self.channels() > 1 { format!("channel {channel}: ") } else { String::new() };
            tracing::warn!(
                "{}: {plane}a restoring beam of {:e} x {:e} degrees (BMAJ, BMIN) is a placeholder: it counts as none",
                self.path().display(),
                beam.major_deg,
                beam.minor_deg
            );
            return Ok(None);
        }
        let (ny, nx) = self.plane_shape();
        let absurd = self.mean_pixel_deg().and_then(|pixel| absurdity(&beam, pixel, nx.max(ny)));
        absurd.map_or(Ok(Some(beam)), |reason| Err(unsuitable(self, reason)))
    }

    /// BMAJ, BMIN and BPA of the header as they stand, whatever they are.
    pub(crate) fn header_beam(&self) -> Option<Beam> {
        of_header(self.header())
    }

    /// The beam that CASA writes where it could not fit one, and goes on with; `None`: it is another one.
    pub(crate) fn unfitted_beam(&self) -> Option<Beam> {
        let beam = self.beams().ok()?.of_plane(0, 0)?;
        let is_it = |width: f64| (width / UNFITTED_DEG - 1.0).abs() < 1e-3;
        (is_it(beam.major_deg) && is_it(beam.minor_deg)).then_some(beam)
    }

    /// The beam of a plane ([`FitsImage::plane_beam`]) on the grid of pixels, its angle from the direction of y towards
    /// low x; `None` without one.
    ///
    /// # Errors
    /// As [`FitsImage::plane_beam`] and, for an image with a beam, [`FitsImage::pixel_deg`].
    pub fn pixel_beam(&self, polarisation: usize, channel: usize) -> Result<Option<PixelBeam>, ImageError> {
        let Some(beam) = self.plane_beam(polarisation, channel)? else { return Ok(None) };
        Ok(Some(self.on_pixels(&beam, self.pixel_deg()?)))
    }

    /// A beam on this image's pixels of `pixel_deg` degrees, turned as its axes are.
    pub(crate) fn on_pixels(&self, beam: &Beam, pixel_deg: f64) -> PixelBeam {
        let pa_deg = pixel_position_angle(self.header(), beam.pa_deg);
        Beam { pa_deg, ..*beam }.in_pixels(pixel_deg)
    }

    /// The restoring beam of all planes; where they differ, the smallest one that all can be convolved to. `None`
    /// without one, and for one that cannot be used, with a warning.
    pub fn beam(&self) -> Option<Beam> {
        let known = |plane: Result<Option<Beam>, ImageError>| {
            plane.unwrap_or_else(|e| {
                tracing::warn!("{e}; it counts as none");
                None
            })
        };
        match self.beams() {
            Ok(Beams::Each(table)) => {
                let usable: Vec<Beam> = table.all().iter().copied().filter(|b| !is_placeholder(b)).collect();
                common_beam(&usable)
            }
            Ok(_) => known(self.plane_beam(0, 0)),
            Err(e) => known(Err(e)),
        }
    }

    /// Whether the planes have different beams.
    pub(crate) fn beams_differ(&self) -> bool {
        let Ok(Beams::Each(table)) = self.beams() else { return false };
        let mut usable = table.all().iter().filter(|b| !is_placeholder(b));
        let first = usable.next();
        usable.any(|b| Some(b) != first)
    }

    /// Side of the pixels in degrees, the geometric mean of both axes; `None` without one in the header.
    pub(crate) fn mean_pixel_deg(&self) -> Option<f64> {
        self.pixel_deg().ok().or_else(|| {
            let side = |axis: usize| self.header().get_f64(&format!("CDELT{axis}"));
            Some((side(1)? * side(2)?).abs().sqrt()).filter(|&p| p > 0.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{PixelType, PlaneWriter, append_beam_table};
    use ndarray::Array2;
    use rstest::rstest;

    fn image(folder: &std::path::Path, cards: &[(&str, f64)], channels: usize) -> std::path::PathBuf {
        let path = folder.join("a.fits");
        let mut header = Header::default();
        cards.iter().for_each(|(key, value)| header.set_f64(key, *value));
        let mut writer = PlaneWriter::create(&path, &[64, 64, channels], PixelType::F32, &header, false).unwrap();
        for i in 0..channels {
            writer.write_plane(i, Array2::<f32>::zeros((64, 64)).view()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    const GRID: [(&str, f64); 2] = [("CDELT1", -1e-3), ("CDELT2", 1e-3)];

    #[rstest]
    #[case(0.0)]
    #[case(-1.0)]
    #[case(f64::from(f32::MIN_POSITIVE))]
    fn placeholders_are_no_beam(#[case] width: f64) {
        let folder = tempfile::tempdir().unwrap();
        let path = image(folder.path(), &[GRID[0], GRID[1], ("BMAJ", width), ("BMIN", width)], 1);
        let image = FitsImage::open(path).unwrap();
        assert_eq!((image.plane_beam(0, 0).unwrap(), image.beam()), (None, None));
    }

    #[rstest]
    #[case(18.0, Some("are these arcseconds?"))]
    #[case(0.5, Some("are these arcminutes?"))]
    #[case(9e-5, Some("are these radians?"))]
    #[case(1e-7, Some("tenth of a pixel"))]
    #[case(4e-3, None)]
    #[case(60e-3, None)]
    fn absurd_sizes_are_refused_with_a_guess(#[case] width: f64, #[case] words: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = image(folder.path(), &[GRID[0], GRID[1], ("BMAJ", width), ("BMIN", width)], 1);
        let image = FitsImage::open(path).unwrap();
        match (image.plane_beam(0, 0), words) {
            (Ok(beam), None) => assert_eq!(beam.unwrap().major_deg, width),
            (Err(e), Some(words)) => assert!(e.to_string().contains(words), "{e}"),
            (found, _) => panic!("{found:?}"),
        }
        assert_eq!(image.beam().is_some(), words.is_none());
    }

    #[test]
    fn a_needle_is_no_beam_and_the_file_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = image(folder.path(), &[GRID[0], GRID[1], ("BMAJ", 4e-3), ("BMIN", 1e-9)], 1);
        let error = FitsImage::open(&path).unwrap().plane_beam(0, 0).unwrap_err().to_string();
        assert!(error.contains("thousandth of a pixel"), "{error}");
        assert_eq!(error.matches(&path.display().to_string()).count(), 1, "{error}");
        // wsclean fits such a beam where pixels are as large as the beam.
        let path = image(folder.path(), &[GRID[0], GRID[1], ("BMAJ", 4e-3), ("BMIN", 1e-4)], 1);
        assert_eq!(FitsImage::open(&path).unwrap().plane_beam(0, 0).unwrap().unwrap().minor_deg, 1e-4);
    }

    #[test]
    fn each_plane_has_its_beam_of_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = image(folder.path(), &GRID, 3);
        let beam = |width: f64| Beam { major_deg: width / 3600.0, minor_deg: width / 3600.0, pa_deg: 0.0 };
        append_beam_table(&path, &[beam(8.0), beam(0.0), beam(16.0)]).unwrap();
        let image = FitsImage::open(&path).unwrap();
        let width = |channel| image.plane_beam(0, channel).unwrap().map(|b| (b.major_deg * 3600.0).round());
        assert_eq!([0, 1, 2].map(width), [Some(8.0), None, Some(16.0)]);
        assert!(image.beams_differ() && (image.beam().unwrap().major_deg * 3600.0).round() == 16.0);
        // A table of other channels is not guessed at.
        drop(image);
        let path = self::image(folder.path(), &GRID, 2);
        append_beam_table(&path, &[beam(8.0); 3]).unwrap();
        let error = FitsImage::open(&path).unwrap().plane_beam(0, 0).unwrap_err();
        assert!(error.to_string().contains("has 2 channels, but its table BEAMS has beams of 3"), "{error}");
        assert_eq!(error.to_string().matches(".fits").count(), 1, "{error}");
    }

    #[test]
    fn the_last_beam_of_aips_counts() {
        let mut header = Header::default();
        header.add_history("AIPS   CLEAN BMAJ=  1.3889E-03 BMIN=  1.3889E-03 BPA=   0.00");
        header.add_history("AIPS   CLEAN BMAJ=  2.0E-03 BMIN=  1.0E-03 BPA=   -20.00");
        header.add_history("IMNAME BMAJ=  9.0E-03");
        assert_eq!(of_history(&header), Some(Beam { major_deg: 2e-3, minor_deg: 1e-3, pa_deg: -20.0 }));
    }
}
