//! QuartiCal, tried with version 0.2.7.
//!
//! A round is two calls of `goquartical`. The first solves `DATA` against `MODEL_DATA` and writes gains (zarr), and
//! nothing into the measurement set: no products, no flags. The second loads these gains with no iterations to do and
//! writes `CORRECTED_DATA`. So tables are judged before they are applied, and an earlier round's tables can be applied
//! again, as with CASA.
//!
//! QuartiCal reports no signal-to-noise ratio; the CASA worker measures it (`gains/quality.py`). It flags
//! solutions below `minsnr`; QuartiCal bridges flagged solutions by interpolation when it loads them.

mod check;
mod words;

#[cfg(test)]
mod tests;

use super::options::{GainType, GaincalOptions, NormType};
use super::{Calibrator, SolutionTable, SolveRequest};
use crate::Result;
use crate::measurement_set::{self, MsSummary};
use crate::process::{Limits, Program};
use crate::programs::casa::requests::{GainStatistics, GainTerm};
use crate::programs::casa::{Casa, QUARTICAL_SCRIPT, source};
use crate::programs::setup::{self, Environment};
use crate::quality::solutions::SolutionStats;
use std::path::Path;
use words::{GAINS, GainGrid, SolvedTerms};

/// Statistics of the gains, beside them.
const STATISTICS: &str = "statistics.json";
/// Intervals that the gains were solved on, among them.
const GRID: &str = "grid.json";

/// Why QuartiCal's gains cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarticalError {
    /// It ended well, but left nothing.
    #[error("QuartiCal succeeded, but wrote no gains to {folder}\n  log: {log}")]
    NoGains {
        /// Where they should be.
        folder: String,
        /// Its words.
        log: String,
    },
    /// Everything is flagged.
    #[error("{ms}: all data are flagged")]
    AllFlagged {
        /// The measurement set.
        ms: String,
    },
    /// The reference antenna is unknown.
    #[error("{ms} has no antenna `{name}` to refer to; it has {known}")]
    NoAntenna {
        /// The measurement set.
        ms: String,
        /// The requested name.
        name: String,
        /// The known names.
        known: String,
    },
    /// The statistics are gone or unreadable.
    #[error("{path}: {reason}: solve this round again")]
    Statistics {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
}

impl From<QuarticalError> for crate::Error {
    fn from(e: QuarticalError) -> Self {
        match e {
            QuarticalError::NoGains { .. } => Self::external(e),
            _ => Self::bad_input(e),
        }
    }
}

/// QuartiCal with a chain of solves, which are the terms of one call.
#[derive(Debug)]
pub struct QuarticalCalibrator {
    python: Vec<String>,
    chain: Vec<GaincalOptions>,
    /// Name of each element of the chain.
    terms: Vec<String>,
    casa: Casa,
    limits: Limits,
}

impl QuarticalCalibrator {
    /// `python` is the command of a Python that can import quartical; empty: the one of `cleanloop setup quartical`.
    /// `casa` looks after columns and measures S/N.
    ///
    /// # Errors
    /// Invalid options, and options that QuartiCal has nothing like.
    pub fn new(python: Vec<String>, chain: Vec<GaincalOptions>, casa: Casa, limits: Limits) -> Result<Self> {
        super::check_chain(&chain)?;
        let terms = super::term_names(&chain);
        check::check_chain(&chain, &terms)?;
        Ok(Self { python, chain, terms, casa, limits })
    }

    /// A call of the script in QuartiCal's Python.
    fn program(&self, arguments: Vec<String>, log: &Path) -> Result<Program> {
        let (mut words, environment) = if self.python.is_empty() {
            let environment = Environment::ready(setup::Kind::Quartical)?;
            let words = environment.python_command().iter().map(|w| w.to_string_lossy().into_owned()).collect();
            (words, environment.variables())
        } else {
            (self.python.clone(), Vec::new())
        };
        words.push(source(QUARTICAL_SCRIPT)?.to_string_lossy().into_owned());
        words.extend(arguments);
        let mut program = Program::new(words, log);
        program.environment = environment;
        program.limits = self.limits;
        program.install_hint = "run `cleanloop setup quartical`, or name a Python with executables.quartical".into();
        Ok(program)
    }

