//! The loop over the rounds of one measurement set: solve, judge the table, apply, mask, image, measure, judge.
//!
//! Every step has a key made of its own options and the keys of the steps that it builds on, so a resumed run repeats
//! exactly what is missing and what a changed campaign file invalidates. Two things live outside the campaign folder
//! and can be half-written by a crash: the columns `MODEL_DATA` and `CORRECTED_DATA`. The journal knows which step's
//! result each holds ([`Journal::holder`]); a step that needs another content puts it there first.

use super::events::{Emitter, Event, Place, Step, StepEnd};
use super::file::ArchiveOptions;
use super::journal::{Column, Journal, JournalEvent, StepId, StepKey};
use super::layout::{AttemptId, Layout};
use super::record::{
    CommandRecord, DatasetRecord, DecisionRecord, Level, MaskRecord, MessageRecord, RoundRecord, RuleRecord, State,
    ToolVersion,
};
use super::rules::acceptance::{
    AcceptanceOptions, Decision, Next, Relaxation, RoundMetrics, RoundOutcome, Verdict, best_accepted, judge,
    judge_solutions, last_accepted, why_best,
};
use super::rules::budget;
use super::run::archive::{self, Archived};
use super::steps::{AttemptPlan, Backend, Earlier, Imaged, Prepared, Solved, StepContext};
use crate::calibrator::SolutionTable;
use crate::imager::Products;
use crate::imager::progress::Progress;
use crate::process::interrupt;
use crate::quality::metrics::{ImageMetrics, RoundFiles};
use crate::quality::solutions::{SolutionStats, UncorrectedAntenna};
use crate::util::fs;
use crate::{Error, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What is run, apart from the adapters.
#[derive(Debug, Clone)]
pub struct DatasetSettings {
    /// Short name, unique in the campaign.
    pub name: String,
    /// The user's measurement sets, for the record.
    pub sources: Vec<PathBuf>,
    /// Its folder.
    pub layout: Layout,
    /// Limits of the acceptance rules.
    pub acceptance: AcceptanceOptions,
    /// Hash of the resolved options by round, to tell what a changed campaign file invalidates.
    pub plan_hashes: IndexMap<String, String>,
    /// Stop after this round (for schedulers that run one round a job); `None`: run them all.
    pub until_round: Option<usize>,
    /// Keep the series of gain solutions out of the record, in files of their own: with many measurement sets they
    /// would make most of it.
    pub series_apart: bool,
    /// Bytes that its folder may take; `None`: no limit.
    pub disk_budget: Option<u64>,
    /// What is collected when it is done.
    pub archive: ArchiveOptions,
    /// Begin with this round, where it is imaged alone.
    pub first_round: usize,
    /// What a first round's mask is made from, where it begins with one.
    pub mask_source: Option<MaskSource>,
}

/// Images of an earlier round from which a mask is made.
#[derive(Debug, Clone)]
pub struct MaskSource {
    /// Changes when the images do.
    pub key: StepKey,
    /// The images.
    pub products: Products,
    /// That round's own mask.
    pub mask: Option<MaskRecord>,
}

/// Called with the record whenever it has changed enough to be shown (after each round, and at the end).
pub type OnRecord<'a> = &'a mut dyn FnMut(&DatasetRecord, &[ToolVersion]) -> Result<()>;

/// Runs the loop for one measurement set.
pub struct DatasetRun<'a> {
    settings: DatasetSettings,
    backend: &'a mut dyn Backend,
    events: Emitter,
    journal: Journal,
    record: DatasetRecord,
    tools: Vec<ToolVersion>,
    history: Vec<RoundOutcome>,
    done: Vec<Attempted>,
    place: Place,
    last_seconds: IndexMap<Step, f64>,
    /// It was said that the budget cannot be kept.
    over_budget: bool,
    /// Last round before a pause (a barrier between rounds): what is only gone through again is not told again.
    told_until: Option<usize>,
}

/// What is kept of a judged attempt, beyond its record.
#[derive(Debug, Clone)]
struct Attempted {
    plan: AttemptPlan,
    active: ActiveCalibration,
    image_key: StepKey,
    imaged: Imaged,
    /// The mask that the imaging began with.
    given_mask: Option<PathBuf>,
    mask: Option<MaskRecord>,
}

/// The calibration that an image is made with.
#[derive(Debug, Clone)]
struct ActiveCalibration {
    /// The column to be imaged.
    column: &'static str,
    /// What `CORRECTED_DATA` must hold; `None`: `DATA` is imaged.
    applied: Option<Applied>,
}

/// Tables, and the attempt with whose options they are applied.
#[derive(Debug, Clone)]
struct Applied {
    key: StepKey,
    plan: AttemptPlan,
    tables: Vec<SolutionTable>,
}

impl ActiveCalibration {
    fn key(&self) -> Option<&StepKey> {
        self.applied.as_ref().map(|a| &a.key)
    }

    fn tables(&self) -> Vec<SolutionTable> {
        self.applied.as_ref().map(|a| a.tables.clone()).unwrap_or_default()
    }
}

/// A step's inputs: what decides whether it must be done again.
struct StepSpec<'s> {
    id: StepId,
    key: StepKey,
    touches: &'s [Column],
}

