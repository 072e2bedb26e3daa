//! What the measurement sets of a target are as observations: what the schedule chooses from.

use super::Programs;
use crate::calibrator::options::{GainType, TermKind};
use crate::campaign::file::CalibratorKind;
use crate::campaign::plan::CalibrationPlan;
use crate::campaign::rules::schedule::{Observation, SetSignal, best_over_mean};
use crate::measurement_set::{Antenna, MsSummary};

impl Programs<'_> {
    /// The facts about one of its measurement sets; `None` before they are prepared.
    pub(super) fn summary_of(&self, member: usize) -> Option<&MsSummary> {
        self.sets.get(member).map(|set| &set.summary)
    }

    pub(super) fn summaries(&self) -> impl Iterator<Item = &MsSummary> {
        self.sets.iter().map(|set| &set.summary)
    }

    /// Integration time, seconds; of several measurement sets the longest: no interval can be shorter than that.
    pub(super) fn integration_s(&self) -> f64 {
        self.summaries().map(|summary| summary.integration_s).fold(0.0, f64::max)
    }

    /// The same of each of several measurement sets; none where the noise of one is not known.
    pub(super) fn observations(&self, all: &Observation) -> Vec<SetSignal> {
        if !self.target.is_joint() {
            return Vec::new();
        }
        let of_set = |summary: &MsSummary| {
            let observation = Observation {
                antennas: used_antennas(summary),
                integration_s: all.integration_s,
                scans_s: scans_s(summary),
                ..all.clone()
            };
            Some(SetSignal { observation, noise: summary.theoretical_noise?.jy()? })
        };
        self.summaries().map(of_set).collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// What the schedule may choose from, with the element `at` of the chain left to it. Several measurement sets are one
    /// observation with the scans of all of them.
    pub(super) fn observation(&self, calibration: &CalibrationPlan, at: usize) -> Observation {
        let template = &calibration.chain[at];
        let chains = match calibration.calibrator {
            CalibratorKind::Command => self.executables.calibrator.iter().any(|word| word.contains("{gaincal}")),
            _ => true,
        };
        let apart = template.gaintype == GainType::G;
        let windows_apart = !template.combine.contains("spw");
        let most = |of: &dyn Fn(&MsSummary) -> usize| self.summaries().map(of).max().unwrap_or(0);
        let channels = |s: &MsSummary| s.spectral_windows.iter().map(|w| w.frequencies_hz.len()).max().unwrap_or(0);
        let all = Observation {
            antennas: self.antennas(),
            integration_s: self.integration_s(),
            scans_s: self.summaries().flat_map(scans_s).collect(),
            polarisations: if apart { most(&parallel_hands).max(1) } else { 1 },
            windows: if windows_apart { most(&|s| s.spectral_windows.len()).max(1) } else { 1 },
            // QuartiCal solves each window by itself; ranges of channels are solved by themselves anyway.
            windows_combine: calibration.calibrator == CalibratorKind::Casa && template.nspw <= 1,
            channels: most(&channels) / template.nspw.max(1),
            chains,
            best_over_mean: 1.0,
            bandpass: calibration.calibrator == CalibratorKind::Casa,
            delays: chains && calibration.chain.iter().all(|o| o.kind() != TermKind::Delay),
        };
        Observation { best_over_mean: best_over_mean(&self.observations(&all)), ..all }
    }

    /// Antennas with unflagged data; the median of several measurement sets.
    fn antennas(&self) -> usize {
        let mut counts: Vec<usize> = self.summaries().map(used_antennas).collect();
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied().unwrap_or(0)
    }
}

/// Antennas with unflagged data.
fn used_antennas(summary: &MsSummary) -> usize {
    let used = |antenna: &&Antenna| antenna.has_data && antenna.unflagged_fraction > 0.0;
    summary.antennas.iter().filter(used).count()
}

/// Length of each scan, seconds: time on source, evenly divided, as the summary does not list the scans one by one.
fn scans_s(summary: &MsSummary) -> Vec<f64> {
    let scans = summary.scans.max(1) as usize;
    vec![summary.integrations as f64 * summary.integration_s / scans as f64; scans]
}

/// Number of parallel hands among casacore's correlation types (5 RR, 8 LL, 9 XX, 12 YY).
fn parallel_hands(summary: &MsSummary) -> usize {
    summary.correlation_types.iter().filter(|t| [5, 8, 9, 12].contains(*t)).count()
}
