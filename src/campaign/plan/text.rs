//! The plan for people: every round with all its options and command lines.

use super::containers::{self, Mounts};
use super::preview::{self, RoundLines};
use super::{FinalPlan, MaskPlan, MeasurementSetPlan, Plan, RoundPlan};
use crate::calibrator::options::GaincalOptions;
use crate::calibrator::term_names;
use crate::campaign::file::{FinalData, MaskCadence, MaskImage, MaskMethod, schema};
use crate::campaign::layout::{field_folder, final_imaging_folder};
use crate::imager::ImagerOptions;
use crate::util::shell;
use crate::util::wrap::{self, Columns};
use serde::Serialize;
use serde_json::Value as Json;
use std::fmt::{self, Write};
use std::path::Path;

/// Width of printed lines, characters.
const WIDTH: usize = 110;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self))
    }
}

fn text(plan: &Plan) -> String {
    let mut out = String::new();
    line(&mut out, "campaign", &format!("{} ({})", plan.name, plan.campaign_file.display()));
    line(&mut out, "output", &plan.output.display().to_string());
    targets_text(&mut out, plan);
    if !plan.spw.is_empty() {
        line(&mut out, "windows", &plan.spw);
    }
    if !plan.average.is_default() {
        let time = plan.average.time.map_or_else(|| "as they are".to_owned(), |bin| format!("in bins of {bin}"));
        line(&mut out, "averages", &format!("times {time}, {} channel(s) a bin", plan.average.channels));
    }
    line(&mut out, "defaults", &plan.filled_in.to_string());
    line(&mut out, "imager", &word(&plan.imager));
    line(&mut out, "calibrator", &word(&plan.calibrator));
    let antenna = plan.reference_antenna.as_deref().unwrap_or("chosen from the data");
    line(&mut out, "reference antenna", antenna);
    line(&mut out, "works on", &format!("the {}; DATA is never written", word(&plan.work_on)));
    if let Some(to) = &plan.apply_to {
        line(&mut out, "applied to", &String::from(to.clone()));
    }
    options(&mut out, "acceptance", &plan.acceptance);
    if plan.rounds.iter().flat_map(|round| &round.calibration).flat_map(|c| &c.chain).any(|o| o.solint == "auto") {
        options(&mut out, "solint: auto", &plan.solint);
    }
    options(&mut out, "stop", &plan.stop);
    options(&mut out, "resources", &plan.resources);
    options(&mut out, "scheduler", &plan.scheduler);
    if !plan.archive.is_empty() {
        options(&mut out, "archive", &plan.archive);
    }
    if let Some(set) = plan.targets.first().filter(|_| containers::in_use(plan)) {
        let mounts = Mounts::of(plan, set);
        let folders: Vec<String> = mounts.folders().iter().map(|f| f.display().to_string()).collect();
        line(&mut out, "bind mounts", &format!("{} (for {})", folders.join(" "), set.name));
    }
    let lines = plan.targets.first().map(|set| preview::command_lines(plan, set)).unwrap_or_default();
    if plan.targets.len() > 1 {
        let first = &plan.targets[0].name;
        line(
            &mut out,
            "command lines",
            &format!("those of {first}; the others' differ in paths alone (--json has all)"),
        );
    }
    for (index, round) in plan.rounds.iter().enumerate() {
        round_text(&mut out, round, &plan.output, lines.get(index));
    }
    for imaging in &plan.final_imaging {
        final_text(&mut out, plan, imaging);
    }
    out.push('\n');
    for program in preview::not_found(plan) {
        let _ = writeln!(
            out,
            "not found: {program}: it must be installed, or named under `campaign.executables`, to run this"
        );
    }
    if !plan.not_run.is_empty() {
        let _ = writeln!(out, "not run: {}: cleanloop reads but does not run them", plan.not_run.join(", "));
    }
    for warning in &plan.warnings {
        let _ = writeln!(out, "note: {warning}");
    }
    out
}

