//! Exact medians of large planes without a copy of them.
//!
//! ```text
//! values  3 1 NaN 2 9   median of the finite ones (1 2 3 9) = 2.5
//!                       deviations 0.5 1.5 0.5 6.5, MAD     = 1.0
//! ```

use multiversion::multiversion;
use rayon::prelude::*;

/// A Gaussian's standard deviation in units of its median absolute deviation, 1 / Phi^-1(3/4).
pub const SIGMA_PER_MAD: f64 = 1.482_602_218_505_602;
/// Up to this many values a scratch copy and a selection are as fast as anything.
const SELECTION_LIMIT: usize = 1 << 17;
/// Values of a large plane that are looked at first: they tell between which two values the median lies.
const SAMPLES: usize = 1 << 15;
/// Half the width of that bracket, in standard errors of the sample's median.
const BRACKET_ERRORS: f64 = 4.5;
/// Values that are gathered and compared together.
const CHUNK: usize = 1024;
/// A bracket with more than this part of all values, as one of many equal values is, is no help.
const MOST_INSIDE: usize = 8;
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
    median_and_mad_of(values.len(), |first, out| {
        for (i, (o, &v)) in (first..).zip(out.iter_mut().zip(&values[first..])) {
            *o = if v.is_finite() && used(i) { v } else { f32::NAN };
        }
    })
}

/// [`median_and_mad`] of the finite values that satisfy `used`, and the extremes of all finite values.
pub(crate) fn statistics_where(values: &[f32], used: impl Fn(f32) -> bool + Sync) -> Option<(MedianMad, Extremes)> {
    let fill = |first: usize, out: &mut [f32]| keep_used(&values[first..first + out.len()], out, &used);
    if let Some((stats, Some(extremes))) = in_one_pass(values.len(), &fill, Some(values)) {
        return Some((stats, extremes));
    }
    Some((median_and_mad_of(values.len(), fill)?, extremes(values)))
}

#[multiversion(targets("x86_64+avx2"))]
fn keep_used(values: &[f32], out: &mut [f32], used: impl Fn(f32) -> bool) {
    out.iter_mut().zip(values).for_each(|(o, &v)| *o = if v.is_finite() & used(v) { v } else { f32::NAN });
}

