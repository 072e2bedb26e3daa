//! Each rule by itself, and decisions over whole histories.

use super::*;
use crate::campaign::layout::AttemptId;
use crate::image::Beam;
use crate::options::Validate;
use crate::quality::metrics::{BeamOnPixels, ImageMetrics, ModelMetrics, PlaneArrays, of_plane};
use crate::quality::solutions::{AntennaSolutions, SolutionStats, TermStats};
use ndarray::Array2;
use rstest::rstest;

/// A sound round: noise and rms 1, beam area 10, model of 5 Jy; 2 % of the solutions flagged.
fn round(dynamic_range: f64) -> RoundMetrics {
    RoundMetrics {
        image: ImageMetrics {
            noise: 1.0,
            rms: 1.0,
            peak: dynamic_range,
            dynamic_range,
            snr: dynamic_range,
            negative_ratio: 0.01,
            masked_pixels: Some(500),
            near_field_snr: Some(100.0),
            beam_area_arcsec2: Some(10.0),
            model: Some(ModelMetrics { total_flux: 5.0, components: 9, ..ModelMetrics::default() }),
            ..ImageMetrics::default()
        },
        solutions: Some(SolutionStats {
            solutions: 100,
            flagged_fraction: 0.02,
            median_snr: Some(20.0),
            ..SolutionStats::default()
        }),
        ..RoundMetrics::default()
    }
}

/// Judges the rounds one after the other, as the driver does.
fn run(rounds: &[RoundMetrics], options: &AcceptanceOptions) -> Vec<RoundOutcome> {
    let mut history: Vec<RoundOutcome> = Vec::new();
    for (round, metrics) in rounds.iter().enumerate() {
        let decision = judge(&history, metrics, options);
        history.push(RoundOutcome { id: AttemptId::first(round), metrics: metrics.clone(), decision });
    }
    history
}

fn verdict_of(change: impl Fn(&mut RoundMetrics), options: &AcceptanceOptions) -> (Verdict, Vec<Rule>) {
    let mut candidate = round(110.0);
    change(&mut candidate);
    let decision = judge(&run(&[round(100.0)], options), &candidate, options);
    (decision.verdict, decision.failed().map(|r| r.rule).collect())
}

