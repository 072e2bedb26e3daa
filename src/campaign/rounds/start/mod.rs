//! The model that the first calibration starts from, where that of the first image will not do.
//!
//! Before the first calibrated round, gains are solved for against each model that may be started from, and the tables
//! decide (`rules::start_model`). The solves are steps with keys like all others: a resumed run decides the same without
//! repeating them. All rounds that build on an uncalibrated image take the chosen model.

use super::DatasetRun;
use super::kept::Attempted;
use super::step::{Nothing, StepSpec};
use crate::Result;
use crate::campaign::events::Place;
use crate::campaign::file::StartModel;
use crate::campaign::journal::{Column, Step, StepId, StepKey};
use crate::campaign::layout::AttemptId;
use crate::campaign::record::{Level, StartRecord};
use crate::campaign::rules::acceptance::last_accepted;
use crate::campaign::rules::start_model::{self, StartKind, StartTrial};
use crate::campaign::steps::{CalibrationStep, Prepared, Solved, StartChains};
use crate::quality::solutions::SolutionStats;
use crate::util::{digest, fs};
use std::path::PathBuf;

/// The chosen model.
#[derive(Debug, Clone)]
pub(super) struct Start {
    kind: StartKind,
    /// The file; `None`: the model of the first image.
    made: Option<MadeModel>,
}

/// A model that was made to start from.
#[derive(Debug, Clone)]
struct MadeModel {
    key: StepKey,
    path: PathBuf,
}

/// What is solved against.
struct Candidate<'a> {
    attempt: AttemptId,
    base: &'a Attempted,
    start: &'a Start,
}

