//! Options read as their types: finds what the schema cannot say.

use super::Problem;
use super::yaml::Node;
use crate::calibrator::facets::options::FacetOptions;
use crate::calibrator::options::GaincalOptions;
use crate::campaign::file::{CampaignFile, FlintArchiveOptions, Modes, operation_path};
use crate::imager::tclean::TcleanOptions;
use crate::masking::MaskingOptions;
use crate::masking::multithresh::MultithreshOptions;
use crate::noise::NoiseOptions;
use crate::options::Validate;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

/// Reads every written map of options as its type: what the schema cannot say is found here.
pub(super) fn typed_modes(campaign: &CampaignFile, problems: &mut Vec<Problem>) {
    let read = |value: Json| serde_json::from_value::<Modes>(value).map(|_| ());
    let owned = |place: &[&str]| place.iter().map(ToString::to_string).collect::<Vec<String>>();
    let rounds = campaign.rounds.iter().map(|(round, maps)| (owned(&["selfcal", &round.to_string()]), maps));
    let operations = campaign.operations.iter().map(|(name, maps)| (owned(&operation_path(name)), maps));
    for (above, maps) in std::iter::once((owned(&["defaults"]), &campaign.defaults)).chain(rounds).chain(operations) {
        for (mode, options) in maps {
            let wrap = |options: Json| Json::Object(Map::from_iter([(mode.clone(), options)]));
            for (element, options) in options.numbered() {
                let element = element.map(|index| index.to_string());
                let mut place: Vec<&str> = above.iter().map(String::as_str).chain([mode.as_str()]).collect();
                place.extend(element.as_deref());
                let value = Json::Object(options.clone());
                if let Err(error) = read(wrap(value.clone())) {
                    problems.push(blame(&campaign.tree, &place, &value, &error, &|options| read(wrap(options))));
                    continue;
                }
                for (key, message) in invalid_values(mode, value) {
                    let node = campaign.tree.at(&[&place[..], &[&key]].concat());
                    problems.push(Problem::new(node.map(|node| node.span), message));
                }
            }
        }
    }
}

/// Invalid values of a mode that have the right type: the key and the problem.
pub(crate) fn invalid_values(mode: &str, options: Json) -> Vec<(String, String)> {
    /// Nothing where a type is wrong: that is reported elsewhere.
    fn problems<T: DeserializeOwned + Validate>(options: Json) -> Vec<(String, String)> {
        let problems = serde_json::from_value::<T>(options).map_or_else(|_| Vec::new(), |options| options.problems());
        problems.iter().map(|e| (e.key().to_owned(), e.to_string())).collect()
    }
    match mode {
        "masking" => problems::<MaskingOptions>(options),
        "automask" => problems::<MultithreshOptions>(options),
        "gaincal" => problems::<GaincalOptions>(options),
        "facets" => problems::<FacetOptions>(options),
        "tclean" => problems::<TcleanOptions>(options),
        "noise" => problems::<NoiseOptions>(options),
        "archive" => match serde_json::from_value::<FlintArchiveOptions>(options) {
            Ok(archive) => archive.problems().into_iter().map(|(key, why)| (key.to_owned(), why)).collect(),
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Reads a value as a type, for [`blame`].
type Reader<'a> = dyn Fn(Json) -> Result<(), serde_json::Error> + 'a;

/// Finds the key of a map that its type refuses, by trying each alone, maps in maps too.
pub(super) fn blame(tree: &Node, place: &[&str], map: &Json, whole: &serde_json::Error, read: &Reader) -> Problem {
    for (key, value) in map.as_object().into_iter().flatten() {
        let alone = |value: Json| read(Json::Object(Map::from_iter([(key.clone(), value)])));
        if let Err(error) = alone(value.clone()) {
            let mut path = place.to_vec();
            path.push(key);
            // A map that is refused even when empty is itself the culprit.
            if value.as_object().is_some_and(|map| !map.is_empty()) && alone(Map::new().into()).is_ok() {
                return blame(tree, &path, value, &error, &alone);
            }
            let span = tree.at(&path).map(|node| node.span);
            return Problem::new(span, format!("`{}`: {error}", path.join(".")));
        }
    }
    Problem::new(tree.at(place).map(|node| node.span), format!("`{}`: {whole}", place.join(".")))
}
