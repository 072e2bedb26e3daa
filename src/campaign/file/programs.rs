//! `campaign.imager`, `calibrator`, `executables`: which programs do the work, and how they are called.

use super::reading::findings::Findings;
pub use crate::imager::ImagerKind;
use crate::imager::ImagerOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The calibrator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CalibratorKind {
    /// CASA's gaincal and applycal, with the options of the mode `gaincal`.
    #[default]
    Casa,
    /// QuartiCal, with the options of the mode `gaincal`.
    Quartical,
    /// Any program, called as `executables.calibrator` says.
    Command,
    /// No calibration: every round images the same data.
    None,
}

/// Commands of the external programs: each a list of words, so that containers and MPI work
/// (`[apptainer, exec, wsclean.sif, wsclean]`, `[mpirun, -n, 4, wsclean-mp]`). A single text is one word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Executables {
    /// Command of wsclean.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub wsclean: Vec<String>,
    /// Command of a Python that can import casatasks. Empty: the one that `cleanloop setup casa` makes.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub casa: Vec<String>,
    /// Command of a Python that can import quartical. Empty: the one that `cleanloop setup quartical` makes.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub quartical: Vec<String>,
    /// Template of the imager `command`; see `docs/imagers.md`.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub imager: Vec<String>,
    /// Template of the calibrator `command`; see `docs/calibration.md`.
    #[serde(deserialize_with = "words")]
    #[schemars(with = "Words")]
    pub calibrator: Vec<String>,
}

impl Default for Executables {
    fn default() -> Self {
        Self {
            wsclean: vec!["wsclean".to_owned()],
            casa: Vec::new(),
            quartical: Vec::new(),
            imager: Vec::new(),
            calibrator: Vec::new(),
        }
    }
}

impl Executables {
    /// The words of the program that runs an imager; for tclean those of CASA's Python.
    pub(crate) fn of_imager(&self, imaging: &ImagerOptions) -> &[String] {
        match imaging {
            ImagerOptions::Wsclean(_) => &self.wsclean,
            ImagerOptions::Tclean(_) => &self.casa,
            ImagerOptions::Command(_) => &self.imager,
        }
    }
}

/// A word, or a list of words and numbers.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<Word>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Word {
    Text(String),
    Whole(i64),
    Number(f64),
}

impl Word {
    /// As text.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Words::deserialize(deserializer)? {
        Words::One(word) => vec![word],
        Words::Several(words) => words.into_iter().map(Word::into_text).collect(),
    })
}

/// Text, or a number that stands for it.
pub(crate) fn any_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Word::deserialize(deserializer).map(Word::into_text)
}

/// Programs that are chosen have command lines.
pub(super) fn check(found: &mut Findings<'_>) {
    let block = &found.campaign.block;
    let needed = [
        (block.imager == ImagerKind::Command, block.executables.imager.is_empty(), "imager"),
        (block.calibrator == CalibratorKind::Command, block.executables.calibrator.is_empty(), "calibrator"),
    ];
    for (_, _, program) in needed.into_iter().filter(|(is_chosen, is_empty, _)| *is_chosen && *is_empty) {
        let help = format!("give its words under `campaign.executables.{program}`");
        found.problem(&[program], format!("the {program} `command` needs a command line"), &help);
    }
    if block.executables.wsclean.is_empty() {
        found.problem(&["executables", "wsclean"], "`campaign.executables.wsclean` is empty", "");
    }
}
