//! Several measurement sets that are imaged together: one image and judgement, tables and columns of their own.

use super::*;
use crate::campaign::record::MemberRecord;

fn nights() -> Script {
    Script { sets: vec!["a", "b"], ..Script::rising() }
}

#[test]
fn each_set_is_solved_and_corrected_and_all_are_imaged_and_judged_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), nights());
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Done);
    let calls = backend.calls.join(", ");
    let expected = "prepare, image 0.0 DATA, measure round-00, solve 1.0, solve 1.0 b, apply 1.0, apply 1.0 b, \
        mask 1.0, image 1.0 CORRECTED_DATA, measure round-01, solve 2.0, solve 2.0 b, apply 2.0";
    assert!(calls.starts_with(expected), "{calls}");
    let best = record.best_round().unwrap();
    assert_eq!(best.solutions.as_ref().unwrap().solutions, 20);
    let tables: Vec<&Path> = best.members.iter().map(|member| member.tables[0].path.as_path()).collect();
    let calibration = folder.path().join("out/round-03/calibration");
    assert_eq!(tables, [calibration.join("a/gains.cal"), calibration.join("b/gains.cal")]);
    for file in ["image.fits", "a/gains.cal", "b/gains.cal", "a/apply-solutions.txt", "b/apply-solutions.txt"] {
        assert!(folder.path().join("out/final").join(file).exists(), "{file}");
    }
    assert_eq!(record.apply_line.as_deref(), Some("# a\napplycal(...)\n# b\napplycal(...)"));
    assert_eq!(record.sources.len(), 2);
}

#[test]
fn a_failure_anywhere_changes_nothing_in_the_end_of_several_sets() {
    let mut rejecting = nights();
    rejecting.dynamic_range[3] = vec![150.0, 320.0];
    fails_anywhere(&rejecting);
    let mut undone = nights();
    undone.dynamic_range[3] = vec![150.0];
    fails_anywhere(&undone);
}

#[test]
fn solves_at_the_same_time_give_the_same_and_each_is_done_once() {
    let three = Script { sets: vec!["a", "b", "c"], ..Script::rising() };
    let at_once = Script { at_once: 2, ..three.clone() };
    assert_eq!(uninterrupted(&at_once), uninterrupted(&three));
    fails_anywhere(&at_once);
}

#[test]
fn sets_with_intervals_of_their_own_are_solved_with_them_and_resumed_to_the_same() {
    let script = Script { own_chains: true, ..nights() };
    let folder = tempfile::tempdir().unwrap();
    let (record, end, _) = run(folder.path(), &mut FakeBackend::new(folder.path(), script.clone()));
    assert_eq!(end.unwrap(), State::Done);
    let best = record.best_round().unwrap();
    assert_eq!(best.chain[0].solint, "60s");
    let own = |member: &MemberRecord| member.chain.first().map(|term| term.solint.clone());
    let intervals: Vec<Option<String>> = best.members.iter().map(own).collect();
    assert_eq!(intervals, [None, Some("120s".to_owned())], "named where they differ from those of the round");
    let gains = |member: usize| fs::read(&best.members[member].tables[0].path).unwrap();
    assert_ne!(gains(0), gains(1), "each was solved with its own options");
    fails_anywhere(&script);
    let at_once = Script { at_once: 2, ..script.clone() };
    assert_eq!(uninterrupted(&at_once), uninterrupted(&script));
}

#[test]
fn a_worse_round_is_undone_in_all_sets() {
    let mut script = nights();
    script.dynamic_range[2] = vec![150.0, 140.0];
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    run(folder.path(), &mut backend).1.unwrap();
    let calls = backend.calls.join(", ");
    assert!(calls.ends_with("measure round-02-retry, apply 1.0, apply 1.0 b, predict 1.0"), "{calls}");
}

#[rstest::rstest]
#[case::from_the_start(1, "its data stay as they are")]
#[case::later(2, "it keeps its earlier tables")]
fn a_weak_set_does_not_spoil_the_others(#[case] from: usize, #[case] said: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = Script { weak: Some((1, from)), ..nights() };
    let mut backend = FakeBackend::new(folder.path(), script.clone());
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Done);
    let best = record.best_round().unwrap();
    assert_eq!((best.round, best.solutions.as_ref().unwrap().flagged_fraction), (3, 0.0));
    let [good, weak] = &best.members[..] else { panic!("two sets") };
    assert!(good.weak.is_none() && good.tables.len() == 1);
    assert!(weak.weak.is_some() && weak.tables.len() == from - 1);
    let text = record.messages.iter().map(|m| m.text.as_str()).find(|text| text.starts_with("round 2")).unwrap();
    assert_eq!(
        text,
        format!(
            "round 2: the solutions of b are too weak and do not count: 100.0 % of 10 solutions flagged, 30.0 % allowed; \
             {said}"
        )
    );
    // Nothing is applied to it again.
    assert_eq!(backend.calls.iter().filter(|call| call.starts_with("apply") && call.ends_with('b')).count(), 1);
    assert_eq!(folder.path().join("out/final/b").exists(), from == 2);
    fails_anywhere(&script);
}

#[test]
fn a_weak_set_that_spoils_the_image_is_left_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = Script { weak: Some((1, 2)), gain_without: 1.5, ..nights() };
    script.dynamic_range[3] = vec![600.0];
    let mut backend = FakeBackend::new(folder.path(), script.clone());
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Done);
    let calls = backend.calls.join(", ");
    // Both images once; afterwards it stays out. The imager writes the model into what it images: the weak set's is put in.
    let expected = "image 2.0 CORRECTED_DATA, measure round-02, image 2.0 CORRECTED_DATA without, measure round-02, \
        predict 2.0, solve 3.0, solve 3.0 b, apply 3.0, mask 3.0, image 3.0 CORRECTED_DATA without, measure round-03, predict 3.0";
    assert!(calls.ends_with(expected), "{calls}");
    let best = record.best_round().unwrap();
    assert_eq!(best.members.iter().map(|member| member.left_out).collect::<Vec<_>>(), [false, true]);
    let said =
        "round 2: b is left out of the image while the solutions are too weak: dynamic range 300 with, 450 without";
    assert!(record.messages.iter().any(|message| message.text == said), "{:?}", record.messages);
    fails_anywhere(&script);
}

#[test]
fn a_weak_set_that_does_no_harm_is_imaged_with_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script { weak: Some((1, 3)), gain_without: 1.01, ..nights() };
    let mut backend = FakeBackend::new(folder.path(), script.clone());
    let (record, end, _) = run(folder.path(), &mut backend);
    end.unwrap();
    assert!(record.best_round().unwrap().members.iter().all(|member| !member.left_out));
    let calls = backend.calls.join(", ");
    let expected = "image 3.0 CORRECTED_DATA without, measure round-03, predict 3.0";
    assert!(calls.ends_with(expected), "{calls}");
    fails_anywhere(&script);
}

#[test]
fn sets_that_are_all_weak_are_judged_together() {
    let mut script = nights();
    script.flagged[2] = 0.9;
    let folder = tempfile::tempdir().unwrap();
    let (record, end, _) = run(folder.path(), &mut FakeBackend::new(folder.path(), script));
    end.unwrap();
    assert_eq!(record.best_round().unwrap().round, 1);
    insta::assert_snapshot!(record.rounds[2].decision.as_ref().unwrap().summary);
}
