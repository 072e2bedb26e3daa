//! Events of a run. The loop never prints: it emits events, and terminal, log and tests are
//! consumers of them.

use super::journal::State;
pub use super::journal::Step;
use super::layout::AttemptId;
use super::record::{Level, Verdict};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// The end of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    /// It was done.
    Done,
    /// It had been done by an earlier run with the same inputs.
    AlreadyDone,
    /// It failed.
    Failed,
}

/// Which attempt at which round of which dataset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The dataset's name.
    pub dataset: String,
    /// The attempt.
    #[serde(flatten)]
    pub at: AttemptId,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A campaign begins or goes on.
    CampaignStarted {
        /// Its name.
        name: String,
        /// Names of its datasets.
        datasets: Vec<String>,
        /// Rounds planned for each, round 0 included.
        rounds: usize,
    },
    /// A round begins.
    RoundStarted {
        /// Which.
        place: Place,
        /// One line about it, e.g. `phase, solint 180s`.
        about: String,
    },
    /// A step begins.
    StepStarted {
        /// Where.
        place: Place,
        /// Which.
        step: Step,
        /// Seconds that it is expected to take, from earlier rounds.
        expected_s: Option<f64>,
    },
    /// A step goes on.
    Progress {
        /// Where.
        place: Place,
        /// Which.
        step: Step,
        /// Its progress, 0 to 1, where that is known.
        fraction: Option<f64>,
        /// Its activity, e.g. `major iteration 3: cleaning`.
        words: String,
    },
    /// A step has ended.
    StepFinished {
        /// Where.
        place: Place,
        /// Which.
        step: Step,
        /// Its outcome.
        end: StepEnd,
        /// Wall time, seconds.
        seconds: f64,
    },
    /// A round was judged.
    RoundFinished {
        /// Which.
        place: Place,
        /// The verdict.
        verdict: Verdict,
        /// One sentence: why.
        why: String,
        /// Robust noise, Jy/beam.
        rms: Option<f64>,
        /// Peak, Jy/beam.
        peak: Option<f64>,
        /// Peak over rms.
        dynamic_range: Option<f64>,
    },
    /// A dataset has ended.
    DatasetFinished {
        /// Its name.
        dataset: String,
        /// Its outcome.
        state: State,
        /// Its best round.
        best_round: Option<usize>,
    },
    /// The campaign has ended.
    CampaignFinished {
        /// Its outcome.
        state: State,
    },
    /// Words for people.
    Message {
        /// Where, if it concerns one dataset.
        dataset: Option<String>,
        /// Its level.
        level: Level,
        /// The words.
        text: String,
    },
}

/// Something that looks at events. Called from any thread; must not block for long.
pub trait Consumer: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: &Event);
}

/// Hands events to all consumers; cheap to clone.
#[derive(Clone, Default)]
pub struct Emitter {
    consumers: Arc<Vec<Box<dyn Consumer>>>,
    warnings: Arc<Mutex<IndexMap<ProgramWarning, usize>>>,
}

/// A warning that a program gave while it worked on a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProgramWarning {
    /// The dataset.
    pub(crate) dataset: String,
    /// The program's name.
    pub(crate) program: String,
    /// Its words.
    pub(crate) text: String,
}

impl std::fmt::Debug for Emitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Emitter({} consumers)", self.consumers.len())
    }
}

impl Emitter {
    /// To these consumers, in this order; `Emitter::default()` has none.
    pub fn new(consumers: Vec<Box<dyn Consumer>>) -> Self {
        Self { consumers: Arc::new(consumers), warnings: Arc::default() }
    }

    /// Hands `event` on.
    pub fn emit(&self, event: Event) {
        for consumer in self.consumers.iter() {
            consumer.event(&event);
        }
    }

    /// Passes on a program's warning the first time that it gives it for a dataset; repetitions are counted.
    pub(crate) fn program_warning(&self, dataset: &str, program: &str, text: String) {
        let first = format!("{program} warns: {text}");
        let warning = ProgramWarning { dataset: dataset.into(), program: program.into(), text };
        let count = {
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            let count = warnings.entry(warning).or_default();
            *count += 1;
            *count
        };
        if count == 1 {
            self.message(Some(dataset), Level::Info, first);
        }
    }

    /// The programs' warnings so far, each with the number of calls that gave it.
    pub(crate) fn program_warnings(&self) -> Vec<(ProgramWarning, usize)> {
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.iter().map(|(warning, count)| (warning.clone(), *count)).collect()
    }

    /// Words for people.
    pub fn message(&self, dataset: Option<&str>, level: Level, text: impl Into<String>) {
        self.emit(Event::Message { dataset: dataset.map(str::to_string), level, text: text.into() });
    }
}

/// Keeps all events, for tests and for tools that want them afterwards.
#[derive(Debug, Default, Clone)]
pub struct Collect(Arc<std::sync::Mutex<Vec<Event>>>);

impl Collect {
    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Consumer for Collect {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_consumer_sees_every_event_in_order() {
        let (first, second) = (Collect::default(), Collect::default());
        let emitter = Emitter::new(vec![Box::new(first.clone()), Box::new(second.clone())]);
        emitter.clone().message(Some("beam00"), Level::Warning, "low S/N");
        emitter.emit(Event::CampaignFinished { state: State::Done });
        assert_eq!(first.events(), second.events());
        assert!(matches!(&first.events()[0], Event::Message { text, .. } if text == "low S/N"));
        assert_eq!(first.events()[1], Event::CampaignFinished { state: State::Done });
    }

    #[test]
    fn a_repeated_warning_of_a_program_is_passed_on_once_for_each_dataset_and_counted() {
        let seen = Collect::default();
        let emitter = Emitter::new(vec![Box::new(seen.clone())]);
        for dataset in ["a", "a", "b", "a"] {
            emitter.clone().program_warning(dataset, "wsclean", "no weights".into());
        }
        let messages: Vec<_> = seen
            .events()
            .into_iter()
            .map(|e| match e {
                Event::Message { dataset, level, text } => (dataset.unwrap(), level, text),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = |dataset: &str| (dataset.to_string(), Level::Info, "wsclean warns: no weights".to_string());
        assert_eq!(messages, [expected("a"), expected("b")]);
        let counts: Vec<_> = emitter.program_warnings().into_iter().map(|(w, count)| (w.dataset, count)).collect();
        assert_eq!(counts, [("a".to_string(), 3), ("b".to_string(), 1)]);
    }

    #[test]
    fn events_are_tagged_json() {
        let place = Place { dataset: "a".into(), at: AttemptId::first(1) };
        let event = Event::StepFinished { place, step: Step::Solve, end: StepEnd::AlreadyDone, seconds: 1.5 };
        let text = serde_json::to_string(&event).unwrap();
        assert!(text.starts_with(r#"{"event":"step-finished","place":{"dataset":"a""#), "{text}");
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
