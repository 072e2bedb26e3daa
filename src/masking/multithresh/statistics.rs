//! Noise of a plane as CASA measures it: median and MAD, of all pixels or after Chauvenet clipping.
//!
//! Every result is exact, not an estimate: a small, evenly spaced sample only tells where to look. One pass counts
//! what lies below a narrow bracket around the wanted rank and gathers what lies in it; if the rank is not in the
//! bracket after all, the values are selected from a full copy. Counts are whole numbers and sums have a fixed order,
//! so results do not depend on threads.

use crate::kernels::bitmask::pack_word;
use multiversion::multiversion;
use statrs::function::erf::erfc;

/// CASA's factor from the MAD to the standard deviation of a Gaussian.
pub const SIGMA_PER_MAD: f64 = 1.4826;
/// CASA runs Chauvenet's criterion at most this many times.
const CHAUVENET_PASSES: usize = 6;
/// Number of values for which Chauvenet's criterion gives these z scores: where the search for others starts.
const CHAUVENET_TABLE: [(u64, f64); 14] = [
    (0, 0.5),
    (1, 1.0),
    (3, 1.5),
    (10, 2.0),
    (40, 2.5),
    (185, 3.0),
    (1_074, 3.5),
    (7_893, 4.0),
    (73_579, 4.5),
    (872_138, 5.0),
    (13_165_126, 5.5),
    (253_398_672, 6.0),
    (6_225_098_696, 6.5),
    (195_341_107_722, 7.0),
];
/// Up to this many values a full copy is cheaper than a sample and a bracket.
const SMALL: usize = 1 << 14;
/// Values in the sample that places the brackets.
const SAMPLE: usize = 1 << 13;
/// Half width of a bracket in standard deviations of the sample's rank: misses are rarer than one in 10^4.
const BRACKET_SIGMAS: f64 = 4.0;
/// Half width, in MAD-based standard deviations, of the core that Chauvenet clipping never cuts into in practice.
const CORE_SIGMAS: f64 = 2.8;
/// Pixels handled at once.
const LANES: usize = 64;

/// Median and median absolute deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaneMedianMad {
    /// The median; of an even number of values the mean of the middle two.
    pub median: f64,
    /// The median of |value - median|.
    pub mad: f64,
}

/// Those values of a list that lie in a closed interval.
#[derive(Debug, Clone, Copy)]
struct ValueRange {
    low: f32,
    high: f32,
    /// Number of the list's values in it.
    count: usize,
}

/// Median and MAD of finite values; `None` for an empty list.
pub fn median_mad(values: &[f32]) -> Option<PlaneMedianMad> {
    median_mad_within(values, ValueRange { low: f32::NEG_INFINITY, high: f32::INFINITY, count: values.len() })
}

/// Median and MAD of what Chauvenet's criterion leaves of finite values; `None` for an empty list.
///
/// ```text
/// 0 1 2 1 0 1 2 1 0 50     mean 5.8, sd 15.5, z(10) = 2.0:  50 is clipped
/// 0 1 2 1 0 1 2 1 0        nothing further:  median 1, MAD 1
/// ```
pub fn clipped_median_mad(values: &[f32]) -> Option<PlaneMedianMad> {
    median_mad_within(values, chauvenet(values)?)
}

/// The z score beyond which less than half a value of `n` Gaussian ones is expected.
pub fn chauvenet_z(n: u64) -> f64 {
    let at_or_above = CHAUVENET_TABLE.iter().position(|&(count, _)| count >= n);
    let Some(i) = at_or_above else { return CHAUVENET_TABLE[CHAUVENET_TABLE.len() - 1].1 };
    if CHAUVENET_TABLE[i].0 == n {
        return CHAUVENET_TABLE[i].1;
    }
    let (mut low, mut high) = (CHAUVENET_TABLE[i - 1].1, CHAUVENET_TABLE[i].1);
    loop {
        let z = 0.5 * (low + high);
        let expected = (0.5 / erfc(z / std::f64::consts::SQRT_2)).floor();
        // The second test ends the search where neighbouring floats jump over `n`.
        if expected == n as f64 || z <= low || z >= high {
            return z;
        }
        if expected > n as f64 {
            high = z;
        } else {
            low = z;
        }
    }
}

