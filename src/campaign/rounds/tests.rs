//! The loop over rounds with a backend whose "columns" are small files: what a real crash does to a measurement set
//! (a column half-written) is done here on purpose, at every step.

mod fake;
mod start;
mod together;

use crate::campaign::events::{Event, Step, StepEnd};
use crate::campaign::file::{ArchiveOptions, StartModel};
use crate::campaign::record::{StartKind, State, Verdict};
use std::fs;
use std::path::Path;

use fake::*;

#[test]
fn a_good_campaign_goes_through_its_rounds_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Done);
    assert_eq!(record.best_round().unwrap().round, 3);
    let expected = "prepare, image 0.0 DATA, measure round-00, \
        solve 1.0, apply 1.0, mask 1.0, image 1.0 CORRECTED_DATA, measure round-01, \
        solve 2.0, apply 2.0, mask 2.0, image 2.0 CORRECTED_DATA, measure round-02, \
        solve 3.0, apply 3.0, mask 3.0, image 3.0 CORRECTED_DATA, measure round-03";
    assert_eq!(backend.calls.join(", "), expected);
    let names: Vec<String> = fs::read_dir(folder.path().join("out/final"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["image.fits", "residual.fits", "model.fits", "psf.fits", "mask.fits", "gains.cal"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
}

#[test]
fn a_second_run_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut FakeBackend::new(folder.path(), Script::rising())).1.unwrap();
    let before = outcome(folder.path());
    let mut again = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, events) = run(folder.path(), &mut again);
    end.unwrap();
    assert_eq!(again.calls, Vec::<String>::new());
    assert_eq!(outcome(folder.path()), before);
    assert_eq!(record.rounds.len(), 4, "the record is whole again");
    assert!(events.events().iter().all(|e| !matches!(e, Event::StepFinished { end: StepEnd::Done, .. })));
}

#[test]
fn a_worse_round_is_undone_and_the_best_one_is_the_product() {
    let mut script = Script::rising();
    script.dynamic_range[2] = vec![150.0, 140.0];
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    end.unwrap();
    let verdicts: Vec<Verdict> = record.rounds.iter().map(|r| r.decision.as_ref().unwrap().verdict).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted, Verdict::Rejected, Verdict::Rejected]);
    assert_eq!(record.best_round().unwrap().round, 1);
    let calls = backend.calls.join(", ");
    assert!(
        calls.contains("measure round-02, predict 1.0, solve 2.1"),
        "the retry solves against round 1's model: {calls}"
    );
    assert!(
        calls.ends_with("measure round-02-retry, apply 1.0, predict 1.0"),
        "round 1 is in force at the end: {calls}"
    );
    let good = fs::read_to_string(folder.path().join("out/round-01/image/image.fits")).unwrap();
    assert_eq!(outcome(folder.path())[..2], [good.clone(), good]);
}

#[test]
fn divergence_stops_the_campaign() {
    let mut script = Script::rising();
    script.dynamic_range[2] = vec![50.0];
    let folder = tempfile::tempdir().unwrap();
    let (record, end, _) = run(folder.path(), &mut FakeBackend::new(folder.path(), script));
    assert_eq!(end.unwrap(), State::Diverged);
    assert_eq!(record.best_round().unwrap().round, 1);
}

#[test]
fn a_round_that_is_not_worth_trying_ends_the_campaign() {
    let script = Script { give_up: Some(2), ..Script::rising() };
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Converged);
    assert_eq!(record.best_round().unwrap().round, 1);
    assert_eq!(backend.calls.last().unwrap(), "measure round-01");
    insta::assert_snapshot!(record.messages[0].text, @"no round 2: nothing is left");
}

#[test]
fn flagged_tables_are_not_applied() {
    let mut script = Script::rising();
    script.flagged[2] = 0.9;
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    end.unwrap();
    let calls = backend.calls.join(", ");
    assert!(calls.contains("solve 2.0, solve 2.1") && !calls.contains("apply 2"), "{calls}");
    assert_eq!(record.best_round().unwrap().round, 1);
    insta::assert_snapshot!(record.rounds[2].decision.as_ref().unwrap().summary, @"rejected: 90.0 % of 10 solutions flagged, 30.0 % allowed");
}

