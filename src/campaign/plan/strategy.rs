//! flint's rules for the options of a round.
//!
//! Source: flint (flint-crew/flint, state of 2026-08), strategy format 0.2. Options of mode m in round r are
//! `defaults.m` updated by `selfcal.r.m`, key by key; a round past the last listed one has the last one's options.
//! Options of the command line go before both; the class's defaults fill the rest. Where `gaincal` is a list of maps,
//! each of them updates (or is updated by) a single map; a list takes the place of a list.

use super::PlanError;
use super::measurement_sets::absolute;
use super::types::MaskPlan;
use crate::calibrator::chain_problems;
use crate::calibrator::options::GaincalOptions;
use crate::campaign::file::env::{self, Undefined};
use crate::campaign::file::{
    BaneOptions, CampaignBlock, CampaignFile, ConfigError, ImagerKind, MaskCadence, MaskMethod, MaskSettings,
    ModeOptions, Problem, invalid_values, operation_path,
};
use crate::imager::ImagerOptions;
use crate::imager::wsclean::WscleanOptions;
use crate::masking::MaskRecipe;
use crate::noise::NoiseOptions;
use crate::options::Validate;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use std::path::PathBuf;

/// Options of a campaign's rounds, with environment variables replaced.
pub(crate) struct Options<'a> {
    campaign: &'a CampaignFile,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

/// The round whose entry in the strategy holds the options of `round`; `None`: defaults alone.
pub(super) fn listed_round(campaign: &CampaignFile, round: usize) -> Option<usize> {
    let last = *campaign.rounds.keys().next_back()?;
    let listed = round.min(last);
    campaign.rounds.contains_key(&listed).then_some(listed)
}

impl<'a> Options<'a> {
    pub(super) fn new(campaign: &'a CampaignFile, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { campaign, environment }
    }

    /// The merged options of a mode: only those that are written somewhere.
    pub(super) fn map(&self, round: usize, mode: &str) -> Result<Map<String, Json>, ConfigError> {
        Ok(self.maps(round, mode)?.into_iter().next().unwrap_or_default())
    }

    /// The same of a mode that may be a list of maps: one for each element.
    fn maps(&self, round: usize, mode: &str) -> Result<Vec<Map<String, Json>>, ConfigError> {
        let campaign = self.campaign;
        let listed = listed_round(campaign, round);
        let round_name = listed.map(|round| round.to_string()).unwrap_or_default();
        let layers = [
            (campaign.defaults.get(mode), Some(vec!["defaults", mode])),
            (listed.and_then(|round| campaign.rounds[&round].get(mode)), Some(vec!["selfcal", &round_name, mode])),
            (campaign.overrides.get(mode), None),
        ];
        self.merged(layers, mode)
    }