/// The result of a step that gives nothing but an effect.
#[derive(Serialize, Deserialize)]
struct Nothing {}

impl<'a> DatasetRun<'a> {
    /// Opens the journal in the dataset's folder.
    ///
    /// # Errors
    /// A folder that cannot be written, or a damaged journal.
    pub fn new(settings: DatasetSettings, backend: &'a mut dyn Backend, events: Emitter) -> Result<Self> {
        fs::make(settings.layout.root())?;
        let journal = Journal::open(settings.layout.journal())?;
        let record = DatasetRecord {
            name: settings.name.clone(),
            sources: settings.sources.clone(),
            folder: settings.layout.root().to_path_buf(),
            planned_rounds: backend.last_round() + 1 - settings.first_round,
            ..DatasetRecord::default()
        };
        let place = Place { dataset: settings.name.clone(), at: AttemptId::default() };
        let told_until = match journal.entries().last().map(|entry| &entry.event) {
            Some(JournalEvent::Paused { round }) => Some(*round),
            _ => None,
        };
        Ok(Self {
            settings,
            backend,
            events,
            journal,
            record,
            tools: Vec::new(),
            history: Vec::new(),
            done: Vec::new(),
            place,
            last_seconds: IndexMap::new(),
            over_budget: false,
            told_until,
        })
    }

    /// Runs all rounds (or those up to `until_round`: then the state is [`State::Running`] as long as there are more to
    /// come); returns the record of what was done.
    ///
    /// # Errors
    /// Bad input, an external program's failure, an interruption: all journalled, and the folder can be resumed.
    pub fn run(mut self, on_record: OnRecord<'_>) -> (DatasetRecord, Result<State>) {
        self.record.state = State::Running;
        let ended = match self.run_rounds(on_record) {
            // Whatever else failed then failed because all of us were asked to stop.
            Err(_) if interrupt::requested() => Err(Error::Interrupted),
            ended => ended,
        };
        let (state, reason) = match &ended {
            Ok(state) => (*state, self.record.best_why.clone()),
            Err(Error::Interrupted) => (State::Interrupted, "interrupted by a signal".to_string()),
            Err(e) => (State::Failed, e.to_string()),
        };
        self.record.state = state;
        let entry = match &ended {
            Err(Error::Interrupted) => JournalEvent::Interrupted,
            Ok(State::Running) => JournalEvent::Paused { round: self.settings.until_round.unwrap_or_default() },
            _ => JournalEvent::Ended { state, reason: reason.clone() },
        };
        // The run has ended either way; a journal that cannot take the last line must not hide why.
        let _ = self.journal.append(entry);
        if state == State::Failed {
            self.record.messages.push(message(Level::Error, &reason));
            if let Some(round) = self.record.rounds.last_mut().filter(|r| r.decision.is_none()) {
                round.state = State::Failed;
            }
        }
        if state.is_final() {
            self.events.emit(Event::DatasetFinished {
                dataset: self.settings.name.clone(),
                state,
                best_round: self.record.best_round().map(|r| r.round),
            });
        }
        let shown = on_record(&self.record, &self.tools);
        let ended = ended.and_then(|state| shown.map(|()| state));
        (self.record, ended)
    }

    fn run_rounds(&mut self, on_record: OnRecord<'_>) -> Result<State> {
        self.announce()?;
        let prepared = self.prepare()?;
        self.backend.prepared(&prepared);
        self.record.facts = prepared.facts.clone();
        let tool = |(name, version): (&String, &String)| ToolVersion { name: name.clone(), version: version.clone() };
        self.tools = prepared.tools.iter().map(tool).collect();
        on_record(&self.record, &self.tools)?;
        let last = self.settings.until_round.unwrap_or(usize::MAX).min(self.backend.last_round());
        let more_to_come = last < self.backend.last_round();
        let mut end = if more_to_come { State::Running } else { State::Done };
        let (mut id, mut changes) = (AttemptId::first(self.settings.first_round), Vec::new());
        while id.round <= last {
            interrupt::check()?;
            let plan = self.backend.attempt(id, &changes, Earlier { history: &self.history })?;
            if let Some(why) = &plan.give_up {
                self.tell(Level::Info, format!("no round {}: {why}", id.round));
                end = State::Converged;
                break;
            }
            let decision = self.attempt(&prepared, plan)?;
            on_record(&self.record, &self.tools)?;
            match (&decision.next, decision.verdict) {
                (Next::RetryRelaxed { changes: next }, _) => {
                    changes = combined(&changes, next);
                    id = id.retry();
                }
                (Next::Continue, _) => {
                    (id, changes) = (AttemptId::first(id.round + 1), Vec::new());
                }
                (Next::Stop, verdict) => {
                    end = match verdict {
                        // A retry that ends badly only confirms that the round was to be given up.
                        Verdict::Diverged if !id.is_retry() => State::Diverged,
                        Verdict::Reject if last_accepted(&self.history).is_none() => State::Failed,
                        _ => State::Converged,
                    };
                    if verdict == Verdict::Reject || (verdict == Verdict::Diverged && id.is_retry()) {
                        self.tell(
                            Level::Warning,
                            format!("round {} was given up; the best earlier round is the product", id.round),
                        );
                        end = State::Done;
                    }
                    break;
                }
            }
        }
        if last_accepted(&self.history).is_none() {
            let why = self.history.last().map(|o| o.decision.summary()).unwrap_or_default();
            return Err(Error::external(format!(
                "{}: no round gave an image that can be used ({why}); look at the report for the images and logs",
                self.settings.name
            )));
        }
        // The product is chosen once all rounds are there.
        if end != State::Running {
            self.finish(&prepared)?;
            self.collect()?;
        }
        Ok(end)
    }