#[rstest]
#[case::better(|_: &mut RoundMetrics| {}, Verdict::Accepted, &[])]
#[case::fall_within(|m: &mut RoundMetrics| m.image.dynamic_range = 98.1, Verdict::Accepted, &[])]
#[case::fall_beyond(|m: &mut RoundMetrics| m.image.dynamic_range = 97.9, Verdict::Rejected, &[Rule::DynamicRange])]
#[case::rms_within(|m: &mut RoundMetrics| m.image.rms = 1.049, Verdict::Accepted, &[])]
#[case::rms_within_at_a_lower_range(|m: &mut RoundMetrics| (m.image.rms, m.image.dynamic_range) = (1.049, 99.0), Verdict::Accepted, &[])]
#[case::rms_beyond(|m: &mut RoundMetrics| (m.image.rms, m.image.dynamic_range) = (1.051, 99.0), Verdict::Rejected, &[Rule::Rms])]
#[case::rms_beyond_and_a_better_image(|m: &mut RoundMetrics| m.image.rms = 1.051, Verdict::Accepted, &[])]
#[case::a_source_becomes_coherent(|m: &mut RoundMetrics| (m.image.rms, m.image.peak) = (2.5, 400.0), Verdict::Accepted, &[])]
#[case::rms_doubled(|m: &mut RoundMetrics| (m.image.rms, m.image.peak, m.image.dynamic_range) = (2.0, 100.0, 50.0), Verdict::Diverged, &[Rule::RmsDiverged, Rule::DynamicRange, Rule::Rms])]
#[case::rms_not_doubled_to_the_peak(|m: &mut RoundMetrics| (m.image.rms, m.image.dynamic_range) = (2.0, 55.0), Verdict::Rejected, &[Rule::DynamicRange, Rule::Rms])]
#[case::beam_within(|m: &mut RoundMetrics| m.image.beam_area_arcsec2 = Some(10.4), Verdict::Accepted, &[])]
#[case::beam_beyond(|m: &mut RoundMetrics| m.image.beam_area_arcsec2 = Some(10.6), Verdict::Rejected, &[Rule::BeamArea])]
#[case::beam_beyond_in_a_better_image(|m: &mut RoundMetrics| (m.image.beam_area_arcsec2, m.image.dynamic_range) = (Some(11.0), 122.0), Verdict::Accepted, &[])]
#[case::beam_grown_more_than_the_range(|m: &mut RoundMetrics| (m.image.beam_area_arcsec2, m.image.dynamic_range) = (Some(11.0), 120.0), Verdict::Rejected, &[Rule::BeamArea])]
#[case::beam_unknown(|m: &mut RoundMetrics| m.image.beam_area_arcsec2 = None, Verdict::Accepted, &[])]
#[case::flagged_within(|m: &mut RoundMetrics| m.solutions.as_mut().unwrap().flagged_fraction = 0.3, Verdict::Accepted, &[])]
#[case::flagged_beyond(|m: &mut RoundMetrics| m.solutions.as_mut().unwrap().flagged_fraction = 0.31, Verdict::Rejected, &[Rule::FlaggedSolutions])]
#[case::no_solution(|m: &mut RoundMetrics| m.solutions = Some(SolutionStats { antennas: vec![AntennaSolutions::default()], ..SolutionStats::default() }), Verdict::Rejected, &[Rule::FlaggedSolutions])]
#[case::snr_within(|m: &mut RoundMetrics| m.solutions.as_mut().unwrap().median_snr = Some(3.0), Verdict::Accepted, &[])]
#[case::snr_beyond(|m: &mut RoundMetrics| m.solutions.as_mut().unwrap().median_snr = Some(2.9), Verdict::Rejected, &[Rule::SolutionSnr])]
#[case::nothing_is_known_of_them(|m: &mut RoundMetrics| m.solutions = Some(SolutionStats::default()), Verdict::Accepted, &[])]
#[case::empty_model(|m: &mut RoundMetrics| m.image.model = Some(ModelMetrics::default()), Verdict::Rejected, &[Rule::ModelNotEmpty])]
#[case::no_model_given(|m: &mut RoundMetrics| m.image.model = None, Verdict::Accepted, &[])]
#[case::flux_three_times(|m: &mut RoundMetrics| m.image.model.as_mut().unwrap().total_flux = 15.0, Verdict::Accepted, &[])]
#[case::flux_beyond(|m: &mut RoundMetrics| m.image.model.as_mut().unwrap().total_flux = 16.8, Verdict::Diverged, &[Rule::FluxDiverged])]
#[case::flux_beyond_in_the_first_calibrated_round(|m: &mut RoundMetrics| (m.image.model.as_mut().unwrap().total_flux, m.first_interval) = (16.8, true), Verdict::Accepted, &[])]
#[case::flux_beyond_at_lower_noise(|m: &mut RoundMetrics| (m.image.model.as_mut().unwrap().total_flux, m.image.rms) = (30.0, 0.56), Verdict::Diverged, &[Rule::FluxDiverged])]
#[case::flux_of_a_deeper_clean(|m: &mut RoundMetrics| (m.image.model.as_mut().unwrap().total_flux, m.image.rms) = (30.0, 0.48), Verdict::Accepted, &[])]
#[case::flux_of_noise(|m: &mut RoundMetrics| (m.image.model.as_mut().unwrap().total_flux, m.image.rms) = (1000.0, 0.2), Verdict::Diverged, &[Rule::FluxDiverged])]
#[case::not_finite(|m: &mut RoundMetrics| m.image.non_finite = true, Verdict::Diverged, &[Rule::Finite])]
#[case::no_noise(|m: &mut RoundMetrics| m.image.rms = 0.0, Verdict::Rejected, &[Rule::NoiseMeasured])]
fn each_rule(#[case] change: impl Fn(&mut RoundMetrics), #[case] verdict: Verdict, #[case] failed: &[Rule]) {
    assert_eq!(verdict_of(change, &AcceptanceOptions::default()), (verdict, failed.to_vec()));
}

#[test]
fn the_first_interval_has_a_limit_of_its_own() {
    let options = AcceptanceOptions { first_dynamic_range_fall: 0.1, ..AcceptanceOptions::default() };
    let first = |m: &mut RoundMetrics| (m.image.dynamic_range, m.first_interval) = (91.0, true);
    assert_eq!(verdict_of(first, &options).0, Verdict::Accepted);
    assert_eq!(verdict_of(|m| m.image.dynamic_range = 91.0, &options).0, Verdict::Rejected);
}

