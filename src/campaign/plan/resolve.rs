//! From the campaign file to the plan: options merged, paths made absolute, environment variables replaced.

use super::final_imaging::{final_imagings, operations_not_run};
use super::measurement_sets::{absolute, folder_name, from_folder, measurement_sets};
use super::selection::Selection;
use super::strategy::{self, Options, mask_of};
use super::targets::targets;
use super::{CalibrationPlan, MaskPlan, Plan, PlanError, RoundPlan, containers, facets};
use crate::calibrator::options::{GaincalOptions, TermKind};
use crate::calibrator::term_names;
use crate::campaign::file::{
    ApplyTo, ArchiveOptions, CalibratorKind, CampaignBlock, CampaignFile, FlintArchiveOptions, MaskCadence, MaskImage,
    ModeMaps, Multiscale, StartModel, consider_mask_round,
};
use crate::imager::ImagerOptions;
use std::path::{Path, PathBuf};

/// What is said where the gridder follows from the size of the field.
const SMALL_FIELD: &str = "`wsclean.gridder` is wstacking: of such a small field the w-gridder makes zeros";

/// Resolves a campaign: measurement sets found, options merged, environment variables replaced.
///
/// # Errors
/// A measurement set that does not exist, an environment variable that is not set, a merged map of options that does
/// not make sense.
pub fn resolve(campaign: &CampaignFile) -> Result<Plan, PlanError> {
    resolve_with(campaign, &|name| std::env::var(name).ok())
}

/// As [`resolve`], with environment variables from `environment`.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_with(campaign: &CampaignFile, environment: &dyn Fn(&str) -> Option<String>) -> Result<Plan, PlanError> {
    let options = Options::new(campaign, environment);
    let block = options.block()?;
    let output = output(campaign, &block)?;
    let mut rounds = Vec::new();
    let mut calibrated = false;
    let mut small_fields = false;
    for round in 0..=campaign.last_round() {
        let facets = facets::facets(campaign, &options, round)?;
        let calibration = if facets.is_some() { None } else { calibration(&options, &block, round)? };
        check_reuse(&options, &rounds, calibration.as_ref(), round)?;
        calibrated |= calibration.is_some();
        let data_column = if calibrated { "CORRECTED_DATA" } else { block.start_column.name() };
        let mut imaging = imaging(campaign, &options, &block, round)?;
        small_fields |= options.gridder_chosen(round, &imaging)?;
        imaging.set_data_column(data_column);
        let mask = mask(campaign, &options, &block, round)?;
        let waits_for_all = round > 0 && mask.as_ref().is_some_and(|m| m.image == MaskImage::Field);
        rounds.push(RoundPlan {
            round,
            calibration,
            facets,
            mask,
            imaging,
            data_column: data_column.to_owned(),
            waits_for_all,
        });
    }
    facets::check(campaign, &rounds)?;
    check_multiscale(campaign, block.multiscale, &rounds)?;
    let facet_stage = facets::stage(campaign, &options, &block, &rounds)?;
    let selection = Selection { campaign, block: &block, rounds: &rounds };
    let (sets, unchecked) = selection.of(measurement_sets(campaign, &block.measurement_sets)?)?;
    let (targets, ungrouped) = targets(sets, block.together, &block.executables)?;
    let mut warnings = [campaign.warnings.clone(), strategy::warnings(campaign, &block)].concat();
    warnings.extend(unchecked);
    warnings.extend(ungrouped);
    if small_fields {
        warnings.push(SMALL_FIELD.to_owned());
    }
    let final_imaging = final_imagings(campaign, &options, &block)?;
    let (archive, homeless) = archive(campaign, &options, &block)?;
    let not_run = [campaign.not_run.clone(), operations_not_run(campaign, &block), homeless.into_iter().collect()];
    let mut plan = Plan {
        name: campaign.name(),
        campaign_file: absolute(&campaign.path)?,
        output,
        targets,
        spw: block.spw,
        average: block.average,
        imager: block.imager,
        calibrator: block.calibrator,
        rounds,
        acceptance: block.acceptance,
        solint: block.solint,
        facet_stage,
        multiscale: block.multiscale,
        stop: block.stop,
        resources: block.resources,
        executables: block.executables,
        reference_antenna: block.reference_antenna,
        work_on: block.work_on,
        start_column: block.start_column,
        start_model: start_model(campaign, block.start_model)?,
        apply_to: apply_to(campaign, block.apply_to)?,
        scheduler: block.scheduler,
        on_failure: block.on_failure,
        archive,
        filled_in: campaign.filled_in.clone(),
        not_run: not_run.concat(),
        warnings,
        only_round: None,
        final_imaging,
        final_of: None,
    };
    let more = containers::warnings(&plan);
    plan.warnings.extend(more);
    Ok(plan)
}

