//! Preview of tclean: its parameters and the steps that the worker is asked for, without starting CASA.

use super::TcleanOptions;
use crate::Result;
use crate::imager::context::ImagerContext;
use crate::imager::job::ImagingJob;
use crate::imager::preview::{Capabilities, ImagerPreview, PlannedCall, PlannedMasks};
use crate::programs::casa::{self, python};
use serde_json::{Value, json};

/// Abilities of tclean, whichever version.
pub(super) fn capabilities(program: &str) -> Capabilities {
    Capabilities {
        program: program.to_owned(),
        mask_per_cycle: true,
        mask_cube_per_channel: true,
        multiscale_bit_masks: false,
        primary_beam: Ok(()),
    }
}

/// The parameters that are not tclean's defaults, and the steps: with one mask, or with a fresh one before major cycles.
///
/// # Errors
/// CASA's parallel imager is asked for, and its environment is not set up.
pub(in crate::imager) fn of(
    job: &ImagingJob,
    options: &TcleanOptions,
    context: &ImagerContext,
    masks: &PlannedMasks,
) -> Result<ImagerPreview> {
    let mut calls = Vec::new();
    if options.parallel {
        let words = casa::command_line(&context.executable, options.mpi_processes(job.threads, &context.executable))?;
        calls.push(PlannedCall { what: "once: the CASA worker, under MPI".into(), words });
    }
    let what = "to the CASA worker: tclean's tools with these parameters".into();
    calls.push(PlannedCall { what, words: open_words(job, options) });
    calls.extend([call("once", &["psf"]), call("once", &["pb"]), call("once: the dirty image", &["major"])]);
    calls.push(minor(options, masks));
    let model = format!("update_model={}", python(&json!(job.update_model)));
    calls.extend([
        call("after each of them", &["major"]),
        call("at the end", &["restore", &model]),
        call("at the end", &["close"]),
    ]);
    Ok(ImagerPreview { capabilities: capabilities("casa (tclean)"), calls, notes: Vec::new() })
}

fn call(what: &str, words: &[&str]) -> PlannedCall {
    PlannedCall { what: what.to_owned(), words: words.iter().map(|word| (*word).to_owned()).collect() }
}

/// The request that opens the tools.
fn open_words(job: &ImagingJob, options: &TcleanOptions) -> Vec<String> {
    let defaults = TcleanOptions::default().parameters();
    let sets: Vec<String> = job.measurement_sets.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let column = if job.data_column == "CORRECTED_DATA" { "corrected" } else { "data" };
    let mut words = vec!["open".to_owned(), format!("vis={}", python(&json!(sets))), format!("datacolumn='{column}'")];
    let changed = options.parameters().into_iter().filter(|(key, value)| defaults.get(key) != Some(value));
    words.extend(changed.map(|(key, value)| format!("{key}={}", python(&value))));
    words.push("usemask='user'".into());
    words
}

/// The request of the minor cycles.
fn minor(options: &TcleanOptions, masks: &PlannedMasks) -> PlannedCall {
    let (mask, threshold, left, when) = match masks {
        PlannedMasks::PerCycle(cycles) => (
            json!(cycles.masks.join("cycle-NNN.fits")),
            cycles.threshold_jy.map_or_else(|| "LEVEL".to_owned(), |jy| jy.to_string()),
            "ITERATIONS_LEFT".to_owned(),
            format!(
                "for each of up to {} major cycles, with a fresh mask before every {}",
                cycles.major_cycles, cycles.every
            ),
        ),
        PlannedMasks::Fixed(_) | PlannedMasks::None => (
            if let PlannedMasks::Fixed(mask) = masks { json!(mask) } else { Value::Null },
            options.threshold_jy().unwrap_or_default().to_string(),
            options.niter.to_string(),
            "until tclean's controller ends it".to_owned(),
        ),
    };
    let words = [
        "minor",
        &format!("mask={}", python(&mask)),
        &format!("threshold_jy={threshold}"),
        &format!("iterations_left={left}"),
    ];
    call(&when, &words)
}
