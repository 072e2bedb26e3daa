//! The flint pipeline from image to mask.

use super::mac::{MacOptions, mac_seeds, mac_seeds_of};
use super::notes::MaskNote;
use super::seeds::{Clip, SignalRows, clip_rows, pixels_where, rows_of, snr_seeds};
use super::{convolve_first, erosion, flood};
use crate::image::PixelBeam;
use crate::kernels::bitmask::BitMask;
use crate::kernels::rows::Rows;
use crate::masking::{MaskBits, MaskingOptions};
use crate::options::{OptionError, Validate};
use ndarray::{Array2, ArrayView2, Zip};

/// Reasons for which no mask can be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskingError {
    /// An option with an invalid value.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// Background or rms of another size than the image.
    #[error("the {what} has {} x {} pixels, but the image has {} x {}: both must have the same size", found.1, found.0, expected.1, expected.0)]
    ShapesDiffer {
        /// `background` or `rms`.
        what: &'static str,
        /// Its `(ny, nx)`.
        found: (usize, usize),
        /// The image's `(ny, nx)`.
        expected: (usize, usize),
    },
    /// A mask by signal to noise without background and rms.
    #[error("a mask by signal to noise needs a background and an rms map; give both, or use flood_fill_use_mac")]
    NoiseMissing,
    /// Nothing but NaN.
    #[error("the image has no pixel with data (all are NaN)")]
    NoData,
}

impl From<MaskingError> for crate::Error {
    fn from(e: MaskingError) -> Self {
        Self::bad_input(e)
    }
}

/// A mask and notes about it.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskOutput {
    /// The mask, one bit per scale.
    pub mask: MaskBits,
    /// Number of bits in use.
    pub bits: usize,
    /// Notes for the user, most important first.
    pub notes: Vec<MaskNote>,
    /// (image - background) / rms, when the mask was made from it.
    pub signal: Option<Array2<f32>>,
}

/// Replaces the image by its signal, (image - background) / rms in float32. An rms that is not positive is no data: NaN.
///
/// # Errors
/// Shapes that differ.
pub fn to_signal(
    image: &mut Array2<f32>,
    background: ArrayView2<'_, f32>,
    rms: ArrayView2<'_, f32>,
) -> Result<(), MaskingError> {
    let expected = image.dim();
    for (what, found) in [("background", background.dim()), ("rms", rms.dim())] {
        if found != expected {
            return Err(MaskingError::ShapesDiffer { what, found, expected });
        }
    }
    Zip::from(image).and(background).and(rms).par_for_each(|v, &b, &r| *v = signal_of(*v, b, r));
    Ok(())
}

/// Signal of one pixel.
#[inline(always)]
pub(crate) fn signal_of(value: f32, background: f32, rms: f32) -> f32 {
    if rms > 0.0 { (value - background) / rms } else { f32::NAN }
}

/// Makes a mask of `image` (`[y, x]`), with `background` and `rms` of the same shape and unit where the options need them
/// ([`MaskingOptions::needs_noise`]; otherwise they are ignored), and the restoring beam for erosion.
///
/// The same pixels as flint's (2026-08), but NaN is no data and never masked.
///
/// # Errors
/// Invalid options, shapes that differ, background or rms absent but needed, an image without data.
pub fn make_mask(
    image: ArrayView2<'_, f32>,
    background: Option<ArrayView2<'_, f32>>,
    rms: Option<ArrayView2<'_, f32>>,
    beam: Option<&PixelBeam>,
    options: &MaskingOptions,
) -> Result<MaskOutput, MaskingError> {
    options.validate()?;
    if !options.needs_noise() {
        return mask_of_signal(image, beam, options);
    }
    let (Some(background), Some(rms)) = (background, rms) else { return Err(MaskingError::NoiseMissing) };
    let mut signal = image.as_standard_layout().into_owned();
    to_signal(&mut signal, background, rms)?;
    let output = mask_of_signal(signal.view(), beam, options)?;
    Ok(MaskOutput { signal: Some(signal), ..output })
}

/// Makes a mask of what the options look at: the signal when [`MaskingOptions::needs_noise`], else the image itself.
///
/// # Errors
/// Invalid options, or nothing but NaN.
pub fn mask_of_signal(
    signal: ArrayView2<'_, f32>,
    beam: Option<&PixelBeam>,
    options: &MaskingOptions,
) -> Result<MaskOutput, MaskingError> {
    options.validate()?;
    if options.needs_noise() {
        let Ok(output) = mask_of_rows(signal.dim(), &rows_of(signal), beam, options);
        return output;
    }
    if options.convolve_first {
        return scale_by_scale(&signal, beam, options);
    }
    if signal.iter().all(|v| v.is_nan()) {
        return Err(MaskingError::NoData);
    }
    let mut notes = Vec::new();
    let mask = if options.flood_fill {
        let mut mask = flood::grow(mac_seeds(signal, &MacOptions::from(options)));
        if options.grow_low_snr_island {
            let Ok((masks, _)) = clip_rows(signal.dim(), &rows_of(signal), &low_snr_clips(options));
            add_low_snr_islands(&mut mask, masks, options);
        }
        mask
    } else {
        notes.push(MaskNote::ClipOfImage { clip: options.base_snr_clip });
        let clip = Clip::Exceeds(options.base_snr_clip as f32);
        let Ok((mut masks, _)) = clip_rows(signal.dim(), &rows_of(signal), &[clip]);
        masks.swap_remove(0)
    };
    Ok(finish(mask, beam, options, notes))
}

