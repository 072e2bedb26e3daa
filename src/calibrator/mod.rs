//! Calibration: what to run to solve for gains and to apply them.
//!
//! The invariant of the whole program: `DATA` is never written. A calibrator solves `DATA` against `MODEL_DATA` and
//! applies its tables from `DATA` to `CORRECTED_DATA`, so that every step can be repeated, and undoing a round is one
//! application of the earlier round's tables.

mod casa;
mod chain;
mod command;
pub mod facets;
pub mod options;
mod quartical;

pub use casa::CasaCalibrator;
pub use chain::{GaincalInput, chain_problems, term_names};
pub use command::{CalibratorCommandError, CommandCalibrator, PLACEHOLDERS};
pub use quartical::{QuarticalCalibrator, QuarticalError};

use crate::measurement_set;
use crate::process::Limits;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::GainTable;
use crate::quality::solutions::SolutionStats;
use crate::{Error, Result};
use options::GaincalOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One solve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SolveRequest {
    /// The measurement set; its `MODEL_DATA` holds the model.
    pub measurement_set: PathBuf,
    /// Folder for the tables (and nothing else).
    pub folder: PathBuf,
    /// Log file of the calibrator's own words.
    pub log: PathBuf,
    /// The campaign's round, for names.
    pub round: usize,
    /// Reference antenna; `None`: the antenna with most unflagged data nearest the array's centre.
    pub reference_antenna: Option<String>,
    /// Threads it may use.
    pub threads: usize,
    /// It is imaged together with others: their common model ties its flux scale to theirs, which `normtype: flux` keeps.
    pub together: bool,
}

/// A table of solutions on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SolutionTable {
    /// Where it is.
    pub path: PathBuf,
    /// Channel range `[first, last]` that it was solved on and is applied to; `None`: the whole band.
    pub channels: Option<(usize, usize)>,
    /// Spectral window the range belongs to.
    pub spectral_window: Option<usize>,
    /// The term of the chain that it holds; empty: all terms of the round.
    #[serde(default)]
    pub term: String,
}

/// Data that a copy was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onto {
    /// The measurement set.
    pub measurement_set: PathBuf,
    /// Number of the field that was copied; `None`: all.
    pub field: Option<usize>,
    /// Number, first and last channel of each window that was copied; none: all.
    pub windows: Vec<(usize, usize, usize)>,
    /// Channels that were averaged into one.
    pub bin: usize,
}

impl Onto {
    /// The copy was one of all of the data.
    pub fn is_whole(&self) -> bool {
        self.field.is_none() && self.windows.is_empty() && self.bin == 1
    }
}

/// Tables as the CASA worker takes them.
fn gain_tables(tables: &[SolutionTable]) -> Vec<GainTable> {
    let one = |t: &SolutionTable| GainTable {
        path: t.path.clone(),
        channels: t.channels,
        spectral_window: t.spectral_window,
    };
    tables.iter().map(one).collect()
}

/// A calibrator of one kind with its chain of solves; the same value serves solve, inspect and apply of one round.
pub trait Calibrator: Send {
    /// Program and version, e.g. `casatasks 6.7.0.31`.
    ///
    /// # Errors
    /// The program is absent or broken.
    fn version(&mut self) -> Result<String>;

    /// Whether it can solve chains of several terms.
    fn chains(&self) -> bool {
        true
    }

    /// Number of solves, one after another, that a round needs: between two of them the tables are looked at.
    fn solves(&self) -> usize {
        1
    }

    /// Does one solve (0 first), with the tables of those before it applied, and returns its tables in the order in
    /// which they must be applied. `earlier` are the tables of the last accepted round, for terms that are not solved
    /// again.
    ///
    /// # Errors
    /// Bad input (empty `MODEL_DATA`) or the program's failure.
    fn solve(
        &mut self,
        request: &SolveRequest,
        solve: usize,
        before: &[SolutionTable],
        earlier: &[SolutionTable],
    ) -> Result<Vec<SolutionTable>>;

    /// Does all solves, without a look at the tables in between.
    ///
    /// # Errors
    /// As [`Calibrator::solve`].
    fn solve_all(&mut self, request: &SolveRequest) -> Result<Vec<SolutionTable>> {
        let mut tables = Vec::new();
        for solve in 0..self.solves() {
            let fresh = self.solve(request, solve, &tables, &[])?;
            tables.extend(fresh);
        }
        Ok(tables)
    }

