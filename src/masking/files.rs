//! A clean mask from image file to mask file, plane by plane, with counts for the record.

use super::auto::extended::PsfSidelobes;
use super::auto::vetting::LastRound;
use super::auto::{self, AutoInputs, AutoMaskOptions};
use super::combine::{Operation, select_islands};
use super::{MaskNote, MaskOutput, MaskingOptions, mask_of_signal, regions};
use crate::Result;
use crate::image::{FitsImage, PixelBeam, PixelType, PlaneWriter};
use crate::kernels::Connectivity;
use crate::kernels::label;
use crate::noise::{self, NoiseOptions};
use crate::options::Validate;
use ndarray::{Array2, ArrayView2, Zip};
use std::path::{Path, PathBuf};

/// What a mask file is made from.
#[derive(Debug, Clone, Copy)]
pub struct MaskFileRequest<'a> {
    /// Restored image, Jy/beam: a plane or a cube, whose planes are masked one by one.
    pub image: &'a Path,
    /// flint's options.
    pub options: &'a MaskingOptions,
    /// Background and noise, where the options need them.
    pub noise: &'a NoiseOptions,
    /// Pixels (any plane of the same size) that are always in the mask.
    pub include: Option<&'a Array2<bool>>,
    /// Pixels that are never in the mask; goes before `include`.
    pub exclude: Option<&'a Array2<bool>>,
    /// An earlier mask to compare with: a plane for all channels, or a cube of as many.
    pub previous: Option<&'a Path>,
    /// Levels chosen from the image itself; the options then say what is not about levels.
    pub automatic: Option<Automatic<'a>>,
    /// The file to be made.
    pub output: &'a Path,
}

/// Counts over all planes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaskFileSummary {
    /// Masked pixels.
    pub pixels: u64,
    /// 8-connected islands.
    pub islands: u64,
    /// Pixels that the earlier mask did not have; `None` without one.
    pub added: Option<u64>,
    /// Pixels that only the earlier mask had.
    pub removed: Option<u64>,
    /// Median rms of the noise map of the first plane, Jy/beam, where one was needed.
    pub rms: Option<f64>,
    /// What a person should know, each once.
    pub notes: Vec<MaskNote>,
    /// What was chosen and why, where the levels were chosen from the image (the first plane's choice).
    pub automatic: Option<AutoSummary>,
}

/// How an automatic mask came about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AutoSummary {
    /// Strength of the artefacts: 0 none, 1 the worst.
    pub artefacts: f64,
    /// Why these levels, and which islands were not believed.
    pub why: Vec<String>,
    /// The options that were used.
    pub options: Option<MaskingOptions>,
    /// Islands that were taken out.
    pub removed_islands: usize,
    /// Whether sidelobes may hide more (in any plane).
    pub hidden: bool,
}

/// How the levels of an automatic mask are chosen.
#[derive(Debug, Clone, Copy)]
pub struct Automatic<'a> {
    /// Its limits.
    pub options: &'a AutoMaskOptions,
    /// Multiplies the levels: 1, or more for a gentler attempt.
    pub caution: f64,
    /// The image that the earlier mask was made from, for the comparison of islands.
    pub previous_image: Option<&'a Path>,
    /// Where the image is a residual: what sidelobes make in it, a channel each, or one for all (from [`sidelobes`]).
    pub sidelobes: Option<&'a [PsfSidelobes]>,
    /// Where the image is a residual: the image before cleaning.
    pub uncleaned: Option<&'a Path>,
}

