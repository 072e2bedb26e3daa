//! Rounds that solve by direction: their options, and what cannot be done with them.

use super::measurement_sets::absolute;
use super::strategy::{Options, listed_round};
use super::{PlanError, RoundPlan};
use crate::calibrator::facets::options::{Directions, FacetOptions};
use crate::calibrator::options::Solint;
use crate::campaign::file::{CampaignBlock, CampaignFile, FacetStage};
use crate::imager::ImagerOptions;

/// The mode of such rounds.
const MODE: &str = "facets";

/// The options of a round that solves by direction; `None`: it does not.
pub(super) fn facets(
    campaign: &CampaignFile,
    options: &Options,
    round: usize,
) -> Result<Option<FacetOptions>, PlanError> {
    let Some(listed) = listed_round(campaign, round).filter(|listed| campaign.rounds[listed].contains_key(MODE)) else {
        return Ok(None);
    };
    if round == 0 {
        let message = "round 0 images before any calibration: it has no earlier image to take directions from";
        return Err(refuse(campaign, listed, message, "write `facets` in a later round"));
    }
    typed(campaign, options, round).map(Some)
}

/// The options of a round; a file of directions is made absolute.
fn typed(campaign: &CampaignFile, options: &Options, round: usize) -> Result<FacetOptions, PlanError> {
    let mut facets: FacetOptions = options.typed(round, MODE)?;
    if let Directions::File(path) = facets.source() {
        facets.directions = absolute(&campaign.folder().join(path))?.to_string_lossy().into_owned();
    }
    Ok(facets)
}

/// Refuses what cannot be imaged by direction.
pub(super) fn check(campaign: &CampaignFile, rounds: &[RoundPlan]) -> Result<(), PlanError> {
    let mut first = None;
    for round in rounds {
        let listed = listed_round(campaign, round.round).unwrap_or_default();
        if let (None, Some(before)) = (&round.facets, first) {
            let message = format!(
                "round {} solves without directions after round {before} has solved by direction (`facets`)",
                round.round
            );
            let help = "direction-independent rounds come first; give the later ones `facets`, too";
            return Err(refuse(campaign, listed, &message, help));
        }
        if round.facets.is_none() {
            continue;
        }
        first = first.or(Some(round.round));
        check_imaging(campaign, &["selfcal", &listed.to_string(), MODE], Some(&round.imaging))?;
    }
    Ok(())
}

/// The options of the rounds that the automatic schedule may end with.
pub(super) fn stage(
    campaign: &CampaignFile,
    options: &Options,
    block: &CampaignBlock,
    rounds: &[RoundPlan],
) -> Result<Option<FacetOptions>, PlanError> {
    if block.facets == FacetStage::None {
        return Ok(None);
    }
    let wrong = |message: &str, help: &str| campaign.error_at(&["campaign", MODE], message.to_owned(), help.to_owned());
    let automatic = |round: &RoundPlan| {
        round.calibration.iter().flat_map(|c| &c.chain).any(|solve| solve.interval() == Some(Solint::Auto))
    };
    if !rounds.iter().any(automatic) {
        let message = "`campaign.facets: auto` is the last stage of the automatic schedule";
        return Err(wrong(message, "set `gaincal: {solint: auto}`, or write rounds with `facets` in `selfcal`").into());
    }
    if rounds.iter().any(|round| round.facets.is_some()) {
        let message = "`campaign.facets: auto` and rounds with `facets` exclude each other";
        return Err(wrong(message, "leave one of them out").into());
    }
    check_imaging(campaign, &["campaign", MODE], rounds.last().map(|round| &round.imaging))?;
    typed(campaign, options, campaign.last_round()).map(Some)
}

/// Refuses imagers and images that have no facets.
fn check_imaging(campaign: &CampaignFile, place: &[&str], imaging: Option<&ImagerOptions>) -> Result<(), PlanError> {
    let refuse = |message: &str, help: &str| Err(campaign.error_at(place, message.to_owned(), help.to_owned()).into());
    match imaging {
        Some(ImagerOptions::Wsclean(o)) if o.channels_out > 1 && !o.join_channels => refuse(
            "a cube cannot be imaged by direction: facets are one image of the whole band",
            "set `wsclean: {join_channels: true}`",
        ),
        Some(imaging) if !imaging.takes_facets() => refuse(
            &format!("{} cannot image by direction (`facets`)", imaging.name()),
            "wsclean can: `campaign: {imager: wsclean}`",
        ),
        _ => Ok(()),
    }
}

fn refuse(campaign: &CampaignFile, listed: usize, message: &str, help: &str) -> PlanError {
    campaign.error_at(&["selfcal", &listed.to_string(), MODE], message.to_owned(), help.to_owned()).into()
}
