//! The estimate, and the course of whole campaigns of intervals.

use super::estimate::round_up;
use super::*;
use crate::quality::solutions::{AntennaSolutions, GainSeries, SolutionStats};
use rstest::rstest;

/// The simulated field of docs/acceptance.md: 27 antennas, one scan of 2 h, integrations of 30 s.
fn field() -> Observation {
    Observation { antennas: 27, integration_s: 30.0, scans_s: vec![7200.0] }
}

fn image(snr: f64) -> ImageSignal {
    ImageSignal { peak: snr, flux: None, rms: 1.0 }
}

fn good_tables() -> SolutionStats {
    SolutionStats { solutions: 100, flagged_fraction: 0.01, ..SolutionStats::default() }
}

fn tried(interval: Interval, mode: SolveMode, gain: f64) -> Tried {
    Tried { interval, mode, accepted: true, gain, solutions: good_tables() }
}

fn chosen(choice: &Choice) -> (Interval, SolveMode) {
    match choice {
        Choice::Solve { interval, mode, .. } => (*interval, *mode),
        Choice::Stop { why } => panic!("stopped: {why}"),
    }
}

#[rstest]
// 28 antennas: sqrt(25) = 5; a quarter of the time: 2.
#[case(100.0, 28, 7200.0, 1800.0, 10.0)]
#[case(100.0, 28, 7200.0, 7200.0, 20.0)]
#[case(100.0, 3, 7200.0, 7200.0, 0.0)]
fn estimate(#[case] image: f64, #[case] n: usize, #[case] total: f64, #[case] t: f64, #[case] snr: f64) {
    assert!((antenna_snr(image, n, total, t) - snr).abs() < 1e-12);
    if snr > 0.0 {
        assert!((interval_for_snr(snr, image, n, total) - t).abs() < 1e-6);
    }
}

#[rstest]
#[case(1.0, Some(Interval::Seconds(30.0)))]
#[case(30.0, Some(Interval::Seconds(30.0)))]
#[case(31.0, Some(Interval::Seconds(60.0)))]
#[case(210.0, Some(Interval::Seconds(240.0)))] // 34 parts of 240 integrations: 8 each, no short rest
#[case(4000.0, Some(Interval::Scan))]
#[case(7200.0, Some(Interval::Scan))]
#[case(7300.0, None)]
fn intervals_divide_the_scan(#[case] seconds: f64, #[case] interval: Option<Interval>) {
    assert_eq!(round_up(seconds, &field()), interval);
}

#[test]
fn several_scans_can_be_combined() {
    let observation = Observation { antennas: 27, integration_s: 10.0, scans_s: vec![600.0, 600.0, 580.0] };
    assert_eq!(round_up(601.0, &observation), Some(Interval::Scan));
    assert_eq!(round_up(900.0, &observation), Some(Interval::Everything));
    assert_eq!((Interval::Everything.solint(), Interval::Everything.combine()), ("inf".to_string(), "scan"));
    assert_eq!((Interval::Seconds(60.0).solint(), Interval::Scan.combine()), ("60s".to_string(), ""));
}

#[test]
fn a_campaign_of_three_calibrated_rounds_comes_down_to_amplitudes() {
    // Dynamic ranges of the hand-tuned campaign of the simulated field (phase 180 s, phase 60 s, both 120 s).
    let options = SolintOptions::default();
    let mut history = Vec::new();
    let first = chosen(&choose(&history, &image(168.0), &field(), 3, &options));
    assert_eq!(first, (Interval::Seconds(240.0), SolveMode::Phase));
    history.push(tried(first.0, first.1, 4.8));
    let second = chosen(&choose(&history, &image(973.0), &field(), 2, &options));
    assert_eq!(second, (Interval::Seconds(60.0), SolveMode::Phase));
    history.push(tried(second.0, second.1, 0.6));
    let third = choose(&history, &image(1561.0), &field(), 1, &options);
    assert_eq!(chosen(&third), (Interval::Seconds(120.0), SolveMode::AmplitudePhase));
    let Choice::Solve { why, .. } = third else { unreachable!() };
    insta::assert_snapshot!(why, @"this is the last round: amplitudes, too; estimated S/N 41.1 per antenna");
}

#[test]
fn many_rounds_take_small_steps() {
    let history = [tried(Interval::Seconds(960.0), SolveMode::Phase, 1.0)];
    let options = SolintOptions::default();
    let (interval, mode) = chosen(&choose(&history, &image(900.0), &field(), 6, &options));
    // From 960 s to 30 s in five steps: a factor of two each.
    assert_eq!((interval, mode), (Interval::Seconds(480.0), SolveMode::Phase));
}

