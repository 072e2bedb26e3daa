//! What `plan` shows of tclean: its parameters and the steps that the worker is asked for, without starting CASA.

use super::TcleanOptions;
use crate::imager::{Capabilities, Chain, ImagingJob, PlannedCall};
use crate::programs::casa::python;
use serde_json::{Value, json};
use std::path::Path;

/// What tclean can do, whichever version.
pub fn capabilities() -> Capabilities {
    Capabilities {
        program: "casa (tclean)".into(),
        mask_per_cycle: true,
        mask_cube_per_channel: true,
        multiscale_bit_masks: false,
        primary_beam: Ok(()),
    }
}

/// The parameters that are not tclean's defaults, and the steps: with one mask, or with a fresh one before major cycles.
pub fn requests(
    job: &ImagingJob,
    options: &TcleanOptions,
    mask: Option<&Path>,
    chain: Option<&Chain>,
) -> Vec<PlannedCall> {
    let defaults = TcleanOptions::default().parameters();
    let sets: Vec<String> = job.measurement_sets.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let column = if job.data_column == "CORRECTED_DATA" { "corrected" } else { "data" };
    let mut words = vec!["open".to_owned(), format!("vis={}", python(&json!(sets))), format!("datacolumn='{column}'")];
    let changed = options.parameters().into_iter().filter(|(key, value)| defaults.get(key) != Some(value));
    words.extend(changed.map(|(key, value)| format!("{key}={}", python(&value))));
    words.push("usemask='user'".into());
    let call = |what: &str, words: &[&str]| PlannedCall {
        what: what.to_owned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    let masks = match (chain, mask) {
        (Some(chain), _) => python(&json!(chain.masks.join("cycle-NNN.fits"))),
        (None, Some(mask)) => python(&json!(mask)),
        (None, None) => python(&Value::Null),
    };
    let (threshold, left, when) = match chain {
        Some(chain) => (
            chain.threshold_jy.map_or_else(|| "LEVEL".to_owned(), |jy| jy.to_string()),
            "ITERATIONS_LEFT".to_owned(),
            format!(
                "for each of up to {} major cycles, with a fresh mask before every {}",
                chain.major_cycles, chain.every
            ),
        ),
        None => {
            let threshold = options.threshold_jy().unwrap_or_default().to_string();
            (threshold, options.niter.to_string(), "until tclean's controller ends it".to_owned())
        }
    };
    let model = format!("update_model={}", python(&json!(job.update_model)));
    vec![
        PlannedCall { what: "to the CASA worker: tclean's tools with these parameters".into(), words },
        call("once", &["psf"]),
        call("once", &["pb"]),
        call("once: the dirty image", &["major"]),
        call(
            &when,
            &[
                "minor",
                &format!("mask={masks}"),
                &format!("threshold_jy={threshold}"),
                &format!("iterations_left={left}"),
            ],
        ),
        call("after each of them", &["major"]),
        call("at the end", &["restore", &model]),
        call("at the end", &["close"]),
    ]
}
