//! The step engine: does a step unless it is done.

use super::DatasetRun;
use crate::campaign::events::{Event, Place, StepEnd};
use crate::campaign::journal::{Column, JournalEvent, Step, StepId, StepKey};
use crate::campaign::layout::AttemptId;
use crate::campaign::record::{CommandRecord, Level};
use crate::campaign::steps::{Prepared, StepContext};
use crate::imager::progress::{Progress, ProgressSink};
use crate::process::interrupt;
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A step, and what decides whether it must be done again.
pub(super) struct StepSpec<'s> {
    pub(super) id: StepId,
    pub(super) key: StepKey,
    /// Columns that it changes.
    pub(super) touches: &'s [Column],
}

/// The result of a step that gives nothing but an effect.
#[derive(Serialize, Deserialize)]
pub(super) struct Nothing {}

impl DatasetRun<'_> {
    /// Does the step unless it is done with the same key and its outputs are still there.
    pub(super) fn step<T: Serialize + DeserializeOwned>(
        &mut self,
        spec: StepSpec<'_>,
        still_there: impl Fn(&T) -> bool,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let StepSpec { id, key, touches } = spec;
        let (place, step) = (self.place.clone(), id.step);
        if let Some(result) = self.finished(id, &key, still_there) {
            let seconds = self.journal.done(id, &key).map_or(0.0, |d| d.seconds);
            if !self.was_reported() {
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
        let end = match &outcome {
            Ok(result) => {
                let result = serde_json::to_value(result).expect("results are plain data");
                self.journal.append(JournalEvent::Done { step: id, key, touches, seconds, result })?;
                self.last_seconds.insert(step, seconds);
                StepEnd::Done
            }
            Err(e) => {
                if !matches!(e, Error::Interrupted) {
                    let _ = self.journal.append(JournalEvent::Failed { step: id, error: e.to_string() });
                }
                StepEnd::Failed
            }
        };
        self.events.emit(Event::StepFinished { place, step, end, seconds });
        outcome
    }

    /// A step whose effect is known by the columns that it changes: its result cannot be looked for.
    pub(super) fn effect(&mut self, spec: StepSpec<'_>, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.step(spec, |_: &Nothing| false, |run| work(run).map(|()| Nothing {})).map(|_| ())
    }

    /// The result of a step that is done with this key and whose outputs are still there.
    pub(super) fn finished<T: DeserializeOwned>(
        &self,
        id: StepId,
        key: &StepKey,
        still_there: impl Fn(&T) -> bool,
    ) -> Option<T> {
        self.journal.result::<T>(id, key).filter(still_there)
    }

    /// The step was last begun with another key.
    pub(super) fn was_begun_otherwise(&self, spec: &StepSpec<'_>) -> bool {
        self.journal.last_begun_key(spec.id).is_some_and(|key| *key != spec.key)
    }

    /// The key of the data that all steps build on.
    pub(super) fn data_key(&self) -> Option<&StepKey> {
        self.journal.last_key(StepId::PREPARE)
    }

    /// The key of the data of one measurement set.
    pub(super) fn member_data_key(&self, data: &Prepared, member: usize) -> Option<StepKey> {
        let key = self.data_key();
        if data.sets.len() < 2 { key.cloned() } else { Some(StepKey::of(&("member", key, member))) }
    }

    /// The context of a step of an attempt, whose files go to the folder `part`.
    pub(super) fn context(&self, data: &Prepared, id: StepId, part: &str, log: &str) -> Result<StepContext> {
        let attempt = id.attempt.unwrap_or(self.place.at);
        let layout = &self.settings.layout;
        let folder = layout.part(attempt, part);
        let logs = layout.part(attempt, "logs");
        fs::make(&folder)?;
        fs::make(&logs)?;
        Ok(StepContext {
            attempt,
            measurement_sets: data.paths(),
            folder,
            log: logs.join(log),
            progress: self.progress(id.step),
        })
    }

    /// The context of making the working copies in `folder`.
    pub(super) fn context_of_preparing(&self, folder: PathBuf, log: PathBuf) -> StepContext {
        StepContext {
            attempt: AttemptId::first(self.settings.first_round),
            measurement_sets: Vec::new(),
            folder,
            log,
            progress: self.progress(Step::Prepare),
        }
    }

    /// Turns a program's progress into events.
    fn progress(&self, step: Step) -> ProgressSink {
        let (events, place): (_, Place) = (self.events.clone(), self.place.clone());
        let last = Mutex::new((None, String::new()));
        Arc::new(move |progress: Progress| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
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
                Progress::Warning(warning) => {
                    events.program_warning(&place.dataset, warning.program, warning.text);
                    return;
                }
            }
            let (fraction, words) = last.clone();
            events.emit(Event::Progress { place: place.clone(), step, fraction, words });
        })
    }

    /// Keeps the command lines of a step in the record.
    pub(super) fn note_commands(&mut self, step: Step, commands: &[Vec<String>], log: &Path) {
        let log = Some(log.to_path_buf());
        let record = self.current();
        record.commands.extend(commands.iter().map(|words| CommandRecord {
            step,
            words: words.clone(),
            log: log.clone(),
            seconds: None,
            status: None,
        }));
    }
}
