//! The campaign file: flint's strategy format 0.2 plus a `campaign:` block. See `docs/campaign.md`.
//!
//! [`load`] reads a file in four steps: text to a tree with places ([`yaml`]), the tree against the schema of the option
//! structs ([`check`]; all mistakes are collected), rules that concern several keys, and values on top that come from
//! the command line ([`Overrides`]). What a round then really does is resolved by [`crate::campaign::plan`].
//!
//! One file an element: its type, default, reading, documentation and tests are together.

pub mod archive;
pub mod block;
pub mod check;
pub mod env;
pub mod mask;
pub mod modes;
pub mod problem;
pub mod programs;
pub mod resources;
pub mod rounds;
pub mod scheduler;
pub mod schema;
pub mod yaml;

pub use crate::batch_system::JobOptions;
pub use crate::major_cycle::StopOptions;
pub use crate::util::duration::TimeLimit;
pub use archive::{ArchiveOptions, FlintArchiveOptions};
pub use block::{CampaignBlock, OnFailure, StartColumn, WorkOn};
pub use mask::{CombineRule, FieldOptions, MaskCadence, MaskImage, MaskMethod, MaskSettings};
pub use modes::{BaneOptions, Modes};
pub use problem::{ConfigError, Problem, Span};
pub use programs::{CalibratorKind, Executables, ImagerKind};
pub use resources::Resources;
pub use rounds::{RoundSelection, consider_mask_round};
pub use scheduler::{Loss, SchedulerKind, SchedulerOptions};

use crate::calibrator::options::GaincalOptions;
use crate::imager::tclean::TcleanOptions;
use crate::masking::MaskingOptions;
use crate::masking::multithresh::MultithreshOptions;
use crate::noise::NoiseOptions;
use crate::options::Validate;
use modes::{MODES_NOT_RUN, OPERATIONS_NOT_RUN};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use yaml::{Entry, Node, Value};

/// The only version of the format there is.
pub const VERSION: f64 = 0.2;

/// Keys of options, by mode.
pub type ModeMaps = BTreeMap<String, Map<String, Json>>;

/// Why a campaign file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It cannot be read.
    #[error("{}: the campaign file cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// It has mistakes.
    #[error(transparent)]
    Mistakes(#[from] ConfigError),
}

impl From<LoadError> for crate::Error {
    fn from(error: LoadError) -> Self {
        Self::bad_input(error)
    }
}

/// Values of the command line, which go before those of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// In place of `campaign.measurement_sets`; relative paths start at the working directory.
    pub measurement_sets: Vec<String>,
    /// In place of `campaign.output`; a relative path starts at the working directory.
    pub output: Option<PathBuf>,
    /// Settings `KEY=VALUE`, the value in YAML: `wsclean.niter=1000` (every round), `selfcal.2.gaincal.solint=30s`,
    /// `campaign.rounds=4`.
    pub settings: Vec<String>,
}

/// A campaign file that was read and checked, with the command line's values on top.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignFile {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The `campaign:` block; environment variables are not yet replaced.
    pub block: CampaignBlock,
    /// The options that are written, by mode, for all rounds.
    pub defaults: ModeMaps,
    /// The options that are written, by round and mode.
    pub rounds: BTreeMap<usize, ModeMaps>,
    /// The options given on the command line, by mode; they go before those of any round.
    pub overrides: ModeMaps,
    /// Modes and operations that load but are not run, where they stand.
    pub not_run: Vec<String>,
    /// What is worth a warning.
    pub warnings: Vec<String>,
    /// The `campaign:` block as data.
    pub(crate) block_data: Json,
    pub(crate) tree: Node,
    pub(crate) command_line_sets: bool,
    pub(crate) command_line_output: bool,
}

/// Reads and checks a campaign file.
///
/// # Errors
/// The file cannot be read, or has mistakes: all of them are in the error.
pub fn load(path: &Path, overrides: &Overrides) -> Result<CampaignFile, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.to_path_buf(), source })?;
    parse(path, text, overrides).map_err(LoadError::Mistakes)
}