/// Makes a mask by signal to noise ([`MaskingOptions::needs_noise`]) of a signal of `shape`, `(ny, nx)`, that comes in
/// strips of rows and is never stored. `rows` may be called twice for the same rows.
///
/// # Errors
/// Those of `rows`; inside, nothing but NaN. Options must be valid.
pub(crate) fn mask_of_rows<E: Send>(
    shape: (usize, usize),
    rows: &impl SignalRows<E>,
    beam: Option<&PixelBeam>,
    options: &MaskingOptions,
) -> Result<Result<MaskOutput, MaskingError>, E> {
    if !options.flood_fill {
        let (mut masks, greatest) = clip_rows(shape, rows, &[Clip::Exceeds(options.base_snr_clip as f32)])?;
        let mask = masks.swap_remove(0);
        return Ok(match greatest {
            None => Err(MaskingError::NoData),
            Some(_) => Ok(finish(mask, beam, options, Vec::new())),
        });
    }
    let others = if options.grow_low_snr_island { &low_snr_clips(options)[..] } else { &[] };
    let (seed_clip, flood_clip) = (options.flood_fill_positive_seed_clip, options.flood_fill_positive_flood_clip);
    let clipped = snr_seeds(shape, rows, seed_clip, flood_clip, others)?;
    if !clipped.any_data {
        return Ok(Err(MaskingError::NoData));
    }
    let mut mask = flood::grow(clipped.found);
    if options.grow_low_snr_island {
        add_low_snr_islands(&mut mask, clipped.others, options);
    }
    Ok(Ok(finish(mask, beam, options, clipped.note.into_iter().collect())))
}

/// Whether the options make a mask of rows, without the image in memory: the minimum absolute clip alone, or scale by scale.
pub(crate) fn needs_no_plane(options: &MaskingOptions) -> bool {
    !options.needs_noise()
        && (options.convolve_first || options.flood_fill && options.flood_fill_use_mac && !options.grow_low_snr_island)
}

/// Makes a mask of rows that any thread gets, several times or from its own place on, with options that [need no
/// plane](needs_no_plane), and are valid.
///
/// # Errors
/// Nothing but NaN.
pub(crate) fn mask_of_image_rows(
    rows: &impl Rows,
    beam: Option<&PixelBeam>,
    options: &MaskingOptions,
) -> Result<MaskOutput, MaskingError> {
    if options.convolve_first {
        return scale_by_scale(rows, beam, options);
    }
    let (ny, nx) = rows.dim();
    let mask = flood::grow(mac_seeds_of(rows, &MacOptions::from(options)));
    if mask.is_empty() {
        let mut row = vec![0.0; nx];
        let mut is_blank = |y| {
            rows.row_into(y, &mut row);
            row.iter().all(|v| v.is_nan())
        };
        if (0..ny).all(&mut is_blank) {
            return Err(MaskingError::NoData);
        }
    }
    Ok(finish(mask, beam, options, Vec::new()))
}

/// A mask with a bit for each scale.
fn scale_by_scale(
    rows: &impl Rows,
    beam: Option<&PixelBeam>,
    options: &MaskingOptions,
) -> Result<MaskOutput, MaskingError> {
    let valid = pixels_where(rows, |v| !v.is_nan());
    if valid.is_empty() {
        return Err(MaskingError::NoData);
    }
    let notes = beam.is_none().then_some(MaskNote::NoBeam).into_iter().collect();
    let mask = convolve_first::convolve_first(rows, &valid, beam, options);
    Ok(MaskOutput { mask, bits: options.bits(), notes, signal: None })
}

/// The clips with which islands of low signal are found.
fn low_snr_clips(options: &MaskingOptions) -> [Clip; 2] {
    [Clip::Exceeds(options.grow_low_snr_island_clip as f32), Clip::Valid]
}

/// Adds the islands of low signal; `masks` are those of [`low_snr_clips`].
fn add_low_snr_islands(mask: &mut BitMask, masks: Vec<BitMask>, options: &MaskingOptions) {
    let [above, valid]: [BitMask; 2] = masks.try_into().expect("a mask a clip");
    mask.or_with(&flood::islands_above(above, &valid, options.grow_low_snr_island_size));
}

