//! Numbers as people read them, and the ticks of axes.

/// Prefixes from 1e-12 to 1e12.
const PREFIXES: [(&str, i32); 9] =
    [("p", -12), ("n", -9), ("µ", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12)];

/// A unit with a prefix that suits a whole column or axis of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    /// With its prefix, e.g. `mJy/beam`.
    pub(crate) name: String,
    /// Value in `name` = value / factor.
    pub(crate) factor: f64,
}

impl Unit {
    /// `base` (e.g. `Jy/beam`) with the prefix that puts `largest` between 1 and 1000.
    pub(crate) fn for_values(base: &str, largest: f64) -> Self {
        // Plain numbers, percentages and areas are read as they are.
        let prefixed = !matches!(base, "" | "%" | "arcsec²") && largest.is_finite() && largest != 0.0;
        let power = if prefixed { ((largest.abs().log10() / 3.0 + 1e-9).floor() as i32 * 3).clamp(-12, 12) } else { 0 };
        let (prefix, power) = PREFIXES[((power + 12) / 3) as usize];
        Self { name: format!("{prefix}{base}"), factor: 10f64.powi(power) }
    }

    /// The number alone, in this unit.
    pub(crate) fn number(&self, value: f64) -> String {
        significant(value / self.factor, 4)
    }
}

/// `value` with its unit, e.g. `0.93 mJy/beam` as `930 µJy/beam`.
pub(crate) fn with_unit(value: f64, base: &str) -> String {
    let unit = Unit::for_values(base, value);
    format!("{}\u{a0}{}", significant(value / unit.factor, 3), unit.name).trim_end().to_string()
}

/// `digits` significant digits, never more decimals than needed to show them; large numbers in full.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let power = value.abs().log10().floor() as i32;
    if power < -6 {
        return format!("{:.*e}", (digits - 1) as usize, value).replace('-', "−");
    }
    let decimals = (digits - 1 - power).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

/// Whole numbers with thin spaces between thousands.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(c);
    }
    text
}

/// `0.0123` as `1.2 %`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{} %", significant(fraction * 100.0, 2))
}

/// Seconds as `45 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

/// A point in time, e.g. `2026-03-01 22:00:00 UTC`; empty for none.
pub(crate) fn time(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(String::new, |t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A brightness in Jy/beam with the prefix that suits it.
pub(crate) fn flux(value: f64) -> String {
    with_unit(value, "Jy/beam")
}

/// About `count` round values between `low` and `high`, both included when round.
pub(crate) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return if low.is_finite() { vec![low] } else { Vec::new() };
    }
    let raw = span / count.max(1) as f64;
    let magnitude = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * magnitude)
        .find(|s| *s >= raw * 0.999)
        .unwrap_or(10.0 * magnitude);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Powers of ten (and 2 and 5 of them when there are few) between `low` and `high`, both positive.
pub(crate) fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let factors: &[f64] = match (high / low).log10() {
        ..2.0 => &[1.0, 2.0, 5.0],
        ..3.5 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let every = ((last - first) / 6 + 1) as usize;
    (first..=last)
        .step_by(every)
        .flat_map(|p| factors.iter().map(move |f| f * 10f64.powi(p)))
        .filter(|v| (low * 0.999..=high * 1.001).contains(v))
        .collect()
}

/// A coordinate inside an SVG: at most two decimals, no trailing zeros.
pub(crate) fn coordinate(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text made safe for HTML and SVG.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// The text with a capital at its start.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.00093, "930\u{a0}µJy/beam")]
    #[case(1.5, "1.5\u{a0}Jy/beam")]
    #[case(-0.0421, "−42.1\u{a0}mJy/beam")]
    #[case(0.0, "0\u{a0}Jy/beam")]
    #[case(1234.0, "1.23\u{a0}kJy/beam")]
    fn units(#[case] value: f64, #[case] text: &str) {
        assert_eq!(with_unit(value, "Jy/beam"), text);
    }

    #[rstest]
    #[case(1234.56, 3, "1235")]
    #[case(0.012345, 3, "0.0123")]
    #[case(2.0, 4, "2")]
    #[case(999.96, 4, "1000")]
    #[case(1.5e-9, 3, "1.50e−9")]
    fn shortened(#[case] value: f64, #[case] digits: i32, #[case] text: &str) {
        assert_eq!(significant(value, digits), text);
    }

    #[test]
    fn thousands_and_times() {
        assert_eq!(grouped(1234), "1234");
        assert_eq!(grouped(1_638_400), "1\u{202f}638\u{202f}400");
        assert_eq!(duration(3.25), "3.2 s");
        assert_eq!(duration(200.0), "3 min 20 s");
        assert_eq!(duration(7500.0), "2 h 05 min");
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        let few = ticks(-0.37, 1.22, 4);
        assert_eq!(few, [0.0, 0.5, 1.0]);
        assert_eq!(ticks(1.0, 1.0, 4), [1.0]);
        assert!(ticks(f64::NAN, 1.0, 4).is_empty());
        assert_eq!(log_ticks(0.5, 30.0), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0].to_vec());
    }

    #[test]
    fn text_is_made_safe() {
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }
}
