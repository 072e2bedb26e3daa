//! Bars for a campaign and for each measurement set that is being worked on.

use crate::campaign::events::{Consumer, Event, Place, Step};
use crate::report::numbers::duration;
use crate::report::words;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often elapsed times and spinners move.
const TICK: Duration = Duration::from_millis(250);
/// Steps of a bar that has a fraction.
const BAR_STEPS: u64 = 1000;
/// Most measurement sets that have a bar of their own at the same time.
const MAX_ROWS: usize = 12;

/// The work on one measurement set.
#[derive(Debug, Clone, PartialEq)]
struct StepWork {
    place: Place,
    about: String,
    step: Option<Step>,
    words: String,
    fraction: Option<f64>,
    expected_s: Option<f64>,
}

impl StepWork {
    /// One line about it, without time and bar.
    fn line(&self, rounds: usize) -> String {
        let mut line = format!("{} · round {}", self.place.dataset, self.place.at.round);
        if rounds > 1 {
            line.push_str(&format!("/{}", rounds - 1));
        }
        if self.place.at.is_retry() {
            line.push_str(&format!(", attempt {}", self.place.at.attempt));
        }
        match (self.step, self.words.is_empty()) {
            (Some(step), true) => line.push_str(&format!(" · {}", words::step(step))),
            (Some(step), false) => line.push_str(&format!(" · {}: {}", words::step(step), self.words)),
            (None, _) if !self.about.is_empty() => line.push_str(&format!(" · {}", self.about)),
            _ => {}
        }
        if let Some(expected) = self.expected_s.filter(|s| *s >= 1.0) {
            line.push_str(&format!(" (takes about {})", duration(expected)));
        }
        line
    }
}

/// Progress of the whole campaign.
#[derive(Debug, Default)]
struct Tally {
    /// Rounds planned for each measurement set.
    rounds: usize,
    /// Measurement sets.
    sets: usize,
    /// Finished rounds of each measurement set.
    behind: BTreeMap<String, usize>,
    /// Rounds that were worked on in this run.
    worked: usize,
}

impl Tally {
    fn done(&self) -> usize {
        self.behind.values().sum()
    }

    fn total(&self) -> usize {
        self.rounds * self.sets
    }

    /// A round of a measurement set has finished, whatever the verdict; another attempt does not count twice.
    fn passed(&mut self, dataset: &str, round: usize) {
        self.worked += 1;
        let behind = self.behind.entry(dataset.to_string()).or_default();
        *behind = (*behind).max(round + 1).min(self.rounds);
    }

    fn finished(&mut self, dataset: &str) {
        self.behind.insert(dataset.to_string(), self.rounds);
    }

    /// Estimate of the time that is left, seconds; `None` before the first round.
    fn left_s(&self, elapsed_s: f64) -> Option<f64> {
        let left = self.total().saturating_sub(self.done());
        (self.worked > 0 && left > 0).then(|| elapsed_s / self.worked as f64 * left as f64)
    }
}

struct BarRow {
    bar: ProgressBar,
    work: StepWork,
}

struct BarState {
    tally: Tally,
    overall: Option<ProgressBar>,
    rows: BTreeMap<String, BarRow>,
    started: Instant,
}

/// Bars of a campaign.
pub(super) struct Bars {
    multi: MultiProgress,
    state: Mutex<BarState>,
}

impl Bars {
    /// Bars that are drawn by `multi`.
    pub(super) fn new(multi: MultiProgress) -> Self {
        let state = BarState { tally: Tally::default(), overall: None, rows: BTreeMap::new(), started: Instant::now() };
        Self { multi, state: Mutex::new(state) }
    }

    fn start(&self, state: &mut BarState, name: &str, sets: usize, rounds: usize) {
        state.tally = Tally { rounds, sets, ..Tally::default() };
        state.started = Instant::now();
        let bar = self.multi.insert(0, ProgressBar::new(state.tally.total() as u64));
        bar.set_style(style("{prefix} [{bar:30}] {pos}/{len} rounds, {elapsed} {msg}"));
        bar.set_prefix(name.to_string());
        bar.enable_steady_tick(TICK);
        state.overall = Some(bar);
    }

    /// Changes the bar of the measurement set at `place`, if it has one.
    fn update(&self, state: &mut BarState, place: &Place, change: impl FnOnce(&mut BarRow)) {
        let rounds = state.tally.rounds;
        if let Some(row) = self.row(state, place) {
            change(row);
            row.show(rounds);
        }
    }

    fn row<'a>(&self, state: &'a mut BarState, place: &Place) -> Option<&'a mut BarRow> {
        if !state.rows.contains_key(&place.dataset) {
            if state.rows.len() >= MAX_ROWS {
                return None;
            }
            let bar = self.multi.add(ProgressBar::new(BAR_STEPS));
            bar.enable_steady_tick(TICK);
            let work = StepWork {
                place: place.clone(),
                about: String::new(),
                step: None,
                words: String::new(),
                fraction: None,
                expected_s: None,
            };
            state.rows.insert(place.dataset.clone(), BarRow { bar, work });
        }
        let row = state.rows.get_mut(&place.dataset)?;
        row.work.place = place.clone();
        Some(row)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

impl BarRow {
    fn show(&self, rounds: usize) {
        match self.work.fraction {
            Some(fraction) => {
                self.bar.set_style(style("  {elapsed:>4} [{bar:20}] {percent:>3} % {wide_msg}"));
                self.bar.set_position((fraction.clamp(0.0, 1.0) * BAR_STEPS as f64) as u64);
            }
            None => self.bar.set_style(style("  {elapsed:>4} {spinner} {wide_msg}")),
        }
        self.bar.set_message(self.work.line(rounds));
    }
}

