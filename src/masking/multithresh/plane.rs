//! One plane, one call: what happens to a channel's mask before a minor cycle.

use super::grow::grow;
use super::smooth::{SmoothBuffers, Smoother};
use super::statistics::{self, PlaneMedianMad, SIGMA_PER_MAD};
use super::thresholds::{Cut, PlaneStatistics, ThresholdKind, Thresholds};
use super::{ChannelMaskState, MultithreshError, MultithreshOptions};
use crate::image::PixelBeam;
use crate::kernels::bitmask::{BitMask, pack_row};
use crate::kernels::row_runs::RowRuns;
use crate::options::Validate;
use multiversion::multiversion;
use ndarray::ArrayView2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pixels handled at once.
const LANES: usize = 64;

/// Facts of a call besides the plane and its state; the same for all planes of a cube.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// PSF sidelobe level of the cube ([`crate::image::psf`]).
    pub sidelobe_level: f32,
    /// Minor-cycle iterations done before this call, over all planes; only whether it is 0 matters.
    pub iterdone: u64,
    /// The minor cycle before this call had a cyclethreshold equal to the user's threshold. False at the first call.
    pub threshold_reached: bool,
    /// The incoming mask of the cube's *first* plane covers all its pixels. CASA then measures the noise of every
    /// plane as if there were no mask.
    pub first_plane_full: bool,
}

impl Call {
    /// The first call of a run.
    pub fn first(sidelobe_level: f32) -> Self {
        Self { sidelobe_level, iterdone: 0, threshold_reached: false, first_plane_full: false }
    }
}

/// CASA's verbose summary of a plane, and a little more. JSON names follow CASA's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlaneSummary {
    /// Channel, counted from 0.
    pub channel: usize,
    /// The plane takes part in masking after this call (the opposite of `skip`).
    pub masking: bool,
    /// The plane is left alone from the next call on.
    pub skip: bool,
    /// Median; none for a plane that was already skipped.
    pub median: Option<f64>,
    /// Robust rms, 1.4826 MAD; none for a plane that was already skipped.
    pub rms: Option<f64>,
    /// The valid pixel farthest from zero, with its sign.
    pub peak: f32,
    /// Which threshold decided.
    pub thresh_type: ThresholdKind,
    /// The threshold; none for a plane that was already skipped.
    pub thresh_value: Option<f32>,
    /// All thresholds; none for a plane that was already skipped.
    pub thresholds: Option<Thresholds>,
    /// Regions above the threshold (0 without pruning: CASA counts them there).
    pub n_reg: usize,
    /// Of these, regions dropped as too small.
    pub n_pruned: usize,
    /// Regions of the grown mask (0 without pruning of it).
    pub n_grow: usize,
    /// Of these, regions dropped as too small.
    pub n_grow_pruned: usize,
    /// Pixels of the mask around absorption, after smoothing.
    pub n_neg_pix: usize,
    /// Pixels of the mask before this call.
    pub mask_pixels_before: usize,
    /// Pixels of the mask after this call.
    pub mask_pixels: usize,
}

impl PlaneSummary {
    /// The summary of a plane that is left alone, before anything is measured but its peak.
    fn before(old: &ChannelMaskState, peak: f32) -> Self {
        let mask_pixels_before = old.mask.count();
        Self {
            channel: 0,
            masking: false,
            skip: true,
            median: None,
            rms: None,
            peak,
            thresh_type: ThresholdKind::Sidelobe,
            thresh_value: None,
            thresholds: None,
            n_reg: 0,
            n_pruned: 0,
            n_grow: 0,
            n_grow_pruned: 0,
            n_neg_pix: 0,
            mask_pixels_before,
            mask_pixels: mask_pixels_before,
        }
    }

    /// Adds the mask after the call and the statistics that led to it.
    fn after(&mut self, mask: &BitMask, thresholds: Thresholds, noise: Option<PlaneMedianMad>) {
        self.mask_pixels = mask.count();
        self.thresh_type = thresholds.kind;
        self.thresh_value = Some(thresholds.value);
        self.thresholds = Some(thresholds);
        self.median = Some(noise.map_or(0.0, |n| n.median));
        self.rms = Some(noise.map_or(0.0, |n| n.mad * SIGMA_PER_MAD));
        self.masking = !self.skip;
    }
}