    /// The round under way was told of by the run that paused after it.
    fn was_told(&self) -> bool {
        self.told_until.is_some_and(|round| self.place.at.round <= round)
    }

    /// Journals the start, and says what a changed campaign file invalidates.
    fn announce(&mut self) -> Result<()> {
        let earlier = self.journal.entries().iter().rev().find_map(|entry| match &entry.event {
            JournalEvent::Run { plan, .. } => Some(plan.clone()),
            _ => None,
        });
        if let Some(earlier) = earlier {
            let now = &self.settings.plan_hashes;
            let changed: Vec<&str> =
                now.iter().filter(|(name, hash)| earlier.get(*name) != Some(hash)).map(|(n, _)| n.as_str()).collect();
            let text = match changed.first() {
                None => "resuming; the plan has not changed".to_string(),
                Some(first) => format!(
                    "resuming; the plan has changed in {}: steps from there on whose inputs differ are done again",
                    if changed.len() == 1 { (*first).to_string() } else { changed.join(", ") }
                ),
            };
            if self.told_until.is_none() {
                self.events.message(Some(&self.settings.name), Level::Info, text);
            }
        }
        self.journal.append(JournalEvent::Run {
            version: env!("CARGO_PKG_VERSION").into(),
            plan: self.settings.plan_hashes.clone(),
        })?;
        Ok(())
    }

    fn prepare(&mut self) -> Result<Prepared> {
        let layout = self.settings.layout.clone();
        let identity = match self.backend.data_identity() {
            Ok(identity) => identity,
            // The user's measurement set may have been moved or removed since the working copy was made.
            Err(e) => match self.journal.last_key(StepId::PREPARE).cloned() {
                Some(key) if self.copy_is_there(&key) => {
                    self.tell(Level::Warning, format!("{e}; going on with the working copy"));
                    return Ok(self.journal.result(StepId::PREPARE, &key).expect("copy_is_there looked at it"));
                }
                _ => return Err(e),
            },
        };
        let key = StepKey::of_data(&identity);
        let data = layout.root().join("data");
        fs::make(&data)?;
        let logs = layout.root().join("logs");
        fs::make(&logs)?;
        let bench = self.bench(PathBuf::new(), data, logs.join("prepare.log"), Step::Prepare);
        let spec = StepSpec { id: StepId::PREPARE, key, touches: &[Column::Model, Column::Corrected] };
        self.step(spec, |p: &Prepared| p.measurement_set.exists(), |run| run.backend.prepare(&bench))
    }

    fn copy_is_there(&self, key: &StepKey) -> bool {
        self.journal.result::<Prepared>(StepId::PREPARE, key).is_some_and(|p| p.measurement_set.exists())
    }

