//! Bright sources outside the image, on a wide one.

use ndarray::{Array2, ArrayView2};

/// A source outside counts when it is this many times brighter than the noise of the wide image: its sidelobes, a tenth of
/// it in a sparse array, then stand out from the noise.
const BRIGHT_SIGMA: f64 = 10.0;
/// It also exceeds the deepest negative by this factor: artefacts of uncalibrated data are as deep as they are high.
const OVER_NEGATIVE: f64 = 1.5;
/// Pixels around a peak that belong to it, beams.
const REACH_BEAMS: f64 = 4.0;
/// Most sources that are named.
const MOST: usize = 10;

/// A source outside the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Source {
    /// Peak, Jy/beam.
    pub(super) peak: f64,
    /// Offset from the centre, pixels of the wide image, in x and y.
    pub(super) offset: (f64, f64),
}

impl Source {
    /// Distance from the centre along the axis that is longer: half the side of an image that holds it, pixels.
    pub(super) fn half_side(&self) -> f64 {
        self.offset.0.abs().max(self.offset.1.abs())
    }
}

/// The bright sources further than `half` pixels from the middle along an axis, brightest first; `beam` is the width of the
/// restoring beam in pixels, `noise` that of the image.
pub(super) fn outside(image: ArrayView2<'_, f32>, half: f64, beam: f64, noise: f64) -> Vec<Source> {
    let (ny, nx) = image.dim();
    let offset = |(y, x): (usize, usize)| (x as f64 - (nx / 2) as f64, y as f64 - (ny / 2) as f64);
    let finite = image.iter().filter(|v| v.is_finite());
    let deepest = finite.fold(0.0f32, |low, v| low.min(*v));
    let level = (BRIGHT_SIGMA * noise).max(-OVER_NEGATIVE * f64::from(deepest));
    let mut left: Array2<f32> = image.to_owned();
    let mut found = Vec::new();
    while found.len() < MOST {
        let is_outside = |at: (usize, usize)| {
            let (x, y) = offset(at);
            x.abs().max(y.abs()) > half
        };
        let candidates = left.indexed_iter().filter(|(at, v)| v.is_finite() && is_outside(*at));
        let Some((at, peak)) = candidates.max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, v)| (at, f64::from(*v))) else {
            break;
        };
        if peak < level {
            break;
        }
        let source = Source { peak, offset: offset(at) };
        let reach = REACH_BEAMS * beam;
        for (other, value) in left.indexed_iter_mut() {
            let (x, y) = offset(other);
            if (x - source.offset.0).hypot(y - source.offset.1) <= reach {
                *value = 0.0;
            }
        }
        found.push(source);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bright_sources_outside_are_found_once_and_others_not() {
        let mut image = Array2::<f32>::zeros((200, 200));
        image[[100, 100]] = 50.0;
        image[[20, 150]] = 12.0;
        image[[20, 151]] = 11.0;
        image[[100, 190]] = 9.0;
        image[[30, 30]] = -5.0;
        let found = outside(image.view(), 50.0, 2.0, 1.0);
        assert_eq!(found, [Source { peak: 12.0, offset: (50.0, -80.0) }]);
        assert_eq!(found[0].half_side(), 80.0);
        image[[30, 30]] = -9.0;
        assert!(outside(image.view(), 50.0, 2.0, 1.0).is_empty(), "as deep as it is high");
    }
}
