//! The solutions of a solve by direction.

use super::FacetError;
use crate::Result;
use crate::programs::dp3::Dp3;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the solutions of one measurement set hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FacetGains {
    /// Middles of the intervals, modified Julian date in seconds (UTC).
    pub time_s: Vec<f64>,
    /// Names of the antennas.
    pub antennas: Vec<String>,
    /// The directions in the order of the facets.
    pub directions: Vec<DirectionGains>,
}

/// The solutions of one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectionGains {
    /// Its name.
    pub name: String,
    /// Right ascension, degrees.
    pub ra_deg: f64,
    /// Declination, degrees.
    pub dec_deg: f64,
    /// Part of its solutions that were no number or had no weight: they were replaced by those of the nearest interval.
    pub bad_fraction: f64,
    /// Median step of the phases (of an antenna less the first antenna) from one interval of its own to the next, degrees; `None`: there
    /// is one interval, or no phases.
    pub phase_step_deg: Option<f64>,
    /// Standard deviation of the amplitudes; `None`: there are none.
    pub amplitude_scatter: Option<f64>,
    /// Phases `[antenna][time]` less those of the first antenna, degrees; empty without phases. A direction with a longer
    /// interval has the same ones at several times.
    pub phase_deg: Vec<Vec<f64>>,
    /// Amplitudes `[antenna][time]`; empty without amplitudes.
    pub amplitude: Vec<Vec<f64>>,
}

impl FacetGains {
    /// Reads what `mend` wrote.
    ///
    /// # Errors
    /// A file that is gone or unreadable.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = |reason: String| FacetError::Solutions { path: path.to_path_buf(), reason };
        let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        Ok(serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?)
    }
}

/// Replaces solutions that are no number or have no weight, which would make images of NaN, averages amplitudes over a time
/// (s), normalises them, and writes down what was found. `intervals` are those of the directions, the shortest being that of
/// the file's times.
///
/// # Errors
/// No solutions; the environment of DP3 is not set up.
pub(super) fn mend(
    dp3: &Dp3,
    (solutions, found): (&Path, &Path),
    average_s: Option<f64>,
    intervals: &[u32],
    log: &Path,
) -> Result<()> {
    if !solutions.is_file() {
        let reason = "DP3 succeeded, but wrote no solutions".to_owned();
        return Err(FacetError::Solutions { path: solutions.to_path_buf(), reason }.into());
    }
    let shortest = intervals.iter().copied().min().unwrap_or(1).max(1);
    let intervals: Vec<String> = intervals.iter().map(|own| (own / shortest).to_string()).collect();
    let width = average_s.unwrap_or(0.0).to_string();
    dp3.run_script(&["mend".to_owned(), text(solutions), text(found), width, intervals.join(",")], log)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Puts the earlier solutions of this direction in the place of the new ones; without any it gets gains of 1.
///
/// # Errors
/// Files that cannot be read or written.
pub(crate) fn put_back(
    dp3: &Dp3,
    solutions: &Path,
    direction: usize,
    earlier: Option<&Path>,
    log: &Path,
) -> Result<()> {
    let words = ["put".to_owned(), text(solutions), direction.to_string()];
    dp3.run_script(&words.into_iter().chain(earlier.map(text)).collect::<Vec<_>>(), log)
}
