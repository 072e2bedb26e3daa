//! `mask: auto`: levels chosen from the image itself, and a mask that is checked before it is used. Pure functions.
//!
//! The worst image makes the first mask, so the early rounds decide a campaign: what is cleaned there wrongly is
//! calibrated into the data. Where negative peaks are deep (compared with the brightest pixel, and with what noise
//! alone would make), they measure the artefacts, and seeds must exceed them: a minimum absolute clip with a high
//! factor and a large box. As the negative peaks fall the factor and the box shrink, and once they are no deeper than
//! noise makes them, signal to local noise decides. The limits between which the factors move are those of a schedule
//! tuned by hand on a simulated field (docs/acceptance.md).
//!
//! ```
//! use cleanloop::masking::MaskingOptions;
//! use cleanloop::masking::auto::{self, AutoInputs, AutoMaskOptions, AutoSettings};
//! use cleanloop::noise::NoiseOptions;
//! use ndarray::Array2;
//!
//! // A ripple for noise, 1e-4 Jy/beam, and a source of 1 Jy/beam.
//! let image = Array2::from_shape_fn((128, 128), |(y, x)| {
//!     let (dy, dx) = (y as f32 - 64.0, x as f32 - 64.0);
//!     1e-4 * ((37 * y + 11 * x * x) as f32).sin() + (-(dx * dx + dy * dy) / 8.0).exp()
//! });
//! let inputs =
//!     AutoInputs { image: image.view(), beam: None, sidelobes: None, uncleaned: None, last: None, left: 0.0 };
//! let settings = AutoSettings {
//!     base: &MaskingOptions::default(),
//!     noise: &NoiseOptions::default(),
//!     caution: 1.0,
//!     limits: &AutoMaskOptions::default(),
//! };
//! let made = auto::make(&inputs, &settings)?;
//! println!("{}", made.choice.why);
//! assert!(made.fraction > 0.0 && made.fraction < 0.2);
//! # Ok::<(), auto::AutoMaskError>(())
//! ```

mod choice;
pub(crate) mod compact;
pub(crate) mod extended;
mod options;
mod state;
pub(crate) mod vetting;

pub use choice::{AutoChoice, choose};
pub use extended::PsfSidelobes;
pub use options::{AutoMaskOptions, CompactOptions, ExtendedOptions, FlatOptions, LevelOptions, Span, VettingOptions};
pub use state::{ImageState, fwhm_of, measure};
pub use vetting::{LastRound, RemovedIsland};

use super::flint::erosion::erode_scales;
use super::flint::flood::grow;
use super::{MaskBits, MaskNote, MaskingError, MaskingOptions, make_mask};
use crate::image::PixelBeam;
use crate::kernels::bitmask::BitMask;
use crate::kernels::{Connectivity, dilation_bits, geodesic_dilation, geodesic_dilation_bits, label};
use crate::noise::{NoiseMaps, NoiseOptions, estimate};
use compact::{CompactLimits, compact_seeds, significant};
use extended::{ExtendedLimits, Halo, NEARLY_BRIGHTEST, Scale, ScaleFound, UNCERTAIN, extended_islands};
use ndarray::{Array2, ArrayView2, Zip};
use vetting::{Surroundings, brightest_nearby, check};

/// A mask that is too large is made again, with higher levels, at most this many times.
const MOST_ATTEMPTS: usize = 5;
/// Pixels of an island in a residual exceed this times the highest sidelobe of the brightest pixel: noise and the sidelobes
/// of other sources come on top of it.
const OWN_SIDELOBES: f64 = 1.2;
/// Each of these attempts multiplies the levels by this.
const ATTEMPT_FACTOR: f64 = 1.3;

/// The plane that a mask is made of, and what it is compared with.
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
    /// For a restored image: the highest sidelobe of what was left uncleaned, Jy/beam, below which nothing new is believed;
    /// 0: nothing was.
    pub left: f64,
}

/// The options of an automatic mask.
#[derive(Debug, Clone, Copy)]
pub struct AutoSettings<'a> {
    /// Options of flint's pipeline that are not about levels (erosion, scales).
    pub base: &'a MaskingOptions,
    /// How the local noise is estimated.
    pub noise: &'a NoiseOptions,
    /// Factor on all levels: 1, or more for a more cautious mask.
    pub caution: f64,
    /// The limits.
    pub limits: &'a AutoMaskOptions,
}

