//! `mask: auto`: levels chosen from the image itself, and a mask that is checked before it is used. Pure functions.
//!
//! The worst image makes the first mask, so the early rounds decide a campaign: what is cleaned there wrongly is
//! calibrated into the data. Where negative peaks are deep (compared with the brightest pixel, and with what noise
//! alone would make), they measure the artefacts, and seeds must exceed them: a minimum absolute clip with a high
//! factor and a large box. As the negative peaks fall the factor and the box shrink, and once they are no deeper than
//! noise makes them, signal to local noise decides. The limits between which the factors move are those of a schedule
//! tuned by hand on a simulated field (docs/acceptance.md).

pub mod compact;
pub mod extended;
pub mod vetting;

use super::flint::erosion::erode_scales;
use super::flint::flood::grow;
use super::{MaskBits, MaskNote, MaskingError, MaskingOptions, make_mask};
use crate::image::PixelBeam;
use crate::kernels::bitmask::BitMask;
use crate::kernels::order_statistics::median_and_mad;
use crate::kernels::{Connectivity, dilation_bits, geodesic_dilation_bits};
use crate::noise::{NoiseMaps, NoiseOptions, estimate};
use compact::{CompactLimits, compact_seeds, significant};
use extended::{ExtendedLimits, Halo, PsfSidelobes, Scale, ScaleFound, extended_islands};
use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use vetting::{LastRound, RemovedIsland, Surroundings, brightest_nearby, check};

/// FWHM that stands in for an unknown beam, pixels.
const FALLBACK_FWHM: f64 = 4.0;
/// How often a mask that is too large is made anew with higher levels.
const MOST_ATTEMPTS: usize = 5;
/// Each of these attempts multiplies the levels by this.
const ATTEMPT_FACTOR: f64 = 1.3;
/// The box of the minimum absolute clip is enlarged so often inside extended emission.
const ADAPTIVE_DEPTH: usize = 3;

/// Limits of the automatic masks. A pair of numbers is for images whose artefacts are at their worst, and for those
/// without artefacts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AutoMaskOptions {
    /// |most negative pixel| / peak between which the levels move.
    pub negative_ratio: (f64, f64),
    /// |most negative pixel| over what Gaussian noise would make, between which the levels move.
    pub negative_excess: (f64, f64),
    /// Seed factor of the minimum absolute clip.
    pub seed_factor: (f64, f64),
    /// Flood factor of the minimum absolute clip.
    pub flood_factor: (f64, f64),
    /// Side of the box of the minimum absolute clip, FWHM of the beam.
    pub box_beams: (f64, f64),
    /// Seeds of the mask by signal to local noise, which takes over without artefacts, sigma. Islands of the minimum
    /// absolute clip reach it, too.
    pub local_seed: f64,
    /// The level down to which they grow, sigma.
    pub local_flood: f64,
    /// Side of the box of prominent islands, FWHM of the beam: they are held against what is near, not against the worst
    /// artefact of the whole image.
    pub prominent_box_beams: f64,
    /// Seeds of prominent islands exceed this times the local noise; 0: none are looked for.
    pub prominent_seed: f64,
    /// Seeds of prominent islands exceed this times the deepest negative of the box.
    pub prominent_negative: f64,
    /// In a residual, seeds of prominent islands exceed this times the highest sidelobe of its brightest pixel.
    pub prominent_sidelobe: f64,
    /// Extended emission is looked for in the image smoothed by Gaussians of these FWHM, in FWHM of the beam; an empty
    /// list: not at all.
    pub extended_scales: Vec<f64>,
    /// Seeds of extended emission exceed this times the noise of the smoothed image.
    pub extended_seed: f64,
    /// Seeds of extended emission exceed this times the deepest negative of the smoothed image.
    pub extended_negative: f64,
    /// Seeds of extended emission exceed this times the deepest negative of a box of 16 beams.
    pub extended_near_negative: f64,
    /// In a residual, seeds of extended emission exceed this times what sidelobes make in the smoothed image: those of the
    /// brightest pixel, and those of the brightest emission of the same scale. Most of it will go once these are cleaned.
    pub extended_sidelobe: f64,
    /// Extended emission grows down to this times the noise of the smoothed image, though not below half of the deepest
    /// negative, nor below the sidelobes.
    pub extended_flood: f64,
    /// Extended emission does not grow below this fraction of its brightest pixel in the smoothed image.
    pub extended_depth: f64,
    /// Islands of the image itself get a margin of so many FWHM of the beam: faint wings and what calibration errors leave beside a
    /// source are cleaned with it. Masks that are eroded have none.
    pub margin_beams: f64,
    /// A larger masked fraction is not believed: the mask is made anew with higher levels.
    pub max_fraction: f64,
    /// Beside a source brighter than an island by this factor, more is asked of it.
    pub beside_ratio: f64,
    /// How near that is, FWHM of the beam.
    pub beside_reach: f64,
    /// Such an island exceeds this times the deepest negative of the box of prominent islands.
    pub beside_negative: f64,
    /// An island fainter than this fraction of a bright source nearby may be its artefact.
    pub artefact_ratio: f64,
    /// How far a bright source's artefacts are looked for, FWHM of the beam.
    pub artefact_reach: f64,
    /// An island is an artefact when the point mirrored at the bright source is negative by this fraction of it.
    pub mirrored_negative: f64,
    /// An island is an artefact when a pixel at the same distance from the bright source is negative by this fraction.
    pub ring_negative: f64,
    /// An island must have been seen in the last image when it would have stood out there by so many sigma.
    pub visible_sigma: f64,
    /// It was seen when the last image shows this fraction of it.
    pub visible_fraction: f64,
}

