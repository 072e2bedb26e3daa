//! Many measurement sets in one campaign on this machine, with an imager that is a small script.

use crate::support::fake::Fake;
use crate::support::running::Running;
use crate::support::words::{dialogue, said};
use cleanloop::campaign::record::State;
use std::fs;

/// The whole number of a large survey night; each round of each set is one call of the imager.
const SETS: usize = 2000;

#[test]
#[ignore = "large: half a minute of campaigns"]
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
    assert_eq!(error.lines().next(), Some(&*format!("error: {failing} of {SETS} measurement sets failed")), "{error}");
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
    insta::assert_snapshot!(said(&output, fake.folder.path()));
    assert_eq!(fake.ledger().len(), 3);
    fake.succeed();
    fake.assert_each_once(6, 0, &|set, _| (set == 2).then_some(2));
}

#[test]
fn the_overview_of_a_campaign_begins_with_the_set_that_failed() {
    let fake = Fake::new(4, 0, "");
    fake.order(2, 0, "fail\n");
    assert_eq!(fake.run().status.code(), Some(3));
    let page = fs::read_to_string(fake.path("out/report/index.html")).unwrap();
    let body = &page[page.find("<tbody").expect("a table")..];
    let place = |name: &str| body.find(&format!(">{name}<")).unwrap_or_else(|| panic!("{name} is listed"));
    assert!(place("b0002") < place("b0000") && place("b0000") < place("b0001"), "sorted by trouble, then as listed");
    assert!(body[..place("b0000")].contains("told to fail"), "and says why");
}

/// The steward of a campaign's jobs holds the lock for a moment; everybody else keeps it.
#[test]
fn a_run_waits_for_a_steward_and_for_nobody_else() {
    use cleanloop::util::lock::{CAMPAIGN_LOCK, Lock, STEWARD};
    let fake = Fake::new(2, 0, "");
    let out = fake.path("out");
    let other = Lock::take(&out).unwrap();
    let refused = fake.run();
    // This process has the lock.
    let holder = format!(r"process {} on \S+, since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ", std::process::id());
    let holder = regex::Regex::new(&holder).unwrap();
    let words = said(&refused, fake.folder.path());
    insta::assert_snapshot!(holder.replace(&words, "process PID on HOST, since TIME"));
    assert!(fake.ledger().is_empty());
    drop(other);
    let steward = Lock::take_in_role(&out, CAMPAIGN_LOCK, STEWARD).unwrap();
    let mut run = Running::start(fake.folder.path(), &["run", "campaign.yaml"]);
    let errors = run.errors_file();
    let waits =
        || fs::read_to_string(&errors).unwrap().contains("the steward of the jobs is at work here: waiting for it");
    run.wait_until("its word that it waits", waits);
    assert!(fake.ledger().is_empty());
    drop(steward);
    let (status, error) = run.finish();
    assert_eq!(status, Some(0), "{error}");
    assert_eq!(fake.record().state, State::Done);
    fake.assert_each_once(2, 0, &|_, _| None);
}

/// SIGKILL in the middle of archiving: the next run collects again, and repeats nothing else.
#[test]
fn a_kill_while_the_archive_is_written_leaves_no_half_and_is_made_up_for() {
    let block = "  archive: {copy: ['final/image.fits'], compress: ['round-00/image/*'], to: kept}";
    let fake = Fake::new(2, 0, block);
    // Takes seconds to pack.
    fake.order(0, 0, "run head -c 80000000 /dev/urandom >$folder/bulk.bin\n");
    let mut run = Running::start(fake.folder.path(), &["run", "campaign.yaml", "--quiet"]);
    let (tar, part) = (fake.path("kept/b0000/b0000.tar.gz"), fake.path("kept/b0000/.b0000.tar.gz.part"));
    run.wait_until("half an archive", || part.metadata().is_ok_and(|m| m.len() > 0));
    run.kill();
    assert!(part.exists() && !tar.exists(), "half an archive has not the name of a whole one");
    let ledger = fake.ledger();
    let record = fake.succeed();
    assert!(record.datasets.iter().all(|d| d.state == State::Done));
    fake.assert_each_once(2, 0, &|_, _| None);
    assert_eq!(ledger["b0000 round-00"], (1, 1), "it was the archive that was cut off");
    assert!(tar.exists() && !part.exists());
    assert!(fake.path("kept/b0001/b0001.tar.gz").exists() && fake.path("kept/b0001/final/image.fits").exists());
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(&tar).unwrap()));
    let bulk = fs::read(fake.path("out/b0000/round-00/image/bulk.bin")).unwrap();
    let mut found = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        let original = fs::read(fake.path("out/b0000").join(&name)).unwrap();
        assert!(bytes == original, "{name}");
        found += usize::from(bytes == bulk);
    }
    assert_eq!(found, 1);
}

