//! Measurement sets whose visibilities are compressed with Dysco. CASA 6.7 reads them; for a CASA that does not, DP3
//! decompresses them.

use super::MsSummary;
use crate::programs::casa::Casa;
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

/// Whether it is compressed, and this CASA cannot read it.
pub(crate) fn is_foreign(casa: &Casa, measurement_set: &Path) -> bool {
    is_compressed(measurement_set) && MsSummary::read(casa, measurement_set).is_err()
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
    use crate::programs::casa::requests::Simulate;

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

    #[test]
    #[ignore = "needs CASA and DP3"]
    fn dp3_decompresses_to_what_casa_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let casa = Casa::open(&[], None).expect("CASA is set up");
        let dp3 = Dp3::find().expect("DP3 is set up");
        let request = Simulate {
            output: folder.path().to_path_buf(),
            name: "field".to_owned(),
            antennas: Some(6),
            duration_s: Some(300.0),
            stokes: Some("RR RL LR LL".to_owned()),
            ..Simulate::default()
        };
        casa.ask(&request, None).expect("simulated");
        let (compressed, plain) = (path("compressed.ms"), path("plain.ms"));
        let settings = [
            format!("msin={}", path("field.ms").display()),
            format!("msout={}", compressed.display()),
            "msout.storagemanager=dysco".to_owned(),
            "steps=[]".to_owned(),
        ];
        dp3.run(&settings, &path("log")).expect("compressed");
        decompress(&dp3, &compressed, &plain, 1, &path("log")).expect("decompressed");
        assert!(is_compressed(&compressed) && !is_compressed(&plain) && !is_foreign(&casa, &compressed));
        let data = |ms: &Path| super::super::checksum(&casa, ms, "DATA").expect("a checksum");
        assert_eq!(data(&compressed), data(&plain));
        let refused =
            decompress(&dp3, &path("none.ms"), &plain, 1, &path("log")).expect_err("there is none").to_string();
        assert!(refused.contains("none.ms: DP3 could not decompress it"), "{refused}");
    }
}