#[test]
fn the_near_field_decides_between_equal_dynamic_ranges() {
    let options = AcceptanceOptions::default();
    let near = |range: f64, near: f64| {
        move |m: &mut RoundMetrics| (m.image.dynamic_range, m.image.near_field_snr) = (range, Some(near))
    };
    assert_eq!(verdict_of(near(101.9, 89.0), &options), (Verdict::Rejected, vec![Rule::NearField]));
    assert_eq!(verdict_of(near(102.1, 89.0), &options).0, Verdict::Accepted, "the whole field counts for more");
    assert_eq!(verdict_of(near(101.9, 90.0), &options).0, Verdict::Accepted);
    let off = AcceptanceOptions { near_field_snr_fall: None, converged_rounds: 0, ..options };
    assert_eq!(verdict_of(near(101.9, 89.0), &off).0, Verdict::Accepted);
    let best_of = |rounds: &[(f64, f64)]| {
        let rounds: Vec<RoundMetrics> = rounds
            .iter()
            .map(|&(range, snr)| {
                let mut metrics = round(range);
                near(range, snr)(&mut metrics);
                metrics
            })
            .collect();
        let history = run(&rounds, &off);
        (best_accepted(&history).unwrap().id.round, why_best(&history).unwrap())
    };
    let (best, why) = best_of(&[(100.0, 80.0), (150.0, 120.0), (152.0, 110.0)]);
    assert_eq!(best, 1);
    insta::assert_snapshot!(why, @"round 1 has the highest near-field S/N, 120, of the rounds within 2 % of the highest dynamic range; its own is 150");
    assert_eq!(best_of(&[(100.0, 200.0), (150.0, 120.0), (154.0, 110.0)]).0, 2);
}

#[test]
fn negatives_have_a_limit_if_one_is_given() {
    let options = AcceptanceOptions { negative_rise: Some(0.5), ..AcceptanceOptions::default() };
    let negative = |m: &mut RoundMetrics| m.image.negative_ratio = 0.016;
    assert_eq!(verdict_of(negative, &options), (Verdict::Rejected, vec![Rule::Negative]));
    assert_eq!(verdict_of(negative, &AcceptanceOptions::default()).0, Verdict::Accepted);
    assert_eq!(verdict_of(|m| m.image.negative_ratio = 0.015, &options).0, Verdict::Accepted);
}

#[test]
fn a_drift_of_the_flux_scale_is_said_and_does_no_harm() {
    let options = AcceptanceOptions::default();
    let history = run(&[round(100.0)], &options);
    let warned = |flux: f64, amplitudes: bool| {
        let mut candidate = RoundMetrics { amplitudes, ..round(110.0) };
        candidate.image.model.as_mut().unwrap().inside_flux = Some(flux);
        let decision = judge(&history, &candidate, &options);
        assert_eq!(decision.verdict, Verdict::Accepted);
        decision.warnings().map(|r| r.words.clone()).collect::<Vec<_>>()
    };
    insta::assert_snapshot!(warned(4.6, true).join(""), @"CLEAN components in the islands of the last mask 5 -> 4.6 Jy (-8.0 %, more than 5 % is a drift of the flux scale)");
    assert_eq!(warned(5.3, true).len(), 1, "up as well as down");
    assert!(warned(4.8, true).is_empty() && warned(4.6, false).is_empty());
}

#[test]
fn round_0_is_accepted_unless_it_is_unusable() {
    let options = AcceptanceOptions::default();
    let zero = RoundMetrics { solutions: None, ..round(50.0) };
    assert_eq!(judge(&[], &zero, &options).verdict, Verdict::Accepted);
    let mut empty = zero.clone();
    empty.image.model = Some(ModelMetrics::default());
    let decision = judge(&[], &empty, &options);
    assert_eq!((decision.verdict, decision.next), (Verdict::Rejected, Next::Stop));
    let mut broken = zero;
    broken.image.non_finite = true;
    assert_eq!(judge(&[], &broken, &options).verdict, Verdict::Diverged);
}

