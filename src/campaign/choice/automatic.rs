//! `auto` for single keys of a campaign file.

use super::geometry::Angle;
use super::trials::scale;
use super::{ChoiceRequest, pixel_and_size};
use crate::Result;
use crate::campaign::file::{Automatic, CampaignFile, ModeOptions};
use crate::campaign::plan;
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// The file with the options that are left to the data: they are chosen as for measurement sets without a file.
///
/// # Errors
/// As [`super::choose`].
pub(crate) fn filled(file: &CampaignFile) -> Result<CampaignFile> {
    let mut file = file.clone();
    if file.automatic.is_empty() {
        return Ok(file);
    }
    let planned = plan::resolve(&file)?;
    let sets: Vec<PathBuf> = planned.targets.iter().flat_map(|target| target.paths()).collect();
    let field = planned.targets[0].members[0].field.as_deref();
    let pixel_is_given = file.automatic.iter().all(|one| one.side);
    let given = planned.rounds[0].imaging.pixel_rad().filter(|_| pixel_is_given);
    let request = ChoiceRequest {
        measurement_sets: &sets,
        field,
        file: &file.path.clone(),
        say: &|words| tracing::info!("auto: {words}"),
    };
    let (pixel, size) = pixel_and_size(&request, planned.imager, given.map(|rad| rad.to_degrees() * 3600.0))?;
    for Automatic { mode, key, side } in file.automatic.clone() {
        let (value, why) = match (side, mode) {
            (true, _) => (json!(size.value), &size.why),
            (false, "wsclean") => (json!(scale(pixel.value)), &pixel.why),
            (false, _) => (json!(format!("{}arcsec", pixel.value)), &pixel.why),
        };
        let shown = if side { format!("{} pixels", size.value) } else { Angle(pixel.value).to_string() };
        file.warnings.push(format!("`{mode}.{key}: auto` is {shown}: {why}"));
        set(&mut file, mode, key, value);
    }
    Ok(file)
}

fn set(file: &mut CampaignFile, mode: &str, key: &str, value: Json) {
    if let Some(ModeOptions::Map(options)) = file.defaults.get_mut(mode) {
        options.insert(key.to_owned(), value);
    }
}