/// The measurement sets, and which of them are imaged together.
fn targets_text(out: &mut String, plan: &Plan) {
    let sets = plan.targets.iter().flat_map(|target| &target.members);
    for (index, set) in sets.enumerate() {
        let label = if index == 0 { "measurement sets" } else { "" };
        line(out, label, &set_text(set));
    }
    for target in plan.targets.iter().filter(|target| target.is_joint()) {
        let names: Vec<&str> = target.members.iter().map(|set| set.name.as_str()).collect();
        line(out, "imaged together", &format!("{} = {}", target.name, names.join(", ")));
    }
}

/// A measurement set and the field that is imaged.
fn set_text(set: &MeasurementSetPlan) -> String {
    let field = set.field.as_ref().map_or_else(String::new, |field| format!(", field {field}"));
    format!("{} = {}{field}", set.name, set.path.display())
}

fn round_text(out: &mut String, round: &RoundPlan, output: &Path, lines: Option<&RoundLines>) {
    let _ = writeln!(out, "\nround {}", round.round);
    match &round.calibration {
        None if round.facets.is_some() => line(out, "calibration", "by direction, with DP3"),
        None => line(out, "calibration", "none"),
        Some(calibration) => {
            let chain = match calibration.chain.len() {
                1 => String::new(),
                several => format!(", {several} solves, each with those before it applied"),
            };
            line(out, "calibration", &format!("{}{chain}", word(&calibration.calibrator)));
            chain_text(out, &calibration.chain);
        }
    }
    if let Some(facets) = &round.facets {
        options(out, "  facets", facets);
    }
    match &round.mask {
        None => line(out, "mask", "none"),
        Some(mask) => mask_text(out, mask, output, round.round),
    }
    line(out, "imaging", &format!("column {}", round.data_column));
    match &round.imaging {
        ImagerOptions::Command(command) => line(out, "  template", &shell::line(&command.template)),
        imaging => options(out, &format!("  {}", imaging.name()), &imaging.parameters()),
    }
    let Some(lines) = lines else { return };
    if !lines.imager.is_empty() {
        line(out, "  program", &lines.imager);
    }
    for (subject, words) in &lines.capabilities {
        line(out, &format!("  {subject}"), words);
    }
    // Unbroken, to be copied.
    for words in &lines.calibration {
        let _ = writeln!(out, "$ {}", shell::line(words));
    }
    for call in &lines.imaging {
        let _ = writeln!(out, "# {}\n$ {}", call.what, shell::line(&call.words));
    }
    for note in &lines.notes {
        let _ = writeln!(out, "note: {note}");
    }
}

/// An imaging after the best round.
fn final_text(out: &mut String, plan: &Plan, imaging: &FinalPlan) {
    let _ = writeln!(out, "\nfinal imaging {}", imaging.name);
    let data = match imaging.data {
        FinalData::Working => "those of the rounds, with the best tables",
        FinalData::Full => "a copy of the original, with the best tables",
    };
    line(out, "data", data);
    line(out, "subtracted", &word(&imaging.subtract));
    match &imaging.mask {
        None => line(out, "mask", "none"),
        Some(mask) => mask_text(out, mask, &plan.output, 0),
    }
    match &imaging.imaging {
        ImagerOptions::Command(command) => line(out, "imaging", &shell::line(&command.template)),
        made => options(out, &format!("imaging: {}", made.name()), &made.parameters()),
    }
    options(out, "stop", &imaging.stop);
    let groups = imaging.groups();
    if let (Some(size), Some(channels)) = (imaging.channels_per_job, imaging.channels) {
        let beam = word(&imaging.restoringbeam);
        let text = format!("{channels} channels in {} groups of up to {size}; beams: {beam}", groups.len());
        line(out, "cube", &text);
    }
    line(out, "output", &final_imaging_folder(&plan.output, &imaging.name).display().to_string());
}

