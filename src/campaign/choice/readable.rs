//! Measurement sets as CASA and the imagers read them.

use super::{ChoiceRequest, parent, threads};
use crate::measurement_set::{decompress, is_foreign};
use crate::programs::casa::Casa;
use crate::programs::dp3::Dp3;
use crate::{Error, Result};
use std::path::PathBuf;
use tempfile::TempDir;

/// Measurement sets that can be read: in the place of those that are compressed and that CASA cannot read, plain ones in a
/// scratch folder, which goes with this.
pub(super) struct Readable {
    pub(super) measurement_sets: Vec<PathBuf>,
    _scratch: Option<TempDir>,
}

impl Readable {
    /// Decompresses what CASA cannot read. Without DP3 it stays as it is: its inspection says what to do.
    ///
    /// # Errors
    /// The scratch folder cannot be made; DP3's failure.
    pub(super) fn of(casa: &Casa, request: &ChoiceRequest<'_>) -> Result<Self> {
        let mut measurement_sets = request.measurement_sets.to_vec();
        let foreign: Vec<bool> = measurement_sets.iter().map(|set| is_foreign(casa, set)).collect();
        let Some(dp3) = Dp3::find().filter(|_| foreign.contains(&true)) else {
            return Ok(Self { measurement_sets, _scratch: None });
        };
        let scratch = tempfile::tempdir_in(parent(request.file)).map_err(Error::internal)?;
        for (number, set) in measurement_sets.iter_mut().enumerate().filter(|(number, _)| foreign[*number]) {
            let folder = scratch.path().join(number.to_string());
            std::fs::create_dir(&folder).map_err(Error::internal)?;
            let plain = folder.join(set.file_name().unwrap_or_default());
            (request.say)(&format!("{}: DP3 decompresses it", set.display()));
            decompress(&dp3, set, &plain, threads(), &folder.join("dp3.log"))?;
            *set = plain;
        }
        Ok(Self { measurement_sets, _scratch: Some(scratch) })
    }
}
