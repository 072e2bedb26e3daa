//! Seeds and floor: where islands begin, and how far they may grow.

use super::notes::MaskNote;
use crate::kernels::bitmask::{BitMask, WORD, pack_row};
use crate::kernels::rows::{Rows, bands};
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
            *g = g.max(v);
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

/// The pixels of an image that are kept.
pub(super) fn pixels_where(image: &impl Rows, keep: impl Fn(f32) -> bool + Sync) -> BitMask {
    let (ny, nx) = image.dim();
    let mut kept = BitMask::new(ny, nx);
    let (bands, stride) = (bands(ny), kept.stride());
    kept.split_rows(&bands).into_par_iter().zip(&bands).for_each(|(part, &(first, _))| {
        let mut row = vec![0.0; nx];
        for (y, words) in (first..).zip(part.chunks_exact_mut(stride.max(1))) {
            image.row_into(y, &mut row);
            pack_row(&row, words, &keep);
        }
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::draw;
    use ndarray::array;

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
}
