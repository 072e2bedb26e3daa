//! A mask with given levels: flint's pipeline, and what is added to its mask and taken out of it.

use super::choice::{AutoChoice, choose};
use super::compact::{CompactLimits, LocalRow, LocalSeeds, local_seeds};
use super::extended::{
    ExtendedLimits, Halo, NEARLY_BRIGHTEST, Scale, ScaleFound, UNCERTAIN, candidates, clear_no_data, extended_islands,
};
use super::islands::MaskIslands;
use super::options::AutoMaskOptions;
use super::state::{ImageState, measure_and_count};
use super::vetting::{Surroundings, box_side, check};
use super::{AutoInputs, AutoMask, AutoMaskError, AutoSettings};
use crate::kernels::bitmask::BitMask;
use crate::kernels::rows::{Extremum, Greatest, Rows, RowsFrom};
use crate::kernels::{Connectivity, dilation_bits, geodesic_dilation_bits, rolling_maximum_at};
use crate::masking::flint::erosion::erode_scales;
use crate::masking::flint::flood::grow;
use crate::masking::flint::pipeline::mask_of_rows;
use crate::masking::{MaskBits, MaskNote, MaskingError, MaskingOptions, mask_of_signal, signal_of};
use crate::noise::{self, NoiseModel};
use crate::options::Validate;
use ndarray::ArrayView2;
use std::cell::RefCell;

/// Margin of the islands of the image itself where the options name none, FWHM of the beam.
const MARGIN_BEAMS: f64 = 0.5;
/// Pixels of an island in a residual exceed this times the highest sidelobe of the brightest pixel: noise and the sidelobes
/// of other sources come on top of it.
const OWN_SIDELOBES: f64 = 1.2;

/// One plane and all that stays the same between attempts with different levels.
pub(super) struct Maker<'i, 's> {
    inputs: AutoInputs<'i>,
    base: &'s MaskingOptions,
    limits: &'s AutoMaskOptions,
    /// For a residual: the image before cleaning.
    uncleaned: Option<&'s dyn Rows>,
    state: ImageState,
    /// Pixels with data.
    valid: f64,
    /// Whether there are others.
    has_no_data: bool,
    noise: NoiseModel,
    /// Scales of extended emission, with their sidelobes.
    scales: Vec<Scale>,
    /// Brightness that sidelobes of the brightest pixel may reach, Jy/beam.
    sidelobe: f64,
}

impl<'i, 's> Maker<'i, 's> {
    /// `uncleaned` stands in place of the plane of the inputs.
    pub(super) fn new(
        inputs: &AutoInputs<'i>,
        uncleaned: Option<&'s dyn Rows>,
        settings: &AutoSettings<'s>,
    ) -> Result<Self, AutoMaskError> {
        let (image, limits) = (inputs.image, settings.limits);
        let (state, valid) = measure_and_count(image, inputs.beam).ok_or(AutoMaskError::NoSignal)?;
        let clean = || limits.extended.scales.iter().copied().map(Scale::clean).collect();
        Ok(Self {
            inputs: *inputs,
            base: settings.base,
            limits,
            uncleaned,
            state,
            valid: valid.max(1) as f64,
            has_no_data: valid < image.len(),
            noise: noise::model(image, inputs.beam.copied(), settings.noise)?,
            scales: inputs.sidelobes.map_or_else(clean, |s| s.scales.clone()),
            sidelobe: limits.compact.sidelobe * state.peak * inputs.sidelobes.map_or(0.0, |s| s.highest),
        })
    }

    /// The checked mask with these levels.
    pub(super) fn attempt(&self, caution: f64) -> Result<AutoMask, AutoMaskError> {
        let choice = choose(self.base, &self.state, caution, self.limits);
        let (mut mask, notes) = self.pipeline(&choice)?;
        if mask.masked_pixels() == 0 {
            self.add_brightest(&mut mask, caution);
        }
        let mut compact = 0;
        if choice.masking.flood_fill_use_mac {
            // Signal to local noise sees compact islands anyway.
            let limits = self.compact_limits(&choice, caution);
            let LocalSeeds { significant, compact: seeds } =
                local_seeds(self.inputs.image, &self.noise, self.limits.levels.local_seed * caution, limits.as_ref());
            keep_significant(&mut mask, significant);
            if let Some(seeds) = seeds {
                let islands = grow(seeds);
                self.put(&mut mask, &islands);
                compact = islands.count();
            }
        }
        self.drop_sidelobes(&mut mask, &choice);
        let (removed, extended) = self.check_and_add_extended(&mut mask, caution);
        if self.has_no_data {
            clear_where_no_data(&mut mask, self.inputs.image);
        }
        let fraction = mask.masked_pixels() as f64 / self.valid;
        let hidden = self.sidelobe > self.limits.compact.seed * self.state.rms;
        let state = self.state;
        Ok(AutoMask { mask, choice, state, fraction, raised: 0, removed, compact, hidden, extended, notes })
    }