#[rstest]
#[case::twice_idle(&[100.0, 150.0, 152.0, 153.0], &[Verdict::Accepted, Verdict::Accepted, Verdict::Accepted, Verdict::Converged])]
#[case::progress_between(&[100.0, 101.0, 150.0, 151.0], &[Verdict::Accepted; 4])]
#[case::fall_and_return(&[100.0, 99.0, 101.5], &[Verdict::Accepted, Verdict::Accepted, Verdict::Converged])]
#[case::rejected_do_not_count(&[100.0, 101.0, 50.0, 120.0], &[Verdict::Accepted, Verdict::Accepted, Verdict::Rejected, Verdict::Accepted])]
fn convergence_by_two_idle_rounds(#[case] ranges: &[f64], #[case] verdicts: &[Verdict]) {
    let rounds: Vec<RoundMetrics> = ranges.iter().map(|&d| round(d)).collect();
    let history = run(&rounds, &AcceptanceOptions::default());
    assert_eq!(history.iter().map(|o| o.decision.verdict).collect::<Vec<_>>(), verdicts);
}

#[test]
fn convergence_waits_for_other_settings_and_can_be_turned_off() {
    let options = AcceptanceOptions::default();
    let history = run(&[round(100.0), round(101.0)], &options);
    let waiting = RoundMetrics { more_to_try: true, ..round(102.0) };
    let decision = judge(&history, &waiting, &options);
    assert_eq!((decision.verdict, &decision.next), (Verdict::Accepted, &Next::Continue));
    insta::assert_snapshot!(decision.reasons.last().unwrap().words, @"gains in dynamic range of the last 2 accepted rounds +1.0 %, +1.0 % are below 2 %; other settings are still to be tried");
    assert_eq!(judge(&history, &round(102.0), &options).next, Next::Stop);
    let never = AcceptanceOptions { converged_rounds: 0, ..options };
    assert_eq!(judge(&history, &round(102.0), &never).verdict, Verdict::Accepted);
}

#[test]
fn a_rejected_round_is_tried_once_more_with_relaxed_settings_and_then_it_is_over() {
    let options = AcceptanceOptions::default();
    let bad = RoundMetrics { amplitudes: true, ..round(60.0) };
    let history = run(&[round(100.0), bad.clone()], &options);
    let changes = vec![
        Relaxation::LongerInterval { factor: 2.0 },
        Relaxation::PhaseOnly,
        Relaxation::ConservativeMask { factor: 1.3 },
    ];
    assert_eq!(history[1].decision.next, Next::RetryRelaxed { changes });
    let second = judge(&history, &bad, &options);
    assert_eq!((second.verdict, &second.next), (Verdict::Rejected, &Next::Stop));
    assert!(second.failed().any(|r| r.rule == Rule::Retries));
    let good = judge(&history, &round(130.0), &options);
    assert_eq!((good.verdict, good.next), (Verdict::Accepted, Next::Continue));
}

#[test]
fn automatic_schedules_choose_again_and_only_they_end_the_campaign() {
    let options = AcceptanceOptions { retries: 0, ..AcceptanceOptions::default() };
    let automatic = |range: f64| RoundMetrics { interval_chosen: true, amplitudes: true, ..round(range) };
    let again = Next::RetryRelaxed { changes: vec![Relaxation::ChooseAgain] };
    let mut diverged = automatic(20.0);
    diverged.image.rms = 8.0;
    let rounds = [round(100.0), automatic(60.0), automatic(70.0), diverged, automatic(80.0)];
    let history = run(&rounds, &options);
    for outcome in &history[1..] {
        assert_eq!(outcome.decision.next, again, "{}", outcome.decision.summary());
    }
    assert_eq!(history[3].decision.verdict, Verdict::Diverged);
    let mut wide = automatic(90.0);
    wide.image.beam_area_arcsec2 = Some(12.0);
    let changes = vec![Relaxation::ChooseAgain, Relaxation::CalOnly];
    assert_eq!(judge(&history, &wide, &options).next, Next::RetryRelaxed { changes });
    let idle = run(&[round(100.0), automatic(100.0), automatic(100.0), automatic(100.0)], &options);
    assert!(idle.iter().all(|o| o.decision.next == Next::Continue), "only the schedule knows what is left to try");
}

