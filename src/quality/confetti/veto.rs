//! Vetoes and repairs of confetti between two major cycles.

use super::statistic::{ChannelPlanes, footprint, judge_channel};
use super::{Candidate, ConfettiOptions, ConfettiVerdict};
use crate::image::PixelBeam;
use ndarray::{Array2, ArrayView2};

/// The neighbouring channels' models agree when their patch fluxes differ by less than this fraction of their mean ...
const AGREEMENT_FRACTION: f64 = 0.25;
/// ... or by less than this many times the noise.
const AGREEMENT_SNR: f64 = 3.0;

/// New values for some model pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Zero-based `[x, y]` of the confetti.
    pub pixel: [usize; 2],
    /// `((y, x), new value)`, Jy/pixel.
    pub values: Vec<((usize, usize), f32)>,
    /// The values are the mean of the neighbouring channels' models, which agree; else zeros.
    pub from_neighbours: bool,
}

/// The veto of one channel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChannelVeto {
    /// All candidates of the channel.
    pub candidates: Vec<Candidate>,
    /// True where the channel's mask must be false from now on; `None` when there is no confetti.
    pub mask: Option<Array2<bool>>,
    /// Repairs of the model, one a confetti pixel.
    pub patches: Vec<Patch>,
}

/// Judges one channel; of each pixel that is confetti, vetoes a guard radius and repairs the patch.
///
/// The patch (radius [`ConfettiOptions::pedestal_radius`]) becomes the mean of the neighbouring channels' models
/// where both exist and agree in flux, else zero. The next major cycle computes the residual again.
pub fn veto_channel(planes: &ChannelPlanes<'_>, beam: PixelBeam, options: &ConfettiOptions) -> ChannelVeto {
    let candidates = judge_channel(planes, beam, options);
    let confetti: Vec<[usize; 2]> =
        candidates.iter().filter(|c| c.verdict == ConfettiVerdict::Confetti).map(|c| c.pixel).collect();
    if confetti.is_empty() {
        return ChannelVeto { candidates, ..ChannelVeto::default() };
    }
    let (mask, patches) = repairs(planes, &confetti, beam, options);
    ChannelVeto { candidates, mask: Some(mask), patches }
}

/// Mask and patches of the pixels that are confetti.
pub(super) fn repairs(
    planes: &ChannelPlanes<'_>,
    confetti: &[[usize; 2]],
    beam: PixelBeam,
    options: &ConfettiOptions,
) -> (Array2<bool>, Vec<Patch>) {
    let shape = planes.model.dim();
    let inside = |[x, y]: [usize; 2], (dy, dx): (isize, isize)| {
        let p = (y.checked_add_signed(dy)?, x.checked_add_signed(dx)?);
        (p.0 < shape.0 && p.1 < shape.1).then_some(p)
    };
    let guard = footprint(beam, options.guard_radius);
    let mut mask = Array2::from_elem(shape, false);
    for &pixel in confetti {
        mask[(pixel[1], pixel[0])] = true;
        for p in guard.iter().filter_map(|&(dy, dx, _)| inside(pixel, (dy, dx))) {
            mask[p] = true;
        }
    }
    let area = footprint(beam, options.pedestal_radius);
    let patches = confetti
        .iter()
        .map(|&pixel| {
            let places: Vec<(usize, usize)> = area.iter().filter_map(|&(dy, dx, _)| inside(pixel, (dy, dx))).collect();
            let neighbours = match planes.model_neighbours {
                [Some(before), Some(after)] if agree(before, after, &places, planes.noise) => Some((before, after)),
                _ => None,
            };
            let finite = |v: f32| if v.is_finite() { v } else { 0.0 };
            let value = |p| neighbours.map_or(0.0, |(a, b)| 0.5 * (finite(a[p]) + finite(b[p])));
            Patch {
                pixel,
                values: places.iter().map(|&p| (p, value(p))).collect(),
                from_neighbours: neighbours.is_some(),
            }
        })
        .collect();
    (mask, patches)
}

fn agree(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, places: &[(usize, usize)], noise: f64) -> bool {
    let flux = |m: ArrayView2<'_, f32>| places.iter().map(|&p| f64::from(m[p])).filter(|v| v.is_finite()).sum::<f64>();
    let (a, b) = (flux(a), flux(b));
    (a - b).abs() <= (AGREEMENT_FRACTION * 0.5 * (a + b).abs()).max(AGREEMENT_SNR * noise)
}

/// Writes the repaired pixels into a model plane, `[y, x]`.
pub fn apply_patches(model: &mut Array2<f32>, patches: &[Patch]) {
    for &(p, value) in patches.iter().flat_map(|patch| &patch.values) {
        model[p] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    const BEAM: PixelBeam = PixelBeam { major: 4.0, minor: 4.0, pa_deg: 0.0 };

    fn confetti() -> Array2<f32> {
        let mut model = Array2::zeros((21, 21));
        model.slice_mut(ndarray::s![8..13, 8..13]).fill(-0.8);
        model[(10, 10)] = 20.0;
        model[(2, 17)] = 0.7;
        model
    }

    fn veto(before: &Array2<f32>, after: &Array2<f32>) -> (Array2<f32>, ChannelVeto) {
        let model = confetti();
        let planes = ChannelPlanes::of_model(3, model.view(), [Some(before.view()), Some(after.view())], 1.0);
        let veto = veto_channel(&planes, BEAM, &ConfettiOptions::default());
        let mut repaired = model.clone();
        apply_patches(&mut repaired, &veto.patches);
        (repaired, veto)
    }

    #[test]
    fn confetti_leaves_the_mask_with_its_guard_and_the_model_with_its_patch() {
        let empty = Array2::zeros((21, 21));
        let (repaired, veto) = veto(&empty, &empty);
        let mask = veto.mask.unwrap();
        // A disc of radius 2 (half of the beam's FWHM) has 13 pixels.
        assert_eq!(mask.iter().filter(|&&m| m).count(), 13);
        assert!(mask[(10, 10)] && mask[(10, 12)] && !mask[(12, 12)]);
        let mut expected = Array2::zeros((21, 21));
        expected[(2, 17)] = 0.7;
        assert_eq!(repaired, expected, "only the patch changes");
    }

    #[test]
    fn the_patch_is_filled_from_neighbours_that_agree() {
        let level = |v: f32| Array2::from_elem((21, 21), v);
        let (repaired, found) = veto(&level(0.10), &level(0.12));
        assert!(found.patches[0].from_neighbours);
        assert!((repaired[(10, 10)] - 0.11).abs() < 1e-6 && (repaired[(10, 14)] - 0.11).abs() < 1e-6);
        let (repaired, found) = veto(&level(0.02), &level(0.2));
        assert!(!found.patches[0].from_neighbours);
        assert_eq!(repaired[(10, 10)], 0.0);
    }

    #[test]
    fn nothing_is_vetoed_without_confetti() {
        let model = Array2::from_elem((9, 9), 0.1);
        let planes = ChannelPlanes::of_model(3, model.view(), [Some(model.view()), None], 1.0);
        assert_eq!(veto_channel(&planes, BEAM, &ConfettiOptions::default()), ChannelVeto::default());
    }
}