    /// Layers of a mode's options on top of each other, each with its place (none: the command line).
    fn merged(&self, layers: Layers<'_>, mode: &str) -> Result<Vec<Map<String, Json>>, ConfigError> {
        let mut merged = Merged::default();
        for (layer, place) in layers {
            if let Some(layer) = layer {
                merged.update(layer, place.as_deref());
            }
        }
        let expanded = |element: &Placed<'_>| {
            let options = element.iter().map(|(key, (value, place))| {
                let place: Vec<&str> = place.iter().map(String::as_str).collect();
                Ok(((*key).to_owned(), self.expand(value, &place, &format!("{mode}.{key}"))?))
            });
            options.collect::<Result<Map<String, Json>, ConfigError>>()
        };
        merged.elements.iter().map(expanded).collect()
    }

    /// The solves of a round, with the defaults filled in.
    ///
    /// # Errors
    /// Invalid values, and values that do not go together.
    pub(super) fn chain(&self, round: usize) -> Result<Vec<GaincalOptions>, ConfigError> {
        let maps = self.maps(round, "gaincal")?;
        let single = maps.len() == 1;
        let read = |map: Map<String, Json>| serde_json::from_value(Json::Object(map));
        let chain: Vec<GaincalOptions> = maps
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(|error| self.unreadable(round, "gaincal", &error))?;
        match chain_problems(&chain).into_iter().next() {
            None => Ok(chain),
            Some((_, problem)) if single => Err(self.invalid(round, "gaincal", problem.key(), problem.to_string())),
            Some((index, problem)) => {
                let message = format!("{problem} (element {} of the chain of round {round})", index + 1);
                Err(self.wrong_in_chain(round, index, problem.key(), message))
            }
        }
    }

    /// The error of an element of a round's chain, shown where the key or the chain is written.
    pub(super) fn wrong_in_chain(&self, round: usize, index: usize, key: &str, message: String) -> ConfigError {
        let listed = listed_round(self.campaign, round).map(|round| round.to_string()).unwrap_or_default();
        let index = index.to_string();
        let places: [&[&str]; 6] = [
            &["selfcal", &listed, "gaincal", &index, key],
            &["selfcal", &listed, "gaincal", &index],
            &["selfcal", &listed, "gaincal", key],
            &["defaults", "gaincal", &index, key],
            &["defaults", "gaincal", key],
            &["defaults", "gaincal", &index],
        ];
        let place = places.into_iter().find(|place| self.campaign.tree.at(place).is_some()).unwrap_or_default();
        self.campaign.error_at(place, message, "docs/calibration.md tells what a chain may hold")
    }

    /// The same as the tool's type, with its defaults filled in.
    pub(super) fn typed<T: DeserializeOwned>(&self, round: usize, mode: &str) -> Result<T, ConfigError> {
        let map = Json::Object(self.map(round, mode)?);
        // Options that are fine by themselves may not go together once they are merged.
        if let Some((key, message)) = invalid_values(mode, map.clone()).into_iter().next() {
            return Err(self.invalid(round, mode, &key, message));
        }
        serde_json::from_value(map).map_err(|error| self.unreadable(round, mode, &error))
    }

    /// The error of a merged value, shown where it is written.
    fn invalid(&self, round: usize, mode: &str, key: &str, message: String) -> ConfigError {
        let listed = listed_round(self.campaign, round).map(|round| round.to_string()).unwrap_or_default();
        let in_round = ["selfcal", &listed, mode, key];
        let place = if self.campaign.tree.at(&in_round).is_some() { &in_round[..] } else { &["defaults", mode, key] };
        let help = format!("round {round} has the options of `defaults`, updated by its own");
        self.campaign.error_at(place, message, help)
    }

    /// Options of the imager that does the work.
    ///
    /// # Errors
    /// As [`Options::typed`].
    pub(crate) fn imager(&self, round: usize, block: &CampaignBlock) -> Result<ImagerOptions, ConfigError> {
        let mode = block.imager.mode();
        let map: Json = mode.map(|mode| self.typed(round, mode)).transpose()?.unwrap_or_default();
        let template = &block.executables.imager;
        let mut options = block
            .imager
            .options(map, template)
            .map_err(|error| self.unreadable(round, mode.unwrap_or_default(), &error))?;
        self.choose_gridder(round, &mut options)?;
        Ok(options)
    }

    /// The options of a mode in one of flint's operations: those of `defaults`, updated by its own; only those that are
    /// written somewhere.
    ///
    /// # Errors
    /// Environment variables that are not set.
    pub(super) fn operation(&self, name: &str, mode: &str) -> Result<Map<String, Json>, ConfigError> {
        let campaign = self.campaign;
        let place: Vec<&str> = operation_path(name).into_iter().chain([mode]).collect();
        let own = campaign.operations.get(name).and_then(|modes| modes.get(mode));
        let layers = [
            (campaign.defaults.get(mode), Some(vec!["defaults", mode])),
            (own, Some(place)),
            (campaign.overrides.get(mode), None),
        ];
        Ok(self.merged(layers, mode)?.into_iter().next().unwrap_or_default())
    }

    /// Options of the imager of a final imaging: a base, updated by its own, which stand at `place`.
    ///
    /// # Errors
    /// As [`Options::typed`].
    pub(super) fn final_imager(
        &self,
        mut map: Map<String, Json>,
        (imager, own): (ImagerKind, &Map<String, Json>),
        place: &[&str],
        template: &[String],
    ) -> Result<ImagerOptions, ConfigError> {
        let Some(mode) = imager.mode() else {
            let made = imager.options(Json::Null, template);
            return made.map_err(|error| self.campaign.error_at(place, error.to_string(), "mend the template"));
        };
        map.extend(own.clone());
        let help = "docs/final-imaging.md tells which options it has besides its own";
        let error_at = |key: &str, message: String| {
            let written: Vec<&str> = place.iter().copied().chain([mode, key]).collect();
            let at = if self.campaign.tree.at(&written).is_some() { &written[..] } else { place };
            self.campaign.error_at(at, message, help)
        };
        if let Some((key, message)) = invalid_values(mode, map.clone().into()).into_iter().next() {
            return Err(error_at(&key, message));
        }
        let gridder_named = map.contains_key("gridder");
        let made = imager.options(map.into(), template);
        let mut options = made.map_err(|error| self.campaign.error_at(place, error.to_string(), help))?;
        if let ImagerOptions::Wsclean(wsclean) = &mut options
            && wsclean.defeats_gridder()
        {
            if gridder_named {
                return Err(error_at("gridder", too_small(wsclean)));
            }
            wsclean.use_w_stacking();
        }
        Ok(options)
    }

    /// Leaves fields that are too small for wsclean's w-gridder to w-stacking.
    ///
    /// # Errors
    /// The file itself asks for the w-gridder.
    fn choose_gridder(&self, round: usize, options: &mut ImagerOptions) -> Result<(), ConfigError> {
        let ImagerOptions::Wsclean(wsclean) = options else { return Ok(()) };
        if !wsclean.defeats_gridder() {
            return Ok(());
        }
        if self.map(round, "wsclean")?.contains_key("gridder") {
            return Err(self.invalid(round, "wsclean", "gridder", too_small(wsclean)));
        }
        wsclean.use_w_stacking();
        Ok(())
    }

    /// The round's gridder was chosen by the program: see [`Options::imager`].
    pub(super) fn gridder_chosen(&self, round: usize, options: &ImagerOptions) -> Result<bool, ConfigError> {
        let ImagerOptions::Wsclean(wsclean) = options else { return Ok(false) };
        let default = crate::imager::wsclean::WscleanOptions::default().gridder;
        Ok(wsclean.gridder != default && !self.map(round, "wsclean")?.contains_key("gridder"))
    }

    fn unreadable(&self, round: usize, mode: &str, error: &serde_json::Error) -> ConfigError {
        let text = format!("the options of `{mode}` in round {round}: {error}");
        self.campaign.error_at(&[], text, "see the defaults")
    }

    /// Noise options: `mask.noise`, or flint's `bane` where the strategy has it, updated by the mode `noise`.
    pub(super) fn noise(&self, round: usize, settings: &NoiseOptions) -> Result<NoiseOptions, ConfigError> {
        let campaign = self.campaign;
        let bane = |maps: &crate::campaign::file::ModeMaps| maps.contains_key("bane");
        let listed = listed_round(campaign, round).map(|round| &campaign.rounds[&round]);
        let base = if bane(&campaign.defaults) || listed.is_some_and(bane) || bane(&campaign.overrides) {
            self.typed::<BaneOptions>(round, "bane")?.to_noise()
        } else {
            settings.clone()
        };
        let wrong = |error: String| {
            campaign.error_at(
                &["defaults", "noise"],
                format!("the noise options of round {round}: {error}"),
                "fix them",
            )
        };
        let mut merged = match serde_json::to_value(&base) {
            Ok(Json::Object(map)) => map,
            _ => Map::new(),
        };
        merged.extend(self.map(round, "noise")?);
        let noise: NoiseOptions =
            serde_json::from_value(Json::Object(merged)).map_err(|error| wrong(error.to_string()))?;
        noise.validate().map_err(|error| wrong(error.to_string()))?;
        Ok(noise)
    }

    /// The `campaign:` block.
    pub(super) fn block(&self) -> Result<CampaignBlock, ConfigError> {
        let expanded = self.expand(&self.campaign.block_data, &["campaign"], "campaign")?;
        serde_json::from_value(expanded)
            .map_err(|error| self.campaign.error_at(&["campaign"], format!("`campaign`: {error}"), "mend it"))
    }

    /// Replaces environment variables in all strings of a value.
    fn expand(&self, value: &Json, place: &[&str], name: &str) -> Result<Json, ConfigError> {
        Ok(match value {
            Json::String(text) => match env::expand(text, self.environment) {
                Ok(text) => Json::String(text),
                Err(Undefined(variable)) => {
                    let span =
                        (!place.is_empty()).then(|| self.campaign.tree.at(place)).flatten().map(|node| node.span);
                    let message = format!("`{name}`: the environment variable `{variable}` is not set");
                    return Err(ConfigError {
                        name: self.campaign.path.display().to_string(),
                        text: self.campaign.text.clone(),
                        problems: vec![
                            Problem::new(span, message)
                                .help(format!("set it (`export {variable}=...`), or write `$$` for a dollar sign")),
                        ],
                    });
                }
            },
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.expand(item, place, name)).collect::<Result<_, _>>()?)
            }
            Json::Object(map) => {
                let mut out = Map::new();
                for (key, value) in map {
                    let mut inside = place.to_vec();
                    inside.push(key);
                    // Of the overrides no place is known.
                    let inside = if place.is_empty() { Vec::new() } else { inside };
                    out.insert(key.clone(), self.expand(value, &inside, &format!("{name}.{key}"))?);
                }
                Json::Object(out)
            }
            other => other.clone(),
        })
    }
}