#[test]
fn tables_are_refused_before_they_are_applied() {
    let options = AcceptanceOptions::default();
    let history = run(&[round(100.0)], &options);
    let mut weak = round(0.0);
    weak.solutions.as_mut().unwrap().median_snr = Some(2.5);
    let decision = judge_solutions(&history, &weak, &options).unwrap();
    insta::assert_snapshot!(decision.summary(), @"rejected: median S/N of the solutions 2.5, at least 3 needed");
    weak.solutions.as_mut().unwrap().median_snr = None;
    assert_eq!(judge_solutions(&history, &weak, &options), None);
}

#[test]
fn the_worst_term_of_a_chain_decides() {
    let options = AcceptanceOptions::default();
    let history = run(&[round(100.0)], &options);
    let term = |name: &str, flagged_fraction: f64, snr: f64| TermStats {
        term: name.into(),
        solutions: 50,
        flagged_fraction,
        median_snr: Some(snr),
        ..TermStats::default()
    };
    let refused = |terms: Vec<TermStats>| {
        let solutions = Some(SolutionStats { terms, ..round(0.0).solutions.unwrap() });
        judge_solutions(&history, &RoundMetrics { solutions, ..round(0.0) }, &options).map(|d| d.summary())
    };
    assert_eq!(refused(vec![term("phase", 0.1, 9.0), term("gains", 0.2, 5.0)]), None);
    let weak = refused(vec![term("phase", 0.1, 9.0), term("gains", 0.2, 2.0)]).unwrap();
    insta::assert_snapshot!(weak, @"rejected: median S/N of the solutions of the term gains 2, at least 3 needed");
    let flagged = refused(vec![term("phase", 0.4, 9.0), term("gains", 0.2, 5.0)]).unwrap();
    insta::assert_snapshot!(flagged, @"rejected: 40.0 % of 50 solutions of the term phase flagged, 30.0 % allowed");
    let empty = TermStats { solutions: 0, ..term("gains", 0.0, 5.0) };
    insta::assert_snapshot!(refused(vec![term("phase", 0.1, 9.0), empty]).unwrap(), @"rejected: the tables of the term gains hold no solution");
}

/// Gaussian noise from a fixed seed: the sum of twelve uniform numbers less six.
fn gaussian_noise(mut state: u64) -> Array2<f64> {
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    Array2::from_shape_simple_fn((400, 400), || (0..12).map(|_| uniform()).sum::<f64>() - 6.0)
}

/// The choice that a judge by the MAD gets wrong: fast phases leave amplitude errors around the bright source, and little
/// noise elsewhere; amplitudes and phases at twice the interval remove those, but their phases are worse in the whole
/// field. The true error of the second image is smaller.
#[test]
fn amplitudes_that_clear_the_surroundings_of_a_source_are_worth_more_than_a_lower_mad() {
    let distance = |(y, x): (usize, usize)| (y as f64 - 200.0).hypot(x as f64 - 200.0);
    let (near, far) = (gaussian_noise(1), gaussian_noise(2));
    // Errors of the gains: rings that fall off with the distance, and an even floor.
    let errors_of = |rings: f64, floor: f64| {
        Array2::from_shape_fn((400, 400), |at| rings * (-distance(at) / 25.0).exp() * near[at] + floor * far[at])
    };
    let thermal = gaussian_noise(3);
    let peak = 2000.0;
    let beam = Beam { major_deg: 3.0 / 3600.0, minor_deg: 3.0 / 3600.0, pa_deg: 0.0 };
    let measured = |errors: &Array2<f64>, amplitudes: bool| {
        let residual = (&thermal + errors).mapv(|v| v as f32);
        let mut image = residual.clone();
        image[(200, 200)] += peak as f32;
        let plane = PlaneArrays {
            image: image.view(),
            residual: Some(residual.view()),
            model: None,
            mask: None,
            islands: None,
            before: None,
        };
        let metrics = of_plane(&plane, Some(BeamOnPixels { beam, pixel_deg: 1.0 / 3600.0 }));
        RoundMetrics { image: metrics, amplitudes, ..round(0.0) }
    };
    let (phases, both) = (errors_of(12.0, 0.3), errors_of(2.0, 0.6));
    let true_error = |errors: &Array2<f64>| errors.std(0.0);
    assert!(true_error(&phases) > 1.2 * true_error(&both));
    let (phases, both) = (measured(&phases, false), measured(&both, true));
    let mad = both.image.snr / phases.image.snr;
    assert!(mad < 0.97, "the MAD prefers the worse image: {mad}");
    let history = run(&[phases, both], &AcceptanceOptions::default());
    assert_eq!(history[1].decision.verdict, Verdict::Accepted, "{}", history[1].decision.summary());
    assert_eq!(best_accepted(&history).unwrap().id.round, 1);
}

