//! Preview of wsclean: the command lines of a run, with words in capital letters for what only a run knows.

use super::command_line::{CycleCall, CyclePart, Stops};
use super::cycles::{self, resources_of_each};
use super::error::WscleanError;
use super::files::{PREFIX, REUSED};
use super::imager::{capabilities, ordinary_line};
use super::imaging::Imaging;
use super::options::WscleanOptions;
use crate::imager::context::ImagerContext;
use crate::imager::job::ImagingJob;
use crate::imager::preview::{ImagerPreview, PlannedCall, PlannedCycles, PlannedMasks};
use std::path::Path;

/// The command lines of an imaging; wsclean need not be installed.
pub(in crate::imager) fn of(
    job: &ImagingJob,
    options: &WscleanOptions,
    context: &ImagerContext,
    masks: &PlannedMasks,
) -> ImagerPreview {
    let imaging = Imaging::new(job.clone(), options.clone(), context.clone());
    let one_run = |mask| vec![PlannedCall { what: "one run".into(), words: ordinary_line(&imaging, mask) }];
    let calls = match masks {
        PlannedMasks::None => one_run(None),
        PlannedMasks::Fixed(mask) => one_run(Some(mask.as_path())),
        PlannedMasks::PerCycle(cycles) => all_cycles(&imaging, cycles)
            .unwrap_or_else(|e| vec![PlannedCall { what: format!("cannot be shown: {e}"), words: Vec::new() }]),
    };
    let place = options.temp_dir.as_ref().map_or_else(
        || "chosen when it starts".to_owned(),
        |folder| format!("a fresh one inside {}", folder.display()),
    );
    let note = format!("wsclean also gets -temp-dir, a folder that goes with the call: {place}");
    ImagerPreview { capabilities: capabilities(&imaging), calls, notes: vec![note] }
}

/// One kind of call among the cycles.
struct CycleShown<'a> {
    what: &'a str,
    /// Name of the mask's file.
    mask: &'a str,
    iterations: &'a str,
    majors: &'a str,
    goes_on: bool,
}

/// The calls of an imaging with fresh masks.
fn all_cycles(imaging: &Imaging, planned: &PlannedCycles) -> Result<Vec<PlannedCall>, WscleanError> {
    let calls = imaging.calls();
    let cube = imaging.options.is_cube();
    let line = |what: &str, name: &Path, a| PlannedCall { what: what.to_owned(), words: calls.line(name, &a) };
    let n = planned.every.min(planned.major_cycles);
    let (iterations, majors) = (planned.iterations.to_string(), n.to_string());
    let first = CycleShown {
        what: &format!("the first mask: {n} major cycle(s)"),
        mask: "cycle-000.fits",
        iterations: &iterations,
        majors: &majors,
        goes_on: false,
    };
    let mut shown = if planned.begins_inside && !cube && !imaging.options.local_rms {
        let what = format!(
            "PSF, dirty image and {n} major cycle(s) in the last image's mask (all, once masks have settled; two calls \
             where the last dirty image added to its mask)"
        );
        let name = cycles::cycle_under_way(&imaging.scratch()).join("all").join(PREFIX);
        let update_model = imaging.first_call_writes_model(n == planned.major_cycles);
        let (mask, stops) = (planned.masks.join(first.mask), stops(imaging, planned, &first, false));
        vec![line(&what, &name, calls.start_inside(&mask, &stops, update_model)?)]
    } else {
        let start = cycles::start_under_way(&imaging.scratch()).join(PREFIX);
        let start = line("once: PSF and dirty image", &start, calls.start(!imaging.needs_model_column())?);
        vec![start, cycle(imaging, planned, &first)?]
    };
    if n < planned.major_cycles {
        let next = CycleShown {
            what: &format!("each further mask: {n} major cycle(s)"),
            mask: "cycle-NNN.fits",
            iterations: "ITERATIONS_LEFT",
            majors: &majors,
            goes_on: true,
        };
        shown.push(cycle(imaging, planned, &next)?);
        let what = "once the mask has settled, or few major cycles are left: the rest in one call";
        shown.push(cycle(imaging, planned, &CycleShown { what, majors: "MAJOR_CYCLES_LEFT", ..next })?);
    }
    if imaging.job.update_model && cube {
        let name = imaging.scratch().join("predict").join(PREFIX);
        shown.push(line("at the end: the models of all channels into MODEL_DATA", &name, calls.predict(true)?));
    }
    Ok(shown)
}

/// The limits of a call.
fn stops(imaging: &Imaging, planned: &PlannedCycles, shown: &CycleShown<'_>, reuses_dirty: bool) -> Stops {
    let level = planned.threshold_jy.map_or_else(|| "LEVEL".to_owned(), |jy| jy.to_string());
    let words = [shown.iterations.to_owned(), shown.majors.to_owned(), level];
    Stops::controls(words, planned.follows_noise, (&imaging.options, reuses_dirty))
}

fn cycle(imaging: &Imaging, planned: &PlannedCycles, shown: &CycleShown<'_>) -> Result<PlannedCall, WscleanError> {
    let cube = imaging.options.is_cube();
    let name = if cube { "CHANNEL" } else { "all" };
    let under_way = cycles::cycle_under_way(&imaging.scratch());
    let folder = under_way.join(name);
    let mask = if cube { under_way.join("mask-CHANNEL.fits") } else { planned.masks.join(shown.mask) };
    let part = if cube {
        let resources = resources_of_each(imaging).each;
        CyclePart::Channel { range: ["FIRST", "END"].map(str::to_owned), resources }
    } else {
        CyclePart::Whole
    };
    let call = CycleCall {
        part,
        stops: stops(imaging, planned, shown, true),
        mask: Some(&mask),
        update_model: imaging.job.update_model && !cube,
        goes_on: shown.goes_on,
        psf: cycles::start_folder(&imaging.scratch()).join(name).join(PREFIX),
        beam: Some(["BMAJ", "BMIN", "BPA"].map(str::to_owned)),
        dirty: folder.join(REUSED),
    };
    let calls = imaging.calls();
    let words = calls.line(&folder.join(PREFIX), &calls.cycle(&call)?);
    let each = if cube { ", a process for each channel that has not converged" } else { "" };
    Ok(PlannedCall { what: format!("{}{each}", shown.what), words })
}
