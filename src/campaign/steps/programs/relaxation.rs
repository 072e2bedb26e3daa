//! Gentler settings, as the acceptance rules ask for them.

use crate::calibrator::facets::options::FacetOptions;
use crate::calibrator::options::{ApplyMode, CalMode, GainType, GaincalOptions, Solint, TermKind};
use crate::calibrator::term_names;
use crate::campaign::plan::RoundPlan;
use crate::campaign::rules::acceptance::Relaxation;

/// Relaxes a round's settings by one change of the acceptance rules.
pub(super) fn relax(plan: &mut RoundPlan, change: &Relaxation, integration_s: f64) {
    if let Some(facets) = &mut plan.facets {
        relax_facets(facets, change, integration_s);
    }
    let chain = plan.calibration.as_mut().map(|calibration| &mut calibration.chain);
    match change {
        Relaxation::LongerInterval { factor } => {
            chain.into_iter().flatten().for_each(|element| lengthen(element, *factor, integration_s));
        }
        Relaxation::PhaseOnly => {
            if let Some(chain) = chain {
                phases_only(chain);
            }
        }
        Relaxation::CalOnly => {
            for element in chain.into_iter().flatten() {
                element.applymode = ApplyMode::Calonly;
            }
        }
        // The schedule has chosen it already.
        Relaxation::ChooseAgain => {}
        Relaxation::ConservativeMask { factor } => {
            if let Some(m) = &mut plan.mask {
                m.recipe.flint.flood_fill_positive_seed_clip *= factor;
                m.recipe.flint.base_snr_clip *= factor;
                m.recipe.multithresh.noisethreshold *= *factor as f32;
            }
        }
    }
}

/// Relaxes solving by direction.
fn relax_facets(facets: &mut FacetOptions, change: &Relaxation, integration_s: f64) {
    match change {
        Relaxation::LongerInterval { factor } => {
            facets.solint = longer(facets.interval(), &facets.solint, *factor, integration_s);
        }
        Relaxation::PhaseOnly => facets.calmode = CalMode::P,
        _ => {}
    }
}

/// Makes a finite interval longer.
fn lengthen(element: &mut GaincalOptions, factor: f64, integration_s: f64) {
    element.solint = longer(element.interval(), &element.solint, factor, integration_s);
}

/// A finite interval as text, made longer; others as they are written.
fn longer(interval: Option<Solint>, written: &str, factor: f64, integration_s: f64) -> String {
    match interval {
        Some(Solint::Seconds(seconds)) => format!("{}s", seconds * factor),
        Some(Solint::Integration) => format!("{}s", integration_s * factor),
        _ => written.to_owned(),
    }
}

/// Leaves out what changes amplitudes: on top of phases such terms go, else their phases alone are solved for.
fn phases_only(chain: &mut Vec<GaincalOptions>) {
    // Those that stay keep their names, by which later rounds find them.
    if chain.len() > 1 {
        for (name, element) in term_names(chain).into_iter().zip(chain.iter_mut()) {
            element.term = name;
        }
    }
    if chain.iter().any(|element| element.kind() == TermKind::Phase) {
        chain.retain(|element| !element.kind().amplitudes());
        return;
    }
    let with_phases = |element: &GaincalOptions| matches!(element.kind(), TermKind::Delay | TermKind::Gains);
    if chain.iter().any(|element| element.kind() == TermKind::Gains) {
        chain.retain(with_phases);
    }
    for element in chain.iter_mut().filter(|element| element.kind().amplitudes()) {
        (element.calmode, element.reuse) = (CalMode::P, false);
        if element.gaintype == GainType::B {
            element.gaintype = GainType::G;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn relaxed(chain: Value, change: impl Fn(&mut Vec<GaincalOptions>)) -> Vec<(String, String, &'static str)> {
        let mut chain: Vec<GaincalOptions> = serde_json::from_value(chain).expect("a chain");
        change(&mut chain);
        chain.into_iter().map(|o| (o.term.clone(), o.solint.clone(), o.calmode.name())).collect()
    }

    #[test]
    fn every_finite_interval_becomes_longer() {
        let chain = json!([{"solint": "int"}, {"solint": "2min"}, {"solint": "inf"}]);
        let found = relaxed(chain, |chain| chain.iter_mut().for_each(|o| lengthen(o, 2.0, 30.0)));
        let intervals: Vec<&str> = found.iter().map(|(_, solint, _)| solint.as_str()).collect();
        assert_eq!(intervals, ["60s", "240s", "inf"]);
    }

    #[test]
    fn directions_are_relaxed_in_the_same_way() {
        let mut facets: FacetOptions = serde_json::from_value(json!({"solint": "int", "calmode": "ap"})).unwrap();
        relax_facets(&mut facets, &Relaxation::LongerInterval { factor: 2.0 }, 30.0);
        relax_facets(&mut facets, &Relaxation::PhaseOnly, 30.0);
        assert_eq!((facets.solint.as_str(), facets.calmode), ("60s", CalMode::P));
    }

    #[rstest::rstest]
    #[case::one(json!([{"calmode": "ap"}]), &[("", "p")])]
    #[case::amplitudes(json!([{"calmode": "a"}]), &[("", "p")])]
    #[case::on_top_of_phases(json!([{"gaintype": "K"}, {}, {"calmode": "ap"}]), &[("delay", "p"), ("phase", "p")])]
    #[case::on_top_of_delays(
        json!([{"gaintype": "K"}, {"calmode": "ap"}, {"gaintype": "B"}]), &[("delay", "p"), ("gains", "p")]
    )]
    fn phases_alone_are_left(#[case] chain: Value, #[case] expected: &[(&str, &str)]) {
        let found = relaxed(chain, phases_only);
        let found: Vec<(&str, &str)> = found.iter().map(|(term, _, mode)| (term.as_str(), *mode)).collect();
        assert_eq!(found, expected);
    }
}
