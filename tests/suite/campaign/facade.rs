//! Campaigns from Rust: `Campaign::load(path)?.plan()?.run(options)?`.

use crate::support::fake::Fake;
use cleanloop::campaign::events::{Collect, Event};
use cleanloop::campaign::plan::Plan;
use cleanloop::campaign::record::{CampaignRecord, State};
use cleanloop::campaign::{Campaign, ReportWriter, RunOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../../../examples/run_campaign.rs"]
mod example;

#[test]
fn the_example_runs() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = example::run(folder.path()).unwrap();
    assert_eq!((outcome.state, outcome.record.datasets.len()), (State::Done, 1));
    let saved = CampaignRecord::load(&outcome.folder).unwrap();
    assert_eq!((saved.state, &saved.datasets), (outcome.record.state, &outcome.record.datasets));
    let plan = Campaign::load(folder.path().join("campaign.yaml")).unwrap().plan().unwrap();
    assert_eq!(Plan::load(&folder.path().join("tiny.json")).unwrap().hash(), plan.hash());
    assert!(plan.to_string().starts_with("campaign"));
}

/// Counts how often it was written.
struct Counter(Arc<AtomicUsize>);

impl ReportWriter for Counter {
    fn write(&self, _: &CampaignRecord, folder: &Path) -> cleanloop::Result<()> {
        assert!(folder.join("record.json").exists());
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_part_of_a_campaign_is_run_and_the_rest_later() {
    let fake = Fake::new(2, 2, "");
    let run = |options| Campaign::load(fake.path("campaign.yaml")).unwrap().plan().unwrap().run(options);
    let calls = || fake.ledger().into_iter().map(|(what, (_, ended))| (what, ended)).collect::<Vec<_>>();
    let (seen, written) = (Collect::default(), Arc::new(AtomicUsize::new(0)));
    let outcome = run(RunOptions {
        consumers: vec![Box::new(seen.clone())],
        report: Some(Box::new(Counter(written.clone()))),
        only_sets: vec!["b0001".into()],
        until_round: Some(1),
        threads: Some(1),
        command_line: vec!["from".into(), "Rust".into()],
        ..RunOptions::default()
    })
    .unwrap();
    assert_eq!(outcome.state, State::Waiting);
    assert_eq!(outcome.record.command_line, ["from", "Rust"]);
    assert_eq!(outcome.record.datasets.iter().map(|d| d.rounds.len()).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(calls(), [("b0001 round-00".to_string(), 1), ("b0001 round-01".to_string(), 1)]);
    assert!(written.load(Ordering::SeqCst) > 0);
    assert!(seen.events().contains(&Event::CampaignFinished { state: State::Waiting }));

    // The other set alone, to its end: what is recorded of the first one is kept.
    let outcome = run(RunOptions { only_sets: vec!["b0000".into()], ..RunOptions::default() }).unwrap();
    assert_eq!(outcome.state, State::Waiting);
    assert_eq!(outcome.record.datasets.iter().map(|d| d.rounds.len()).collect::<Vec<_>>(), [3, 2]);

    let outcome = run(RunOptions::default()).unwrap();
    assert_eq!(outcome.state, State::Done);
    assert_eq!(outcome.record.datasets.iter().map(|d| d.rounds.len()).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(calls().len(), 6);
    assert!(calls().iter().all(|(_, ended)| *ended == 1), "nothing is imaged twice: {:?}", calls());

    let unknown = run(RunOptions { only_sets: vec!["b7".into()], ..RunOptions::default() }).unwrap_err();
    assert_eq!(unknown.exit_status(), cleanloop::ExitStatus::BadInput);
}
