//! What is taken out of the data before a final imaging.

use super::Tell;
use crate::campaign::file::{StopOptions, Subtract};
use crate::campaign::record::{ContinuumRecord, Level, RoundRecord};
use crate::campaign::steps::programs::Programs;
use crate::campaign::steps::{ImagingStep, StepContext};
use crate::imager::{FacetFiles, ImagerOptions, progress};
use crate::measurement_set::continuum::{self, ContinuumFit, FitSpec, LineData, UvcontsubOptions};
use crate::measurement_set::split_corrected;
use crate::util::fs;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A subtraction.
pub(super) struct SubtractRequest<'a> {
    /// What is subtracted.
    pub(super) what: Subtract,
    /// How the continuum is fitted.
    pub(super) uvcontsub: &'a UvcontsubOptions,
    /// Name of the measurement set in the campaign.
    pub(super) name: &'a str,
    /// A copy of the data: its `DATA` holds the calibrated data; what is left of them takes its place.
    pub(super) measurement_set: &'a Path,
    /// Folder of the copies, for what is worth keeping.
    pub(super) folder: &'a Path,
    /// Log of the programs.
    pub(super) log: &'a Path,
    /// The best round, with its images.
    pub(super) best: &'a RoundRecord,
    /// Its imaging.
    pub(super) imaging: &'a ImagerOptions,
    /// Its solutions by direction for this measurement set; `None`: it has none.
    pub(super) facets: Option<&'a FacetFiles>,
}

/// Subtracts from a copy of the data. A measurement set with what is left takes the place of the copy: no column `DATA` is
/// written.
///
/// # Errors
/// Lines in most channels; images of the best round that are gone; a program's failure.
pub(super) fn subtract(request: &SubtractRequest<'_>, programs: &mut Programs<'_>, tell: Tell<'_>) -> Result<()> {
    match request.what {
        Subtract::None => Ok(()),
        Subtract::Continuum => subtract_continuum(request, programs, tell),
        Subtract::Model => subtract_model(request, programs, tell),
    }
}

/// The continuum, by a fit to line-free channels.
fn subtract_continuum(request: &SubtractRequest<'_>, programs: &mut Programs<'_>, tell: Tell<'_>) -> Result<()> {
    let new = beside(request.measurement_set, "line.ms");
    let data = LineData { ms: request.measurement_set, column: "DATA", field: None };
    let casa = programs.casa()?;
    let fit = continuum::subtract_continuum(&casa, &data, request.uvcontsub, &new, request.log)?;
    replace(request.measurement_set, &new)?;
    tell(Level::Info, format!("{}: {}", request.name, words(&fit)));
    Ok(ContinuumRecord { name: request.name.to_owned(), fit }.save(request.folder)?)
}

/// What the continuum was fitted to.
fn words(fit: &ContinuumFit) -> String {
    let lines: usize = fit.spectra.iter().map(|spectrum| spectrum.line_channels().len()).sum();
    let all: usize = fit.spectra.iter().map(|spectrum| spectrum.amplitudes_jy.len()).sum();
    match (&fit.fitspec, fit.spectra.is_empty()) {
        (_, false) if lines == 0 => format!("no lines stand out: the continuum was fitted to all {all} channels"),
        (FitSpec::Channels(channels), false) => {
            format!("the continuum was fitted to the channels {channels}; {lines} of {all} channels stand out")
        }
        (FitSpec::Channels(channels), true) if !channels.is_empty() => {
            format!("the continuum was fitted to the channels {channels}, as given")
        }
        _ => "the continuum was fitted to the channels that `fitspec` names".to_owned(),
    }
}

/// The model of the best round: predicted with the gains of its facets, and subtracted.
fn subtract_model(request: &SubtractRequest<'_>, programs: &mut Programs<'_>, tell: Tell<'_>) -> Result<()> {
    let copy = request.measurement_set;
    let model = request.best.products.as_ref().map(|products| products.model.clone()).unwrap_or_default();
    if !model.is_file() {
        return Err(Error::bad_input(format!(
            "{}: the model of the best round is gone ({}): `cleanloop run` makes it again",
            request.name,
            model.display()
        )));
    }
    let folder = beside(copy, "predict");
    fs::make(&folder)?;
    let context = StepContext {
        attempt: request.best.id(),
        measurement_sets: vec![copy.to_path_buf()],
        folder: folder.clone(),
        log: request.log.to_path_buf(),
        progress: progress::silent(),
    };
    let step = ImagingStep {
        imager: request.imaging.clone(),
        cycles: None,
        stop: StopOptions::default(),
        mask_scales: 0,
        may_clean_nothing: false,
    };
    programs.predict_with(&step, ("DATA", request.facets), &model, &context)?;
    fs::remove(&folder)?;
    let casa = programs.casa()?;
    continuum::subtract_model(&casa, copy, "DATA")?;
    let new = beside(copy, "line.ms");
    split_corrected(&casa, copy, Vec::new(), &new, request.log)?;
    replace(copy, &new)?;
    tell(Level::Info, format!("{}: the model of round {} is subtracted", request.name, request.best.round));
    Ok(())
}

/// A path beside another.
fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

fn replace(old: &Path, new: &Path) -> Result<()> {
    fs::remove(old)?;
    std::fs::rename(new, old).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement_set::continuum::ContinuumSpectrum;

    #[test]
    fn people_are_told_what_the_continuum_was_fitted_to() {
        let fit = |fitspec: &str, line_free: &[&[(usize, usize)]]| ContinuumFit {
            fitspec: FitSpec::Channels(fitspec.to_owned()),
            spectra: line_free
                .iter()
                .map(|free| ContinuumSpectrum {
                    amplitudes_jy: vec![Some(1.0); 8],
                    line_free: free.to_vec(),
                    ..ContinuumSpectrum::default()
                })
                .collect(),
        };
        insta::assert_snapshot!(words(&fit("0:0~2;5~7,1:0~7", &[&[(0, 2), (5, 7)], &[(0, 7)]])), @"the continuum was fitted to the channels 0:0~2;5~7,1:0~7; 2 of 16 channels stand out");
        insta::assert_snapshot!(words(&fit("0:0~7", &[&[(0, 7)]])), @"no lines stand out: the continuum was fitted to all 8 channels");
        insta::assert_snapshot!(words(&fit("0:3~4", &[])), @"the continuum was fitted to the channels 0:3~4, as given");
        insta::assert_snapshot!(words(&fit("", &[])), @"the continuum was fitted to the channels that `fitspec` names");
    }
}
