//! Facts about the data, for the report.

use crate::campaign::steps::PreparedSet;
use crate::measurement_set::{MsSummary, TheoreticalNoise};
use indexmap::IndexMap;

/// Facts about a target; those that differ from one measurement set to the next are told of each.
pub(super) fn of_target(sets: &[PreparedSet]) -> IndexMap<String, String> {
    if let [only] = sets {
        return of_set(&only.summary);
    }
    let each: Vec<(&str, IndexMap<String, String>)> =
        sets.iter().map(|set| (set.name.as_str(), of_set(&set.summary))).collect();
    let labels = each.iter().flat_map(|(_, facts)| facts.keys());
    let mut all: IndexMap<String, String> = labels.map(|label| (label.clone(), String::new())).collect();
    for (label, words) in &mut all {
        let told: Vec<(&str, &str)> =
            each.iter().map(|(name, facts)| (*name, facts.get(label).map_or("unknown", String::as_str))).collect();
        *words = if told.iter().all(|(_, value)| *value == told[0].1) {
            told[0].1.to_owned()
        } else {
            told.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
        };
    }
    all
}

/// Weights are said to be on different scales from this ratio of the scatter of two measurement sets over what their
/// weights say: of two equally noisy ones, the image then has 17 % more noise than it could have.
const OTHER_SCALE: f64 = 2.0;

/// A warning where the weights of measurement sets that are imaged together are not on one scale.
pub(super) fn weight_scales(sets: &[PreparedSet]) -> Option<String> {
    let scatter = |set: &PreparedSet| set.summary.theoretical_noise?.scatter.filter(|s| s.is_finite() && *s > 0.0);
    let mut known: Vec<(&str, f64)> = sets.iter().filter_map(|set| Some((set.name.as_str(), scatter(set)?))).collect();
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    let ((least, low), (most, high)) = (known.first()?, known.last()?);
    (high / low > OTHER_SCALE).then(|| {
        format!(
            "the weights of {least} and {most} are not on one scale: their visibilities scatter {low:.2} and {high:.2} \
             times as much as the weights say, so {most} counts too much in the image. Set the weights from the scatter \
             first (CASA's statwt)"
        )
    })
}

/// Facts about a measurement set for the report, label to text.
fn of_set(s: &MsSummary) -> IndexMap<String, String> {
    if s.spectral_windows.is_empty() {
        return IndexMap::new();
    }
    let frequencies: Vec<f64> = s.spectral_windows.iter().flat_map(|w| w.frequencies_hz.iter().copied()).collect();
    let low = frequencies.iter().copied().fold(f64::INFINITY, f64::min) / 1e6;
    let high = frequencies.iter().copied().fold(0.0, f64::max) / 1e6;
    let observed = s.antennas_with_data();
    let fields: Vec<&str> = s.fields.iter().filter(|f| f.observed).map(|f| f.name.as_str()).collect();
    let pairs = [
        ("telescope", s.telescope.clone()),
        ("field", fields.join(", ")),
        ("antennas", format!("{observed}")),
        ("baselines", format!("{:.0} m to {:.0} m", s.shortest_baseline_m, s.longest_baseline_m)),
        ("frequencies", format!("{low:.3} to {high:.3} MHz, {} channels", frequencies.len())),
        ("time", format!("{:.0} s in {} integrations of {:.1} s", s.duration_s(), s.integrations, s.integration_s)),
        ("rows", format!("{}", s.rows)),
        ("unflagged", format!("{:.1} %", 100.0 * s.unflagged_fraction)),
    ];
    let noise = s.theoretical_noise.as_ref().and_then(noise_words).map(|words| ("theoretical noise", words));
    pairs.into_iter().chain(noise).map(|(k, v)| (k.to_string(), v)).collect()
}

/// The theoretical noise and where it comes from.
fn noise_words(noise: &TheoreticalNoise) -> Option<String> {
    let origin = if noise.is_measured() {
        "the weights are not in Jy, so it comes from the scatter of the visibilities"
    } else {
        "from the weights, which fit the scatter of the visibilities"
    };
    let (jy, prefix) = match noise.jy()? {
        jy if jy >= 1.0 => (jy, ""),
        jy if jy >= 1e-3 => (jy * 1e3, "m"),
        jy => (jy * 1e6, "µ"),
    };
    Some(format!("{jy:.3} {prefix}Jy/beam with natural weighting ({origin})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement_set::DataPart;

    fn set(name: &str, scatter: Option<f64>, rows: u64) -> PreparedSet {
        let theoretical_noise = Some(TheoreticalNoise { natural_jy: Some(1e-3), scatter });
        let summary = MsSummary { theoretical_noise, rows, ..MsSummary::default() };
        PreparedSet { name: name.into(), path: name.into(), summary, part: DataPart::default() }
    }

    #[test]
    fn weights_on_different_scales_are_said() {
        assert_eq!(weight_scales(&[set("a", Some(1.2), 1), set("b", Some(0.7), 1), set("c", None, 1)]), None);
        let said = weight_scales(&[set("a", Some(12.0), 1), set("b", Some(1.0), 1)]).expect("a warning");
        assert!(
            said.starts_with("the weights of b and a are not on one scale") && said.contains("1.00 and 12.00"),
            "{said}"
        );
    }
}