impl DatasetRun<'_> {
    /// Chooses the model that the attempt starts from, where it is the first to calibrate and the image is not trusted; the
    /// reason to end the campaign, where nothing is worth it.
    pub(super) fn choose_start(&mut self, data: &Prepared, attempt: AttemptId) -> Result<Option<String>> {
        if self.start.is_some() || attempt.is_retry() || !self.settings.start_model.does_without_image() {
            return Ok(None);
        }
        let Some(base) = self.uncalibrated_base() else { return Ok(None) };
        let chains = self.backend.start_chains(attempt);
        if chains.steps.is_empty() {
            return Ok(None);
        }
        let Some(image) = last_accepted(&self.history).map(|o| o.metrics.image.clone()) else { return Ok(None) };
        let (kinds, why) = match (&self.settings.start_model, start_model::doubt(&image)) {
            (StartModel::Auto, None) => return Ok(None),
            (StartModel::Auto, Some(doubt)) if start_model::has_model(&image) => {
                (vec![StartKind::Point, StartKind::Image], doubt)
            }
            (StartModel::File(_), _) => (vec![StartKind::File], "the campaign file names a start model".to_owned()),
            (_, Some(doubt)) => (vec![StartKind::Point], doubt),
            (_, None) => (vec![StartKind::Point], "the campaign file asks for a point".to_owned()),
        };
        self.place = Place { dataset: self.settings.name.clone(), at: attempt };
        let starts = kinds.into_iter().map(|kind| self.start_of(data, attempt, &base, kind));
        let starts = starts.collect::<Result<Vec<Start>>>()?;
        if let ([only], false) = (starts.as_slice(), chains.automatic || self.settings.start_model == StartModel::Auto)
        {
            self.start = Some(only.clone());
            return Ok(None);
        }
        self.decide_start(data, (attempt, &base), &starts, &chains, why)
    }

    /// Tries each model with each chain, and takes the best.
    fn decide_start(
        &mut self,
        data: &Prepared,
        (attempt, base): (AttemptId, &Attempted),
        starts: &[Start],
        chains: &StartChains,
        why: String,
    ) -> Result<Option<String>> {
        let mut trials = Vec::new();
        let mut tried = Vec::new();
        for start in starts {
            for step in &chains.steps {
                trials.push(self.try_start(data, &Candidate { attempt, base, start }, step)?);
                tried.push((start, step));
            }
        }
        let best = start_model::choose(&trials).and_then(|best| trials.iter().position(|trial| trial == best));
        let Some(best) = best else {
            let reason = start_model::nothing_to_calibrate_on(&trials);
            self.note(Level::Warning, format!("{reason}; the data stay as they are"));
            self.record.start = Some(StartRecord { doubt: why, trials, chosen: None });
            return Ok(Some(reason));
        };
        let text =
            format!("round {}: the first image is not trusted ({why}); starting from {}", attempt.round, trials[best]);
        self.note(Level::Info, text.clone());
        let (start, step) = tried[best];
        self.start = Some(start.clone());
        if chains.automatic {
            self.backend.start_with(attempt, step, &text);
        }
        self.record.start = Some(StartRecord { doubt: why, trials, chosen: Some(best) });
        Ok(None)
    }

    /// Solves against a model, for its statistics alone.
    fn try_start(&mut self, data: &Prepared, of: &Candidate<'_>, step: &CalibrationStep) -> Result<StartTrial> {
        let Candidate { attempt, base, start } = of;
        let solint = step.options.chain.first().map(|o| o.solint.clone()).unwrap_or_default();
        let model = start.made.as_ref().map_or(&base.image_key, |made| &made.key);
        let mut solved = Vec::new();
        for member in 0..data.sets.len() {
            let id = StepId::of(*attempt, Step::StartModel).member(member);
            let key = StepKey::of(&("start trial", step.key(self.member_data_key(data, member).as_ref(), model)));
            let part = format!("start/{}", &key.as_str()[..12]);
            let context = self.context(data, id, &part, &data.log_name("start", member))?;
            let spec = StepSpec { id, key, touches: &[] };
            solved.push(self.step(
                spec,
                |_: &Solved| true,
                |run| {
                    run.ensure_start(data, start, base)?;
                    fs::remove(&context.folder)?;
                    fs::make(&context.folder)?;
                    run.backend.solve(member, step, &[], &context)
                },
            )?);
        }
        let named = data.sets.iter().zip(&solved).map(|(set, solved)| (set.name.as_str(), &solved.stats));
        let stats = SolutionStats::of_sets(&named.collect::<Vec<_>>());
        Ok(StartTrial::new(start.kind, &solint, &stats))
    }

    /// The model of this kind, made where it is a file of its own.
    fn start_of(&mut self, data: &Prepared, attempt: AttemptId, base: &Attempted, kind: StartKind) -> Result<Start> {
        let source = match kind {
            StartKind::Image => return Ok(Start { kind, made: None }),
            StartKind::Point => StartModel::Point,
            StartKind::File => self.settings.start_model.clone(),
        };
        let content = match &source {
            StartModel::File(path) => digest::of_file(path)?,
            _ => String::new(),
        };
        let id = StepId::of(attempt, Step::StartModel);
        let key = StepKey::of(&("start model", self.data_key(), &base.image_key, kind, content));
        let context = self.context(data, id, "start/model", "start.log")?;
        let spec = StepSpec { id, key: key.clone(), touches: &[] };
        let path = self.step(
            spec,
            |path: &PathBuf| path.exists(),
            |run| {
                run.ensure_files(data, base)?;
                run.backend.start_model(&source, &base.imaged.products, &context)
            },
        )?;
        Ok(Start { kind, made: Some(MadeModel { key, path }) })
    }

    /// Makes `MODEL_DATA` hold the model to start from.
    fn ensure_start(&mut self, data: &Prepared, start: &Start, base: &Attempted) -> Result<()> {
        let Some(made) = &start.made else { return self.ensure_model(data, base) };
        let key = StepKey::of(&("predict", &made.key));
        if self.journal.holder(Column::Model) == Some(&key) {
            return Ok(());
        }
        let id = StepId::of(self.place.at, Step::StartModel);
        let context = self.context(data, id, "logs", "predict.log")?;
        let spec = StepSpec { id, key, touches: &[Column::Model] };
        self.step(
            spec,
            |_: &Nothing| false,
            |run| {
                run.backend.predict(&base.plan.imaging, &base.active.imaged(), &made.path, &context)?;
                Ok(Nothing {})
            },
        )?;
        Ok(())
    }

    /// The attempt that the next one builds on, where it is not calibrated.
    fn uncalibrated_base(&self) -> Option<Attempted> {
        self.last_accepted_attempt().filter(|base| base.active.applied.is_none())
    }

    /// The model that a calibration on top of `base` starts from, where that is not the image's own.
    fn start_on(&self, base: &Attempted) -> Option<&Start> {
        self.start.as_ref().filter(|start| start.made.is_some() && base.active.applied.is_none())
    }

    /// The image of `base` is not trusted: masks are not made from it.
    pub(super) fn starts_afresh(&self, base: &Attempted) -> bool {
        self.start_on(base).is_some()
    }

    /// The key of the model that a calibration on top of `base` is solved against.
    pub(super) fn model_key(&self, base: &Attempted) -> StepKey {
        let made = self.start_on(base).and_then(|start| start.made.as_ref());
        made.map_or_else(|| base.image_key.clone(), |made| made.key.clone())
    }

    /// Makes `MODEL_DATA` hold the model that a calibration on top of `base` is solved against.
    pub(super) fn ensure_model_to_solve(&mut self, data: &Prepared, base: &Attempted) -> Result<()> {
        match self.start_on(base).cloned() {
            Some(start) => self.ensure_start(data, &start, base),
            None => self.ensure_model(data, base),
        }
    }
}
