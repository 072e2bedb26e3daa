//! Options of gaincal that QuartiCal has nothing like, and options of QuartiCal that are the adapter's.

use crate::calibrator::options::{AUTO, ApplyMode, GainType, GaincalOptions};
use crate::options::OptionError;

/// Options that this adapter must decide itself.
const OURS: [&str; 4] = ["output.", "input_ms.path", "input_ms.data_column", "solver.propagate_flags"];

/// CASA's `>200m`, `<5km`, `200~5000m` in metres, 0 for an open end; `None`: no selection. See [`check`].
pub(super) fn uv_range(text: &str) -> Option<(f64, f64)> {
    let text = text.trim();
    let length = |text: &str| -> Option<f64> {
        let text = text.trim();
        let (number, factor) = match text.strip_suffix("km") {
            Some(number) => (number, 1000.0),
            None => (text.strip_suffix('m').unwrap_or(text), 1.0),
        };
        number.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0).map(|v| v * factor)
    };
    if let Some(low) = text.strip_prefix('>') {
        return Some((length(low)?, 0.0));
    }
    if let Some(high) = text.strip_prefix('<') {
        return Some((0.0, length(high)?));
    }
    let (low, high) = text.split_once('~')?;
    // The unit stands behind the second number.
    let unit = if high.trim().ends_with("km") { "km" } else { "m" };
    let low = if low.trim().ends_with('m') { length(low)? } else { length(&format!("{}{unit}", low.trim()))? };
    Some((low, length(high)?))
}

/// Sections of QuartiCal's own options: no term can have such a name.
const SECTIONS: [&str; 6] = ["input_ms", "input_model", "solver", "output", "dask", "mad_flags"];

/// The solves of a chain are the terms of one call, which share its selections.
pub(super) fn check_chain(chain: &[GaincalOptions], terms: &[String]) -> Result<(), OptionError> {
    chain.iter().try_for_each(check)?;
    let wrong = |key: &str, found: &str, expected| Err(OptionError::new(format!("gaincal.{key}"), found, expected));
    let Some((first, others)) = chain.split_first().filter(|(_, others)| !others.is_empty()) else { return Ok(()) };
    let selections = |o: &GaincalOptions| {
        let uvrange = if o.selectdata { o.uvrange.clone() } else { String::new() };
        [("uvrange", uvrange), ("field", o.field.clone()), ("refant", o.refant.clone())]
    };
    let expected = "the same in all elements of the chain with calibrator: quartical, which solves them in one call";
    for other in others {
        let pairs = selections(first).into_iter().zip(selections(other));
        if let Some(((key, _), (_, found))) = pairs.into_iter().find(|(a, b)| a != b) {
            return wrong(key, &found, expected);
        }
    }
    if let Some(name) = terms.iter().find(|name| SECTIONS.contains(&name.replace('-', "_").as_str())) {
        return wrong("term", name, "another name: QuartiCal's own options begin with this one");
    }
    match chain.iter().find_map(|o| o.quartical.keys().find(|key| *key == "solver.terms")) {
        Some(key) => wrong("quartical", key, "no list of terms in a chain: its elements are the terms"),
        None => Ok(()),
    }
}

/// Options of gaincal that QuartiCal has nothing like, and options of QuartiCal that are ours to set.
fn check(o: &GaincalOptions) -> Result<(), OptionError> {
    let wrong = |key: &str, found: &str, expected| Err(OptionError::new(format!("gaincal.{key}"), found, expected));
    let chosen_later = o.uvrange.is_empty() || o.uvrange == AUTO;
    if o.selectdata && !chosen_later && uv_range(&o.uvrange).is_none() {
        return wrong(
            "uvrange",
            &o.uvrange,
            "one range in m or km with calibrator: quartical: `>200m`, `<5km` or `200~5000m`",
        );
    }
    let selections = [("spw", &o.spw), ("antenna", &o.antenna), ("timerange", &o.timerange), ("scan", &o.scan)];
    for (key, value) in selections {
        if !value.is_empty() && (key == "spw" || o.selectdata) {
            return wrong(key, value, "an empty text with calibrator: quartical, which has no such selection");
        }
    }
    if !o.field.split(',').all(|f| f.is_empty() || f.trim().parse::<usize>().is_ok()) {
        return wrong("field", &o.field, "numbers of fields, joined by commas, with calibrator: quartical");
    }
    if o.combine.split(',').any(|word| ["spw", "field"].contains(&word.trim())) {
        return wrong(
            "combine",
            &o.combine,
            "`scan` or an empty text with calibrator: quartical, which solves each window and each field by itself",
        );
    }
    if o.gaintype == GainType::Gspline {
        return wrong("gaintype", "GSPLINE", "`G`, `T`, `K` or `B` with calibrator: quartical");
    }
    if o.reuse {
        return wrong("reuse", "true", "false with calibrator: quartical, which solves all terms in one call");
    }
    if !o.solmode.is_empty() {
        return wrong(
            "solmode",
            &o.solmode,
            "an empty text with calibrator: quartical, which has `quartical: {solver.robust: true}` instead",
        );
    }
    if o.applymode != ApplyMode::Calonly {
        return wrong(
            "applymode",
            "calflag",
            "`calonly` with calibrator: quartical, as QuartiCal bridges flagged solutions",
        );
    }
    if o.calwt {
        return wrong("calwt", "true", "false with calibrator: quartical, which leaves weights alone");
    }
    if let Some(key) = o.quartical.keys().find(|key| OURS.iter().any(|ours| key.starts_with(ours))) {
        return wrong("quartical", key, "an option that cleanloop does not set itself; leave it out");
    }
    match o.quartical.keys().find(|key| !key.contains('.')) {
        Some(key) => wrong("quartical", key, "the full name of an option, e.g. `G.freq_interval`"),
        None => Ok(()),
    }
}
