use super::*;
use crate::kernels::order_statistics::SIGMA_PER_MAD;
use ndarray::{Array2, array, s};
use proptest::prelude::*;

/// Sigma-clipped statistics as the specification words them.
fn clipped_by_hand(values: &[f64]) -> (f64, f64) {
    let mut kept: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if kept.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let statistics = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (mean, (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64).sqrt())
    };
    for _ in 0..10 {
        let (mean, sd) = statistics(&kept);
        let next: Vec<f64> = kept.iter().copied().filter(|&v| v > mean - 3.0 * sd && v < mean + 3.0 * sd).collect();
        if next.is_empty() || next.len() == kept.len() {
            break;
        }
        kept = next;
    }
    statistics(&kept)
}

/// BANE's maps, box by box and pixel by pixel.
fn bane_by_hand(image: &Array2<f32>, step: usize, box_size: usize) -> (Array2<f64>, Array2<f64>) {
    let (ny, nx) = image.dim();
    let positions = |n: usize| (0..n).step_by(step).chain([n]).collect::<Vec<_>>();
    let (ys, xs) = (positions(ny), positions(nx));
    let grid = |data: &Array2<f64>, pick: fn((f64, f64)) -> f64| {
        Array2::from_shape_fn((ys.len(), xs.len()), |(j, i)| {
            let range = |p: usize, n: usize| {
                let high = (n - 1).max(1).min(p + box_size / 2);
                p.saturating_sub(box_size / 2).min(high)..high
            };
            let values: Vec<f64> = data.slice(s![range(ys[j], ny), range(xs[i], nx)]).iter().copied().collect();
            pick(clipped_by_hand(&values))
        })
    };
    let interpolate = |grid: &Array2<f64>| {
        Array2::from_shape_fn((ny, nx), |(y, x)| {
            let cell = |p: usize, at: &[usize]| {
                let i = at.iter().rposition(|&g| g <= p).unwrap().min(at.len() - 2);
                (i, (p - at[i]) as f64 / (at[i + 1] - at[i]) as f64)
            };
            let ((j, v), (i, u)) = (cell(y, &ys), cell(x, &xs));
            let mix = |a: f64, b: f64, t: f64| match (a.is_nan(), b.is_nan()) {
                (true, _) => b,
                (_, true) => a,
                _ => a + (b - a) * t,
            };
            let left = mix(grid[[j, i]], grid[[j + 1, i]], v);
            mix(left, mix(grid[[j, i + 1]], grid[[j + 1, i + 1]], v), u)
        })
    };
    let data = image.mapv(f64::from);
    let background = interpolate(&grid(&data, |s| s.0));
    let rms = interpolate(&grid(&(&data - &background), |s| s.1));
    (background, rms)
}

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * scale
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn bane_is_what_boxes_one_by_one_give(
        (ny, nx) in (1usize..24, 1usize..24),
        step in 1usize..9,
        box_size in 2usize..30,
        offset in prop_oneof![Just(0f32), Just(1000f32)],
        seed in any::<u64>(),
    ) {
        // Pixels are multiples of a power of two, so that sums in any order are the same and no clip is a tie.
        let mut state = seed | 1;
        let mut image = Array2::from_shape_fn((ny, nx), |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            match state >> 59 {
                0 => f32::NAN,
                1 => offset + 300.0,
                _ => offset + ((state >> 40) & 1023) as f32 / 64.0,
            }
        });
        image[[0, 0]] = offset;
        let options = NoiseOptions { step: Some(step), box_size: Some(box_size), ..NoiseOptions::default() };
        let maps = estimate(image.view(), None, &options).unwrap();
        let (background, rms) = bane_by_hand(&image, step, box_size);
        for ((y, x), &v) in image.indexed_iter() {
            let at = [y, x];
            if v.is_nan() {
                prop_assert!(maps.background[at].is_nan() && maps.rms[at].is_nan());
            } else {
                prop_assert!(close(maps.background[at].into(), background[at] as f32 as f64, 2000.0));
                prop_assert!(close(maps.rms[at].into(), rms[at] as f32 as f64, 300.0), "{} {}", maps.rms[at], rms[at]);
            }
        }
    }
}

/// A small image of few distinct values, some without data.
fn small_image() -> impl Strategy<Value = Array2<f32>> {
    (1usize..14, 1usize..14).prop_flat_map(|(ny, nx)| {
        let pixel = prop_oneof![1 => Just(f32::NAN), 6 => (-9i8..9).prop_map(f32::from), 1 => -1e3f32..1e3];
        proptest::collection::vec(pixel, ny * nx)
            .prop_map(move |v| Array2::from_shape_vec((ny, nx), v).unwrap())
            .prop_filter("some data", |a| a.iter().any(|v| v.is_finite()))
    })
}

proptest! {
    #[test]
    fn exact_boxes_are_those_of_a_grid_on_every_pixel(image in small_image(), side in 2usize..20) {
        let options = NoiseOptions { box_size: Some(side), ..NoiseOptions::with_method(NoiseMethod::Box) };
        let exact = estimate(image.view(), None, &NoiseOptions { exact: true, ..options.clone() }).unwrap();
        let grid = estimate(image.view(), None, &NoiseOptions { step: Some(1), ..options }).unwrap();
        let same = |a: &Array2<f32>, b: &Array2<f32>| a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        prop_assert!(same(&exact.background, &grid.background), "{} {}", exact.background, grid.background);
        prop_assert!(same(&exact.rms, &grid.rms), "{} {}", exact.rms, grid.rms);
    }
}

