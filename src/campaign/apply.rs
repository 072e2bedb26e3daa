//! The best solutions of a campaign that has ended, on the data that its working copies were made from.

use super::file::StartColumn;
use super::layout::Layout;
use super::plan::{Plan, Share, TargetPlan};
use super::record::MemberSolutions;
use super::run::FROZEN_PLAN;
use super::steps::onto::{Applier, copied};
use super::steps::programs::Programs;
use crate::measurement_set;
use crate::programs::casa::Casa;
use crate::util::fs;
use crate::util::lock::Lock;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What is to become of the calibrated data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyRequest {
    /// Data in place of the campaign's own: a measurement set of the same array.
    pub measurement_set: Option<PathBuf>,
    /// A new measurement set whose `DATA` are the calibrated data; `None`: `CORRECTED_DATA` of the data themselves.
    pub split: Option<PathBuf>,
}

/// Solutions of one measurement set, and the target that they belong to.
struct Found<'p> {
    target: &'p TargetPlan,
    layout: Layout,
    solutions: MemberSolutions,
    to: PathBuf,
}

/// Applies the best solutions of the campaign in `folder`; returns what was done and what should be known of it. `DATA` is
/// never written.
///
/// # Errors
/// The campaign has not ended, or its best round is not calibrated; data that do not go with the solutions; the failure of
/// a program.
pub fn apply(folder: &Path, request: &ApplyRequest) -> Result<Vec<String>> {
    let folder = &std::path::absolute(folder).map_err(Error::internal)?;
    let plan = Plan::load(&folder.join(FROZEN_PLAN))?;
    let plan = Plan { output: folder.clone(), ..plan };
    let _lock = Lock::take(folder)?;
    let found = found(&plan, request)?;
    match &request.split {
        None => {
            let mut said = Vec::new();
            for one in &found {
                let notes = with_applier(&plan, one, |applier, _| applier.apply(&one.solutions, &one.to))?;
                said.push(format!("{}: applied to CORRECTED_DATA of {}", one.solutions.name, one.to.display()));
                said.extend(notes);
            }
            Ok(said)
        }
        Some(output) => split(&plan, &found, output),
    }
}

/// The solutions of all targets, and where they go.
fn found<'p>(plan: &'p Plan, request: &ApplyRequest) -> Result<Vec<Found<'p>>> {
    let mut found = Vec::new();
    for target in &plan.targets {
        let layout = plan.layout_of(target);
        for solutions in MemberSolutions::load(&layout.final_folder())? {
            let to = solutions.source.clone();
            found.push(Found { target, layout: layout.clone(), solutions, to });
        }
    }
    if found.is_empty() {
        return Err(Error::bad_input(format!(
            "{}: the best round is not calibrated: there is nothing to apply",
            plan.output.display()
        )));
    }
    let mut sources: Vec<&PathBuf> = found.iter().map(|one| &one.solutions.source).collect();
    sources.sort();
    sources.dedup();
    let names = || sources.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    if let Some(other) = &request.measurement_set {
        let only = sources.len() == 1;
        let is_meant = |one: &Found<'_>| only || one.solutions.source.file_name() == other.file_name();
        if !found.iter().any(is_meant) {
            return Err(Error::bad_input(format!(
                "--ms {}: the campaign has solutions for several measurement sets, and none of them has this name: {}",
                other.display(),
                names()
            )));
        }
        found.retain(is_meant);
        let other = std::path::absolute(other).map_err(Error::internal)?;
        found.iter_mut().for_each(|one| one.to.clone_from(&other));
    } else if request.split.is_some() && sources.len() > 1 {
        return Err(Error::bad_input(format!(
            "--split writes one measurement set, but the campaign has several: choose one of them with --ms: {}",
            names()
        )));
    }
    Ok(found)
}

/// Does `work` with what applies solutions.
fn with_applier<T>(plan: &Plan, one: &Found<'_>, work: impl FnOnce(&mut Applier<'_>, &Casa) -> Result<T>) -> Result<T> {
    let mut programs = Programs::new(plan, one.target, Share::of(plan));
    let casa = programs.casa()?;
    let mut calibrator = programs.calibrator(&one.solutions.calibration)?;
    let logs = one.layout.root().join("logs");
    fs::make(&logs)?;
    let log = logs.join("apply.log");
    let root = one.layout.root();
    let mut applier = Applier { casa: &casa, calibrator: calibrator.as_mut(), root, log: &log };
    work(&mut applier, &casa)
}

/// Writes calibrated data to a measurement set of their own; the data themselves are only read.
fn split(plan: &Plan, found: &[Found<'_>], output: &Path) -> Result<Vec<String>> {
    let output = &std::path::absolute(output).map_err(Error::internal)?;
    if output.exists() {
        return Err(Error::bad_input(format!("{}: exists; name another measurement set", output.display())));
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(output.file_name().unwrap_or_default());
    name.push(".part");
    let aside = output.with_file_name(name);
    fs::remove(&aside)?;
    fs::make(&aside)?;
    let (whole, new) = (aside.join("whole.ms"), aside.join("new.ms"));
    let from = &found[0].to;
    copied(from, &whole)?;
    let (mut said, mut fields) = (Vec::new(), Vec::new());
    for (index, one) in found.iter().enumerate() {
        let last = index + 1 == found.len();
        with_applier(plan, one, |applier, casa| {
            if index == 0 && one.solutions.start_column == StartColumn::CorrectedData {
                measurement_set::adopt_corrected(casa, &whole)?;
            }
            said.extend(applier.apply_to_data(&one.solutions, &whole)?);
            fields.push(applier.field(&one.solutions, &whole)?);
            if last {
                // Where one of them is all fields, all are wanted.
                let fields = fields.iter().copied().collect::<Option<Vec<usize>>>().unwrap_or_default();
                measurement_set::split_corrected(casa, &whole, fields, &new, applier.log)?;
            }
            Ok(())
        })?;
    }
    std::fs::rename(&new, output).map_err(Error::internal)?;
    fs::remove(&aside)?;
    said.insert(0, format!("calibrated data are DATA of {}", output.display()));
    Ok(said)
}
