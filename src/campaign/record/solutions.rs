//! The solutions of a product, so that they can be applied to the data that the copy was made from.

use crate::calibrator::{Onto, SolutionTable};
use crate::campaign::file::StartColumn;
use crate::campaign::plan::CalibrationPlan;
use crate::measurement_set::DataPart;
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file in the folder of final products.
const FILE: &str = "solutions.json";

/// The solutions of one measurement set of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberSolutions {
    /// The measurement set's name in the campaign.
    pub name: String,
    /// The user's measurement set.
    pub source: PathBuf,
    /// The part of it that was worked on; windows with all their channels.
    pub part: DataPart,
    /// Name of the field, where one was chosen.
    pub field: Option<String>,
    /// The column that was solved for.
    pub start_column: StartColumn,
    /// The options that the tables were solved with.
    pub calibration: CalibrationPlan,
    /// The tables in the order of application; paths inside the target's folder are relative to it.
    pub tables: Vec<SolutionTable>,
}

impl MemberSolutions {
    /// Writes those of all measurement sets into a folder of final products.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save(members: &[Self], folder: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(members).map_err(Error::internal)?;
        Ok(fs::write_atomically(&folder.join(FILE), &json)?)
    }

    /// Reads those in a folder of final products.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub(crate) fn load(folder: &Path) -> Result<Vec<Self>> {
        let path = folder.join(FILE);
        let failed = |error: &dyn std::fmt::Display| {
            Error::bad_input(format!(
                "{}: cannot be read: {error}. Run the campaign to its end first (`cleanloop run`)",
                path.display()
            ))
        };
        let text = std::fs::read(&path).map_err(|error| failed(&error))?;
        serde_json::from_slice(&text).map_err(|error| failed(&error))
    }

    /// The tables below the target's folder.
    pub(crate) fn tables_in(&self, root: &Path) -> Vec<SolutionTable> {
        self.tables.iter().map(|t| SolutionTable { path: root.join(&t.path), ..t.clone() }).collect()
    }

    /// Tables below the target's folder with paths that move with it.
    pub(crate) fn relative(tables: &[SolutionTable], root: &Path) -> Vec<SolutionTable> {
        let inside = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_path_buf();
        tables.iter().map(|t| SolutionTable { path: inside(&t.path), ..t.clone() }).collect()
    }

    /// The data that they are applied to: a measurement set like the original, and the number of the field there.
    pub(crate) fn onto(&self, measurement_set: &Path, field: Option<usize>) -> Onto {
        let range = |(window, channels): &(usize, Option<(usize, usize)>)| {
            let (first, last) = channels.unwrap_or_default();
            (*window, first, last)
        };
        Onto {
            measurement_set: measurement_set.to_path_buf(),
            field,
            windows: self.part.windows.iter().map(range).collect(),
            bin: self.part.channels,
        }
    }
}
