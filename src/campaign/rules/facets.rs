//! Rounds by direction: when the automatic schedule begins with them, what it tries, and which directions are worse than
//! before. The measurements behind the numbers are in docs/direction-dependent.md.

use super::acceptance::{RoundOutcome, last_accepted};
use super::schedule::Tried;
use crate::calibrator::options::{CalMode, TermKind};
use crate::quality::facets::FacetNoise;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The noise around a direction may rise by this part: two images of the same solutions in other masks differ by so much.
const NOISE_RISE: f64 = 0.05;
/// The deepest negative around a direction may deepen by this part. Solved again with nothing more to gain, with a noise within
/// 2 %, it changed by -8 to 7 %, once by 16 %: twice what the near-field S/N of a whole image may fall.
const NEGATIVE_RISE: f64 = 0.2;
/// Where the noise fell by more than this part it tells more than one pixel does, as the dynamic range tells more than the
/// near field when whole images are compared.
const TELLS_MORE: f64 = 0.02;
/// Where the noise around a direction rose to more than so many times its value, it may have risen around others because of
/// that one.
const SPOILS: f64 = 2.0;
/// Part of the greatest rise from which on a direction has its own part in it. Amplitudes of one direction down to 0.02 raised
/// the noise around it by 10,565, around ten others, whose gains were right, by 588 to 2,973.
const GREATEST: f64 = 0.5;
/// The noise around a source away from the brightest one, in that of the field, from which on errors depend on direction.
/// Without such errors it was 0.8 to 1.16 on 36 fields, with them 2.6 to 3.7.
const ENTER: f64 = 1.5;
/// The field's noise, in the theoretical one, from which on errors are left everywhere. Without errors by direction it was
/// 1.2 to 1.8 on these fields (robust weighting alone gives 1.25), with them 19 and 26.
const FAR_FROM_NOISE: f64 = 3.0;
/// The stage ends with the first round that gains less than this part.
const LEAST_GAIN: f64 = 0.02;
/// Amplitudes without directions that gained less than this part leave errors by direction as the greater ones. Where images
/// showed such errors, rounds without directions gained 10, 7, 2 % and then 0 to 1 %, the first by direction 208 to 460 %.
const LITTLE_GAIN: f64 = 0.15;

/// A round by direction that the automatic schedule tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StageStep {
    /// Quantities that are solved for.
    pub(crate) calmode: CalMode,
    /// The interval, in those of [`shortest_interval`].
    pub(crate) intervals: u32,
}

/// Phases first, then both, then down to the shortest interval, the last again for as long as it gains. Tried by hand on a field
/// of five directions, these took the dynamic range from 317 to 1538, 4268, 5791, 6129 and no further.
const STEPS: [StageStep; 5] = [
    StageStep { calmode: CalMode::P, intervals: 2 },
    StageStep { calmode: CalMode::Ap, intervals: 2 },
    StageStep { calmode: CalMode::Ap, intervals: 1 },
    StageStep { calmode: CalMode::Ap, intervals: 1 },
    StageStep { calmode: CalMode::Ap, intervals: 1 },
];

/// A mask has so many times the pixels of the one before where it is worth another image: with 1.93 times as many the second
/// image gained 2.3 % of the dynamic range, with 1.33, 1.08 and 1.01 times 0.2, 0.3 and 0.0 %, each for as much time as
/// the first.
const GROWTH: f64 = 1.5;
/// Directions that an interval is long enough for, where there are so many.
const ENOUGH: usize = 5;

/// Where the schedule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No round by direction was tried.
    Before,
    /// This is next.
    Try(StageStep),
    /// The first round by direction did not help: the schedule without directions goes on.
    Left,
    /// Nothing more is worth trying.
    Over(&'static str),
}

/// The first step.
pub(crate) fn first_step() -> StageStep {
    STEPS[0]
}

/// Rounds that are kept for the stage.
pub(crate) fn rounds() -> usize {
    STEPS.len()
}