    fn run(&self, command: &str, arguments: Vec<String>, log: &Path) -> Result<()> {
        let words = std::iter::once(command.to_owned()).chain(arguments).collect();
        self.program(words, log)?.run(&mut |_| {})?;
        Ok(())
    }

    /// The intervals that these gains were solved on: with another number of channels the options give others.
    fn grid_of(&self, gains: &Path) -> GainGrid {
        let stored = std::fs::read(gains.join(GRID)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        stored.unwrap_or_else(|| self.grid(None))
    }

    /// Measures the gains of each solve on their data; flags those of a low S/N, and normalises amplitudes.
    fn measure(&self, request: &SolveRequest, gains: &Path) -> Result<Vec<SolutionStats>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let scratch = tempfile::tempdir_in(&request.folder).map_err(crate::Error::internal)?;
        let (plain, edits) = (scratch.path().join("gains.npz"), scratch.path().join("edits.npz"));
        self.run("export", vec![text(gains), text(&plain)], &request.log)?;
        let statistics = GainStatistics {
            ms: request.measurement_set.clone(),
            gains: plain,
            edits: edits.clone(),
            terms: self.chain.iter().enumerate().map(|(index, o)| self.gain_term(index, o)).collect(),
        };
        let mut measured = self.casa.ask(&statistics, None)?;
        self.run("edit", vec![text(gains), text(&edits)], &request.log)?;
        for ((stats, o), name) in measured.iter_mut().zip(&self.chain).zip(&self.terms) {
            for term in &mut stats.terms {
                (term.term, term.kind, term.solint) = (name.clone(), o.kind(), o.solint.clone());
                if o.gaintype == GainType::T {
                    term.polarisation_difference = None;
                }
            }
        }
        Ok(measured)
    }

    /// What is done to the gains of a solve once they are measured.
    fn gain_term(&self, index: usize, o: &GaincalOptions) -> GainTerm {
        let how = if o.normtype == NormType::Median { "median" } else { "mean" };
        let normalise = (o.solnorm && o.kind().amplitudes()).then(|| how.to_owned());
        GainTerm { names: self.terms_of(index), minsnr: o.minsnr, normalise }
    }

    /// Number of the reference antenna.
    fn reference(&self, summary: &MsSummary, wanted: Option<&str>, ms: &Path) -> Result<usize> {
        let named = Some(self.chain[0].refant.as_str()).filter(|n| !n.is_empty()).or(wanted);
        let Some(name) = named.or(summary.reference_antenna.as_deref()) else {
            return Err(QuarticalError::AllFlagged { ms: ms.display().to_string() }.into());
        };
        // CASA takes a list of candidates; QuartiCal takes one antenna.
        let first = name.split(',').next().unwrap_or_default().trim();
        let by_name = summary.antennas.iter().position(|a| a.name == first);
        let by_number = || first.parse::<usize>().ok().filter(|n| *n < summary.antennas.len());
        by_name.or_else(by_number).ok_or_else(|| {
            let known: Vec<&str> = summary.antennas.iter().map(|a| a.name.as_str()).collect();
            let (ms, name) = (ms.display().to_string(), first.to_owned());
            QuarticalError::NoAntenna { ms, name, known: known.join(", ") }.into()
        })
    }
}

