//! The image that a mask is made from where a round is imaged alone.

use crate::campaign::file::MaskCadence;
use crate::campaign::journal::{Journal, Step, StepId, StepKey};
use crate::campaign::layout::{AttemptId, Layout};
use crate::campaign::plan::{Plan, TargetPlan};
use crate::campaign::record::{CampaignRecord, RoundRecord};
use crate::campaign::rounds::MaskSource;
use crate::imager::Products;
use crate::{Error, Result};

/// For a round that is imaged alone: the last accepted image of an earlier round that the campaign has.
pub(super) fn of(plan: &Plan, set: &TargetPlan) -> Result<Option<MaskSource>> {
    let Some(round) = plan.only_round else { return Ok(None) };
    // Of a final image no other image is sure to be on the same grid.
    let by_round = plan.rounds[round].mask.as_ref().is_some_and(|mask| mask.cadence == MaskCadence::Round);
    if plan.final_of.is_some() && !by_round {
        return Ok(None);
    }
    let campaign = match &plan.final_of {
        Some(of) => &of.campaign,
        None => plan.output.parent().unwrap_or(&plan.output),
    };
    let name = set.channels.as_ref().map_or(&set.name, |channels| &channels.target);
    let earlier = CampaignRecord::load_earlier(campaign);
    let source = earlier.as_ref().ok().cloned().flatten().and_then(|record| {
        let dataset = record.datasets.into_iter().find(|d| d.name == *name)?;
        let accepted = match &plan.final_of {
            Some(_) => dataset.best_round().cloned()?,
            None => dataset.rounds.into_iter().rfind(|r| r.round < round && r.is_accepted())?,
        };
        let products = accepted.products.clone()?;
        Some(MaskSource { key: image_key(&accepted, &products), products, mask: accepted.mask })
    });
    let Some(mask) = &plan.rounds[round].mask else { return Ok(source) };
    // A mask that was made from it stays, whatever became of the images meanwhile.
    let made = StepId::of(AttemptId::first(round), Step::Mask);
    let is_made = Journal::last_done_key(&plan.layout_of(set).journal(), made).is_some();
    let gone = source.as_ref().filter(|_| !is_made).and_then(|s| {
        let files = [Some(&s.products.image), Some(&s.products.residual), Some(&s.products.psf)];
        let needed = if mask.recipe.method.uses_multithresh() { 3 } else { 1 };
        files.into_iter().take(needed).flatten().find(|file| !file.exists()).cloned()
    });
    if mask.cadence != MaskCadence::Round {
        // The first mask is then made from the residual alone.
        return Ok(source.filter(|_| gone.is_none()));
    }
    let others = "make masks from the residual (`mask: {cadence: cycle}`), or image without one (--mask none)";
    if let Some(file) = gone {
        return Err(Error::bad_input(format!(
            "{}: the mask of round {round} is made from it, but it is not there any more: old rounds' images are removed \
             to keep the disk budget (`campaign.resources.disk_budget_gb`). To go \
             on, {others}",
            file.display()
        )));
    }
    if source.is_none() {
        earlier?;
        return Err(Error::bad_input(format!(
            "round {round} is cleaned with a mask that is made from an earlier round's image, and {} has none of {}. \
             Run the campaign up to round {} first, or {others}",
            campaign.display(),
            set.name,
            round - 1
        )));
    }
    Ok(source)
}

/// Changes when the images of a recorded round do, but not when they are removed to keep the disk budget: the key of the
/// step that made them.
fn image_key(round: &RoundRecord, products: &Products) -> StepKey {
    let step = StepId::of(round.id(), Step::Image);
    // MEASUREMENT SET'S FOLDER/round-NN/image/image.fits
    let journal = products.image.ancestors().nth(3).map(|folder| Layout::new(folder).journal());
    journal.and_then(|path| Journal::last_done_key(&path, step)).unwrap_or_else(|| {
        let file = std::fs::metadata(&products.image).ok();
        StepKey::of(&("mask source", &products.image, file.map(|f| (f.len(), f.modified().ok()))))
    })
}