fn names_in(path: &std::path::Path) -> Vec<String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(path).unwrap()));
    archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

/// flint's mode `archive`: used where a folder is named for it, as with flint.
#[test]
fn a_strategy_s_archive_goes_where_it_is_told() {
    let fake = Fake::new(2, 1, "");
    let text = fs::read_to_string(fake.path("campaign.yaml")).unwrap();
    let mode = "defaults:\n  archive:\n    tar_file_re_patterns: !!python/tuple ['b000[01].*round1.*image\\.fits', '.*yaml']\n    \
                copy_file_re_patterns: ['final.*psf']\nselfcal:";
    let text = text.replace("selfcal:", mode);
    fs::write(fake.path("campaign.yaml"), text.replace(".*yaml", "(?<!a)b")).unwrap();
    let output = fake.command(&["validate", "campaign.yaml"]).output().unwrap();
    insta::assert_snapshot!("an_archive_s_pattern_is_refused", said(&output, fake.folder.path()));
    fs::write(fake.path("campaign.yaml"), text).unwrap();
    let warning = |words: &[&str]| -> Vec<String> {
        let output = fake.command(words).output().unwrap();
        let words = said(&output, fake.folder.path());
        assert!(output.status.success(), "{words}");
        words.lines().filter(|line| line.contains("`archive`")).map(str::to_owned).collect()
    };
    insta::assert_snapshot!("an_archive_without_a_folder", warning(&["run", "campaign.yaml"]).join("\n"));
    assert!(!fake.path("out/b0000/archive").exists());
    // Told where to, the same campaign collects, and repeats nothing.
    assert_eq!(warning(&["run", "campaign.yaml", "--sbid-archive-path", "tars"]), Vec::<String>::new());
    fake.assert_each_once(2, 1, &|_, _| None);
    assert_eq!(names_in(&fake.path("tars/b0001/b0001.tar.gz")), ["round-01/image/image.fits"]);
    assert_eq!(names_in(&fake.path("tars/campaign/campaign.tar.gz")), ["campaign.yaml"]);
    assert!(!fake.path("tars/b0001/final").exists(), "a folder for tar files is none for copies");
    let output = fake.command(&["run", "campaign.yaml", "--quiet", "--sbid-copy-path", "copies"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fake.path("copies/b0000/final/psf.fits").is_file() && !fake.path("copies/b0000/b0000.tar.gz").exists());
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

#[test]
fn a_folder_of_version_0_1_is_refused_until_it_is_put_aside() {
    let fake = Fake::new(1, 0, "");
    fake.succeed();
    let (record, journal) = (fake.path("out/record.json"), fake.path("out/journal.jsonl"));
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains("\"format\":2"), "{text}");
    let of_old = text.replacen("\"format\":2", "\"format\":1", 1);
    fs::write(&record, &of_old).unwrap();
    // Journals of 0.1 have no line with the format.
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.split_once('\n').unwrap().1).unwrap();
    let lines = ["run campaign.yaml --quiet", "status out", "report out"];
    let record_of_old = dialogue(fake.folder.path(), lines);
    assert_eq!(fs::read_to_string(&record).unwrap(), of_old, "it stays as it was");
    // A record that was lost leaves the journal.
    fs::remove_file(&record).unwrap();
    let journal_of_old = dialogue(fake.folder.path(), ["run campaign.yaml --quiet"]);
    insta::assert_snapshot!(record_of_old + &journal_of_old);
    let output = fake.command(&["run", "campaign.yaml", "--quiet", "--restart"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fake.record().state, State::Done);
    assert!(fake.path("out/discarded-1/journal.jsonl").is_file());
}