    /// One attempt at one round, up to its judgement.
    fn attempt(&mut self, data: &Prepared, plan: AttemptPlan) -> Result<Decision> {
        self.place = Place { dataset: self.settings.name.clone(), at: plan.id };
        if !self.was_told() {
            self.events.emit(Event::RoundStarted { place: self.place.clone(), about: plan.about.clone() });
        }
        self.record.rounds.push(RoundRecord {
            solint: plan.interval.as_ref().map(|(s, _)| s.clone()),
            calmode: plan.interval.as_ref().map(|(_, m)| m.clone()),
            solint_why: plan.interval_why.clone(),
            ..RoundRecord::begun(plan.id)
        });
        let base = self.last_accepted_attempt();
        let (active, stats) = match self.calibrate(data, &plan, base.as_ref())? {
            Calibrated::Refused(decision, metrics) => return self.conclude(plan, None, decision, *metrics),
            Calibrated::Done { active, stats } => (*active, stats),
        };
        let source = match &base {
            Some(b) => {
                Some(MaskSource { key: b.image_key.clone(), products: b.imaged.products.clone(), mask: b.mask.clone() })
            }
            None => self.settings.mask_source.clone(),
        };
        let mask_key = plan.mask.as_ref().zip(source.as_ref()).map(|(m, s)| match &plan.field {
            None => StepKey::of(&("mask", &s.key, m)),
            Some(field) => StepKey::of(&("mask", &s.key, m, &field.key)),
        });
        let image_key = StepKey::of(&("image", self.data_key(), active.column, active.key(), &mask_key, &plan.imaging));
        let image_step = StepId::of(plan.id, Step::Image);
        if self.finished::<Imaged>(image_step, &image_key, self.exist_or_removed()).is_none() {
            self.ensure_corrected(data, &active)?;
        }
        let mask = self.make_mask(data, &plan, mask_key.as_ref(), source.as_ref(), base.as_ref())?;
        let spec = StepSpec { id: image_step, key: image_key.clone(), touches: &[Column::Model] };
        let imaged = self.make_image(data, &plan, active.column, mask.as_ref(), spec)?;
        let column = active.column;
        let tables = active.tables();
        let given_mask = mask.as_ref().map(|m| m.path.clone());
        let (mask_key, mask) = match (mask, &imaged.mask) {
            (Some(base), Some(last)) => (None, Some(last.grown_from(&base))),
            (None, Some(last)) => (None, Some(last.clone())),
            (Some(mask), None) => (mask_key, Some(mask)),
            (None, None) => (None, None),
        };
        let image = self.measure(&plan, &image_key, mask_key.as_ref(), &imaged, mask.as_ref(), base.as_ref())?;
        let record = self.current();
        record.imager = record
            .commands
            .iter()
            .rev()
            .find(|c| c.step == "image")
            .map_or_else(String::new, |c| c.words.first().map(|w| file_name(Path::new(w))).unwrap_or_default());
        record.data_column = column.to_string();
        record.products = Some(imaged.products.clone());
        record.cycles.clone_from(&imaged.cycles);
        record.confetti = imaged.cycles.iter().flat_map(|c| c.confetti.iter().cloned()).collect();
        let (round, vetoed) = (record.round, record.confetti.len());
        record.stopped.clone_from(&imaged.stopped);
        record.mask.clone_from(&mask);
        record.metrics = Some(image.clone());
        record.tables.clone_from(&tables);
        if vetoed > 0 {
            let (pixels, were) = if vetoed == 1 { ("pixel", "was") } else { ("pixels", "were") };
            let text = format!("round {round}: {vetoed} {pixels} of the model {were} confetti and {were} vetoed");
            self.tell(Level::Warning, text);
        }
        let metrics = RoundMetrics {
            image,
            solutions: stats,
            first_interval: plan.first_interval,
            amplitudes: plan.amplitudes,
            interval_chosen: plan.interval_chosen,
            more_to_try: plan.more_to_try,
        };
        let decision = judge(&self.history, &metrics, &self.settings.acceptance);
        let kept = Attempted { plan: plan.clone(), active, image_key, imaged, given_mask, mask };
        self.conclude(plan, Some(kept), decision, metrics)
    }

    fn last_accepted_attempt(&self) -> Option<Attempted> {
        let accepted = last_accepted(&self.history)?;
        self.find(accepted.id).cloned()
    }

    fn find(&self, id: AttemptId) -> Option<&Attempted> {
        self.done.iter().find(|a| a.plan.id == id)
    }

    fn calibrate(&mut self, data: &Prepared, plan: &AttemptPlan, base: Option<&Attempted>) -> Result<Calibrated> {
        let layout = self.settings.layout.clone();
        let Some(options) = &plan.calibration else {
            // Without a solve of its own the round images what the last accepted one imaged.
            let active =
                base.map_or(ActiveCalibration { column: data.column.name(), applied: None }, |b| b.active.clone());
            return Ok(Calibrated::Done { active: Box::new(active), stats: None });
        };
        let Some(base) = base else {
            return Err(Error::bad_input(format!(
                "round {}: there is no accepted image to calibrate against; round 0 must image before any calibration",
                plan.id.round
            )));
        };
        let folder = layout.part(plan.id, "calibration");
        let bench = self.round_bench(data, plan, "calibration", "solve.log", Step::Solve)?;
        let solve_key = StepKey::of(&("solve", self.data_key(), &base.image_key, options));
        let spec = StepSpec { id: StepId::of(plan.id, Step::Solve), key: solve_key.clone(), touches: &[] };
        let tables_exist = |s: &Solved| s.tables.iter().all(|t| t.path.exists());
        let solved = self.step(spec, tables_exist, |run| {
            run.ensure_model(data, base)?;
            // Tables of an unfinished solve would be appended to.
            fs::remove(&folder)?;
            fs::make(&folder)?;
            run.backend.solve(plan, &bench)
        })?;
        self.note_commands("solve", &solved.commands, &bench.log);
        for antenna in &solved.stats.uncorrected {
            let UncorrectedAntenna { name, why } = antenna;
            self.tell(Level::Warning, format!("round {}: antenna {name} passes uncorrected: {why}", plan.id.round));
        }
        self.record_solutions(&folder, &solved.stats)?;
        self.current().tables.clone_from(&solved.tables);
        let tables_only = RoundMetrics {
            solutions: Some(solved.stats.clone()),
            first_interval: plan.first_interval,
            amplitudes: plan.amplitudes,
            interval_chosen: plan.interval_chosen,
            ..RoundMetrics::default()
        };
        if let Some(decision) = judge_solutions(&self.history, &tables_only, &self.settings.acceptance) {
            return Ok(Calibrated::Refused(decision, Box::new(tables_only)));
        }
        let apply_key = StepKey::of(&("apply", self.data_key(), &solve_key));
        let applied = Applied { key: apply_key, plan: plan.clone(), tables: solved.tables };
        let active = ActiveCalibration { column: "CORRECTED_DATA", applied: Some(applied) };
        Ok(Calibrated::Done { active: Box::new(active), stats: Some(solved.stats) })
    }

