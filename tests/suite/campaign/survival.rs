//! What a campaign must survive: a full disk, a journal that lost its tail, a clock that jumps. (A renamed measurement
//! set is in `many`, the death of a node in `slurm`, that of the program in `campaign`.)

use crate::support::fake::Fake;
use cleanloop::campaign::record::State;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn small(at: &Path, megabytes: usize) -> Self {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        assert!(mounted.is_ok_and(|s| s.success()), "this test needs root, who may mount a small disk");
        Self(at.to_path_buf())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs root, who may mount a small disk"]
fn a_disk_that_fills_up_ends_the_run_with_words_and_the_next_run_goes_on() {
    let fake = Fake::new(4, 2, "  resources: {concurrent: 2, threads: 2}");
    let out = fake.path("out");
    let _mount = Mount::small(&out, 24);
    // In the middle of round 1 of one set somebody else fills the disk.
    fake.order(1, 1, "run dd if=/dev/zero of=$here/../out/ballast bs=64k count=4000 2>/dev/null; :\n");
    let output = fake.run();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 3)), "{error}");
    assert!(error.contains("No space left on device") || error.contains("os error 28"), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    fs::remove_file(out.join("ballast")).unwrap();
    let record = fake.succeed();
    assert!(record.datasets.iter().all(|d| d.state == State::Done && d.rounds.len() == 3));
    // What the journal could not take down is done again; all that it holds is not.
    let ledger = fake.ledger();
    assert_eq!(ledger.len(), 12);
    assert_eq!(ledger["b0000 round-00"], (1, 1));
    assert_eq!(ledger["b0001 round-00"], (1, 1));
    for set in 0..4 {
        for round in 0..3 {
            let folder = out.join(format!("b{set:04}/round-{round:02}/image"));
            for name in ["image", "residual", "model", "psf"] {
                let (made, expected) =
                    (folder.join(format!("{name}.fits")), fake.path(&format!("imager/products/{name}.fits")));
                assert_eq!(fs::read(&made).unwrap(), fs::read(&expected).unwrap(), "{} is whole", made.display());
            }
        }
    }
}

#[test]
fn a_journal_that_lost_its_tail_costs_one_step() {
    let fake = Fake::new(1, 2, "");
    fake.succeed();
    let journal = fake.path("out/journal.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    // Cut in the middle of the line that says that round 2's image is done, as a crash of the machine leaves it.
    let line = whole.lines().position(|l| l.contains(r#""event":"done","step":"round-02/image""#)).unwrap();
    let start: usize = whole.lines().take(line).map(|l| l.len() + 1).sum();
    for cut in [start + 40, start, start + whole.lines().nth(line).unwrap().len()] {
        fs::write(fake.path("imager/ledger"), "").unwrap();
        fs::write(&journal, &whole[..cut]).unwrap();
        let record = fake.succeed();
        assert_eq!(record.state, State::Done);
        let ledger = fake.ledger();
        assert_eq!(ledger.values().map(|(begins, _)| begins).sum::<usize>(), 1, "cut at {cut}: {ledger:?}");
        assert_eq!(ledger["b0000 round-02"], (1, 1));
    }
    // A cut behind it, in the line of the metrics, repeats no imaging at all.
    fs::write(fake.path("imager/ledger"), "").unwrap();
    let metrics = whole.lines().position(|l| l.contains(r#""event":"done","step":"round-02/metrics""#)).unwrap();
    let start: usize = whole.lines().take(metrics).map(|l| l.len() + 1).sum();
    fs::write(&journal, &whole[..start + 10]).unwrap();
    fake.succeed();
    assert!(fake.ledger().is_empty());
}

/// libfaketime, which gives a program another clock.
fn faketime() -> PathBuf {
    let found = glob::glob("/usr/lib/*/faketime/libfaketime.so.1").unwrap().flatten().next();
    found.expect("this test needs libfaketime, which is not installed")
}

#[test]
#[ignore = "needs libfaketime"]
fn a_clock_that_jumps_steers_nothing() {
    let library = faketime();
    // Limits that a jump would break if they were kept by the wall clock.
    let fake = Fake::new(3, 2, "  resources: {imager_time_limit: 10m, stall_limit: 10m}");
    let clock = fake.path("imager/clock");
    let run = |offset: &str| {
        fs::write(&clock, offset).unwrap();
        let mut command = fake.command(&["run", "campaign.yaml", "--quiet"]);
        command.env("LD_PRELOAD", &library).env("FAKETIME_TIMESTAMP_FILE", &clock);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.output().unwrap()
    };
    // While imagers run, the clock goes back for years, then ahead, and one of them fails.
    fake.order(0, 1, "run echo -9000d >$here/clock\n");
    fake.order(1, 0, "run echo +4000d >$here/clock\n");
    fake.order(1, 2, "fail\n");
    fake.order(2, 1, "run echo -300d >$here/clock\n");
    let output = run("+0d");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("1 of 3 measurement sets failed"), "{error}");
    let text = fs::read_to_string(fake.path("out/b0000/journal.jsonl")).unwrap();
    let years: Vec<i32> = text
        .lines()
        .skip(1) // The format.
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["time"].as_str().unwrap()[..4].parse().unwrap())
        .collect();
    assert!(years.windows(2).any(|w| w[1] < w[0] - 10), "the clock did jump: {years:?}");
    // The next run, still earlier, finds everything in its order and repeats nothing.
    let output = run("-12000d");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = fake.record();
    assert!(record.datasets.iter().all(|d| d.state == State::Done && d.rounds.len() == 3));
    fake.assert_each_once(3, 2, &|set, round| ((set, round) == (1, 2)).then_some(2));
    let status = fake.command(&["status", "out"]).output().unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains("campaign many: done"));
}
