//! The best solutions on the data that the copies were made from.

use crate::campaign::selection::{cleanloop, two_fields};
use crate::support::real;
use crate::support::running::{Running, wait_until};
use cleanloop::campaign::record::CampaignRecord;
use cleanloop::measurement_set::{self, checksum};
use std::fs;
use std::path::Path;

/// What `cleanloop apply` is to give, by hand: the tables of each target on its field.
fn by_hand(spw: &str, spwmap: &str) -> String {
    format!(
        "
from casatasks import applycal, clearcal
import json, os
folder = os.path.dirname(ms)
tb.open(ms, nomodify=False)
if 'CORRECTED_DATA' not in tb.colnames():
    tb.close(); clearcal(ms, addmodel=False); tb.open(ms)
tb.close()
for target, field in TARGETS:
    root = os.path.join(folder, 'out', target)
    for member in json.load(open(os.path.join(root, 'final', 'solutions.json'))):
        tables = [os.path.join(root, t['path']) for t in member['tables']]
        chain = member['calibration']['chain']
        applycal(vis=ms, field=field, spw={spw:?}, gaintable=tables, spwmap=[{spwmap}] * len(tables),
                 interp=[chain[0]['interp']] * len(tables), calwt=[chain[0]['calwt']], applymode=chain[0]['applymode'],
                 flagbackup=False)
"
    )
}

fn hand(ms: &Path, targets: &str, spw: &str, spwmap: &str) -> String {
    let program = by_hand(spw, spwmap).replace("TARGETS", targets);
    real::python(ms, &program)
}

fn column(ms: &Path, column: &str) -> String {
    checksum(&real::casa(), ms, column).expect("a checksum")
}

fn copy(folder: &Path, name: &str) -> std::path::PathBuf {
    let to = folder.join(name);
    measurement_set::copy(&folder.join("field.ms"), &to).expect("copied");
    to
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn each_target_gets_its_own_as_by_hand() {
    let folder = two_fields();
    let (folder, field) = (folder.path(), folder.path().join("field.ms"));
    let hands = copy(folder, "hand.ms");
    let data = column(&field, "DATA");
    let run = ["run", "campaign.yaml", "--set", "campaign.field=each", "--set", "wsclean.auto_mask=4"];
    let (status, error) = cleanloop(folder, &run);
    assert_eq!(status, Some(0), "{error}");
    // The two fields share no window (the first half of the rows is the first window): each keeps its own solutions.
    let (status, error) = cleanloop(folder, &["apply", "out"]);
    assert_eq!(status, Some(0), "{error}");
    hand(&hands, "[('CALIBRATOR', 'CALIBRATOR')]", "0", "[]");
    hand(&hands, "[('TARGET_1', 'TARGET 1')]", "1", "[0, 0]");
    let applied = column(&field, "CORRECTED_DATA");
    assert_eq!(applied, column(&hands, "CORRECTED_DATA"));
    assert_eq!(column(&field, "DATA"), data);
    assert_ne!(applied, data);
    // Again: the same; a new measurement set: the same values, and the original is left alone.
    assert_eq!(cleanloop(folder, &["apply", "out"]).0, Some(0));
    assert_eq!(column(&field, "CORRECTED_DATA"), applied);
    let fresh = copy(folder, "fresh.ms");
    let before = column(&fresh, "DATA");
    let (status, error) = cleanloop(folder, &["apply", "out", "--ms", "fresh.ms", "--split", "new.ms"]);
    assert_eq!(status, Some(0), "{error}");
    assert_eq!(column(&folder.join("new.ms"), "DATA"), applied);
    assert_eq!(column(&fresh, "DATA"), before);
    let (status, error) = cleanloop(folder, &["apply", "out", "--split", "new.ms"]);
    assert!(status == Some(2) && error.contains("new.ms: exists"), "{error}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn averages_and_windows_are_undone_and_a_killed_run_gives_the_same() {
    let folder = two_fields();
    let (folder, field) = (folder.path(), folder.path().join("field.ms"));
    let hands = copy(folder, "hand.ms");
    let data = column(&field, "DATA");
    let words = [
        "run",
        "campaign.yaml",
        "--set",
        "campaign.field=TARGET 1",
        "--set",
        "campaign.spw=1:1~3",
        "--set",
        "campaign.average={channels: 3}",
        "--set",
        "campaign.apply_to=original",
        "--set",
        "wsclean.auto_mask=4",
    ];
    // Killed as soon as the step has begun.
    let running = Running::start(folder, &words);
    let journal = folder.join("out/journal.jsonl");
    let begun = || fs::read_to_string(&journal).unwrap_or_default().contains("\"step\":\"apply-to\"");
    wait_until("the last step", crate::support::running::PATIENCE, begun);
    running.kill();
    let (status, error) = cleanloop(folder, &words);
    assert_eq!(status, Some(0), "{error}");
    hand(&hands, "[('', '1')]", "1", "[0, 0]");
    assert_eq!(column(&field, "CORRECTED_DATA"), column(&hands, "CORRECTED_DATA"));
    assert_eq!(column(&field, "DATA"), data);
    let record = CampaignRecord::load(&folder.join("out")).expect("a record");
    let said: Vec<&str> = record.datasets[0].messages.iter().map(|m| m.text.as_str()).collect();
    assert!(said.iter().any(|text| text.contains("are applied to") && text.contains("field.ms")), "{said:?}");
    assert!(said.iter().any(|text| text.contains("no solutions for the window(s) 0")), "{said:?}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn solutions_go_to_their_own_array_only() {
    let folder = two_fields();
    let folder = folder.path();
    let (status, error) = cleanloop(folder, &["run", "campaign.yaml", "--set", "campaign.field=CALIBRATOR"]);
    assert_eq!(status, Some(0), "{error}");
    let other = copy(folder, "other.ms");
    let rename = "tb.open(ms + '/ANTENNA', nomodify=False); tb.putcell('NAME', 0, 'ELSEWHERE'); tb.close()";
    real::python(&other, rename);
    let (status, error) = cleanloop(folder, &["apply", "out", "--ms", "other.ms"]);
    assert!(status == Some(2) && error.contains("are not those that were solved for"), "{error}");
    let (status, error) = cleanloop(folder, &["apply", "nowhere"]);
    assert_eq!(status, Some(2), "{error}");
}