/// An automatic mask of one plane.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoMask {
    /// The mask, one bit per scale.
    pub mask: MaskBits,
    /// The levels that were chosen.
    pub choice: AutoChoice,
    /// The state of the image.
    pub state: ImageState,
    /// Masked pixels over pixels with data.
    pub fraction: f64,
    /// Number of times that it was made again with higher levels, because too much was masked.
    pub raised: usize,
    /// Islands that were not believed.
    pub removed: Vec<RemovedIsland>,
    /// Pixels of islands that stand out from their surroundings.
    pub compact: usize,
    /// Whether sidelobes of what is not cleaned yet may hide islands that stand out from the noise.
    pub hidden: bool,
    /// Extended emission that was looked for, scale by scale.
    pub extended: Vec<ScaleFound>,
    /// Notes of the pipeline.
    pub notes: Vec<MaskNote>,
}

/// Reasons for which there is no automatic mask.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AutoMaskError {
    /// No positive pixel, or no noise.
    #[error("the image has no positive pixel or no noise; no mask can be chosen from it")]
    NoSignal,
    /// Too much is masked, whatever the levels.
    #[error("{:.1} % of the image would be masked, {:.1} % are allowed, even with levels raised {raised} times", 100.0 * fraction, 100.0 * allowed)]
    TooMuch {
        /// Fraction that would be masked.
        fraction: f64,
        /// Largest fraction that is allowed.
        allowed: f64,
        /// Number of times that the levels were raised.
        raised: usize,
    },
    /// The pipeline failed.
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
/// An image without signal, invalid options, or a mask that stays too large.
pub fn make(inputs: &AutoInputs<'_>, settings: &AutoSettings<'_>) -> Result<AutoMask, AutoMaskError> {
    let maker = Maker::new(inputs, settings)?;
    let allowed = settings.limits.levels.max_fraction;
    for raised in 0..=MOST_ATTEMPTS {
        let made = maker.attempt(settings.caution * ATTEMPT_FACTOR.powi(raised as i32))?;
        if made.fraction <= allowed {
            return Ok(AutoMask { raised, ..made });
        }
        if raised == MOST_ATTEMPTS {
            return Err(AutoMaskError::TooMuch { fraction: made.fraction, allowed, raised });
        }
    }
    unreachable!("the last attempt returns")
}

/// One plane and all that stays the same between attempts with different levels.
struct Maker<'i, 's> {
    inputs: AutoInputs<'i>,
    base: &'s MaskingOptions,
    limits: &'s AutoMaskOptions,
    state: ImageState,
    /// Pixels with data.
    valid: f64,
    noise: NoiseMaps,
    /// The brightest pixel near each.
    brightest: Array2<f32>,
    /// Scales of extended emission, with their sidelobes.
    scales: Vec<Scale>,
    /// Brightness that sidelobes of the brightest pixel may reach, Jy/beam.
    sidelobe: f64,
}

impl<'i, 's> Maker<'i, 's> {
    fn new(inputs: &AutoInputs<'i>, settings: &AutoSettings<'s>) -> Result<Self, AutoMaskError> {
        let (image, limits) = (inputs.image, settings.limits);
        let state = measure(image, inputs.beam).ok_or(AutoMaskError::NoSignal)?;
        let noise = estimate(image, inputs.beam.copied(), settings.noise)?;
        let clean = || limits.extended.scales.iter().copied().map(Scale::clean).collect();
        Ok(Self {
            inputs: *inputs,
            base: settings.base,
            limits,
            state,
            valid: image.iter().filter(|v| v.is_finite()).count().max(1) as f64,
            noise,
            brightest: brightest_nearby(image, inputs.uncleaned, &state, &limits.vetting),
            scales: inputs.sidelobes.map_or_else(clean, |s| s.scales.clone()),
            sidelobe: limits.compact.sidelobe * state.peak * inputs.sidelobes.map_or(0.0, |s| s.highest),
        })
    }