/// What is said where a field is too small for the w-gridder that the file asks for.
fn too_small(wsclean: &WscleanOptions) -> String {
    format!(
        "{} pixels of {} are too small a field for wsclean's w-gridder, which would make an image of zeros: write \
         `gridder: wstacking`, or leave the key out",
        wsclean.size, wsclean.scale
    )
}

/// Options of a mode in `defaults`, in a round or operation, and on the command line, each with its place.
type Layers<'a> = [(Option<&'a ModeOptions>, Option<Vec<&'a str>>); 3];

/// Merged options of one element, each with the place that it is written at (empty: on the command line).
type Placed<'a> = IndexMap<&'a str, (&'a Json, Vec<String>)>;

/// Options of a mode, merged layer by layer.
struct Merged<'a> {
    elements: Vec<Placed<'a>>,
    /// They are a list by now.
    listed: bool,
}

impl Default for Merged<'_> {
    fn default() -> Self {
        Self { elements: vec![Placed::new()], listed: false }
    }
}

impl<'a> Merged<'a> {
    /// Puts a layer on top: a map updates every element; a list takes the place of a list, and each of its maps updates
    /// a single one.
    fn update(&mut self, layer: &'a ModeOptions, place: Option<&[&str]>) {
        let put = |into: &mut Placed<'a>, element: Option<usize>, map: &'a Map<String, Json>| {
            for (key, value) in map {
                let path = place.into_iter().flatten().map(|part| (*part).to_owned());
                let path = path.chain(element.map(|index| index.to_string()));
                let path = path.chain(place.is_some().then(|| key.clone())).collect();
                into.insert(key, (value, path));
            }
        };
        match layer {
            ModeOptions::Map(map) => self.elements.iter_mut().for_each(|into| put(into, None, map)),
            ModeOptions::List(_) => {
                let base = if self.listed { Placed::new() } else { self.elements.swap_remove(0) };
                let updated = |(element, map)| {
                    let mut into = base.clone();
                    put(&mut into, element, map);
                    into
                };
                self.elements = layer.numbered().map(updated).collect();
                self.listed = true;
            }
        }
    }
}