impl Calibrator for QuarticalCalibrator {
    fn version(&mut self) -> Result<String> {
        if self.python.is_empty() {
            Environment::ready(setup::Kind::Quartical)?;
            return Ok(format!("QuartiCal {}", setup::Kind::Quartical.version()));
        }
        Ok(format!("QuartiCal of {}", self.python.join(" ")))
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
        let summary = MsSummary::read(&self.casa, ms)?;
        if summary.reference_antenna.is_none() {
            return Err(QuarticalError::AllFlagged { ms: ms.display().to_string() }.into());
        }
        let reference = self.reference(&summary, request.reference_antenna.as_deref(), ms)?.to_string();
        let channels = summary.spectral_windows.iter().map(|w| w.frequencies_hz.len()).max();
        self.run("run", self.solve_words(request, &reference, channels), &request.log)?;
        let gains = request.folder.join(GAINS);
        if let Some(term) = self.all_terms().iter().find(|t| !gains.join(t).join(".zgroup").exists()) {
            let folder = gains.join(term).display().to_string();
            return Err(QuarticalError::NoGains { folder, log: request.log.display().to_string() }.into());
        }
        let statistics = self.measure(request, &gains)?;
        let statistics = serde_json::to_string(&statistics).map_err(crate::Error::internal)?;
        let grid = serde_json::to_string(&self.grid(channels)).map_err(crate::Error::internal)?;
        for (file, text) in [(gains.join(GRID), grid), (request.folder.join(STATISTICS), statistics)] {
            std::fs::write(file, text).map_err(crate::Error::internal)?;
        }
        Ok(vec![SolutionTable { path: gains, channels: None, spectral_window: None, term: String::new() }])
    }

    fn set_identity_gains(
        &mut self,
        tables: &[SolutionTable],
        term: &str,
        antennas: &[String],
        log: &Path,
    ) -> Result<()> {
        let index = self.terms.iter().position(|name| name == term).unwrap_or(0);
        for table in tables {
            let gains = table.path.to_string_lossy().into_owned();
            let mut words = vec![gains, "-".to_owned(), self.terms_of(index).join(",")];
            words.extend_from_slice(antennas);
            self.run("edit", words, log)?;
        }
        Ok(())
    }

    fn apply(&mut self, measurement_set: &Path, tables: &[SolutionTable], log: &Path) -> Result<()> {
        measurement_set::copy_column(&self.casa, measurement_set, "DATA", "CORRECTED_DATA")?;
        let Some(table) = tables.last() else { return Ok(()) };
        let summary = MsSummary::read(&self.casa, measurement_set)?;
        // Any antenna does: nothing is solved for.
        let reference = self.reference(&summary, Some("0"), measurement_set).unwrap_or(0).to_string();
        let out = tempfile::tempdir().map_err(crate::Error::internal)?;
        let grid = self.grid_of(&table.path);
        let words =
            self.apply_words(measurement_set, &reference, &SolvedTerms { gains: &table.path, grid: &grid }, out.path());
        self.run("run", words, log)
    }

    fn inspect(&mut self, tables: &[SolutionTable]) -> Result<Vec<SolutionStats>> {
        let Some(table) = tables.last() else { return Ok(Vec::new()) };
        let file = table.path.with_file_name(STATISTICS);
        let wrong = |reason: String| QuarticalError::Statistics { path: file.display().to_string(), reason };
        let text = std::fs::read(&file).map_err(|e| wrong(e.to_string()))?;
        Ok(serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?)
    }

    fn command_lines(&self, request: &SolveRequest) -> Vec<Vec<String>> {
        let named = Some(self.chain[0].refant.clone()).filter(|n| !n.is_empty()).or(request.reference_antenna.clone());
        let reference = named.map_or_else(
            || "<number of the antenna with most unflagged data nearest the centre>".to_owned(),
            |name| if name.parse::<usize>().is_ok() { name } else { format!("<number of {name}>") },
        );
        let line = |words: Vec<String>| std::iter::once("goquartical".to_owned()).chain(words).collect();
        let gains = request.folder.join(GAINS);
        let out = Path::new("<a folder that goes>");
        let apply = self.apply_words(
            &request.measurement_set,
            &reference,
            &SolvedTerms { gains: &gains, grid: &self.grid_of(&gains) },
            out,
        );
        vec![line(self.solve_words(request, &reference, None)), line(apply)]
    }

    fn apply_line(&self, tables: &[SolutionTable]) -> Option<String> {
        let gains = &tables.last()?.path;
        let (name, grid) = (Path::new(gains.file_name()?), self.grid_of(gains));
        let words =
            self.apply_words(Path::new("OTHER.ms"), "0", &SolvedTerms { gains: name, grid: &grid }, Path::new("."));
        let all: Vec<String> = std::iter::once("goquartical".to_owned()).chain(words).collect();
        Some(crate::util::shell::line(&all))
    }
}