    /// The checked mask with these levels.
    fn attempt(&self, caution: f64) -> Result<AutoMask, AutoMaskError> {
        let image = self.inputs.image;
        let choice = choose(self.base, &self.state, caution, self.limits);
        let (mut mask, notes) = self.pipeline(&choice)?;
        if mask.masked_pixels() == 0 {
            self.add_brightest(&mut mask, caution);
        }
        let mut compact = 0;
        if choice.masking.flood_fill_use_mac {
            self.keep_significant(&mut mask, caution);
            // Signal to local noise sees them anyway.
            compact = self.add_compact(&mut mask, &choice, caution);
        }
        self.drop_sidelobes(&mut mask, &choice);
        let halo = Halo { noise: self.noise.rms.view(), brightest: self.brightest.view() };
        let limits = self.extended_limits(caution);
        let left = self.sidelobes_of_what_was_left();
        if let Some(left) = &left {
            mask.clear(left.view());
        }
        let (mut islands, extended) = extended_islands(image, mask.any().view(), &halo, &self.scales, &limits);
        if let Some(left) = &left {
            islands.zip_mut_with(left, |island, &faint| *island &= !faint);
        }
        // Extended emission has been compared with the negatives of its own scale: the pairing of single pixels, which
        // are mostly noise there, says nothing more.
        let surroundings = Surroundings { image, brightest: self.brightest.view(), state: &self.state };
        let (mut mask, removed) = check(mask, &surroundings, self.inputs.last, islands.view(), self.limits);
        if !self.erodes() {
            // Smoothing has widened extended emission already.
            let margin = self.limits.levels.margin_beams * self.state.fwhm;
            mask.set(0, with_margin(mask.plane(0), margin).view());
        }
        self.put(&mut mask, islands.view());
        mask.clear(image.mapv(f32::is_nan).view());
        let fraction = mask.masked_pixels() as f64 / self.valid;
        let hidden = self.sidelobe > self.limits.compact.seed * self.state.rms;
        let state = self.state;
        Ok(AutoMask { mask, choice, state, fraction, raised: 0, removed, compact, hidden, extended, notes })
    }

    fn erodes(&self) -> bool {
        self.base.beam_shape_erode || self.base.convolve_first
    }

    /// The mask of flint's pipeline with the chosen levels.
    fn pipeline(&self, choice: &AutoChoice) -> Result<(MaskBits, Vec<MaskNote>), AutoMaskError> {
        let image = self.inputs.image;
        let noise = choice.masking.needs_noise().then_some(&self.noise);
        let (background, rms) = noise.map(|m| (m.background.view(), m.rms.view())).unzip();
        let output = make_mask(image, background, rms, self.inputs.beam, &choice.masking)?;
        let lowered = output.notes.iter().any(|n| matches!(n, MaskNote::SeedClipLowered { .. }));
        // Where nothing reaches the level, the pipeline takes the greatest peaks all the same. In a residual that means
        // that all is cleaned.
        let mask = if self.inputs.sidelobes.is_some() && lowered {
            MaskBits::empty(image.dim(), choice.masking.bits())
        } else {
            output.mask
        };
        Ok((mask, output.notes))
    }

    /// Drops islands that do not reach the local noise's seed level: the minimum absolute clip knows negatives only, and
    /// where they are shallow, noise or the sidelobes of extended emission pass.
    fn keep_significant(&self, mask: &mut MaskBits, caution: f64) {
        let islands = BitMask::from_bools(mask.any().view());
        let mut kept = significant(self.inputs.image, &self.noise, self.limits.levels.local_seed * caution);
        kept.and_with(&islands);
        geodesic_dilation_bits(&mut kept, &islands, Connectivity::Eight, None);
        mask.clear(kept.inverted().to_bools().view());
    }

    /// In a residual, drops the pixels of an island that the sidelobes of its brightest pixel may have made: those of a
    /// snapshot are arms that an island otherwise grows along, over a large part of the image. Where the levels know no
    /// negatives, the sidelobes of the image's brightest pixel count: they would be islands of their own. Real emission
    /// there follows once the brightest is cleaned.
    fn drop_sidelobes(&self, mask: &mut MaskBits, choice: &AutoChoice) {
        let Some(sidelobes) = self.inputs.sidelobes else { return };
        let floor = (OWN_SIDELOBES * sidelobes.highest).min(NEARLY_BRIGHTEST);
        let labels = label(mask.any().view(), Connectivity::Eight);
        let mut peaks = labels.peaks(self.inputs.image);
        if !choice.masking.flood_fill_use_mac {
            peaks.fill(self.state.peak as f32);
        }
        let mut faint = Array2::from_elem(mask.any().dim(), false);
        Zip::from(&mut faint).and(&labels.labels).and(self.inputs.image).for_each(|faint, &l, &v| {
            *faint = l > 0 && f64::from(v) < floor * f64::from(peaks[l as usize]);
        });
        mask.clear(faint.view());
    }

