//! DP3's settings for a solve by direction.

use super::options::FacetOptions;
use crate::calibrator::options::CalMode;
use std::path::Path;

/// What is read and written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a> {
    /// Measurement set and column.
    pub(super) input: (&'a Path, &'a str),
    /// The model.
    pub(super) sky: &'a Path,
    /// The solutions.
    pub(super) solutions: &'a Path,
}

/// DP3's algorithm that goes from direction to direction.
const DIRECTION_BY_DIRECTION: &str = "directioniterative";
/// Iterations of that algorithm for each of the usual one, which solves for all directions at once: on nine directions of 2 to
/// 0.06 Jy it had converged after 100, in a quarter of the time of 30 of the usual one. After 30 the phases of the faintest
/// were wrong by 40 degrees, then by 10 to 20.
const ITERATIONS_FOR_ONE: u32 = 5;

/// Stands for the interval where the data are not known yet.
const INTEGRATIONS: &str = "INTEGRATIONS";

/// What is known of the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times<'a> {
    /// Length of an integration, s.
    pub(super) integration_s: f64,
    /// The interval of each direction in those of the options, powers of two.
    pub(super) intervals: &'a [u32],
}

/// The settings of a solve, each `key=value`; nothing is written to the measurement set. Without knowledge of the data a word
/// stands for the interval.
pub(super) fn settings(
    options: &FacetOptions,
    files: &Files<'_>,
    times: Option<Times<'_>>,
    threads: usize,
) -> Vec<String> {
    let (ms, column) = files.input;
    let longest = times.and_then(|times| times.intervals.iter().copied().max()).unwrap_or(1).max(1);
    let own = times.map(|times| u64::from(longest) * options.integrations(times.integration_s));
    let differ = times.is_some_and(|times| times.intervals.iter().any(|own| *own != longest));
    // The usual algorithm has one interval for all, and better phases where they are all that is solved for.
    let one_by_one = differ || options.calmode == CalMode::Ap;
    let maxiter = if one_by_one { options.maxiter.saturating_mul(ITERATIONS_FOR_ONE) } else { options.maxiter };
    let mut settings = vec![
        format!("msin={}", ms.display()),
        format!("msin.datacolumn={column}"),
        "msout=".to_owned(),
        "steps=[dd]".to_owned(),
        "dd.type=ddecal".to_owned(),
        format!("dd.sourcedb={}", files.sky.display()),
        format!("dd.h5parm={}", files.solutions.display()),
        format!("dd.mode={}", options.mode()),
        format!("dd.solint={}", own.map_or_else(|| INTEGRATIONS.into(), |own| own.to_string())),
        // 0: one solution for the whole band. Solutions that are smoothed are made for each channel.
        format!("dd.nchan={}", u8::from(options.smoothness_hz > 0.0)),
        format!("dd.maxiter={maxiter}"),
        format!("dd.tolerance={}", options.tolerance),
        "dd.propagatesolutions=true".to_owned(),
        format!("numthreads={}", threads.max(1)),
    ];
    if let Some(times) = times.filter(|_| differ) {
        // DP3's `solint` is the longest interval.
        let each: Vec<String> = times.intervals.iter().map(|own| (longest / own.max(&1)).to_string()).collect();
        settings.push(format!("dd.solutions_per_direction=[{}]", each.join(",")));
    }
    if one_by_one {
        settings.push(format!("dd.solveralgorithm={DIRECTION_BY_DIRECTION}"));
    }
    if options.smoothness_hz > 0.0 {
        settings.push(format!("dd.smoothnessconstraint={}", options.smoothness_hz));
    }
    if options.uvlambdamin > 0.0 {
        settings.push(format!("dd.uvlambdamin={}", options.uvlambdamin));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn words(options: Value, intervals: &[u32]) -> String {
        let options = serde_json::from_value(options).expect("options");
        let files = Files {
            input: (Path::new("a.ms"), "CORRECTED_DATA"),
            sky: Path::new("sky.txt"),
            solutions: Path::new("s.h5"),
        };
        settings(&options, &files, Some(Times { integration_s: 30.0, intervals }), 2).join(" ")
    }

    #[test]
    fn intervals_are_counted_in_integrations() {
        for (solint, count) in [("60s", 2), ("40s", 1), ("1s", 1), ("int", 1), ("inf", 0)] {
            assert!(words(json!({"solint": solint}), &[1, 1]).contains(&format!("dd.solint={count} ")), "{solint}");
        }
    }

    #[test]
    fn faint_directions_have_fewer_solutions_in_the_longest_interval() {
        let said = words(json!({"solint": "60s"}), &[1, 1, 2, 8]);
        assert!(said.contains(" dd.solint=16 ") && said.contains(" dd.solutions_per_direction=[8,8,4,1] "), "{said}");
        assert!(said.contains(" dd.solveralgorithm=directioniterative"), "{said}");
        let same = words(json!({"solint": "60s"}), &[2, 2]);
        assert!(same.contains(" dd.solint=4 ") && !same.contains("per_direction"), "{same}");
    }

    #[test]
    fn amplitudes_are_solved_for_direction_by_direction_with_more_iterations() {
        let said = words(json!({"calmode": "ap", "maxiter": 20}), &[1, 1]);
        assert!(said.contains(" dd.maxiter=100 ") && said.contains(" dd.solveralgorithm=directioniterative"), "{said}");
        assert!(words(json!({"maxiter": 20}), &[1, 2]).contains(" dd.maxiter=100 "), "phases, other intervals");
        let usual = words(json!({"maxiter": 20}), &[1, 1]);
        assert!(usual.contains(" dd.maxiter=20 ") && !usual.contains("solveralgorithm"), "{usual}");
    }

    #[test]
    fn all_settings() {
        insta::assert_snapshot!(words(json!({}), &[1, 1]), @"msin=a.ms msin.datacolumn=CORRECTED_DATA msout= steps=[dd] dd.type=ddecal dd.sourcedb=sky.txt dd.h5parm=s.h5 dd.mode=scalarphase dd.solint=2 dd.nchan=0 dd.maxiter=30 dd.tolerance=0.001 dd.propagatesolutions=true numthreads=2");
        let more = words(json!({"calmode": "ap", "gaintype": "G", "smoothness_hz": 2e6, "uvlambdamin": 300}), &[1]);
        assert!(more.contains("dd.mode=diagonal ") && more.contains("dd.nchan=1"));
        assert!(more.ends_with("dd.smoothnessconstraint=2000000 dd.uvlambdamin=300"));
    }
}