/// Makes a mask of every plane of an image (first polarisation) and writes it with the image's header.
///
/// # Errors
/// Files that cannot be read or written, options without sense, an image without data, planes that differ in size.
pub fn make(request: &MaskFileRequest<'_>) -> Result<MaskFileSummary> {
    request.options.validate().map_err(super::MaskingError::from)?;
    let mut image = FitsImage::open(request.image)?;
    let mut previous = request.previous.map(|path| image.companion(path)).transpose()?;
    let beam = pixel_beam(&image);
    let (ny, nx) = image.plane_shape();
    let channels = image.channels();
    let mut axes = image.axes().to_vec();
    if image.polarisations() > 1 {
        // The mask is that of the first polarisation (Stokes I), for all of them.
        axes = vec![nx, ny, channels];
    }
    let pixel = PixelType::for_bits(request.options.bits());
    let mut writer = PlaneWriter::create(request.output, &axes, pixel, image.header(), false)?;
    let mut summary = MaskFileSummary {
        added: previous.as_ref().map(|_| 0),
        removed: previous.as_ref().map(|_| 0),
        ..Default::default()
    };
    for channel in 0..channels {
        let mut plane = image.read_plane(0, channel)?;
        // A blank channel of a cube has nothing to mask; a blank image is an error.
        if channels > 1 && !plane.iter().any(|v| v.is_finite()) {
            writer.write_plane(channel, Array2::<u8>::zeros((ny, nx)).view())?;
            continue;
        }
        let before = previous.as_mut().map(|f| f.read_plane(0, channel.min(f.channels() - 1))).transpose()?;
        let output = if let Some(automatic) = &request.automatic {
            let last = before.as_ref().zip(automatic.previous_image);
            automatic_plane(plane.view(), beam.as_ref(), last, channel, request, automatic, &mut summary)?
        } else {
            if request.options.needs_noise() {
                let model = noise::model(plane.view(), noise::beam_of(&image), request.noise)?;
                if summary.rms.is_none() {
                    summary.rms = Some(model.median_rms());
                }
                model.to_signal(plane.view_mut());
            }
            mask_of_signal(plane.view(), beam.as_ref(), request.options)?
        };
        let mask = with_users(output, request, &mut summary);
        let any = mask.any();
        summary.count(&any, before.as_ref().map(|b| b.mapv(|v| v != 0.0 && !v.is_nan())).as_ref());
        mask.write(&mut writer, channel)?;
    }
    writer.finish()?;
    Ok(summary)
}

/// A channel of the first polarisation; one plane stands for all channels.
fn plane_of_channel(path: &Path, channel: usize) -> Result<Array2<f32>> {
    let mut file = FitsImage::open(path)?;
    let channel = channel.min(file.channels() - 1);
    Ok(file.read_plane(0, channel)?)
}

/// What the sidelobes of a PSF (a plane or a cube) make in images like `image`, channel by channel. The PSF stays the same
/// throughout an imaging, so this is done once.
///
/// # Errors
/// Files that cannot be read.
pub fn sidelobes(psf: &Path, image: &Path, options: &AutoMaskOptions) -> Result<Vec<PsfSidelobes>> {
    let mut psf = FitsImage::open(psf)?;
    let beam = pixel_beam(&FitsImage::open(image)?);
    let channels = psf.channels();
    let of_channel = |channel| {
        let plane = psf.read_plane(0, channel)?;
        Ok(PsfSidelobes::of(plane.view(), &options.extended_scales, auto::fwhm_of(beam.as_ref())))
    };
    (0..channels).map(of_channel).collect()
}

/// The beam in the header, in pixels.
fn pixel_beam(image: &FitsImage) -> Option<PixelBeam> {
    image.beam().zip(image.pixel_deg().ok()).map(|(beam, pixel)| beam.in_pixels(pixel))
}

/// The mask of one plane with levels from the image, and its islands checked.
fn automatic_plane(
    plane: ArrayView2<'_, f32>,
    beam: Option<&PixelBeam>,
    last: Option<(&Array2<f32>, &Path)>,
    channel: usize,
    request: &MaskFileRequest<'_>,
    automatic: &Automatic<'_>,
    summary: &mut MaskFileSummary,
) -> Result<MaskOutput> {
    let last = match last {
        Some((mask, path)) => Some((plane_of_channel(path, channel)?, mask.mapv(|v| v != 0.0 && !v.is_nan()))),
        None => None,
    };
    let last = last.as_ref().map(|(image, mask)| LastRound { image: image.view(), mask: mask.view() });
    let uncleaned = automatic.uncleaned.map(|path| plane_of_channel(path, channel)).transpose()?;
    let uncleaned = uncleaned.as_ref().map(|p| p.view());
    let sidelobes = automatic.sidelobes.and_then(|all| all.get(channel.min(all.len() - 1)));
    let inputs = AutoInputs { image: plane, beam, sidelobes, uncleaned, last };
    let made = auto::make(&inputs, request.options, request.noise, automatic.caution, automatic.options)?;
    let all = summary.automatic.get_or_insert_with(|| AutoSummary {
        artefacts: made.choice.artefacts,
        why: vec![made.choice.why.clone()],
        options: Some(made.choice.masking.clone()),
        ..Default::default()
    });
    all.removed_islands += made.removed.len();
    all.hidden |= made.hidden;
    if made.prominent > 0 {
        all.why.push(format!("{} pixels of islands stand out from their surroundings", made.prominent));
    }
    all.why.extend(made.extended.iter().filter(|s| s.pixels > 0).map(ToString::to_string));
    // A handful of examples says enough.
    for island in made.removed.iter().take(5) {
        let [x, y] = island.pixel;
        all.why.push(format!("island at ({x}, {y}) of {:.3e} Jy/beam left out: {}", island.peak, island.why));
    }
    let bits = made.choice.masking.bits();
    Ok(MaskOutput { mask: made.mask, bits, notes: made.notes, signal: None })
}