    /// In a residual whose sidelobes are high everywhere, adds the island of the brightest pixel: signal to local noise
    /// does not see it among its own sidelobes. It exceeds the noise and the negatives of the whole image as a compact
    /// island those around it; what is fainter follows once it is cleaned.
    fn add_brightest(&self, mask: &mut MaskBits, caution: f64) {
        let (state, options) = (&self.state, &self.limits.compact);
        let high = self.inputs.sidelobes.is_some_and(|s| s.highest > UNCERTAIN);
        let least = (options.seed * state.rms).max(-options.negative * state.minimum) * caution;
        if !high || options.seed <= 0.0 || state.peak <= least {
            return;
        }
        let image = self.inputs.image;
        let bright = image.mapv(|v| f64::from(v) > NEARLY_BRIGHTEST * state.peak);
        let seed = image.mapv(|v| f64::from(v) >= state.peak);
        self.put(mask, geodesic_dilation(seed.view(), bright.view(), Connectivity::Eight, None).view());
    }

    /// In a restored image, the pixels that the sidelobes of what was left uncleaned may have made and that the last mask
    /// does not hold; `None`: nothing was left.
    fn sidelobes_of_what_was_left(&self) -> Option<Array2<bool>> {
        let level = OWN_SIDELOBES * self.inputs.left;
        let mut faint = (level > 0.0).then(|| self.inputs.image.mapv(|v| f64::from(v) < level))?;
        if let Some(last) = &self.inputs.last {
            Zip::from(&mut faint).and(last.mask).for_each(|faint, &known| *faint &= !known);
        }
        Some(faint)
    }

    /// Adds islands that stand out from their surroundings; returns the number of their pixels.
    fn add_compact(&self, mask: &mut MaskBits, choice: &AutoChoice, caution: f64) -> usize {
        let options = &self.limits.compact;
        if options.seed <= 0.0 {
            return 0;
        }
        let limits = CompactLimits {
            box_size: (options.box_beams * self.state.fwhm).round().max(3.0) as usize,
            seed: options.seed * caution,
            negative: options.negative * caution,
            least: self.sidelobe * caution,
            flood: self.limits.levels.local_flood * caution,
            flood_negative: choice.masking.flood_fill_positive_flood_clip,
        };
        let islands = grow(compact_seeds(self.inputs.image, &self.noise, &limits));
        self.put(mask, islands.to_bools().view());
        islands.count()
    }

    fn extended_limits(&self, caution: f64) -> ExtendedLimits {
        let options = &self.limits.extended;
        ExtendedLimits {
            fwhm: self.state.fwhm,
            beam_area: self.state.beam_area,
            rms: self.state.rms,
            seed: options.seed * caution,
            negative: options.negative * caution,
            near_negative: options.near_negative * caution,
            sidelobe: options.sidelobe * caution,
            peak: self.state.peak,
            flood: options.flood * caution,
            depth: options.depth,
        }
    }