/// Count, sum and sum of squares relative to a shift that keeps squares from cancelling.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: u64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, d: f64) {
        self.n += 1;
        self.sum += d;
        self.squares += d * d;
    }

    /// Mean and standard deviation (divisor n - 1).
    fn mean_and_sd(&self, shift: f64) -> (f64, f64) {
        let n = self.n as f64;
        let variance = if self.n > 1 { (self.squares - self.sum * self.sum / n) / (n - 1.0) } else { 0.0 };
        (shift + self.sum / n, variance.max(0.0).sqrt())
    }
}

/// The interval that Chauvenet's criterion leaves.
fn chauvenet(values: &[f32]) -> Option<ValueRange> {
    if values.is_empty() {
        return None;
    }
    let core = Core::of(values);
    let mut interval = ValueRange { low: f32::NEG_INFINITY, high: f32::INFINITY, count: values.len() };
    let mut moments = core.moments_within(values, interval);
    for pass in 0..CHAUVENET_PASSES {
        let (mean, sd) = moments.mean_and_sd(core.shift);
        let z = chauvenet_z(moments.n);
        let before = moments.n;
        interval.low = at_least(mean - z * sd);
        interval.high = at_most(mean + z * sd);
        moments = core.moments_within(values, interval);
        interval.count = moments.n as usize;
        if moments.n == before || pass + 1 == CHAUVENET_PASSES {
            break;
        }
    }
    Some(interval)
}

/// The bulk of the values as sums, and the few outside it one by one: each pass of the clipping then looks only at
/// the few.
struct Core {
    low: f32,
    high: f32,
    shift: f64,
    bulk: Moments,
    outside: Vec<f32>,
}

impl Core {
    fn of(values: &[f32]) -> Self {
        let mut sample = sample_of(values, f32::NEG_INFINITY, f32::INFINITY);
        let median = f64::from(nth(&mut sample, |n| n / 2));
        let mut distances: Vec<f64> = sample.iter().map(|&v| (f64::from(v) - median).abs()).collect();
        let reach = CORE_SIGMAS * SIGMA_PER_MAD * nth(&mut distances, |n| n / 2);
        let (low, high) = (at_least(median - reach), at_most(median + reach));
        let mut core = Self { low, high, shift: median, bulk: Moments::default(), outside: Vec::new() };
        core.bulk = split(values, (low, high), median, &mut core.outside);
        core
    }

    fn moments_within(&self, values: &[f32], interval: ValueRange) -> Moments {
        let mut moments = Moments::default();
        let all = if interval.low <= self.low && interval.high >= self.high {
            moments = self.bulk;
            &self.outside
        } else {
            values
        };
        let more = moments_of(all, interval, self.shift);
        moments.n += more.n;
        moments.sum += more.sum;
        moments.squares += more.squares;
        moments
    }
}

/// Moments of the values in a closed interval, relative to `shift`; the others go into `outside`.
#[multiversion(targets("x86_64+avx2"))]
fn split(values: &[f32], (low, high): (f32, f32), shift: f64, outside: &mut Vec<f32>) -> Moments {
    let inside = |v: f32| (v >= low) & (v <= high);
    let mut moments = Moments::default();
    let (mut sums, mut squares) = ([0f64; 8], [0f64; 8]);
    let chunks = values.chunks_exact(LANES);
    for &v in chunks.remainder() {
        if inside(v) { moments.add(f64::from(v) - shift) } else { outside.push(v) }
    }
    for chunk in chunks {
        let chunk: &[f32; LANES] = chunk.try_into().expect("chunks of this length");
        let mut out = pack_word(chunk, |v| !inside(v));
        moments.n += u64::from(out.count_zeros());
        for eight in chunk.chunks_exact(8) {
            for ((sum, square), &v) in sums.iter_mut().zip(&mut squares).zip(eight) {
                let d = if inside(v) { f64::from(v) - shift } else { 0.0 };
                *sum += d;
                *square += d * d;
            }
        }
        while out != 0 {
            outside.push(chunk[out.trailing_zeros() as usize]);
            out &= out - 1;
        }
    }
    moments.sum += sums.iter().sum::<f64>();
    moments.squares += squares.iter().sum::<f64>();
    moments
}

