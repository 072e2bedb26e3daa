//! What is in a measurement set, and what is wrong with it.

mod fault;
mod find;
mod pointings;
#[cfg(test)]
mod tests;

pub use crate::programs::casa::requests::{
    AntennaFacts, ColumnFacts, CorrelationFacts, ExpectedBeam, FieldFacts, MsFacts, ScanFacts, Tally, UnreadablePart,
    WindowFacts,
};
pub use fault::{Fault, Place, Problem, Severity};
pub use find::{Purpose, problems};
pub use pointings::{PointingMember, SAME_POINTING, SharedPointing, pointings};

use super::Field;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::{FlagNotFinite, Inspect};
use crate::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Speed of light, m/s.
const LIGHT: f64 = 299_792_458.0;

/// Flags unflagged visibilities that, or whose weights, are no numbers; returns how many. Only ever call it on a copy.
///
/// # Errors
/// No such column; CASA's failure.
pub fn flag_not_finite(casa: &Casa, working_copy: &Path, column: &str) -> Result<u64> {
    casa.ask(&FlagNotFinite { ms: working_copy.to_path_buf(), column: column.to_owned() }, None)
}

/// Why a measurement set is refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.iter().map(|p| format!("{}: {p}", measurement_set.display())).collect::<Vec<_>>().join("\n"))]
struct Refused {
    measurement_set: PathBuf,
    problems: Vec<Problem>,
}

impl Inspection {
    /// Problems for this purpose that are no reason to refuse the measurement set.
    ///
    /// # Errors
    /// All reasons to refuse it.
    pub fn check(&self, purpose: &Purpose) -> Result<Vec<Problem>> {
        let (errors, rest): (Vec<Problem>, Vec<Problem>) =
            problems(&self.facts, purpose).into_iter().partition(|p| p.severity == Severity::Error);
        match errors.is_empty() {
            true => Ok(rest),
            false => Err(Error::bad_input(Refused { measurement_set: self.measurement_set.clone(), problems: errors })),
        }
    }
}

/// What is in a measurement set, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Inspection {
    /// The measurement set.
    pub measurement_set: PathBuf,
    /// What to expect of an image.
    pub expected: Expected,
    /// What is in it.
    pub facts: MsFacts,
    /// What is wrong with it for a self-calibration of all of it; see [`problems`] for other purposes.
    pub problems: Vec<Problem>,
}

/// What to expect of an image of all that is in a measurement set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Expected {
    /// Beam with natural weighting.
    pub beam: Option<ExpectedBeam>,
    /// See [`MsFacts::field_of_view_deg`].
    pub field_of_view_deg: Option<f64>,
    /// Theoretical noise with natural weighting, Jy/beam (or in the units of data that are not in Jy).
    pub noise_jy: Option<f64>,
    /// The noise comes from the scatter of the visibilities, as the weights do not fit it.
    pub noise_measured: bool,
    /// See [`MsFacts::on_source_s`].
    pub on_source_s: f64,
}

impl Expected {
    fn of(facts: &MsFacts) -> Self {
        Self {
            beam: facts.beam,
            field_of_view_deg: facts.field_of_view_deg(),
            noise_jy: facts.noise.and_then(|n| n.jy()),
            noise_measured: facts.noise.is_some_and(|n| n.is_measured()),
            on_source_s: facts.on_source_s(),
        }
    }
}

/// Somebody writes the measurement set: CASA would wait for it without a word.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: the process {process} holds its lock (table.lock) to write it. Wait until that has ended, or end it",
    measurement_set.display()
)]
struct LockedBy {
    measurement_set: PathBuf,
    process: i32,
}

/// Looks at a measurement set, whatever state it is in.
///
/// `column` holds the visibilities (`None`: `DATA`, or else the first that is there). Without `values` only flags and
/// weights are read, and the visibilities are taken to be finite.
///
/// # Errors
/// No such measurement set, another kind of folder; another process is writing it; CASA is not set up or fails.
pub fn inspect(casa: &Casa, measurement_set: &Path, column: Option<&str>, values: bool) -> Result<Inspection> {
    let request = Inspect { ms: measurement_set.to_path_buf(), column: column.map(str::to_owned), values };
    if let Some(process) = super::files::holder(measurement_set) {
        return Err(Error::bad_input(LockedBy { measurement_set: measurement_set.to_path_buf(), process }));
    }
    let facts = casa.ask(&request, None)?;
    let problems = problems(&facts, &Purpose::default());
    let expected = Expected::of(&facts);
    Ok(Inspection { measurement_set: measurement_set.to_path_buf(), expected, facts, problems })
}

impl MsFacts {
    /// Antennas that have visibilities, flagged or not, with their numbers.
    pub fn used_antennas(&self) -> impl Iterator<Item = (usize, &AntennaFacts)> {
        self.antennas.iter().enumerate().filter(|(_, a)| a.visibilities.all > 0)
    }

    /// The fields as a selection takes them.
    pub(crate) fn as_fields(&self) -> Vec<Field> {
        let field = |f: &FieldFacts| Field {
            name: f.name.clone(),
            ra_deg: f.ra_deg.unwrap_or_default(),
            dec_deg: f.dec_deg.unwrap_or_default(),
            observed: f.rows > 0,
            rows: f.rows,
            windows: Vec::new(),
            unflagged_fraction: 1.0 - f.visibilities.flagged(),
            intents: f.intents.clone(),
        };
        self.fields.iter().map(field).collect()
    }

    /// Fields that were observed, with their numbers.
    pub fn observed_fields(&self) -> impl Iterator<Item = (usize, &FieldFacts)> {
        self.fields.iter().enumerate().filter(|(_, f)| f.rows > 0)
    }

    /// Windows that have data, with their numbers.
    pub fn used_windows(&self) -> impl Iterator<Item = (usize, &WindowFacts)> {
        self.windows.iter().enumerate().filter(|(_, w)| w.rows > 0)
    }

    /// Whether there is a column of that name.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|c| c.name == name)
    }

    /// Lowest and highest frequency that have data, Hz (edges of channels); `None`: there are none.
    pub fn frequencies_hz(&self) -> Option<(f64, f64)> {
        let edges =
            |(low, high): (f64, f64), (_, w): (usize, &WindowFacts)| (low.min(w.lowest_hz), high.max(w.highest_hz));
        let (low, high) = self.used_windows().fold((f64::INFINITY, 0.0), edges);
        (low > 0.0 && low <= high).then_some((low, high))
    }

    /// Time with data, s: the number of integrations times their spacing.
    pub fn on_source_s(&self) -> f64 {
        self.integrations as f64 * self.spacing_s
    }

    /// Median diameter of the antennas with data, m; `None`: unknown.
    pub fn dish_diameter_m(&self) -> Option<f64> {
        let mut all: Vec<f64> = self.used_antennas().map(|(_, a)| a.diameter_m).filter(|d| *d > 0.0).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// Field of view, degrees: the full width at half maximum of the primary beam at the lowest frequency, 1.22 λ/D.
    /// `None`: the diameter of the antennas is not known.
    pub fn field_of_view_deg(&self) -> Option<f64> {
        self.primary_beam_deg(self.frequencies_hz()?.0)
    }

    /// Full width at half maximum of the primary beam at the highest frequency, degrees.
    pub fn narrowest_beam_deg(&self) -> Option<f64> {
        self.primary_beam_deg(self.frequencies_hz()?.1)
    }

    fn primary_beam_deg(&self, frequency_hz: f64) -> Option<f64> {
        Some((1.22 * LIGHT / frequency_hz / self.dish_diameter_m()?).to_degrees())
    }
}
