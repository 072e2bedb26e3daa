//! Gentler settings, as the acceptance rules ask for them.

use crate::calibrator::options::{ApplyMode, CalMode, Solint};
use crate::campaign::plan::RoundPlan;
use crate::campaign::rules::acceptance::Relaxation;

/// Relaxes a round's settings by one change of the acceptance rules.
pub(super) fn relax(plan: &mut RoundPlan, change: &Relaxation, integration_s: f64) {
    match change {
        Relaxation::LongerInterval { factor } => {
            if let Some(c) = &mut plan.calibration {
                c.gaincal.solint = match c.gaincal.interval() {
                    Some(Solint::Seconds(seconds)) => format!("{}s", seconds * factor),
                    Some(Solint::Integration) => format!("{}s", integration_s * factor),
                    _ => c.gaincal.solint.clone(),
                };
            }
        }
        Relaxation::PhaseOnly => {
            if let Some(c) = &mut plan.calibration {
                c.gaincal.calmode = CalMode::P;
            }
        }
        Relaxation::CalOnly => {
            if let Some(c) = &mut plan.calibration {
                c.gaincal.applymode = ApplyMode::Calonly;
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
