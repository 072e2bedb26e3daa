//! The loop over the rounds of one target: solve, judge the table, apply, mask, image, measure, judge.
//!
//! Every step has a key made of its own options and the keys of the steps that it builds on, so a resumed run repeats
//! exactly what is missing and what a changed campaign file invalidates. Two things live outside the campaign folder
//! and can be half-written by a crash: the columns `MODEL_DATA` and `CORRECTED_DATA`. The journal knows which step's
//! result each holds ([`Journal::holder`]); a step that needs another content puts it there first.
//!
//! | file | holds |
//! |---|---|
//! | `step` | does a step unless it is done |
//! | `prepare` | the working copy, and what a changed plan invalidates |
//! | `attempt` | one attempt, from its steps to its record |
//! | `start` | the model that the first calibration starts from |
//! | `calibrate` (also by direction), `image`, `judge` | its parts |
//! | `columns` | what `MODEL_DATA` and `CORRECTED_DATA` hold |
//! | `budget` | files that go to keep the disk budget |
//! | `finish`, `archive` | final products, and what is kept of the rest |

pub(crate) mod archive;
mod attempt;
mod budget;
mod calibrate;
mod columns;
mod finish;
mod image;
mod judge;
mod kept;
mod prepare;
mod settings;
mod start;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use settings::{DatasetSettings, MaskSource};

use super::events::{Emitter, Event, Place};
use super::journal::{Journal, JournalEvent, Step};
use super::layout::AttemptId;
use super::record::{DatasetRecord, Level, MessageRecord, RoundRecord, State, ToolVersion};
use super::rules::acceptance::{Decision, Next, Relaxation, RoundOutcome, Verdict, last_accepted};
use super::rules::schedule::Limit;
use super::steps::{Backend, Past, Proposal};
use crate::process::interrupt;
use crate::util::fs;
use crate::{Error, Result};
use indexmap::IndexMap;
use kept::Attempted;
use start::Start;

/// Called with the record whenever it has changed enough to be shown (after each round, and at the end).
pub(crate) type OnRecord<'a> = &'a mut dyn FnMut(&DatasetRecord, &[ToolVersion]) -> Result<()>;

/// Runs the loop for one target.
pub(crate) struct DatasetRun<'a> {
    settings: DatasetSettings,
    backend: &'a mut dyn Backend,
    events: Emitter,
    journal: Journal,
    record: DatasetRecord,
    tools: Vec<ToolVersion>,
    history: Vec<RoundOutcome>,
    done: Vec<Attempted>,
    place: Place,
    /// The model that the first calibration starts from, where it was chosen.
    start: Option<Start>,
    last_seconds: IndexMap<Step, f64>,
    /// The warning that the budget cannot be kept was given.
    over_budget: bool,
    /// Last round before a pause (a barrier between rounds), whose events were emitted by the run that paused.
    reported_until: Option<usize>,
}

/// The loop's way after a judged attempt.
enum Course {
    /// This attempt, with these changes.
    Attempt(AttemptId, Vec<Relaxation>),
    /// The end.
    End(State),
}

