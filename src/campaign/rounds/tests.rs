//! The loop over rounds with a backend whose "columns" are small files: what a real crash does to a measurement set
//! (a column half-written) is done here on purpose, at every step.

use super::{DatasetRun, DatasetSettings};
use crate::calibrator::SolutionTable;
use crate::calibrator::options::GaincalOptions;
use crate::campaign::events::{Collect, Emitter, Event, Step, StepEnd};
use crate::campaign::file::{
    ArchiveOptions, CalibratorKind, FieldOptions, MaskCadence, MaskImage, MaskMethod, StartColumn, StartModel,
    StopOptions,
};
use crate::campaign::journal::StepKey;
use crate::campaign::layout::{AttemptId, Layout};
use crate::campaign::plan::{CalibrationPlan, MaskPlan};
use crate::campaign::record::{DatasetRecord, MaskRecord, StartKind, State, Verdict};
use crate::campaign::rules::acceptance::{AcceptanceOptions, Relaxation, RoundOutcome};
use crate::campaign::rules::schedule::Limit;
use crate::campaign::steps::{
    AttemptPlan, Backend, CalibrationStep, Imaged, ImagingStep, MaskStep, Prepared, PreparedSet, Proposal, Solved,
    StartChains, StepContext,
};
use crate::imager::command::CommandOptions;
use crate::imager::{ImagerOptions, Products};
use crate::masking::MaskRecipe;
use crate::measurement_set::MsSummary;
use crate::quality::metrics::{ImageMetrics, ModelMetrics, RoundFiles};
use crate::quality::solutions::SolutionStats;
use crate::{Error, Result};
use indexmap::IndexMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Metrics of the fake sky: dynamic range by `(round, attempt)`; rounds beyond the list repeat the last.
#[derive(Clone)]
struct Script {
    dynamic_range: Vec<Vec<f64>>,
    flagged: Vec<f64>,
    mask_pixels: u64,
    options: Vec<u32>,
    give_up: Option<usize>,
    start_model: StartModel,
    /// Median S/N of solutions against a start model, by interval.
    start_snr: [(&'static str, f64); 2],
}

impl Script {
    fn rising() -> Self {
        Self {
            dynamic_range: vec![vec![100.0], vec![200.0], vec![300.0], vec![400.0]],
            flagged: vec![0.0; 4],
            mask_pixels: 10,
            options: vec![0; 4],
            give_up: None,
            start_model: StartModel::Image,
            start_snr: [("inf", 9.0), ("int", 3.0)],
        }
    }
}

mod start;

struct FakeBackend {
    script: Script,
    columns: PathBuf,
    calls: Vec<String>,
    /// The interval that the first calibration was started with.
    started: Option<String>,
    /// The call that fails.
    fail_at: Option<usize>,
    /// It leaves the columns that it touches half-written.
    spoils: bool,
}

impl FakeBackend {
    fn new(root: &Path, script: Script) -> Self {
        let columns = root.join("field.ms");
        fs::create_dir_all(&columns).unwrap();
        Self { script, columns, calls: Vec::new(), started: None, fail_at: None, spoils: true }
    }

    fn call(&mut self, name: String, touches: &[&str]) -> Result<()> {
        self.calls.push(name);
        if self.fail_at == Some(self.calls.len() - 1) {
            for column in touches.iter().filter(|_| self.spoils) {
                fs::write(self.columns.join(column), "half-written").unwrap();
            }
            return Err(Error::external("injected failure"));
        }
        Ok(())
    }

    fn column(&self, name: &str) -> String {
        fs::read_to_string(self.columns.join(name)).unwrap_or_default()
    }

    fn set_column(&self, name: &str, content: &str) {
        fs::write(self.columns.join(name), content).unwrap();
    }

    fn value(list: &[f64], i: usize) -> f64 {
        *list.get(i).unwrap_or_else(|| list.last().unwrap())
    }
}

/// The content of a file that is made from these parts.
fn digest(parts: &impl serde::Serialize) -> String {
    StepKey::of(parts).to_string()
}

/// A mask with these options.
fn mask_step(tag: String) -> MaskStep {
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
fn call_name(context: &StepContext) -> String {
    format!("{}.{}", context.attempt.round, context.attempt.attempt - 1)
}

impl Backend for FakeBackend {
    fn data_identity(&mut self) -> Result<String> {
        Ok("the data".into())
    }

    fn prepare(&mut self, _: &StepContext) -> Result<Prepared> {
        self.call("prepare".into(), &["model", "corrected"])?;
        let set = PreparedSet { name: "field".into(), path: self.columns.clone(), summary: MsSummary::default() };
        let (column, model_wanted) = (StartColumn::Data, true);
        Ok(Prepared { sets: vec![set], facts: IndexMap::new(), tools: IndexMap::new(), column, model_wanted })
    }

    fn prepared(&mut self, _: &Prepared) {}

    fn last_round(&self) -> usize {
        self.script.dynamic_range.len() - 1
    }

    fn propose(&mut self, id: AttemptId, changes: &[Relaxation], _: &[RoundOutcome]) -> Result<Proposal> {
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
        });
        let imaging = ImagingStep {
            imager: ImagerOptions::Command(CommandOptions { template: vec![tag.clone()] }),
            cycles: None,
            stop: StopOptions::default(),
            mask_scales: 0,
            may_clean_nothing: false,
        };
        Ok(Proposal::Try(Box::new(AttemptPlan {
            id,
            about: String::new(),
            changes: changes.to_vec(),
            calibration,
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
            CalibrationStep { options }
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
        _: usize,
        step: &CalibrationStep,
        _: &[SolutionTable],
        context: &StepContext,
    ) -> Result<Solved> {
        self.call(format!("solve {}", call_name(context)), &[])?;
        let path = context.folder.join("gains.cal");
        let content = digest(&("gains", self.column("model"), step));
        fs::write(&path, content).unwrap();
        let solint = &step.options.chain[0].solint;
        let stats = SolutionStats {
            solutions: 10,
            median_snr: self.script.start_snr.iter().find(|(interval, _)| interval == solint).map(|(_, snr)| *snr),
            flagged_fraction: self.script.flagged[context.attempt.round],
            ..SolutionStats::default()
        };
        Ok(Solved {
            tables: vec![SolutionTable { path, channels: None, spectral_window: None, term: String::new() }],
            stats,
            commands: vec![vec!["gaincal".into()]],
        })
    }

    fn apply(&mut self, _: usize, _: &CalibrationStep, tables: &[SolutionTable], context: &StepContext) -> Result<()> {
        self.call(format!("apply {}", call_name(context)), &["corrected"])?;
        let table = fs::read_to_string(&tables[0].path).unwrap();
        self.set_column("corrected", &digest(&("data", table)));
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

    fn image(
        &mut self,
        step: &ImagingStep,
        column: &str,
        mask: Option<&Path>,
        context: &StepContext,
    ) -> Result<Imaged> {
        let data = if column == "DATA" { "data".into() } else { self.column("corrected") };
        // A real imager goes on from the cycles that it finds.
        let unfinished = context.folder.join("unfinished");
        if !unfinished.exists() {
            fs::write(&unfinished, digest(&("cycles", &data, step))).unwrap();
        }
        self.call(format!("image {} {column}", call_name(context)), &["model"])?;
        let mask = mask.map(|m| fs::read_to_string(m).unwrap());
        let cycles = fs::read_to_string(&unfinished).unwrap();
        fs::remove_file(unfinished).unwrap();
        let content = digest(&("image", data, mask, cycles, step));
        let file = |name: &str| {
            let path = context.folder.join(name);
            fs::write(&path, &content).unwrap();
            path
        };
        self.set_column("model", &content);
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
        Ok(Imaged { products, cycles: Vec::new(), stopped: None, mask: None, commands: vec![vec!["wsclean".into()]] })
    }

    fn predict(&mut self, _: &ImagingStep, _: &str, model: &Path, context: &StepContext) -> Result<()> {
        self.call(format!("predict {}", call_name(context)), &["model"])?;
        self.set_column("model", &fs::read_to_string(model).unwrap());
        Ok(())
    }

    fn measure(&mut self, files: &RoundFiles) -> Result<ImageMetrics> {
        let folder = files.image.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap().to_string();
        self.call(format!("measure {folder}"), &[])?;
        let round: usize = folder[6..8].parse().unwrap();
        let attempt = usize::from(folder.ends_with("retry"));
        let dynamic_range = Self::value(&self.script.dynamic_range[round], attempt);
        Ok(ImageMetrics {
            rms: 100.0 / dynamic_range,
            peak: 100.0,
            dynamic_range,
            valid_pixels: 100,
            model: Some(ModelMetrics { components: 5, total_flux: 1.0, ..ModelMetrics::default() }),
            ..ImageMetrics::default()
        })
    }

    fn apply_line(&mut self, _: &CalibrationStep, _: &[SolutionTable]) -> Option<String> {
        Some("applycal(...)".into())
    }
}

fn run(root: &Path, backend: &mut FakeBackend) -> (DatasetRecord, Result<State>, Collect) {
    run_with(root, backend, None, ArchiveOptions::default())
}

fn run_with(
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
        sources: Vec::new(),
        layout: Layout::new(root.join("out")),
        acceptance: AcceptanceOptions::default(),
        plan_hashes,
        disk_budget,
        archive,
        until_round: None,
        series_apart: false,
        first_round: 0,
        start_model: backend.script.start_model.clone(),
        mask_source: None,
    };
    let run = DatasetRun::new(settings, backend, Emitter::new(vec![Box::new(events.clone())])).unwrap();
    let (record, end) = run.run(&mut |_, _| Ok(()));
    (record, end, events)
}

/// Final image, model and corrected columns: what must not depend on how often the run was killed.
fn outcome(root: &Path) -> [String; 3] {
    let read = |p: PathBuf| fs::read_to_string(p).unwrap();
    [read(root.join("out/final/image.fits")), read(root.join("field.ms/model")), read(root.join("field.ms/corrected"))]
}

fn uninterrupted(script: &Script) -> ([String; 3], Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script.clone());
    run(folder.path(), &mut backend).1.unwrap();
    (outcome(folder.path()), backend.calls)
}

#[test]
fn a_good_campaign_goes_through_its_rounds_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Done);
    assert_eq!(record.best_round().unwrap().round, 3);
    let expected = "prepare, image 0.0 DATA, measure round-00, \
        solve 1.0, apply 1.0, mask 1.0, image 1.0 CORRECTED_DATA, measure round-01, \
        solve 2.0, apply 2.0, mask 2.0, image 2.0 CORRECTED_DATA, measure round-02, \
        solve 3.0, apply 3.0, mask 3.0, image 3.0 CORRECTED_DATA, measure round-03";
    assert_eq!(backend.calls.join(", "), expected);
    let names: Vec<String> = fs::read_dir(folder.path().join("out/final"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["image.fits", "residual.fits", "model.fits", "psf.fits", "mask.fits", "gains.cal"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
}

#[test]
fn a_second_run_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut FakeBackend::new(folder.path(), Script::rising())).1.unwrap();
    let before = outcome(folder.path());
    let mut again = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, events) = run(folder.path(), &mut again);
    end.unwrap();
    assert_eq!(again.calls, Vec::<String>::new());
    assert_eq!(outcome(folder.path()), before);
    assert_eq!(record.rounds.len(), 4, "the record is whole again");
    assert!(events.events().iter().all(|e| !matches!(e, Event::StepFinished { end: StepEnd::Done, .. })));
}

#[test]
fn a_worse_round_is_undone_and_the_best_one_is_the_product() {
    let mut script = Script::rising();
    script.dynamic_range[2] = vec![150.0, 140.0];
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    end.unwrap();
    let verdicts: Vec<Verdict> = record.rounds.iter().map(|r| r.decision.as_ref().unwrap().verdict).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted, Verdict::Rejected, Verdict::Rejected]);
    assert_eq!(record.best_round().unwrap().round, 1);
    let calls = backend.calls.join(", ");
    assert!(
        calls.contains("measure round-02, predict 1.0, solve 2.1"),
        "the retry solves against round 1's model: {calls}"
    );
    assert!(
        calls.ends_with("measure round-02-retry, apply 1.0, predict 1.0"),
        "round 1 is in force at the end: {calls}"
    );
    let good = fs::read_to_string(folder.path().join("out/round-01/image/image.fits")).unwrap();
    assert_eq!(outcome(folder.path())[..2], [good.clone(), good]);
}

