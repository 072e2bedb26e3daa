//! Plain lines: one for each thing that has happened since the last look.

use super::look::Progress;
use crate::campaign::record::{CampaignRecord, DatasetRecord, Level, MessageRecord, RoundRecord, State};
use crate::report::words;
use std::collections::HashMap;

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Told {
    state: Option<State>,
    messages: usize,
    sets: HashMap<String, ToldSet>,
    jobs: String,
}

#[derive(Debug, Default)]
struct ToldSet {
    state: Option<State>,
    rounds: usize,
    messages: usize,
    step: String,
}

impl Told {
    /// Lines for what is new.
    pub(super) fn lines(&mut self, seen: &Progress) -> String {
        let record: &CampaignRecord = &seen.status.record;
        let mut out = String::new();
        self.messages = tell_messages(&mut out, "", &record.messages, self.messages);
        for dataset in &record.datasets {
            self.of_dataset(&mut out, dataset, seen);
        }
        if let Some(Ok(jobs)) = &seen.status.jobs {
            let counts = jobs
                .counts
                .iter()
                .map(|((what, state), count)| format!("{count} {} ({what})", state.word().to_lowercase()));
            let words = counts.collect::<Vec<_>>().join(", ");
            if words != self.jobs {
                out.push_str(&format!("jobs: {}\n", if words.is_empty() { "none" } else { &words }));
                self.jobs = words;
            }
        }
        if self.state != Some(record.state) {
            self.state = Some(record.state);
            out.push_str(&format!("campaign {}: {}\n", record.name, words::state(record.state)));
        }
        out
    }

    fn of_dataset(&mut self, out: &mut String, dataset: &DatasetRecord, seen: &Progress) {
        let told = self.sets.entry(dataset.name.clone()).or_default();
        let name = format!("{}: ", dataset.name);
        for round in dataset.rounds.iter().skip(told.rounds) {
            let Some(line) = verdict(round) else { break };
            told.rounds += 1;
            out.push_str(&format!("{name}{line}\n"));
        }
        told.messages = tell_messages(out, &name, &dataset.messages, told.messages);
        let step = seen.in_hand.iter().find(|step| step.dataset == dataset.name);
        let step = step.map(|step| {
            let round = step.attempt.map(|at| format!("round {}, ", at.round)).unwrap_or_default();
            format!("{round}{}", words::step(step.step))
        });
        if let Some(step) = step.filter(|step| *step != told.step) {
            out.push_str(&format!("{name}{step}\n"));
            told.step = step;
        }
        if told.state != Some(dataset.state) {
            told.state = Some(dataset.state);
            out.push_str(&format!("{name}{}\n", words::state(dataset.state)));
        }
    }
}

/// Tells messages from the `told`-th on, and returns how many are told now.
fn tell_messages(out: &mut String, name: &str, messages: &[MessageRecord], told: usize) -> usize {
    for message in messages.iter().skip(told) {
        let level = match message.level {
            Level::Info => "",
            Level::Warning => "warning: ",
            Level::Error => "error: ",
        };
        out.push_str(&format!("{name}{level}{}\n", message.text));
    }
    messages.len()
}

/// A judged attempt; `None`: it was not judged yet.
fn verdict(round: &RoundRecord) -> Option<String> {
    let decision = round.decision.as_ref()?;
    let attempt = if round.attempt > 1 { format!(", attempt {}", round.attempt) } else { String::new() };
    let numbers =
        round.metrics.as_ref().map(|m| format!(" (dynamic range {:.0})", m.dynamic_range)).unwrap_or_default();
    let verdict = words::verdict(decision.verdict);
    // A summary begins with the verdict.
    let why = decision.summary.strip_prefix(verdict).unwrap_or(&decision.summary).trim_start_matches(": ");
    Some(format!("round {}{attempt} {verdict}{numbers}: {why}", round.round))
}

#[cfg(test)]
mod tests {
    use super::super::look::StepInHand;
    use super::*;
    use crate::campaign::Status;
    use crate::campaign::events::Step;
    use crate::campaign::layout::AttemptId;
    use crate::campaign::record::{DecisionRecord, Verdict};

    #[test]
    fn each_thing_is_told_once() {
        let mut record = CampaignRecord::new("field");
        record.state = State::Running;
        record.datasets.push(DatasetRecord { name: "beam00".into(), state: State::Running, ..Default::default() });
        let step = StepInHand {
            dataset: "beam00".into(),
            attempt: Some(AttemptId::first(0)),
            step: Step::Image,
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let mut seen = Progress { status: Status { record, jobs: None }, in_hand: vec![step], at_work: true };
        let mut told = Told::default();
        assert_eq!(told.lines(&seen), "beam00: round 0, imaging\nbeam00: running\ncampaign field: running\n");
        assert_eq!(told.lines(&seen), "");

        let decision = DecisionRecord {
            verdict: Verdict::Accepted,
            summary: "accepted: it is the first".into(),
            ..Default::default()
        };
        let set = &mut seen.status.record.datasets[0];
        set.rounds.push(RoundRecord { decision: Some(decision), attempt: 1, ..Default::default() });
        set.rounds.push(RoundRecord { round: 1, attempt: 1, ..Default::default() });
        set.messages.push(MessageRecord { level: Level::Warning, text: "low S/N".into(), ..Default::default() });
        assert_eq!(told.lines(&seen), "beam00: round 0 accepted: it is the first\nbeam00: warning: low S/N\n");
        assert_eq!(told.lines(&seen), "");
        seen.status.record.state = State::Done;
        assert_eq!(told.lines(&seen), "campaign field: done\n");
    }
}
