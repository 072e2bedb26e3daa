//! The campaign that a command works on: a campaign file or a flint strategy, and values that go before those of the
//! file. Shared by `run`, `plan`, `validate` and every other command that takes a campaign.

use crate::Result;
use crate::campaign::Campaign;
use crate::campaign::file::{CalibratorKind, ImagerKind, MaskMethod, Overrides, RoundSelection};
use serde_json::Value as Json;
use std::path::PathBuf;

/// Arguments that name a campaign.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CampaignArgs {
    /// The campaign file.
    #[arg(value_name = "CAMPAIGN.yaml", required_unless_present = "strategy")]
    pub campaign: Option<PathBuf>,

    /// A flint strategy file (format 0.2), unmodified, in place of a campaign file.
    #[arg(long, value_name = "STRATEGY.yaml", conflicts_with = "campaign")]
    pub strategy: Option<PathBuf>,

    #[command(flatten)]
    pub values: CampaignValues,
}

/// Values that go before those of the file.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "In place of the file's values")]
pub struct CampaignValues {
    /// Measurement sets: paths, or patterns in quotes ('beam*.ms').
    #[arg(long, value_name = "MS", num_args = 1..)]
    pub ms: Vec<String>,

    /// Folder for all results of the campaign.
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Number of the last round; round 0, before any calibration, comes first.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,

    /// The program that makes the images.
    #[arg(long, value_enum)]
    pub imager: Option<ImagerKind>,

    /// The program that solves for gains and applies them.
    #[arg(long, value_enum)]
    pub calibrator: Option<CalibratorKind>,

    /// How clean masks are made.
    #[arg(long, value_enum, value_name = "METHOD")]
    pub mask: Option<MaskMethod>,

    /// Whether masks are used at all (flint's option).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub use_beam_masks: Option<bool>,

    /// No masks in any round (flint's option).
    #[arg(long, conflicts_with = "use_beam_masks")]
    pub no_use_beam_masks: bool,

    /// Masks in this round and all later ones (flint's option).
    #[arg(long, value_name = "ROUND")]
    pub use_beam_masks_from: Option<usize>,

    /// Masks in these rounds: all, none, a round (and all later ones), or rounds with commas (flint's option).
    #[arg(long, value_name = "ROUNDS")]
    pub use_beam_masks_rounds: Option<RoundSelection>,

    /// Rounds that image without calibrating first (flint's option).
    #[arg(long, value_name = "ROUND", num_args = 1.., value_delimiter = ',')]
    pub skip_selfcal_on_rounds: Vec<usize>,

    /// Folder of the tar files that the strategy's mode `archive` asks for (flint's option).
    #[arg(long, value_name = "DIR")]
    pub sbid_archive_path: Option<PathBuf>,

    /// Folder of the copies that the strategy's mode `archive` asks for (flint's option).
    #[arg(long, value_name = "DIR")]
    pub sbid_copy_path: Option<PathBuf>,

    /// Any other key, with its value in YAML: wsclean.niter=1000 (all rounds), selfcal.2.gaincal.solint=30s,
    /// campaign.resources.threads=8. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

impl CampaignArgs {
    /// Reads and checks the file with these values on top.
    ///
    /// # Errors
    /// The file cannot be read, or it or a value has mistakes.
    pub fn load(&self) -> Result<Campaign> {
        let path = self.campaign.as_ref().or(self.strategy.as_ref());
        let path =
            path.ok_or_else(|| crate::Error::bad_input("name a campaign file, or a strategy with --strategy"))?;
        Campaign::load_with(path, &self.values.overrides())
    }
}

impl CampaignValues {
    /// The values in the loader's terms.
    pub fn overrides(&self) -> Overrides {
        let mut settings = Vec::new();
        let mut set = |key: &str, value: Option<String>| {
            settings.extend(value.map(|value| format!("campaign.{key}={value}")));
        };
        set("rounds", self.rounds.map(|rounds| rounds.to_string()));
        set("imager", self.imager.as_ref().map(word));
        set("calibrator", self.calibrator.as_ref().map(word));
        set("mask.method", self.mask.as_ref().map(word));
        let allowed = if self.no_use_beam_masks { Some(false) } else { self.use_beam_masks };
        set("use_beam_masks", allowed.map(|allowed| allowed.to_string()));
        set("use_beam_masks_from", self.use_beam_masks_from.map(|round| round.to_string()));
        let list = |rounds: &RoundSelection| match rounds {
            RoundSelection::List(_) => format!("[{rounds}]"),
            _ => rounds.to_string(),
        };
        set("use_beam_masks_rounds", self.use_beam_masks_rounds.as_ref().map(list));
        let skipped: Vec<String> = self.skip_selfcal_on_rounds.iter().map(ToString::to_string).collect();
        set("skip_selfcal_on_rounds", (!skipped.is_empty()).then(|| format!("[{}]", skipped.join(","))));
        // Paths of the command line start where it was typed.
        let folder = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|p| Json::from(std::path::absolute(p).as_ref().unwrap_or(p).to_string_lossy()).to_string())
        };
        set("sbid_archive_path", folder(&self.sbid_archive_path));
        set("sbid_copy_path", folder(&self.sbid_copy_path));
        settings.extend(self.settings.iter().cloned());
        Overrides { measurement_sets: self.ms.clone(), output: self.output.clone(), settings }
    }
}

/// The word of a choice, as it is written in the file.
fn word(choice: &impl clap::ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
