//! The report of a made-up campaign: every page, its links, its numbers.

use super::html::{assert_sound, cells, pages, read, words};
use crate::support::record::{campaign, cube, dataset, survey};
use cleanloop::campaign::record::{CampaignRecord, DatasetRecord, MessageRecord, RecordError, RoundRecord, State};
use cleanloop::report;
use std::path::Path;

#[test]
fn one_measurement_set() {
    let folder = tempfile::tempdir().unwrap();
    let record = campaign(vec![dataset(folder.path(), "field", 1.0)]);
    let index = report::write(&record, folder.path()).unwrap();
    assert_eq!(index, folder.path().join("report/index.html"));
    let report = folder.path().join("report");
    assert_sound(&report);
    let names: Vec<String> =
        pages(&report).iter().map(|p| p.strip_prefix(&report).unwrap().display().to_string()).collect();
    assert_eq!(
        names,
        ["index.html", "round-00.html", "round-01.html", "round-02.html", "round-03-attempt-2.html", "round-03.html"]
    );
    let html = read(&index).replace("&#x2f;", "/");
    assert!(html.contains("field &lt;1&gt; &amp; more") && html.contains("&lt;b&gt;not markup&lt;"), "text is escaped");
    // The numbers of the table are those of the record, in a unit that is named.
    let rows = cells(&html, "rounds");
    assert_eq!(rows.len(), 5);
    for (row, round) in rows.iter().zip(&record.datasets[0].rounds) {
        let metrics = round.metrics.as_ref().unwrap();
        assert_eq!(row[3].1, Some(metrics.rms));
        let shown: f64 = row[3].0.replace('−', "-").parse().unwrap();
        assert!((shown / (metrics.rms * 1e3) - 1.0).abs() < 1e-3, "{shown} mJy/beam, {metrics:?}");
        assert_eq!(row[4].1, Some(metrics.dynamic_range));
        assert_eq!(row[7].1, Some(metrics.minimum));
        assert_eq!(row[9].1, metrics.model.map(|m| m.total_flux));
    }
    assert!(html.contains("Noise (rms) <span class=\"unit\">mJy/beam</span>"));
    assert_eq!(rows[3][1].0, "rejected");
    assert_eq!(rows[4][0].0, "3.2 ★");
    // Image, residual and model of each round, with the mask's outline where there is one.
    assert_eq!(html.matches("aria-label=\"Restored image of round").count(), 10, "five small ones, five to blink");
    assert_eq!(html.matches("aria-label=\"CLEAN model of round").count(), 5);
    // A curve for each quantity; the rejected attempt is hollow and off the line.
    let rms = html.split("aria-label=\"Noise (rms) against round").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!(rms.matches("<circle").count(), 5);
    assert_eq!(rms.matches("class=\"bad ").count(), 1);
    assert_eq!(rms.matches("class=\"best ").count(), 1);
    let round = read(report.join("round-02.html")).replace("&#x2f;", "/").replace("&#x27;", "&#39;");
    assert_eq!(round.matches("<svg class=\"gain\"").count(), 27);
    assert!(round.contains("class=\"flagged\""));
    assert!(round.contains("12ʰ00ᵐ00ˢ") && round.contains("+40°00′"), "sky coordinates");
    assert!(round.contains("<ellipse") && round.contains("mJy/beam"), "beam and colour bar");
    assert!(round.contains("class=\"mask on-light\""), "mask outline");
    assert_eq!(round.matches("Residual and mask of major cycle").count(), 5);
    assert!(
        round.contains("wsclean -size 1280 1280 -weight briggs 0 -name &#39;a name&#39;"),
        "commands can be pasted"
    );
    assert!(round.contains("2024-03-01 07:35:27 UTC"), "start of the solutions");
    let rejected = read(report.join("round-03.html"));
    assert!(rejected.contains("figure class=\"gain trouble\""));
    insta::assert_snapshot!("words_of_a_measurement_set", words(&html));
    insta::assert_snapshot!("words_of_a_round", words(&round));
    insta::assert_snapshot!("words_of_a_rejected_round", words(&rejected));
    insta::assert_snapshot!("summary", redacted(&read(report.join("summary.json"))));
}