/// As [`load`], for a text that is at hand.
///
/// # Errors
/// The mistakes of the text; those of the command line's settings if the text has none.
pub fn parse(path: &Path, text: String, overrides: &Overrides) -> Result<CampaignFile, ConfigError> {
    let name = path.display().to_string();
    let fail = |problems: Vec<Problem>| ConfigError { name: name.clone(), text: text.clone(), problems };
    let tree = yaml::parse(&text).map_err(&fail)?;
    let mut problems = Vec::new();
    let root = schema::value();
    if matches!(tree.value, Value::Null) {
        return Err(fail(vec![
            Problem::new(None, "the file is empty").help("`cleanloop init` writes a campaign to start from"),
        ]));
    }
    version(&tree, &mut problems);
    let mut data = check::check(&tree, root, root, "", &mut problems);
    if !problems.is_empty() {
        return Err(fail(problems));
    }
    let mut command_line = ModeMaps::new();
    for setting in &overrides.settings {
        apply_setting(setting, root, &mut data, &mut command_line)?;
    }
    if !overrides.measurement_sets.is_empty() {
        data["campaign"]["measurement_sets"] = Json::from(overrides.measurement_sets.clone());
    }
    if let Some(output) = &overrides.output {
        data["campaign"]["output"] = Json::from(output.to_string_lossy());
    }
    let mut campaign = CampaignFile {
        path: path.to_path_buf(),
        block: CampaignBlock::default(),
        defaults: mode_maps(data.get("defaults")),
        rounds: round_maps(&data),
        overrides: command_line,
        not_run: not_run(&data),
        warnings: Vec::new(),
        block_data: data.get("campaign").filter(|block| !block.is_null()).cloned().unwrap_or_else(|| Map::new().into()),
        command_line_sets: !overrides.measurement_sets.is_empty(),
        command_line_output: overrides.output.is_some(),
        tree,
        text: text.clone(),
    };
    typed_modes(&campaign, &mut problems);
    match serde_json::from_value::<CampaignBlock>(campaign.block_data.clone()) {
        Ok(block) => campaign.block = block,
        Err(error) => problems.push(blame(&campaign.tree, &["campaign"], &campaign.block_data, &error, &|value| {
            serde_json::from_value::<CampaignBlock>(value).map(|_| ())
        })),
    }
    if problems.is_empty() {
        several_keys(&mut campaign, &mut problems);
    }
    if problems.is_empty() { Ok(campaign) } else { Err(fail(problems)) }
}

impl CampaignFile {
    /// An error about a key of the file, shown with its line.
    pub fn error_at(&self, path: &[&str], message: impl Into<String>, help: impl Into<String>) -> ConfigError {
        let span = self.tree.at(path).map(|node| node.span);
        ConfigError {
            name: self.path.display().to_string(),
            text: self.text.clone(),
            problems: vec![Problem::new(span, message).help(help)],
        }
    }

    /// Folder at which relative paths of the file start.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Name of the campaign.
    pub fn name(&self) -> String {
        let stem = || self.path.file_stem().map_or_else(|| "campaign".into(), |stem| stem.to_string_lossy());
        self.block.name.clone().unwrap_or_else(|| stem().into_owned())
    }

    /// The last round; round 0 comes on top.
    pub fn last_round(&self) -> usize {
        self.block.rounds.unwrap_or_else(|| self.rounds.keys().next_back().copied().unwrap_or(0))
    }

    /// The rounds that are cleaned with a mask: `mask.rounds`, or flint's field options where those are given.
    pub fn mask_rounds(&self) -> RoundSelection {
        let block = &self.block;
        match (&block.use_beam_masks_rounds, block.use_beam_masks_from) {
            (Some(rounds), _) => rounds.clone(),
            (None, Some(first)) => RoundSelection::From(first),
            (None, None) => block.mask.rounds.clone(),
        }
    }

    /// Whether masks are allowed at all.
    pub fn masks_allowed(&self) -> bool {
        self.block.use_beam_masks.unwrap_or(true) && self.block.mask.allow
    }
}

