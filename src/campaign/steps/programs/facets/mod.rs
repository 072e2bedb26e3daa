//! Rounds that solve by direction: DP3 solves, wsclean images with the solutions in whole runs.

mod stage;

use super::Programs;
use crate::calibrator::facets::options::FacetOptions;
use crate::calibrator::facets::{FacetData, FacetSolution, FacetSolver, FacetSource, noise_of_interval, put_back};
use crate::calibrator::options::Solint;
use crate::campaign::record::{FacetOutcome, JudgedDirection, MaskRecord};
use crate::campaign::rules;
use crate::campaign::steps::masks;
use crate::campaign::steps::{FacetInputs, FacetReference, FacetStep, Imaged, ImagedData, ImagingStep, StepContext};
use crate::imager::{FacetFiles, Products};
use crate::programs::dp3::Dp3;
use crate::quality::facets::around;
use crate::quality::metrics::{ImageMetrics, RoundFiles, of_files};
use crate::quality::residual;
use crate::util::fs;
use crate::{Error, Result};
use std::path::Path;

/// Folder of a further image, inside that of the round's.
const FURTHER: &str = "further";
/// A further image is kept if its dynamic range rose, and followed by another if it rose by this part.
const LEAST_GAIN: f64 = 0.02;

/// Images of a round so far.
struct Made {
    products: Products,
    commands: Vec<Vec<String>>,
    mask: Option<MaskRecord>,
    /// Dynamic range of each.
    dynamic_ranges: Vec<f64>,
    /// Pixels of the last one's mask; `None` without one.
    masked: Option<u64>,
}

impl Made {
    /// A first image that was not looked at.
    fn of(products: Products) -> Self {
        Self { products, commands: Vec::new(), mask: None, dynamic_ranges: Vec::new(), masked: None }
    }
}

