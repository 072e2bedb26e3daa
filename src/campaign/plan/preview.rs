//! The command lines of a plan, before anything runs: what `cleanloop plan` shows.
//!
//! The programs need not be installed. Lines are those of the first attempt at each round, with the files and folders
//! that a run would use; what a run decides (a retry, an automatic interval, the mask's pixels) is not known here.

use super::containers;
use super::{MeasurementSetPlan, Plan, RoundPlan, Share, TargetPlan};
use crate::Result;
use crate::calibrator::{self, SolveRequest, facets};
use crate::campaign::file::{CalibratorKind, MaskCadence, StopOptions};
use crate::campaign::layout::{AttemptId, Layout};
use crate::imager::{FacetFiles, ImagerContext, ImagerPreview, ImagingJob, PlannedCall, PlannedCycles, PlannedMasks};
use crate::major_cycle::StopRules;
use crate::process::Limits;
use crate::programs::casa::Casa;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The command lines of one round of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RoundLines {
    /// Its number.
    pub round: usize,
    /// Of solving and applying; empty in a round without calibration.
    pub calibration: Vec<Vec<String>>,
    /// Of imaging, in order, with what each is for.
    pub imaging: Vec<PlannedCall>,
    /// The imager and its version.
    pub imager: String,
    /// Abilities of the imager, and the fallback where one is missing: subject and words.
    pub capabilities: Vec<(&'static str, String)>,
    /// Parts that cannot be shown, with the reason.
    pub notes: Vec<String>,
}

/// The command lines of every round of a target.
pub fn command_lines(plan: &Plan, target: &TargetPlan) -> Vec<RoundLines> {
    let bound = containers::bound(plan, target);
    bound.rounds_to_run().iter().map(|round| round_lines(&bound, target, round)).collect()
}

/// The programs of the plan that are not found on this machine.
pub fn not_found(plan: &Plan) -> Vec<String> {
    let mut programs: Vec<&[String]> = Vec::new();
    for round in plan.rounds_to_run() {
        programs.push(plan.executables.of_imager(&round.imaging));
        programs.extend(round.calibration.as_ref().and_then(|calibration| match calibration.calibrator {
            CalibratorKind::Command => Some(&plan.executables.calibrator[..]),
            CalibratorKind::Quartical => Some(&plan.executables.quartical[..]),
            CalibratorKind::Casa | CalibratorKind::None => None,
        }));
    }
    programs.extend(plan.final_imaging.iter().map(|imaging| plan.executables.of_imager(&imaging.imaging)));
    let mut missing: Vec<String> =
        programs.into_iter().filter_map(|words| words.first()).filter(|word| !is_there(word)).cloned().collect();
    missing.sort();
    missing.dedup();
    missing
}

/// Whether a program's first word leads to a file.
fn is_there(word: &str) -> bool {
    if word.contains('/') {
        return Path::new(word).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(word).is_file())
}

fn round_lines(plan: &Plan, target: &TargetPlan, round: &RoundPlan) -> RoundLines {
    let layout = plan.layout_of(target);
    let copied = plan.copies(target);
    let working = |set: &MeasurementSetPlan| if copied { layout.working_copy(&set.name) } else { set.path.clone() };
    let measurement_sets: Vec<PathBuf> = target.members.iter().map(working).collect();
    let mut lines = RoundLines { round: round.round, ..RoundLines::default() };
    for (set, measurement_set) in target.members.iter().zip(&measurement_sets) {
        let member = target.is_joint().then_some(set.name.as_str());
        match calibration(plan, round, &layout, (member, measurement_set)) {
            Ok(words) => lines.calibration.extend(words),
            Err(error) => lines.notes.push(format!("the calibration cannot be shown: {error}")),
        }
    }
    let facets = round.facets.as_ref().map(|options| {
        let (folder, threads) = (layout.part(AttemptId::first(round.round), "facets"), Share::of(plan).threads);
        let (calls, files) = facets::preview(&measurement_sets, &round.data_column, options, (&folder, threads));
        lines.calibration.extend(calls);
        lines.notes.push(BY_DIRECTION.to_owned());
        files
    });
    match imaging(plan, round, &layout, (measurement_sets, facets)) {
        Ok(preview) => {
            lines.imaging = preview.calls;
            lines.imager.clone_from(&preview.capabilities.program);
            lines.capabilities = preview.capabilities.words();
            if by_cycle(round) && !lines.imaging.is_empty() {
                lines.notes.push(CHAIN.to_owned());
            }
            lines.notes.extend(preview.notes);
        }
        Err(error) => lines.notes.push(format!("the imaging cannot be shown: {error}")),
    }
    lines
}

/// The lines of one measurement set's calibration; it has a name where it is one of several.
fn calibration(
    plan: &Plan,
    round: &RoundPlan,
    layout: &Layout,
    (member, measurement_set): (Option<&str>, &Path),
) -> Result<Vec<Vec<String>>> {
    let Some(calibration) = &round.calibration else { return Ok(Vec::new()) };
    let kind = match calibration.calibrator {
        CalibratorKind::Casa => calibrator::SolverKind::Casa,
        CalibratorKind::Command => calibrator::SolverKind::Command(plan.executables.calibrator.clone()),
        CalibratorKind::Quartical => calibrator::SolverKind::Quartical(plan.executables.quartical.clone()),
        CalibratorKind::None => return Ok(Vec::new()),
    };
    // The worker starts at its first request, which never comes: any Python does.
    let python = if plan.executables.casa.is_empty() { &["python3".to_owned()][..] } else { &plan.executables.casa };
    let casa = Casa::open(python, None)?;
    let request = SolveRequest {
        measurement_set: measurement_set.to_path_buf(),
        folder: layout.calibration(AttemptId::first(round.round), member),
        log: layout.part(AttemptId::first(round.round), "logs").join("solve.log"),
        round: round.round,
        reference_antenna: calibration.reference_antenna.clone(),
        threads: Share::of(plan).threads,
        together: member.is_some(),
    };
    Ok(calibrator::open(kind, calibration.chain.clone(), casa, Limits::default())?.command_lines(&request))
}

/// Meaning of the words in capital letters in a chain of calls.
const CHAIN: &str = "masks are made between the calls. LEVEL follows before each from the residual's noise (or is the \
                     threshold given), BMAJ BMIN BPA is the beam that the first call fits; a stop rule may end it earlier, \
                     and divergence goes back to the last good cycle";

/// What is not known of a round by direction.
const BY_DIRECTION: &str = "INTEGRATIONS is the interval in those of the data, which get a copy where they have two \
                            correlations; the round is imaged once more with a mask made from its first image, while that \
                            helps";

/// The round's masks are made between major cycles; an image with facets is one call.
fn by_cycle(round: &RoundPlan) -> bool {
    round.facets.is_none() && round.mask.as_ref().is_some_and(|mask| mask.cadence == MaskCadence::Cycle)
}

fn imaging(
    plan: &Plan,
    round: &RoundPlan,
    layout: &Layout,
    (measurement_sets, facets): (Vec<PathBuf>, Option<FacetFiles>),
) -> Result<ImagerPreview> {
    let executable = plan.executables.of_imager(&round.imaging);
    let share = Share::of(plan).of_imager(plan, &round.imaging, executable);
    let job = ImagingJob {
        measurement_sets,
        data_column: round.data_column.clone(),
        folder: layout.part(AttemptId::first(round.round), "image"),
        log: layout.part(AttemptId::first(round.round), "logs").join("imager.log"),
        threads: share.threads,
        memory_gb: share.memory_gb,
        update_model: plan.calibrator != CalibratorKind::None,
        facets,
    };
    let context = ImagerContext { executable: executable.to_vec(), ..ImagerContext::default() };
    round.imaging.preview(&job, &context, &planned_masks(round, &plan.stop, layout))
}

fn planned_masks(round: &RoundPlan, stop: &StopOptions, layout: &Layout) -> PlannedMasks {
    let masks = layout.part(AttemptId::first(round.round), "mask");
    match &round.mask {
        None => PlannedMasks::None,
        Some(mask) if mask.cadence == MaskCadence::Cycle && round.facets.is_none() => {
            let rules = StopRules::new(stop, &round.imaging.stop_limits(), mask.every, mask.freeze_change);
            PlannedMasks::PerCycle(PlannedCycles {
                masks,
                iterations: rules.limits.iterations,
                major_cycles: rules.limits.major_cycles,
                every: rules.every,
                threshold_jy: rules.limits.threshold_jy.filter(|_| rules.limits.nsigma.is_none()),
                follows_noise: rules.noise_threshold(),
                // Round 1 is the first with a mask before its imaging: its dirty image says whether the next may begin in
                // its own.
                begins_inside: round.round > 1 && !mask.recipe.method.uses_multithresh(),
            })
        }
        Some(_) => PlannedMasks::Fixed(masks.join("mask.fits")),
    }
}
