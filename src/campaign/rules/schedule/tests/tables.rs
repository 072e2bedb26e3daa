//! Tables that are refused, antennas that are hopeless.

use super::*;
use crate::quality::solutions::AntennaSolutions;

fn antennas() -> SolutionStats {
    let one = |i: usize| AntennaSolutions { name: format!("a{i}"), ..AntennaSolutions::default() };
    SolutionStats {
        solutions: 100,
        flagged_fraction: 0.01,
        antennas: (0..5).map(one).collect(),
        ..SolutionStats::default()
    }
}

#[test]
fn mostly_flagged_tables_are_refused() {
    let options = SolintOptions::default();
    let flagged = SolutionStats { flagged_fraction: 0.6, ..antennas() };
    assert_eq!(refused(&flagged, &options).unwrap(), "60 % of the solutions are flagged, 30 % are allowed");
    assert_eq!(refused(&SolutionStats::default(), &options), None, "a calibrator that tells nothing");
    let empty = SolutionStats { antennas: vec![AntennaSolutions::default()], ..SolutionStats::default() };
    insta::assert_snapshot!(refused(&empty, &options).unwrap(), @"the tables hold no solution");
}

#[test]
fn mostly_flagged_tables_count_as_failed() {
    let mut flagged = accepted(&[phases(60.0)], 100.0, 0.3, 5.0);
    flagged.solutions.flagged_fraction = 0.6;
    assert_eq!(next(&[flagged]), [phases(240.0)]);
}

#[test]
fn hopeless_antennas_are_named_with_the_reason() {
    let mut stats = antennas();
    stats.antennas[1].flagged_fraction = 0.9;
    stats.antennas[3].median_snr = Some(1.4);
    for k in [0, 2, 4] {
        stats.antennas[k].median_snr = Some(30.0);
    }
    let hopeless = hopeless_antennas(&stats, &SolintOptions::default());
    assert_eq!(
        hopeless,
        [
            ("a1".to_string(), "90 % of its solutions are flagged".to_string()),
            ("a3".to_string(), "median S/N of its solutions is 1.4, that of all antennas 30.0".to_string())
        ]
    );
    // In a faint field all are alike, and none is given up.
    let mut faint = antennas();
    faint.antennas.iter_mut().for_each(|a| a.median_snr = Some(1.5));
    assert_eq!(hopeless_antennas(&faint, &SolintOptions::default()), []);
}