/// Moments of the values in the interval, relative to `shift`: without a branch a value, in lanes of a fixed order.
#[multiversion(targets("x86_64+avx2"))]
fn moments_of(values: &[f32], interval: ValueRange, shift: f64) -> Moments {
    let inside = |v: f32| (v >= interval.low) & (v <= interval.high);
    let (mut n, mut sums, mut squares) = ([0u32; 8], [0f64; 8], [0f64; 8]);
    let mut moments = Moments::default();
    let eights = values.chunks_exact(8);
    for &v in eights.remainder().iter().filter(|&&v| inside(v)) {
        moments.add(f64::from(v) - shift);
    }
    for eight in eights {
        for (((n, sum), square), &v) in n.iter_mut().zip(&mut sums).zip(&mut squares).zip(eight) {
            let d = if inside(v) { f64::from(v) - shift } else { 0.0 };
            *n += u32::from(inside(v));
            *sum += d;
            *square += d * d;
        }
    }
    moments.n += n.iter().map(|&n| u64::from(n)).sum::<u64>();
    moments.sum += sums.iter().sum::<f64>();
    moments.squares += squares.iter().sum::<f64>();
    moments
}

fn median_mad_within(values: &[f32], interval: ValueRange) -> Option<PlaneMedianMad> {
    if interval.count == 0 {
        return None;
    }
    let (lower, upper) = middle_values(values, interval);
    let median = 0.5 * (f64::from(lower) + f64::from(upper));
    let (lower, upper) = middle_distances(values, interval, median);
    Some(PlaneMedianMad { median, mad: 0.5 * (lower + upper) })
}

/// The two middle values (twice the same for an odd count).
fn middle_values(values: &[f32], ValueRange { low, high, count }: ValueRange) -> (f32, f32) {
    let ranks = ((count - 1) / 2, count / 2);
    if values.len() > SMALL
        && let Some((from, to)) = bracket(sample_of(values, low, high))
    {
        let mut below = 0;
        let mut candidates = Vec::with_capacity(values.len() / 16);
        scan(values, |v| (v >= low) & (v < from), |v| (v >= from) & (v <= to), |n| below += n, |v| candidates.push(v));
        if below <= ranks.0 && ranks.1 < below + candidates.len() {
            return two_of(&mut candidates, (ranks.0 - below, ranks.1 - below));
        }
    }
    let mut all: Vec<f32> = values.iter().copied().filter(|&v| v >= low && v <= high).collect();
    two_of(&mut all, ranks)
}