    fn record_solutions(&mut self, folder: &Path, stats: &SolutionStats) -> Result<()> {
        let mut stats = stats.clone();
        if self.settings.series_apart {
            let file = folder.join("solutions.json");
            fs::write_atomically(&file, &serde_json::to_vec(&stats).expect("statistics are plain data"))?;
            stats.antennas.iter_mut().for_each(|a| a.series.clear());
            self.current().solutions_file = Some(file);
        }
        self.current().solutions = Some(stats);
        Ok(())
    }

    /// `CORRECTED_DATA` holds what `active` says.
    fn ensure_corrected(&mut self, data: &Prepared, active: &ActiveCalibration) -> Result<()> {
        let Some(Applied { key, plan, tables }) = &active.applied else { return Ok(()) };
        if self.journal.holder(Column::Corrected) == Some(key) {
            return Ok(());
        }
        let bench = self.round_bench(data, plan, "calibration", "apply.log", Step::Apply)?;
        let spec = StepSpec { id: StepId::of(plan.id, Step::Apply), key: key.clone(), touches: &[Column::Corrected] };
        self.step(
            spec,
            |_: &Nothing| false,
            |run| {
                run.backend.apply(plan, tables, &bench)?;
                Ok(Nothing {})
            },
        )?;
        Ok(())
    }

    /// `MODEL_DATA` holds the model of `base`.
    fn ensure_model(&mut self, data: &Prepared, base: &Attempted) -> Result<()> {
        if !data.model_wanted {
            return Ok(());
        }
        let key = StepKey::of(&("predict", &base.image_key));
        let holder = self.journal.holder(Column::Model);
        if holder == Some(&base.image_key) || holder == Some(&key) {
            return Ok(());
        }
        self.ensure_files(data, base)?;
        if self.journal.holder(Column::Model) == Some(&base.image_key) {
            return Ok(());
        }
        let plan = base.plan.clone();
        let bench = self.round_bench(data, &plan, "logs", "predict.log", Step::Revert)?;
        let spec = StepSpec { id: StepId::of(plan.id, Step::Revert), key, touches: &[Column::Model] };
        self.step(
            spec,
            |_: &Nothing| false,
            |run| {
                run.backend.predict(&plan, base.active.column, &base.imaged.products.model, &bench)?;
                Ok(Nothing {})
            },
        )?;
        Ok(())
    }

    /// The images of `base` are there: those that were removed to keep the disk budget are made again.
    fn ensure_files(&mut self, data: &Prepared, base: &Attempted) -> Result<()> {
        let products = &base.imaged.products;
        if [&products.image, &products.model, &products.residual, &products.psf].iter().all(|file| file.exists()) {
            return Ok(());
        }
        let plan = base.plan.clone();
        self.tell(
            Level::Info,
            format!("{}: its images were removed to keep the disk budget, but are needed now: imaging again", plan.id),
        );
        self.ensure_corrected(data, &base.active)?;
        let bench = self.round_bench(data, &plan, "image", "imager.log", Step::Image)?;
        let key = base.image_key.clone();
        let spec = StepSpec { id: StepId::of(plan.id, Step::Image), key, touches: &[Column::Model] };
        let (column, mask) = (base.active.column, base.given_mask.as_deref());
        self.step(spec, |_: &Imaged| false, |run| run.backend.image(&plan, column, mask, &bench))?;
        Ok(())
    }

    fn make_mask(
        &mut self,
        data: &Prepared,
        plan: &AttemptPlan,
        key: Option<&StepKey>,
        source: Option<&MaskSource>,
        base: Option<&Attempted>,
    ) -> Result<Option<MaskRecord>> {
        let (Some(key), Some(source)) = (key, source) else { return Ok(None) };
        let bench = self.round_bench(data, plan, "mask", "mask.log", Step::Mask)?;
        let spec = StepSpec { id: StepId::of(plan.id, Step::Mask), key: key.clone(), touches: &[] };
        let previous = source.mask.clone();
        let mask = self.step(
            spec,
            |m: &MaskRecord| m.path.exists(),
            |run| {
                if let Some(base) = base {
                    run.ensure_files(data, base)?;
                }
                run.backend.mask(plan, &source.products, previous.as_ref(), &bench)
            },
        )?;
        if mask.pixels == 0 && !plan.mask_may_be_empty {
            return Err(Error::bad_input(format!(
                "the mask of round {} is empty: nothing in {} is above the levels asked for. Lower the seed levels \
                 (`masking:` of that round), or image this round without a mask (`campaign: mask: rounds`)",
                plan.id.round,
                source.products.image.display()
            )));
        }
        Ok(Some(mask))
    }

    fn make_image(
        &mut self,
        data: &Prepared,
        plan: &AttemptPlan,
        column: &str,
        mask: Option<&MaskRecord>,
        spec: StepSpec<'_>,
    ) -> Result<Imaged> {
        let bench = self.round_bench(data, plan, "image", "imager.log", Step::Image)?;
        let mask = mask.map(|m| m.path.clone());
        let there = self.exist_or_removed();
        if self.finished::<Imaged>(spec.id, &spec.key, &there).is_none() && self.was_begun_otherwise(&spec) {
            // An imager goes on from what it finds there: those are cycles of other data or other options.
            fs::remove(&bench.folder)?;
            fs::make(&bench.folder)?;
        }
        let imaged = self.step(spec, there, |run| run.backend.image(plan, column, mask.as_deref(), &bench))?;
        self.note_commands("image", &imaged.commands, &bench.log);
        Ok(imaged)
    }