#[test]
fn divergence_stops_the_campaign() {
    let mut script = Script::rising();
    script.dynamic_range[2] = vec![50.0];
    let folder = tempfile::tempdir().unwrap();
    let (record, end, _) = run(folder.path(), &mut FakeBackend::new(folder.path(), script));
    assert_eq!(end.unwrap(), State::Diverged);
    assert_eq!(record.best_round().unwrap().round, 1);
}

#[test]
fn a_round_that_is_not_worth_trying_ends_the_campaign() {
    let script = Script { give_up: Some(2), ..Script::rising() };
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Converged);
    assert_eq!(record.best_round().unwrap().round, 1);
    assert_eq!(backend.calls.last().unwrap(), "measure round-01");
    insta::assert_snapshot!(record.messages[0].text, @"no round 2: nothing is left");
}

#[test]
fn flagged_tables_are_not_applied() {
    let mut script = Script::rising();
    script.flagged[2] = 0.9;
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    end.unwrap();
    let calls = backend.calls.join(", ");
    assert!(calls.contains("solve 2.0, solve 2.1") && !calls.contains("apply 2"), "{calls}");
    assert_eq!(record.best_round().unwrap().round, 1);
    insta::assert_snapshot!(record.rounds[2].decision.as_ref().unwrap().summary, @"rejected: 90.0 % of 10 solutions flagged, 30.0 % allowed");
}