    /// Adds islands of no scale in particular: they belong to each, as far as the beam's shape allows.
    fn put(&self, mask: &mut MaskBits, islands: ArrayView2<'_, bool>) {
        match self.inputs.beam {
            Some(beam) if self.erodes() => {
                let response = self.base.beam_shape_erode_minimum_response;
                let more = erode_scales(&BitMask::from_bools(islands), beam, response, &self.base.scales());
                (0..self.base.bits()).for_each(|n| mask.set(n, more.plane(n).view()));
            }
            _ => mask.set(0, islands),
        }
    }
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
        AutoInputs { image: image.view(), beam: Some(&BEAM), sidelobes: None, uncleaned: None, last: None, left: 0.0 }
    }

    fn settings<'a>(
        base: &'a MaskingOptions,
        noise: &'a NoiseOptions,
        limits: &'a AutoMaskOptions,
    ) -> AutoSettings<'a> {
        AutoSettings { base, noise, caution: 1.0, limits }
    }

    fn make_of<'a>(image: &'a Array2<f32>, last: Option<LastRound<'a>>) -> AutoMask {
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        make(&AutoInputs { last, ..inputs(image) }, &settings(&base, &noise, &AutoMaskOptions::default())).unwrap()
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
        let options = AutoMaskOptions {
            vetting: VettingOptions { beside_ratio: f64::INFINITY, ..VettingOptions::default() },
            ..AutoMaskOptions::default()
        };
        let brightest = brightest_nearby(image.view(), None, &state, &options.vetting);
        let around = Surroundings { image: image.view(), brightest: brightest.view(), state: &state };
        let (_, removed) = check(mask.clone(), &around, None, nothing.view(), &options);
        assert_eq!(removed.len(), 2);
        let mut extended = nothing.clone();
        extended[(160, 120)] = true;
        let (_, removed) = check(mask.clone(), &around, None, extended.view(), &options);
        assert_eq!(removed.len(), 1, "what is extended emission, too, is not paired");
        let (checked, removed) = check(mask, &around, None, nothing.view(), &options);
        let places: Vec<[usize; 2]> = removed.iter().map(|r| r.pixel).collect();
        assert_eq!(places, [[150, 120], [120, 160]]);
        insta::assert_snapshot!(removed[0].why, @"mirrored at the source of 9.994e2 at x 120 y 120 there is a negative of 83 % of it");
        insta::assert_snapshot!(removed[1].why, @"at the same distance from the source of 9.994e2 at x 120 y 120 there is a negative of 96 % of it");
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
            let brightest = brightest_nearby(image.view(), uncleaned.map(|u| u.view()), &state, &options.vetting);
            let around = Surroundings { image: image.view(), brightest: brightest.view(), state: &state };
            let (_, removed) = check(bits.clone(), &around, None, nothing.view(), &options);
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
    fn compact_islands_far_from_the_worst_artefact_are_found() {
        let mut image = field();
        add_source(&mut image, (120, 150), -150.0, 3.0);
        add_source(&mut image, (20, 20), 60.0, 3.0);
        let made = make_of(&image, None);
        assert!(made.choice.masking.flood_fill_use_mac && is_masked(&made, (20, 20)), "{}", made.choice.why);
        assert!(made.compact > 0 && !made.hidden);
        let off = AutoMaskOptions {
            compact: CompactOptions { seed: 0.0, ..CompactOptions::default() },
            ..AutoMaskOptions::default()
        };
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        let without = make(&inputs(&image), &settings(&base, &noise, &off)).unwrap();
        assert!(!is_masked(&without, (20, 20)), "the clip knows the deepest pixel of its large box only");
        // In a residual, a PSF with sidelobes of 10 % may have made it of the source of 1000.
        let mut psf = Array2::zeros((240, 240));
        add_source(&mut psf, (120, 120), 1.0, 3.0);
        add_source(&mut psf, (20, 20), 0.1, 3.0);
        let sidelobes = PsfSidelobes::of(psf.view(), &ExtendedOptions::default().scales, 3.0);
        let residual = AutoInputs { sidelobes: Some(&sidelobes), ..inputs(&image) };
        let hidden = make(&residual, &settings(&base, &noise, &AutoMaskOptions::default())).unwrap();
        assert!(hidden.hidden && !is_masked(&hidden, (20, 20)), "{}", hidden.choice.why);
    }

    #[test]
    fn islands_are_no_sidelobes_of_the_brightest_pixel() {
        // Arms that reach 40 % of the peak, as a snapshot's PSF has them; they fall below its main lobe's edge first.
        let with_arms = |mut image: Array2<f32>, peak: f32| {
            for x in 0..240usize {
                let distance = x.abs_diff(120) as f32;
                image[(120, x)] += (if distance < 12.0 { 0.15 } else { 0.4 }) * peak;
            }
            // A grating lobe, an island of its own.
            add_source(&mut image, (60, 60), 0.6 * peak, 3.0);
            add_source(&mut image, (120, 120), peak, 3.0);
            image
        };
        let image = with_arms(noise(240, 5), 1000.0);
        let psf = with_arms(Array2::zeros((240, 240)), 1.0);
        let sidelobes = PsfSidelobes::of(psf.view(), &ExtendedOptions::default().scales, 3.0);
        let (base, noise, limits) = (MaskingOptions::default(), NoiseOptions::default(), AutoMaskOptions::default());
        let pixels = |sidelobes| {
            let made = make(&AutoInputs { sidelobes, ..inputs(&image) }, &settings(&base, &noise, &limits)).unwrap();
            assert!(is_masked(&made, (120, 120)), "{}", made.choice.why);
            (made.mask.masked_pixels(), is_masked(&made, (120, 200)))
        };
        let (restored, residual) = (pixels(None), pixels(Some(&sidelobes)));
        assert!(restored.1, "in a restored image the arm is emission");
        assert!(!residual.1 && residual.0 < 120, "{residual:?}");
    }

    #[test]
    fn among_sidelobes_everywhere_the_brightest_pixel_is_an_island() {
        // Fringes of a few baselines: six tenths of the peak over the whole image.
        let fringes = |peak: f32| {
            Array2::from_shape_fn((240, 240), |(y, x)| {
                let (dy, dx) = (y as f32 - 120.0, x as f32 - 120.0);
                let envelope = (-(dx * dx + dy * dy) / 8_000.0).exp();
                peak * (0.6 * envelope * (0.55 * dx).cos() * (0.6 * dy).cos())
            })
        };
        let with_source = |mut image: Array2<f32>, peak: f32| {
            add_source(&mut image, (120, 120), 0.4 * peak, 3.0);
            image
        };
        let (base, noise_options, limits) =
            (MaskingOptions::default(), NoiseOptions::default(), AutoMaskOptions::default());
        let psf = with_source(fringes(1.0), 1.0);
        let sidelobes = PsfSidelobes::of(psf.view(), &limits.extended.scales, 3.0);
        assert!(sidelobes.highest > UNCERTAIN, "{}", sidelobes.highest);
        let masked = |image: &Array2<f32>| {
            let residual = AutoInputs { sidelobes: Some(&sidelobes), ..inputs(image) };
            make(&residual, &settings(&base, &noise_options, &limits)).unwrap()
        };
        // On a level that makes the negatives shallow.
        let made = masked(&(with_source(fringes(100.0), 100.0) + noise(240, 3) + 25.0));
        assert!(is_masked(&made, (120, 120)), "{}", made.choice.why);
        let is_near = |(y, x): (usize, usize)| y.abs_diff(120) < 8 && x.abs_diff(120) < 8;
        assert!(made.mask.any().indexed_iter().all(|(p, &m)| !m || is_near(p)), "{}", made.mask.masked_pixels());
        assert_eq!(masked(&noise(240, 3)).mask.masked_pixels(), 0, "noise alone is no source");
    }

    #[test]
    fn sidelobes_of_what_was_left_are_no_islands_of_a_restored_image() {
        let mut image = field();
        add_source(&mut image, (40, 40), 60.0, 3.0);
        add_source(&mut image, (200, 40), 60.0, 3.0);
        let mut known = Array2::from_elem((240, 240), false);
        known[(200, 40)] = true;
        let last_image = image.clone();
        let last = Some(LastRound { image: last_image.view(), mask: known.view() });
        let (base, noise, limits) = (MaskingOptions::default(), NoiseOptions::default(), AutoMaskOptions::default());
        let masked = |left| {
            let made = make(&AutoInputs { last, left, ..inputs(&image) }, &settings(&base, &noise, &limits)).unwrap();
            [(40, 40), (200, 40), (120, 120)].map(|at| is_masked(&made, at))
        };
        assert_eq!(masked(0.0), [true, true, true]);
        assert_eq!(masked(100.0), [false, true, true]);
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
        insta::assert_snapshot!(made.removed[0].why, @"new, though it would have stood out by 60.5 sigma in the last image, which shows 1.9");
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
        let off = AutoMaskOptions {
            extended: ExtendedOptions { scales: Vec::new(), ..ExtendedOptions::default() },
            ..AutoMaskOptions::default()
        };
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        let made = make(&inputs(&image), &settings(&base, &noise, &off)).unwrap();
        assert!(!made.mask.any()[(150, 150)] && made.extended.is_empty());
    }

    #[test]
    fn too_large_masks_are_made_again_and_refused_in_the_end() {
        let mut image = noise(120, 5);
        add_source(&mut image, (60, 60), 400.0, 90.0);
        let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
        let strict = AutoMaskOptions {
            levels: LevelOptions { max_fraction: 0.02, ..LevelOptions::default() },
            ..AutoMaskOptions::default()
        };
        let result = make(&inputs(&image), &settings(&base, &noise, &strict));
        match result {
            Ok(made) => assert!(made.raised > 0 && made.fraction <= 0.02, "{} {}", made.raised, made.fraction),
            Err(e) => {
                assert!(
                    matches!(e, AutoMaskError::TooMuch { allowed, raised: MOST_ATTEMPTS, .. } if allowed == 0.02),
                    "{e:?}"
                );
            }
        }
        let nothing = AutoMaskOptions {
            levels: LevelOptions { max_fraction: 0.0, ..LevelOptions::default() },
            ..AutoMaskOptions::default()
        };
        let error = make(&inputs(&image), &settings(&base, &noise, &nothing)).unwrap_err();
        assert!(matches!(error, AutoMaskError::TooMuch { raised: MOST_ATTEMPTS, .. }), "{error}");
        insta::assert_snapshot!(AutoMaskError::TooMuch { fraction: 0.031, allowed: 0.02, raised: MOST_ATTEMPTS }, @"3.1 % of the image would be masked, 2.0 % are allowed, even with levels raised 5 times");
    }
}