#[test]
fn faint_fields_start_longer_or_not_at_all() {
    let options = SolintOptions::default();
    assert_eq!(chosen(&choose(&[], &image(31.0), &field(), 3, &options)).0, Interval::Scan);
    // 15 / sqrt(24) = 3.06 in everything: below the comfortable 6, above the least 3.
    assert_eq!(chosen(&choose(&[], &image(15.0), &field(), 3, &options)).0, Interval::Everything);
    let Choice::Stop { why } = choose(&[], &image(14.0), &field(), 3, &options) else { panic!() };
    insta::assert_snapshot!(why, @"even with all 7200 s together an antenna would reach an S/N of 2.9 only, 3 is wanted");
    assert!(matches!(choose(&[], &ImageSignal { rms: 0.0, ..image(9.0) }, &field(), 3, &options), Choice::Stop { .. }));
    let few = Observation { antennas: 3, ..field() };
    assert!(matches!(choose(&[], &image(1e4), &few, 3, &options), Choice::Stop { .. }));
}

#[test]
fn integrated_flux_counts_where_it_is_more() {
    let extended = ImageSignal { peak: 10.0, flux: Some(200.0), rms: 1.0 };
    assert_eq!(extended.snr(), 200.0);
    assert_eq!(ImageSignal { flux: Some(3.0), ..extended }.snr(), 10.0);
}

#[test]
fn a_failed_interval_is_followed_by_a_longer_one_and_then_by_amplitudes() {
    let options = SolintOptions::default();
    let mut failed = tried(Interval::Seconds(60.0), SolveMode::Phase, -0.5);
    failed.accepted = false;
    let (interval, mode) = chosen(&choose(std::slice::from_ref(&failed), &image(500.0), &field(), 3, &options));
    assert_eq!((interval, mode), (Interval::Seconds(120.0), SolveMode::Phase));
    let history = [tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0), failed];
    let choice = choose(&history, &image(500.0), &field(), 3, &options);
    assert_eq!(chosen(&choice), (Interval::Seconds(480.0), SolveMode::AmplitudePhase));
    let phase_only = SolintOptions { phase_only: true, ..options };
    let Choice::Stop { why } = choose(&history, &image(500.0), &field(), 3, &phase_only) else { panic!() };
    insta::assert_snapshot!(why, @"an interval of 60 s failed");
}

#[test]
fn failed_amplitudes_are_tried_once_more_with_a_longer_interval() {
    let options = SolintOptions::default();
    let mut history = vec![
        tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0),
        tried(Interval::Seconds(120.0), SolveMode::Phase, 0.01),
    ];
    let failed =
        |seconds: f64| Tried { accepted: false, ..tried(Interval::Seconds(seconds), SolveMode::AmplitudePhase, -0.2) };
    history.push(failed(240.0));
    let again = choose(&history, &image(900.0), &field(), 1, &options);
    assert_eq!(chosen(&again), (Interval::Seconds(480.0), SolveMode::AmplitudePhase));
    history.push(failed(480.0));
    assert!(matches!(choose(&history, &image(900.0), &field(), 1, &options), Choice::Stop { .. }));
    // What was accepted at a longer interval is not tried at that again.
    history[2].accepted = true;
    assert!(matches!(choose(&history, &image(900.0), &field(), 1, &options), Choice::Stop { .. }));
}

#[test]
fn after_failed_amplitudes_phases_get_shorter_while_they_may() {
    let options = SolintOptions::default();
    let mut history = vec![
        tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0),
        tried(Interval::Seconds(120.0), SolveMode::Phase, 0.09),
        Tried { accepted: false, ..tried(Interval::Seconds(240.0), SolveMode::AmplitudePhase, -0.1) },
    ];
    let choice = choose(&history, &image(900.0), &field(), 1, &options);
    assert_eq!(chosen(&choice), (Interval::Seconds(30.0), SolveMode::Phase), "the last round");
    let choice = choose(&history, &image(900.0), &field(), 3, &options);
    assert_eq!(chosen(&choice), (Interval::Seconds(60.0), SolveMode::Phase));
    history.push(tried(Interval::Seconds(60.0), SolveMode::Phase, 0.01));
    let choice = choose(&history, &image(900.0), &field(), 2, &options);
    assert_eq!(chosen(&choice), (Interval::Seconds(120.0), SolveMode::AmplitudePhase));
}

