//! Seeds grown inside a floor.

use crate::kernels::Connectivity;
use crate::kernels::bitmask::{BitMask, WORD};
use ndarray::{Array2, ArrayView2};

/// Dilates `seeds` one neighbour a step, only into true pixels of `floor`, at most `max_steps` times (`None`: until
/// nothing changes). Seeds outside the floor stay, and may grow into it (as `scipy.ndimage.binary_dilation` with
/// `mask`). Nothing is outside the image.
///
/// A breadth-first fill of words of 64 pixels: O(words) to find the first step, then O(words that gain pixels).
///
/// ```text
/// seeds . . S . . .   floor . . # # # .   8-connected, 2 steps   . . # # # .
///       . . . . . .         # . . . . #  --------------------->  . . . . . .
///       . . . . . .         # # # # # #                          . . . . . .
/// ```
///
/// # Panics
/// When the shapes differ.
pub fn geodesic_dilation(
    seeds: ArrayView2<'_, bool>,
    floor: ArrayView2<'_, bool>,
    connectivity: Connectivity,
    max_steps: Option<usize>,
) -> Array2<bool> {
    let mut mask = BitMask::from_bools(seeds);
    geodesic_dilation_bits(&mut mask, &BitMask::from_bools(floor), connectivity, max_steps);
    mask.to_bools()
}

/// [`geodesic_dilation`] of bits, with the seeds in `mask`, which becomes the result.
///
/// # Panics
/// When the shapes differ.
pub fn geodesic_dilation_bits(
    mask: &mut BitMask,
    floor: &BitMask,
    connectivity: Connectivity,
    max_steps: Option<usize>,
) {
    assert_eq!(mask.dim(), floor.dim(), "seeds and floor have the same shape");
    let stride = mask.stride();
    if max_steps == Some(0) || stride == 0 {
        return;
    }
    let words = mask.words_mut();
    let gains = vec![0; words.len()];
    let mut growth = Growth { words, floor: floor.words(), stride, gains, gaining: Vec::new() };
    // The first step straight from the seeds.
    for at in 0..growth.words.len() {
        if growth.words[at] != 0 {
            growth.spread(at, growth.words[at], connectivity);
        }
    }
    let mut steps = 1;
    let mut frontier = Vec::new();
    while !growth.gaining.is_empty() {
        growth.settle(&mut frontier);
        if max_steps.is_some_and(|most| steps >= most) {
            return;
        }
        for &(at, gained) in &frontier {
            growth.spread(at, gained, connectivity);
        }
        steps += 1;
    }
}

/// A mask on its way to the next step.
struct Growth<'a> {
    words: &'a mut [u64],
    floor: &'a [u64],
    /// Words in a row.
    stride: usize,
    /// Pixels that the next step gains, ...
    gains: Vec<u64>,
    /// ... and the words where it gains anything.
    gaining: Vec<usize>,
}

impl Growth<'_> {
    /// Adds the gains to the mask, and lists them.
    fn settle(&mut self, frontier: &mut Vec<(usize, u64)>) {
        frontier.clear();
        for at in self.gaining.drain(..) {
            let gained = std::mem::take(&mut self.gains[at]);
            self.words[at] |= gained;
            frontier.push((at, gained));
        }
    }

    /// Offers the pixels `bits` of word `at` to their neighbours.
    #[inline(always)]
    fn spread(&mut self, at: usize, bits: u64, connectivity: Connectivity) {
        self.offer_row(at, bits);
        let (above, below) = (at.checked_sub(self.stride), Some(at + self.stride).filter(|&w| w < self.words.len()));
        for neighbour in [above, below].into_iter().flatten() {
            match connectivity {
                Connectivity::Four => self.offer(neighbour, bits),
                Connectivity::Eight => self.offer_row(neighbour, bits),
            }
        }
    }

    /// Offers pixels with both neighbours of each, and what passes into the words beside.
    #[inline(always)]
    fn offer_row(&mut self, at: usize, bits: u64) {
        self.offer(at, bits | bits << 1 | bits >> 1);
        let column = at % self.stride;
        if bits & 1 == 1 && column > 0 {
            self.offer(at - 1, 1 << (WORD - 1));
        }
        if bits >> (WORD - 1) == 1 && column + 1 < self.stride {
            self.offer(at + 1, 1);
        }
    }

    /// Gains those pixels of a word that are in the floor and not yet in the mask.
    #[inline(always)]
    fn offer(&mut self, at: usize, bits: u64) {
        let gained = bits & self.floor[at] & !self.words[at];
        if gained != 0 {
            if self.gains[at] == 0 {
                self.gaining.push(at);
            }
            self.gains[at] |= gained;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw, mask};
    use proptest::prelude::*;

    #[test]
    fn growth_stops_after_the_last_step() {
        let seeds = mask(&["..#...", "......", "......"]);
        let floor = mask(&["..###.", "#....#", "######"]);
        let grow = |steps| draw(geodesic_dilation(seeds.view(), floor.view(), Connectivity::Eight, steps).view());
        assert_eq!(grow(Some(0)), ["..#...", "......", "......"]);
        assert_eq!(grow(Some(2)), ["..###.", "......", "......"]);
        assert_eq!(grow(Some(4)), ["..###.", ".....#", "....##"]);
        assert_eq!(grow(None), ["..###.", "#....#", "######"]);
        let four = geodesic_dilation(seeds.view(), floor.view(), Connectivity::Four, None);
        assert_eq!(draw(four.view()), ["..###.", "......", "......"]);
    }

    #[test]
    fn seeds_outside_the_floor_stay_and_grow() {
        let grown = geodesic_dilation(mask(&["#...#"]).view(), mask(&[".##.."]).view(), Connectivity::Four, None);
        assert_eq!(draw(grown.view()), ["###.#"]);
    }

    proptest! {
        #[test]
        fn equals_repeated_dilation((seeds, floor) in any::two_masks(), steps in 0usize..12) {
            for connectivity in [Connectivity::Four, Connectivity::Eight] {
                let mut expected = seeds.clone();
                for _ in 0..steps {
                    let before = expected.clone();
                    for (p, grown) in expected.indexed_iter_mut() {
                        let mut touched = false;
                        for (dy, dx) in (-1..=1).flat_map(|a| (-1..=1).map(move |b| (a, b))) {
                            let near = connectivity == Connectivity::Eight || dy == 0 || dx == 0;
                            let at = (p.0.wrapping_add_signed(dy), p.1.wrapping_add_signed(dx));
                            touched |= near && before.get(at) == Some(&true);
                        }
                        *grown |= touched && floor[p];
                    }
                }
                let grown = geodesic_dilation(seeds.view(), floor.view(), connectivity, Some(steps));
                prop_assert_eq!(grown, expected);
            }
        }
    }
}
