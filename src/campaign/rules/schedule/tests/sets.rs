//! Intervals of measurement sets that are imaged together.

use super::*;

/// Intervals of both nights, where 60 s were chosen; the second has this noise.
fn intervals(noise: f64, options: &SolintOptions) -> Vec<Interval> {
    let night = |noise| SetSignal { observation: field(), noise };
    let sets = [night(1.0), night(noise)];
    let observation = Observation { best_over_mean: best_over_mean(&sets), ..field() };
    let chains = chains_of_sets(&[phases(60.0)], (&[], &image(200.0), &observation), &sets, options);
    chains.iter().map(|chain| chain[0].interval).collect()
}

#[test]
fn a_night_of_lower_snr_gets_longer_intervals() {
    let never_ample = SolintOptions { ample_snr: 1e9, ..SolintOptions::default() };
    let chosen = Interval::Seconds(60.0);
    assert_eq!(intervals(1.0, &never_ample), [chosen, chosen]);
    // A tenth more noise asks for an interval that is hardly longer.
    assert_eq!(intervals(1.1, &never_ample), [chosen, chosen]);
    let [first, second] = intervals(2.0, &never_ample)[..] else { panic!("two nights") };
    assert_eq!(first, chosen);
    let seconds = second.seconds(&field());
    assert!((240.0..300.0).contains(&seconds), "four times as long: {seconds}");
    // Where its S/N is ample as it is, nothing is to be gained.
    let ample = SolintOptions { ample_snr: 0.1, ..SolintOptions::default() };
    assert_eq!(intervals(2.0, &ample), [chosen, chosen]);
}

#[test]
fn an_interval_of_a_set_is_replaced_where_it_is_really_longer() {
    let never_ample = SolintOptions { ample_snr: 1e9, ..SolintOptions::default() };
    let night = |noise, scans_s| SetSignal { observation: Observation { scans_s, ..field() }, noise };
    let of_second = |interval, scans_s: Vec<f64>| {
        // As noisy a second: the shorter a night is, the less its image sees.
        let noise = 3.0 * (field().total_s() / scans_s.iter().sum::<f64>()).sqrt();
        let sets = [night(1.0, field().scans_s), night(noise, scans_s)];
        let chain = [TermChoice { interval, ..phases(60.0) }];
        let chains = chains_of_sets(&chain, (&[], &image(200.0), &field()), &sets, &never_ample);
        assert_eq!(chains[0], chain, "the best keeps its own");
        chains[1][0].interval
    };
    // One scan is everything that a night has: nothing is longer.
    assert_eq!(of_second(Interval::Scan, vec![600.0]), Interval::Scan);
    assert_eq!(of_second(Interval::Everything, vec![600.0; 3]), Interval::Everything);
    assert_eq!(of_second(Interval::Scan, vec![600.0; 3]), Interval::Everything);
    // Nor is a scan that is hardly longer than the interval.
    assert_eq!(of_second(Interval::Seconds(450.0), vec![600.0]), Interval::Seconds(450.0));
    assert_eq!(of_second(Interval::Seconds(300.0), vec![600.0]), Interval::Scan);
}

#[test]
fn the_best_night_has_more_than_the_mean() {
    let night = |noise, antennas| SetSignal { observation: Observation { antennas, ..field() }, noise };
    assert!((best_over_mean(&[night(1.0, 20), night(1.0, 20)]) - 1.0).abs() < 1e-12);
    // The second gathers a quarter.
    assert!((best_over_mean(&[night(1.0, 20), night(2.0, 20)]) - 1.6).abs() < 1e-12);
    // Without the noise of each, or antennas that close, all count the same.
    assert!((best_over_mean(&[night(1.0, 20), night(0.0, 20)]) - 1.0).abs() < 1e-12);
    assert!((best_over_mean(&[night(1.0, 20), night(9.0, 3)]) - 1.0).abs() < 1e-12);
    assert!((best_over_mean(&[]) - 1.0).abs() < 1e-12);
}