/// The folder of results: relative to the working directory where the command line names it or the data, else to the file.
fn output(campaign: &CampaignFile, block: &CampaignBlock) -> Result<PathBuf, PlanError> {
    let start = if campaign.command_line_output || campaign.block.output.is_none() && campaign.command_line_sets {
        Path::new(".")
    } else {
        campaign.folder()
    };
    absolute(&start.join(block.output.clone().unwrap_or_else(|| folder_name(&campaign.name()).into())))
}

/// The archive at the end: `campaign.archive`, and the strategy's mode `archive` where a folder is named for it
/// (without one flint archives nothing, either: then the second part says so).
fn archive(
    campaign: &CampaignFile,
    options: &Options,
    block: &CampaignBlock,
) -> Result<(ArchiveOptions, Option<String>), PlanError> {
    let mut archive = block.archive.clone();
    let base = campaign.folder();
    let folder = |path: &Option<PathBuf>| path.as_ref().map(|p| absolute(&base.join(p))).transpose();
    (archive.to, archive.copy_to) = (folder(&archive.to)?, folder(&archive.copy_to)?);
    let (tars, copies) = (folder(&block.sbid_archive_path)?, folder(&block.sbid_copy_path)?);
    let has_mode = |maps: &ModeMaps| maps.contains_key("archive");
    let maps = std::iter::once(&campaign.defaults).chain(campaign.rounds.values()).chain([&campaign.overrides]);
    let asked_for = maps.into_iter().any(has_mode);
    // As flint: a folder for one of them does not stand for the other.
    let flint = tars.is_some() || copies.is_some();
    let own = archive.to.is_some() || archive.copy_to.is_some() || !archive.is_empty();
    if flint || asked_for && own {
        let patterns: FlintArchiveOptions = options.typed(campaign.last_round(), "archive")?;
        if archive.tar_file_re_patterns.is_empty() && (tars.is_some() || !flint) {
            archive.tar_file_re_patterns = patterns.tar_file_re_patterns;
        }
        if archive.copy_file_re_patterns.is_empty() && (copies.is_some() || !flint) {
            archive.copy_file_re_patterns = patterns.copy_file_re_patterns;
        }
        archive.to = tars.or(archive.to);
        archive.copy_to = copies.or(archive.copy_to);
    }
    let homeless = asked_for && !flint && !own;
    let words =
        "the mode `archive`, as no folder is named for it (`sbid_archive_path`, `sbid_copy_path` or `archive.to`)";
    Ok((archive, homeless.then(|| words.to_owned())))
}

/// Relative paths start at the campaign file's folder.
fn start_model(campaign: &CampaignFile, model: StartModel) -> Result<StartModel, PlanError> {
    Ok(match model {
        StartModel::File(path) => StartModel::File(absolute(&campaign.folder().join(path))?),
        other => other,
    })
}

/// Relative paths start at the campaign file's folder.
fn apply_to(campaign: &CampaignFile, to: Option<ApplyTo>) -> Result<Option<ApplyTo>, PlanError> {
    Ok(match to {
        Some(ApplyTo::File(path)) => Some(ApplyTo::File(absolute(&campaign.folder().join(path))?)),
        other => other,
    })
}

