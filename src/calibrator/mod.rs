//! Calibration: what to run to solve for gains and to apply them.
//!
//! The invariant of the whole program: `DATA` is never written. A calibrator solves `DATA` against `MODEL_DATA` and
//! applies its tables from `DATA` to `CORRECTED_DATA`, so that every step can be repeated, and undoing a round is one
//! application of the earlier round's tables.

mod casa;
mod command;
pub mod options;
mod quartical;

pub use casa::CasaCalibrator;
pub use command::{CalibratorCommandError, CommandCalibrator, PLACEHOLDERS};
pub use quartical::{QuarticalCalibrator, QuarticalError};

use crate::Result;
use crate::measurement_set;
use crate::process::Limits;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::GainTable;
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
}

/// A table of solutions on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SolutionTable {
    /// Where it is.
    pub path: PathBuf,
    /// Channel range `[first, last]` that it was solved on and is applied to; `None`: the whole band.
    pub channels: Option<(usize, usize)>,
    /// Spectral window the range belongs to.
    pub spectral_window: Option<usize>,
}

impl From<GainTable> for SolutionTable {
    fn from(table: GainTable) -> Self {
        Self { path: table.path, channels: table.channels, spectral_window: table.spectral_window }
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

/// A calibrator of one kind with its options; the same value serves solve, inspect and apply of one round.
pub trait Calibrator: Send {
    /// Program and version, e.g. `casatasks 6.7.0.31`.
    ///
    /// # Errors
    /// The program is absent or broken.
    fn version(&mut self) -> Result<String>;

    /// Solves and returns the tables, in the order in which they must be applied.
    ///
    /// # Errors
    /// Bad input (empty `MODEL_DATA`) or the program's failure.
    fn solve(&mut self, request: &SolveRequest) -> Result<Vec<SolutionTable>>;

    /// Applies the tables from `DATA` to `CORRECTED_DATA` (all of them, of all rounds that are in force).
    /// No tables: `CORRECTED_DATA` becomes a copy of `DATA`.
    ///
    /// # Errors
    /// The program's failure.
    fn apply(&mut self, measurement_set: &Path, tables: &[SolutionTable], log: &Path) -> Result<()>;

    /// Statistics of the tables: flagged fraction, S/N, phases and amplitudes by antenna and time.
    ///
    /// # Errors
    /// The program's failure.
    fn inspect(&mut self, tables: &[SolutionTable]) -> Result<crate::quality::solutions::SolutionStats>;

    /// Gives these antennas (names) identity gains: when the tables are applied, their data stay as they are and are not
    /// flagged.
    ///
    /// # Errors
    /// Tables that cannot be read or written.
    fn set_identity_gains(&mut self, tables: &[SolutionTable], antennas: &[String], log: &Path) -> Result<()>;

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

/// A calibrator with these options; `casa` does the work, or looks after the columns for a program that does.
///
/// # Errors
/// Invalid options, or an invalid template.
pub fn open(
    kind: SolverKind,
    options: options::GaincalOptions,
    casa: Casa,
    limits: Limits,
) -> Result<Box<dyn Calibrator>> {
    Ok(match kind {
        SolverKind::Casa => Box::new(CasaCalibrator::new(casa, options)?),
        SolverKind::Quartical(python) => Box::new(QuarticalCalibrator::new(python, options, casa, limits)?),
        SolverKind::Command(template) => Box::new(CommandCalibrator::new(template, options, casa, limits)?),
    })
}

/// Solving against an empty model would make gains of nothing.
fn refuse_empty_model(casa: &Casa, ms: &Path) -> Result<()> {
    if measurement_set::model_is_empty(casa, ms)? {
        return Err(crate::Error::bad_input(format!(
            "{}: MODEL_DATA is empty, there is nothing to calibrate against: the last imaging found no component inside \
             its mask",
            ms.display()
        )));
    }
    Ok(())
}