#[test]
fn an_empty_mask_is_an_error_that_says_what_to_do() {
    let script = Script { mask_pixels: 0, ..Script::rising() };
    let folder = tempfile::tempdir().unwrap();
    let (record, end, _) = run(folder.path(), &mut FakeBackend::new(folder.path(), script));
    let error = end.unwrap_err();
    assert_eq!(error.exit_status(), crate::ExitStatus::BadInput);
    insta::assert_snapshot!(crate::util::testing::words(error, folder.path()), @"the mask of round 1 is empty: nothing in <folder>/out/round-00/image/image.fits is above the levels asked for. Lower the seed levels (`masking:` of that round), or image this round without a mask (`campaign: mask: rounds`)");
    assert_eq!(record.state, State::Failed);
}

/// The heart of resuming: whichever call fails, however its column was left, the next run ends with the same files.
#[test]
fn a_failure_anywhere_changes_nothing_in_the_end() {
    let mut rejecting = Script::rising();
    rejecting.dynamic_range[3] = vec![150.0, 320.0];
    for script in [Script::rising(), rejecting] {
        let (expected, calls) = uninterrupted(&script);
        for n in 0..calls.len() {
            let folder = tempfile::tempdir().unwrap();
            let mut first = FakeBackend::new(folder.path(), script.clone());
            first.fail_at = Some(n);
            assert!(run(folder.path(), &mut first).1.is_err());
            let mut second = FakeBackend::new(folder.path(), script.clone());
            run(folder.path(), &mut second).1.unwrap();
            assert_eq!(outcome(folder.path()), expected, "failed at {}", calls[n]);
            assert!(second.calls.len() <= calls.len() - n + 1, "{:?} repeat done work", second.calls);
        }
    }
}