    /// Takes islands out that are not to be believed, and adds extended emission.
    fn check_and_add_extended(
        &self,
        mask: &mut MaskBits,
        caution: f64,
    ) -> (Vec<super::RemovedIsland>, Vec<ScaleFound>) {
        let image = self.inputs.image;
        let left = self.sidelobes_of_what_was_left();
        if let Some(left) = &left {
            mask.clear_bits(left);
        }
        let islands = MaskIslands::of(&mask.any_bits(), image);
        let limits = self.extended_limits(caution);
        let candidates = candidates(image, &islands, &self.scales, &limits);
        let mut pixels = BitMask::new(image.nrows(), image.ncols());
        islands.list.iter().map(|island| island.at).for_each(|(y, x)| pixels.set(y, x));
        candidates.iter().for_each(|scale| scale.add_centres(&mut pixels));
        let reach = box_side(2.0 * self.limits.vetting.beside_reach, &self.state);
        let bright = self.uncleaned.filter(|u| u.dim() == image.dim()).unwrap_or(&self.inputs.image);
        let bright_from = |next| RowsFrom { image: bright, next, nan: Greatest::NEUTRAL };
        let brightest = rolling_maximum_at(bright_from, reach, pixels);
        let halo = Halo { noise: &self.noise, brightest: &brightest };
        let (mut extended, found) = extended_islands(image, &candidates, &halo, &limits);
        if let Some(left) = &left {
            extended.and_with(&left.inverted());
        }
        // Extended emission has been compared with the negatives of its own scale: the pairing of single pixels, which
        // are mostly noise there, says nothing more.
        let surroundings = Surroundings { image, brightest: &brightest, state: &self.state };
        let removed = check(mask, &islands, &surroundings, self.inputs.last, &extended, self.limits);
        if !self.erodes() {
            // Smoothing has widened extended emission already.
            let margin = self.limits.levels.margin_beams.unwrap_or(MARGIN_BEAMS) * self.state.fwhm;
            mask.set_bits(0, &with_margin(mask.plane_bits(0), margin));
        }
        self.put(mask, &extended);
        (removed, found)
    }

    fn erodes(&self) -> bool {
        self.base.beam_shape_erode || self.base.convolve_first
    }

    /// The mask of flint's pipeline with the chosen levels.
    fn pipeline(&self, choice: &AutoChoice) -> Result<(MaskBits, Vec<MaskNote>), AutoMaskError> {
        let (image, options) = (self.inputs.image, &choice.masking);
        options.validate().map_err(MaskingError::from)?;
        let output = if options.needs_noise() {
            let signal = |first: usize, strip: &mut [f32]| {
                self.signal(first, strip);
                Ok::<(), std::convert::Infallible>(())
            };
            let Ok(output) = mask_of_rows(image.dim(), &signal, self.inputs.beam, options);
            output?
        } else {
            mask_of_signal(image, self.inputs.beam, options)?
        };
        let lowered = output.notes.iter().any(|n| matches!(n, MaskNote::SeedClipLowered { .. }));
        // Where nothing reaches the level, the pipeline takes the greatest peaks all the same. In a residual that means
        // that all is cleaned.
        let mask = if self.inputs.sidelobes.is_some() && lowered {
            MaskBits::empty(image.dim(), options.bits())
        } else {
            output.mask
        };
        Ok((mask, output.notes))
    }

    /// Rows of signal, (image - background) / rms, from row `first` on.
    fn signal(&self, first: usize, strip: &mut [f32]) {
        thread_local! {
            static ROW: RefCell<LocalRow> = RefCell::new(LocalRow::new(0));
        }
        let nx = self.inputs.image.ncols();
        ROW.with_borrow_mut(|row| {
            if row.pixels.len() != nx {
                *row = LocalRow::new(nx);
            }
            for (y, out) in (first..).zip(strip.chunks_exact_mut(nx)) {
                row.read(self.inputs.image, &self.noise, y);
                let noise = row.background.iter().zip(&row.rms);
                out.iter_mut().zip(&row.pixels).zip(noise).for_each(|((s, &v), (&b, &r))| *s = signal_of(v, b, r));
            }
        });
    }