impl Consumer for Bars {
    fn event(&self, event: &Event) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        match event {
            Event::CampaignStarted { name, datasets, rounds } => self.start(state, name, datasets.len(), *rounds),
            Event::RoundStarted { place, about } => self.update(state, place, |row| {
                row.work.about.clone_from(about);
                (row.work.step, row.work.fraction, row.work.expected_s) = (None, None, None);
                row.bar.reset_elapsed();
            }),
            Event::StepStarted { place, step, expected_s } => self.update(state, place, |row| {
                (row.work.step, row.work.fraction, row.work.expected_s) = (Some(*step), None, *expected_s);
                row.work.words.clear();
                row.bar.reset_elapsed();
            }),
            Event::Progress { place, step, fraction, words } => self.update(state, place, |row| {
                (row.work.step, row.work.fraction) = (Some(*step), *fraction);
                row.work.words.clone_from(words);
            }),
            Event::RoundFinished { place, .. } => {
                state.tally.passed(&place.dataset, place.at.round);
                state.show_overall();
            }
            Event::DatasetFinished { dataset, .. } => {
                state.tally.finished(dataset);
                if let Some(row) = state.rows.remove(dataset) {
                    row.bar.finish_and_clear();
                    self.multi.remove(&row.bar);
                }
                state.show_overall();
            }
            Event::CampaignFinished { .. } => state.clear(),
            Event::StepFinished { .. } | Event::Message { .. } => {}
        }
    }
}

impl BarState {
    fn clear(&mut self) {
        for row in std::mem::take(&mut self.rows).into_values() {
            row.bar.finish_and_clear();
        }
        if let Some(bar) = self.overall.take() {
            bar.finish_and_clear();
        }
    }

    fn show_overall(&self) {
        let Some(bar) = &self.overall else { return };
        bar.set_position(self.tally.done() as u64);
        let left = self.tally.left_s(self.started.elapsed().as_secs_f64());
        bar.set_message(left.map_or_else(String::new, |s| format!("(about {} left)", duration(s))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::layout::AttemptId;
    use crate::campaign::record;
    use indicatif::ProgressDrawTarget;

    fn place(dataset: &str, round: usize, attempt: usize) -> Place {
        Place { dataset: dataset.into(), at: AttemptId { round, attempt } }
    }

    #[test]
    fn a_line_says_where_the_work_is() {
        let mut work = StepWork {
            place: place("beam00", 2, 1),
            about: "phase, 60s".into(),
            step: None,
            words: String::new(),
            fraction: None,
            expected_s: None,
        };
        assert_eq!(work.line(4), "beam00 · round 2/3 · phase, 60s");
        work.step = Some(Step::Image);
        work.expected_s = Some(200.0);
        assert_eq!(work.line(4), "beam00 · round 2/3 · imaging (takes about 3 min 20 s)");
        work.words = "major iteration 3".into();
        work.place.at.attempt = 2;
        work.expected_s = None;
        assert_eq!(work.line(4), "beam00 · round 2/3, attempt 2 · imaging: major iteration 3");
    }

    #[test]
    fn rounds_are_counted_once_and_the_rest_is_estimated() {
        let mut tally = Tally { rounds: 4, sets: 2, ..Tally::default() };
        assert_eq!(tally.left_s(10.0), None);
        tally.passed("a", 0);
        tally.passed("a", 1);
        tally.passed("a", 1);
        assert_eq!((tally.done(), tally.total()), (2, 8));
        assert_eq!(tally.left_s(30.0), Some(60.0), "three attempts in 30 s, six rounds to go");
        tally.finished("a");
        assert_eq!(tally.done(), 4);
        tally.finished("b");
        assert_eq!(tally.left_s(30.0), None);
    }

    #[test]
    fn bars_come_and_go_with_the_events() {
        let bars = Bars::new(MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));
        let rows = |bars: &Bars| bars.state.lock().unwrap().rows.len();
        let datasets = vec!["a".to_string(), "b".into()];
        bars.event(&Event::CampaignStarted { name: "c".into(), datasets, rounds: 3 });
        bars.event(&Event::RoundStarted { place: place("a", 0, 1), about: String::new() });
        bars.event(&Event::StepStarted { place: place("b", 0, 1), step: Step::Image, expected_s: None });
        let step = Step::Image;
        bars.event(&Event::Progress { place: place("b", 0, 1), step, fraction: Some(0.25), words: "x".into() });
        assert_eq!(rows(&bars), 2);
        assert_eq!(bars.state.lock().unwrap().rows["b"].bar.position(), BAR_STEPS / 4);
        bars.event(&Event::RoundFinished {
            place: place("a", 0, 1),
            verdict: record::Verdict::Accepted,
            why: String::new(),
            rms: None,
            peak: None,
            dynamic_range: None,
        });
        assert_eq!(bars.state.lock().unwrap().overall.as_ref().unwrap().position(), 1);
        let state = record::State::Done;
        bars.event(&Event::DatasetFinished { dataset: "a".into(), state, best_round: Some(0) });
        assert_eq!(rows(&bars), 1);
        bars.event(&Event::CampaignFinished { state });
        assert_eq!(rows(&bars), 0);
        assert!(bars.state.lock().unwrap().overall.is_none());
    }
}