/// The options of each solve.
fn chain_text(out: &mut String, chain: &[GaincalOptions]) {
    if let [only] = chain {
        options(out, "  gaincal", only);
        return;
    }
    for (name, element) in term_names(chain).iter().zip(chain) {
        // Names may be longer than the column.
        options(out, &format!("  {name:<16} "), &GaincalOptions { term: String::new(), ..element.clone() });
    }
}

fn mask_text(out: &mut String, mask: &MaskPlan, output: &Path, round: usize) {
    let source = match (mask.cadence, mask.recipe.method) {
        (MaskCadence::Round, _) if mask.image == MaskImage::Field => {
            let folder = field_folder(output, round);
            format!(
                "cut from the field's mask: all measurement sets wait, then {}",
                folder.join("image.fits").display()
            )
        }
        (MaskCadence::Round, _) => "from the last accepted image".to_owned(),
        (MaskCadence::Cycle, _) if mask.every > 1 => format!("fresh before every {} major cycles", mask.every),
        (MaskCadence::Cycle, _) => "fresh before each major cycle".to_owned(),
    };
    line(out, "mask", &format!("{}, {source}", word(&mask.recipe.method)));
    if mask.recipe.method == MaskMethod::Both {
        line(out, "  combined", &word(&mask.recipe.combine));
    }
    for (name, map) in mask.recipe.used_options() {
        options(out, &format!("  {name}"), &map);
    }
    for (label, files) in [("  always", &mask.include), ("  never", &mask.exclude)] {
        for file in files {
            line(out, label, &file.display().to_string());
        }
    }
}

/// Label and text; further lines are indented.
fn line(out: &mut String, label: &str, text: &str) {
    /// Width of the labels' column.
    const LABEL: usize = 19;
    wrap::labelled(out, label, text, Columns { indent: LABEL, hanging: LABEL, width: WIDTH });
}

fn word(value: &impl Serialize) -> String {
    data(value).as_str().map_or_else(String::new, str::to_owned)
}

/// All options of a map as `key=value`; what is switched off or left to the program is named at the end.
fn options(out: &mut String, label: &str, value: &impl Serialize) {
    let json = data(value);
    let mut parts = Vec::new();
    let mut unset = Vec::new();
    for (key, value) in json.as_object().into_iter().flatten() {
        match value {
            Json::Null => unset.push(key.as_str()),
            Json::Array(items) if items.is_empty() => unset.push(key.as_str()),
            Json::Object(map) if map.is_empty() => unset.push(key.as_str()),
            Json::String(text) if text.contains(' ') || text.is_empty() => parts.push(format!("{key}='{text}'")),
            Json::String(text) => parts.push(format!("{key}={text}")),
            other => parts.push(format!("{key}={other}")),
        }
    }
    if !unset.is_empty() {
        parts.push(format!("(not set: {})", unset.join(" ")));
    }
    let text = if parts.is_empty() { "the program's defaults".to_owned() } else { parts.join(" ") };
    line(out, label, &text);
}

impl Plan {
    /// The plan with the hashes of its rounds and the command lines of each target, as data.
    pub fn json(&self) -> Json {
        let mut value = data(self);
        value["not_found"] = preview::not_found(self).into();
        for (index, target) in self.targets.iter().enumerate() {
            value["targets"][index]["command_lines"] = data(&preview::command_lines(self, target));
        }
        if let Some(rounds) = value["rounds"].as_array_mut() {
            for (round, value) in self.rounds.iter().zip(rounds) {
                value["hashes"] = serde_json::json!({
                    "calibration": round.calibration_hash(),
                    "mask": round.mask_hash(),
                    "image": round.image_hash(),
                });
            }
        }
        value
    }
}

/// A value as JSON, single-precision numbers as people write them.
fn data(value: &impl Serialize) -> Json {
    let mut json = serde_json::to_value(value).unwrap_or(Json::Null);
    schema::shorten(&mut json);
    json
}
