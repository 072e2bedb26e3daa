//! Models that a first calibration starts from, and the chains that they are tried with.

use super::Programs;
use crate::calibrator::options::{CalMode, Solint};
use crate::campaign::file::StartModel;
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::CalibrationPlan;
use crate::campaign::steps::{CalibrationStep, StartChains, StepContext};
use crate::image::components::{self, Component};
use crate::imager::Products;
use crate::measurement_set;
use crate::util::fs;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Intervals that a first solve is tried with where the program chooses: raw phases that hardly drift want the first, others
/// the second.
const INTERVALS: [&str; 2] = ["inf", "int"];

/// The chain with which the calibration of an attempt starts, where it was chosen by tries.
#[derive(Debug)]
pub(super) struct Started {
    attempt: AttemptId,
    options: CalibrationPlan,
    why: String,
}

impl Programs<'_> {
    /// The chains that models to start from are tried with.
    pub(super) fn chains_to_start(&self, id: AttemptId) -> StartChains {
        let Some(options) = self.round(id.round).calibration.clone() else { return StartChains::default() };
        let Some(at) = options.chain.iter().position(|o| o.interval() == Some(Solint::Auto)) else {
            return StartChains { steps: vec![CalibrationStep::alike(options)], automatic: false };
        };
        let step = |solint: &str| {
            let mut options = options.clone();
            let chosen = &mut options.chain[at];
            (chosen.solint, chosen.calmode) = (solint.to_owned(), CalMode::P);
            CalibrationStep::alike(options)
        };
        StartChains { steps: INTERVALS.map(step).to_vec(), automatic: true }
    }

    /// Takes the chain that an attempt starts with.
    pub(super) fn note_start(&mut self, id: AttemptId, step: &CalibrationStep, why: &str) {
        self.started = Some(Started { attempt: id, options: step.options.clone(), why: why.to_owned() });
    }

    /// The chain that the attempt starts with and why, where it was chosen by tries.
    pub(super) fn started_with(&self, id: AttemptId) -> Option<(CalibrationPlan, String)> {
        let started = self.started.as_ref().filter(|started| started.attempt == id)?;
        Some((started.options.clone(), started.why.clone()))
    }

    /// Writes a model on the grid of an image.
    pub(super) fn make_start_model(
        &mut self,
        source: &StartModel,
        like: &Products,
        context: &StepContext,
    ) -> Result<PathBuf> {
        let components = match source {
            StartModel::File(path) => read(path)?,
            _ => {
                let casa = self.casa()?;
                let flux = |path: &PathBuf| measurement_set::short_baseline_flux(&casa, path);
                let mut fluxes = context.measurement_sets.iter().map(flux).collect::<Result<Vec<f64>>>()?;
                fluxes.sort_by(f64::total_cmp);
                // Scales may differ from one to the next: the lower of the middle ones is one that was seen.
                vec![components::at_centre(&like.model, fluxes[(fluxes.len() - 1) / 2])?]
            }
        };
        fs::remove(&context.folder)?;
        fs::make(&context.folder)?;
        Ok(components::write_like(&components, &like.model, &context.folder)?)
    }
}

/// The components of a file: an image by its first bytes, else a list.
fn read(path: &Path) -> Result<Vec<Component>> {
    use std::io::Read as _;
    let mut start = [0_u8; 6];
    let unreadable = |e: std::io::Error| {
        Error::bad_input(format!(
            "campaign.start_model: {} cannot be read: {e}; expected is `auto`, `point`, `image`, or \
                                  the path of a FITS model or component list",
            path.display()
        ))
    };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.read(&mut start).map_err(unreadable)?;
    let is_image = start[..length] == *b"SIMPLE" || start.starts_with(&[0x1f, 0x8b]);
    Ok(if is_image { components::read_model(path)? } else { components::read_list(path)? })
}