fn version(tree: &Node, problems: &mut Vec<Problem>) {
    let Value::Map(_) = &tree.value else { return };
    let expected = "this program reads version 0.2 of flint's strategy format";
    let Some(node) = tree.get("version") else {
        problems.push(Problem::new(None, "`version` is missing").help(format!("{expected}: write `version: 0.2`")));
        return;
    };
    let found = match &node.value {
        Value::Float(version) if (version - VERSION).abs() < f64::EPSILON => return,
        Value::Str(version) if version == "0.2" => return,
        Value::Float(version) => version.to_string(),
        Value::Int(version) => version.to_string(),
        Value::Str(version) => version.clone(),
        _ => "not a number".to_owned(),
    };
    problems.push(Problem::new(node.span, format!("the version of the file is {found}; expected 0.2")).help(expected));
}

/// The maps of the modes; a mode without options (`wsclean:`) is an empty map.
fn mode_maps(data: Option<&Json>) -> ModeMaps {
    let mut maps = ModeMaps::new();
    for (mode, options) in data.and_then(Json::as_object).into_iter().flatten() {
        if !MODES_NOT_RUN.contains(&mode.as_str()) {
            maps.insert(mode.clone(), options.as_object().cloned().unwrap_or_default());
        }
    }
    maps
}

fn round_maps(data: &Json) -> BTreeMap<usize, ModeMaps> {
    let rounds = data.get("selfcal").and_then(Json::as_object).into_iter().flatten();
    rounds.filter_map(|(round, modes)| Some((round.parse().ok()?, mode_maps(Some(modes))))).collect()
}

fn not_run(data: &Json) -> Vec<String> {
    let mut found = Vec::new();
    for operation in OPERATIONS_NOT_RUN {
        if data.get(operation).is_some() {
            found.push(format!("the operation `{operation}`"));
        }
    }
    let defaults = data.get("defaults").into_iter();
    let rounds = data.get("selfcal").and_then(Json::as_object).into_iter().flat_map(|rounds| rounds.values());
    for mode in MODES_NOT_RUN {
        if defaults.clone().chain(rounds.clone()).any(|modes| modes.get(mode).is_some()) {
            found.push(format!("the mode `{mode}`"));
        }
    }
    found
}

/// Puts one `KEY=VALUE` of the command line in its place.
fn apply_setting(setting: &str, root: &Json, data: &mut Json, modes: &mut ModeMaps) -> Result<(), ConfigError> {
    let name = "--set".to_owned();
    let fail = |problems| ConfigError { name: name.clone(), text: setting.to_owned(), problems };
    let whole = Span::new(0, setting.len());
    let Some((key, value)) = setting.split_once('=') else {
        let problem = Problem::new(whole, "a setting is KEY=VALUE").help("for example `wsclean.niter=1000`");
        return Err(fail(vec![problem]));
    };
    let mut node = yaml::parse(value).map_err(|problems| {
        fail(problems.into_iter().map(|problem| Problem { span: Some(whole), context: None, ..problem }).collect())
    })?;
    // Places are those of the whole setting.
    node.span = Span::new(key.len() + 1, setting.len());
    let mut parts: Vec<(&str, Span)> = Vec::new();
    let mut at = 0;
    for part in key.split('.') {
        parts.push((part, Span::new(at, at + part.len())));
        at += part.len() + 1;
    }
    let top_level = ["campaign", "defaults", "selfcal"].contains(&parts[0].0);
    for (part, span) in parts.iter().rev() {
        let entry = Entry { key: (*part).to_owned(), key_span: *span, value: node };
        node = Node { span: *span, value: Value::Map(vec![entry]) };
    }
    let mut problems = Vec::new();
    let modes_schema = &root["$defs"]["Modes"];
    if parts.len() < 2 {
        let known = root["properties"].as_object().into_iter().chain(modes_schema["properties"].as_object());
        let names = known.flat_map(|map| map.keys().map(String::as_str));
        let mut problem = Problem::new(whole, format!("`{key}` is not the full name of an option"));
        problem = match check::nearest(key, names) {
            Some(near) => problem.help(format!("options are named like `{near}.OPTION=VALUE`")),
            None => problem.help("options are named like `wsclean.niter=1000` or `campaign.rounds=4`"),
        };
        return Err(fail(vec![problem]));
    }
    let schema = if top_level { root } else { modes_schema };
    // A part of a file lacks the keys that a file must have.
    let mut partial = schema.clone();
    if let Some(object) = partial.as_object_mut() {
        object.remove("required");
    }
    let checked = check::check(&node, &partial, root, "", &mut problems);
    if !problems.is_empty() {
        return Err(fail(problems));
    }
    if top_level {
        forget_synonyms(key, data);
        merge(data, checked);
    } else {
        for (mode, options) in mode_maps(Some(&checked)) {
            let mut wrong = invalid_values(&mode, Json::Object(options.clone()));
            if let Err(error) = serde_json::from_value::<Modes>(checked.clone()) {
                wrong.insert(0, (String::new(), error.to_string()));
            }
            if let Some((_, message)) = wrong.into_iter().next() {
                return Err(fail(vec![Problem::new(whole, message)]));
            }
            modes.entry(mode).or_default().extend(options);
        }
    }
    Ok(())
}