    /// The step was last begun with another key.
    fn was_begun_otherwise(&self, spec: &StepSpec<'_>) -> bool {
        self.journal.last_begun_key(spec.id).is_some_and(|key| *key != spec.key)
    }

    fn measure(
        &mut self,
        plan: &AttemptPlan,
        image_key: &StepKey,
        mask_key: Option<&StepKey>,
        imaged: &Imaged,
        mask: Option<&MaskRecord>,
        base: Option<&Attempted>,
    ) -> Result<ImageMetrics> {
        let islands = base.and_then(|b| b.mask.as_ref()).map(|m| m.path.clone());
        let key = StepKey::of(&("metrics", image_key, mask_key, base.map(|b| &b.image_key)));
        let files = RoundFiles {
            image: imaged.products.image.clone(),
            residual: Some(imaged.products.residual.clone()),
            model: Some(imaged.products.model.clone()),
            mask: mask.map(|m| m.path.clone()),
            islands,
        };
        let spec = StepSpec { id: StepId::of(plan.id, Step::Metrics), key, touches: &[] };
        self.step(spec, |_| true, |run| run.backend.measure(&files))
    }

    /// Takes the decision down and undoes what it rejects.
    fn conclude(
        &mut self,
        plan: AttemptPlan,
        kept: Option<Attempted>,
        decision: Decision,
        metrics: RoundMetrics,
    ) -> Result<Decision> {
        let step = StepId::of(plan.id, Step::Decide);
        let key = StepKey::of(&("decision", &metrics, &self.settings.acceptance));
        if self.journal.done(step, &key).is_none() {
            let result = serde_json::to_value(&decision).expect("decisions are plain data");
            self.journal.append(JournalEvent::Done { step, key, touches: Vec::new(), seconds: 0.0, result })?;
        }
        let image = (!metrics.image.non_finite && kept.is_some()).then_some(&metrics.image);
        if !self.was_told() {
            self.events.emit(Event::RoundFinished {
                place: self.place.clone(),
                verdict: verdict(decision.verdict),
                why: decision.summary(),
                rms: image.map(|m| m.rms),
                peak: image.map(|m| m.peak),
                dynamic_range: image.map(|m| m.dynamic_range),
            });
        }
        let record = self.current();
        record.state = State::Done;
        record.finished = Some(jiff::Timestamp::now());
        record.decision = Some(decision_record(&decision));
        self.done.extend(kept);
        self.history.push(RoundOutcome { id: plan.id, metrics, decision: decision.clone() });
        self.choose_best();
        self.keep_budget()?;
        Ok(decision)
    }

    /// Removes files of old rounds, if the folder takes more than it may.
    fn keep_budget(&mut self) -> Result<()> {
        let Some(limit) = self.settings.disk_budget else { return Ok(()) };
        let layout = self.settings.layout.clone();
        let needed: Vec<AttemptId> = [last_accepted(&self.history), best_accepted(&self.history)]
            .into_iter()
            .flatten()
            .map(|outcome| outcome.id)
            .collect();
        let attempts: Vec<budget::Attempt> = self
            .done
            .iter()
            .map(|a| budget::Attempt {
                folder: layout.attempt(a.plan.id),
                needed: needed.contains(&a.plan.id),
                masks: a.given_mask.iter().cloned().chain(a.mask.as_ref().map(|m| m.path.clone())).collect(),
                images: vec![a.imaged.products.image.clone(), a.imaged.products.model.clone()],
            })
            .collect();
        let chosen = budget::choose(limit, layout.root(), &self.settings.name, &attempts, &self.settings.archive);
        if chosen.files.is_empty() && chosen.left <= limit {
            return Ok(());
        }
        const GB: f64 = 1e9;
        if !chosen.files.is_empty() {
            // Written down first: a file that is gone without a word would be taken for lost.
            self.journal.append(JournalEvent::Removed { files: chosen.files.clone() })?;
            for file in &chosen.files {
                fs::remove(file)?;
            }
            let (count, size) = (chosen.files.len(), chosen.bytes as f64 / GB);
            let text = format!("{count} files of old rounds ({size:.3} GB) removed to keep the disk budget");
            self.tell(Level::Info, text);
        }
        if chosen.left > limit && !self.over_budget {
            self.over_budget = true;
            let (left, limit) = (chosen.left as f64 / GB, limit as f64 / GB);
            let text = format!(
                "the folder takes {left:.3} GB, more than its part of the disk budget ({limit:.3} GB): what is left is \
                 needed (the working copy, tables, the best and the last accepted round). Raise \
                 `campaign.resources.disk_budget_gb`"
            );
            self.tell(Level::Warning, text);
        }
        Ok(())
    }

    fn choose_best(&mut self) {
        let Some(best) = best_accepted(&self.history) else { return };
        self.record.best = self.record.rounds.iter().position(|r| r.id() == best.id);
        self.record.best_why = why_best(&self.history).unwrap_or_default();
    }