/// Buffers kept between planes: one plane of values, and what smoothing needs.
#[derive(Debug, Default)]
pub struct Scratch {
    sample: Vec<f32>,
    smooth: SmoothBuffers,
}

/// Everything about a run that does not change from plane to plane: parameters, smoothing kernel, smallest region.
#[derive(Debug, Clone)]
pub struct PlaneMasker {
    options: MultithreshOptions,
    smoother: Smoother,
    least_pixels: f64,
}

impl PlaneMasker {
    /// Prepares for planes restored with `beam` (the cube's common beam).
    ///
    /// # Errors
    /// An invalid option or beam.
    pub fn new(options: &MultithreshOptions, beam: PixelBeam) -> Result<Self, MultithreshError> {
        options.validate()?;
        let usable = |v: f64| v.is_finite() && v > 0.0;
        if !(usable(beam.major) && usable(beam.minor) && beam.pa_deg.is_finite()) {
            return Err(MultithreshError::BadBeam { beam });
        }
        Ok(Self {
            options: options.clone(),
            smoother: Smoother::new(beam, f64::from(options.smoothfactor)),
            // f32 as in CASA; a region of exactly this size stays.
            least_pixels: f64::from(options.minbeamfrac * beam.area() as f32),
        })
    }

    /// The parameters.
    pub fn options(&self) -> &MultithreshOptions {
        &self.options
    }

    /// Regions with fewer pixels than this are pruned.
    pub fn least_pixels(&self) -> f64 {
        self.least_pixels
    }

    /// One call for one plane: from the residual and the state before to the state after and its summary.
    ///
    /// `residual` is `[y, x]`; `valid` marks the pixels that count (all if none is given); pixels that are not finite
    /// never count. With `pbmask` above 0, `valid` must be the primary beam's and the incoming mask is cut to it.
    ///
    /// # Panics
    /// When residual, validity and state differ in shape.
    pub fn update(
        &self,
        residual: ArrayView2<'_, f32>,
        valid: Option<&BitMask>,
        call: &Call,
        old: &ChannelMaskState,
        scratch: &mut Scratch,
    ) -> (ChannelMaskState, PlaneSummary) {
        let (ny, nx) = residual.dim();
        assert_eq!(old.mask.dim(), (ny, nx), "the state's shape is the residual's");
        let standard = residual.as_standard_layout();
        let pixels = standard.as_slice().expect("standard layout");
        let survey = Survey::of(pixels, ny, nx, valid);
        let mut summary = PlaneSummary::before(old, survey.peak());
        if old.skip {
            if self.options.fastnoise {
                // CASA still measures such planes, though nothing but this word comes of it.
                let noise = statistics::median_mad(sample(pixels, nx, &survey.valid, None, &mut scratch.sample));
                summary.thresh_type = self.thresholds(noise, survey.peak(), call).kind;
            }
            let mut state = old.clone();
            state.cycles += 1;
            return (state, summary);
        }
        let mut incoming = old.mask.clone();
        if self.options.pbmask > 0.0 {
            incoming.and_with(&survey.valid);
        }
        let noise = self.noise(pixels, &survey.valid, &incoming, call, scratch);
        let thresholds = self.thresholds(noise, survey.peak(), call);
        let Cuts { above, low, negative } = self.cuts(pixels, ny, nx, thresholds, call);
        let mut posmask = old.posmask.clone();
        posmask.or_with(&self.bright(above, &survey.valid, &mut summary, scratch));
        if let Some(low) = low {
            posmask.or_with(&self.grown(&incoming, &low, &mut summary, scratch));
        }
        posmask.and_with(&survey.valid);

        let mut mask = incoming.clone();
        mask.or_with(&posmask);
        if let Some(negative) = negative {
            let absorption = self.smooth_cut(&RowRuns::of(&negative), scratch);
            summary.n_neg_pix = absorption.count();
            mask.or_with(&absorption);
        }
        mask.and_with(&survey.valid);

        summary.skip = self.skips(thresholds.kind, mask.count(), incoming.count(), call.threshold_reached);
        summary.after(&mask, thresholds, noise);
        (ChannelMaskState { mask, posmask, cycles: old.cycles + 1, skip: summary.skip }, summary)
    }

