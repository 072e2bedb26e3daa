//! Gentler settings, as the acceptance rules ask for them.

use crate::calibrator::options::{ApplyMode, CalMode, GaincalOptions, Solint, TermKind};
use crate::calibrator::term_names;
use crate::campaign::plan::RoundPlan;
use crate::campaign::rules::acceptance::Relaxation;

/// Relaxes a round's settings by one change of the acceptance rules.
pub(super) fn relax(plan: &mut RoundPlan, change: &Relaxation, integration_s: f64) {
    let chain = plan.calibration.as_mut().map(|calibration| &mut calibration.chain);
    match change {
        Relaxation::LongerInterval { factor } => {
            for element in chain.into_iter().flatten() {
                element.solint = match element.interval() {
                    Some(Solint::Seconds(seconds)) => format!("{}s", seconds * factor),
                    Some(Solint::Integration) => format!("{}s", integration_s * factor),
                    _ => element.solint.clone(),
                };
            }
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

/// Leaves out what changes amplitudes: on top of phases such terms go, else their phases alone are solved for.
fn phases_only(chain: &mut Vec<GaincalOptions>) {
    // Terms keep their names, by which others may be reused.
    for (element, name) in term_names(chain).into_iter().zip(chain.iter_mut()).map(|(name, element)| (element, name)) {
        if !element.kind().amplitudes() {
            element.term = name;
        }
    }
    let has_phases = chain.iter().any(|element| element.kind() == TermKind::Phase);
    if has_phases {
        chain.retain(|element| !element.kind().amplitudes());
        return;
    }
    chain.retain(|element| !matches!(element.kind(), TermKind::Amplitude | TermKind::Bandpass));
    for element in chain.iter_mut().filter(|element| element.kind() == TermKind::Gains) {
        (element.calmode, element.reuse) = (CalMode::P, false);
    }
}