impl Default for AutoMaskOptions {
    fn default() -> Self {
        Self {
            negative_ratio: (0.05, 0.005),
            negative_excess: (2.5, 1.2),
            seed_factor: (1.6, 1.1),
            flood_factor: (1.0, 0.7),
            box_beams: (100.0, 50.0),
            local_seed: 5.0,
            local_flood: 2.0,
            prominent_box_beams: 25.0,
            prominent_seed: 6.0,
            prominent_negative: 1.3,
            prominent_sidelobe: 1.5,
            extended_scales: vec![2.0, 4.0, 8.0],
            extended_seed: 6.0,
            extended_negative: 1.5,
            extended_near_negative: 2.5,
            extended_sidelobe: 3.0,
            extended_flood: 2.0,
            extended_depth: 0.2,
            margin_beams: 1.25,
            max_fraction: 0.25,
            beside_ratio: 5.0,
            beside_reach: 25.0,
            beside_negative: 1.8,
            artefact_ratio: 0.1,
            artefact_reach: 60.0,
            mirrored_negative: 0.6,
            ring_negative: 0.9,
            visible_sigma: 5.0,
            visible_fraction: 0.4,
        }
    }
}

/// What decides about the levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageState {
    /// Brightest pixel, Jy/beam.
    pub peak: f64,
    /// Most negative pixel, Jy/beam (0 when none is).
    pub minimum: f64,
    /// 1.4826 MAD of the whole image, Jy/beam.
    pub rms: f64,
    /// |minimum| / peak.
    pub negative_ratio: f64,
    /// |minimum| over the most negative pixel that Gaussian noise of this rms would make.
    pub negative_excess: f64,
    /// FWHM of the beam's major axis, pixels.
    pub fwhm: f64,
    /// Solid angle of the beam, pixels.
    pub beam_area: f64,
}

/// FWHM of the beam's major axis, pixels, at least 1; of a usual beam where none is known.
pub fn fwhm_of(beam: Option<&PixelBeam>) -> f64 {
    beam.map_or(FALLBACK_FWHM, |b| b.major.max(1.0))
}

/// Measures an image, `[y, x]`; `None` without positive pixels or noise.
pub fn measure(image: ArrayView2<'_, f32>, beam: Option<&PixelBeam>) -> Option<ImageState> {
    let standard = image.as_standard_layout();
    let values = standard.as_slice()?;
    // Zeros are pixels that were not imaged.
    let stats = median_and_mad(values, |i| values[i] != 0.0)?;
    let (mut peak, mut minimum) = (0f32, 0f32);
    for &v in values.iter().filter(|v| v.is_finite()) {
        peak = peak.max(v);
        minimum = minimum.min(v);
    }
    let (peak, minimum, rms) = (f64::from(peak), f64::from(minimum), stats.sigma());
    if peak <= 0.0 || rms <= 0.0 {
        return None;
    }
    let round = PixelBeam { major: FALLBACK_FWHM, minor: FALLBACK_FWHM, pa_deg: 0.0 };
    let beam = beam.copied().unwrap_or(round);
    // The most negative of n independent normal numbers lies near sqrt(2 ln n) sigma.
    let beams = (stats.count as f64 / beam.area().max(1.0)).max(2.0);
    let of_noise = (2.0 * beams.ln()).sqrt() * rms;
    Some(ImageState {
        peak,
        minimum,
        rms,
        negative_ratio: -minimum / peak,
        negative_excess: -minimum / of_noise,
        fwhm: fwhm_of(Some(&beam)),
        beam_area: beam.area().max(1.0),
    })
}

