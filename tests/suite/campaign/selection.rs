//! One field, windows and averages of the data.

use crate::campaign::faults::CAMPAIGN;
use crate::campaign::whole::prepared_with;
use crate::support::real;
use assert_cmd::Command;
use cleanloop::campaign::record::{CampaignRecord, State};
use cleanloop::measurement_set::{MsSummary, checksum};
use serde_json::json;
use std::path::Path;

/// Half of the rows belong to a second field; ALMA's keywords, but not the tables that they name.
pub(crate) const TWO_FIELDS: &str = "
import shutil
tb.open(ms + '/FIELD', nomodify=False)
tb.copyrows(ms + '/FIELD', nrow=1)
tb.putcell('NAME', 0, 'CALIBRATOR'); tb.putcell('NAME', 1, 'TARGET 1'); tb.close()
tb.open(ms, nomodify=False)
field = tb.getcol('FIELD_ID'); field[field.size // 2:] = 1
tb.putcol('FIELD_ID', field); tb.close()
tb.create(ms + '/ASDM_MAIN', {}); tb.close()
tb.open(ms, nomodify=False); tb.putkeyword('ASDM_MAIN', 'Table: ' + ms + '/ASDM_MAIN'); tb.close()
shutil.rmtree(ms + '/ASDM_MAIN')
";
/// Largest difference between the copy and the mean over two channels and two times that are written down here.
const DIFFERENCE: &str = "
def column(path, query):
    tb.open(path); part = tb.query(query, sortlist='TIME'); data = part.getcol('DATA'); part.close(); tb.close()
    return data
data = column(ms, 'FIELD_ID==1 && DATA_DESC_ID==1 && ANTENNA1==0 && ANTENNA2==1')[:, 1:3].mean(axis=1)
first = column(ms, 'FIELD_ID==1 && DATA_DESC_ID==1 && ANTENNA1==0 && ANTENNA2==1').shape[2]
copy = column(ms + '/../out/data/field.ms', 'ANTENNA1==0 && ANTENNA2==1')
assert copy.shape[1:] == (1, first // 2), copy.shape
pairs = data[:, :first // 2 * 2].reshape(data.shape[0], -1, 2).mean(axis=2)
print(abs(copy[:, 0] - pairs).max() / abs(pairs).max())
";

pub(crate) fn cleanloop(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder).args(words).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A folder with data of two fields and two windows, and a campaign of them.
pub(crate) fn two_fields() -> tempfile::TempDir {
    let data = json!({"antennas": 15, "duration_s": 1200, "windows": 2});
    let folder = prepared_with(&CAMPAIGN, &data);
    real::python(&folder.path().join("field.ms"), TWO_FIELDS);
    folder
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn several_fields_are_not_imaged_without_a_word() {
    let folder = two_fields();
    let (status, error) = cleanloop(folder.path(), &["run", "campaign.yaml"]);
    assert_eq!(status, Some(2), "{error}");
    for said in ["0 = CALIBRATOR", "1 = TARGET 1", "0 % flagged", "campaign: field"] {
        assert!(error.contains(said), "{said}: {error}");
    }
    let original = &["run", "campaign.yaml", "--set", "campaign.work_on=original", "--set", "campaign.field=1"];
    let (status, error) = cleanloop(folder.path(), original);
    assert!(status == Some(2) && error.contains("`campaign.field` needs a copy"), "{error}");
    for (set, said) in [
        ("campaign.field=TARGET", "there is no field `TARGET` with data"),
        ("campaign.spw=2", "there is no window 2; it has 0 (channels 0 to 3), 1 (channels 0 to 3)"),
        ("campaign.spw=1:2~4", "window 1 has no channel 4: it has channels 0 to 3"),
    ] {
        let (status, error) = cleanloop(folder.path(), &["plan", "campaign.yaml", "--set", set]);
        assert!(status == Some(2) && error.contains(said), "{set}: {error}");
    }
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn the_copy_is_the_part_that_was_asked_for() {
    let folder = two_fields();
    let field = folder.path().join("field.ms");
    let casa = real::casa();
    let before = checksum(&casa, &field, "DATA").expect("a checksum");
    let integration = MsSummary::read(&casa, &field).expect("a summary").integration_s;
    let average = format!("campaign.average={{time: {}, channels: 2}}", 2.0 * integration);
    let words =
        ["run", "campaign.yaml", "--set", "campaign.field=TARGET 1", "--set", "campaign.spw=1:1~3", "--set", &average];
    let (status, error) = cleanloop(folder.path(), &words);
    assert_eq!(status, Some(0), "{error}");
    assert!(error.contains("leaves out the last 1 channel(s) of window 1"), "{error}");
    let copy = MsSummary::read(&casa, &folder.path().join("out/data/field.ms")).expect("a summary");
    let fields: Vec<&str> = copy.fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!((fields, copy.spectral_windows.len()), (vec!["TARGET 1"], 1));
    let difference: f64 = real::python(&field, DIFFERENCE).trim().parse().expect("a number");
    assert!(difference < 1e-5, "{difference}");
    assert_eq!(checksum(&casa, &field, "DATA").expect("a checksum"), before);
    // A resumed run repeats nothing; another selection starts afresh.
    let journal = || std::fs::read_to_string(folder.path().join("out/journal.jsonl")).expect("a journal");
    let done = |text: &str| text.matches("\"event\":\"done\"").count();
    let first = done(&journal());
    assert_eq!(cleanloop(folder.path(), &words).0, Some(0));
    assert_eq!(done(&journal()), first);
    assert_eq!(cleanloop(folder.path(), &["run", "campaign.yaml", "--set", "campaign.field=0"]).0, Some(0));
    assert!(done(&journal()) > first + 3);
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn each_field_is_a_target() {
    let folder = two_fields();
    let words = ["run", "campaign.yaml", "--set", "campaign.field=each", "--set", "wsclean.auto_mask=4"];
    let (status, error) = cleanloop(folder.path(), &words);
    assert_eq!(status, Some(0), "{error}");
    let record = CampaignRecord::load(&folder.path().join("out")).expect("a record");
    let ends: Vec<(&str, State)> = record.datasets.iter().map(|d| (d.name.as_str(), d.state)).collect();
    assert_eq!(ends, [("CALIBRATOR", State::Done), ("TARGET_1", State::Done)]);
    assert!(folder.path().join("out/TARGET_1/final/image.fits").exists());
}
