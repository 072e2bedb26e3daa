//! Measurement sets whose visibilities are compressed with Dysco: CASA cannot read them, DP3 can.

use crate::programs::dp3::Dp3;
use crate::{Error, Result};
use std::path::Path;

/// Name of the storage manager in a table description.
const MANAGER: &[u8] = b"DyscoStMan";

/// Whether some of the main table's columns are compressed with Dysco, from its description; no program is needed.
pub(crate) fn is_compressed(measurement_set: &Path) -> bool {
    std::fs::read(measurement_set.join("table.dat"))
        .is_ok_and(|table| table.windows(MANAGER.len()).any(|window| window == MANAGER))
}

/// Writes `DATA` of a compressed measurement set, with flags and weights, to a plain one, `to`.
///
/// # Errors
/// DP3's failure: it takes one spectral window, four correlations and times of equal spacing.
pub(crate) fn decompress(dp3: &Dp3, from: &Path, to: &Path, threads: usize, log: &Path) -> Result<()> {
    let settings = [
        format!("msin={}", from.display()),
        "msin.datacolumn=DATA".to_owned(),
        format!("msout={}", to.display()),
        "msout.overwrite=true".to_owned(),
        "msout.storagemanager=''".to_owned(),
        "steps=[]".to_owned(),
        format!("numthreads={threads}"),
    ];
    dp3.run(&settings, log).map_err(|error| match error {
        Error::External(error) => Error::external(format!(
            "{}: DP3 could not decompress it (it takes one spectral window, four correlations, and times of equal \
             spacing): {error}",
            from.display()
        )),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_set_is_told_by_its_table_description() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = folder.path().join("table.dat");
        assert!(!is_compressed(folder.path()));
        std::fs::write(&table, b"..StandardStMan..TiledShapeStMan..").expect("written");
        assert!(!is_compressed(folder.path()));
        std::fs::write(&table, b"..StandardStMan..\0\0\0\nDyscoStMan..").expect("written");
        assert!(is_compressed(folder.path()));
    }
}