/// Median and MAD of `len` values; `fill` writes those from a given one on, as many as the buffer holds, and NaN for those
/// that are not used.
fn median_and_mad_of(len: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Option<MedianMad> {
    if let Some((stats, _)) = in_one_pass(len, &fill, None) {
        return Some(stats);
    }
    let (count, median) = median_of(len, &fill)?;
    let (_, mad) = median_of(len, &|first: usize, out: &mut [f32]| {
        fill(first, out);
        to_deviations(out, median);
    })?;
    Some(MedianMad { count, median, mad })
}

#[multiversion(targets("x86_64+avx2"))]
fn to_deviations(values: &mut [f32], median: f64) {
    values.iter_mut().for_each(|v| *v = (f64::from(*v) - median).abs() as f32);
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

/// Number and median of `len` values, which `fill` writes as for [`median_and_mad_of`]; `None` when none is used.
fn median_of(len: usize, fill: &(impl Fn(usize, &mut [f32]) + Sync)) -> Option<(u64, f64)> {
    if len < SELECTION_LIMIT {
        let mut kept = vec![0f32; len];
        fill(0, &mut kept);
        kept.retain(|v| !v.is_nan());
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
    median_in_bracket(len, fill).or_else(|| median_by_histogram(len, fill))
}

/// Median of the values inside a bracket that a sample predicts, one pass over all values; `None` when the median lies
/// outside, or too many values inside.
fn median_in_bracket(len: usize, fill: &(impl Fn(usize, &mut [f32]) + Sync)) -> Option<(u64, f64)> {
    let (low, high) = bracket(len, fill)?;
    let piece = len.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(CHUNK);
    let pieces: Vec<Inside> = (0..len.div_ceil(piece))
        .into_par_iter()
        .map(|p| inside(p * piece..((p + 1) * piece).min(len), fill, low, high))
        .collect::<Option<_>>()?;
    let count: u64 = pieces.iter().map(|p| p.count).sum();
    let below: u64 = pieces.iter().map(|p| p.below).sum();
    let (low, high) = ranked(pieces.into_iter().flat_map(|p| p.values).collect(), count, below)?;
    Some((count, 0.5 * (f64::from(low) + f64::from(high))))
}

/// Two values between which the median lies in all likelihood.
fn bracket(len: usize, fill: &impl Fn(usize, &mut [f32])) -> Option<(f32, f32)> {
    let (sample, reach) = sample(len, fill)?;
    let n = sample.len();
    Some((sample[n / 2 - reach], sample[n / 2 + reach]))
}

/// Some of the values in order, and by how many places their median may differ from that of all.
fn sample(len: usize, fill: &impl Fn(usize, &mut [f32])) -> Option<(Vec<f32>, usize)> {
    // Places without a pattern that columns of an image could share: the fractions of multiples of the golden ratio.
    let place = |i: usize| {
        let fraction = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        ((fraction as u128 * len as u128) >> 32) as usize
    };
    let mut sample = vec![0f32; SAMPLES];
    sample.iter_mut().enumerate().for_each(|(i, v)| fill(place(i), std::slice::from_mut(v)));
    sample.retain(|v| !v.is_nan());
    let n = sample.len();
    let reach = (BRACKET_ERRORS * 0.5 * (n as f64).sqrt()).ceil() as usize;
    if n < 16 * reach.max(1) {
        return None;
    }
    sample.sort_unstable_by(f32::total_cmp);
    Some((sample, reach))
}

/// Where median and MAD lie in all likelihood.
struct Brackets {
    /// The median lies between these.
    median: (f32, f32),
    /// A value near it.
    middle: f32,
    /// The MAD lies between these.
    mad: (f32, f32),
    /// Values that may be a MAD away from the median are so far from `middle`.
    band: (f32, f32),
}

impl Brackets {
    fn of(len: usize, fill: &impl Fn(usize, &mut [f32])) -> Option<Self> {
        let (mut sample, reach) = sample(len, fill)?;
        let half = sample.len() / 2;
        let (low, middle, high) = (sample[half - reach], sample[half], sample[half + reach]);
        sample.iter_mut().for_each(|v| *v = (*v - middle).abs());
        sample.sort_unstable_by(f32::total_cmp);
        let shift = (high - middle).max(middle - low);
        let mad = (sample[half - reach] - shift, sample[half + reach] + shift);
        // Differences are rounded.
        let band = ((mad.0 - shift) * (1.0 - 1e-5), (mad.1 + shift) * (1.0 + 1e-5));
        (band.0 > 0.0 && band.1.is_finite()).then_some(Self { median: (low, high), middle, mad, band })
    }
}

/// Median and MAD from one pass over the values, and the extremes of `raw`, which are the values before any was left out;
/// `None` when a sample does not tell where to look.
fn in_one_pass(
    len: usize,
    fill: &(impl Fn(usize, &mut [f32]) + Sync),
    raw: Option<&[f32]>,
) -> Option<(MedianMad, Option<Extremes>)> {
    if len < SELECTION_LIMIT {
        return None;
    }
    let brackets = Brackets::of(len, fill)?;
    let piece = len.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(CHUNK);
    let pieces: Vec<Around> = (0..len.div_ceil(piece))
        .into_par_iter()
        .map(|p| around(p * piece..((p + 1) * piece).min(len), fill, raw, &brackets))
        .collect::<Option<_>>()?;
    let total = |of: fn(&Around) -> u64| pieces.iter().map(of).sum::<u64>();
    let (count, below, nearer) = (total(|p| p.count), total(|p| p.below), total(|p| p.nearer));
    let extremes = raw.map(|_| pieces.iter().fold(Extremes::NONE, |all, piece| all.with(&piece.extremes)));
    let (middle, band): (Vec<Vec<f32>>, Vec<Vec<f32>>) = pieces.into_iter().map(|p| (p.middle, p.band)).unzip();
    let (low, high) = ranked(middle.concat(), count, below)?;
    let median = 0.5 * (f64::from(low) + f64::from(high));
    let mut band = band.concat();
    to_deviations(&mut band, median);
    let (low, high) = ranked(band, count, nearer)?;
    if low <= brackets.mad.0 || high >= brackets.mad.1 {
        return None;
    }
    Some((MedianMad { count, median, mad: 0.5 * (f64::from(low) + f64::from(high)) }, extremes))
}

/// The two middle ones (the same twice of an odd number) of `count` values, of which so many are less than all `values`;
/// `None` when they are not among those.
fn ranked(mut values: Vec<f32>, count: u64, less: u64) -> Option<(f32, f32)> {
    let place = |rank: u64| rank.checked_sub(less).map(|r| r as usize).filter(|&r| r < values.len());
    let (lower, upper) = (place(count.checked_sub(1)? / 2)?, place(count / 2)?);
    let (before, &mut above, _) = values.select_nth_unstable_by(upper, f32::total_cmp);
    let least = match lower == upper {
        true => above,
        false => before.iter().copied().max_by(f32::total_cmp).unwrap_or(above),
    };
    Some((least, above))
}

/// What a piece of the values has around median and MAD.
struct Around {
    /// Values that are used.
    count: u64,
    /// Those below the median's bracket.
    below: u64,
    /// Those inside, in no order.
    middle: Vec<f32>,
    /// Values that are nearer than the MAD.
    nearer: u64,
    /// Those that may be as far.
    band: Vec<f32>,
    extremes: Extremes,
}

/// Counts and gathers a range of values; `None` when too many must be gathered.
fn around(
    range: std::ops::Range<usize>,
    fill: &impl Fn(usize, &mut [f32]),
    raw: Option<&[f32]>,
    brackets: &Brackets,
) -> Option<Around> {
    let most = range.len() / MOST_INSIDE + CHUNK;
    let mut found =
        Around { count: 0, below: 0, middle: Vec::new(), nearer: 0, band: Vec::new(), extremes: Extremes::NONE };
    let mut chunk = [f32::NAN; CHUNK];
    let mut gathered = ([0f32; CHUNK], [0f32; CHUNK]);
    for first in range.clone().step_by(CHUNK) {
        let end = (first + CHUNK).min(range.end);
        if let Some(raw) = raw {
            found.extremes = found.extremes.with(&extremes_of_chunk(&raw[first..end]));
        }
        fill(first, &mut chunk[..end - first]);
        chunk[end - first..].fill(f32::NAN);
        let (counts, middle, band) = split_around(&chunk, brackets, &mut gathered);
        found.count += u64::from(counts[0]);
        found.below += u64::from(counts[1]);
        found.nearer += u64::from(counts[2]);
        found.middle.extend_from_slice(&gathered.0[..middle]);
        found.band.extend_from_slice(&gathered.1[..band]);
        if found.middle.len().max(found.band.len()) > most {
            return None;
        }
    }
    Some(found)
}

/// How many values are numbers, lie below the median's bracket, and nearer than the MAD; and how many were gathered around
/// the median and around the MAD.
#[multiversion(targets("x86_64+avx2"))]
fn split_around(
    chunk: &[f32; CHUNK],
    brackets: &Brackets,
    (middle, band): &mut ([f32; CHUNK], [f32; CHUNK]),
) -> ([u32; 3], usize, usize) {
    let ((low, high), near, (from, to)) = (brackets.median, brackets.middle, brackets.band);
    let mut counts = [0; 3];
    for &v in chunk {
        counts[0] += u32::from(!v.is_nan());
        counts[1] += u32::from(v < low);
        counts[2] += u32::from((v - near).abs() < from);
    }
    let (mut n, mut m) = (0, 0);
    for &v in chunk {
        middle[n] = v;
        n += usize::from((v >= low) & (v <= high));
        let far = (v - near).abs();
        band[m] = v;
        m += usize::from((far >= from) & (far <= to));
    }
    (counts, n, m)
}

/// What a piece of the values has around a bracket.
struct Inside {
    /// Values that are used.
    count: u64,
    /// Those below the bracket.
    below: u64,
    /// Those inside, in no order.
    values: Vec<f32>,
}

/// Counts and gathers a range of values; `None` when too many are inside.
fn inside(range: std::ops::Range<usize>, fill: &impl Fn(usize, &mut [f32]), low: f32, high: f32) -> Option<Inside> {
    let most = range.len() / MOST_INSIDE + CHUNK;
    let mut found = Inside { count: 0, below: 0, values: Vec::new() };
    let mut chunk = [f32::NAN; CHUNK];
    let mut between = [0f32; CHUNK];
    for first in range.clone().step_by(CHUNK) {
        let end = (first + CHUNK).min(range.end);
        fill(first, &mut chunk[..end - first]);
        chunk[end - first..].fill(f32::NAN);
        let (count, below, n) = split(&chunk, low, high, &mut between);
        found.count += u64::from(count);
        found.below += u64::from(below);
        found.values.extend_from_slice(&between[..n]);
        if found.values.len() > most {
            return None;
        }
    }
    Some(found)
}

/// How many values are numbers, how many of them lie below `low`, and how many of those between `low` and `high`, both
/// included, were put into `between`.
#[multiversion(targets("x86_64+avx2"))]
fn split(chunk: &[f32; CHUNK], low: f32, high: f32, between: &mut [f32; CHUNK]) -> (u32, u32, usize) {
    let (mut count, mut below) = (0, 0);
    for &v in chunk {
        count += u32::from(!v.is_nan());
        below += u32::from(v < low);
    }
    let mut n = 0;
    for &v in chunk {
        between[n] = v;
        n += usize::from(v >= low && v <= high);
    }
    (count, below, n)
}

/// Finite values of a plane: their number, the least and the greatest; infinities the wrong way round when there are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extremes {
    /// Number of finite values.
    pub count: usize,
    /// The least.
    pub least: f32,
    /// The greatest.
    pub greatest: f32,
}

impl Extremes {
    const NONE: Self = Self { count: 0, least: f32::INFINITY, greatest: f32::NEG_INFINITY };

    /// Those of these values and others together.
    fn with(&self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
        }
    }
}

/// The extremes of the finite values.
fn extremes(values: &[f32]) -> Extremes {
    values.par_chunks(1 << 16).map(extremes_of_chunk).reduce(|| Extremes::NONE, |a, b| a.with(&b))
}

#[multiversion(targets("x86_64+avx2"))]
fn extremes_of_chunk(values: &[f32]) -> Extremes {
    const LANES: usize = 16;
    let (mut count, mut least, mut greatest) = ([0u32; LANES], [f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let mut look = |chunk: &[f32]| {
        for (((c, l), g), &v) in count.iter_mut().zip(&mut least).zip(&mut greatest).zip(chunk) {
            let is_finite = v.is_finite();
            *c += u32::from(is_finite);
            *l = l.min(if is_finite { v } else { f32::INFINITY });
            *g = g.max(if is_finite { v } else { f32::NEG_INFINITY });
        }
    };
    let chunks = values.chunks_exact(LANES);
    look(chunks.remainder());
    chunks.for_each(look);
    Extremes {
        count: count.iter().map(|&c| c as usize).sum(),
        least: least.into_iter().fold(f32::INFINITY, f32::min),
        greatest: greatest.into_iter().fold(f32::NEG_INFINITY, f32::max),
    }
}

fn median_by_histogram(len: usize, fill: &(impl Fn(usize, &mut [f32]) + Sync)) -> Option<(u64, f64)> {
    let upper_half = histogram(len, fill, |key| Some((key >> 16) as usize));
    let count: u64 = upper_half.iter().sum();
    if count == 0 {
        return None;
    }
    let order = |rank: u64| -> f32 {
        let (high, before) = bin_of(&upper_half, rank);
        let lower_half = histogram(len, fill, |key| ((key >> 16) as usize == high).then_some((key & 0xffff) as usize));
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

fn histogram(
    len: usize,
    fill: &(impl Fn(usize, &mut [f32]) + Sync),
    bin: impl Fn(u32) -> Option<usize> + Sync,
) -> Vec<u64> {
    // Few, long pieces: each carries its own histogram of half a megabyte.
    let piece = len.div_ceil(4 * rayon::current_num_threads()).max(BINS);
    (0..len.div_ceil(piece))
        .into_par_iter()
        .map(|p| {
            let (mut counts, mut chunk) = (vec![0u64; BINS], [0f32; CHUNK]);
            let end = ((p + 1) * piece).min(len);
            for first in (p * piece..end).step_by(CHUNK) {
                let chunk = &mut chunk[..CHUNK.min(end - first)];
                fill(first, chunk);
                let bins = chunk.iter().filter(|v| !v.is_nan()).filter_map(|&v| bin(key_of(v)));
                bins.for_each(|b| counts[b] += 1);
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
            let fill = |first: usize, out: &mut [f32]| out.copy_from_slice(&values[first..first + out.len()]);
            prop_assert_eq!(median_by_histogram(values.len(), &fill), median_of(values.len(), &fill));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_bracket_changes_nothing(extra in 0usize..3000, step in 1usize..50, kind in 0usize..4, seed in any::<u64>()) {
            let len = SELECTION_LIMIT + extra;
            let mut state = seed;
            let values: Vec<f32> = (0..len)
                .map(|i| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let noise = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
                    match kind {
                        0 => noise,
                        // Rows, many equal values, and hardly any number.
                        1 => (i / 1000 % step) as f32 + 0.01 * noise,
                        2 => (noise * step as f32).round(),
                        _ => if i % 5000 == 0 { noise } else { f32::NAN },
                    }
                })
                .collect();
            let fill = |first: usize, out: &mut [f32]| {
                out.iter_mut().zip(first..).for_each(|(o, i)| *o = if i % 7 != 0 { values[i] } else { f32::NAN });
            };
            prop_assert_eq!(median_of(len, &fill), median_by_histogram(len, &fill));
            let is_used = |i: usize| values[i] > 0.1 || i.is_multiple_of(3);
            let stats = median_and_mad(&values, is_used);
            // The definition, in two steps.
            let used = |first: usize, out: &mut [f32]| {
                out.iter_mut().zip(first..).for_each(|(o, i)| *o = if is_used(i) { values[i] } else { f32::NAN });
            };
            let (count, median) = median_by_histogram(len, &used).unwrap();
            let (_, mad) = median_by_histogram(len, &|first: usize, out: &mut [f32]| {
                used(first, out);
                to_deviations(out, median);
            }).unwrap();
            prop_assert_eq!(stats, Some(MedianMad { count, median, mad }));
            let both = statistics_where(&values, |v| v > 0.1);
            prop_assert_eq!(both, median_and_mad(&values, |i| values[i] > 0.1).map(|stats| (stats, extremes(&values))));
            if kind == 0 {
                prop_assert!(in_one_pass(len, &used, None).is_some(), "noise needs one pass");
            }
        }
    }

    #[test]
    fn extremes_are_those_of_finite_values() {
        let mut values: Vec<f32> = (0..70_001).map(|i| ((i * 7919) % 1000) as f32 - 300.0).collect();
        values[3] = f32::NAN;
        values[60_000] = f32::INFINITY;
        values[69_999] = f32::NEG_INFINITY;
        assert_eq!(extremes(&values), Extremes { count: 69_998, least: -300.0, greatest: 699.0 });
        assert_eq!(extremes(&[f32::NAN]).count, 0);
    }

    #[test]
    fn negative_and_positive_floats_keep_their_order() {
        let values = [-3.5f32, -1e-30, -0.0, 0.0, 1e-30, 2.0];
        assert!(values.windows(2).all(|w| key_of(w[0]) < key_of(w[1])));
        assert!(values.iter().all(|&v| value_of(key_of(v)).to_bits() == v.to_bits()));
    }
}