#[test]
fn the_relaxed_settings_answer_the_fault() {
    let options = AcceptanceOptions::default();
    let changes = |change: fn(&mut RoundMetrics)| {
        let mut candidate = round(110.0);
        change(&mut candidate);
        judge(&run(&[round(100.0)], &options), &candidate, &options).next
    };
    let longer = Relaxation::LongerInterval { factor: 2.0 };
    let retry = |changes: &[Relaxation]| Next::RetryRelaxed { changes: changes.to_vec() };
    assert_eq!(changes(|m| m.solutions.as_mut().unwrap().flagged_fraction = 0.5), retry(&[longer]));
    assert_eq!(changes(|m| m.image.beam_area_arcsec2 = Some(12.0)), retry(&[longer, Relaxation::CalOnly]));
    let worse = |m: &mut RoundMetrics| (m.image.rms, m.image.dynamic_range) = (3.0, 40.0);
    assert_eq!(changes(worse), Next::Stop, "diverged");
    let mask = Relaxation::ConservativeMask { factor: 1.3 };
    assert_eq!(changes(|m| (m.image.dynamic_range, m.solutions) = (90.0, None)), retry(&[mask]));
    let retry_diverged = AcceptanceOptions { retry_diverged: true, ..AcceptanceOptions::default() };
    let mut diverged = round(110.0);
    worse(&mut diverged);
    let decision = judge(&run(&[round(100.0)], &options), &diverged, &retry_diverged);
    assert_eq!((decision.verdict, decision.next), (Verdict::Diverged, retry(&[longer, mask])));
}

#[test]
fn the_best_accepted_round_is_the_product() {
    let options = AcceptanceOptions { converged_rounds: 0, ..AcceptanceOptions::default() };
    let history = run(&[round(100.0), round(160.0), round(158.0), round(20.0)], &options);
    assert_eq!(best_accepted(&history).unwrap().id.round, 1);
    assert_eq!(last_accepted(&history).unwrap().id.round, 2);
    insta::assert_snapshot!(why_best(&history).unwrap(), @"round 1 has the highest dynamic range, 160, of the 3 accepted rounds (noise 1 Jy/beam)");
    assert!(best_accepted(&[]).is_none());
}

#[test]
fn reasons_carry_their_numbers_in_words() {
    let options = AcceptanceOptions::default();
    let mut bad = round(61.234);
    bad.image.rms = 1.5;
    let decision = judge(&run(&[round(100.0)], &options), &bad, &options);
    insta::assert_snapshot!(decision.summary(), @"rejected: dynamic range 100 -> 61.23 (-38.8 %, limit -2 %); rms 1 -> 1.5 Jy/beam (+50.0 %, limit +5 %)");
    let json = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), decision);
}

#[test]
fn invalid_limits_are_named() {
    let cases = ["rms_rise: -0.1", "diverged_rms_factor: 1.0", "flagged_solutions: 30"];
    let said =
        cases.map(|yaml| serde_yaml::from_str::<AcceptanceOptions>(yaml).unwrap().validate().unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @"
    acceptance.rms_rise is -0.1; expected a number of at least 0 (0.05 is 5 %)
    acceptance.diverged_rms_factor is 1; expected a factor above 1
    acceptance.flagged_solutions is 30; expected a fraction from 0 to 1 (0.02 is 2 %)
    ");
}

#[test]
fn defaults_are_valid_and_unknown_keys_are_not() {
    AcceptanceOptions::default().validate().unwrap();
    let error = serde_yaml::from_str::<AcceptanceOptions>("rms_raise: 0.1").unwrap_err();
    insta::assert_snapshot!(error.to_string().split(", expected").next().unwrap(), @"error: line 1 column 1: unknown field `rms_raise`");
}