/// The two middle values of |value - centre|.
fn middle_distances(values: &[f32], ValueRange { low, high, count }: ValueRange, centre: f64) -> (f64, f64) {
    let ranks = ((count - 1) / 2, count / 2);
    let distance = |v: f32| (f64::from(v) - centre).abs();
    if values.len() > SMALL
        && let Some((from, to)) = bracket(sample_of(values, low, high).into_iter().map(distance).collect())
    {
        // The bracket in values, where comparing is cheapest. Rounded ends make its two sides slightly unequal;
        // the ranks are right if the distances found clear both.
        let (outer_low, inner_low) = ((centre - to) as f32, (centre - from) as f32);
        let (inner_high, outer_high) = ((centre + from) as f32, (centre + to) as f32);
        let inside = |v: f32| (v > inner_low) & (v < inner_high) & (v >= low) & (v <= high);
        let mut nearer = 0;
        let mut candidates = Vec::with_capacity(values.len() / 16);
        scan(
            values,
            inside,
            |v| (v >= outer_low) & (v <= outer_high) & (v >= low) & (v <= high) & !inside(v),
            |n| nearer += n,
            |v| candidates.push(distance(v)),
        );
        if nearer <= ranks.0 && ranks.1 < nearer + candidates.len() {
            let found = two_of(&mut candidates, (ranks.0 - nearer, ranks.1 - nearer));
            let farthest_inside = (centre - f64::from(inner_low)).max(f64::from(inner_high) - centre);
            let nearest_outside = (centre - f64::from(outer_low)).min(f64::from(outer_high) - centre);
            if (nearer == 0 || found.0 >= farthest_inside) && found.1 <= nearest_outside {
                return found;
            }
        }
    }
    let mut all: Vec<f64> = values.iter().filter(|&&v| v >= low && v <= high).map(|&v| distance(v)).collect();
    two_of(&mut all, ranks)
}

/// Counts the values of one kind and visits those of another, 64 at a time.
#[multiversion(targets("x86_64+avx2"))]
fn scan(
    values: &[f32],
    counted: impl Fn(f32) -> bool,
    wanted: impl Fn(f32) -> bool,
    mut count: impl FnMut(usize),
    mut visit: impl FnMut(f32),
) {
    let chunks = values.chunks_exact(LANES);
    for &v in chunks.remainder() {
        count(usize::from(counted(v)));
        if wanted(v) {
            visit(v);
        }
    }
    for chunk in chunks {
        let chunk: &[f32; LANES] = chunk.try_into().expect("chunks of this length");
        count(pack_word(chunk, &counted).count_ones() as usize);
        let mut bits = pack_word(chunk, &wanted);
        while bits != 0 {
            visit(chunk[bits.trailing_zeros() as usize]);
            bits &= bits - 1;
        }
    }
}

/// Evenly spaced values out of those in the interval. The odd stride avoids the columns of a plane.
fn sample_of(values: &[f32], low: f32, high: f32) -> Vec<f32> {
    let stride = (values.len() / SAMPLE) | 1;
    values.iter().step_by(stride).copied().filter(|&v| v >= low && v <= high).collect()
}

/// Values of the sample between which the median of all values lies almost surely.
fn bracket<T: Copy + PartialOrd>(mut sample: Vec<T>) -> Option<(T, T)> {
    let n = sample.len();
    let half = (BRACKET_SIGMAS * 0.5 * (n as f64).sqrt()).ceil() as usize + 1;
    if n < 4 * half {
        return None;
    }
    Some(two_of(&mut sample, (n / 2 - half, n / 2 + half)))
}

/// The values of two ranks; `ranks.0 <= ranks.1`.
fn two_of<T: Copy + PartialOrd>(values: &mut [T], ranks: (usize, usize)) -> (T, T) {
    let upper = nth(values, |_| ranks.1);
    if ranks.0 == ranks.1 {
        return (upper, upper);
    }
    (nth(&mut values[..ranks.1], |_| ranks.0), upper)
}

fn nth<T: Copy + PartialOrd>(values: &mut [T], rank: impl Fn(usize) -> usize) -> T {
    let rank = rank(values.len());
    *values.select_nth_unstable_by(rank, |a, b| a.partial_cmp(b).expect("finite values")).1
}

/// The smallest float that is not below `x`.
fn at_least(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x { near.next_up() } else { near }
}

