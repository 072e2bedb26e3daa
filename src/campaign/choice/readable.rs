//! Measurement sets as CASA and the imagers read them.

use super::{ChoiceRequest, parent, threads};
use crate::measurement_set::{decompress, is_compressed};
use crate::programs::dp3::Dp3;
use crate::{Error, Result};
use std::path::PathBuf;
use tempfile::TempDir;

/// Measurement sets that can be read: in the place of those that are compressed with Dysco, plain ones in a scratch folder,
/// which goes with this.
pub(super) struct Readable {
    pub(super) measurement_sets: Vec<PathBuf>,
    _scratch: Option<TempDir>,
}

impl Readable {
    /// Decompresses what is compressed. Without DP3 it stays as it is: its inspection says what to do.
    ///
    /// # Errors
    /// The scratch folder cannot be made; DP3's failure.
    pub(super) fn of(request: &ChoiceRequest<'_>) -> Result<Self> {
        let mut measurement_sets = request.measurement_sets.to_vec();
        let compressed = measurement_sets.iter().any(|set| is_compressed(set));
        let Some(dp3) = Dp3::find().filter(|_| compressed) else {
            return Ok(Self { measurement_sets, _scratch: None });
        };
        let scratch = tempfile::tempdir_in(parent(request.file)).map_err(Error::internal)?;
        for (number, set) in measurement_sets.iter_mut().enumerate().filter(|(_, set)| is_compressed(set)) {
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