    /// The pixels above the threshold, pruned and smoothed.
    fn bright(
        &self,
        mut above: BitMask,
        valid: &BitMask,
        summary: &mut PlaneSummary,
        scratch: &mut Scratch,
    ) -> BitMask {
        if self.options.minbeamfrac <= 0.0 {
            // Not multiplied by the validity: pixels outside it take part in the smoothing, as in CASA.
            return self.smooth_cut(&RowRuns::of(&above), scratch);
        }
        above.and_with(valid);
        let pruned = RowRuns::of(&above).prune(self.least_pixels);
        (summary.n_reg, summary.n_pruned) = (pruned.found, pruned.dropped);
        self.smooth_cut(&pruned.kept, scratch)
    }

    /// The incoming mask grown into the pixels above the low-noise threshold, pruned and smoothed.
    fn grown(&self, incoming: &BitMask, low: &BitMask, summary: &mut PlaneSummary, scratch: &mut Scratch) -> BitMask {
        let mut runs = RowRuns::of(&grow(incoming, low, self.options.growiterations));
        if self.options.minbeamfrac > 0.0 && self.options.dogrowprune {
            let pruned = runs.prune(self.least_pixels);
            (summary.n_grow, summary.n_grow_pruned) = (pruned.found, pruned.dropped);
            runs = pruned.kept;
        }
        self.smooth_cut(&runs, scratch)
    }

    /// Median and MAD as `fastnoise` asks for them; none if no pixel is left to measure.
    fn noise(
        &self,
        pixels: &[f32],
        valid: &BitMask,
        mask: &BitMask,
        call: &Call,
        scratch: &mut Scratch,
    ) -> Option<PlaneMedianMad> {
        let nx = valid.dim().1;
        let clip = !self.options.fastnoise && (call.first_plane_full || mask.is_empty());
        let outside = (!self.options.fastnoise && !clip).then_some(mask);
        let values = sample(pixels, nx, valid, outside, &mut scratch.sample);
        if clip { statistics::clipped_median_mad(values) } else { statistics::median_mad(values) }
    }

    fn thresholds(&self, noise: Option<PlaneMedianMad>, peak: f32, call: &Call) -> Thresholds {
        let statistics = PlaneStatistics {
            median: noise.map_or(0.0, |n| n.median as f32),
            sigma: noise.map_or(0.0, |n| (n.mad * SIGMA_PER_MAD) as f32),
            peak,
        };
        Thresholds::new(statistics, call.sidelobe_level, &self.options)
    }

    /// All cuts of the residual that this call needs, in one pass over it. Validity has no part in them.
    fn cuts(&self, pixels: &[f32], ny: usize, nx: usize, thresholds: Thresholds, call: &Call) -> Cuts {
        let grows = call.iterdone > 0 && self.options.growiterations > 0;
        let cut = |threshold: f32| {
            let cut = Cut(threshold);
            // The sign is looked at once, not for each pixel.
            if cut.0 < 0.0 {
                BitMask::from_plane(ny, nx, pixels, |v: f32| v < cut.0)
            } else {
                BitMask::from_plane(ny, nx, pixels, |v: f32| v > cut.0)
            }
        };
        Cuts {
            above: cut(thresholds.value),
            low: grows.then(|| cut(thresholds.low_noise)),
            negative: (self.options.negativethreshold > 0.0).then(|| cut(thresholds.negative)),
        }
    }

    fn smooth_cut(&self, mask: &RowRuns, scratch: &mut Scratch) -> BitMask {
        self.smoother.smooth_and_cut(mask, self.options.cutthreshold, &mut scratch.smooth)
    }

    /// Whether the plane is left alone from the next call on.
    fn skips(&self, kind: ThresholdKind, after: usize, before: usize, threshold_reached: bool) -> bool {
        if kind != ThresholdKind::Noise {
            return false;
        }
        let change = after.abs_diff(before);
        let fraction = self.options.minpercentchange / 100.0;
        after == 0
            || (fraction >= 0.0 && threshold_reached && (change == 0 || (change as f32) < fraction * before as f32))
    }
}

/// The residual's cuts; those that are not needed are not made.
struct Cuts {
    above: BitMask,
    low: Option<BitMask>,
    negative: Option<BitMask>,
}

/// Which pixels count, and their extremes.
struct Survey {
    valid: BitMask,
    extremes: Option<(f32, f32)>,
}