#[test]
fn directions_come_on_top_of_the_last_accepted_tables() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), Script { facets_from: Some(2), ..Script::rising() });
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Done);
    let calls = backend.calls.join(", ");
    let expected = "measure round-01, facets 2.0, mask 2.0, image 2.0 CORRECTED_DATA by direction, measure round-02, \
        facets 3.0, mask 3.0, image 3.0 CORRECTED_DATA by direction, measure round-03";
    assert!(calls.ends_with(expected), "nothing is applied again: {calls}");
    let facets = record.rounds[3].facets.as_ref().expect("a record of the directions");
    assert_eq!(facets.directions.len(), 2);
    assert_eq!(record.best_round().unwrap().round, 3);
    for name in ["facets.reg", "solutions.h5", "gains.cal"] {
        assert!(folder.path().join("out/final").join(name).exists(), "{name}");
    }
}

#[test]
fn a_worse_round_by_direction_is_undone() {
    let mut script = Script { facets_from: Some(2), ..Script::rising() };
    script.dynamic_range[2] = vec![150.0, 140.0];
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    end.unwrap();
    assert_eq!(record.best_round().unwrap().round, 1);
    let calls = backend.calls.join(", ");
    assert!(calls.contains("measure round-02, facets 2.1, "), "a relaxed attempt, from round 1's image: {calls}");
    assert!(
        calls.ends_with("measure round-02-retry, predict 1.0"),
        "CORRECTED_DATA is round 1's all the time: {calls}"
    );
    assert!(!folder.path().join("out/final/facets.reg").exists());
}

#[test]
fn one_direction_ends_the_campaign_with_the_round_before() {
    let script = Script { facets_from: Some(2), directions: 1, ..Script::rising() };
    let folder = tempfile::tempdir().unwrap();
    let (record, end, _) = run(folder.path(), &mut FakeBackend::new(folder.path(), script));
    assert_eq!(end.unwrap(), State::Done);
    assert_eq!(record.best_round().unwrap().round, 1);
    insta::assert_snapshot!(record.rounds[2].decision.as_ref().unwrap().summary, @"rejected: one direction");
}

#[test]
fn an_empty_mask_is_an_error_that_says_what_to_do() {
    let script = Script { mask_pixels: 0, ..Script::rising() };
    let folder = tempfile::tempdir().unwrap();
    let (record, end, _) = run(folder.path(), &mut FakeBackend::new(folder.path(), script));
    let error = end.unwrap_err();
    assert_eq!(error.exit_status(), crate::ExitStatus::BadInput);
    insta::assert_snapshot!(crate::util::testing::words(error, folder.path()), @"the mask of round 1 is empty: nothing in <folder>/out/round-00/image/image.fits is above the levels asked for. Lower the seed levels (`masking:` of that round), or image this round without a mask (`campaign: mask: rounds`)");
    assert_eq!(record.state, State::Failed);
}

/// The heart of resuming: whichever call fails, however its column was left, the next run ends with the same files.
fn fails_anywhere(script: &Script) {
    let (expected, calls) = uninterrupted(script);
    for n in 0..calls.len() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = FakeBackend::new(folder.path(), script.clone());
        first.fail_at = Some(n);
        assert!(run(folder.path(), &mut first).1.is_err());
        let mut second = FakeBackend::new(folder.path(), script.clone());
        run(folder.path(), &mut second).1.unwrap();
        assert_eq!(outcome_of(folder.path(), &script.sets), expected, "failed at {}", calls[n]);
        assert!(second.calls.len() <= calls.len() - n + 1, "{:?} repeat done work", second.calls);
    }
}

#[test]
fn a_failure_anywhere_changes_nothing_in_the_end() {
    fails_anywhere(&Script { facets_from: Some(2), ..Script::rising() });
    let mut by_direction = Script { facets_from: Some(2), ..Script::rising() };
    by_direction.dynamic_range[3] = vec![150.0, 150.0];
    fails_anywhere(&by_direction);
    let mut rejecting = Script::rising();
    rejecting.dynamic_range[3] = vec![150.0, 320.0];
    for script in [Script::rising(), rejecting] {
        fails_anywhere(&script);
    }
}