fn calibration(options: &Options, block: &CampaignBlock, round: usize) -> Result<Option<CalibrationPlan>, PlanError> {
    let skipped = block.skip_selfcal_on_rounds.as_ref().is_some_and(|rounds| rounds.contains(&round));
    if round == 0 || skipped || block.calibrator == CalibratorKind::None {
        return Ok(None);
    }
    Ok(Some(CalibrationPlan {
        calibrator: block.calibrator,
        chain: options.chain(round)?,
        reference_antenna: block.reference_antenna.clone(),
    }))
}

/// What an element of a chain takes from an earlier round must be solved in one.
fn check_reuse(
    options: &Options,
    earlier: &[RoundPlan],
    calibration: Option<&CalibrationPlan>,
    round: usize,
) -> Result<(), PlanError> {
    let Some(calibration) = calibration else { return Ok(()) };
    let has = |chain: &[GaincalOptions], name: &str, kind| {
        term_names(chain).iter().zip(chain).any(|(term, element)| term == name && element.kind() == kind)
    };
    for (index, (element, name)) in calibration.chain.iter().zip(term_names(&calibration.chain)).enumerate() {
        let found = earlier.iter().filter_map(|r| r.calibration.as_ref()).any(|c| has(&c.chain, &name, element.kind()));
        if element.reuse && !found {
            let message = format!(
                "round {round} takes `{name}` from an earlier round (`reuse`), but no earlier round solves for {} of \
                 that name",
                kind_words(element.kind())
            );
            return Err(options.wrong_in_chain(round, index, "reuse", message).into());
        }
    }
    Ok(())
}

/// Refuses imagers without multi-scale to turn on, and campaigns without masks.
fn check_multiscale(campaign: &CampaignFile, asked: Multiscale, rounds: &[RoundPlan]) -> Result<(), PlanError> {
    let Some(round) = rounds.last().filter(|_| asked == Multiscale::Auto) else { return Ok(()) };
    let wrong = |message: String, help: &str| Err(campaign.error_at(&["campaign", "multiscale"], message, help).into());
    if round.imaging.with_multiscale().is_none() {
        let message = format!("`campaign.multiscale: auto` is for wsclean, not for {}", round.imaging.name());
        return wrong(message, "choose the scales yourself: `tclean: {deconvolver: multiscale, scales: [0, 5, 15]}`");
    }
    if round.mask.is_none() {
        let message =
            "`campaign.multiscale: auto` looks for resolved sources in the clean mask, and there is none".to_owned();
        return wrong(message, "name a `mask`, or set `wsclean: {multiscale: true}`");
    }
    Ok(())
}

/// What a term holds, in words.
fn kind_words(kind: TermKind) -> &'static str {
    match kind {
        TermKind::Delay => "delays",
        TermKind::Bandpass => "a bandpass",
        TermKind::Phase => "phases",
        TermKind::Amplitude => "amplitudes",
        TermKind::Gains => "amplitudes and phases",
    }
}

fn mask(
    campaign: &CampaignFile,
    options: &Options,
    block: &CampaignBlock,
    round: usize,
) -> Result<Option<MaskPlan>, PlanError> {
    let settings = &block.mask;
    // Round 0 has no earlier image to make a mask from; before its major cycles there is the residual.
    let source = round > 0 || settings.cadence == MaskCadence::Cycle;
    let wanted = consider_mask_round(round, &campaign.mask_rounds(), campaign.masks_allowed());
    if !source || !wanted {
        return Ok(None);
    }
    mask_of(campaign, options, settings, round)
}

fn imaging(
    campaign: &CampaignFile,
    options: &Options,
    block: &CampaignBlock,
    round: usize,
) -> Result<ImagerOptions, PlanError> {
    from_folder(campaign, options.imager(round, block)?)
}