/// Options for the mask of a round, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AutoChoice {
    /// Strength of the artefacts: 0 none, 1 the worst.
    pub artefacts: f64,
    /// Options of the mask.
    pub masking: MaskingOptions,
    /// Why, with the numbers.
    pub why: String,
}

/// Chooses the options for an image in this state. `base` gives what is not about levels (erosion, scales);
/// `caution` multiplies the levels: 1, or more for a gentler attempt.
pub fn choose(base: &MaskingOptions, state: &ImageState, caution: f64, options: &AutoMaskOptions) -> AutoChoice {
    let by_ratio = position(state.negative_ratio, options.negative_ratio);
    let by_excess = position(state.negative_excess, options.negative_excess);
    // Deep negatives are artefacts only where both agree: in a faint field noise alone makes a large ratio, and beside a
    // strong source well below its peak an excess is small change.
    let artefacts = by_ratio.min(by_excess);
    let numbers = format!(
        "the most negative pixel is {:.2} % of the peak and {:.1} times what noise would make",
        100.0 * state.negative_ratio,
        state.negative_excess
    );
    // The pipeline scale by scale knows the minimum absolute clip only.
    if by_excess <= 0.0 && !base.convolve_first {
        let masking = MaskingOptions {
            flood_fill: true,
            flood_fill_use_mac: false,
            flood_fill_positive_seed_clip: options.local_seed * caution,
            flood_fill_positive_flood_clip: options.local_flood * caution,
            ..base.clone()
        };
        let why = format!(
            "{numbers}: no artefacts, so seeds are {:.2} and growth {:.2} times the local noise",
            masking.flood_fill_positive_seed_clip, masking.flood_fill_positive_flood_clip
        );
        return AutoChoice { artefacts, masking, why };
    }
    let between = |(worst, none): (f64, f64)| none + artefacts * (worst - none);
    let masking = MaskingOptions {
        flood_fill: true,
        flood_fill_use_mac: true,
        flood_fill_use_mac_box_size: (between(options.box_beams) * state.fwhm).round().max(3.0) as usize,
        flood_fill_use_mac_adaptive_max_depth: Some(ADAPTIVE_DEPTH),
        flood_fill_positive_seed_clip: between(options.seed_factor) * caution,
        flood_fill_positive_flood_clip: between(options.flood_factor) * caution,
        grow_low_snr_island: false,
        ..base.clone()
    };
    let why = format!(
        "{numbers}: minimum absolute clip, seeds {:.2} and growth {:.2} times the deepest pixel in boxes of {} pixels",
        masking.flood_fill_positive_seed_clip,
        masking.flood_fill_positive_flood_clip,
        masking.flood_fill_use_mac_box_size
    );
    AutoChoice { artefacts, masking, why }
}

/// Where `value` lies between none (0) and the worst (1), on a logarithmic scale.
fn position(value: f64, (worst, none): (f64, f64)) -> f64 {
    if value <= none { 0.0 } else { ((value / none).ln() / (worst / none).ln()).clamp(0.0, 1.0) }
}

/// What a mask is made from.
#[derive(Debug, Clone, Copy)]
pub struct AutoInputs<'a> {
    /// A restored image or a residual, `[y, x]`, Jy/beam.
    pub image: ArrayView2<'a, f32>,
    /// Its restoring beam.
    pub beam: Option<&'a PixelBeam>,
    /// For a residual: the sidelobes that are still in it, on the scales of the options.
    pub sidelobes: Option<&'a PsfSidelobes>,
    /// For a residual: the same field with its bright sources in it (the dirty image), `[y, x]`, Jy/beam.
    pub uncleaned: Option<ArrayView2<'a, f32>>,
    /// The last accepted round, against which islands are checked.
    pub last: Option<LastRound<'a>>,
}

