//! Seeds and floor: where islands begin, and how far they may grow.

use super::adaptive::{AdaptiveMinima, Enlargement};
use super::notes::MaskNote;
use super::options::MaskingOptions;
use crate::kernels::bitmask::{BitMask, WORD, pack_row, pack_rows};
use crate::kernels::rows::{Extremum, ImageRows, Least, Outside, RollingRows, RowStream, bands};
use multiversion::multiversion;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Pixels that are looked at together: with background and rms they fit into the cache.
pub(crate) const STRIP: usize = 1 << 17;
/// Running maxima side by side.
const LANES: usize = 16;
/// Part of the greatest signal that becomes the seed clip when nothing reaches the asked one.
const PART_OF_MAXIMUM: f32 = 0.9;

/// Where islands begin and how far they may grow, one bit per pixel, `[y, x]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedsAndFloor {
    /// Islands begin here.
    pub seeds: BitMask,
    /// Islands may grow here.
    pub floor: BitMask,
}

/// Rows of signal from a given row on, as many as the buffer holds; called by several threads at once.
pub trait SignalRows<E>: Fn(usize, &mut [f32]) -> Result<(), E> + Sync {}
impl<E, F: Fn(usize, &mut [f32]) -> Result<(), E> + Sync> SignalRows<E> for F {}

/// A comparison that makes a mask of a signal; NaN is never in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// At least so much.
    Reaches(f32),
    /// More than so much.
    Exceeds(f32),
    /// Any number.
    Valid,
}

/// The box of the minimum absolute clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacOptions {
    /// Side of the box, pixels.
    pub box_size: usize,
    /// Seeds exceed this factor times |minimum|.
    pub seed_factor: f64,
    /// The floor exceeds this factor times |minimum|.
    pub flood_factor: f64,
    /// How often the box is enlarged where it is too small; `None`: never.
    pub adaptive_max_depth: Option<usize>,
    /// By which factor.
    pub adaptive_step_factor: f64,
    /// A box is too small where its fraction of positive pixels exceeds 0.5 + this.
    pub adaptive_skew_delta: f64,
}

impl From<&MaskingOptions> for MacOptions {
    fn from(o: &MaskingOptions) -> Self {
        Self {
            box_size: o.flood_fill_use_mac_box_size,
            seed_factor: o.flood_fill_positive_seed_clip,
            flood_factor: o.flood_fill_positive_flood_clip,
            adaptive_max_depth: o.flood_fill_use_mac_adaptive_max_depth,
            adaptive_step_factor: o.flood_fill_use_mac_adaptive_step_factor,
            adaptive_skew_delta: o.flood_fill_use_mac_adaptive_skew_delta,
        }
    }
}

/// Masks of a signal that comes in strips of rows and is never stored, one for each clip, and the greatest pixel (`None`
/// when all are NaN). Several comparisons cost one pass.
///
/// # Errors
/// Those of `rows`.
pub fn clip_rows<E: Send>(
    (ny, nx): (usize, usize),
    rows: &impl SignalRows<E>,
    clips: &[Clip],
) -> Result<(Vec<BitMask>, Option<f32>), E> {
    let mut masks: Vec<BitMask> = clips.iter().map(|_| BitMask::new(ny, nx)).collect();
    if nx == 0 || ny == 0 {
        return Ok((masks, None));
    }
    let strip = (STRIP / nx).clamp(1, ny);
    let bands: Vec<(usize, usize)> = (0..ny).step_by(strip).map(|y| (y, strip.min(ny - y))).collect();
    // One item a strip: its words of each mask.
    let mut items: Vec<Vec<&mut [u64]>> = bands.iter().map(|_| Vec::with_capacity(clips.len())).collect();
    for mask in &mut masks {
        for (item, words) in items.iter_mut().zip(mask.split_rows(&bands)) {
            item.push(words);
        }
    }
    let stride = nx.div_ceil(WORD);
    let greatest = items.into_par_iter().zip(&bands).map_init(
        || vec![0f32; strip * nx],
        |buffer, (masks, &(first, count))| {
            let signal = &mut buffer[..count * nx];
            rows(first, signal)?;
            for (words, clip) in masks.into_iter().zip(clips) {
                for (row, words) in signal.chunks_exact(nx).zip(words.chunks_exact_mut(stride)) {
                    match *clip {
                        Clip::Reaches(clip) => pack_row(row, words, |v| v >= clip),
                        Clip::Exceeds(clip) => pack_row(row, words, |v| v > clip),
                        Clip::Valid => pack_row(row, words, |v| !v.is_nan()),
                    }
                }
            }
            Ok(greatest_of(signal))
        },
    );
    let greatest = greatest.try_reduce(
        || None,
        |a, b| {
            Ok(match (a, b) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            })
        },
    )?;
    Ok((masks, greatest))
}

