//! Many measurement sets in one campaign on this machine, with an imager that is a small script.

use crate::fake::Fake;
use cleanloop::campaign::record::State;
use std::fs;

/// The whole number of a large survey night; each round of each set is one call of the imager.
const SETS: usize = 2000;

#[test]
fn two_thousand_sets_with_failures_nothing_lost_and_nothing_twice() {
    let fake = Fake::new(SETS, 1, "  resources: {concurrent: 8, threads: 8}");
    // Every 40th fails in round 0, every 50th in round 1, each once; every 100th dies in round 1.
    let fails = |set: usize, round: usize| match round {
        0 => set % 40 == 7,
        _ => set % 50 == 11 || set % 100 == 3,
    };
    for set in 0..SETS {
        for round in 0..2 {
            if fails(set, round) {
                fake.order(set, round, if set % 100 == 3 { "kill\n" } else { "fail\n" });
            }
        }
    }
    let failing = (0..SETS).filter(|s| fails(*s, 0) || fails(*s, 1)).count();
    let output = fake.run();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains(&format!("{failing} of {SETS} measurement sets failed")), "{error}");
    let record = fake.record();
    assert_eq!(record.state, State::Failed);
    assert_eq!(record.datasets.iter().filter(|d| d.state == State::Failed).count(), failing);
    assert_eq!(record.datasets.iter().filter(|d| d.state == State::Done).count(), SETS - failing);
    // The same command finishes what failed, and repeats nothing.
    let record = fake.succeed();
    assert!(record.state == State::Done && record.datasets.iter().all(|d| d.state == State::Done));
    fake.assert_each_once(SETS, 1, &|set, round| fails(set, round).then_some(2));
    assert!(fake.path("out/report/index.html").is_file());
}

#[test]
fn a_failure_stops_the_others_where_that_is_asked_for() {
    let fake = Fake::new(6, 0, "  on_failure: stop");
    fake.order(2, 0, "fail\n");
    let output = fake.run();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("1 of 6 measurement sets failed and 3 were not begun"), "{error}");
    assert_eq!(fake.ledger().len(), 3);
    fake.succeed();
    fake.assert_each_once(6, 0, &|set, _| (set == 2).then_some(2));
}

#[test]
fn a_renamed_set_goes_on_in_its_old_folder() {
    let fake = Fake::new(4, 1, "");
    fake.order(2, 1, "fail\n");
    assert_eq!(fake.run().status.code(), Some(3));
    fs::rename(fake.path("b0002.ms"), fake.path("better-name.ms")).unwrap();
    let text = fs::read_to_string(fake.path("campaign.yaml")).unwrap().replace("['b*.ms']", "['b*.ms', 'better*.ms']");
    // Both patterns may match it; each set is listed once.
    let text = text.replace("['b*.ms', 'better*.ms']", "['b0*.ms', 'better*.ms']");
    fs::write(fake.path("campaign.yaml"), text).unwrap();
    let record = fake.succeed();
    assert!(record.datasets.iter().any(|d| d.name == "b0002" && d.sources[0].ends_with("better-name.ms")));
    assert!(!fake.path("out/better-name").exists());
    fake.assert_each_once(4, 1, &|set, round| (set == 2 && round == 1).then_some(2));
}
