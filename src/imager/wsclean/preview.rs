//! Preview of wsclean: its command lines, with words in capital letters for what only a run knows.

use super::{WscleanImager, WscleanOptions};
use crate::imager::context::ImagerContext;
use crate::imager::job::ImagingJob;
use crate::imager::lifecycle::Imager;
use crate::imager::preview::{ImagerPreview, PlannedCall, PlannedMasks};
use std::path::Path;

/// The command lines of an imaging; wsclean need not be installed.
pub(in crate::imager) fn of(
    job: &ImagingJob,
    options: &WscleanOptions,
    context: &ImagerContext,
    masks: &PlannedMasks,
) -> ImagerPreview {
    let imager = WscleanImager::new(job.clone(), options.clone(), context.clone());
    let one_run = |mask: Option<&Path>| {
        let lines = imager.command_lines(mask);
        lines.into_iter().map(|words| PlannedCall { what: "one run".into(), words }).collect()
    };
    let calls = match masks {
        PlannedMasks::None => one_run(None),
        PlannedMasks::Fixed(mask) => one_run(Some(mask)),
        PlannedMasks::PerCycle(cycles) => imager
            .planned_cycles(cycles)
            .unwrap_or_else(|e| vec![PlannedCall { what: format!("cannot be shown: {e}"), words: Vec::new() }]),
    };
    let place = options.temp_dir.as_ref().map_or_else(
        || "chosen when it starts".to_owned(),
        |folder| format!("a fresh one inside {}", folder.display()),
    );
    let note = format!("wsclean also gets -temp-dir, a folder that goes with the call: {place}");
    ImagerPreview { capabilities: imager.capabilities(), calls, notes: vec![note] }
}