/// Noise depends on the mathematics library in the last digits: six digits are enough.
fn redacted(json: &str) -> String {
    fn round(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Number(n) if n.is_f64() => {
                let short: f64 = format!("{:.3e}", n.as_f64().unwrap()).parse().unwrap();
                *value = serde_json::json!(short);
            }
            serde_json::Value::Array(list) => list.iter_mut().for_each(round),
            serde_json::Value::Object(map) => map.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
    round(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn renewing_draws_only_what_is_new_and_keeps_figures_of_removed_files() {
    let folder = tempfile::tempdir().unwrap();
    let full = campaign(vec![dataset(folder.path(), "field", 1.0)]);
    let mut early = full.clone();
    early.datasets[0].rounds.truncate(2);
    early.datasets[0].best = Some(1);
    early.state = State::Running;
    report::write(&early, folder.path()).unwrap();
    let figures = folder.path().join("report/.figures/only");
    let drawn = |name: &str| std::fs::metadata(figures.join(name)).unwrap().modified().unwrap();
    let first = drawn("round-01.json");
    let index = words(&read(folder.path().join("report/index.html")));
    insta::assert_snapshot!(
        index.lines().last().unwrap(),
        @"cleanloop #.# · state of #-#-# #:#:# UTC · the campaign is under way; reload this page for the latest"
    );
    assert!(!folder.path().join("report/round-02.html").exists());
    // What a disk budget may remove between two rounds.
    std::fs::remove_dir_all(folder.path().join("field/round-01-1/cycles")).unwrap();
    report::write(&full, folder.path()).unwrap();
    assert_eq!(drawn("round-01.json"), first, "an old round is not drawn again");
    let page = read(folder.path().join("report/round-01.html"));
    assert_eq!(page.matches("Residual and mask of major cycle").count(), 5);
    assert_sound(&folder.path().join("report"));
    // A round that a changed campaign no longer has loses its page.
    let stale = folder.path().join("report/round-09.html");
    std::fs::write(&stale, "").unwrap();
    let mut other = full.clone();
    other.datasets[0].messages.push(MessageRecord { text: "changed".into(), ..Default::default() });
    report::write(&other, folder.path()).unwrap();
    assert!(!stale.exists());
    report::write(&full, folder.path()).unwrap();
    // Nothing changed: nothing is written.
    let index = folder.path().join("report/index.html");
    let written = std::fs::metadata(&index).unwrap().modified().unwrap();
    report::write(&full, folder.path()).unwrap();
    assert_eq!(std::fs::metadata(&index).unwrap().modified().unwrap(), written);
}

#[test]
fn missing_and_odd_files_are_named_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = dataset(folder.path(), "field", 1.0);
    data.rounds.truncate(2);
    data.best = Some(1);
    std::fs::remove_file(folder.path().join("field/round-01-1/image/residual.fits")).unwrap();
    std::fs::write(folder.path().join("field/round-01-1/image/model.fits"), "not FITS").unwrap();
    report::write(&campaign(vec![data]), folder.path()).unwrap();
    let page = read(folder.path().join("report/round-01.html"));
    let notices: Vec<&str> = page.split("<div class=\"notice warn\">").skip(1).collect();
    assert_eq!(notices.len(), 2, "{notices:?}");
    for (notice, file) in notices.iter().zip(["residual.fits", "model.fits"]) {
        assert!(notice.split("</div>").next().unwrap().contains(file), "{notice}");
    }
    assert!(page.contains("aria-label=\"Restored image of round 1"));
    assert_sound(&folder.path().join("report"));
}

#[test]
fn a_campaign_that_has_just_begun() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = CampaignRecord::new("fresh");
    record.datasets.push(DatasetRecord { name: "a".into(), ..Default::default() });
    report::write(&record, folder.path()).unwrap();
    insta::assert_snapshot!("words_of_a_fresh_campaign", words(&read(folder.path().join("report/index.html"))));
    record.datasets[0].rounds.push(RoundRecord { attempt: 1, state: State::Running, ..Default::default() });
    report::write(&record, folder.path()).unwrap();
    insta::assert_snapshot!("words_of_a_round_under_way", words(&read(folder.path().join("report/round-00.html"))));
    assert_sound(&folder.path().join("report"));
}

#[test]
fn cubes_have_channels_heat_maps_and_confetti() {
    let folder = tempfile::tempdir().unwrap();
    report::write(&campaign(vec![cube(folder.path())]), folder.path()).unwrap();
    assert_sound(&folder.path().join("report"));
    let page = read(folder.path().join("report/round-00.html"));
    assert_eq!(page.matches("<svg class=\"heat\"").count(), 6);
    assert_eq!(page.matches("aria-label=\"Channel ").count(), 8);
    assert!(page.contains("Pixel 120, 36, channel 5"));
    insta::assert_snapshot!("words_of_a_cube", words(&page));
    assert!(page.contains("class=\"bar pointed\""));
}

#[test]
fn many_measurement_sets_are_sorted_by_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let record = survey(folder.path());
    report::write(&record, folder.path()).unwrap();
    let report = folder.path().join("report");
    assert_sound(&report);
    let rows = cells(&read(report.join("index.html")), "overview");
    let names: Vec<&str> = rows.iter().map(|r| r[0].0.as_str()).collect();
    assert_eq!(names, ["beam03", "beam02", "beam00", "beam01", "cube"]);
    insta::assert_snapshot!("words_of_the_overview", words(&read(report.join("index.html"))));
    assert!(report.join("beam02/round-03-attempt-2.html").is_file());
    let summary: serde_json::Value = serde_json::from_str(&read(report.join("summary.json"))).unwrap();
    assert_eq!(summary["datasets"][3]["state"], "failed");
    assert_eq!(summary["datasets"][1]["page"], "beam01/index.html");
}

#[test]
fn the_subcommand_writes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = || assert_cmd::Command::cargo_bin("cleanloop").unwrap();
    program().arg("report").arg(folder.path()).assert().code(2);
    let error = CampaignRecord::load(folder.path()).unwrap_err();
    assert!(matches!(&error, RecordError::Unreadable { path, .. } if path.ends_with("record.json")), "{error}");
    insta::assert_snapshot!("not_a_campaign", error.to_string().replace(&folder.path().display().to_string(), "DIR"));
    let mut record = campaign(vec![dataset(folder.path(), "field", 1.0)]);
    record.datasets[0].rounds.truncate(1);
    record.datasets[0].best = Some(0);
    record.save(folder.path()).unwrap();
    let done = program().arg("report").arg(folder.path()).assert().success();
    let page = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    assert_eq!(Path::new(page.trim()), folder.path().join("report/index.html"));
    assert_sound(&folder.path().join("report"));
}