/// The keys that say in which rounds masks are used.
const MASK_ROUNDS_KEYS: [&str; 3] = ["mask.rounds", "use_beam_masks_from", "use_beam_masks_rounds"];

/// A value of the command line for one of the keys that name the mask's rounds replaces whichever the file has.
fn forget_synonyms(key: &str, data: &mut Json) {
    let Some(key) = key.strip_prefix("campaign.").filter(|key| MASK_ROUNDS_KEYS.contains(key)) else { return };
    let Some(block) = data.get_mut("campaign").and_then(Json::as_object_mut) else { return };
    block.shift_remove("use_beam_masks_rounds");
    block.shift_remove("use_beam_masks_from");
    if key != "mask.rounds"
        && let Some(mask) = block.get_mut("mask").and_then(Json::as_object_mut)
    {
        mask.shift_remove("rounds");
    }
}

/// Updates a map by another, level by level.
fn merge(into: &mut Json, from: Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                let slot = into.entry(key.clone()).or_insert(Json::Null);
                // A word that stands for one setting makes room for others.
                if value.is_object() && slot.is_string() {
                    let single = if key == "scheduler" { "engine" } else { "method" };
                    *slot = Json::Object(Map::from_iter([(single.to_owned(), slot.take())]));
                }
                merge(slot, value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Reads every written map of options as its type: what the schema cannot say is found here.
fn typed_modes(campaign: &CampaignFile, problems: &mut Vec<Problem>) {
    let read = |value: Json| serde_json::from_value::<Modes>(value).map(|_| ());
    let rounds = campaign.rounds.iter().map(|(round, maps)| (Some(round.to_string()), maps));
    for (round, maps) in std::iter::once((None, &campaign.defaults)).chain(rounds) {
        for (mode, options) in maps {
            let wrap = |options: Json| Json::Object(Map::from_iter([(mode.clone(), options)]));
            let value = Json::Object(options.clone());
            if let Err(error) = read(wrap(value.clone())) {
                let place = match &round {
                    Some(round) => vec!["selfcal", round, mode],
                    None => vec!["defaults", mode],
                };
                problems.push(blame(&campaign.tree, &place, &value, &error, &|options| read(wrap(options))));
                continue;
            }
            let node = |key: &str| match &round {
                Some(round) => campaign.tree.at(&["selfcal", round, mode, key]),
                None => campaign.tree.at(&["defaults", mode, key]),
            };
            for (key, message) in invalid_values(mode, value) {
                problems.push(Problem::new(node(&key).map(|node| node.span), message));
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
fn blame(tree: &Node, place: &[&str], map: &Json, whole: &serde_json::Error, read: &Reader) -> Problem {
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

/// Rules that one key alone cannot break.
fn several_keys(campaign: &mut CampaignFile, problems: &mut Vec<Problem>) {
    let span = |path: &[&str]| campaign.tree.at(path).map(|node| node.span);
    let last = campaign.last_round();
    let block = &campaign.block;
    if block.measurement_sets.is_empty() {
        let place = span(&["campaign", "measurement_sets"])
            .or_else(|| campaign.tree.entry("campaign").map(|entry| entry.key_span));
        problems.push(
            Problem::new(place, "no measurement sets are named")
                .help("list them under `campaign.measurement_sets`, or give them with --ms"),
        );
    }
    let fields = ["use_beam_masks_rounds", "use_beam_masks_from"];
    if let Some(field) = fields.into_iter().find(|field| span(&["campaign", field]).is_some())
        && let Some(place) = span(&["campaign", "mask", "rounds"])
    {
        problems.push(
            Problem::new(place, format!("`mask.rounds` and `{field}` are given"))
                .help("they mean the same: keep one of them"),
        );
    }
    let rounds_key = match (&block.use_beam_masks_rounds, block.use_beam_masks_from) {
        (Some(_), _) => vec!["campaign", "use_beam_masks_rounds"],
        (None, Some(_)) => vec!["campaign", "use_beam_masks_from"],
        (None, None) => vec!["campaign", "mask", "rounds"],
    };
    if block.mask.image == MaskImage::Field && matches!(block.mask.method, MaskMethod::Multithresh | MaskMethod::Both) {
        problems.push(
            Problem::new(
                span(&["campaign", "mask", "image"]),
                "a mask of the field needs the method `flint` or `auto`",
            )
            .help("auto-multithresh works on each measurement set's own residual: `image: beam`"),
        );
    }
    for (key, pattern, why) in block.archive.problems() {
        problems.push(
            Problem::new(
                span(&["campaign", "archive", key]),
                format!("`archive.{key}`: the pattern `{pattern}`: {why}"),
            )
            .help("for example `final/*.fits`, `**/*.cal`"),
        );
    }
    let mask_rounds = campaign.mask_rounds();
    let beyond = |key: &[&str], round: usize| {
        Problem::new(span(key), format!("`{}` names round {round}, which does not exist", key.join(".")))
            .help(format!("this campaign has the rounds 0 to {last} (`campaign.rounds`)"))
    };
    let mut warnings = Vec::new();
    if let Some(round) = mask_rounds.beyond(last) {
        match mask_rounds {
            RoundSelection::From(_) => warnings.push(format!(
                "`{}` is {round}, but the last round is {last}: no round gets a mask",
                rounds_key.join(".")
            )),
            _ => problems.push(beyond(&rounds_key, round)),
        }
    }
    for round in block.skip_selfcal_on_rounds.iter().flatten().filter(|round| **round > last) {
        problems.push(beyond(&["campaign", "skip_selfcal_on_rounds"], *round));
    }
    if let Some(listed) = campaign.rounds.keys().next_back().filter(|listed| **listed > last) {
        warnings.push(format!("`selfcal` lists rounds up to {listed}, but the last round is {last}"));
    }
    let top = campaign.rounds.keys().next_back().copied().unwrap_or(0);
    for round in (0..top).filter(|round| !campaign.rounds.is_empty() && !campaign.rounds.contains_key(round)) {
        warnings.push(format!("`selfcal` does not list round {round}: it has the options of `defaults` alone"));
    }
    for error in block.acceptance.problems() {
        problems.push(Problem::new(span(&["campaign", "acceptance", error.key()]), error.to_string()));
    }
    for error in block.mask.noise.problems() {
        problems.push(Problem::new(span(&["campaign", "mask", "noise"]), error.to_string()));
    }
    let needed = [
        (block.imager == ImagerKind::Command, block.executables.imager.is_empty(), "imager"),
        (block.calibrator == CalibratorKind::Command, block.executables.calibrator.is_empty(), "calibrator"),
    ];
    for (chosen, empty, what) in needed {
        if chosen && empty {
            problems.push(
                Problem::new(span(&["campaign", what]), format!("the {what} `command` needs a command line"))
                    .help(format!("give its words under `campaign.executables.{what}`")),
            );
        }
    }
    for (program, words) in [("wsclean", &block.executables.wsclean)] {
        if words.is_empty() {
            let place = span(&["campaign", "executables", program]);
            problems.push(Problem::new(place, format!("`campaign.executables.{program}` is empty")));
        }
    }
    campaign.warnings = warnings;
}