    /// Applies the tables from `DATA` to `CORRECTED_DATA` (all of them, of all rounds that are in force).
    /// No tables: `CORRECTED_DATA` becomes a copy of `DATA`.
    ///
    /// # Errors
    /// The program's failure.
    fn apply(&mut self, measurement_set: &Path, tables: &[SolutionTable], log: &Path) -> Result<()>;

    /// Applies the tables to the data that the copy was made from that they were solved on; returns the windows that the
    /// tables say nothing about, which stay as they are.
    ///
    /// # Errors
    /// The program's failure; a calibrator whose solutions fit only the data that they were solved on.
    fn apply_onto(&mut self, onto: &Onto, tables: &[SolutionTable], log: &Path) -> Result<Vec<usize>> {
        if !onto.is_whole() {
            return Err(Error::bad_input(format!(
                "{}: the calibrator applies its solutions only to all of the data, as they were solved on a copy of all \
                 of them; those of a field, of windows or of averages can be applied with `calibrator: casa`",
                onto.measurement_set.display()
            )));
        }
        self.apply(&onto.measurement_set, tables, log).map(|()| Vec::new())
    }

    /// Statistics of the tables, for each of their terms: flagged fraction, S/N, phases and amplitudes by
    /// antenna and time.
    ///
    /// # Errors
    /// The program's failure.
    fn inspect(&mut self, tables: &[SolutionTable]) -> Result<Vec<SolutionStats>>;

    /// Gives these antennas (names) identity gains in one term: when the tables are applied, it leaves their data as they
    /// are and does not flag them.
    ///
    /// # Errors
    /// Tables that cannot be read or written.
    fn set_identity_gains(
        &mut self,
        tables: &[SolutionTable],
        term: &str,
        antennas: &[String],
        log: &Path,
    ) -> Result<()>;

    /// Command lines of a calibration, one list of words per step, for `plan`.
    fn command_lines(&self, request: &SolveRequest) -> Vec<Vec<String>>;

    /// The line (or lines) that apply the tables to another measurement set, `OTHER.ms`, with the tables in the
    /// working folder under their own names; `None`: there is no table that fits other data.
    fn apply_line(&self, tables: &[SolutionTable]) -> Option<String>;
}

/// The programs that can calibrate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SolverKind {
    /// CASA's gaincal and applycal.
    Casa,
    /// QuartiCal: the command of a Python that can import it; empty: the one that `cleanloop setup quartical` makes.
    Quartical(Vec<String>),
    /// Any program: the words of its template.
    Command(Vec<String>),
}

/// A calibrator for this chain; `casa` does the work, or looks after the columns for a program that does.
///
/// # Errors
/// Invalid options, or an invalid template.
pub fn open(kind: SolverKind, chain: Vec<GaincalOptions>, casa: Casa, limits: Limits) -> Result<Box<dyn Calibrator>> {
    Ok(match kind {
        SolverKind::Casa => Box::new(CasaCalibrator::new(casa, chain)?),
        SolverKind::Quartical(python) => Box::new(QuarticalCalibrator::new(python, chain, casa, limits)?),
        SolverKind::Command(template) => Box::new(CommandCalibrator::new(template, chain, casa, limits)?),
    })
}

/// Refuses a chain that is empty or does not go together.
fn check_chain(chain: &[GaincalOptions]) -> Result<()> {
    if chain.is_empty() {
        return Err(Error::bad_input("a calibration needs at least one solve: gaincal is an empty list"));
    }
    chain_problems(chain).into_iter().next().map_or(Ok(()), |(_, problem)| Err(problem.into()))
}

/// Solving against an empty model would make gains of nothing.
fn refuse_empty_model(casa: &Casa, ms: &Path) -> Result<()> {
    if measurement_set::model_is_empty(casa, ms)? {
        return Err(Error::bad_input(format!(
            "{}: MODEL_DATA is empty, there is nothing to calibrate against: the last imaging found no component inside \
             its mask",
            ms.display()
        )));
    }
    Ok(())
}