    /// Collects the best round's files in `final/` and leaves the measurement set in its state.
    fn finish(&mut self, data: &Prepared) -> Result<()> {
        let Some(best) = best_accepted(&self.history).and_then(|b| self.find(b.id)).cloned() else {
            return Ok(());
        };
        self.place = Place { dataset: self.settings.name.clone(), at: best.plan.id };
        self.ensure_corrected(data, &best.active)?;
        self.ensure_model(data, &best)?;
        let tables = best.active.tables();
        let applied = best.active.applied.as_ref();
        self.record.apply_line = applied.and_then(|a| self.backend.apply_line(&a.plan, &a.tables));
        let apply_line = self.record.apply_line.clone();
        let target = self.settings.layout.final_folder();
        let spec = StepSpec {
            id: StepId::FINISH,
            key: StepKey::of(&("finish", &best.image_key, best.active.key())),
            touches: &[],
        };
        let image = target.join("image.fits");
        self.step(
            spec,
            |_: &Nothing| image.exists(),
            |run| {
                run.ensure_files(data, &best)?;
                let fresh = target.with_extension("new");
                fs::remove(&fresh)?;
                fs::make(&fresh)?;
                let products = &best.imaged.products;
                let mut files: Vec<(&Path, &str)> = vec![
                    (&products.image, "image.fits"),
                    (&products.residual, "residual.fits"),
                    (&products.model, "model.fits"),
                    (&products.psf, "psf.fits"),
                ];
                files.extend(products.pb.as_deref().map(|p| (p, "pb.fits")));
                files.extend(products.pbcor.as_deref().map(|p| (p, "image.pbcor.fits")));
                files.extend(best.mask.as_ref().map(|m| (m.path.as_path(), "mask.fits")));
                for (from, name) in files {
                    fs::link_or_copy(from, &fresh.join(name))?;
                }
                for table in &tables {
                    fs::link_or_copy(&table.path, &fresh.join(file_name(&table.path)))?;
                }
                if let Some(line) = &apply_line {
                    fs::write_atomically(&fresh.join("apply-solutions.txt"), format!("{line}\n").as_bytes())?;
                }
                fs::swap_in(&fresh, &target)?;
                Ok(Nothing {})
            },
        )?;
        Ok(())
    }

    /// Collects what the archive is to hold.
    fn collect(&mut self) -> Result<()> {
        let options = self.settings.archive.clone();
        let Some(finish) = self.journal.last_key(StepId::FINISH).cloned().filter(|_| !options.is_empty()) else {
            return Ok(());
        };
        let (root, name) = (self.settings.layout.root().to_path_buf(), self.settings.name.clone());
        // All attempts count, not the best one alone: patterns may name any of them.
        let rounds: Vec<&StepKey> = self.done.iter().map(|a| &a.image_key).collect();
        let key = StepKey::of(&("archive", &finish, rounds, &options));
        let spec = StepSpec { id: StepId::ARCHIVE, key, touches: &[] };
        let archived = self.step(spec, Archived::is_there, |_| {
            archive::collect(&options, &root, archive::Part::MeasurementSet, &name)
        })?;
        for pattern in &archived.unmatched {
            // Report and campaign file are matched at the end of the campaign.
            if !archive::is_of_the_campaign(pattern) {
                self.tell(Level::Warning, format!("archive: no file matches the pattern `{pattern}`"));
            }
        }
        Ok(())
    }

    /// For steps that image: the files are there, or were removed to keep the disk budget.
    fn exist_or_removed(&self) -> impl Fn(&Imaged) -> bool + use<> {
        let removed = self.journal.removed_files();
        move |imaged: &Imaged| {
            [&imaged.products.image, &imaged.products.model].iter().all(|f| f.exists() || removed.contains(*f))
        }
    }

    /// Does the step unless it is done with the same key and its outputs are still there.
    fn step<T: Serialize + DeserializeOwned>(
        &mut self,
        spec: StepSpec<'_>,
        still_there: impl Fn(&T) -> bool,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let StepSpec { id, key, touches } = spec;
        let step = id.step;
        let place = self.place.clone();
        if let Some(result) = self.finished(id, &key, still_there) {
            let seconds = self.journal.done(id, &key).map_or(0.0, |d| d.seconds);
            if !self.was_told() {
                self.events.emit(Event::StepFinished { place, step, end: StepEnd::AlreadyDone, seconds });
            }
            return Ok(result);
        }
        interrupt::check()?;
        let expected_s = self.last_seconds.get(&step).copied();
        self.events.emit(Event::StepStarted { place: place.clone(), step, expected_s });
        let touches = touches.to_vec();
        self.journal.append(JournalEvent::Started { step: id, key: key.clone(), touches: touches.clone() })?;
        let clock = Instant::now();
        let outcome = work(self);
        let seconds = clock.elapsed().as_secs_f64();
        match outcome {
            Ok(result) => {
                let value = serde_json::to_value(&result).expect("results are plain data");
                self.journal.append(JournalEvent::Done { step: id, key, touches, seconds, result: value })?;
                self.last_seconds.insert(step, seconds);
                self.events.emit(Event::StepFinished { place, step, end: StepEnd::Done, seconds });
                Ok(result)
            }
            Err(e) => {
                if !matches!(e, Error::Interrupted) {
                    let _ = self.journal.append(JournalEvent::Failed { step: id, error: e.to_string() });
                }
                self.events.emit(Event::StepFinished { place, step, end: StepEnd::Failed, seconds });
                Err(e)
            }
        }
    }

