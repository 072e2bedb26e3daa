//! Ticks of sky coordinates along the edges of a map.

/// A tick: place along the edge, in pixels, and its label.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// 0-based pixel coordinate along the edge.
    pub(crate) at: f64,
    /// E.g. `12h00m30s` or `+40°05′`.
    pub(crate) label: String,
}

/// Points at which an edge is sampled; coordinates between them are interpolated.
const SAMPLES: usize = 65;
/// Steps of right ascension, seconds of time.
const TIME_STEPS: [f64; 22] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1., 2., 5., 10., 15., 30., 60., 120., 300., 600., 900., 1800., 3600., 7200.,
    10800., 21600.,
];
/// Steps of declination, seconds of arc.
const ARC_STEPS: [f64; 22] = [
    0.1, 0.2, 0.5, 1., 2., 5., 10., 15., 30., 60., 120., 300., 600., 900., 1800., 3600., 7200., 18000., 36000., 54000.,
    108_000., 162_000.,
];
const SECONDS_PER_DEG_TIME: f64 = 240.0;
const SECONDS_PER_DEG_ARC: f64 = 3600.0;

/// Right ascension along an edge: `ra_deg` gives it at a pixel coordinate from `first` to `last`; about `count` ticks.
pub(crate) fn right_ascension(first: f64, last: f64, count: usize, ra_deg: impl Fn(f64) -> Option<f64>) -> Vec<Tick> {
    let Some((places, mut values)) = sample(first, last, ra_deg) else { return Vec::new() };
    // Across 0h the values jump by 360 degrees: unroll.
    for i in 1..values.len() {
        values[i] -= ((values[i] - values[i - 1]) / 360.0).round() * 360.0;
    }
    at_round_values(&places, &values, count, SECONDS_PER_DEG_TIME, &TIME_STEPS, time_label)
}

/// Declination along an edge, as [`right_ascension`].
pub(crate) fn declination(first: f64, last: f64, count: usize, dec_deg: impl Fn(f64) -> Option<f64>) -> Vec<Tick> {
    let Some((places, values)) = sample(first, last, dec_deg) else { return Vec::new() };
    at_round_values(&places, &values, count, SECONDS_PER_DEG_ARC, &ARC_STEPS, arc_label)
}

fn sample(first: f64, last: f64, value: impl Fn(f64) -> Option<f64>) -> Option<(Vec<f64>, Vec<f64>)> {
    let places: Vec<f64> = (0..SAMPLES).map(|i| first + (last - first) * i as f64 / (SAMPLES - 1) as f64).collect();
    let values = places.iter().map(|p| value(*p).filter(|v| v.is_finite())).collect::<Option<Vec<_>>>()?;
    Some((places, values))
}

fn at_round_values(
    places: &[f64],
    values: &[f64],
    count: usize,
    per_degree: f64,
    steps: &[f64],
    label: fn(f64, f64) -> String,
) -> Vec<Tick> {
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let span = (high - low) * per_degree;
    let raw = span / count.max(1) as f64;
    let step = steps.iter().copied().find(|s| *s >= raw).unwrap_or(steps[steps.len() - 1]);
    let mut ticks: Vec<Tick> = Vec::new();
    let mut n = (low * per_degree / step).ceil() as i64;
    while (n as f64) * step <= high * per_degree && ticks.len() < 50 {
        let value = n as f64 * step / per_degree;
        for i in 1..values.len() {
            let (a, b) = (values[i - 1], values[i]);
            if (a - value) * (b - value) <= 0.0 && a != b {
                let at = places[i - 1] + (places[i] - places[i - 1]) * (value - a) / (b - a);
                ticks.push(Tick { at, label: label(n as f64 * step, step) });
                break;
            }
        }
        n += 1;
    }
    ticks
}

/// Seconds split into (whole big units, minutes, seconds) with `decimals` decimals of the seconds, carried correctly.
fn split(seconds: f64, decimals: usize) -> (u64, u64, String) {
    let scale = 10f64.powi(decimals as i32);
    let units = (seconds * scale).round() as u64;
    let per_minute = 60 * scale as u64;
    let (minutes, rest) = (units / per_minute, units % per_minute);
    let width = if decimals > 0 { 3 + decimals } else { 2 };
    (minutes / 60, minutes % 60, format!("{:0width$.decimals$}", rest as f64 / scale))
}

fn decimals(step: f64) -> usize {
    if step >= 1.0 { 0 } else { (-step.log10()).ceil() as usize }
}

fn time_label(seconds: f64, step: f64) -> String {
    let (h, m, s) = split(seconds.rem_euclid(86400.0), decimals(step));
    let h = h % 24;
    if step >= 3600.0 {
        format!("{h}ʰ")
    } else if step >= 60.0 {
        format!("{h:02}ʰ{m:02}ᵐ")
    } else {
        format!("{h:02}ʰ{m:02}ᵐ{s}ˢ")
    }
}

fn arc_label(seconds: f64, step: f64) -> String {
    let sign = if seconds < 0.0 { '−' } else { '+' };
    let (d, m, s) = split(seconds.abs(), decimals(step));
    if step >= 3600.0 {
        format!("{sign}{d:02}°")
    } else if step >= 60.0 {
        format!("{sign}{d:02}°{m:02}′")
    } else {
        format!("{sign}{d:02}°{m:02}′{s}″")
    }
}

/// A position as text, to a tenth of a second of arc.
pub(crate) fn position(ra_deg: f64, dec_deg: f64) -> String {
    let ra = time_label(ra_deg * SECONDS_PER_DEG_TIME, 0.01);
    format!("{ra} {}", arc_label(dec_deg * SECONDS_PER_DEG_ARC, 0.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_fall_on_round_values() {
        // 0.1 degree across, RA falling with x, over 0h.
        let ticks = right_ascension(0.0, 100.0, 4, |x| Some((0.05 - x * 0.001).rem_euclid(360.0)));
        let labels: Vec<_> = ticks.iter().map(|t| t.label.as_str()).collect();
        assert_eq!(labels, ["23ʰ59ᵐ50ˢ", "00ʰ00ᵐ00ˢ", "00ʰ00ᵐ10ˢ"]);
        assert!((ticks[1].at - 50.0).abs() < 1e-6, "{ticks:?}");
        let ticks = declination(0.0, 100.0, 4, |y| Some(-0.02 + y * 0.001));
        assert_eq!(ticks.iter().map(|t| t.label.as_str()).collect::<Vec<_>>(), ["+00°00′", "+00°02′", "+00°04′"]);
        assert!((ticks[0].at - 20.0).abs() < 1e-6);
    }

    #[test]
    fn labels_carry_and_keep_their_sign() {
        assert_eq!(time_label(59.999, 1.0), "00ʰ01ᵐ00ˢ");
        assert_eq!(time_label(-15.0, 15.0), "23ʰ59ᵐ45ˢ");
        assert_eq!(arc_label(-30.0, 30.0), "−00°00′30″");
        assert_eq!(arc_label(144_000.5, 0.5), "+40°00′00.5″");
        assert_eq!(position(180.0, -40.0), "12ʰ00ᵐ00.00ˢ −40°00′00.0″");
    }

    #[test]
    fn an_edge_without_coordinates_has_no_ticks() {
        assert!(right_ascension(0.0, 10.0, 4, |x| (x < 5.0).then_some(x)).is_empty());
    }
}
