//! Each step of the schedule.

use super::*;
use crate::quality::solutions::{Difference, SolutionStats};

#[test]
fn phases_get_shorter_down_to_integrations() {
    let mut history = vec![accepted(&[phases(480.0)], 100.0, 3.0, 14.0)];
    assert_eq!(next(&history), [phases(120.0)]);
    history.push(accepted(&[phases(120.0)], 400.0, 0.5, 14.0));
    assert_eq!(next(&history), [phases(30.0)]);
    // With ample S/N amplitudes come at the same time; where that failed, the phases alone.
    let mut history = vec![accepted(&[phases(120.0)], 400.0, 0.5, 20.0)];
    assert_eq!(next(&history), [gains(30.0)]);
    history.push(rejected(&[gains(30.0)], 600.0, -0.1, 20.0));
    assert_eq!(next(&history), [phases(30.0)]);
}

#[test]
fn they_stop_where_the_tables_have_too_low_an_snr() {
    // An S/N of 1 in 30 s: 3 needs 270 s, that is 300 s in equal parts of the scan.
    let history = [accepted(&[phases(1200.0)], 100.0, 3.0, 1.0)];
    assert_eq!(next(&history), [phases(300.0)]);
    let history = [accepted(&[phases(300.0)], 100.0, 3.0, 1.0)];
    assert_eq!(next(&history), [phases(300.0), gains(2400.0)], "no shorter phases: amplitudes");
}

#[test]
fn a_step_that_gains_little_leads_to_amplitudes() {
    let with = |snr| [accepted(&[phases(480.0)], 100.0, 3.0, snr), accepted(&[phases(120.0)], 400.0, 0.01, snr)];
    assert_eq!(next(&with(5.0)), [phases(120.0), gains(300.0)]);
    assert_eq!(next(&with(20.0)), [gains(30.0)], "not where the S/N is ample");
    // So does one that lost a little, with the phases before it.
    let history = [accepted(&[phases(240.0)], 100.0, 3.0, 20.0), accepted(&[phases(120.0)], 400.0, -0.01, 20.0)];
    assert_eq!(next(&history), [gains(240.0)]);
}

#[test]
fn between_an_interval_that_was_kept_and_one_that_failed_another_is_tried() {
    let mut history = vec![accepted(&[phases(480.0)], 100.0, 3.0, 20.0), rejected(&[phases(120.0)], 400.0, -0.3, 20.0)];
    assert_eq!(next(&history), [phases(240.0)]);
    history.push(accepted(&[phases(240.0)], 400.0, 0.1, 20.0));
    assert_eq!(next(&history), [gains(240.0)]);
}

#[test]
fn amplitudes_come_down_and_end_together_with_the_phases() {
    // An S/N of 8 in 30 s: amplitudes begin where it is 15.
    let mut history = vec![accepted(&[phases(30.0)], 1000.0, 0.5, 8.0)];
    assert_eq!(next(&history), [phases(30.0), gains(120.0)]);
    assert_eq!(next(&[accepted(&[phases(30.0)], 1000.0, 0.5, 4.0)]), [phases(30.0), gains(240.0)], "at most 8 times");
    assert_eq!(next(&[accepted(&[phases(30.0)], 1000.0, 0.5, 20.0)]), [gains(30.0)]);
    history.push(accepted(&[phases(30.0), gains(120.0)], 1500.0, 1.0, 8.0));
    assert_eq!(next(&history), [gains(30.0)]);
    history.push(accepted(&[gains(30.0)], 3300.0, 0.05, 20.0));
    assert_eq!(next(&history), [gains(30.0)], "once more with the last model");
    let flat = |change| vec![Tried { change: Some(change), ..accepted(&[gains(30.0)], 8000.0, -0.004, 20.0) }];
    assert_eq!(next(&flat(0.051)), [gains(30.0)], "the image still changes");
    assert_eq!(end(&flat(0.049)).0, Limit::IntegrationTime, "it does no more");
    let steep = Tried { change: Some(0.3), ..accepted(&[gains(30.0)], 1950.0, -0.002, 20.0) };
    let mut steep = vec![accepted(&[gains(30.0)], 1700.0, 0.145, 20.0), steep];
    assert_eq!(next(&steep), [gains(30.0)], "one flat round may be its mask's doing");
    steep.push(Tried { change: Some(0.03), ..accepted(&[gains(30.0)], 1946.0, 0.004, 20.0) });
    assert_eq!(end(&steep).0, Limit::IntegrationTime, "two are not");
    history.push(accepted(&[gains(30.0)], 3465.0, 0.004, 20.0));
    let (limit, why) = end(&history);
    assert_eq!(limit, Limit::IntegrationTime);
    insta::assert_snapshot!(why, @"amplitudes and phases 30 s gained 0.4 % last, and phases are solved for each integration");
}