#[test]
fn mostly_flagged_tables_count_as_failed() {
    let options = SolintOptions::default();
    let mut flagged = tried(Interval::Seconds(60.0), SolveMode::Phase, 0.3);
    flagged.solutions.flagged_fraction = 0.6;
    assert_eq!(refused(&flagged.solutions, &options).unwrap(), "60 % of the solutions are flagged, 30 % are allowed");
    let choice = choose(&[flagged], &image(500.0), &field(), 3, &options);
    assert_eq!(chosen(&choice).0, Interval::Seconds(120.0));
    assert_eq!(refused(&SolutionStats::default(), &options), None, "a calibrator that tells nothing");
    let empty = SolutionStats { antennas: vec![AntennaSolutions::default()], ..SolutionStats::default() };
    insta::assert_snapshot!(refused(&empty, &options).unwrap(), @"the tables hold no solution");
}

#[test]
fn what_does_not_pay_ends() {
    let options = SolintOptions::default();
    let mut history = vec![
        tried(Interval::Seconds(240.0), SolveMode::Phase, 2.0),
        tried(Interval::Seconds(120.0), SolveMode::Phase, 0.01),
    ];
    assert_eq!(chosen(&choose(&history, &image(900.0), &field(), 5, &options)).1, SolveMode::AmplitudePhase);
    history.push(tried(Interval::Seconds(240.0), SolveMode::AmplitudePhase, 0.2));
    let shorter = chosen(&choose(&history, &image(1200.0), &field(), 4, &options));
    assert_eq!(shorter, (Interval::Seconds(120.0), SolveMode::AmplitudePhase));
    history.push(tried(Interval::Seconds(120.0), SolveMode::AmplitudePhase, 0.01));
    assert!(matches!(choose(&history, &image(1200.0), &field(), 3, &options), Choice::Stop { .. }));
}

/// Tables of five antennas with the given phases at two times.
fn tables(phases: [f64; 5]) -> SolutionStats {
    let antennas = phases.iter().enumerate().map(|(i, &p)| AntennaSolutions {
        name: format!("a{i}"),
        series: vec![GainSeries {
            time_s: vec![0.0, 60.0],
            phase_deg: vec![Some(p), Some(p)],
            amplitude: vec![Some(1.0); 2],
            flagged: vec![false; 2],
            ..GainSeries::default()
        }],
        ..AntennaSolutions::default()
    });
    SolutionStats { antennas: antennas.collect(), ..good_tables() }
}

#[test]
fn phase_changes_wrap_and_ignore_the_reference() {
    let before = tables([0.0, 10.0, 170.0, -90.0, 40.0]);
    // All turned by 20 degrees (170 + 20 wraps to -170): no change.
    assert!(phase_change_deg(&before, &tables([20.0, 30.0, -170.0, -70.0, 60.0])).unwrap() < 1e-9);
    let changed = phase_change_deg(&before, &tables([30.0, -20.0, 200.0, -120.0, 40.0])).unwrap();
    assert!((changed - 30.0).abs() < 1e-6, "{changed}");
    assert_eq!(phase_change_deg(&SolutionStats::default(), &before), None);
}

#[test]
fn settled_phases_call_for_amplitudes_and_unsettled_ones_do_not() {
    let options = SolintOptions::default();
    let history = |second: [f64; 5], gain: f64| {
        let mut all = [
            tried(Interval::Seconds(960.0), SolveMode::Phase, 1.0),
            tried(Interval::Seconds(480.0), SolveMode::Phase, gain),
        ];
        all[0].solutions = tables([0.0, 10.0, 170.0, -90.0, 40.0]);
        all[1].solutions = tables(second);
        all
    };
    let mode = |second, gain| chosen(&choose(&history(second, gain), &image(900.0), &field(), 5, &options)).1;
    let alike = [0.0, 12.0, 168.0, -93.0, 41.0];
    assert_eq!(mode(alike, 0.05), SolveMode::AmplitudePhase);
    assert_eq!(mode(alike, 0.5), SolveMode::Phase, "shorter intervals still pay");
    assert_eq!(mode([30.0, -20.0, 200.0, -120.0, 40.0], 0.05), SolveMode::Phase);
}

#[test]
fn hopeless_antennas_are_named_with_the_reason() {
    let mut stats = tables([0.0; 5]);
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
    let mut faint = tables([0.0; 5]);
    faint.antennas.iter_mut().for_each(|a| a.median_snr = Some(1.5));
    assert_eq!(hopeless_antennas(&faint, &SolintOptions::default()), []);
}
