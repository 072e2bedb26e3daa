//! A product's solutions on the data that the working copy was made from.

use crate::calibrator::Calibrator;
use crate::campaign::file::StartColumn;
use crate::campaign::record::MemberSolutions;
use crate::measurement_set::{self, MsSummary};
use crate::process::interrupt;
use crate::programs::casa::Casa;
use crate::{Error, Result};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How often it is looked whether somebody else still writes to a measurement set.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Copies a measurement set to where there is none.
///
/// # Errors
/// The words of the system, with both names.
pub(crate) fn copied(from: &Path, to: &Path) -> Result<()> {
    measurement_set::copy(from, to)
        .map_err(|error| Error::bad_input(format!("{}: cannot be copied to {}: {error}", from.display(), to.display())))
}

/// What applies solutions.
pub(crate) struct Applier<'a> {
    /// Reads the data.
    pub(crate) casa: &'a Casa,
    /// The calibrator that solved for them.
    pub(crate) calibrator: &'a mut dyn Calibrator,
    /// The folder of the target.
    pub(crate) root: &'a Path,
    /// Log of the programs.
    pub(crate) log: &'a Path,
}

impl Applier<'_> {
    /// Applies the solutions of one measurement set from `DATA` to `CORRECTED_DATA` of `to`; returns what should be known.
    ///
    /// # Errors
    /// Solutions that are not for `DATA`; another array, no such field; the program's failure.
    pub(crate) fn apply(&mut self, solutions: &MemberSolutions, to: &Path) -> Result<Vec<String>> {
        if solutions.start_column == StartColumn::CorrectedData {
            return Err(Error::bad_input(format!(
                "{}: the solutions are for its CORRECTED_DATA, from which the campaign started (`start_column`); on DATA \
                 they would be wrong. Write calibrated data to a new measurement set: `cleanloop apply --split NEW.ms`",
                to.display()
            )));
        }
        self.apply_to_data(solutions, to)
    }

    /// As [`Applier::apply`], where `DATA` of `to` is the column that was solved for.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn apply_to_data(&mut self, solutions: &MemberSolutions, to: &Path) -> Result<Vec<String>> {
        let _alone = alone(to)?;
        let field = self.field(solutions, to)?;
        let tables = solutions.tables_in(self.root);
        let unserved = self.calibrator.apply_onto(&solutions.onto(to, field), &tables, self.log)?;
        let numbers: Vec<String> = unserved.iter().map(ToString::to_string).collect();
        Ok(match numbers.as_slice() {
            [] => Vec::new(),
            _ => vec![format!(
                "{}: no solutions for the window(s) {}: CORRECTED_DATA is a copy of DATA there",
                to.display(),
                numbers.join(", ")
            )],
        })
    }

    /// The number of the field in these data: that of the original where it has the name, else by name; `None`: all.
    ///
    /// # Errors
    /// No such field.
    pub(crate) fn field(&self, solutions: &MemberSolutions, to: &Path) -> Result<Option<usize>> {
        let Some(name) = &solutions.field else { return Ok(None) };
        let summary = MsSummary::read(self.casa, to)?;
        let same = solutions.part.field.filter(|number| summary.fields.get(*number).is_some_and(|f| f.name == *name));
        let named = || summary.field_named(name).map_err(|why| Error::bad_input(format!("{}: {why}", to.display())));
        same.map_or_else(named, Ok).map(Some)
    }
}

/// Waits until nobody else applies solutions to the measurement set; held until the file is dropped.
fn alone(measurement_set: &Path) -> Result<File> {
    let path = measurement_set.join("table.dat");
    let failed = |error| Error::bad_input(format!("{}: cannot be read: {error}", path.display()));
    let file = File::open(&path).map_err(failed)?;
    while file.try_lock().is_err() {
        interrupt::check()?;
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(file)
}