/// A kill while the journal is written: whatever it keeps of a step's last line and of the next one's first, the next run
/// ends with the same files. Every third call, to save time.
#[test]
fn a_journal_cut_anywhere_is_gone_on_from() {
    let mut rejecting = Script::rising();
    rejecting.dynamic_range[3] = vec![150.0, 320.0];
    let (expected, calls) = uninterrupted(&rejecting);
    for n in (1..calls.len()).step_by(3) {
        // Half of the line that ends a step, all of it, and half of the line that begins the next.
        for (line, part) in [(3, 0.5), (2, 0.0), (2, 0.5)] {
            let folder = tempfile::tempdir().unwrap();
            let mut first = FakeBackend::new(folder.path(), rejecting.clone());
            (first.fail_at, first.spoils) = (Some(n), false);
            assert!(run(folder.path(), &mut first).1.is_err());
            let journal = folder.path().join("out/journal.jsonl");
            let text = fs::read_to_string(&journal).unwrap();
            let ends: Vec<usize> = text.match_indices('\n').map(|(i, _)| i + 1).collect();
            let failed = text[..text.find("\"event\":\"failed\"").unwrap()].lines().count() - 1;
            let (start, end) = (ends[failed - line], ends[failed - line + 1]);
            let cut = start + ((end - start) as f64 * part) as usize;
            fs::write(&journal, &text[..cut]).unwrap();
            run(folder.path(), &mut FakeBackend::new(folder.path(), rejecting.clone())).1.unwrap();
            assert_eq!(outcome(folder.path()), expected, "{}, cut at {cut}", calls[n]);
        }
    }
}