/// The largest float that is not above `x`.
fn at_most(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow_median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        0.5 * (values[(n - 1) / 2] + values[n / 2])
    }

    fn slow(values: &[f32]) -> PlaneMedianMad {
        let median = slow_median(values.iter().map(|&v| v.into()).collect());
        PlaneMedianMad { median, mad: slow_median(values.iter().map(|&v| (f64::from(v) - median).abs()).collect()) }
    }

    fn slow_clipped(values: &[f32]) -> Vec<f32> {
        let mut sample = values.to_vec();
        for _ in 0..CHAUVENET_PASSES {
            let n = sample.len() as f64;
            let mean = sample.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let variance = sample.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let reach = chauvenet_z(sample.len() as u64) * variance.sqrt();
            let next: Vec<f32> = values.iter().copied().filter(|&v| (f64::from(v) - mean).abs() <= reach).collect();
            let same = next.len() == sample.len();
            sample = next;
            if same {
                break;
            }
        }
        sample
    }

    /// Noise of unit width by a sum of uniform numbers, some bright values, an offset.
    fn noise(n: usize, seed: u64, bright: usize, offset: f32) -> Vec<f32> {
        let mut state = seed | 1;
        let mut uniform = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let mut values: Vec<f32> = (0..n).map(|_| offset + (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect();
        for i in 0..bright.min(n) {
            values[(i * 7919) % n] += 1000.0 * uniform();
        }
        values
    }

    #[test]
    fn picture() {
        let values = [0., 1., 2., 1., 0., 1., 2., 1., 0., 50.];
        assert_eq!(clipped_median_mad(&values), Some(PlaneMedianMad { median: 1.0, mad: 1.0 }));
        assert_eq!(median_mad(&[3., 1., 2., 9.]), Some(PlaneMedianMad { median: 2.5, mad: 1.0 }));
        assert_eq!(median_mad(&[]), None);
        assert_eq!(clipped_median_mad(&[]), None);
        assert_eq!(clipped_median_mad(&[4.0]), Some(PlaneMedianMad { median: 4.0, mad: 0.0 }));
    }

    #[test]
    fn chauvenet_scores_solve_their_equation() {
        for n in [2u64, 5, 11, 100, 1_000, 16_384, 82_944, 1_048_576, 16_777_216, 268_435_456] {
            let z = chauvenet_z(n);
            assert_eq!((0.5 / erfc(z / std::f64::consts::SQRT_2)).floor(), n as f64, "n = {n}");
        }
        assert_eq!(chauvenet_z(1_074), 3.5);
    }

    #[test]
    fn large_planes_take_the_bracket_and_are_exact() {
        for (n, bright, offset) in
            [(50_000, 0, 0.0), (50_001, 300, -1.0), (100_000, 20_000, 3.0), (70_000, 69_000, 0.0)]
        {
            let values = noise(n, n as u64, bright, offset);
            assert_eq!(median_mad(&values), Some(slow(&values)));
            let clipped = slow_clipped(&values);
            assert_eq!(clipped_median_mad(&values), Some(slow(&clipped)), "{n} {bright} {offset}");
        }
    }

    #[test]
    fn constant_and_coarse_planes_are_exact() {
        let flat = vec![0f32; 40_000];
        assert_eq!(clipped_median_mad(&flat), Some(PlaneMedianMad { median: 0.0, mad: 0.0 }));
        let coarse: Vec<f32> = noise(40_000, 3, 100, 0.0).iter().map(|v| v.round()).collect();
        assert_eq!(median_mad(&coarse), Some(slow(&coarse)));
        assert_eq!(clipped_median_mad(&coarse), Some(slow(&slow_clipped(&coarse))));
        let sorted: Vec<f32> = (0..40_000).map(|i| i as f32).collect();
        assert_eq!(median_mad(&sorted), Some(slow(&sorted)));
    }

    proptest! {
        #[test]
        fn small_lists_are_exact(values in proptest::collection::vec(-1e3f32..1e3, 1..60)) {
            prop_assert_eq!(median_mad(&values), Some(slow(&values)));
        }

        #[test]
        fn small_lists_are_clipped(n in 3usize..400, seed in any::<u64>(), bright in 0usize..5) {
            let values = noise(n, seed, bright, 0.5);
            prop_assert_eq!(clipped_median_mad(&values), Some(slow(&slow_clipped(&values))));
        }
    }
}
