//! The decisions about jobs, with a batch system that only takes notes.

use super::cancel::cancel;
use super::decide::*;
use super::job::barrier_file;
use super::*;
use crate::batch_system::slurm::Task;
use crate::batch_system::slurm::{Job, SlurmError};
use crate::campaign::events::Emitter;
use crate::campaign::file::Loss;
use crate::campaign::file::{self, SchedulerOptions};
use crate::campaign::journal;
use crate::campaign::record::State;
use crate::campaign::run::{RunSettings, Selection};
use crate::util::fs;
use rstest::rstest;
use std::cell::RefCell;

fn jobs(generation: u32, rounds: &[(usize, u32, Option<TaskState>)]) -> LastJobs {
    LastJobs { generation, rounds: rounds.iter().map(|(r, attempt, state)| (*r, (*attempt, *state))).collect() }
}

const FAILED: Option<End> = Some(End::Ended(State::Failed));

#[rstest]
#[case::never_begun(0, None, None, NextJob::Submit { round: 0, attempt: 0 })]
#[case::at_work(1, None, Some(jobs(2, &[(1, 0, Some(TaskState::Running)), (2, 0, Some(TaskState::Pending))])), NextJob::Wait(TaskState::Running))]
#[case::queued(0, FAILED, Some(jobs(1, &[(0, 0, Some(TaskState::Pending))])), NextJob::Wait(TaskState::Pending))]
#[case::over(9, Some(End::Ended(State::Converged)), Some(jobs(2, &[(1, 0, None)])), NextJob::Over(State::Converged))]
#[case::failed(1, FAILED, Some(jobs(2, &[(1, 0, Some(TaskState::Failed))])), NextJob::Failed)]
#[case::failed_in_an_earlier_run(1, FAILED, Some(jobs(1, &[(1, 0, Some(TaskState::Failed))])), NextJob::Submit { round: 1, attempt: 0 })]
#[case::node_died(1, None, Some(jobs(2, &[(1, 0, Some(TaskState::NodeFail)), (2, 0, Some(TaskState::NeverRan))])), NextJob::Submit { round: 1, attempt: 1 })]
#[case::warned_before_the_limit(1, Some(End::Interrupted), Some(jobs(2, &[(1, 0, Some(TaskState::Failed))])), NextJob::Submit { round: 1, attempt: 1 })]
#[case::cancelled(1, Some(End::Interrupted), Some(jobs(2, &[(1, 0, Some(TaskState::Cancelled))])), NextJob::Cancelled)]
#[case::forgotten(1, None, Some(jobs(2, &[(1, 0, None)])), NextJob::Submit { round: 1, attempt: 1 })]
#[case::not_submitted_yet(3, Some(End::Paused), Some(jobs(2, &[(1, 0, Some(TaskState::Completed)), (2, 0, None)])), NextJob::Submit { round: 3, attempt: 0 })]
fn what_is_next(#[case] round: usize, #[case] end: Option<End>, #[case] last: Option<LastJobs>, #[case] next: NextJob) {
    let progress = SetProgress { next_round: round, end };
    assert_eq!(next_of(progress, last.as_ref(), 2, &SchedulerOptions::default().resubmit, 1), next);
}

