//! A backend whose "columns" are small files, and runs of it.

use crate::calibrator::SolutionTable;
use crate::calibrator::facets::options::FacetOptions;
use crate::calibrator::facets::{FacetDirection, FacetSolution};
use crate::calibrator::options::GaincalOptions;
use crate::campaign::events::{Collect, Emitter};
use crate::campaign::file::{
    ArchiveOptions, CalibratorKind, FieldOptions, MaskCadence, MaskImage, MaskMethod, StartColumn, StartModel,
    StopOptions,
};
use crate::campaign::journal::StepKey;
use crate::campaign::layout::{AttemptId, Layout};
use crate::campaign::plan::{CalibrationPlan, MaskPlan};
use crate::campaign::record::{DatasetRecord, MaskRecord, MemberSolutions, State};
use crate::campaign::rounds::{DatasetRun, DatasetSettings};
use crate::campaign::rules::acceptance::{AcceptanceOptions, Relaxation};
use crate::campaign::rules::schedule::Limit;
use crate::campaign::steps::{
    AttemptPlan, Backend, CalibrationStep, FacetStep, GivenMask, Imaged, ImagedData, ImagingStep, MaskStep, Past,
    Prepared, PreparedSet, Proposal, Solved, StartChains, StepContext,
};
use crate::imager::command::CommandOptions;
use crate::imager::{FacetFiles, ImagerOptions, Products};
use crate::masking::MaskRecipe;
use crate::measurement_set::{DataPart, MsSummary};
use crate::quality::metrics::{ImageMetrics, ModelMetrics, RoundFiles};
use crate::quality::solutions::SolutionStats;
use crate::{Error, Result};
use indexmap::IndexMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Metrics of the fake sky: dynamic range by `(round, attempt)`; rounds beyond the list repeat the last.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) dynamic_range: Vec<Vec<f64>>,
    pub(super) flagged: Vec<f64>,
    pub(super) mask_pixels: u64,
    pub(super) options: Vec<u32>,
    pub(super) give_up: Option<usize>,
    pub(super) start_model: StartModel,
    /// Median S/N of solutions against a start model, by interval.
    pub(super) start_snr: [(&'static str, f64); 2],
    /// The measurement sets that are imaged together.
    pub(super) sets: Vec<&'static str>,
    /// Solves at the same time.
    pub(super) at_once: usize,
    /// Each has a chain of its own.
    pub(super) own_chains: bool,
    /// A measurement set whose solutions are all flagged from this round on.
    pub(super) weak: Option<(usize, usize)>,
    /// Dynamic range of images without weak measurement sets over that of images of all.
    pub(super) gain_without: f64,
    /// From this round on gains are solved for by direction.
    pub(super) facets_from: Option<usize>,
    /// Directions that are bright enough.
    pub(super) directions: usize,
}

impl Script {
    pub(super) fn rising() -> Self {
        Self {
            dynamic_range: vec![vec![100.0], vec![200.0], vec![300.0], vec![400.0]],
            flagged: vec![0.0; 4],
            mask_pixels: 10,
            options: vec![0; 4],
            give_up: None,
            start_model: StartModel::Image,
            start_snr: [("inf", 9.0), ("int", 3.0)],
            sets: vec!["field"],
            at_once: 1,
            own_chains: false,
            weak: None,
            gain_without: 1.0,
            facets_from: None,
            directions: 2,
        }
    }
}

/// A column of one of the measurement sets.
pub(super) type OneColumn = (usize, &'static str);

pub(super) struct FakeBackend {
    pub(super) script: Script,
    /// Of each measurement set.
    pub(super) columns: Vec<PathBuf>,
    pub(super) calls: Vec<String>,
    /// The interval that the first calibration was started with.
    pub(super) started: Option<String>,
    /// The call that fails.
    pub(super) fail_at: Option<usize>,
    /// It leaves the columns that it touches half-written.
    pub(super) spoils: bool,
}

impl FakeBackend {
    /// Intervals that grow with the number of the measurement set, where each has a chain of its own.
    fn chains(&self, tag: &str) -> Vec<Vec<GaincalOptions>> {
        let chain = |set: usize| {
            let solint = format!("{}s", 60 * (set + 1));
            vec![GaincalOptions { uvrange: tag.to_owned(), solint, ..GaincalOptions::default() }]
        };
        if self.script.own_chains { (0..self.script.sets.len()).map(chain).collect() } else { Vec::new() }
    }

    pub(super) fn new(root: &Path, script: Script) -> Self {
        let columns: Vec<PathBuf> = script.sets.iter().map(|name| root.join(format!("{name}.ms"))).collect();
        columns.iter().for_each(|columns| fs::create_dir_all(columns).unwrap());
        Self { script, columns, calls: Vec::new(), started: None, fail_at: None, spoils: true }
    }

    fn call(&mut self, name: String, touches: &[OneColumn]) -> Result<()> {
        self.calls.push(name);
        if self.fail_at == Some(self.calls.len() - 1) {
            for column in touches.iter().filter(|_| self.spoils) {
                self.set_column(*column, "half-written");
            }
            return Err(Error::external("injected failure"));
        }
        Ok(())
    }

    /// A column of all measurement sets.
    pub(super) fn of_all(&self, name: &'static str) -> Vec<OneColumn> {
        (0..self.columns.len()).map(|set| (set, name)).collect()
    }

    /// A column of the measurement sets that are imaged.
    fn of_imaged(&self, name: &'static str, context: &StepContext) -> Vec<OneColumn> {
        let imaged = |set: &usize| context.measurement_sets.contains(&self.columns[*set]);
        (0..self.columns.len()).filter(imaged).map(|set| (set, name)).collect()
    }

    pub(super) fn column(&self, (set, name): OneColumn) -> String {
        fs::read_to_string(self.columns[set].join(name)).unwrap_or_default()
    }

    pub(super) fn set_column(&self, (set, name): OneColumn, content: &str) {
        fs::write(self.columns[set].join(name), content).unwrap();
    }

    pub(super) fn value(list: &[f64], i: usize) -> f64 {
        *list.get(i).unwrap_or_else(|| list.last().unwrap())
    }
}

/// The content of a file that is made from these parts.
pub(super) fn digest(parts: &impl serde::Serialize) -> String {
    StepKey::of(parts).to_string()
}

/// A mask with these options.
pub(super) fn mask_step(tag: String) -> MaskStep {
    let mask = MaskPlan {
        recipe: MaskRecipe { method: MaskMethod::Flint, ..MaskRecipe::default() },
        image: MaskImage::default(),
        field: FieldOptions::default(),
        cadence: MaskCadence::Round,
        every: 1,
        include: vec![tag.into()],
        exclude: Vec::new(),
        freeze_change: 0.0,
        confetti: None,
    };
    MaskStep { mask, caution: 1.0, field: None }
}

/// Round and retries of an attempt: `2.0` is the first at round 2.
pub(super) fn call_name(context: &StepContext) -> String {
    format!("{}.{}", context.attempt.round, context.attempt.attempt - 1)
}

/// As [`call_name`], for a measurement set: `2.0 b` is that of the second.
pub(super) fn call_of(context: &StepContext, member: usize) -> String {
    let set = if member == 0 { String::new() } else { format!(" {}", char::from(b'a' + member as u8)) };
    format!("{}{set}", call_name(context))
}

impl Backend for FakeBackend {
    fn data_identity(&mut self) -> Result<String> {
        Ok("the data".into())
    }

    fn prepare(&mut self, _: &StepContext) -> Result<Prepared> {
        let touches = [self.of_all("model"), self.of_all("corrected")].concat();
        self.call("prepare".into(), &touches)?;
        let set = |(name, path): (&&str, &PathBuf)| PreparedSet {
            name: (*name).into(),
            path: path.clone(),
            summary: MsSummary::default(),
            part: DataPart::default(),
        };
        let sets = self.script.sets.iter().zip(&self.columns).map(set).collect();
        let (column, model_wanted) = (StartColumn::Data, true);
        Ok(Prepared {
            sets,
            facts: IndexMap::new(),
            tools: IndexMap::new(),
            column,
            model_wanted,
            warnings: Vec::new(),
        })
    }

    fn prepared(&mut self, _: &Prepared) {}

    fn last_round(&self) -> usize {
        self.script.dynamic_range.len() - 1
    }

    fn propose(&mut self, id: AttemptId, changes: &[Relaxation], _: &Past<'_>) -> Result<Proposal> {
        let round = id.round;
        if self.script.give_up == Some(round) {
            return Ok(Proposal::GiveUp { why: "nothing is left".into(), limit: Limit::NoGain });
        }
        // Whatever distinguishes attempts goes into an option of each step.
        let tag = serde_json::json!([round, self.script.options[round], changes]).to_string();
        let calibration = (round > 0).then(|| CalibrationStep {
            options: CalibrationPlan {
                calibrator: CalibratorKind::Casa,
                chain: vec![GaincalOptions { uvrange: tag.clone(), ..GaincalOptions::default() }],
                reference_antenna: None,
            },
            chains: self.chains(&tag),
        });
        let imaging = ImagingStep {
            imager: ImagerOptions::Command(CommandOptions { template: vec![tag.clone()] }),
            cycles: None,
            stop: StopOptions::default(),
            mask_scales: 0,
            may_clean_nothing: false,
        };
        let by_direction = self.script.facets_from.is_some_and(|from| round >= from);
        Ok(Proposal::Try(Box::new(AttemptPlan {
            id,
            about: String::new(),
            changes: changes.to_vec(),
            calibration: calibration.filter(|_| !by_direction),
            facets: by_direction
                .then(|| FacetStep { options: FacetOptions { solint: tag.clone(), ..FacetOptions::default() } }),
            interval_why: None,
            weighed: Vec::new(),
            mask: (round > 0).then(|| mask_step(tag)),
            imaging,
            first_interval: round == 1,
            more_to_try: false,
        })))
    }

    fn start_chains(&mut self, id: AttemptId) -> StartChains {
        let chain = |solint: &str| {
            let element = GaincalOptions { solint: solint.into(), ..GaincalOptions::default() };
            let options =
                CalibrationPlan { calibrator: CalibratorKind::Casa, chain: vec![element], reference_antenna: None };
            CalibrationStep::alike(options)
        };
        let steps = if id.round > 0 { vec![chain("inf"), chain("int")] } else { Vec::new() };
        StartChains { steps, automatic: true }
    }

    fn start_model(&mut self, source: &StartModel, _: &Products, context: &StepContext) -> Result<PathBuf> {
        self.call("make start".into(), &[])?;
        let path = context.folder.join("model.fits");
        fs::write(&path, format!("start {source}")).unwrap();
        Ok(path)
    }

    fn start_with(&mut self, _: AttemptId, step: &CalibrationStep, _: &str) {
        self.started = Some(step.options.chain[0].solint.clone());
    }

    fn solve(
        &mut self,
        member: usize,
        step: &CalibrationStep,
        _: &[SolutionTable],
        context: &StepContext,
    ) -> Result<Solved> {
        self.call(format!("solve {}", call_of(context, member)), &[])?;
        let path = context.folder.join("gains.cal");
        let content = digest(&("gains", self.column((member, "model")), step));
        fs::write(&path, content).unwrap();
        let solint = &step.options.chain[0].solint;
        let weak = self.script.weak.is_some_and(|(set, from)| set == member && from <= context.attempt.round);
        let stats = SolutionStats {
            solutions: 10,
            median_snr: self.script.start_snr.iter().find(|(interval, _)| interval == solint).map(|(_, snr)| *snr),
            flagged_fraction: if weak { 1.0 } else { self.script.flagged[context.attempt.round] },
            ..SolutionStats::default()
        };
        Ok(Solved {
            tables: vec![SolutionTable { path, channels: None, spectral_window: None, term: String::new() }],
            stats,
            commands: vec![vec!["gaincal".into()]],
        })
    }

    fn solves_at_once(&self) -> usize {
        self.script.at_once
    }

    fn apply(
        &mut self,
        member: usize,
        _: &CalibrationStep,
        tables: &[SolutionTable],
        context: &StepContext,
    ) -> Result<()> {
        let column = (member, "corrected");
        self.call(format!("apply {}", call_of(context, member)), &[column])?;
        let table = tables.first().map(|table| fs::read_to_string(&table.path).unwrap());
        self.set_column(column, &digest(&("data", table)));
        Ok(())
    }

    fn mask(
        &mut self,
        step: &MaskStep,
        source: &Products,
        _: Option<&MaskRecord>,
        context: &StepContext,
    ) -> Result<MaskRecord> {
        self.call(format!("mask {}", call_name(context)), &[])?;
        let path = context.folder.join("mask.fits");
        let content = digest(&("mask", fs::read_to_string(&source.image).unwrap(), step));
        fs::write(&path, content).unwrap();
        Ok(MaskRecord { path, pixels: self.script.mask_pixels, ..MaskRecord::default() })
    }

    fn solve_facets(
        &mut self,
        step: &FacetStep,
        column: &str,
        (products, mask): (&Products, Option<&Path>),
        context: &StepContext,
    ) -> Result<FacetSolution> {
        self.call(format!("facets {}", call_name(context)), &[])?;
        if self.script.directions < 2 {
            return Ok(FacetSolution { refused: Some("one direction".into()), ..FacetSolution::default() });
        }
        let data: Vec<String> = self.of_all("corrected").into_iter().map(|column| self.column(column)).collect();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let content = digest(&("facets", column, data, read(&products.model), mask.map(read), step));
        let file = |name: &str| {
            let path = context.folder.join(name);
            fs::write(&path, &content).unwrap();
            path
        };
        let files =
            FacetFiles { regions: file("facets.reg"), solutions: vec![file("solutions.h5")], terms: Vec::new() };
        let directions =
            (0..self.script.directions).map(|k| FacetDirection { name: format!("Dir{k}"), ..Default::default() });
        Ok(FacetSolution { files, sky: file("sky.txt"), directions: directions.collect(), ..FacetSolution::default() })
    }

    fn image(
        &mut self,
        step: &ImagingStep,
        read: &ImagedData<'_>,
        mask: Option<&GivenMask>,
        context: &StepContext,
    ) -> Result<Imaged> {
        let column = read.column;
        let of_imaged = |name| self.of_imaged(name, context);
        let corrected = || of_imaged("corrected").into_iter().map(|column| self.column(column)).collect();
        let data: Vec<String> = if column == "DATA" { vec!["data".into()] } else { corrected() };
        // A real imager goes on from the cycles that it finds.
        let unfinished = context.folder.join("unfinished");
        if !unfinished.exists() {
            fs::write(&unfinished, digest(&("cycles", &data, step))).unwrap();
        }
        let without = if context.measurement_sets.len() < self.columns.len() { " without" } else { "" };
        let by_direction = if read.facets.is_some() { " by direction" } else { "" };
        let call = format!("image {} {column}{by_direction}{without}", call_name(context));
        self.call(call, &self.of_imaged("model", context))?;
        let mask = mask.map(|m| fs::read_to_string(&m.path).unwrap());
        let cycles = fs::read_to_string(&unfinished).unwrap();
        fs::remove_file(unfinished).unwrap();
        let solutions = read.facets.map(|facets| fs::read_to_string(&facets.files.solutions[0]).unwrap());
        let content = match &solutions {
            None => digest(&("image", data, mask, cycles, step)),
            Some(solutions) => digest(&("image", data, mask, cycles, step, solutions)),
        };
        let file = |name: &str| {
            let path = context.folder.join(name);
            fs::write(&path, &content).unwrap();
            path
        };
        self.of_imaged("model", context).into_iter().for_each(|column| self.set_column(column, &content));
        let products = Products {
            image: file("image.fits"),
            residual: file("residual.fits"),
            model: file("model.fits"),
            psf: file("psf.fits"),
            dirty: None,
            pb: None,
            pbcor: None,
            channels: Vec::new(),
        };
        let commands = vec![vec!["wsclean".into()]];
        Ok(Imaged { products, cycles: Vec::new(), stopped: None, mask: None, facets: None, commands })
    }

    fn predict(&mut self, _: &ImagingStep, _: &ImagedData<'_>, model: &Path, context: &StepContext) -> Result<()> {
        self.call(format!("predict {}", call_name(context)), &self.of_all("model"))?;
        let content = fs::read_to_string(model).unwrap();
        self.of_all("model").into_iter().for_each(|column| self.set_column(column, &content));
        Ok(())
    }

    fn measure(&mut self, files: &RoundFiles) -> Result<ImageMetrics> {
        let folder = files.image.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap().to_string();
        self.call(format!("measure {folder}"), &[])?;
        let round: usize = folder[6..8].parse().unwrap();
        let attempt = usize::from(folder.ends_with("retry"));
        let without = files.image.parent().is_some_and(|part| part.ends_with("image-without-weak-sets"));
        let gain = if without { self.script.gain_without } else { 1.0 };
        let dynamic_range = gain * Self::value(&self.script.dynamic_range[round], attempt);
        Ok(ImageMetrics {
            rms: 100.0 / dynamic_range,
            peak: 100.0,
            dynamic_range,
            valid_pixels: 100,
            model: Some(ModelMetrics { components: 5, total_flux: 1.0, ..ModelMetrics::default() }),
            ..ImageMetrics::default()
        })
    }

    fn apply_to(&mut self, solutions: &MemberSolutions, _: &Path, to: &Path, _: &StepContext) -> Result<Vec<String>> {
        self.call(format!("apply_to {} {}", solutions.name, to.display()), &[])?;
        Ok(Vec::new())
    }

    fn apply_line(&mut self, _: &CalibrationStep, _: &[SolutionTable]) -> Option<String> {
        Some("applycal(...)".into())
    }
}

pub(super) fn run(root: &Path, backend: &mut FakeBackend) -> (DatasetRecord, Result<State>, Collect) {
    run_with(root, backend, None, ArchiveOptions::default())
}

pub(super) fn run_with(
    root: &Path,
    backend: &mut FakeBackend,
    disk_budget: Option<u64>,
    archive: ArchiveOptions,
) -> (DatasetRecord, Result<State>, Collect) {
    let events = Collect::default();
    let plan_hashes =
        backend.script.options.iter().enumerate().map(|(r, o)| (format!("round-{r:02}"), o.to_string())).collect();
    let settings = DatasetSettings {
        name: "field".into(),
        sources: backend.columns.clone(),
        layout: Layout::new(root.join("out")),
        acceptance: AcceptanceOptions::default(),
        plan_hashes,
        disk_budget,
        archive,
        apply_to: None,
        start_column: StartColumn::Data,
        until_round: None,
        series_apart: false,
        first_round: 0,
        start_model: backend.script.start_model.clone(),
        takes_any_image: false,
        mask_source: None,
    };
    let run = DatasetRun::new(settings, backend, Emitter::new(vec![Box::new(events.clone())])).unwrap();
    let (record, end) = run.run(&mut |_, _| Ok(()));
    (record, end, events)
}

/// Final image, model and corrected columns: what must not depend on how often the run was killed.
pub(super) fn outcome_of(root: &Path, sets: &[&str]) -> Vec<String> {
    let read = |p: PathBuf| fs::read_to_string(p).unwrap();
    let columns = sets.iter().flat_map(|set| ["model", "corrected"].map(|column| format!("{set}.ms/{column}")));
    let files = std::iter::once("out/final/image.fits".to_owned()).chain(columns);
    files.map(|file| read(root.join(file))).collect()
}

pub(super) fn outcome(root: &Path) -> Vec<String> {
    outcome_of(root, &["field"])
}

pub(super) fn uninterrupted(script: &Script) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script.clone());
    run(folder.path(), &mut backend).1.unwrap();
    (outcome_of(folder.path(), &script.sets), backend.calls)
}
