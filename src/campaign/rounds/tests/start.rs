//! The model that the first calibration starts from.

use super::*;

/// A campaign whose first image is of no use: its S/N is 6.
fn hopeless(start_model: StartModel) -> Script {
    let mut script = Script { start_model, ..Script::rising() };
    script.dynamic_range[0] = vec![6.0];
    script
}

#[test]
fn a_doubted_image_is_tried_against_a_point() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), hopeless(StartModel::Auto));
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Done);
    // Two intervals against the point, two against the image; the point is as good as the image, and simpler.
    let start = record.start.clone().expect("it was doubted");
    let found: Vec<_> = start.trials.iter().map(|t| (t.model, t.solint.as_str())).collect();
    let (point, image) = (StartKind::Point, StartKind::Image);
    assert_eq!(found, [(point, "inf"), (point, "int"), (image, "inf"), (image, "int")]);
    assert_eq!((start.chosen, backend.started.as_deref()), (Some(0), Some("inf")));
    assert_eq!(record.best_round().unwrap().round, 3);
    let calls = backend.calls.join(", ");
    let expected = "measure round-00, make start, predict 1.0, solve 1.0, solve 1.0, predict 0.0, solve 1.0, solve 1.0, \
        predict 1.0, solve 1.0, apply 1.0, image 1.0 CORRECTED_DATA, measure round-01, solve 2.0";
    assert!(calls.contains(expected), "no mask is made from the image that is not trusted: {calls}");
}

#[test]
fn a_sound_image_is_not_doubted_and_image_starts_from_the_image() {
    for script in [Script { start_model: StartModel::Auto, ..Script::rising() }, hopeless(StartModel::Image)] {
        let folder = tempfile::tempdir().unwrap();
        let mut backend = FakeBackend::new(folder.path(), script);
        let (record, end, _) = run(folder.path(), &mut backend);
        end.unwrap();
        assert_eq!((record.start, backend.started), (None, None));
    }
}

#[test]
fn without_good_solutions_the_campaign_ends_with_the_data_as_they_were() {
    let script = Script { start_snr: [("inf", 4.0), ("int", 3.0)], ..hopeless(StartModel::Auto) };
    let folder = tempfile::tempdir().unwrap();
    let mut backend = FakeBackend::new(folder.path(), script);
    let (record, end, _) = run(folder.path(), &mut backend);
    assert_eq!(end.unwrap(), State::Converged);
    assert_eq!(record.best_round().unwrap().round, 0);
    assert_eq!(record.start.clone().unwrap().chosen, None);
    assert!(record.best_why.starts_with("nothing to calibrate on: "), "{}", record.best_why);
    assert!(!backend.calls.iter().any(|call| call.starts_with("apply")), "{:?}", backend.calls);
    let image = fs::read_to_string(folder.path().join("out/round-00/image/image.fits")).unwrap();
    let read = |part: &str| fs::read_to_string(folder.path().join(part)).unwrap();
    assert_eq!([read("out/final/image.fits"), read("field.ms/model")], [image.clone(), image], "its model is in force");
}

#[test]
fn a_killed_start_ends_as_one_that_was_not() {
    let script = hopeless(StartModel::Auto);
    let (expected, calls) = uninterrupted(&script);
    for (fail_at, call) in calls.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut backend = FakeBackend::new(folder.path(), script.clone());
        backend.fail_at = Some(fail_at);
        run(folder.path(), &mut backend).1.unwrap_err();
        let mut again = FakeBackend::new(folder.path(), script.clone());
        let (record, end, _) = run(folder.path(), &mut again);
        end.unwrap();
        assert_eq!(outcome(folder.path()), expected, "killed at {call}");
        assert_eq!(record.start.unwrap().chosen, Some(0));
    }
}

#[test]
fn another_file_is_another_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("start.txt");
    let start = || hopeless(StartModel::File(file.clone()));
    let solved = |backend: &FakeBackend| backend.calls.iter().filter(|call| *call == "make start").count();
    for (content, made) in [("152 7 1", 1), ("152 7 1", 0), ("152 7 2", 1)] {
        fs::write(&file, content).unwrap();
        let mut backend = FakeBackend::new(folder.path(), start());
        run(folder.path(), &mut backend).1.unwrap();
        assert_eq!(solved(&backend), made, "{content}");
    }
}