impl<'a> DatasetRun<'a> {
    /// Opens the journal in the dataset's folder.
    ///
    /// # Errors
    /// A folder that cannot be written; a journal that is damaged or of another version.
    pub(crate) fn new(settings: DatasetSettings, backend: &'a mut dyn Backend, events: Emitter) -> Result<Self> {
        fs::make(settings.layout.root())?;
        let journal = Journal::open(settings.layout.journal())?;
        let record = DatasetRecord {
            name: settings.name.clone(),
            sources: settings.sources.clone(),
            folder: settings.layout.root().to_path_buf(),
            planned_rounds: backend.last_round() + 1 - settings.first_round,
            ..DatasetRecord::default()
        };
        let place = Place { dataset: settings.name.clone(), at: AttemptId::first(settings.first_round) };
        let reported_until = match journal.entries().last().map(|entry| &entry.event) {
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
            start: None,
            last_seconds: IndexMap::new(),
            over_budget: false,
            reported_until,
        })
    }

    /// Runs all rounds (or those up to `until_round`: then the state is [`State::Running`] as long as there are more to
    /// come); returns the record of what was done.
    ///
    /// # Errors
    /// Bad input, an external program's failure, an interruption: all journalled, and the folder can be resumed.
    pub(crate) fn run(mut self, on_record: OnRecord<'_>) -> (DatasetRecord, Result<State>) {
        self.record.state = State::Running;
        let ended = match self.run_rounds(on_record) {
            // Whatever else failed then failed because all of us were asked to stop.
            Err(_) if interrupt::requested() => Err(Error::Interrupted),
            ended => ended,
        };
        self.take_down(&ended);
        let shown = on_record(&self.record, &self.tools);
        let ended = ended.and_then(|state| shown.map(|()| state));
        (self.record, ended)
    }

    /// Writes the end into journal and record.
    fn take_down(&mut self, ended: &Result<State>) {
        let (state, reason) = match ended {
            Ok(state) => (*state, self.record.best_why.clone()),
            Err(Error::Interrupted) => (State::Interrupted, String::new()),
            Err(e) => (State::Failed, e.to_string()),
        };
        self.record.state = state;
        let entry = match state {
            State::Interrupted => JournalEvent::Interrupted,
            State::Running => JournalEvent::Paused { round: self.settings.until_round.unwrap_or_default() },
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
    }

    fn run_rounds(&mut self, on_record: OnRecord<'_>) -> Result<State> {
        self.announce()?;
        let prepared = self.prepare()?;
        self.backend.prepared(&prepared);
        self.record.facts = prepared.facts.clone();
        self.record.theoretical_noise_jy = prepared.theoretical_noise_jy();
        for warning in &prepared.warnings {
            self.note(Level::Warning, warning.clone());
        }
        let tool = |(name, version): (&String, &String)| ToolVersion { name: name.clone(), version: version.clone() };
        self.tools = prepared.tools.iter().map(tool).collect();
        on_record(&self.record, &self.tools)?;
        let last = self.settings.until_round.unwrap_or(usize::MAX).min(self.backend.last_round());
        let more_to_come = last < self.backend.last_round();
        let mut end = if more_to_come { State::Running } else { State::Done };
        let (mut id, mut changes) = (AttemptId::first(self.settings.first_round), Vec::new());
        while id.round <= last {
            interrupt::check()?;
            if let Some(why) = self.choose_start(&prepared, id)? {
                self.record.best_why = why;
                self.record.limit = Some(Limit::NothingToCalibrateOn);
                end = State::Converged;
                break;
            }
            let accepted = self.last_accepted_attempt();
            let images =
                accepted.as_ref().map(|a| (&a.imaged.products, a.mask.as_ref().map(|mask| mask.path.as_path())));
            let plan = match self.backend.propose(id, &changes, &Past { history: &self.history, images })? {
                Proposal::Try(plan) => *plan,
                Proposal::GiveUp { why, limit } => {
                    self.note(Level::Info, format!("no round {}: {why}", id.round));
                    self.record.limit = Some(limit);
                    end = State::Converged;
                    break;
                }
            };
            let decision = self.attempt(&prepared, plan)?;
            on_record(&self.record, &self.tools)?;
            match self.course(id, &changes, &decision) {
                Course::Attempt(next, with) => (id, changes) = (next, with),
                Course::End(state) => {
                    end = state;
                    break;
                }
            }
        }
        self.require_an_image()?;
        if end == State::Done && self.history.last().is_some_and(|o| o.metrics.interval_chosen) {
            self.record.limit = Some(Limit::Rounds);
        }
        // The product is chosen once all rounds are there.
        if end != State::Running {
            self.finish(&prepared)?;
            self.collect()?;
        }
        Ok(end)
    }

    /// The course after a decision about an attempt.
    fn course(&mut self, id: AttemptId, changes: &[Relaxation], decision: &Decision) -> Course {
        match &decision.next {
            Next::RetryRelaxed { changes: more } => return Course::Attempt(id.retry(), combined(changes, more)),
            Next::Continue => return Course::Attempt(AttemptId::first(id.round + 1), Vec::new()),
            Next::Stop => {}
        }
        match decision.verdict {
            // A retry that ends badly only confirms that the round was to be given up.
            Verdict::Diverged if !id.is_retry() => Course::End(State::Diverged),
            Verdict::Rejected | Verdict::Diverged => {
                let text = format!("round {} was given up; the best earlier round is the product", id.round);
                self.note(Level::Warning, text);
                Course::End(State::Done)
            }
            _ => Course::End(State::Converged),
        }
    }

    fn require_an_image(&self) -> Result<()> {
        if last_accepted(&self.history).is_some() {
            return Ok(());
        }
        let why = self.history.last().map(|o| o.decision.summary()).unwrap_or_default();
        Err(Error::external(format!(
            "{}: no round gave an image that can be used ({why}); look at the report for the images and logs",
            self.settings.name
        )))
    }

    /// The events of the round under way were emitted by the run that paused after it.
    fn was_reported(&self) -> bool {
        self.reported_until.is_some_and(|round| self.place.at.round <= round)
    }

    /// The record of the attempt under way.
    fn current(&mut self) -> &mut RoundRecord {
        self.record.rounds.last_mut().expect("an attempt begins with its record")
    }

    /// Emits a message, and keeps it in journal and record.
    fn note(&mut self, level: Level, text: String) {
        self.events.message(Some(&self.settings.name), level, text.as_str());
        let _ = self.journal.append(JournalEvent::Note { text: text.clone() });
        self.record.messages.push(message(level, &text));
    }
}

/// A retry of a retry is relaxed further: factors multiply, the rest is kept once.
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

fn message(level: Level, text: &str) -> MessageRecord {
    MessageRecord { at: Some(jiff::Timestamp::now()), level, text: text.to_string() }
}
