//! DP3's settings for a solve by direction.

use super::options::FacetOptions;
use crate::calibrator::options::Solint;
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

/// Stands for the interval where the data are not known yet.
const INTEGRATIONS: &str = "INTEGRATIONS";

/// The settings of a solve, each `key=value`; nothing is written to the measurement set. Without the data's integration, s,
/// a word stands for the interval.
pub(super) fn settings(
    options: &FacetOptions,
    files: &Files<'_>,
    integration_s: Option<f64>,
    threads: usize,
) -> Vec<String> {
    let (ms, column) = files.input;
    let mut settings = vec![
        format!("msin={}", ms.display()),
        format!("msin.datacolumn={column}"),
        "msout=".to_owned(),
        "steps=[dd]".to_owned(),
        "dd.type=ddecal".to_owned(),
        format!("dd.sourcedb={}", files.sky.display()),
        format!("dd.h5parm={}", files.solutions.display()),
        format!("dd.mode={}", options.mode()),
        format!(
            "dd.solint={}",
            integration_s.map_or_else(|| INTEGRATIONS.into(), |s| integrations(options, s).to_string())
        ),
        // 0: one solution for the whole band. Solutions that are smoothed are made for each channel.
        format!("dd.nchan={}", u8::from(options.smoothness_hz > 0.0)),
        format!("dd.maxiter={}", options.maxiter),
        format!("dd.tolerance={}", options.tolerance),
        "dd.propagatesolutions=true".to_owned(),
        format!("numthreads={}", threads.max(1)),
    ];
    if options.smoothness_hz > 0.0 {
        settings.push(format!("dd.smoothnessconstraint={}", options.smoothness_hz));
    }
    if options.uvlambdamin > 0.0 {
        settings.push(format!("dd.uvlambdamin={}", options.uvlambdamin));
    }
    settings
}

/// The interval in integrations; 0: all of them.
fn integrations(options: &FacetOptions, integration_s: f64) -> u64 {
    match options.interval() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // At least 1, far below 2^64.
        Some(Solint::Seconds(seconds)) => (seconds / integration_s.max(f64::MIN_POSITIVE)).round().max(1.0) as u64,
        Some(Solint::Infinite) => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn words(options: Value) -> String {
        let options = serde_json::from_value(options).expect("options");
        let files = Files {
            input: (Path::new("a.ms"), "CORRECTED_DATA"),
            sky: Path::new("sky.txt"),
            solutions: Path::new("s.h5"),
        };
        settings(&options, &files, Some(30.0), 2).join(" ")
    }

    #[test]
    fn intervals_are_counted_in_integrations() {
        for (solint, count) in [("60s", 2), ("40s", 1), ("1s", 1), ("int", 1), ("inf", 0)] {
            assert!(words(json!({"solint": solint})).contains(&format!("dd.solint={count} ")), "{solint}");
        }
    }

    #[test]
    fn all_settings() {
        insta::assert_snapshot!(words(json!({})), @"msin=a.ms msin.datacolumn=CORRECTED_DATA msout= steps=[dd] dd.type=ddecal dd.sourcedb=sky.txt dd.h5parm=s.h5 dd.mode=scalarphase dd.solint=2 dd.nchan=0 dd.maxiter=30 dd.tolerance=0.001 dd.propagatesolutions=true numthreads=2");
        let more = words(json!({"calmode": "ap", "gaintype": "G", "smoothness_hz": 2e6, "uvlambdamin": 300}));
        assert!(more.contains("dd.mode=diagonal ") && more.contains("dd.nchan=1"));
        assert!(more.ends_with("dd.smoothnessconstraint=2000000 dd.uvlambdamin=300"));
    }
}