/// The greatest number; `None` when all are NaN.
#[multiversion(targets("x86_64+avx2"))]
fn greatest_of(signal: &[f32]) -> Option<f32> {
    // Lanes keep the compiler's hands free: a maximum of floats is not associative to it.
    let mut greatest = [f32::NEG_INFINITY; LANES];
    let mut numbers = [false; LANES];
    let mut look = |chunk: &[f32]| {
        for ((g, n), &v) in greatest.iter_mut().zip(&mut numbers).zip(chunk) {
            *n |= !v.is_nan();
            *g = if v > *g { v } else { *g };
        }
    };
    let chunks = signal.chunks_exact(LANES);
    look(chunks.remainder());
    chunks.for_each(look);
    numbers.contains(&true).then(|| greatest.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

/// The rows of a signal in memory.
pub fn rows_of(signal: ArrayView2<'_, f32>) -> impl SignalRows<std::convert::Infallible> {
    move |first: usize, out: &mut [f32]| {
        for (out, row) in out.chunks_exact_mut(signal.ncols().max(1)).zip(signal.rows().into_iter().skip(first)) {
            match row.as_slice() {
                Some(row) => out.copy_from_slice(row),
                None => out.iter_mut().zip(row).for_each(|(o, &v)| *o = v),
            }
        }
        Ok(())
    }
}

/// A clip that is taken of a signal besides seeds and floor.
pub struct Clipped {
    /// Seeds and floor.
    pub found: SeedsAndFloor,
    /// The masks of the other clips.
    pub others: Vec<BitMask>,
    /// Whether the seed clip had to be lowered.
    pub note: Option<MaskNote>,
    /// Whether the signal holds any number.
    pub any_data: bool,
}

/// Seeds are pixels with signal >= `seed_clip`, the floor those with signal > `flood_clip` (sigma; `rows` gives strips of
/// a signal of `shape`, `(ny, nx)`).
///
/// When the greatest signal is below the seed clip, 0.9 of it becomes the clip, and a note says so (flint, 2026-08).
///
/// # Errors
/// Those of `rows`.
pub fn snr_seeds<E: Send>(
    shape: (usize, usize),
    rows: &impl SignalRows<E>,
    seed_clip: f64,
    flood_clip: f64,
    others: &[Clip],
) -> Result<Clipped, E> {
    let mut clips = vec![Clip::Reaches(seed_clip as f32), Clip::Exceeds(flood_clip as f32)];
    clips.extend_from_slice(others);
    let (mut masks, greatest) = clip_rows(shape, rows, &clips)?;
    let others = masks.split_off(2);
    let [mut seeds, floor]: [BitMask; 2] = masks.try_into().expect("a mask a clip");
    let lowered = greatest.filter(|&g| g < seed_clip as f32 && g > f32::NEG_INFINITY);
    let note = match lowered {
        // 0.9 of a negative maximum is above it: flint's rule finds nothing.
        Some(greatest) if greatest <= 0.0 => Some(MaskNote::NothingPositive { greatest }),
        Some(greatest) => {
            let used = PART_OF_MAXIMUM * greatest;
            seeds = clip_rows(shape, rows, &[Clip::Reaches(used)])?.0.swap_remove(0);
            Some(MaskNote::SeedClipLowered { asked: seed_clip, greatest, used })
        }
        None => None,
    };
    Ok(Clipped { found: SeedsAndFloor { seeds, floor }, others, note, any_data: greatest.is_some() })
}

/// The minimum absolute clip: with M the minimum of the box around a pixel, seeds exceed `seed_factor` |M| and the floor
/// exceeds `flood_factor` |M|. `image` is `[y, x]`, in any unit. Window and periodic boundary: [`crate::kernels::rolling_minimum`].
///
/// With `adaptive_max_depth`, boxes filled by positive emission are enlarged: where more than 0.5 + delta of the box's
/// pixels are positive, M comes from a box enlarged by the step factor; again with that box, until none is too small, the
/// box exceeds a side of the image, or the depth is used up (flint, 2026-08).
pub fn mac_seeds(image: ArrayView2<'_, f32>, options: &MacOptions) -> SeedsAndFloor {
    let shape = image.dim();
    let mut found = SeedsAndFloor { seeds: BitMask::new(shape.0, shape.1), floor: BitMask::new(shape.0, shape.1) };
    if image.is_empty() {
        return found;
    }
    let image = image.as_standard_layout();
    let image = image.view();
    let Some(most) = options.adaptive_max_depth.filter(|&depth| depth > 0) else {
        return mac_seeds_of_rows(shape, |y| ImageRows::new(image, y, f32::NAN, Outside::Wrap), options);
    };
    let bands = bands(shape.0);
    let enlargement = Enlargement { most, factor: options.adaptive_step_factor, skew: options.adaptive_skew_delta };
    let adaptive = AdaptiveMinima::new(image, options.box_size, &enlargement);
    let factors = (options.seed_factor as f32, options.flood_factor as f32);
    let stride = found.seeds.stride();
    let seeds = found.seeds.split_rows(&bands);
    let floor = found.floor.split_rows(&bands);
    seeds.into_par_iter().zip(floor).zip(&bands).for_each(|((seeds, floor), &(first, count))| {
        adaptive.for_strips((first, count), |y: usize, x: usize, minima: &[f32]| {
            let pixels = &image.row(y).to_slice().expect("standard order")[x..x + minima.len()];
            let words = (y - first) * stride + x / WORD..(y - first) * stride + (x + minima.len()).div_ceil(WORD);
            clip_row(pixels, minima, factors, &mut seeds[words.clone()], &mut floor[words]);
        });
    });
    found
}

/// The minimum absolute clip of an image of `shape`, `(ny, nx)`, whose rows from a given one on `rows_from` gives: beyond
/// its edges it repeats. Boxes are not enlarged. Neither the image nor its minima are ever stored.
pub(super) fn mac_seeds_of_rows<S: RowStream>(
    shape: (usize, usize),
    rows_from: impl Fn(isize) -> S + Sync,
    options: &MacOptions,
) -> SeedsAndFloor {
    let (ny, nx) = shape;
    let mut found = SeedsAndFloor { seeds: BitMask::new(ny, nx), floor: BitMask::new(ny, nx) };
    if ny == 0 || nx == 0 {
        return found;
    }
    let (bands, stride) = (bands(ny), found.seeds.stride());
    let factors = (options.seed_factor as f32, options.flood_factor as f32);
    let side = options.box_size;
    // Rows of the box below its middle.
    let after = side.min(ny) - 1 - side.min(ny) / 2;
    let parts = found.seeds.split_rows(&bands).into_par_iter().zip(found.floor.split_rows(&bands));
    parts.zip(&bands).for_each(|((seeds, floor), &(first, _))| {
        let kept_from = |y| KeptRows::new(rows_from(y), after + 1, nx);
        let mut minima = RollingRows::<_, Least>::new(kept_from, first as isize, shape, (side, side));
        let mut row = vec![0.0; nx];
        for (seeds, floor) in seeds.chunks_exact_mut(stride).zip(floor.chunks_exact_mut(stride)) {
            minima.next_row(&mut row);
            clip_row(minima.source().row(after), &row, factors, seeds, floor);
        }
    });
    found
}

/// Seeds and floor of some pixels of a row with the minima of their boxes.
fn clip_row(
    pixels: &[f32],
    minima: &[f32],
    (seed_factor, flood_factor): (f32, f32),
    seeds: &mut [u64],
    floor: &mut [u64],
) {
    pack_rows(pixels, minima, seeds, |v, m| v > seed_factor * m.abs());
    pack_rows(pixels, minima, floor, |v, m| v > flood_factor * m.abs());
}

/// Rows with infinity in place of NaN; the last of them are kept as they came.
struct KeptRows<S> {
    source: S,
    /// A ring of rows.
    ring: Vec<f32>,
    nx: usize,
    newest: usize,
}

impl<S> KeptRows<S> {
    fn new(source: S, rows: usize, nx: usize) -> Self {
        Self { source, ring: vec![0.0; rows * nx], nx, newest: rows - 1 }
    }

    /// The row that came so many rows before the last.
    fn row(&self, before: usize) -> &[f32] {
        let rows = self.ring.len() / self.nx;
        let at = (self.newest + rows - before) % rows;
        &self.ring[at * self.nx..(at + 1) * self.nx]
    }
}

impl<S: RowStream> RowStream for KeptRows<S> {
    fn next_row(&mut self, out: &mut [f32]) {
        self.newest = (self.newest + 1) % (self.ring.len() / self.nx);
        let kept = &mut self.ring[self.newest * self.nx..(self.newest + 1) * self.nx];
        self.source.next_row(kept);
        known(kept, out);
    }
}

/// A row with infinity in place of NaN.
#[multiversion(targets("x86_64+avx2"))]
fn known(row: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(row).for_each(|(o, &v)| *o = if v.is_nan() { Least::NEUTRAL } else { v });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{any, draw};
    use crate::kernels::{box_count, rolling_minimum};
    use ndarray::array;
    use proptest::prelude::*;

    fn drawn(mask: &BitMask) -> Vec<String> {
        draw(mask.to_bools().view())
    }

    fn seeds_of(signal: ArrayView2<'_, f32>, others: &[Clip]) -> Clipped {
        let Ok(clipped) = snr_seeds(signal.dim(), &rows_of(signal), 4.5, 1.5, others);
        clipped
    }

    #[test]
    fn seeds_reach_the_clip_and_the_floor_exceeds_it() {
        let signal = array![[4.5, 4.4, 1.5, 1.6, f32::NAN]];
        let Clipped { found, others, note, any_data } = seeds_of(signal.view(), &[Clip::Valid]);
        assert_eq!((drawn(&found.seeds), drawn(&found.floor)), (vec!["#....".into()], vec!["##.#.".into()]));
        assert_eq!((drawn(&others[0]), note, any_data), (vec!["####.".into()], None, true));
    }

    #[test]
    fn nine_tenths_of_the_maximum_when_nothing_reaches_the_clip() {
        let signal = array![[2.0f32, 1.8, 1.79, f32::NAN]];
        let Clipped { found, note, .. } = seeds_of(signal.view(), &[]);
        assert_eq!(drawn(&found.seeds), ["##.."]);
        assert_eq!(note, Some(MaskNote::SeedClipLowered { asked: 4.5, greatest: 2.0, used: 1.8 }));
    }

    #[test]
    fn nothing_is_masked_where_no_signal_is_positive() {
        let signal = array![[-2.0f32, -1.8, f32::NAN]];
        let Clipped { found, note, .. } = seeds_of(signal.view(), &[]);
        assert_eq!(drawn(&found.seeds), ["..."]);
        assert_eq!(note, Some(MaskNote::NothingPositive { greatest: -1.8 }));
    }

    #[test]
    fn the_clip_follows_the_most_negative_pixel_of_the_box() {
        let image = array![[3.1, -2.0, 2.1, 0.5, 0.0, -0.1, 0.2, 1.0, 0.0]];
        let options =
            MacOptions { box_size: 3, seed_factor: 1.5, flood_factor: 1.0, ..(&MaskingOptions::default()).into() };
        let found = mac_seeds(image.view(), &options);
        assert_eq!(drawn(&found.seeds), ["#..#..##."]);
        assert_eq!(drawn(&found.floor), ["#.##..##."]);
    }

    proptest! {
        #[test]
        fn minima_are_enlarged_where_boxes_are_skewed(
            image in any::image(), box_size in 1usize..12, depth in 0usize..5, delta in 0.01f64..0.3, step in 1.3f64..3.0,
        ) {
            let options = MacOptions {
                box_size, seed_factor: 1.2, flood_factor: 0.7, adaptive_max_depth: Some(depth),
                adaptive_step_factor: step, adaptive_skew_delta: delta,
            };
            // The rule as the specification words it, with whole arrays.
            let (ny, nx) = image.dim();
            let mut size = box_size;
            let mut minimum = rolling_minimum(image.view(), size);
            for _ in 0..depth {
                let fraction = box_count(image.view(), size, |&v| v > 0.0).mapv(|c| f64::from(c) / (size * size) as f64);
                let skewed = fraction.mapv(|f| f > 0.5 + delta);
                if !skewed.iter().any(|&s| s) || size > ny || size > nx {
                    break;
                }
                size = (size as f64 * step) as usize;
                let larger = rolling_minimum(image.view(), size);
                for (p, &s) in skewed.indexed_iter() {
                    if s {
                        minimum[p] = larger[p];
                    }
                }
            }
            let found = mac_seeds(image.view(), &options);
            for (p, &v) in image.indexed_iter() {
                prop_assert_eq!(found.seeds.get(p.0, p.1), v > 1.2 * minimum[p].abs());
                prop_assert_eq!(found.floor.get(p.0, p.1), v > 0.7 * minimum[p].abs());
            }
        }
    }
}
