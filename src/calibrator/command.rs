//! Any program as a calibrator: a template of words.
//!
//! The program solves and applies in one go: it must leave its result in `CORRECTED_DATA` and `DATA` as it was. As it
//! has no tables that could be applied again, the column is kept, so that undoing a round is exact.

use super::options::GaincalOptions;
use super::{Calibrator, SolutionTable, SolveRequest};
use crate::Result;
use crate::measurement_set::{self, MsSummary};
use crate::process::{Limits, Program};
use crate::programs::casa::Casa;
use crate::programs::casa::requests::{LoadColumn, SaveColumn};
use crate::quality::solutions::SolutionStats;
use std::path::Path;

/// Folder of the kept column, in the folder of the request.
const COLUMN_FOLDER: &str = "corrected";
/// Names that stand for something in the template.
pub const PLACEHOLDERS: [&str; 10] = [
    "ms",
    "model_column",
    "data_column",
    "corrected_column",
    "solint",
    "calmode",
    "gaincal",
    "round",
    "folder",
    "threads",
];

/// Errors of a calibrator of this kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibratorCommandError {
    /// There is no template.
    #[error(
        "calibrator: command needs a template: `executables: {{calibrator: [program, '{{ms}}', ...]}}`, with the words \
         {}",
        placeholders()
    )]
    NoTemplate,
    /// An unknown name in braces.
    #[error("executables.calibrator: unknown placeholder {{{name}}}; known are {}", placeholders())]
    UnknownPlaceholder {
        /// The name.
        name: String,
    },
    /// The measurement set is named nowhere.
    #[error("executables.calibrator: no word holds {{ms}}: the program needs the measurement set")]
    NoMeasurementSet,
    /// The program would not hear of the chain.
    #[error(
        "executables.calibrator: no word holds {{gaincal}}, but a round has a chain of {solves} solves: write {{gaincal}} \
         in a word (the chain as JSON), or make `gaincal` of that round one map"
    )]
    NoChains {
        /// Number of solves.
        solves: usize,
    },
    /// Solutions of an earlier round are the program's affair.
    #[error(
        "gaincal.reuse with calibrator: command: cleanloop does not know the program's solutions; leave `reuse` out"
    )]
    NoReuse,
    /// Exit status 0, but nothing was written.
    #[error("{command} succeeded, but did not write CORRECTED_DATA of {ms} (it still equals DATA)\n  log: {log}")]
    NothingWritten {
        /// The command.
        command: String,
        /// The measurement set.
        ms: String,
        /// Its log.
        log: String,
    },
    /// The raw data are not what they were.
    #[error(
        "{command} changed the column DATA of {ms}: a calibrator must write to CORRECTED_DATA only; start again from the \
         original measurement set\n  log: {log}"
    )]
    DataChanged {
        /// The command.
        command: String,
        /// The measurement set.
        ms: String,
        /// Its log.
        log: String,
    },
}

impl From<CalibratorCommandError> for crate::Error {
    fn from(e: CalibratorCommandError) -> Self {
        match e {
            CalibratorCommandError::NothingWritten { .. } | CalibratorCommandError::DataChanged { .. } => {
                Self::external(e)
            }
            _ => Self::bad_input(e),
        }
    }
}

fn placeholders() -> String {
    PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(" ")
}

/// A calibrator made of a template of words.
#[derive(Debug)]
pub struct CommandCalibrator {
    template: Vec<String>,
    chain: Vec<GaincalOptions>,
    casa: Casa,
    limits: Limits,
}

impl CommandCalibrator {
    /// `casa` looks after the columns.
    ///
    /// # Errors
    /// A template that is empty, names no measurement set, or has an unknown placeholder; a chain of several solves for a
    /// template without `{gaincal}`.
    pub fn new(template: Vec<String>, chain: Vec<GaincalOptions>, casa: Casa, limits: Limits) -> Result<Self> {
        check_template(&template)?;
        super::check_chain(&chain)?;
        if chain.len() > 1 && !takes_chains(&template) {
            return Err(CalibratorCommandError::NoChains { solves: chain.len() }.into());
        }
        if chain.iter().any(|element| element.reuse) {
            return Err(CalibratorCommandError::NoReuse.into());
        }
        Ok(Self { template, chain, casa, limits })
    }

