//! Numbers and angles on the sky, as people and programs write them.

/// A finite number.
pub(crate) fn number(word: &str) -> Result<f64, String> {
    word.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| format!("'{word}' is not a number"))
}

/// An angle on the sky in degrees: plain degrees, with a unit, or sexagesimal (in hours if `hours`, unless the
/// writing says otherwise).
pub(crate) fn coordinate(word: &str, hours: bool) -> Result<f64, String> {
    let bad = || format!("'{word}' is not a coordinate; degrees, 12:34:56.7, 12h34m56.7s or -12d34m56s were expected");
    let lower = word.to_lowercase();
    let unsigned = lower.trim_start_matches(['+', '-']);
    let sign = if lower.starts_with('-') { -1.0 } else { 1.0 };
    for (suffix, factor) in [("deg", 1.0), ("rad", 180.0 / std::f64::consts::PI)] {
        if let Some(value) = lower.strip_suffix(suffix) {
            return number(value).map(|v| v * factor).map_err(|_| bad());
        }
    }
    let (parts, factor): (Vec<&str>, f64) = if unsigned.contains(':') {
        (unsigned.split(':').collect(), if hours { 15.0 } else { 1.0 })
    } else if unsigned.contains('h') {
        (unsigned.trim_end_matches('s').split(['h', 'm']).filter(|p| !p.is_empty()).collect(), 15.0)
    } else if unsigned.contains('d') {
        (unsigned.trim_end_matches('s').split(['d', 'm']).filter(|p| !p.is_empty()).collect(), 1.0)
    } else if let Some(value) = unsigned.strip_suffix('r') {
        return number(value).map(|v| sign * v.to_degrees()).map_err(|_| bad());
    } else if unsigned.matches('.').count() >= 2 {
        // CASA writes declinations as 12.34.56.7.
        (unsigned.splitn(3, '.').collect(), 1.0)
    } else {
        return number(&lower).map_err(|_| bad());
    };
    if parts.is_empty() || parts.len() > 3 {
        return Err(bad());
    }
    let mut value = 0.0;
    for (part, unit) in parts.iter().zip([1.0, 60.0, 3600.0]) {
        let part = number(part).map_err(|_| bad())?;
        if part < 0.0 || (unit > 1.0 && part >= 60.0 + 1e-9) {
            return Err(bad());
        }
        value += part / unit;
    }
    Ok(sign * factor * value)
}