#[test]
fn amplitudes_that_failed_are_tried_longer_and_then_given_up() {
    let mut history =
        vec![accepted(&[phases(30.0)], 1000.0, 0.5, 4.0), rejected(&[phases(30.0), gains(240.0)], 1500.0, -0.1, 4.0)];
    assert_eq!(next(&history), [phases(30.0), gains(1050.0)]);
    history.push(rejected(&[phases(30.0), gains(1050.0)], 1500.0, -0.1, 4.0));
    history.push(rejected(&[phases(30.0), gains(7200.0)], 1500.0, -0.1, 4.0));
    let (_, why) = end(&history);
    insta::assert_snapshot!(why, @"3 attempts in a row were rejected");
}

#[test]
fn without_gain_phases_below_amplitudes_get_shorter_too() {
    let history = [
        accepted(&[phases(240.0)], 300.0, 0.3, 5.0),
        accepted(&[phases(120.0)], 400.0, 0.01, 5.0),
        accepted(&[phases(120.0), gains(2400.0)], 404.0, 0.8, 5.0),
        accepted(&[phases(120.0), gains(600.0)], 727.0, 0.01, 5.0),
    ];
    assert_eq!(next(&history), [phases(30.0), gains(600.0)]);
}

#[test]
fn the_last_round_is_for_amplitudes() {
    let history = [accepted(&[phases(480.0)], 100.0, 3.0, 20.0)];
    assert_eq!(next_of(&history, &field(), 1), [gains(480.0)]);
    assert_eq!(next_of(&history, &field(), 2), [phases(120.0)]);
}

#[test]
fn delays_are_kept_where_they_gain() {
    let observation = Observation { channels: 16, ..field() };
    let delays = term(TermKind::Delay, 7200.0);
    let delays = TermChoice { interval: Interval::Everything, ..delays };
    let mut history = vec![accepted(&[phases(240.0)], 100.0, 1.0, 20.0)];
    assert_eq!(next_of(&history, &observation, 8), [delays, phases(240.0)]);
    assert_eq!(next(&history), [phases(60.0)], "with two channels there are none");
    history.push(accepted(&[delays, phases(240.0)], 200.0, 2.0, 20.0));
    assert_eq!(next_of(&history, &observation, 8), [delays, phases(60.0)]);
    history[1].gain = 0.01;
    assert_eq!(next_of(&history, &observation, 8), [phases(60.0)], "they brought nothing");
    history[1] = rejected(&[delays, phases(240.0)], 200.0, -1.0, 20.0);
    assert_eq!(next_of(&history, &observation, 8), [phases(60.0)]);
}

#[test]
fn with_channels_a_bandpass_comes_last_and_is_kept_where_it_gains() {
    let observation = Observation { channels: 16, ..field() };
    let bandpass = TermChoice { interval: Interval::Everything, ..term(TermKind::Bandpass, 7200.0) };
    let delays = TermChoice { interval: Interval::Everything, ..term(TermKind::Delay, 7200.0) };
    let mut history = vec![
        rejected(&[delays, phases(30.0)], 100.0, -1.0, 20.0),
        accepted(&[gains(30.0)], 100.0, 0.1, 20.0),
        accepted(&[gains(30.0)], 110.0, 0.001, 20.0),
    ];
    assert_eq!(next_of(&history, &observation, 8), [gains(30.0), bandpass]);
    history.push(accepted(&[gains(30.0), bandpass], 110.0, 0.1, 20.0));
    assert_eq!(next_of(&history, &observation, 8), [gains(30.0), bandpass], "again");
    // 20 in 30 s are 310 in everything, 77 in a channel; 3 are 12.
    let weak = [rejected(&[delays, phases(30.0)], 100.0, -1.0, 3.0), accepted(&[gains(30.0)], 100.0, 0.001, 3.0)];
    let choice = choose(&weak, &image(900.0), &observation, 8, &SolintOptions::default());
    assert!(matches!(choice, Choice::Stop { .. }), "{choice:?}");
}

#[test]
fn a_first_chain_that_failed_is_followed_by_longer_ones() {
    let mut history = vec![rejected(&[phases(60.0)], 100.0, -0.5, 5.0)];
    assert_eq!(next(&history), [phases(240.0)]);
    history.push(rejected(&[phases(240.0)], 100.0, -0.5, 5.0));
    assert_eq!(next(&history), [phases(1050.0)]);
    assert_eq!(next(&[rejected(&[phases(240.0)], 100.0, -0.5, 20.0)]), [phases(60.0)], "not where the S/N is ample");
    // Too low an S/N at 60 s, which the image did not tell.
    assert_eq!(next(&[rejected(&[phases(60.0)], 100.0, -1.0, 1.0)]), [phases(1050.0)]);
}

#[test]
fn weak_solutions_that_failed_are_solved_together() {
    let observation = Observation { polarisations: 2, ..field() };
    let together = |t: TermChoice| TermChoice { polarisations: Sharing::Together, ..t };
    let history = [accepted(&[phases(240.0)], 100.0, 1.0, 4.0), rejected(&[phases(60.0)], 200.0, -0.1, 4.0)];
    assert_eq!(next_of(&history, &observation, 8), [together(phases(60.0))]);
    let strong = [accepted(&[phases(240.0)], 100.0, 1.0, 40.0), rejected(&[phases(60.0)], 200.0, -0.1, 40.0)];
    assert_eq!(next_of(&strong, &observation, 8), [phases(120.0)]);
}