    /// The chain as JSON: a list of maps with all keys, every term with its name.
    fn chain_json(&self) -> String {
        let named = super::term_names(&self.chain).into_iter().zip(&self.chain);
        let all: Vec<GaincalOptions> =
            named.map(|(term, element)| GaincalOptions { term, ..element.clone() }).collect();
        serde_json::json!(all).to_string()
    }

    fn words(&self, request: &SolveRequest) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let values = [
            text(&request.measurement_set),
            "MODEL_DATA".into(),
            "DATA".into(),
            "CORRECTED_DATA".into(),
            self.chain[0].solint.clone(),
            self.chain[0].calmode.name().into(),
            self.chain_json(),
            request.round.to_string(),
            text(&request.folder),
            request.threads.to_string(),
        ];
        self.template.iter().map(|word| fill(word, &values)).collect()
    }
}

/// Whether the program hears of a chain.
fn takes_chains(template: &[String]) -> bool {
    template.iter().any(|word| word.contains("{gaincal}"))
}

/// Replaces the placeholders in one pass, so that a value with braces in it is left alone.
fn fill(word: &str, values: &[String; PLACEHOLDERS.len()]) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(start) = rest.find('{') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let known =
            PLACEHOLDERS.iter().position(|name| rest[1..].strip_prefix(name).is_some_and(|r| r.starts_with('}')));
        match known {
            Some(index) => {
                out.push_str(&values[index]);
                rest = &rest[PLACEHOLDERS[index].len() + 2..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

fn check_template(template: &[String]) -> Result<(), CalibratorCommandError> {
    if template.is_empty() {
        return Err(CalibratorCommandError::NoTemplate);
    }
    for word in template {
        // Only plain names in braces are ours: {a,b} and {"json": 1} are the program's affair.
        for part in word.split('{').skip(1) {
            let name = part.split('}').next().unwrap_or_default();
            let plain =
                part.contains('}') && !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_lowercase());
            if plain && !PLACEHOLDERS.contains(&name) {
                return Err(CalibratorCommandError::UnknownPlaceholder { name: name.to_owned() });
            }
        }
    }
    if !template.iter().any(|word| word.contains("{ms}")) {
        return Err(CalibratorCommandError::NoMeasurementSet);
    }
    Ok(())
}

impl Calibrator for CommandCalibrator {
    fn version(&mut self) -> Result<String> {
        Ok(self.template[0].clone())
    }

    fn chains(&self) -> bool {
        takes_chains(&self.template)
    }

    fn solve(
        &mut self,
        request: &SolveRequest,
        _solve: usize,
        _before: &[SolutionTable],
        _earlier: &[SolutionTable],
    ) -> Result<Vec<SolutionTable>> {
        let ms = &request.measurement_set;
        super::refuse_empty_model(&self.casa, ms)?;
        measurement_set::copy_column(&self.casa, ms, "DATA", "CORRECTED_DATA")?;
        let before = measurement_set::checksum(&self.casa, ms, "DATA")?;
        let words = self.words(request);
        let command = crate::util::shell::line(&words);
        let mut program = Program::new(words, &request.log);
        program.limits = self.limits;
        program.install_hint = "it is named by the key executables.calibrator".into();
        program.run(&mut |_| {})?;
        let (ms_text, log) = (ms.display().to_string(), request.log.display().to_string());
        let summary = MsSummary::read(&self.casa, ms)?;
        if measurement_set::checksum(&self.casa, ms, "DATA")? != before {
            return Err(CalibratorCommandError::DataChanged { command, ms: ms_text, log }.into());
        }
        if !summary.has_column("CORRECTED_DATA")
            || measurement_set::checksum(&self.casa, ms, "CORRECTED_DATA")? == before
        {
            return Err(CalibratorCommandError::NothingWritten { command, ms: ms_text, log }.into());
        }
        let folder = request.folder.join(COLUMN_FOLDER);
        let column = "CORRECTED_DATA".to_owned();
        self.casa.ask(&SaveColumn { ms: ms.clone(), column, folder: folder.clone() }, None)?;
        Ok(vec![SolutionTable { path: folder, channels: None, spectral_window: None, term: String::new() }])
    }

    fn apply(&mut self, measurement_set: &Path, tables: &[SolutionTable], _log: &Path) -> Result<()> {
        let Some(table) = tables.last() else {
            return measurement_set::copy_column(&self.casa, measurement_set, "DATA", "CORRECTED_DATA");
        };
        let (ms, column) = (measurement_set.to_path_buf(), "CORRECTED_DATA".to_owned());
        self.casa.ask(&LoadColumn { ms, column, folder: table.path.clone() }, None)
    }

    fn inspect(&mut self, _tables: &[SolutionTable]) -> Result<Vec<SolutionStats>> {
        // The program keeps its solutions to itself.
        Ok(Vec::new())
    }

    fn set_identity_gains(
        &mut self,
        _tables: &[SolutionTable],
        _term: &str,
        _antennas: &[String],
        _log: &Path,
    ) -> Result<()> {
        // Without statistics no antenna is ever named.
        Ok(())
    }

    fn command_lines(&self, request: &SolveRequest) -> Vec<Vec<String>> {
        vec![self.words(request)]
    }

    fn apply_line(&self, _tables: &[SolutionTable]) -> Option<String> {
        // What was kept is a column of this measurement set.
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn placeholders_are_filled_in_one_pass() {
        let values = PLACEHOLDERS.map(|name| format!("<{name}>"));
        assert_eq!(fill("msin={ms}", &values), "msin=<ms>");
        assert_eq!(fill("{solint}/{round}", &values), "<solint>/<round>");
        assert_eq!(fill("{a,b} {\"x\": 1} {", &values), "{a,b} {\"x\": 1} {");
        let tricky = PLACEHOLDERS.map(|_| "{round}".to_owned());
        assert_eq!(fill("{ms}", &tricky), "{round}", "values are not filled again");
    }

    #[test]
    fn a_chain_goes_to_the_program_as_json() {
        let open = |template: &[&str], chain: serde_json::Value| {
            let chain = serde_json::from_value(chain).expect("a chain");
            let casa = Casa::open(&["python3".to_owned()], None).expect("a handle");
            CommandCalibrator::new(words(template), chain, casa, Limits::default())
        };
        let chain = serde_json::json!([{"solint": "30s"}, {"solint": "inf", "calmode": "ap"}]);
        let good = open(&["solve", "{ms}", "{gaincal}"], chain.clone()).expect("it hears of the chain");
        assert!(good.chains());
        let read: Vec<GaincalOptions> = serde_json::from_str(&good.chain_json()).expect("JSON");
        let terms: Vec<_> = read.iter().map(|o| (o.term.as_str(), o.solint.as_str(), o.calmode.name())).collect();
        assert_eq!(terms, [("phase", "30s", "p"), ("gains", "inf", "ap")]);
        let error = |result: Result<CommandCalibrator>| {
            let e = result.expect_err("refused");
            crate::util::testing::inner::<CalibratorCommandError>(&e).to_string()
        };
        let deaf = ["solve", "{ms}", "{solint}"];
        let single = open(&deaf, serde_json::json!([{}])).expect("one solve needs no list");
        assert!(!single.chains());
        let said = [error(open(&deaf, chain)), error(open(&["solve", "{ms}"], serde_json::json!([{"reuse": true}])))];
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn templates_are_checked() {
        check_template(&words(&["DP3", "msin={ms}", "steps=[{a,b}]"])).expect("good");
        let error = |list: &[&str]| check_template(&words(list)).expect_err("bad");
        assert!(matches!(error(&[]), CalibratorCommandError::NoTemplate));
        let unknown = error(&["DP3", "{ms}", "{solints}"]);
        assert!(matches!(unknown, CalibratorCommandError::UnknownPlaceholder { name } if name == "solints"));
        assert!(matches!(error(&["DP3"]), CalibratorCommandError::NoMeasurementSet));
    }
}