/// A mask that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoMask {
    /// The mask, a bit a scale.
    pub mask: MaskBits,
    /// What it was made with.
    pub choice: AutoChoice,
    /// What was measured.
    pub state: ImageState,
    /// Masked pixels over pixels with data.
    pub fraction: f64,
    /// How often it was made anew with higher levels, because too much was masked.
    pub raised: usize,
    /// Islands that were not believed.
    pub removed: Vec<RemovedIsland>,
    /// Pixels of prominent islands.
    pub prominent: usize,
    /// Whether sidelobes of what is not cleaned yet may hide islands that stand out from the noise.
    pub hidden: bool,
    /// Extended emission that was looked for, a scale each.
    pub extended: Vec<ScaleFound>,
    /// Notes of the pipeline.
    pub notes: Vec<MaskNote>,
}

/// Why there is no automatic mask.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AutoMaskError {
    /// No positive pixel, or no noise.
    #[error("the image has no positive pixel or no noise; no mask can be chosen from it")]
    NoSignal,
    /// Too much is masked, whatever the levels.
    #[error("{:.1} % of the image would be masked, {:.1} % are allowed, even with levels raised {raised} times", 100.0 * fraction, 100.0 * allowed)]
    TooMuch {
        /// What would be masked.
        fraction: f64,
        /// What may be.
        allowed: f64,
        /// How often the levels were raised.
        raised: usize,
    },
    /// The pipeline's own error.
    #[error(transparent)]
    Masking(#[from] MaskingError),
    /// The noise could not be estimated.
    #[error(transparent)]
    Noise(#[from] crate::noise::NoiseError),
}

impl From<AutoMaskError> for crate::Error {
    fn from(e: AutoMaskError) -> Self {
        Self::bad_input(e)
    }
}

/// Chooses levels for an image, makes the mask and checks it.
///
/// # Errors
/// An image without signal, options without sense, or a mask that stays too large.
pub fn make(
    inputs: &AutoInputs<'_>,
    base: &MaskingOptions,
    noise: &NoiseOptions,
    caution: f64,
    options: &AutoMaskOptions,
) -> Result<AutoMask, AutoMaskError> {
    let &AutoInputs { image, beam, sidelobes, uncleaned, last } = inputs;
    let state = measure(image, beam).ok_or(AutoMaskError::NoSignal)?;
    let valid = image.iter().filter(|v| v.is_finite()).count().max(1) as f64;
    let clean: Vec<Scale> = options.extended_scales.iter().copied().map(Scale::clean).collect();
    let scales = sidelobes.map_or(&clean, |s| &s.scales);
    let sidelobe = options.prominent_sidelobe * state.peak * sidelobes.map_or(0.0, |s| s.highest);
    let maps: OnceCell<NoiseMaps> = OnceCell::new();
    let noise_maps = || -> Result<&NoiseMaps, AutoMaskError> {
        if maps.get().is_none() {
            let made = estimate(image, beam.copied(), noise)?;
            maps.set(made).expect("was empty");
        }
        Ok(maps.get().expect("was filled"))
    };
    let made = |choice: &AutoChoice| -> Result<(MaskBits, Vec<MaskNote>), AutoMaskError> {
        let noise = if choice.masking.needs_noise() { Some(noise_maps()?) } else { None };
        let (background, rms) = noise.map(|m| (m.background.view(), m.rms.view())).unzip();
        let output = make_mask(image, background, rms, beam, &choice.masking)?;
        let lowered = output.notes.iter().any(|n| matches!(n, MaskNote::SeedClipLowered { .. }));
        // Where nothing reaches the level, the pipeline takes the greatest peaks all the same. In a residual that means
        // that all is cleaned.
        let mask = if sidelobes.is_some() && lowered {
            MaskBits::empty(image.dim(), choice.masking.bits())
        } else {
            output.mask
        };
        Ok((mask, output.notes))
    };
    // Islands of no scale in particular belong to each, as far as the beam's shape allows.
    let put = |mask: &mut MaskBits, islands: ArrayView2<'_, bool>| match beam {
        Some(beam) if base.beam_shape_erode || base.convolve_first => {
            let response = base.beam_shape_erode_minimum_response;
            let more = erode_scales(&BitMask::from_bools(islands), beam, response, &base.scales());
            (0..base.bits()).for_each(|n| mask.set(n, more.plane(n).view()));
        }
        _ => mask.set(0, islands),
    };
    let brightest = brightest_nearby(image, uncleaned, &state, options);
    let surroundings = Surroundings { image, brightest: brightest.view() };
    let halo = Halo { noise: noise_maps()?.rms.view(), brightest: brightest.view() };
    for raised in 0..=MOST_ATTEMPTS {
        let caution = caution * ATTEMPT_FACTOR.powi(raised as i32);
        let choice = choose(base, &state, caution, options);
        let (mut mask, notes) = made(&choice)?;
        let mut prominent = 0;
        if choice.masking.flood_fill_use_mac {
            // The clip knows negatives only: where they are shallow, noise or the sidelobes of extended emission pass.
            let islands = BitMask::from_bools(mask.any().view());
            let mut kept = significant(image, noise_maps()?, options.local_seed * caution);
            kept.and_with(&islands);
            geodesic_dilation_bits(&mut kept, &islands, Connectivity::Eight, None);
            mask.clear(kept.inverted().to_bools().view());
        }
        // Signal to local noise sees them anyway.
        if choice.masking.flood_fill_use_mac && options.prominent_seed > 0.0 {
            let limits = CompactLimits {
                box_size: (options.prominent_box_beams * state.fwhm).round().max(3.0) as usize,
                seed: options.prominent_seed * caution,
                negative: options.prominent_negative * caution,
                least: sidelobe * caution,
                flood: options.local_flood * caution,
                flood_negative: choice.masking.flood_fill_positive_flood_clip,
            };
            let islands = grow(compact_seeds(image, noise_maps()?, &limits));
            prominent = islands.count();
            put(&mut mask, islands.to_bools().view());
        }
        let limits = ExtendedLimits {
            fwhm: state.fwhm,
            beam_area: state.beam_area,
            rms: state.rms,
            seed: options.extended_seed * caution,
            negative: options.extended_negative * caution,
            near_negative: options.extended_near_negative * caution,
            sidelobe: options.extended_sidelobe * caution,
            peak: state.peak,
            flood: options.extended_flood * caution,
            depth: options.extended_depth,
        };
        let (islands, extended) = extended_islands(image, mask.any().view(), &halo, scales, &limits);
        // Extended emission has been held against the negatives of its own scale: the pairing of single pixels, which
        // are mostly noise there, says nothing more.
        let (mut mask, removed) = check(mask, &surroundings, &state, last, islands.view(), options);
        if !(base.beam_shape_erode || base.convolve_first) {
            // Smoothing has widened extended emission already.
            mask.set(0, with_margin(mask.plane(0), options.margin_beams * state.fwhm).view());
        }
        put(&mut mask, islands.view());
        mask.clear(image.mapv(f32::is_nan).view());
        let fraction = mask.masked_pixels() as f64 / valid;
        if fraction <= options.max_fraction {
            let hidden = sidelobe > options.prominent_seed * state.rms;
            return Ok(AutoMask { mask, choice, state, fraction, raised, removed, prominent, hidden, extended, notes });
        }
        if raised == MOST_ATTEMPTS {
            return Err(AutoMaskError::TooMuch { fraction, allowed: options.max_fraction, raised });
        }
    }
    unreachable!("the last attempt returns")
}