/// A kill while the journal is written: whatever it keeps of a step's last line and of the next one's first, the next run
/// ends with the same files. Every third call, to save time.
#[test]
fn a_journal_cut_anywhere_is_gone_on_from() {
    let mut rejecting = Script::rising();
    rejecting.dynamic_range[3] = vec![150.0, 320.0];
    let (expected, calls) = uninterrupted(&rejecting);
    for n in (1..calls.len()).step_by(3) {
        // Half of the line that ends a step, all of it, and half of the line that begins the next.
        for (line, part) in [(3, 0.5), (2, 0.0), (2, 0.5)] {
            let folder = tempfile::tempdir().unwrap();
            let mut first = FakeBackend::new(folder.path(), rejecting.clone());
            (first.fail_at, first.spoils) = (Some(n), false);
            assert!(run(folder.path(), &mut first).1.is_err());
            let journal = folder.path().join("out/journal.jsonl");
            let text = fs::read_to_string(&journal).unwrap();
            let ends: Vec<usize> = text.match_indices('\n').map(|(i, _)| i + 1).collect();
            let failed = text[..text.find("\"event\":\"failed\"").unwrap()].lines().count() - 1;
            let (start, end) = (ends[failed - line], ends[failed - line + 1]);
            let cut = start + ((end - start) as f64 * part) as usize;
            fs::write(&journal, &text[..cut]).unwrap();
            run(folder.path(), &mut FakeBackend::new(folder.path(), rejecting.clone())).1.unwrap();
            assert_eq!(outcome(folder.path()), expected, "{}, cut at {cut}", calls[n]);
        }
    }
}

#[test]
fn a_changed_round_is_done_again_with_all_that_builds_on_it() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut FakeBackend::new(folder.path(), Script::rising())).1.unwrap();
    let mut changed = Script::rising();
    changed.options[2] = 7;
    let mut backend = FakeBackend::new(folder.path(), changed.clone());
    let (_, end, events) = run(folder.path(), &mut backend);
    end.unwrap();
    assert_eq!(backend.calls[..2], ["predict 1.0", "solve 2.0"], "round 1's model is put back first");
    assert!(backend.calls.iter().all(|c| !c.contains(" 1.0") || c.starts_with("predict")));
    let recorded = events.events();
    let said = recorded.iter().filter_map(|e| match e {
        Event::Message { text, .. } => Some(text.as_str()),
        _ => None,
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"), @"resuming; the plan has changed in round-02: steps from there on whose inputs differ are done again");
    assert_eq!(outcome(folder.path()), uninterrupted(&changed).0);
}

#[test]
fn unfinished_cycles_of_other_options_are_not_gone_on_from() {
    let mut changed = Script::rising();
    changed.options[2] = 7;
    let (expected, calls) = uninterrupted(&changed);
    let n = calls.iter().position(|c| c.starts_with("image 2")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut first = FakeBackend::new(folder.path(), Script::rising());
    first.fail_at = Some(n);
    assert!(run(folder.path(), &mut first).1.is_err());
    assert!(folder.path().join("out/round-02/image/unfinished").exists());
    run(folder.path(), &mut FakeBackend::new(folder.path(), changed)).1.unwrap();
    assert_eq!(outcome(folder.path()), expected);
}

#[test]
fn steps_tell_what_they_do() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, events) = run(folder.path(), &mut FakeBackend::new(folder.path(), Script::rising()));
    let started: Vec<Step> = events
        .events()
        .iter()
        .filter_map(|e| match e {
            Event::StepStarted { step, place, .. } if place.at.round == 1 => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(started, [Step::Solve, Step::Apply, Step::Mask, Step::Image, Step::Metrics]);
}

fn images_left(root: &Path) -> Vec<String> {
    let mut left: Vec<String> = glob::glob(&format!("{}/out/round-*/image/*", root.display()))
        .unwrap()
        .flatten()
        .map(|p| p.strip_prefix(root.join("out")).unwrap().display().to_string())
        .collect();
    left.sort();
    left
}

#[test]
fn a_disk_budget_removes_old_images_and_a_resume_does_not_miss_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, events) = run_with(folder.path(), &mut first, Some(1), ArchiveOptions::default());
    end.unwrap();
    let left = images_left(folder.path());
    assert!(!left.is_empty() && left.iter().all(|f| f.starts_with("round-03/")), "{left:?}");
    let texts: Vec<&str> = record.messages.iter().map(|m| m.text.as_str()).collect();
    insta::assert_snapshot!(crate::util::testing::words(texts.join("\n"), folder.path()), @"
    the folder takes 0.000 GB, more than its part of the disk budget (0.000 GB): what is left is needed (the working copy, tables, the best and the last accepted round). Raise `campaign.resources.disk_budget_gb`
    4 files of old rounds (0.000 GB) removed to keep the disk budget
    4 files of old rounds (0.000 GB) removed to keep the disk budget
    4 files of old rounds (0.000 GB) removed to keep the disk budget
    ");
    drop(events);
    let mut second = FakeBackend::new(folder.path(), Script::rising());
    run_with(folder.path(), &mut second, Some(1), ArchiveOptions::default()).1.unwrap();
    assert!(second.calls.is_empty(), "nothing is done again: {:?}", second.calls);
    assert_eq!(outcome(folder.path()), uninterrupted(&Script::rising()).0);
}

#[test]
fn what_a_budget_removed_is_made_again_when_a_changed_round_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), Script::rising());
    run_with(folder.path(), &mut backend, Some(1), ArchiveOptions::default()).1.unwrap();
    let mut changed = Script::rising();
    changed.options[2] = 7;
    let mut backend = FakeBackend::new(folder.path(), changed.clone());
    run_with(folder.path(), &mut backend, Some(1), ArchiveOptions::default()).1.unwrap();
    assert_eq!(backend.calls[..3], ["apply 1.0", "image 1.0 CORRECTED_DATA", "solve 2.0"]);
    assert_eq!(outcome(folder.path()), uninterrupted(&changed).0);
}