/// The pipeline's mask with the user's pixels put in (every scale) and taken out.
fn with_users(output: MaskOutput, request: &MaskFileRequest<'_>, summary: &mut MaskFileSummary) -> super::MaskBits {
    let MaskOutput { mut mask, bits, notes, .. } = output;
    for note in notes {
        if !summary.notes.contains(&note) {
            summary.notes.push(note);
        }
    }
    if let Some(include) = request.include {
        for bit in 0..bits {
            mask.set(bit, include.view());
        }
    }
    if let Some(exclude) = request.exclude {
        mask.clear(exclude.view());
    }
    mask
}

/// The pixels that a user's masks (FITS: where not 0, of the image's size) and region files (DS9 or CRTF) name on the
/// grid of `image`; `None` without files.
///
/// # Errors
/// A file that cannot be read, a mask of another size, sky regions for an image without celestial coordinates.
pub fn user_pixels(files: &[PathBuf], image: &Path) -> Result<Option<Array2<bool>>> {
    if files.is_empty() {
        return Ok(None);
    }
    let image = FitsImage::open(image)?;
    let mut all = Array2::from_elem(image.plane_shape(), false);
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if [".fits", ".fits.gz", ".fits.fz", ".fit"].iter().any(|end| name.ends_with(end)) {
            let plane = image.companion(path)?.read_plane(0, 0)?;
            Zip::from(&mut all).and(&plane).for_each(|a, &v| *a |= v != 0.0 && !v.is_nan());
        } else {
            let regions = regions::load(path)?;
            let wcs = image.wcs().ok();
            let pixels = regions::rasterise(&regions, wcs.as_ref(), image.plane_shape())?;
            Zip::from(&mut all).and(&pixels).for_each(|a, &v| *a |= v);
        }
    }
    Ok(Some(all))
}

/// How the masks of two methods become one; see `campaign.mask.combine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// Pixels in either.
    Union,
    /// Pixels in both.
    Intersection,
    /// Whole islands of the first that touch the second.
    FirstWithinSecond,
    /// Whole islands of the second that touch the first.
    SecondWithinFirst,
}