    /// In a residual, drops the pixels of an island that the sidelobes of its brightest pixel may have made: those of a
    /// snapshot are arms that an island otherwise grows along, over a large part of the image. Where the levels know no
    /// negatives, the sidelobes of the image's brightest pixel count: they would be islands of their own. Real emission
    /// there follows once the brightest is cleaned.
    fn drop_sidelobes(&self, mask: &mut MaskBits, choice: &AutoChoice) {
        let Some(sidelobes) = self.inputs.sidelobes else { return };
        let image = self.inputs.image;
        let floor = (OWN_SIDELOBES * sidelobes.highest).min(NEARLY_BRIGHTEST);
        let islands = MaskIslands::of(&mask.any_bits(), image);
        let of_image = (!choice.masking.flood_fill_use_mac).then_some(self.state.peak);
        let mut faint = BitMask::new(image.nrows(), image.ncols());
        for (run, number) in islands.runs() {
            let peak = of_image.unwrap_or(islands.list[number].peak.max(0.0));
            let y = run.y as usize;
            let is_faint = |x: &usize| f64::from(image[(y, *x)]) < floor * peak;
            (run.start as usize..run.end as usize).filter(is_faint).for_each(|x| faint.set(y, x));
        }
        mask.clear_bits(&faint);
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
        let where_true = |is_true: &dyn Fn(f64) -> bool| {
            let mut pixels = BitMask::new(self.inputs.image.nrows(), self.inputs.image.ncols());
            let found = self.inputs.image.indexed_iter().filter(|(_, v)| is_true(f64::from(**v)));
            found.for_each(|((y, x), _)| pixels.set(y, x));
            pixels
        };
        let mut island = where_true(&|v| v >= state.peak);
        let bright = where_true(&|v| v > NEARLY_BRIGHTEST * state.peak);
        geodesic_dilation_bits(&mut island, &bright, Connectivity::Eight, None);
        self.put(mask, &island);
    }

    /// In a restored image, the pixels that the sidelobes of what was left uncleaned may have made and that the last mask
    /// does not hold; `None`: nothing was left.
    fn sidelobes_of_what_was_left(&self) -> Option<BitMask> {
        let level = OWN_SIDELOBES * self.inputs.left;
        if level <= 0.0 {
            return None;
        }
        let image = self.inputs.image;
        let mut faint = BitMask::new(image.nrows(), image.ncols());
        for (at, &v) in image.indexed_iter() {
            let is_known = self.inputs.last.as_ref().is_some_and(|last| last.mask[at]);
            if f64::from(v) < level && !is_known {
                faint.set(at.0, at.1);
            }
        }
        Some(faint)
    }

    /// Levels of islands that stand out from their surroundings, if such are looked for.
    fn compact_limits(&self, choice: &AutoChoice, caution: f64) -> Option<CompactLimits> {
        let options = &self.limits.compact;
        (options.seed > 0.0).then(|| CompactLimits {
            box_size: (options.box_beams * self.state.fwhm).round().max(3.0) as usize,
            seed: options.seed * caution,
            negative: options.negative * caution,
            least: self.sidelobe * caution,
            flood: self.limits.levels.local_flood * caution,
            flood_negative: choice.masking.flood_fill_positive_flood_clip,
        })
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
            has_no_data: self.has_no_data,
        }
    }

    /// Adds islands of no scale in particular: they belong to each, as far as the beam's shape allows.
    fn put(&self, mask: &mut MaskBits, islands: &BitMask) {
        match self.inputs.beam {
            Some(beam) if self.erodes() => {
                let response = self.base.beam_shape_erode_minimum_response;
                let more = erode_scales(islands, beam, response, &self.base.scales());
                (0..self.base.bits()).for_each(|n| mask.set_bits(n, &more.plane_bits(n)));
            }
            _ => mask.set_bits(0, islands),
        }
    }
}

/// Drops islands without a pixel that reaches the local noise's seed level: the minimum absolute clip knows negatives
/// only, and where they are shallow, noise or the sidelobes of extended emission pass.
fn keep_significant(mask: &mut MaskBits, mut significant: BitMask) {
    let islands = mask.any_bits();
    significant.and_with(&islands);
    geodesic_dilation_bits(&mut significant, &islands, Connectivity::Eight, None);
    mask.clear_bits(&significant.inverted());
}

/// Takes pixels that are NaN in the image out of a mask.
fn clear_where_no_data(mask: &mut MaskBits, image: ArrayView2<'_, f32>) {
    let mut with_data = mask.any_bits();
    let masked = with_data.clone();
    clear_no_data(&mut with_data, image);
    if with_data != masked {
        mask.clear_bits(&with_data.inverted());
    }
}

/// The mask dilated by an octagon of this radius, pixels.
fn with_margin(mask: BitMask, radius: f64) -> BitMask {
    // Steps by the square and by the cross, so that axes and diagonals are reached alike.
    let squares = ((std::f64::consts::SQRT_2 - 1.0) * radius).round() as usize;
    let crosses = (radius.round() as usize).saturating_sub(squares);
    let mask = dilation_bits(mask, Connectivity::Eight, squares);
    dilation_bits(mask, Connectivity::Four, crosses)
}