/// The mask dilated by an octagon of this radius, pixels.
fn with_margin(mask: Array2<bool>, radius: f64) -> Array2<bool> {
    // Steps by the square and by the cross, so that axes and diagonals are reached alike.
    let squares = ((std::f64::consts::SQRT_2 - 1.0) * radius).round() as usize;
    let crosses = (radius.round() as usize).saturating_sub(squares);
    let mask = dilation_bits(BitMask::from_bools(mask.view()), Connectivity::Eight, squares);
    dilation_bits(mask, Connectivity::Four, crosses).to_bools()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const BEAM: PixelBeam = PixelBeam { major: 3.0, minor: 3.0, pa_deg: 0.0 };

    /// Deterministic noise of unit variance, smoothed by nothing.
    fn noise(side: usize, mut state: u64) -> Array2<f32> {
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        Array2::from_shape_simple_fn((side, side), || (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
    }

    fn add_source(image: &mut Array2<f32>, (y0, x0): (usize, usize), peak: f32, fwhm: f32) {
        for ((y, x), v) in image.indexed_iter_mut() {
            let squared = (y as f32 - y0 as f32).powi(2) + (x as f32 - x0 as f32).powi(2);
            *v += peak * (-4.0 * std::f32::consts::LN_2 * squared / (fwhm * fwhm)).exp();
        }
    }

    fn state(ratio: f64, excess: f64) -> ImageState {
        ImageState {
            peak: 1.0,
            minimum: -ratio,
            rms: 1e-3,
            negative_ratio: ratio,
            negative_excess: excess,
            fwhm: 3.0,
            beam_area: 10.0,
        }
    }

    #[rstest]
    // Ratio and excess, then box, seed and flood: the ends of the schedule tuned by hand, and between them.
    #[case::worst(0.2, 6.0, 300, 1.6, 1.0)]
    #[case::nearly_clean(0.004, 3.0, 150, 1.1, 0.7)]
    #[case::between(0.0158, 6.0, 225, 1.35, 0.85)]
    #[case::faint_field_of_noise(0.2, 1.25, 158, 1.128, 0.717)]
    fn levels_follow_the_negatives(
        #[case] ratio: f64,
        #[case] excess: f64,
        #[case] side: usize,
        #[case] seed: f64,
        #[case] flood: f64,
    ) {
        let choice = choose(&MaskingOptions::default(), &state(ratio, excess), 1.0, &AutoMaskOptions::default());
        let m = &choice.masking;
        assert!(m.flood_fill && m.flood_fill_use_mac);
        assert!(m.flood_fill_use_mac_box_size.abs_diff(side) <= 1, "{m:?}");
        assert!((m.flood_fill_positive_seed_clip - seed).abs() < 2e-3, "{m:?}");
        assert!((m.flood_fill_positive_flood_clip - flood).abs() < 2e-3, "{m:?}");
    }

    #[test]
    fn without_artefacts_local_noise_decides_and_caution_raises_it() {
        let base = MaskingOptions { beam_shape_erode: true, ..MaskingOptions::default() };
        let options = AutoMaskOptions::default();
        let choice = choose(&base, &state(0.03, 1.1), 1.3, &options);
        assert!(!choice.masking.flood_fill_use_mac && choice.masking.beam_shape_erode);
        assert!((choice.masking.flood_fill_positive_seed_clip - 6.5).abs() < 1e-12);
        insta::assert_snapshot!(choice.why, @"the most negative pixel is 3.00 % of the peak and 1.1 times what noise would make: no artefacts, so seeds are 6.50 and growth 2.60 times the local noise");
    }

    #[test]
    fn noise_alone_has_no_excess() {
        let measured = measure(noise(300, 3).view(), Some(&BEAM)).unwrap();
        assert!((0.8..1.2).contains(&measured.negative_excess), "{measured:?}");
        assert_eq!(measure(Array2::from_elem((9, 9), f32::NAN).view(), None), None);
        assert_eq!(measure(Array2::from_elem((9, 9), -1.0).view(), None), None);
    }

    /// A source of 1000 in unit noise at the middle of 240 pixels.
    fn field() -> Array2<f32> {
        let mut image = noise(240, 7);
        add_source(&mut image, (120, 120), 1000.0, 3.0);
        image
    }

    fn is_masked(mask: &AutoMask, p: (usize, usize)) -> bool {
        mask.mask.any()[p]
    }

    fn inputs(image: &Array2<f32>) -> AutoInputs<'_> {
        AutoInputs { image: image.view(), beam: Some(&BEAM), sidelobes: None, uncleaned: None, last: None }
    }

    fn make_of<'a>(image: &'a Array2<f32>, last: Option<LastRound<'a>>) -> AutoMask {
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        make(&AutoInputs { last, ..inputs(image) }, &base, &noise, 1.0, &AutoMaskOptions::default()).unwrap()
    }

    #[test]
    fn artefacts_paired_with_negatives_are_not_believed_and_sources_are() {
        let mut image = field();
        // Phase errors: odd about the source. Amplitude errors: a ring of both signs.
        add_source(&mut image, (120, 150), 60.0, 3.0);
        add_source(&mut image, (120, 90), -50.0, 3.0);
        add_source(&mut image, (160, 120), 55.0, 3.0);
        add_source(&mut image, (148, 148), -52.0, 3.0);
        // Sources, near and far.
        add_source(&mut image, (100, 140), 60.0, 3.0);
        add_source(&mut image, (30, 200), 90.0, 3.0);
        let options = MaskingOptions { base_snr_clip: 10.0, ..MaskingOptions::default() };
        let zero = Array2::zeros(image.dim());
        let one = Array2::ones(image.dim());
        let mask = make_mask(image.view(), Some(zero.view()), Some(one.view()), None, &options).unwrap().mask;
        let state = measure(image.view(), Some(&BEAM)).unwrap();
        let nothing = Array2::from_elem(image.dim(), false);
        let options = AutoMaskOptions { beside_ratio: f64::INFINITY, ..AutoMaskOptions::default() };
        let brightest = brightest_nearby(image.view(), None, &state, &options);
        let around = Surroundings { image: image.view(), brightest: brightest.view() };
        let (_, removed) = check(mask.clone(), &around, &state, None, nothing.view(), &options);
        assert_eq!(removed.len(), 2);
        let mut extended = nothing.clone();
        extended[(160, 120)] = true;
        let (_, removed) = check(mask.clone(), &around, &state, None, extended.view(), &options);
        assert_eq!(removed.len(), 1, "what is extended emission, too, is not paired");
        let (checked, removed) = check(mask, &around, &state, None, nothing.view(), &options);
        let places: Vec<[usize; 2]> = removed.iter().map(|r| r.pixel).collect();
        assert_eq!(places, [[150, 120], [120, 160]]);
        assert!(removed[0].why.starts_with("mirrored at the source of"), "{}", removed[0].why);
        assert!(removed[1].why.starts_with("at the same distance from"), "{}", removed[1].why);
        let kept = checked.any();
        assert!(kept[(100, 140)] && kept[(30, 200)] && kept[(120, 120)]);
        assert!(!kept[(120, 150)] && !kept[(160, 120)]);
    }

    #[test]
    fn beside_a_bright_source_islands_must_be_clearer_than_elsewhere() {
        let mut image = field();
        // Both 1.5 times the deepest negative nearby; 13 and 47 beams from the bright source.
        for y in [160, 40] {
            let x = if y == 160 { 120 } else { 240 - 23 };
            add_source(&mut image, (y, x), 60.0, 3.0);
            add_source(&mut image, (y + 12, x), -40.0, 3.0);
        }
        let mask = Array2::from_shape_fn(image.dim(), |p: (usize, usize)| image[p] > 30.0 && p.0.abs_diff(120) > 10);
        let mut bits = MaskBits::empty(image.dim(), 1);
        bits.set(0, mask.view());
        let state = measure(image.view(), Some(&BEAM)).unwrap();
        let (nothing, options) = (Array2::from_elem(image.dim(), false), AutoMaskOptions::default());
        let places = |image: &Array2<f32>, uncleaned: Option<&Array2<f32>>| -> Vec<[usize; 2]> {
            let brightest = brightest_nearby(image.view(), uncleaned.map(|u| u.view()), &state, &options);
            let around = Surroundings { image: image.view(), brightest: brightest.view() };
            let (_, removed) = check(bits.clone(), &around, &state, None, nothing.view(), &options);
            removed.iter().map(|r| r.pixel).collect()
        };
        assert_eq!(places(&image, None), [[120, 160]]);
        // In a residual the bright source is gone; the image before cleaning still has it.
        let mut residual = image.clone();
        add_source(&mut residual, (120, 120), -1000.0, 3.0);
        assert_eq!(places(&residual, None), Vec::<[usize; 2]>::new());
        assert_eq!(places(&residual, Some(&image)), [[120, 160]]);
    }

    #[test]
    fn prominent_islands_far_from_the_worst_artefact_are_found() {
        let mut image = field();
        add_source(&mut image, (120, 150), -150.0, 3.0);
        add_source(&mut image, (20, 20), 60.0, 3.0);
        let made = make_of(&image, None);
        assert!(made.choice.masking.flood_fill_use_mac && is_masked(&made, (20, 20)), "{}", made.choice.why);
        assert!(made.prominent > 0 && !made.hidden);
        let off = AutoMaskOptions { prominent_seed: 0.0, ..AutoMaskOptions::default() };
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        let without = make(&inputs(&image), &base, &noise, 1.0, &off).unwrap();
        assert!(!is_masked(&without, (20, 20)), "the clip knows the deepest pixel of its large box only");
        // In a residual, a PSF with sidelobes of 10 % may have made it of the source of 1000.
        let mut psf = Array2::zeros((240, 240));
        add_source(&mut psf, (120, 120), 1.0, 3.0);
        add_source(&mut psf, (20, 20), 0.1, 3.0);
        let sidelobes = PsfSidelobes::of(psf.view(), &AutoMaskOptions::default().extended_scales, 3.0);
        let residual = AutoInputs { sidelobes: Some(&sidelobes), ..inputs(&image) };
        let hidden = make(&residual, &base, &noise, 1.0, &AutoMaskOptions::default()).unwrap();
        assert!(hidden.hidden && !is_masked(&hidden, (20, 20)), "{}", hidden.choice.why);
    }

    #[test]
    fn new_islands_must_have_been_visible() {
        let last_image = field();
        let mut last_mask = Array2::from_elem((240, 240), false);
        last_mask[(120, 120)] = true;
        last_mask[(200, 40)] = true;
        let mut image = field();
        // Out of nothing; known from the last mask; too faint to have been seen in an image four times as noisy.
        add_source(&mut image, (40, 40), 60.0, 3.0);
        add_source(&mut image, (200, 40), 60.0, 3.0);
        let last = LastRound { image: last_image.view(), mask: last_mask.view() };
        let made = make_of(&image, Some(last));
        assert_eq!(made.removed.iter().map(|r| r.pixel).collect::<Vec<_>>(), [[40, 40]]);
        assert!(made.removed[0].why.contains("new, though it would have stood out"), "{}", made.removed[0].why);
        assert!(is_masked(&made, (200, 40)) && is_masked(&made, (120, 120)) && !is_masked(&made, (40, 40)));
        let noisy = field() * 20.0;
        let last = LastRound { image: noisy.view(), mask: last_mask.view() };
        assert!(is_masked(&make_of(&image, Some(last)), (40, 40)));
        assert!(is_masked(&make_of(&image, None), (40, 40)));
    }

    #[test]
    fn faint_extended_emission_is_found() {
        let mut image = noise(240, 9);
        add_source(&mut image, (60, 60), 40.0, 3.0);
        add_source(&mut image, (150, 150), 3.5, 60.0);
        let made = make_of(&image, None);
        let masked = made.mask.any();
        let inside = (135..165).flat_map(|y| (135..165).map(move |x| (y, x))).filter(|&p| masked[p]).count();
        assert!(inside > 700, "{inside} of 900; {}", made.choice.why);
        assert!(masked[(60, 60)] && made.fraction < 0.2, "{}", made.fraction);
        assert!(made.extended.iter().any(|s| s.pixels > 0), "{:?}", made.extended);
        // Artefacts of a bright source do not hide it: its own scale decides.
        add_source(&mut image, (60, 60), 2000.0, 3.0);
        add_source(&mut image, (60, 75), -120.0, 3.0);
        let made = make_of(&image, None);
        assert!(made.choice.artefacts > 0.9 && made.mask.any()[(150, 150)], "{}", made.choice.why);
        let off = AutoMaskOptions { extended_scales: Vec::new(), ..AutoMaskOptions::default() };
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        let made = make(&inputs(&image), &base, &noise, 1.0, &off).unwrap();
        assert!(!made.mask.any()[(150, 150)] && made.extended.is_empty());
    }

    #[test]
    fn too_large_masks_are_made_anew_and_refused_in_the_end() {
        let mut image = noise(120, 5);
        add_source(&mut image, (60, 60), 400.0, 90.0);
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        let strict = AutoMaskOptions { max_fraction: 0.02, ..AutoMaskOptions::default() };
        let result = make(&inputs(&image), &base, &noise, 1.0, &strict);
        match result {
            Ok(made) => assert!(made.raised > 0 && made.fraction <= 0.02, "{} {}", made.raised, made.fraction),
            Err(e) => {
                let text = e.to_string();
                assert!(text.contains("2.0 % are allowed, even with levels raised 5 times"), "{text}");
            }
        }
        let nothing = AutoMaskOptions { max_fraction: 0.0, ..AutoMaskOptions::default() };
        let error = make(&inputs(&image), &base, &noise, 1.0, &nothing).unwrap_err();
        assert!(matches!(error, AutoMaskError::TooMuch { raised: MOST_ATTEMPTS, .. }), "{error}");
    }
}