#[test]
fn a_changed_round_is_done_again_with_all_that_builds_on_it() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut FakeBackend::new(folder.path(), Script::rising())).1.unwrap();
    let mut changed = Script::rising();
    changed.options[2] = 7;
    let mut backend = FakeBackend::new(folder.path(), changed.clone());
    let (_, end, events) = run(folder.path(), &mut backend);
    end.unwrap();
    assert_eq!(backend.calls[..2], ["predict 1.0", "solve 2.0"], "round 1's model is put back first");
    assert!(backend.calls.iter().all(|c| !c.contains(" 1.0") || c.starts_with("predict")));
    let recorded = events.events();
    let said = recorded.iter().filter_map(|e| match e {
        Event::Message { text, .. } => Some(text.as_str()),
        _ => None,
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"), @"resuming; the plan has changed in round-02: steps from there on whose inputs differ are done again");
    assert_eq!(outcome(folder.path()), uninterrupted(&changed).0);
}

#[test]
fn unfinished_cycles_of_other_options_are_not_gone_on_from() {
    let mut changed = Script::rising();
    changed.options[2] = 7;
    let (expected, calls) = uninterrupted(&changed);
    let n = calls.iter().position(|c| c.starts_with("image 2")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut first = FakeBackend::new(folder.path(), Script::rising());
    first.fail_at = Some(n);
    assert!(run(folder.path(), &mut first).1.is_err());
    assert!(folder.path().join("out/round-02/image/unfinished").exists());
    run(folder.path(), &mut FakeBackend::new(folder.path(), changed)).1.unwrap();
    assert_eq!(outcome(folder.path()), expected);
}

#[test]
fn steps_tell_what_they_do() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, events) = run(folder.path(), &mut FakeBackend::new(folder.path(), Script::rising()));
    let started: Vec<Step> = events
        .events()
        .iter()
        .filter_map(|e| match e {
            Event::StepStarted { step, place, .. } if place.at.round == 1 => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(started, [Step::Solve, Step::Apply, Step::Mask, Step::Image, Step::Metrics]);
}

fn images_left(root: &Path) -> Vec<String> {
    let mut left: Vec<String> = glob::glob(&format!("{}/out/round-*/image/*", root.display()))
        .unwrap()
        .flatten()
        .map(|p| p.strip_prefix(root.join("out")).unwrap().display().to_string())
        .collect();
    left.sort();
    left
}

#[test]
fn a_disk_budget_removes_old_images_and_a_resume_does_not_miss_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, events) = run_with(folder.path(), &mut first, Some(1), ArchiveOptions::default());
    end.unwrap();
    let left = images_left(folder.path());
    assert!(!left.is_empty() && left.iter().all(|f| f.starts_with("round-03/")), "{left:?}");
    let texts: Vec<&str> = record.messages.iter().map(|m| m.text.as_str()).collect();
    insta::assert_snapshot!(crate::util::testing::words(texts.join("\n"), folder.path()), @"
    the folder takes 0.000 GB, more than its part of the disk budget (0.000 GB): what is left is needed (the working copy, tables, the best and the last accepted round). Raise `campaign.resources.disk_budget_gb`
    4 files of old rounds (0.000 GB) removed to keep the disk budget
    4 files of old rounds (0.000 GB) removed to keep the disk budget
    4 files of old rounds (0.000 GB) removed to keep the disk budget
    ");
    drop(events);
    let mut second = FakeBackend::new(folder.path(), Script::rising());
    run_with(folder.path(), &mut second, Some(1), ArchiveOptions::default()).1.unwrap();
    assert!(second.calls.is_empty(), "nothing is done again: {:?}", second.calls);
    assert_eq!(outcome(folder.path()), uninterrupted(&Script::rising()).0);
}

#[test]
fn what_a_budget_removed_is_made_again_when_a_changed_round_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), Script::rising());
    run_with(folder.path(), &mut backend, Some(1), ArchiveOptions::default()).1.unwrap();
    let mut changed = Script::rising();
    changed.options[2] = 7;
    let mut backend = FakeBackend::new(folder.path(), changed.clone());
    run_with(folder.path(), &mut backend, Some(1), ArchiveOptions::default()).1.unwrap();
    assert_eq!(backend.calls[..3], ["apply 1.0", "image 1.0 CORRECTED_DATA", "solve 2.0"]);
    assert_eq!(outcome(folder.path()), uninterrupted(&changed).0);
}