/// A failure at any call, with files of old rounds gone, changes nothing either.
#[test]
fn a_failure_anywhere_with_a_budget_changes_nothing_in_the_end() {
    let mut rejecting = Script::rising();
    rejecting.dynamic_range[3] = vec![150.0, 320.0];
    let (expected, calls) = uninterrupted(&rejecting);
    for (n, call) in calls.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = FakeBackend::new(folder.path(), rejecting.clone());
        first.fail_at = Some(n);
        assert!(run_with(folder.path(), &mut first, Some(1), ArchiveOptions::default()).1.is_err());
        let mut second = FakeBackend::new(folder.path(), rejecting.clone());
        run_with(folder.path(), &mut second, Some(1), ArchiveOptions::default()).1.unwrap();
        assert_eq!(outcome(folder.path()), expected, "failed at {call}");
    }
}

#[test]
fn the_archive_is_collected_once_and_again_when_something_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArchiveOptions {
        copy: vec!["final/*.fits".into(), "report/*".into(), "nothing".into()],
        compress: vec!["**/*.cal".into(), "round-*/logs".into()],
        to: Some(folder.path().join("kept")),
        ..ArchiveOptions::default()
    };
    let mut backend = FakeBackend::new(folder.path(), Script::rising());
    let (record, end, _) = run_with(folder.path(), &mut backend, None, options.clone());
    end.unwrap();
    let kept = folder.path().join("kept/field");
    let image = kept.join("final/image.fits");
    assert_eq!(fs::read(&image).unwrap(), fs::read(folder.path().join("out/final/image.fits")).unwrap());
    let packed = kept.join("field.tar.gz");
    let written = fs::metadata(&packed).unwrap().modified().unwrap();
    let texts: Vec<&str> = record.messages.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(texts, ["archive: no file matches the pattern `nothing`"]);
    let again = |backend: &mut FakeBackend| run_with(folder.path(), backend, None, options.clone()).1.unwrap();
    again(&mut FakeBackend::new(folder.path(), Script::rising()));
    assert_eq!(fs::metadata(&packed).unwrap().modified().unwrap(), written, "not written again");
    fs::remove_file(&image).unwrap();
    again(&mut FakeBackend::new(folder.path(), Script::rising()));
    assert!(image.exists());
}