impl Survey {
    fn of(pixels: &[f32], ny: usize, nx: usize, valid: Option<&BitMask>) -> Self {
        let mut survey = Self { valid: BitMask::new(ny, nx), extremes: None };
        let (mut low, mut high) = ([f32::INFINITY; 8], [f32::NEG_INFINITY; 8]);
        for y in 0..ny {
            let row = &pixels[y * nx..(y + 1) * nx];
            let words = survey.valid.row_mut(y);
            pack_row(row, words, f32::is_finite);
            if let Some(valid) = valid {
                words.iter_mut().zip(valid.row(y)).for_each(|(w, v)| *w &= v);
            }
            for (chunk, &word) in row.chunks(LANES).zip(words.iter()) {
                if word == !0 {
                    widen(chunk, &mut low, &mut high);
                } else {
                    for_each_bit(word, |bit| {
                        low[0] = low[0].min(chunk[bit]);
                        high[0] = high[0].max(chunk[bit]);
                    });
                }
            }
        }
        let low = low.into_iter().fold(f32::INFINITY, f32::min);
        let high = high.into_iter().fold(f32::NEG_INFINITY, f32::max);
        survey.extremes = (low <= high).then_some((low, high));
        survey
    }

    /// The extreme that is farther from zero; 0 if no pixel counts.
    fn peak(&self) -> f32 {
        match self.extremes {
            Some((low, high)) if low.abs() > high.abs() => low,
            Some((_, high)) => high,
            None => 0.0,
        }
    }
}

/// Takes 64 values into the running extremes.
#[multiversion(targets("x86_64+avx2"))]
fn widen(chunk: &[f32], low: &mut [f32; 8], high: &mut [f32; 8]) {
    for eight in chunk.chunks_exact(8) {
        for ((low, high), &v) in low.iter_mut().zip(&mut *high).zip(eight) {
            *low = if v < *low { v } else { *low };
            *high = if v > *high { v } else { *high };
        }
    }
}

/// The values of the valid pixels that are not in `outside`: the plane itself if that is all of it.
fn sample<'a>(
    pixels: &'a [f32],
    nx: usize,
    valid: &BitMask,
    outside: Option<&BitMask>,
    buffer: &'a mut Vec<f32>,
) -> &'a [f32] {
    if valid.is_full() && outside.is_none_or(BitMask::is_empty) {
        return pixels;
    }
    buffer.clear();
    let (ny, _) = valid.dim();
    for y in 0..ny {
        let row = &pixels[y * nx..(y + 1) * nx];
        for (i, chunk) in row.chunks(LANES).enumerate() {
            let word = valid.row(y)[i] & !outside.map_or(0, |o| o.row(y)[i]);
            if word == !0 {
                buffer.extend_from_slice(chunk);
            } else {
                for_each_bit(word, |bit| buffer.push(chunk[bit]));
            }
        }
    }
    buffer
}

fn for_each_bit(mut word: u64, mut visit: impl FnMut(usize)) {
    while word != 0 {
        visit(word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

/// [`PlaneMasker::update`] for a single plane: the entry for those who call `automask_plane` of pclean.
///
/// `residual`, `valid` and `old.mask` are `[y, x]`; `beam` is the restoring beam in pixels.
///
/// # Errors
/// An invalid option or beam, or shapes that differ.
pub fn automask_plane(
    residual: ArrayView2<'_, f32>,
    valid: Option<ArrayView2<'_, bool>>,
    beam: PixelBeam,
    call: &Call,
    options: &MultithreshOptions,
    old: Option<&ChannelMaskState>,
) -> Result<(ChannelMaskState, PlaneSummary), MultithreshError> {
    let (ny, nx) = residual.dim();
    let masker = PlaneMasker::new(options, beam)?;
    for (what, dim) in [("validity", valid.map(|v| v.dim())), ("state", old.map(|o| o.mask.dim()))]
        .into_iter()
        .filter_map(|(w, d)| Some((w, d?)))
    {
        if dim != (ny, nx) {
            return Err(MultithreshError::PlanesDiffer { what, found: dim, expected: (ny, nx) });
        }
    }
    let valid = valid.map(BitMask::from_bools);
    let fresh;
    let old = match old {
        Some(old) => old,
        None => {
            fresh = ChannelMaskState::new(ny, nx);
            &fresh
        }
    };
    let full = old.mask.is_full() && (options.pbmask == 0.0 || valid.as_ref().is_none_or(BitMask::is_full));
    let call = Call { first_plane_full: call.first_plane_full || full, ..*call };
    Ok(masker.update(residual, valid.as_ref(), &call, old, &mut Scratch::default()))
}