    /// The result of a step that is done with this key and whose outputs are still there.
    fn finished<T: DeserializeOwned>(&self, id: StepId, key: &StepKey, still_there: impl Fn(&T) -> bool) -> Option<T> {
        self.journal.result::<T>(id, key).filter(still_there)
    }

    /// The key of the data that all steps build on.
    fn data_key(&self) -> Option<&StepKey> {
        self.journal.last_key(StepId::PREPARE)
    }

    fn current(&mut self) -> &mut RoundRecord {
        self.record.rounds.last_mut().expect("an attempt begins with its record")
    }

    fn round_bench(
        &self,
        data: &Prepared,
        plan: &AttemptPlan,
        part: &str,
        log: &str,
        step: Step,
    ) -> Result<StepContext> {
        let layout = &self.settings.layout;
        let folder = layout.part(plan.id, part);
        let logs = layout.part(plan.id, "logs");
        fs::make(&folder)?;
        fs::make(&logs)?;
        Ok(self.bench(data.measurement_set.clone(), folder, logs.join(log), step))
    }

    fn bench(&self, measurement_set: PathBuf, folder: PathBuf, log: PathBuf, step: Step) -> StepContext {
        let (events, place) = (self.events.clone(), self.place.clone());
        let last = std::sync::Mutex::new((None, String::new()));
        let progress = Arc::new(move |progress: Progress| {
            let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match progress {
                Progress::Stage(words) => *last = (None, words),
                Progress::Fraction(fraction) => last.0 = Some(fraction),
                Progress::Peak { jy, iterations } => {
                    let stage = last.1.split(" (peak").next().unwrap_or_default().to_string();
                    last.1 = format!("{stage} (peak {jy:.3e} Jy/beam after {iterations} iterations)");
                }
                Progress::Message(text) => {
                    events.message(Some(&place.dataset), Level::Info, text);
                    return;
                }
                Progress::Warning { program, text } => {
                    events.program_warning(&place.dataset, &program, text);
                    return;
                }
            }
            let (fraction, words) = last.clone();
            events.emit(Event::Progress { place: place.clone(), step, fraction, words });
        });
        StepContext { measurement_set, folder, log, progress }
    }

    fn note_commands(&mut self, step: &str, commands: &[Vec<String>], log: &Path) {
        let log = Some(log.to_path_buf());
        let record = self.current();
        record.commands.extend(commands.iter().map(|words| CommandRecord {
            step: step.to_string(),
            words: words.clone(),
            log: log.clone(),
            ..CommandRecord::default()
        }));
    }

    fn tell(&mut self, level: Level, text: String) {
        self.events.message(Some(&self.settings.name), level, text.as_str());
        let _ = self.journal.append(JournalEvent::Note { text: text.clone() });
        self.record.messages.push(message(level, &text));
    }
}

/// Where calibration led.
enum Calibrated {
    Done {
        active: Box<ActiveCalibration>,
        stats: Option<SolutionStats>,
    },
    /// The tables were refused before they were applied.
    Refused(Decision, Box<RoundMetrics>),
}

/// A retry of a retry is gentler still: factors multiply, the rest is kept once.
fn combined(so_far: &[Relaxation], more: &[Relaxation]) -> Vec<Relaxation> {
    let mut all = so_far.to_vec();
    for change in more {
        let same = all.iter_mut().find(|c| std::mem::discriminant(*c) == std::mem::discriminant(change));
        match (same, change) {
            (Some(Relaxation::LongerInterval { factor }), Relaxation::LongerInterval { factor: more })
            | (Some(Relaxation::ConservativeMask { factor }), Relaxation::ConservativeMask { factor: more }) => {
                *factor *= more
            }
            (Some(_), _) => {}
            (None, change) => all.push(*change),
        }
    }
    all
}

fn verdict(v: Verdict) -> super::record::Verdict {
    match v {
        Verdict::Accept => super::record::Verdict::Accepted,
        Verdict::Reject => super::record::Verdict::Rejected,
        Verdict::Converged => super::record::Verdict::Converged,
        Verdict::Diverged => super::record::Verdict::Diverged,
    }
}

fn decision_record(decision: &Decision) -> DecisionRecord {
    let next = match &decision.next {
        Next::Continue => "the next round".to_string(),
        Next::Stop => "the end".to_string(),
        Next::RetryRelaxed { changes } => {
            let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
            format!("a gentler attempt: {}", words.join(", "))
        }
    };
    let rules = decision.reasons.iter().map(|r| RuleRecord {
        name: serde_json::to_value(r.rule).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default(),
        text: r.words.clone(),
        kept: r.passed,
        value: r.after,
        limit: r.limit,
    });
    DecisionRecord { verdict: verdict(decision.verdict), summary: decision.summary(), rules: rules.collect(), next }
}

fn message(level: Level, text: &str) -> MessageRecord {
    MessageRecord { at: Some(jiff::Timestamp::now()), level, text: text.to_string() }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