#[test]
fn what_is_given_up() {
    let cases =
        [(1, TaskState::NodeFail), (0, TaskState::Preempted), (0, TaskState::OutOfMemory), (0, TaskState::Failed)];
    let said = cases.map(|(attempt, state)| {
        let last = jobs(1, &[(0, attempt, Some(state))]);
        match next_of(SetProgress::NOTHING, Some(&last), 1, &[Loss::NodeFail], 1) {
            NextJob::GiveUp { why } => why,
            other => panic!("{other:?}"),
        }
    });
    insta::assert_snapshot!(said.join("\n"), @"
    the job of round 0 was lost 2 time(s): its node failed (NODE_FAIL); run again, without that node (`scheduler.arguments: [--exclude=NODE]`) if it is to blame
    the job of round 0 was lost 1 time(s): it was preempted (PREEMPTED); run again, or choose a `scheduler.partition` whose jobs are not preempted
    the job of round 0 was lost 1 time(s): it took more memory than it had asked for (OUT_OF_MEMORY); raise `scheduler.memory_gb`, for all rounds or for this one, and run again
    the job of round 0 was lost 1 time(s): it ended before it could say why; see its log
    ");
}

#[test]
fn a_journal_tells_how_far_a_set_is() {
    let plan: IndexMap<String, String> = [("round 0".to_string(), "a".to_string())].into();
    let other: IndexMap<String, String> = [("round 0".to_string(), "b".to_string())].into();
    let run = |plan: &IndexMap<String, String>| journal::JournalEvent::Run { version: "1".into(), plan: plan.clone() };
    let progress = |events: &[journal::JournalEvent]| {
        let entry = |(i, event): (usize, &journal::JournalEvent)| journal::Entry {
            seq: i as u64,
            time: jiff::Timestamp::UNIX_EPOCH,
            event: event.clone(),
        };
        let entries: Vec<_> = events.iter().enumerate().map(entry).collect();
        SetProgress::of(&entries, &plan)
    };
    let paused = |round| journal::JournalEvent::Paused { round };
    let at = |next_round, end| SetProgress { next_round, end };
    assert_eq!(progress(&[]), SetProgress::NOTHING);
    assert_eq!(progress(&[run(&plan), paused(0)]), at(1, Some(End::Paused)));
    assert_eq!(progress(&[run(&plan), paused(0), run(&plan)]), at(1, None), "the second job died");
    let interrupted = [run(&plan), paused(0), run(&plan), journal::JournalEvent::Interrupted];
    assert_eq!(progress(&interrupted), at(1, Some(End::Interrupted)));
    assert_eq!(progress(&[run(&other), paused(2)]).next_round, 3);
    assert_eq!(
        progress(&[run(&plan), paused(2), run(&other), run(&plan)]).next_round,
        0,
        "it was done under another plan"
    );
    let ended = journal::JournalEvent::Ended { state: State::Converged, reason: String::new() };
    assert_eq!(progress(&[run(&plan), ended]).over(), Some(State::Converged));
}

/// Takes notes of what is submitted; states are what the test says.
#[derive(Default)]
struct Notes {
    jobs: RefCell<Vec<Job>>,
    states: RefCell<HashMap<(u64, usize), TaskState>>,
    max_array: usize,
    full_after: Option<usize>,
}

impl Notes {
    fn new(max_array: usize) -> Self {
        Self { max_array, ..Self::default() }
    }

    fn all(&self, job: u64, state: TaskState) {
        for index in self.jobs.borrow()[job as usize - 1].indices.clone().unwrap_or(vec![0]) {
            self.states.borrow_mut().insert((job, index), state);
        }
    }

    fn text(&self) -> Vec<String> {
        let text = |job: &Job| {
            let word = |name: &str| job.words.iter().position(|w| w == name).map(|i| job.words[i + 1].clone());
            let what = match (word("--round"), word("--barrier")) {
                (Some(round), _) => format!("round {round} +{}", word("--offset").unwrap()),
                (_, Some(round)) => format!("barrier {round}"),
                _ => "steward".into(),
            };
            format!(
                "{what} {:?} {}",
                job.indices.clone().unwrap_or_default(),
                job.dependency.clone().unwrap_or_default()
            )
        };
        self.jobs.borrow().iter().map(text).collect()
    }
}

impl BatchSystem for Notes {
    fn submit(&self, job: &Job) -> Result<u64, SlurmError> {
        if self.full_after.is_some_and(|n| self.jobs.borrow().len() >= n) && job.indices.is_some() {
            return Err(SlurmError::Full { words: "no more".into() });
        }
        self.jobs.borrow_mut().push(job.clone());
        let number = self.jobs.borrow().len() as u64;
        self.all(number, TaskState::Pending);
        Ok(number)
    }

    fn tasks(&self, jobs: &[u64]) -> Result<Vec<Task>, SlurmError> {
        let states = self.states.borrow();
        let known = states.iter().filter(|((job, _), _)| jobs.contains(job));
        Ok(known.map(|((job, index), state)| Task { job: *job, index: Some(*index), state: *state }).collect())
    }

    fn job_named(&self, name: &str) -> Result<Option<u64>, SlurmError> {
        Ok(self.jobs.borrow().iter().position(|j| j.name == name).map(|i| i as u64 + 1))
    }

    fn cancel(&self, jobs: &[u64]) -> Result<(), SlurmError> {
        for ((job, _), state) in self.states.borrow_mut().iter_mut() {
            if jobs.contains(job) && state.is_live() {
                *state = TaskState::Cancelled;
            }
        }
        Ok(())
    }

    fn max_array_size(&self) -> usize {
        self.max_array
    }
}

struct Field {
    folder: tempfile::TempDir,
    plan: Plan,
}

impl Field {
    fn new(sets: usize, rounds: usize, block: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..sets {
            std::fs::create_dir(folder.path().join(format!("b{i}.ms"))).unwrap();
        }
        let file = folder.path().join("campaign.yaml");
        let text = format!(
            "version: 0.2\ncampaign:\n  name: t\n  measurement_sets: ['b*.ms']\n  output: out\n  rounds: {rounds}\n{block}\nselfcal: {{0: {{}}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let campaign = file::load(&file, &file::Overrides::default()).unwrap();
        let plan = plan::resolve(&campaign).unwrap();
        Self { folder, plan }
    }

    /// Writes as the jobs would: rounds up to this one are done, or the set has ended.
    fn journal(&self, set: usize, event: journal::JournalEvent) {
        let layout = self.plan.layout_of(&self.plan.targets[set]);
        fs::make(layout.root()).unwrap();
        let mut journal = Journal::open(layout.journal()).unwrap();
        journal.append(journal::JournalEvent::Run { version: "1".into(), plan: plan_hashes(&self.plan) }).unwrap();
        journal.append(event).unwrap();
    }

    fn begin(&self, system: &Notes) -> Outlook {
        self.with(system, |batch| batch.begin().unwrap());
        self.advance(system)
    }

    fn advance(&self, system: &Notes) -> Outlook {
        self.with(system, |batch| batch.advance().unwrap())
    }

    fn with<T>(&self, system: &Notes, act: impl FnOnce(&mut Batch<'_>) -> T) -> T {
        assert!(self.folder.path().exists());
        let settings = RunSettings {
            restart: false,
            command_line: Vec::new(),
            config: String::new(),
            report: None,
            backend: &|_, _, _| unreachable!("nothing is run here"),
            follow: Follow::Detach,
            at_barrier: &|_, _, _, _| Ok(()),
            at_end: &|_, _, _| Ok(()),
            selection: Selection::default(),
        };
        let events = Emitter::default();
        act(&mut Batch::new(CampaignRun { plan: &self.plan, settings: &settings, events: &events }, system))
    }
}

fn done() -> journal::JournalEvent {
    journal::JournalEvent::Ended { state: State::Done, reason: String::new() }
}

#[test]
fn rounds_are_arrays_that_depend_on_each_other_in_chunks() {
    let bench = Field::new(5, 1, "");
    let system = Notes::new(4);
    assert!(bench.begin(&system).going_on);
    let expected = [
        "round 0 +0 [0, 1, 2] ",
        "round 1 +0 [0, 1, 2] aftercorr:1",
        "round 0 +3 [0, 1] ",
        "round 1 +3 [0, 1] aftercorr:3",
        "steward [] afterany:2:4",
    ];
    assert_eq!(system.text(), expected);
    // Looked at again, nothing is submitted twice; nor by another run that finds them in the queue.
    bench.advance(&system);
    bench.begin(&system);
    assert_eq!(system.jobs.borrow().len(), 5);
}

#[test]
fn lost_jobs_come_again_and_only_they() {
    let bench = Field::new(3, 1, "");
    let system = Notes::new(1001);
    bench.begin(&system);
    for job in 1..=3 {
        system.all(job, TaskState::Completed);
    }
    for set in [0, 2] {
        bench.journal(set, done());
    }
    bench.journal(1, journal::JournalEvent::Paused { round: 0 });
    system.states.borrow_mut().insert((2, 1), TaskState::NodeFail);
    let outlook = bench.advance(&system);
    assert_eq!(outlook.next[1], NextJob::Submit { round: 1, attempt: 1 });
    assert_eq!(system.text()[3..], ["round 1 +0 [1] ", "steward [] afterany:4"]);
    system.all(4, TaskState::NodeFail);
    system.all(5, TaskState::Completed);
    let outlook = bench.advance(&system);
    assert!(!outlook.going_on && outlook.next[1] == NextJob::Failed, "once again is enough: {outlook:?}");
    assert_eq!(outlook.next[0], NextJob::Over(State::Done));
    // A new run tries it again.
    assert_eq!(bench.begin(&system).next[1], NextJob::Submit { round: 1, attempt: 0 });
}

#[test]
fn a_submission_that_was_cut_off_is_adopted_or_made_again() {
    let bench = Field::new(2, 0, "");
    let system = Notes::new(1001);
    bench.begin(&system);
    // As if the submitter had died between sbatch and its note.
    let ledger = Ledger::new(&bench.plan.output);
    let mut cut = ledger.submissions().unwrap()[0].clone();
    cut.job = None;
    ledger.submitted(&cut).unwrap();
    bench.advance(&system);
    assert_eq!((system.jobs.borrow().len(), ledger.submissions().unwrap()[0].job), (2, Some(1)));
    // And as if it had died before sbatch: Slurm knows no such job.
    cut.name = "never-submitted".into();
    ledger.submitted(&cut).unwrap();
    system.states.borrow_mut().clear();
    bench.advance(&system);
    assert_eq!(system.text()[2..], ["round 0 +0 [0, 1] ", "steward [] afterany:3"]);
}

#[test]
fn a_full_queue_takes_the_rest_later() {
    let bench = Field::new(3, 1, "  scheduler: {max_queued: 2}");
    let system = Notes::new(1001);
    bench.begin(&system);
    assert_eq!(system.text(), ["round 0 +0 [0, 1] ", "steward [] afterany:1"]);
    system.all(1, TaskState::Completed);
    system.all(2, TaskState::Completed);
    for set in [0, 1] {
        bench.journal(set, journal::JournalEvent::Paused { round: 0 });
    }
    bench.advance(&system);
    let expected = ["round 0 +0 [2] ", "round 1 +0 [2] aftercorr:3", "steward [] afterany:4"];
    assert_eq!(system.text()[2..], expected, "the set that was left out goes first");
    // Slurm's own limits are reported by sbatch.
    let bench = Field::new(3, 2, "");
    let system = Notes { full_after: Some(2), ..Notes::new(1001) };
    bench.begin(&system);
    assert_eq!(system.text(), ["round 0 +0 [0, 1, 2] ", "round 1 +0 [0, 1, 2] aftercorr:1", "steward [] afterany:2"]);
}

#[test]
fn a_barrier_waits_for_all_and_holds_back_the_next_round() {
    let mut bench = Field::new(2, 1, "");
    bench.plan.rounds[1].waits_for_all = true;
    let system = Notes::new(1001);
    bench.begin(&system);
    assert_eq!(system.text(), ["round 0 +0 [0, 1] ", "steward [] afterany:1"]);
    system.all(1, TaskState::Completed);
    system.all(2, TaskState::Completed);
    for set in [0, 1] {
        bench.journal(set, journal::JournalEvent::Paused { round: 0 });
    }
    bench.advance(&system);
    assert_eq!(system.text()[2..], ["barrier 1 [] ", "steward [] afterany:3"]);
    assert!(bench.advance(&system).going_on);
    assert_eq!(system.jobs.borrow().len(), 4, "the barrier's job is waited for");
    system.all(3, TaskState::Completed);
    system.all(4, TaskState::Completed);
    std::fs::write(barrier_file(&bench.plan.output, 1, 1), r#"{"error": null}"#).unwrap();
    bench.advance(&system);
    assert_eq!(system.text()[4..], ["round 1 +0 [0, 1] ", "steward [] afterany:5"]);
    std::fs::write(barrier_file(&bench.plan.output, 1, 1), r#"{"error": "no mosaic"}"#).unwrap();
    system.all(5, TaskState::NodeFail);
    let outlook = bench.advance(&system);
    assert!(!outlook.going_on, "{outlook:?}");
    insta::assert_snapshot!(outlook.trouble.unwrap(), @"what round 1 needs of all measurement sets failed: no mosaic");
}

#[test]
fn a_failure_stops_the_others_where_that_is_asked_for() {
    let bench = Field::new(3, 0, "  on_failure: stop");
    let system = Notes::new(1001);
    bench.begin(&system);
    bench.journal(1, journal::JournalEvent::Ended { state: State::Failed, reason: "no".into() });
    system.states.borrow_mut().insert((1, 1), TaskState::Failed);
    assert!(bench.advance(&system).going_on, "the others are cancelled, and waited for");
    let outlook = bench.advance(&system);
    assert!(!outlook.going_on && !outlook.cancelled);
    assert_eq!(outlook.next, [NextJob::Cancelled, NextJob::Failed, NextJob::Cancelled]);
}

#[test]
fn jobs_of_another_plan_are_not_mixed_in() {
    let bench = Field::new(2, 0, "");
    let system = Notes::new(1001);
    bench.begin(&system);
    let mut changed = Field { folder: tempfile::tempdir().unwrap(), plan: bench.plan.clone() };
    changed.plan.acceptance.converged_rounds = 7;
    let error = changed.with(&system, |b| b.begin()).unwrap_err();
    assert!(matches!(error, crate::Error::BadInput(_)), "{error:?}");
    let place = &plan::hash(&bench.plan.output)[..8];
    let said = crate::util::testing::words(error, bench.folder.path()).replace(place, "<hash>");
    insta::assert_snapshot!(said, @"<folder>/out: jobs of an earlier plan of this campaign are still queued (job 1, cl-<hash>-t-1); wait for them, or cancel them with `cleanloop cancel <folder>/out`");
    assert_eq!(cancel(&bench.plan.output, &system).unwrap(), 3);
    changed.with(&system, |b| b.begin()).unwrap();
}
