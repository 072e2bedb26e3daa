//! Journals after crashes, damage, and other versions.

use super::*;
use crate::campaign::layout::AttemptId;
use crate::{Error, ExitStatus};

fn image(round: usize) -> StepId {
    StepId::of(AttemptId::first(round), Step::Image)
}

fn key(name: &str) -> StepKey {
    StepKey::of(&name)
}

fn done(step: StepId, name: &str, result: serde_json::Value) -> JournalEvent {
    JournalEvent::Done { step, key: key(name), touches: vec![Column::Model], seconds: 1.0, result }
}

/// A journal of three finished steps.
fn three_steps(folder: &Path) -> PathBuf {
    let path = folder.join("journal.jsonl");
    let mut journal = Journal::open(&path).unwrap();
    for i in 0..3 {
        journal.append(done(image(0), &format!("k{i}"), i.into())).unwrap();
    }
    path
}

#[test]
fn what_was_done_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    {
        let mut journal = Journal::open(&path).unwrap();
        journal.append(done(image(0), "k0", serde_json::json!({"rms": 0.5}))).unwrap();
        assert_eq!(journal.holder(Column::Model), Some(&key("k0")));
        let touches = vec![Column::Model];
        journal.append(JournalEvent::Started { step: image(1), key: key("k1"), touches }).unwrap();
    }
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.result::<serde_json::Value>(image(0), &key("k0")).unwrap()["rms"], 0.5);
    assert!(journal.done(image(0), &key("other")).is_none());
    assert_eq!(journal.last_key(image(0)), Some(&key("k0")));
    assert_eq!((journal.last_key(image(1)), journal.last_begun_key(image(1))), (None, Some(&key("k1"))));
    assert_eq!(journal.holder(Column::Model), None, "an unfinished step leaves the model column unknown");
    assert_eq!(Journal::last_done_key(&path, image(0)), Some(key("k0")));
}

/// Whatever a crash leaves of the file, complete lines count, and the next line is written after them.
#[test]
fn a_journal_cut_at_any_byte_goes_on_from_its_complete_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_steps(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let complete = whole[..cut].iter().filter(|b| **b == b'\n').count().saturating_sub(1);
        assert_eq!(Journal::read(&path).unwrap().len(), complete, "cut at {cut}");
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.entries().len(), complete, "cut at {cut}");
        assert!(journal.done(image(0), &key("k2")).is_none());
        journal.append(done(image(0), "again", 9.into())).unwrap();
        let entries = Journal::open(&path).unwrap().entries().to_vec();
        assert_eq!(entries.len(), complete + 1);
        assert!(entries.iter().enumerate().all(|(i, e)| e.seq == i as u64));
    }
}

#[test]
fn damage_in_the_middle_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_steps(folder.path());
    let whole = std::fs::read_to_string(&path).unwrap();
    for (damage, number) in [("\"seq\":1", 3), ("\"seq\":0", 2), ("{\"format\"", 1)] {
        std::fs::write(&path, whole.replacen(damage, "x", 1)).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { line, .. } if line == number), "{error}");
        assert_eq!(Error::from(error).exit_status(), ExitStatus::BadInput);
    }
    let missing = whole.lines().enumerate().filter(|(i, _)| *i != 1).map(|(_, l)| format!("{l}\n"));
    std::fs::write(&path, missing.collect::<String>()).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { line: 2, .. }), "{error}");
}

#[test]
fn a_journal_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_steps(folder.path());
    let whole = std::fs::read_to_string(&path).unwrap();
    let (_, entries) = whole.split_once('\n').unwrap();
    // Version 0.1 wrote the entries alone.
    for (text, old) in [(entries.to_owned(), true), (format!("{{\"format\":3}}\n{entries}"), false)] {
        std::fs::write(&path, &text).unwrap();
        for error in [Journal::open(&path).map(drop).unwrap_err(), Journal::read(&path).map(drop).unwrap_err()] {
            assert!(matches!(error, JournalError::OtherVersion { earlier, .. } if earlier == old), "{error}");
            assert_eq!(Error::from(error).exit_status(), ExitStatus::BadInput);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it stays as it was");
    }
}

#[test]
fn a_journal_of_an_earlier_version_is_read_and_written_alike() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats/journal.jsonl");
    let before = std::fs::read_to_string(&path).unwrap();
    let entries = Journal::read(&path).unwrap();
    assert_eq!(entries.len(), before.lines().count() - 1);
    for (entry, line) in entries.iter().zip(before.lines().skip(1)) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_value(entry).unwrap(), line);
    }
}
