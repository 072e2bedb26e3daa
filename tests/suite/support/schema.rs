//! Schemas of what the program writes, in its own words, and what fits them.

use serde_json::Value;
use std::path::Path;

/// The schema of a format.
pub(crate) fn schema(format: &str) -> Value {
    let output = assert_cmd::Command::cargo_bin("cleanloop").unwrap().args(["schema", format]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The document fits the schema; else every place that does not is named.
pub(crate) fn assert_fits(document: &Value, schema: &Value) {
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap();
    let mistakes: Vec<_> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// Each line, a JSON object, fits the schema of this format.
pub(crate) fn assert_lines_fit(text: &str, format: &str) {
    let schema = schema(format);
    assert!(!text.is_empty());
    for line in text.lines() {
        let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_fits(&line, &schema);
    }
}

/// Record, summary and journals of a campaign fit their schemas.
pub(crate) fn assert_campaign_fits(folder: &Path) {
    let read = |name: &str| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    assert_fits(&read("record.json"), &schema("record"));
    assert_fits(&read("report/summary.json"), &schema("summary"));
    let mut journals = 0;
    for entry in walk(folder) {
        if entry.ends_with("journal.jsonl") {
            assert_lines_fit(&std::fs::read_to_string(entry).unwrap(), "journal");
            journals += 1;
        }
    }
    assert!(journals > 0, "no journal in {}", folder.display());
}

/// The files of a campaign folder and of those of its measurement sets.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let list =
        |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let mut all = list(folder);
    all.extend(all.clone().iter().filter(|path| path.is_dir()).flat_map(|path| list(path)));
    all
}