/// Where the schedule stands after these attempts, oldest first.
pub(crate) fn stage(history: &[RoundOutcome]) -> Stage {
    let Some(first) = history.iter().position(|outcome| outcome.metrics.by_direction) else { return Stage::Before };
    let done = &history[first..];
    if !done[0].decision.verdict.is_accepted() {
        return Stage::Left;
    }
    let last = &history[history.len() - 1];
    let step = |number: usize| STEPS[number.min(STEPS.len() - 1)];
    let (tried, next) = (step(done.len() - 1), step(done.len()));
    if !last.decision.verdict.is_accepted() {
        return if next == tried {
            Stage::Over("solving by direction does not make the image better")
        } else {
            Stage::Try(next)
        };
    }
    let before = last_accepted(&history[..history.len() - 1]).map_or(0.0, |o| o.metrics.image.dynamic_range);
    let gained = last.metrics.image.dynamic_range > before * (1.0 + LEAST_GAIN);
    if gained || next != tried { Stage::Try(next) } else { Stage::Over("solving by direction gains no more") }
}

/// Whether rounds without directions hardly gain any more: the last of them solved for amplitudes, and gained little.
pub(crate) fn hardly_gains(last: Option<&Tried>) -> bool {
    last.is_some_and(|last| {
        let amplitudes = last.chain.iter().any(|term| term.kind == TermKind::Gains);
        last.accepted && amplitudes && last.gain < LITTLE_GAIN
    })
}

/// Whether a round is imaged once more with a mask made from its image, from the pixels of that mask and of the one that it
/// was made with.
pub(crate) fn is_worth_an_image(new: u64, old: Option<u64>) -> bool {
    new > 0 && old.is_none_or(|old| new as f64 > GROWTH * old as f64)
}

/// The shortest interval, in integrations, with enough directions: what is gained by following a few of them faster is lost
/// on those that join their neighbours. `directions` counts those of an interval; the longest is `all` integrations.
pub(crate) fn shortest_interval(all: u32, directions: impl Fn(u32) -> usize) -> u32 {
    let longest = all.max(1);
    let wanted = directions(longest).min(ENOUGH);
    let mut integrations = 1;
    while integrations < longest && directions(integrations) < wanted {
        integrations = (2 * integrations).min(longest);
    }
    integrations
}

/// Why errors may depend on direction, in words: the noise around sources (the brightest first) away from the brightest is
/// well above that of the field, or that of the field well above the theoretical one. `None`: neither is so.
pub(crate) fn errors_by_direction(around: &[FacetNoise], field: f64, theoretical: Option<f64>) -> Option<String> {
    let ratios = around.iter().skip(1).map(|source| source.noise / field).filter(|ratio| ratio.is_finite());
    let ratio = ratios.fold(0.0, f64::max);
    if ratio >= ENTER {
        return Some(format!(
            "the noise around a source away from the brightest is {ratio:.1} times that of the field"
        ));
    }
    let far = field / theoretical.filter(|_| around.len() > 1)?;
    (far.is_finite() && far >= FAR_FROM_NOISE).then(|| format!("the noise is {far:.1} times the theoretical one"))
}

/// Why a direction is worse than in the last accepted image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectionFault {
    /// The noise around it rose.
    Noise,
    /// The deepest negative around it is deeper, and the noise is no lower.
    Negative,
}

/// Why a direction is worse with its new solutions; `None`: it is not. Nothing is known of one without a pixel to measure.
pub(crate) fn direction_fault(before: &FacetNoise, after: &FacetNoise) -> Option<DirectionFault> {
    if before.noise <= 0.0 || !after.noise.is_finite() {
        return None;
    }
    let deeper = before.minimum < 0.0 && after.minimum < before.minimum * (1.0 + NEGATIVE_RISE);
    if after.noise > before.noise * (1.0 + NOISE_RISE) {
        Some(DirectionFault::Noise)
    } else if deeper && after.noise >= before.noise * (1.0 - TELLS_MORE) {
        Some(DirectionFault::Negative)
    } else {
        None
    }
}