impl Programs<'_> {
    /// Solves for gains by direction.
    pub(super) fn solve_by_direction(
        &mut self,
        step: &FacetStep,
        column: &str,
        (products, mask): (&Products, Option<&Path>),
        context: &StepContext,
    ) -> Result<FacetSolution> {
        let limits = self.limits(self.plan.resources.calibrator_time_limit.as_ref().map(|l| l.0));
        let casa = self.casa()?;
        let solver = FacetSolver { dp3: Dp3::of_setup()?, casa: &casa, limits, threads: self.share.threads };
        let data: Vec<FacetData<'_>> = self
            .sets
            .iter()
            .filter(|set| context.measurement_sets.contains(&set.path))
            .map(|set| FacetData { measurement_set: &set.path, column, summary: &set.summary })
            .collect();
        let noise_jy = self.noise_of_solutions(&step.options, field_noise(products)?);
        let source = FacetSource { model: &products.model, residual: &products.residual, mask, noise_jy };
        solver.solve(&source, &data, &step.options, (&context.folder, &context.log))
    }

    /// Noise of an antenna's solution in one interval, Jy, the largest of all measurement sets: from their theoretical noise,
    /// or where that is not known from that of the image, `measured`.
    fn noise_of_solutions(&self, options: &FacetOptions, measured: f64) -> f64 {
        let interval_s = |integration_s: f64| match options.interval() {
            Some(Solint::Seconds(seconds)) => seconds,
            Some(Solint::Infinite) => f64::MAX,
            _ => integration_s,
        };
        let noise = |set: &crate::campaign::steps::PreparedSet| {
            let image = set.summary.theoretical_noise.and_then(|noise| noise.jy()).unwrap_or(measured);
            noise_of_interval(&set.summary, image, interval_s(set.summary.integration_s))
        };
        self.sets.iter().map(noise).fold(0.0, f64::max)
    }

    /// Images with solutions by direction: once, and again where directions got worse and go back to their earlier solutions;
    /// then with masks made from the image before, while that helps.
    pub(super) fn image_with_facets(
        &mut self,
        step: &ImagingStep,
        (data, facets): (&ImagedData<'_>, &FacetInputs<'_>),
        mask: Option<&Path>,
        context: &StepContext,
    ) -> Result<Imaged> {
        let mut files = facets.files.clone();
        let (products, mut commands) = self.run_with(step, (data, &files), mask, context)?;
        let Some(reference) = &facets.judged else {
            return Ok(imaged(Made { commands, ..Made::of(products) }, None));
        };
        let mut judged = judge(&products, mask, reference, facets)?;
        let mut made = Made::of(products);
        let is_back = |judged: &[JudgedDirection]| judged.iter().filter(|direction| direction.put_back).count();
        let mut done = 0;
        while is_back(&judged) > done {
            done = is_back(&judged);
            files = with_earlier(facets.files, &judged, reference.earlier, context)?;
            let (products, more) = self.run_with(step, (data, &files), mask, context)?;
            commands.extend(more);
            made.products = products;
            if judged.iter().any(|direction| direction.fault.is_some() && !direction.put_back) {
                // Those that are left may have been spoilt by the ones that are now put back.
                let again = judge(&made.products, mask, reference, facets)?;
                let later =
                    |(first, now): (&JudgedDirection, JudgedDirection)| if first.put_back { *first } else { now };
                judged = judged.iter().zip(again).map(later).collect();
            }
        }
        made.commands = commands;
        let metrics = metrics_of(&made.products, mask)?;
        made.dynamic_ranges.push(metrics.dynamic_range);
        made.masked = metrics.masked_pixels;
        while made.dynamic_ranges.len() < facets.images && self.image_again(step, (data, &files), &mut made, context)? {
        }
        Ok(imaged(made, Some(FacetOutcome { files, judged, images: Vec::new() })))
    }

    /// Images once more with a mask made from the last image; `false`: that did not help, the image before stays.
    fn image_again(
        &mut self,
        step: &ImagingStep,
        (data, files): (&ImagedData<'_>, &FacetFiles),
        made: &mut Made,
        context: &StepContext,
    ) -> Result<bool> {
        let Some(masking) = &step.cycles else { return Ok(false) };
        let number = made.dynamic_ranges.len();
        let folder = context.folder.with_file_name("mask").join(format!("image-{number}"));
        fs::make(&folder)?;
        let mask = masks::from_image(&masking.mask, masking.caution, &made.products, made.mask.as_ref(), &folder)?;
        if !rules::facets::is_worth_an_image(mask.pixels, made.masked) {
            return Ok(false);
        }
        let further = StepContext { folder: context.folder.join(FURTHER), ..context.clone() };
        fs::remove(&further.folder)?;
        fs::make(&further.folder)?;
        let (products, commands) = self.run_with(step, (data, files), Some(&mask.path), &further)?;
        made.commands.extend(commands);
        let (before, now) = (made.dynamic_ranges[number - 1], metrics_of(&products, Some(&mask.path))?.dynamic_range);
        made.dynamic_ranges.push(now);
        if now <= before {
            fs::remove(&further.folder)?;
            // The last run left its own model in the data.
            self.predict_with(step, (data.column, Some(files)), &made.products.model, context)?;
            return Ok(false);
        }
        made.products = products.moved(&further.folder, &context.folder)?;
        made.masked = Some(mask.pixels);
        made.mask = Some(mask);
        Ok(now > before * (1.0 + LEAST_GAIN))
    }

    /// One whole run of the imager.
    fn run_with(
        &mut self,
        step: &ImagingStep,
        (data, files): (&ImagedData<'_>, &FacetFiles),
        mask: Option<&Path>,
        context: &StepContext,
    ) -> Result<(Products, Vec<Vec<String>>)> {
        let job = self.job(data.column, Some(files), context);
        let mut imager = self.imager(&step.imager, job, context)?;
        let result = imager.setup().and_then(|()| {
            let commands = imager.command_lines(mask);
            Ok((imager.image_once(mask)?, commands))
        });
        imager.teardown();
        result
    }
}

/// The noise of an image's residual, Jy/beam.
fn field_noise(products: &Products) -> Result<f64> {
    Ok(residual::measure(&products.residual, None, None)?.overall.rms)
}

fn imaged(made: Made, facets: Option<FacetOutcome>) -> Imaged {
    let Made { products, commands, mask, dynamic_ranges, .. } = made;
    let facets = facets.map(|outcome| FacetOutcome { images: dynamic_ranges, ..outcome });
    Imaged { products, cycles: Vec::new(), stopped: None, mask, facets, commands }
}

fn metrics_of(products: &Products, mask: Option<&Path>) -> Result<ImageMetrics> {
    let files = RoundFiles {
        image: products.image.clone(),
        residual: Some(products.residual.clone()),
        mask: mask.map(Path::to_path_buf),
        ..RoundFiles::default()
    };
    of_files(&files)
}

/// What is around each direction before and after; the worse ones are to be put back.
fn judge(
    products: &Products,
    mask: Option<&Path>,
    reference: &FacetReference<'_>,
    facets: &FacetInputs<'_>,
) -> Result<Vec<JudgedDirection>> {
    let places: Vec<[f64; 2]> = facets.directions.iter().map(|direction| direction.pixel).collect();
    let masks: Vec<&Path> = mask.into_iter().chain(reference.mask).collect();
    let before = around(reference.residual, &masks, &places)?;
    let after = around(&products.residual, &masks, &places)?;
    let fault = |(before, after)| (before, after, rules::facets::direction_fault(&before, &after));
    let all: Vec<_> = before.into_iter().zip(after).map(fault).collect();
    let one = |(&(before, after, fault), put_back)| JudgedDirection { before, after, put_back, fault };
    Ok(all.iter().zip(rules::facets::put_back(&all)).map(one).collect())
}

/// Copies of the solutions in which these directions have their earlier ones.
fn with_earlier(
    files: &FacetFiles,
    judged: &[JudgedDirection],
    earlier: Option<&FacetFiles>,
    context: &StepContext,
) -> Result<FacetFiles> {
    let dp3 = Dp3::of_setup()?;
    let mut kept = files.clone();
    for (number, path) in kept.solutions.iter_mut().enumerate() {
        let from = std::mem::take(path);
        *path = from.with_extension("kept.h5");
        std::fs::copy(&from, &*path).map_err(Error::internal)?;
        let before = earlier.and_then(|files| files.solutions.get(number));
        for direction in (0..judged.len()).filter(|k| judged[*k].put_back) {
            put_back(&dp3, path, direction, before.map(|p| p.as_path()), &context.log)?;
        }
    }
    Ok(kept)
}
