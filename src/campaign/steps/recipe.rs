//! The plan of a mask as a recipe and as a request.

use crate::campaign::plan::MaskPlan;
use crate::masking::MaskRecipe;
use crate::masking::maker::{MaskRequest, Polarisations};
use std::path::Path;

/// The plan's way of making masks; `caution` multiplies levels that are chosen from the image.
pub(super) fn recipe_of(mask: &MaskPlan, caution: f64) -> MaskRecipe {
    MaskRecipe { caution, ..mask.recipe.clone() }
}

/// A request as a campaign makes it: the mask of Stokes I for all polarisations, counted for the record.
pub(super) fn request<'a>(image: &'a Path, recipe: &'a MaskRecipe, output: &'a Path) -> MaskRequest<'a> {
    MaskRequest { polarisations: Polarisations::First, detailed: true, ..MaskRequest::new(image, recipe, output) }
}