/// Puts two mask files together, with a user's pixels in or out, and writes the result on the grid of `like`. A mask of
/// one plane stands for all channels. Whatever is set in the file `veto` is left out, channel by channel.
///
/// # Errors
/// Files that cannot be read or written, planes that differ in size.
pub fn combine(
    like: &Path,
    (first, second): (&Path, Option<&Path>),
    together: Together,
    (include, exclude): (Option<&Array2<bool>>, Option<&Array2<bool>>),
    previous: Option<&Path>,
    veto: Option<&Path>,
    output: &Path,
) -> Result<MaskFileSummary> {
    let image = FitsImage::open(like)?;
    let mut veto = veto.map(|p| image.companion(p)).transpose()?;
    let mut first = image.companion(first)?;
    let mut second = second.map(|p| image.companion(p)).transpose()?;
    let mut previous = previous.map(|p| image.companion(p)).transpose()?;
    let (ny, nx) = image.plane_shape();
    // One plane where one is enough: all masks are the same for all channels.
    let planes = |file: &Option<FitsImage>| file.as_ref().map_or(1, FitsImage::channels);
    let channels = first.channels().max(planes(&second)).max(planes(&veto));
    let axes = if channels == image.channels() && image.polarisations() == 1 {
        image.axes().to_vec()
    } else {
        vec![nx, ny, channels]
    };
    let mut writer = PlaneWriter::create(output, &axes, PixelType::U8, image.header(), false)?;
    let compared = previous.as_ref().map(|_| 0);
    let mut summary = MaskFileSummary { added: compared, removed: compared, ..Default::default() };
    let read = |file: &mut FitsImage, channel: usize| -> Result<Array2<bool>> {
        let plane = file.read_plane(0, channel.min(file.channels() - 1))?;
        Ok(plane.mapv(|v| v != 0.0 && !v.is_nan()))
    };
    for channel in 0..channels {
        let mut mask = read(&mut first, channel)?;
        if let Some(second) = &mut second {
            let mut other = read(second, channel)?;
            match together {
                Together::Union => Operation::Union.apply(&mut mask, other.view()),
                Together::Intersection => Operation::Intersection.apply(&mut mask, other.view()),
                Together::FirstWithinSecond => select_islands(&mut mask, other.view(), true),
                Together::SecondWithinFirst => {
                    select_islands(&mut other, mask.view(), true);
                    mask = other;
                }
            }
        }
        if let Some(include) = include {
            Operation::Union.apply(&mut mask, include.view());
        }
        if let Some(exclude) = exclude {
            Operation::Difference.apply(&mut mask, exclude.view());
        }
        if let Some(veto) = &mut veto {
            Operation::Difference.apply(&mut mask, read(veto, channel)?.view());
        }
        let before = previous.as_mut().map(|file| read(file, channel)).transpose()?;
        summary.count(&mask, before.as_ref());
        writer.write_plane(channel, mask.mapv(u8::from).view())?;
    }
    writer.finish()?;
    Ok(summary)
}

/// The counts of one mask, beside an earlier one.
pub(super) fn counted(mask: &Array2<bool>, before: Option<&Array2<bool>>) -> MaskFileSummary {
    let compared = before.map(|_| 0);
    let mut summary = MaskFileSummary { added: compared, removed: compared, ..MaskFileSummary::default() };
    summary.count(mask, before);
    summary
}

impl MaskFileSummary {
    fn count(&mut self, mask: &Array2<bool>, before: Option<&Array2<bool>>) {
        self.pixels += mask.iter().map(|&m| u64::from(m)).sum::<u64>();
        self.islands += label(mask.view(), Connectivity::Eight).count() as u64;
        if let Some(before) = before {
            let (mut added, mut removed) = (0, 0);
            Zip::from(mask).and(before).for_each(|&now, &then| {
                added += u64::from(now && !then);
                removed += u64::from(then && !now);
            });
            *self.added.get_or_insert(0) += added;
            *self.removed.get_or_insert(0) += removed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, write_plane};
    use ndarray::array;

    #[test]
    fn counts_tell_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (image, previous, output) =
            (folder.path().join("i.fits"), folder.path().join("p.fits"), folder.path().join("o.fits"));
        let pixels = array![[0f32, 9., 0., 0.], [0., 9., 0., 7.], [0., 0., 0., f32::NAN]];
        write_plane(&image, pixels.view(), PixelType::F32, &Header::default(), 4).unwrap();
        let before = array![[1u8, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]];
        write_plane(&previous, before.view(), PixelType::U8, &Header::default(), 2).unwrap();
        let options = MaskingOptions { flood_fill: true, flood_fill_use_mac: true, ..MaskingOptions::default() };
        let options = MaskingOptions { flood_fill_use_mac_box_size: 3, ..options };
        let exclude = array![[false; 4], [false, false, false, true], [false; 4]];
        let request = MaskFileRequest {
            image: &image,
            options: &options,
            noise: &NoiseOptions::default(),
            include: None,
            exclude: Some(&exclude),
            previous: Some(&previous),
            automatic: None,
            output: &output,
        };
        let summary = make(&request).unwrap();
        assert_eq!((summary.pixels, summary.islands), (2, 1));
        assert_eq!((summary.added, summary.removed), (Some(1), Some(1)));
        let mask = FitsImage::open(&output).unwrap().read_plane(0, 0).unwrap();
        assert_eq!(mask, array![[0f32, 1., 0., 0.], [0., 1., 0., 0.], [0., 0., 0., 0.]]);
    }
}
