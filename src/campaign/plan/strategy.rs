//! flint's rules for the options of a round.
//!
//! Source: flint (flint-crew/flint, state of 2026-08), strategy format 0.2. Options of mode m in round r are
//! `defaults.m` updated by `selfcal.r.m`, key by key; a round past the last listed one has the last one's options.
//! Options of the command line go before both; the class's defaults fill the rest.

use crate::campaign::file::env::{self, Undefined};
use crate::campaign::file::{
    BaneOptions, CampaignBlock, CampaignFile, ConfigError, ImagerKind, Problem, invalid_values,
};
use crate::imager::ImagerOptions;
use crate::noise::NoiseOptions;
use crate::options::Validate;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

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
        let campaign = self.campaign;
        let listed = listed_round(campaign, round);
        let round_name = listed.map(|round| round.to_string()).unwrap_or_default();
        let layers = [
            (campaign.defaults.get(mode), Some(vec!["defaults", mode])),
            (listed.and_then(|round| campaign.rounds[&round].get(mode)), Some(vec!["selfcal", &round_name, mode])),
            (campaign.overrides.get(mode), None),
        ];
        let mut merged = IndexMap::new();
        for (layer, place) in layers {
            for (key, value) in layer.into_iter().flatten() {
                merged.insert(key.as_str(), (value, place.clone()));
            }
        }
        let mut options = Map::new();
        for (key, (value, place)) in merged {
            let place = place.map(|mut place| {
                place.push(key);
                place
            });
            let value = self.expand(value, &place.unwrap_or_default(), &format!("{mode}.{key}"))?;
            options.insert(key.to_owned(), value);
        }
        Ok(options)
    }

    /// The same as the tool's type, with its defaults filled in.
    pub(super) fn typed<T: DeserializeOwned>(&self, round: usize, mode: &str) -> Result<T, ConfigError> {
        let map = Json::Object(self.map(round, mode)?);
        // Options that are fine by themselves may not go together once they are merged.
        if let Some((key, message)) = invalid_values(mode, map.clone()).into_iter().next() {
            let listed = listed_round(self.campaign, round).map(|round| round.to_string()).unwrap_or_default();
            let in_round = ["selfcal", &listed, mode, &key];
            let place =
                if self.campaign.tree.at(&in_round).is_some() { &in_round[..] } else { &["defaults", mode, &key] };
            let help = format!("round {round} has the options of `defaults`, updated by its own");
            return Err(self.campaign.error_at(place, message, help));
        }
        serde_json::from_value(map).map_err(|error| self.unreadable(round, mode, &error))
    }

    /// Options of the imager that does the work.
    ///
    /// # Errors
    /// As [`Options::typed`].
    pub(crate) fn imager(&self, round: usize, block: &CampaignBlock) -> Result<ImagerOptions, ConfigError> {
        let mode = block.imager.mode();
        let map: Json = mode.map(|mode| self.typed(round, mode)).transpose()?.unwrap_or_default();
        let template = &block.executables.imager;
        block.imager.options(map, template).map_err(|error| self.unreadable(round, mode.unwrap_or_default(), &error))
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
