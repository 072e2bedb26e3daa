//! `cleanloop doctor`.

use serde_json::Value;

fn doctor(words: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
    command.arg("doctor").args(words);
    command
}

#[test]
fn a_bare_machine_gets_its_remedies() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let output =
        doctor(&["--json"]).current_dir(&folder).env("PATH", "").env("CLEANLOOP_HOME", &home).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["format"], &found["healthy"]), (&1.into(), &false.into()));
    let line = |check: &Value| {
        let text = |key: &str| check[key].as_str().unwrap_or("-").to_owned();
        format!("{} {}: {}", text("name"), text("health"), text("remedy"))
    };
    let lines: Vec<String> = found["checks"].as_array().unwrap()[4..].iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
#[ignore = "needs wsclean, CASA, QuartiCal, DP3 and MPI"]
fn every_real_program_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(&["--json"]).current_dir(&folder).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{found:#}");
    for check in found["checks"].as_array().unwrap().iter().filter(|check| check["area"] == "programs") {
        assert!(check["trial"]["seconds"].is_number() && check["trial"]["error"].is_null(), "{check:#}");
        assert_eq!(check["found"], check["tried"]);
        let about = check["about"].as_str().unwrap();
        assert_eq!(
            about.contains("\nfacets: rounds by direction are whole runs, as it does"),
            check["name"] == "wsclean",
            "{about}"
        );
    }
}
