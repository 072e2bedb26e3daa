//! flint's operations after self-calibration, as final imagings: `stokesv`, `subtractcube` and `polarisation`. Their options
//! are those of `defaults`, updated by their own (flint, state of 2026-11); rounds have no part in them.

use crate::campaign::file::{
    CampaignBlock, CampaignFile, FinalData, ImagerKind, MaskCadence, MaskImage, MaskSettings, RestoringBeam, Subtract,
    consider_mask_round, operation_path,
};
use crate::campaign::plan::PlanError;
use crate::campaign::plan::measurement_sets::from_folder;
use crate::campaign::plan::strategy::{Options, mask_of};
use crate::campaign::plan::types::{FinalPlan, MaskPlan};
use crate::measurement_set::continuum::UvcontsubOptions;
use serde_json::{Map, Value as Json, json};

/// The final imagings that the strategy's operations ask for. One that the `campaign:` block names, too, takes the place of
/// the operation.
///
/// # Errors
/// Options that do not go together.
pub(super) fn of(
    campaign: &CampaignFile,
    options: &Options<'_>,
    block: &CampaignBlock,
) -> Result<Vec<FinalPlan>, PlanError> {
    let runs = |name: &&String| is_run(block) && !block.final_imaging.contains_key(*name);
    campaign.operations.keys().filter(runs).map(|name| resolve(campaign, options, block, name)).collect()
}

/// Operations are wsclean's: with another imager they are not run.
fn is_run(block: &CampaignBlock) -> bool {
    block.imager == ImagerKind::Wsclean
}

/// The operations that are not run with this imager.
pub(in crate::campaign::plan) fn not_run(campaign: &CampaignFile, block: &CampaignBlock) -> Vec<String> {
    if is_run(block) {
        return Vec::new();
    }
    let name = |name: &String| format!("the operation `{}`, whose imager is wsclean", operation_path(name).join("."));
    campaign.operations.keys().map(name).collect()
}

fn resolve(
    campaign: &CampaignFile,
    options: &Options<'_>,
    block: &CampaignBlock,
    name: &str,
) -> Result<FinalPlan, PlanError> {
    let place = operation_path(name);
    let mut map = options.operation(name, "wsclean")?;
    for (key, value) in fixed(name, &map) {
        map.insert(key, value);
    }
    let every_channel = name == "subtractcube";
    let imaging = options.final_imager(map, (ImagerKind::Wsclean, &Map::new()), &place, &[])?;
    Ok(FinalPlan {
        name: name.to_owned(),
        imager: ImagerKind::Wsclean,
        imaging: from_folder(campaign, imaging)?,
        mask: if name == "stokesv" { last_mask(campaign, options, block)? } else { None },
        stop: block.stop.clone(),
        data: FinalData::Working,
        subtract: if every_channel { Subtract::Model } else { Subtract::None },
        uvcontsub: UvcontsubOptions::default(),
        channels_per_job: every_channel.then_some(1),
        channels: None,
        confetti: None,
        every_channel,
        restoringbeam: RestoringBeam::Fitted,
        remove_groups: false,
    })
}

/// Options that flint itself sets, and joined polarisations where nothing else is said.
fn fixed(name: &str, written: &Map<String, Json>) -> Vec<(String, Json)> {
    let own = match name {
        "polarisation-total" => json!({"pol": "i", "no_update_model_required": true}),
        "polarisation-linear" => json!({
            "pol": "qu", "no_update_model_required": true, "fit_spectral_pol": null, "save_source_list": false,
            "join_polarizations": written.get("join_polarizations").cloned().unwrap_or(json!(true)),
        }),
        "polarisation-circular" => {
            json!({"pol": "v", "no_update_model_required": true, "save_source_list": false})
        }
        _ => json!({}),
    };
    own.as_object().cloned().unwrap_or_default().into_iter().collect()
}

/// The mask of the last round, if that has one: flint images Stokes V with it.
fn last_mask(
    campaign: &CampaignFile,
    options: &Options<'_>,
    block: &CampaignBlock,
) -> Result<Option<MaskPlan>, PlanError> {
    let last = campaign.last_round();
    if last == 0 || !consider_mask_round(last, &campaign.mask_rounds(), campaign.masks_allowed()) {
        return Ok(None);
    }
    let settings = MaskSettings { cadence: MaskCadence::Round, image: MaskImage::Beam, ..block.mask.clone() };
    mask_of(campaign, options, &settings, last)
}

#[cfg(test)]
mod tests {
    use crate::campaign::file::{Overrides, StartColumn, parse};
    use crate::campaign::plan::{FinalInput, resolve_with};
    use crate::imager::{CubeBand, ImagerOptions};
    use std::path::Path;

    #[test]
    fn each_channel_of_the_data_is_imaged_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a.ms")).unwrap();
        let strategy =
            "version: 0.2\ndefaults: {wsclean: {channels_out: 4, channel_range: [2, 9]}}\nsubtractcube: {}\n";
        let ms = folder.path().join("a.ms").display().to_string();
        let overrides = Overrides { measurement_sets: vec![ms], ..Overrides::default() };
        let campaign = parse(Path::new("strategy.yaml"), strategy.to_owned(), &overrides).unwrap();
        let plan = resolve_with(&campaign, &|_| None).unwrap();
        let input = |channels: u32| FinalInput {
            target: "a".to_owned(),
            members: plan.targets[0].members.clone(),
            column: StartColumn::Data,
            facets: None,
            antennas: 0,
            frequencies_hz: (0..channels).map(|channel| 1e9 + f64::from(channel)).collect(),
        };
        let cube = plan.final_imaging[0].for_data(&[input(24), input(24)]).unwrap();
        let groups = cube.groups();
        assert_eq!((groups.len(), cube.channels), (24, Some(24)));
        let band = CubeBand::Data(cube.of_data(&groups[7], &input(24).frequencies_hz).unwrap());
        let ImagerOptions::Wsclean(one) = cube.imaging.of_group(&groups[7], band) else { panic!() };
        assert_eq!((one.channels_out, one.join_channels, one.channel_range), (1, false, Some((7, 8))));
        let error = plan.final_imaging[0].for_data(&[input(24), input(25)]).unwrap_err();
        assert!(error.to_string().starts_with("final imaging subtractcube: each channel"), "{error}");
    }
}