/// A failure at any call, with files of old rounds gone, changes nothing either.
#[test]
fn a_failure_anywhere_with_a_budget_changes_nothing_in_the_end() {
    let mut rejecting = Script::rising();
    rejecting.dynamic_range[3] = vec![150.0, 320.0];
    let (expected, calls) = uninterrupted(&rejecting);
    for (n, call) in calls.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = FakeBackend::new(folder.path(), rejecting.clone());
        first.fail_at = Some(n);
        assert!(run_with(folder.path(), &mut first, Some(1), ArchiveOptions::default()).1.is_err());
        let mut second = FakeBackend::new(folder.path(), rejecting.clone());
        run_with(folder.path(), &mut second, Some(1), ArchiveOptions::default()).1.unwrap();
        assert_eq!(outcome(folder.path()), expected, "failed at {call}");
    }
}

#[test]
fn the_archive_is_collected_once_and_again_when_something_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArchiveOptions {
        copy: vec!["final/*.fits".into(), "report/*".into(), "nothing".into()],
        compress: vec!["**/*.cal".into(), "round-*/logs".into()],
        to: Some(folder.path().join("kept")),
        ..ArchiveOptions::default()
    };
    let mut backend = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, _) = run_with(folder.path(), &mut backend, None, options.clone());
    end.unwrap();
    let kept = folder.path().join("kept/field");
    let image = kept.join("final/image.fits");
    assert_eq!(fs::read(&image).unwrap(), fs::read(folder.path().join("out/final/image.fits")).unwrap());
    let packed = kept.join("field.tar.gz");
    let written = fs::metadata(&packed).unwrap().modified().unwrap();
    let texts: Vec<&str> = record.messages.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(texts, ["archive: no file matches the pattern `nothing`"]);
    let again = |backend: &mut FakeBackend| run_with(folder.path(), backend, None, options.clone()).1.unwrap();
    again(&mut FakeBackend::new(folder.path(), Script::rising()));
    assert_eq!(fs::metadata(&packed).unwrap().modified().unwrap(), written, "not written again");
    fs::remove_file(&image).unwrap();
    again(&mut FakeBackend::new(folder.path(), Script::rising()));
    assert!(image.exists());
}