#[test]
fn hands_that_agree_are_solved_together_and_those_that_do_not_are_not() {
    let observation = Observation { polarisations: 2, ..field() };
    // An S/N of 20 in 240 s, of 10 in 60 s: noise alone makes median differences of 2.7 and 5.5 degrees.
    let with = |measured_deg: f64| {
        let mut first = accepted(&[phases(240.0)], 100.0, 1.0, 20.0 / 8f64.sqrt());
        first.solutions.terms[0].polarisation_difference = Some(Difference { measured_deg, expected_deg: 2.0 });
        next_of(&[first], &observation, 8)[0]
    };
    assert_eq!(with(2.5).polarisations, Sharing::Together);
    // Up to sqrt(2.7^2 + 5.5^2) they are better solved together.
    assert_eq!(with(6.0).polarisations, Sharing::Together);
    assert_eq!(with(6.3).polarisations, Sharing::Each);
    assert_eq!(with(30.0).polarisations, Sharing::Each);
}

#[test]
fn a_much_better_model_opens_what_was_closed() {
    let history = [
        accepted(&[phases(480.0)], 100.0, 0.2, 20.0),
        accepted(&[phases(120.0)], 120.0, 0.01, 20.0),
        accepted(&[phases(120.0), gains(960.0)], 121.0, 4.0, 20.0),
        rejected(&[phases(120.0), gains(240.0)], 600.0, -0.1, 20.0),
    ];
    assert_eq!(next(&history), [phases(120.0), gains(480.0)]);
}

#[test]
fn calibrators_of_single_solves_get_single_terms() {
    let observation = Observation { chains: false, channels: 16, ..field() };
    let history = [accepted(&[phases(30.0)], 100.0, 1.0, 8.0)];
    assert_eq!(next_of(&history, &observation, 8), [gains(60.0)]);
    let history = [history[0].clone(), accepted(&[gains(60.0)], 200.0, 1.0, 8.0)];
    assert_eq!(next_of(&history, &observation, 8), [gains(30.0)]);
}

#[test]
fn phase_only_never_solves_amplitudes() {
    let options = SolintOptions { phase_only: true, repeat_gain: 9.0, ..SolintOptions::default() };
    let history = [accepted(&[phases(30.0)], 100.0, 0.5, 20.0)];
    let choice = choose(&history, &image(900.0), &field(), 5, &options);
    assert!(matches!(choice, Choice::Stop { limit: Limit::IntegrationTime, .. }), "{choice:?}");
}

#[test]
fn a_negative_gain_limit_goes_on_to_the_last_round() {
    let options = SolintOptions { repeat_gain: -1.0, ..SolintOptions::default() };
    let history = [accepted(&[gains(30.0)], 100.0, 0.5, 20.0), accepted(&[gains(30.0)], 150.0, -0.01, 20.0)];
    assert!(matches!(choose(&history, &image(900.0), &field(), 5, &options), Choice::Solve { .. }));
    let Choice::Stop { limit, .. } = choose(&history, &image(900.0), &field(), 0, &options) else { panic!() };
    assert_eq!(limit, Limit::Rounds);
}

#[test]
fn the_theoretical_noise_is_a_limit() {
    let history = [accepted(&[gains(30.0)], 100.0, 0.001, 20.0)];
    let at_the_noise = ImageSignal { theoretical: Some(0.98), ..image(900.0) };
    let choice = choose(&history, &at_the_noise, &field(), 5, &SolintOptions::default());
    assert!(matches!(choice, Choice::Stop { limit: Limit::Noise, .. }), "{choice:?}");
}

#[test]
fn a_choice_names_what_was_weighed() {
    let history = [accepted(&[phases(480.0)], 100.0, 3.0, 20.0)];
    let Choice::Solve { why, weighed, .. } = choose(&history, &image(900.0), &field(), 8, &SolintOptions::default())
    else {
        panic!()
    };
    insta::assert_snapshot!(why, @"phases 120 s: shorter than 480 s, which was kept; estimated S/N 40.0 per antenna");
    let said: Vec<String> = weighed.iter().map(|w| format!("{}: {}", w.what, w.why_not)).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    amplitudes and phases 480 s: phases 120 s first
    phases 480 s + amplitudes and phases 2400 s: phases 120 s first
    phases 480 s + amplitudes and phases all scans together: phases 120 s first
    ");
}

#[test]
fn a_calibrator_that_tells_nothing_is_judged_by_its_images() {
    let mut history = vec![accepted(&[phases(240.0)], 100.0, 3.0, 20.0)];
    history[0].solutions = SolutionStats::default();
    assert_eq!(next(&history), [phases(60.0)]);
}