fn worst_relative_difference(ours: &Array2<f32>, theirs: &Array2<f32>) -> f64 {
    ours.iter()
        .zip(theirs)
        .map(|(&a, &b)| match (a.is_nan(), b.is_nan()) {
            (true, true) => 0.0,
            (false, false) => f64::from(((a - b) / b).abs()),
            _ => f64::INFINITY,
        })
        .fold(0.0, f64::max)
}

#[test]
fn maps_do_not_depend_on_the_number_of_threads() {
    let image = Array2::from_shape_fn((150, 131), |(y, x)| ((y * 7919 + x * 104_729) % 1009) as f32 * 0.37);
    for method in [NoiseMethod::Bane, NoiseMethod::Box, NoiseMethod::Global, NoiseMethod::MinimumFilter] {
        let options = NoiseOptions::with_method(method);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| estimate(image.view(), None, &options).unwrap())
        };
        assert_eq!(with(1), with(3), "{method:?}");
    }
}

#[test]
fn a_constant_plane_has_its_value_and_no_noise() {
    let image = Array2::from_elem((40, 50), 0.1f32);
    for method in [NoiseMethod::Bane, NoiseMethod::Box] {
        let maps = estimate(image.view(), None, &NoiseOptions::with_method(method)).unwrap();
        assert!(maps.background.iter().all(|&v| (v - 0.1).abs() < 1e-7), "{method:?}");
        assert!(maps.rms.iter().all(|&v| v.abs() < 1e-7), "{method:?}");
    }
}

#[test]
fn global_uses_the_statistic_asked_for() {
    let image = array![[1f32, 2., 3.], [4., f32::NAN, 100.]];
    let of = |statistic, background| {
        let options = NoiseOptions { statistic, background, ..NoiseOptions::with_method(NoiseMethod::Global) };
        let NoiseModel::Constant { background, rms } = model(image.view(), None, &options).unwrap() else {
            panic!("global is constant")
        };
        (background, rms)
    };
    // Deviations from the median 3: 2, 1, 0, 1, 97; their median is 1.
    assert_eq!(of(NoiseStatistic::Mad, GlobalBackground::Median), (3.0, SIGMA_PER_MAD));
    assert_eq!(of(NoiseStatistic::Mad, GlobalBackground::Zero), (0.0, SIGMA_PER_MAD));
    let deviation = (7610f64 / 5.0).sqrt();
    assert_eq!(of(NoiseStatistic::Std, GlobalBackground::Zero), (0.0, deviation));
    assert_eq!(of(NoiseStatistic::Std, GlobalBackground::Median), (3.0, deviation));
}

#[test]
fn box_takes_the_median_and_its_deviation_in_the_part_of_the_box_inside_the_image() {
    let image = array![[1f32, 5., 2., 9., f32::NAN, 4., 7.]];
    let options = NoiseOptions { box_size: Some(3), step: Some(1), ..NoiseOptions::with_method(NoiseMethod::Box) };
    let maps = estimate(image.view(), None, &options).unwrap();
    let n = f32::NAN;
    let expected = array![[3f32, 2., 5., 5.5, n, 5.5, 5.5]];
    assert!(worst_relative_difference(&maps.background, &expected) < 1e-6, "{}", maps.background);
    let expected = array![[2f32, 1., 3., 3.5, n, 1.5, 1.5]] * SIGMA_PER_MAD as f32;
    assert!(worst_relative_difference(&maps.rms, &expected) < 1e-6, "{}", maps.rms);
}

#[test]
fn signal_is_what_the_maps_give() {
    let image =
        Array2::from_shape_fn((60, 70), |(y, x)| ((y * 31 + x * 17) % 23) as f32 - if x == 5 { f32::NAN } else { 0. });
    let options = NoiseOptions { step: Some(8), ..NoiseOptions::default() };
    let maps = estimate(image.view(), None, &options).unwrap();
    let mut signal = image.clone();
    model(image.view(), None, &options).unwrap().to_signal(signal.view_mut());
    for (at, &v) in signal.indexed_iter() {
        let expected = (image[at] - maps.background[at]) / maps.rms[at];
        assert!(v == expected || (v.is_nan() && expected.is_nan()));
    }
}

#[test]
fn options_are_checked() {
    let image = array![[1f32, 2.], [3., 4.]];
    let error = |options: &NoiseOptions| estimate(image.view(), None, options).unwrap_err();
    assert_eq!(
        error(&NoiseOptions { box_size: Some(0), ..NoiseOptions::default() }),
        NoiseError::Option(OptionError::new("noise.box", 0, "at least 2 pixels"))
    );
    assert_eq!(
        error(&NoiseOptions { step: Some(0), ..NoiseOptions::default() }),
        NoiseError::Option(OptionError::new("noise.step", 0, "at least 1 pixel"))
    );
    let empty = Array2::from_elem((3, 3), f32::NAN);
    assert_eq!(estimate(empty.view(), None, &NoiseOptions::default()), Err(NoiseError::NoData));
}
