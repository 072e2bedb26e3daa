//! S/N of antennas, and intervals that divide scans.

use super::super::estimate::round_up;
use super::*;
use rstest::rstest;

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
    let observation = Observation { integration_s: 10.0, scans_s: vec![600.0, 600.0, 580.0], ..field() };
    assert_eq!(round_up(601.0, &observation), Some(Interval::Scan));
    assert_eq!(round_up(900.0, &observation), Some(Interval::Everything));
    assert_eq!((Interval::Everything.solint(), Interval::Seconds(60.0).solint()), ("inf".into(), "60s".into()));
}

#[test]
fn integrated_flux_counts_where_it_is_more() {
    let extended = ImageSignal { flux: Some(200.0), ..image(10.0) };
    assert_eq!(extended.snr(), 200.0);
    assert_eq!(ImageSignal { flux: Some(3.0), ..extended }.snr(), 10.0);
}

#[test]
fn faint_fields_start_longer_or_not_at_all() {
    let first = |snr: f64| choose(&[], &image(snr), &field(), 3, &SolintOptions::default());
    let interval = |snr: f64| match first(snr) {
        Choice::Solve { chain, .. } => chain[0].interval,
        Choice::Stop { why, .. } => panic!("{why}"),
    };
    assert_eq!(interval(168.0), Interval::Seconds(240.0));
    assert_eq!(interval(31.0), Interval::Scan);
    // 15 / sqrt(24) = 3.06 in everything: below the comfortable 6, above the least 3.
    assert_eq!(interval(15.0), Interval::Everything);
    let Choice::Stop { why, limit } = first(14.0) else { panic!() };
    insta::assert_snapshot!(why, @"even with all 7200 s together an antenna would reach an S/N of 2.9 only, 3 is wanted");
    assert_eq!(limit, Limit::NothingToCalibrateOn);
    let options = SolintOptions::default();
    let few = Observation { antennas: 3, ..field() };
    assert!(matches!(choose(&[], &image(1e4), &few, 3, &options), Choice::Stop { .. }));
    assert!(matches!(choose(&[], &image(f64::NAN), &field(), 3, &options), Choice::Stop { .. }));
}

#[test]
fn a_faint_source_is_solved_together_before_scans_are() {
    let observation = Observation { polarisations: 2, windows: 4, scans_s: vec![1800.0; 4], ..field() };
    let first = |snr: f64| match choose(&[], &image(snr), &observation, 8, &SolintOptions::default()) {
        Choice::Solve { chain, .. } => chain[0],
        Choice::Stop { why, .. } => panic!("{why}"),
    };
    let sharing = |snr: f64| (first(snr).polarisations, first(snr).windows, first(snr).interval);
    // All together, an antenna has image / sqrt(24) in everything, half of that in a scan.
    assert_eq!(sharing(200.0), (Sharing::Each, Sharing::Each, Interval::Scan));
    assert_eq!(sharing(120.0), (Sharing::Together, Sharing::Each, Interval::Scan));
    assert_eq!(sharing(60.0), (Sharing::Together, Sharing::Together, Interval::Scan));
    assert_eq!(sharing(40.0), (Sharing::Together, Sharing::Together, Interval::Everything));
}

#[test]
fn intervals_are_written_in_whole_milliseconds_and_never_shorter() {
    for (seconds, written) in [(60.0, "60s"), (50.00495910644531, "50.005s"), (0.04, "0.04s"), (10.00099, "10.001s")] {
        assert_eq!(Interval::Seconds(seconds).solint(), written);
    }
}