/// Which directions are put back, from the noise around each before and after and what is wrong with it. Where the noise rose
/// far, gains of one direction may have spoilt the image around all: then only those with the greatest rise, and the others
/// are judged again without them.
pub(crate) fn put_back(directions: &[(FacetNoise, FacetNoise, Option<DirectionFault>)]) -> Vec<bool> {
    let rise = |(before, after, fault): &(FacetNoise, FacetNoise, Option<DirectionFault>)| {
        let ratio = after.noise / before.noise;
        if fault.is_some() && !ratio.is_nan() { ratio } else { 0.0 }
    };
    let greatest = directions.iter().map(rise).fold(0.0, f64::max);
    let least = if greatest > SPOILS { GREATEST * greatest } else { 0.0 };
    directions.iter().map(|direction| direction.2.is_some() && rise(direction) >= least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::layout::AttemptId;
    use crate::campaign::rules::acceptance::{Decision, Next, RoundMetrics, Verdict};
    use crate::campaign::rules::schedule::{Interval, Sharing, TermChoice};
    use crate::quality::metrics::ImageMetrics;
    use crate::quality::solutions::SolutionStats;

    fn noise<const N: usize>(values: [f64; N]) -> [FacetNoise; N] {
        values.map(|noise| FacetNoise { noise, minimum: 0.0 })
    }

    /// Attempts by their dynamic range and verdict: the first without directions, the others with.
    fn history(attempts: &[(f64, Verdict)]) -> Vec<RoundOutcome> {
        let outcome = |(round, &(dynamic_range, verdict)): (usize, &(f64, Verdict))| RoundOutcome {
            id: AttemptId::first(round),
            metrics: RoundMetrics {
                image: ImageMetrics { dynamic_range, ..ImageMetrics::default() },
                by_direction: round > 0,
                ..RoundMetrics::default()
            },
            decision: Decision { verdict, reasons: Vec::new(), next: Next::Continue },
        };
        attempts.iter().enumerate().map(outcome).collect()
    }

    #[test]
    fn a_direction_is_worse_if_its_noise_rose() {
        let faults = |before: f64, after: f64| direction_fault(&noise([before])[0], &noise([after])[0]);
        assert_eq!([faults(1.0, 0.3), faults(1.0, 1.04), faults(0.0, 5.0)], [None; 3]);
        assert_eq!(faults(1.0, 1.06), Some(DirectionFault::Noise));
    }

    #[test]
    fn a_direction_is_worse_if_its_deepest_negative_is_deeper_and_the_noise_no_lower() {
        let fault = |noise: f64, minimum: f64| {
            direction_fault(&FacetNoise { noise: 1.0, minimum: -4.0 }, &FacetNoise { noise, minimum })
        };
        assert_eq!([fault(1.0, -4.7), fault(1.0, -3.0), fault(0.97, -6.0)], [None; 3]);
        assert_eq!([fault(1.0, -4.9), fault(1.04, -8.0), fault(0.99, -6.0)], [Some(DirectionFault::Negative); 3]);
        assert_eq!(fault(1.06, -8.0), Some(DirectionFault::Noise));
    }

    #[test]
    fn a_direction_that_spoils_the_image_around_others_goes_first() {
        let of = |rises: &[f64]| {
            let one = |&rise: &f64| {
                let (before, after) = (noise([0.001])[0], noise([0.001 * rise])[0]);
                (before, after, direction_fault(&before, &after))
            };
            put_back(&rises.iter().map(one).collect::<Vec<_>>())
        };
        assert_eq!(of(&[1803.0, 824.0, 10_565.0, 2973.0, 0.5]), [false, false, true, false, false]);
        assert_eq!(of(&[0.9, 1.1, 1.9, 1.0]), [false, true, true, false], "each has its own fault");
        assert_eq!(of(&[3.0, 1.2, 1.9]), [true, false, true]);
        assert_eq!(of(&[0.9, 1.0]), [false, false]);
        let deeper = (noise([1.0])[0], noise([1.01])[0], Some(DirectionFault::Negative));
        assert_eq!(put_back(&[deeper]), [true]);
        let not_a_number = (noise([1.0])[0], noise([f64::INFINITY])[0], Some(DirectionFault::Noise));
        assert_eq!(put_back(&[deeper, not_a_number]), [false, true]);
    }

    #[test]
    fn errors_around_the_brightest_source_alone_do_not_depend_on_direction() {
        assert_eq!(errors_by_direction(&noise([3.0, 1.1, 1.0]), 1.0, Some(0.6)), None);
        let words = errors_by_direction(&noise([3.0, 1.1, 2.7]), 1.0, None).expect("a source is worse");
        assert!(words.contains("is 2.7 times that of the field"), "{words}");
        let words = errors_by_direction(&noise([1.0, 1.1]), 1.0, Some(0.1)).expect("all of it is far from the noise");
        assert!(words.contains("10.0 times the theoretical"), "{words}");
        assert_eq!(errors_by_direction(&noise([3.0]), 1.0, Some(0.1)), None, "one source has one direction");
        assert_eq!(errors_by_direction(&noise([3.0, 2.0]), 0.0, Some(0.0)), None, "nothing is known of the field");
    }

    #[test]
    fn a_mask_that_grew_is_worth_another_image() {
        assert!(is_worth_an_image(2020, Some(1047)) && is_worth_an_image(1, Some(0)) && is_worth_an_image(1, None));
        assert!(!is_worth_an_image(2681, Some(2020)) && !is_worth_an_image(0, None));
    }

    #[test]
    fn the_interval_is_long_enough_for_five_directions() {
        let of = |snr: &[f64], all| {
            let bright = |n: u32| snr.iter().filter(|snr| **snr * f64::from(n).sqrt() >= 10.0).count();
            shortest_interval(all, bright)
        };
        assert_eq!(of(&[30.0, 20.0, 12.0, 11.0, 10.0, 1.0], 240), 1);
        assert_eq!(
            of(&[30.0, 20.0, 12.0, 11.0, 5.0, 1.0], 240),
            4,
            "the fifth needs four, the sixth is not waited for"
        );
        assert_eq!(of(&[30.0, 5.0, 0.1], 240), 4, "there are only two");
        assert_eq!(of(&[10.0, 4.5], 6), 6, "no longer than all of it");
        assert_eq!(of(&[3.0], 6), 1, "no length is enough");
        assert_eq!(of(&[], 0), 1);
    }

    #[test]
    fn rounds_without_directions_hardly_gain_once_amplitudes_gained_little() {
        let term = |kind| TermChoice {
            kind,
            interval: Interval::Seconds(30.0),
            polarisations: Sharing::Each,
            windows: Sharing::Each,
        };
        let tried = |kind, accepted, gain| Tried {
            chain: vec![term(TermKind::Phase), term(kind)],
            accepted,
            before: 300.0,
            gain,
            change: None,
            solutions: SolutionStats::default(),
        };
        assert!(hardly_gains(Some(&tried(TermKind::Gains, true, 0.1))));
        assert!(!hardly_gains(Some(&tried(TermKind::Gains, true, 0.2))), "amplitudes still gain");
        assert!(!hardly_gains(Some(&tried(TermKind::Phase, true, 0.02))), "amplitudes were not tried");
        assert!(!hardly_gains(Some(&tried(TermKind::Gains, false, 0.1))), "others may be better");
        assert!(!hardly_gains(None));
    }

    #[test]
    fn the_stage_goes_through_its_steps_while_they_gain() {
        use Verdict::{Accepted, Rejected};
        let next = |attempts: &[(f64, Verdict)]| stage(&history(attempts));
        assert_eq!(next(&[(300.0, Accepted)]), Stage::Before);
        let good = [(300.0, Accepted), (1500.0, Accepted), (4200.0, Accepted), (5800.0, Accepted), (6100.0, Accepted)];
        for (tried, step) in STEPS.iter().enumerate().skip(1) {
            assert_eq!(next(&good[..=tried]), Stage::Try(*step));
        }
        let still = [&good[..], &[(6300.0, Accepted), (6500.0, Accepted)]].concat();
        assert_eq!(next(&still), Stage::Try(STEPS[4]), "the last step gains");
        let all = [&good[..], &[(6110.0, Accepted)]].concat();
        assert_eq!(next(&all), Stage::Over("solving by direction gains no more"));
        let undone = [(300.0, Accepted), (250.0, Rejected)];
        assert_eq!(next(&undone), Stage::Left, "no phases, nothing");
        assert_eq!(next(&[&undone[..], &[(330.0, Accepted)]].concat()), Stage::Left);
        let flat = [(300.0, Accepted), (305.0, Accepted)];
        assert_eq!(next(&flat), Stage::Try(STEPS[1]), "amplitudes may still be wrong");
        let rejected = [(300.0, Accepted), (900.0, Accepted), (700.0, Rejected)];
        assert_eq!(next(&rejected), Stage::Try(STEPS[2]));
        let end = [(300.0, Accepted), (900.0, Accepted), (950.0, Accepted), (900.0, Rejected)];
        assert!(matches!(next(&end), Stage::Over(_)), "the same again would be no better");
    }
}
