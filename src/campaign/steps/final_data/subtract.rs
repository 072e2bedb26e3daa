//! What is taken out of the data before a final imaging.

use super::Tell;
use crate::campaign::file::Subtract;
use crate::campaign::record::RoundRecord;
use crate::campaign::steps::programs::Programs;
use crate::imager::{FacetFiles, ImagerOptions};
use crate::{Error, Result};
use std::path::Path;

/// A subtraction.
pub(super) struct SubtractRequest<'a> {
    /// What is subtracted; never [`Subtract::None`].
    pub(super) what: Subtract,
    /// A copy of the data: its `DATA` holds the calibrated data, and gets what is left of them.
    pub(super) measurement_set: &'a Path,
    /// Folder of the copies, for what is worth keeping.
    pub(super) folder: &'a Path,
    /// Log of the programs.
    pub(super) log: &'a Path,
    /// The best round, with its images.
    pub(super) best: &'a RoundRecord,
    /// Its imaging.
    pub(super) imaging: &'a ImagerOptions,
    /// Its solutions by direction; `None`: it has none.
    pub(super) facets: Option<&'a FacetFiles>,
}

/// Subtracts from a copy of the data.
///
/// # Errors
/// A program's failure.
pub(super) fn subtract(request: &SubtractRequest<'_>, programs: &mut Programs<'_>, tell: Tell<'_>) -> Result<()> {
    let SubtractRequest { what, measurement_set, folder, log, best, imaging, facets } = request;
    let _ = (folder, log, best, imaging, facets, programs, tell);
    Err(Error::bad_input(format!(
        "{}: `subtract: {what:?}` is not available in this version: write `subtract: none`",
        measurement_set.display()
    )))
}