/// The mask with these settings, and the options of its methods in `round`; `None`: the method is none.
pub(super) fn mask_of(
    campaign: &CampaignFile,
    options: &Options,
    settings: &MaskSettings,
    round: usize,
) -> Result<Option<MaskPlan>, PlanError> {
    if settings.method == MaskMethod::None {
        return Ok(None);
    }
    let base = campaign.folder();
    let files = |files: &[PathBuf]| files.iter().map(|file| absolute(&base.join(file))).collect::<Result<Vec<_>, _>>();
    Ok(Some(MaskPlan {
        recipe: MaskRecipe {
            method: settings.method,
            combine: settings.combine,
            flint: options.typed(round, "masking")?,
            auto: settings.auto.clone(),
            multithresh: options.typed(round, "automask")?,
            noise: options.noise(round, &settings.noise)?,
            zeros: settings.zeros,
            ..MaskRecipe::default()
        },
        image: settings.image,
        field: settings.field.clone(),
        cadence: settings.cadence,
        every: settings.every,
        include: files(&settings.include)?,
        exclude: files(&settings.exclude)?,
        freeze_change: settings.freeze_change,
        confetti: (settings.cadence == MaskCadence::Cycle && settings.confetti_veto).then(|| settings.confetti.clone()),
    }))
}

/// Warnings about options of a strategy that are not used as written.
pub(crate) fn warnings(campaign: &CampaignFile, block: &CampaignBlock) -> Vec<String> {
    let mut warnings = Vec::new();
    let all = || std::iter::once(&campaign.defaults).chain(campaign.rounds.values()).chain([&campaign.overrides]);
    let written = |mode: &str, key: &str| all().any(|maps| maps.get(mode).is_some_and(|map| map.contains_key(key)));
    if block.imager == ImagerKind::Wsclean && written("wsclean", "data_column") {
        warnings.push(
            "`wsclean.data_column` is not used: the column that is imaged follows from the state of the data"
                .to_owned(),
        );
    }
    let others = ImagerKind::ALL.into_iter().filter(|kind| *kind != block.imager).filter_map(ImagerKind::mode);
    for mode in others.filter(|mode| all().any(|maps| maps.get(*mode).is_some_and(|map| !map.is_empty()))) {
        warnings.push(format!("the options of `{mode}` are not used: the imager is another one"));
    }
    if all().any(|maps| maps.contains_key("bane")) {
        warnings.push(
            "the options of `bane` set box and grid of the built-in noise maps; BANE itself is not run".to_owned(),
        );
    }
    warnings
}