/// The last step, erosion.
fn finish(mask: BitMask, beam: Option<&PixelBeam>, options: &MaskingOptions, mut notes: Vec<MaskNote>) -> MaskOutput {
    notes.extend((options.beam_shape_erode && beam.is_none()).then_some(MaskNote::NoBeam));
    let mask = match beam {
        Some(beam) if options.beam_shape_erode => {
            erosion::erode_scales(&mask, beam, options.beam_shape_erode_minimum_response, &options.scales())
        }
        _ => MaskBits::from(mask),
    };
    MaskOutput { mask, bits: options.bits(), notes, signal: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn flood() -> MaskingOptions {
        MaskingOptions { flood_fill: true, ..Default::default() }
    }

    #[test]
    fn noise_is_needed_only_for_signal_to_noise() {
        let image = array![[1f32, 2.0], [3.0, -1.0]];
        let error = make_mask(image.view(), None, None, None, &flood()).unwrap_err();
        assert_eq!(error, MaskingError::NoiseMissing);
        let mac = MaskingOptions { flood_fill_use_mac: true, ..flood() };
        let output = make_mask(image.view(), None, None, None, &mac).unwrap();
        assert_eq!(output.signal, None);
    }

    #[test]
    fn shapes_that_differ_are_named() {
        let image = array![[1f32, 2.0]];
        let maps = Array2::ones((1, 3));
        let error = make_mask(image.view(), Some(maps.view()), Some(maps.view()), None, &flood()).unwrap_err();
        assert_eq!(error, MaskingError::ShapesDiffer { what: "background", found: (1, 3), expected: (1, 2) });
    }

    #[test]
    fn nan_and_rms_of_zero_are_no_data() {
        let image = array![[f32::NAN, 10.0, 10.0, 10.0]];
        let zero = Array2::zeros((1, 4));
        let rms = array![[1f32, 1.0, 0.0, f32::NAN]];
        let output = make_mask(image.view(), Some(zero.view()), Some(rms.view()), None, &flood()).unwrap();
        assert_eq!(output.mask.values(), array![[0, 1, 0, 0]]);
        let nothing = Array2::from_elem((1, 4), f32::NAN);
        let error = make_mask(nothing.view(), Some(zero.view()), Some(rms.view()), None, &flood()).unwrap_err();
        assert_eq!(error, MaskingError::NoData);
    }

    #[test]
    fn holes_without_data_are_not_masked() {
        let mut image = Array2::from_elem((40, 40), -0.1f32);
        image.slice_mut(ndarray::s![10..30, 10..30]).fill(5.0);
        image[[20, 20]] = f32::NAN;
        let options = MaskingOptions {
            convolve_first: true,
            beam_shape_erode_scales: Some(vec![0, 1, 3]),
            ..MaskingOptions::default()
        };
        let output = make_mask(image.view(), None, None, None, &options).unwrap();
        for n in 0..3 {
            let plane = output.mask.plane(n);
            assert!(plane[[19, 19]] && !plane[[20, 20]], "scale number {n}");
        }
        assert_eq!(output.notes, [MaskNote::NoBeam]);
    }

    #[test]
    fn a_missing_beam_leaves_the_mask_as_it_is() {
        let image = array![[9f32, 0.0, -1.0]];
        let mac = MaskingOptions { flood_fill_use_mac: true, ..flood() };
        let eroded = MaskingOptions { beam_shape_erode: true, ..mac.clone() };
        let plain = make_mask(image.view(), None, None, None, &mac).unwrap();
        let output = make_mask(image.view(), None, None, None, &eroded).unwrap();
        assert_eq!((output.mask, output.notes), (plain.mask, vec![MaskNote::NoBeam]));
    }

    #[test]
    fn rows_make_the_mask_of_the_plane() {
        let image = Array2::from_shape_fn((50, 70), |(y, x)| match (y * 31 + x * x * 7) % 23 {
            0 => f32::NAN,
            n if (y / 10 + x / 10) % 3 == 0 => n as f32,
            n => 0.1 * (n as f32 - 9.0),
        });
        let options = MaskingOptions { flood_fill_use_mac: true, flood_fill_use_mac_box_size: 15, ..flood() };
        let enlarged = MaskingOptions { flood_fill_use_mac_adaptive_max_depth: Some(2), ..options.clone() };
        let by_scale =
            MaskingOptions { convolve_first: true, beam_shape_erode_scales: Some(vec![0, 4]), ..options.clone() };
        for options in [&options, &enlarged, &by_scale] {
            assert!(needs_no_plane(options));
            let expected = mask_of_signal(image.view(), None, options).unwrap();
            assert!(expected.mask.masked_pixels() > 0);
            assert_eq!(mask_of_image_rows(&image.view(), None, options).unwrap(), expected);
        }
        let nothing = Array2::from_elem((4, 4), f32::NAN);
        assert_eq!(mask_of_image_rows(&nothing.view(), None, &options).unwrap_err(), MaskingError::NoData);
    }

    #[test]
    fn clipping_the_image_itself_is_noted() {
        let options = MaskingOptions { flood_fill_use_mac: true, ..Default::default() };
        let output = make_mask(array![[5f32, 1.0]].view(), None, None, None, &options).unwrap();
        assert_eq!(output.notes, [MaskNote::ClipOfImage { clip: 4.0 }]);
        assert_eq!(output.mask.masked_pixels(), 1);
    }
}
