//! From the text of a campaign file to checked options.

pub(crate) mod automatic;
pub(crate) mod check;
pub(crate) mod env;
pub(super) mod findings;
mod maps;
pub(super) mod problem;
#[doc(hidden)]
pub mod schema;
mod setting;
pub(super) mod typed;
mod unknown;
pub(crate) mod yaml;

pub use problem::{ConfigError, Problem, TextSpan};
pub use setting::Overrides;

use super::{
    CampaignBlock, CampaignFile, ModeMaps, archive, block, final_imaging, mask, plain, programs, rounds, selection,
};
use findings::Findings;
use maps::{mode_maps, not_run, operation_maps, round_maps, version};
use serde_json::{Map, Value as Json};
use setting::apply_setting;
use std::path::{Path, PathBuf};
use typed::{blame, typed_modes};
use yaml::Value;

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
    let mut tree = yaml::parse(&text).map_err(&fail)?;
    let automatic = automatic::take(&mut tree);
    let mut problems = Vec::new();
    let root = schema::value();
    let unknown = unknown::take(&mut tree, root);
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
    let command_line = apply(overrides, root, &mut data)?;
    let filled_in = plain::fill_in(&tree, &mut data, &command_line);
    let mut campaign = CampaignFile {
        path: path.to_path_buf(),
        block: CampaignBlock::default(),
        defaults: mode_maps(data.get("defaults")),
        rounds: round_maps(&data),
        operations: operation_maps(&data),
        overrides: command_line,
        filled_in,
        not_run: not_run(&data).into_iter().chain(unknown).collect(),
        warnings: Vec::new(),
        automatic,
        block_data: data.get("campaign").filter(|block| !block.is_null()).cloned().unwrap_or_else(|| Map::new().into()),
        command_line_sets: !overrides.measurement_sets.is_empty(),
        command_line_output: overrides.output.is_some(),
        tree,
        text: text.clone(),
    };
    problems.extend(options_problems(&mut campaign));
    if problems.is_empty() {
        let found = elements(&campaign);
        problems = found.problems;
        campaign.warnings = found.warnings;
    }
    if problems.is_empty() { Ok(campaign) } else { Err(fail(problems)) }
}

/// Puts the command line's values into the data of the file; returns those that go before the options of any round.
fn apply(overrides: &Overrides, root: &Json, data: &mut Json) -> Result<ModeMaps, ConfigError> {
    let mut command_line = ModeMaps::new();
    for setting in &overrides.settings {
        apply_setting(setting, root, data, &mut command_line)?;
    }
    if !overrides.measurement_sets.is_empty() {
        data["campaign"]["measurement_sets"] = Json::from(overrides.measurement_sets.clone());
    }
    if let Some(output) = &overrides.output {
        data["campaign"]["output"] = Json::from(output.to_string_lossy());
    }
    Ok(command_line)
}

/// Reads modes and block as their types.
fn options_problems(campaign: &mut CampaignFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    typed_modes(campaign, &mut problems);
    match serde_json::from_value::<CampaignBlock>(campaign.block_data.clone()) {
        Ok(block) => campaign.block = block,
        Err(error) => problems.push(blame(&campaign.tree, &["campaign"], &campaign.block_data, &error, &|value| {
            serde_json::from_value::<CampaignBlock>(value).map(|_| ())
        })),
    }
    problems
}

/// Checks each element of the `campaign:` block, alone and with the others.
fn elements(campaign: &CampaignFile) -> Findings<'_> {
    let mut found = Findings::new(campaign);
    block::check(&mut found);
    mask::check(&mut found);
    archive::check(&mut found);
    rounds::check(&mut found);
    plain::check(&mut found);
    programs::check(&mut found);
    selection::check(&mut found);
    final_imaging::check(&mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        #[ignore = "long; in `make test` and `make fuzz`"]
        fn no_campaign_file_does_harm(bytes in crate::util::testing::damaged(
            include_bytes!("../../../../config/cycle.yaml").to_vec()
        )) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = parse(Path::new("a.yaml"), text, &Overrides::default());
        }
    }
}
