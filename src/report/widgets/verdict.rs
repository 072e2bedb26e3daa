//! The verdict on a round with its rules.

use crate::campaign::record::{DatasetRecord, RoundRecord, RuleRecord};
use crate::campaign::rules::acceptance::Next;
use crate::report::words;
use serde::Serialize;

/// One rule of a decision.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct RuleView {
    /// Name of the rule.
    pub(crate) name: String,
    /// The numbers that were compared.
    pub(crate) text: String,
    /// The rule was kept.
    pub(crate) kept: bool,
    /// It was, but people should know.
    pub(crate) warning: bool,
}

impl RuleView {
    fn new(rule: &RuleRecord) -> Self {
        let name = words::rule(rule.rule).to_string();
        // The text may begin with the rule's name, which stands before it.
        let text = arrows(rule.text.strip_prefix(&name).unwrap_or(&rule.text).trim_start());
        Self { name, text, kept: rule.kept, warning: rule.warning }
    }
}

/// A verdict.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct VerdictView {
    /// `accepted`, `rejected`, ... or the round's state.
    pub(crate) word: String,
    /// Style class.
    pub(crate) class: String,
    /// One sentence.
    pub(crate) summary: String,
    /// The consequence, e.g. the next round.
    pub(crate) next: String,
    /// The rules behind it.
    pub(crate) rules: Vec<RuleView>,
}

impl VerdictView {
    /// The verdict on an attempt of a target; what came after the last one is the end.
    pub(crate) fn of(dataset: &DatasetRecord, index: usize) -> Self {
        let mut view = Self::new(&dataset.rounds[index]);
        if !view.next.is_empty() && index + 1 == dataset.rounds.len() && dataset.state.is_final() {
            view.next = words::next(&Next::Stop);
        }
        view
    }

    /// The verdict on a round, or the round's state while there is none.
    pub(crate) fn new(round: &RoundRecord) -> Self {
        let Some(decision) = &round.decision else {
            let word = words::state(round.state).into();
            return Self { word, class: words::state_class(round.state).into(), ..Self::default() };
        };
        let word = words::verdict(decision.verdict);
        Self {
            word: word.into(),
            class: words::verdict_class(decision.verdict).into(),
            // The summary may begin with the verdict itself, which is shown beside it.
            summary: arrows(decision.summary.strip_prefix(&format!("{word}: ")).unwrap_or(&decision.summary)),
            next: words::next(&decision.next),
            rules: decision.rules.iter().map(RuleView::new).collect(),
        }
    }
}

/// From plain text to print.
fn arrows(text: &str) -> String {
    text.replace(" -> ", " → ")
}
