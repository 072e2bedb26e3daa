//! Exact medians of large planes without a copy of them.
//!
//! ```text
//! values  3 1 NaN 2 9   median of the finite ones (1 2 3 9) = 2.5
//!                       deviations 0.5 1.5 0.5 6.5, MAD     = 1.0
//! ```

use rayon::prelude::*;

/// A Gaussian's standard deviation in units of its median absolute deviation, 1 / Phi^-1(3/4).
pub const SIGMA_PER_MAD: f64 = 1.482_602_218_505_602;
/// Below this many values a scratch copy and a selection are faster than two histograms of 65,536 bins.
const SELECTION_LIMIT: usize = 1 << 20;
/// Bins of each of the two histograms: the upper and the lower half of a float's 32 bits.
const BINS: usize = 1 << 16;

/// Median and median absolute deviation of the values that were used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MedianMad {
    /// Number of values that were used.
    pub count: u64,
    /// Their median (the mean of the two middle ones of an even number).
    pub median: f64,
    /// The median of the absolute deviations from the median.
    pub mad: f64,
}

impl MedianMad {
    /// Standard deviation of the Gaussian with this MAD: 1.4826 MAD.
    pub fn sigma(&self) -> f64 {
        SIGMA_PER_MAD * self.mad
    }
}

/// Median and MAD of the finite `values` whose index satisfies `used`; `None` when there is none.
///
/// Exact, and the same for any number of threads: counts are whole numbers. O(values), no copy of large inputs.
pub fn median_and_mad(values: &[f32], used: impl Fn(usize) -> bool + Sync) -> Option<MedianMad> {
    let pick = |i: usize| values[i].is_finite().then(|| values[i]).filter(|_| used(i));
    let (count, median) = median_of(values.len(), pick)?;
    let (_, mad) = median_of(values.len(), |i| pick(i).map(|v| (f64::from(v) - median).abs() as f32))?;
    Some(MedianMad { count, median, mad })
}

/// Median of a small list, which is reordered; non-finite values are left out. `None` when nothing remains.
pub fn median(values: &mut Vec<f64>) -> Option<f64> {
    values.retain(|v| v.is_finite());
    let n = values.len();
    if n == 0 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    Some(if n % 2 == 1 { values[n / 2] } else { 0.5 * (values[n / 2 - 1] + values[n / 2]) })
}

/// Unsigned integers in the order of the floats.
fn key_of(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 }
}

fn value_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & 0x7fff_ffff } else { !key })
}

fn median_of(len: usize, pick: impl Fn(usize) -> Option<f32> + Sync) -> Option<(u64, f64)> {
    if len < SELECTION_LIMIT {
        let mut kept: Vec<f32> = (0..len).filter_map(pick).collect();
        let n = kept.len();
        if n == 0 {
            return None;
        }
        let (below, &mut upper, _) = kept.select_nth_unstable_by(n / 2, f32::total_cmp);
        let lower = match n % 2 {
            1 => upper,
            _ => below.iter().copied().max_by(f32::total_cmp).unwrap_or(upper),
        };
        return Some((n as u64, 0.5 * (f64::from(lower) + f64::from(upper))));
    }
    median_by_histogram(len, pick)
}

fn median_by_histogram(len: usize, pick: impl Fn(usize) -> Option<f32> + Sync) -> Option<(u64, f64)> {
    let upper_half = histogram(len, |i| pick(i).map(|v| (key_of(v) >> 16) as usize));
    let count: u64 = upper_half.iter().sum();
    if count == 0 {
        return None;
    }
    let order = |rank: u64| -> f32 {
        let (high, before) = bin_of(&upper_half, rank);
        let lower_half = histogram(len, |i| {
            pick(i).map(key_of).filter(|k| (k >> 16) as usize == high).map(|k| (k & 0xffff) as usize)
        });
        let (low, _) = bin_of(&lower_half, rank - before);
        value_of(((high as u32) << 16) | low as u32)
    };
    let upper = order(count / 2);
    let lower = if count % 2 == 1 { upper } else { order(count / 2 - 1) };
    Some((count, 0.5 * (f64::from(lower) + f64::from(upper))))
}

/// The bin that holds the value of that rank, and how many values lie in the bins before it.
fn bin_of(counts: &[u64], rank: u64) -> (usize, u64) {
    let mut before = 0;
    for (bin, &n) in counts.iter().enumerate() {
        if before + n > rank {
            return (bin, before);
        }
        before += n;
    }
    unreachable!("a rank lies below the number of values")
}

fn histogram(len: usize, bin: impl Fn(usize) -> Option<usize> + Sync) -> Vec<u64> {
    // Few, long pieces: each carries its own histogram of half a megabyte.
    let piece = len.div_ceil(4 * rayon::current_num_threads()).max(BINS);
    (0..len.div_ceil(piece))
        .into_par_iter()
        .map(|p| {
            let mut counts = vec![0u64; BINS];
            for i in p * piece..((p + 1) * piece).min(len) {
                if let Some(b) = bin(i) {
                    counts[b] += 1;
                }
            }
            counts
        })
        .reduce_with(|mut a, b| {
            a.iter_mut().zip(b).for_each(|(x, y)| *x += y);
            a
        })
        .unwrap_or_else(|| vec![0; BINS])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn picture() {
        let stats = median_and_mad(&[3., 1., f32::NAN, 2., 9., 100.], |i| i != 5).unwrap();
        assert_eq!(stats, MedianMad { count: 4, median: 2.5, mad: 1.0 });
        assert_eq!(median_and_mad(&[f32::NAN, f32::INFINITY], |_| true), None);
        assert_eq!(median(&mut vec![4., f64::NAN, 1.]), Some(2.5));
    }

    proptest! {
        #[test]
        fn histogram_and_selection_agree(values in prop::collection::vec(-1e3f32..1e3, 1..200)) {
            let pick = |i: usize| Some(values[i]);
            prop_assert_eq!(median_by_histogram(values.len(), pick), median_of(values.len(), pick));
        }
    }

    #[test]
    fn negative_and_positive_floats_keep_their_order() {
        let values = [-3.5f32, -1e-30, -0.0, 0.0, 1e-30, 2.0];
        assert!(values.windows(2).all(|w| key_of(w[0]) < key_of(w[1])));
        assert!(values.iter().all(|&v| value_of(key_of(v)).to_bits() == v.to_bits()));
    }
}
