//! Masks of cubes as Slurm's jobs.

use super::{slurm, wait_for};
use crate::masks::groups::{bytes, cube};
use crate::support::running::Running;
use std::fs;
use std::path::Path;

fn here(folder: &Path, words: &str) {
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").unwrap();
    command.current_dir(folder).args(words.split_whitespace()).assert().success();
}

/// The options of the jobs: quick ones of a processor.
const JOBS: &str = "--channels-per-job 5 --scheduler slurm --poll 1s --memory-gb 0.2 --time-limit 10m";

fn jobs(folder: &Path, words: &str) -> String {
    let words = format!("{words} {JOBS}");
    let words: Vec<&str> = words.split_whitespace().collect();
    let (status, said) = Running::start(folder, &words).finish();
    assert_eq!(status, Some(0), "{said}");
    said
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn masks_in_jobs_are_those_of_this_machine() {
    let _guard = slurm();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    cube(&at("x.fits"), 0, 2);
    here(folder.path(), "mask x.fits --flood-fill --noise box -o here.fits");
    let said = jobs(folder.path(), "mask x.fits --flood-fill --noise box -o jobs.fits");
    assert!(said.contains("0 of 5 groups are done") && said.contains("5 of 5 groups are done"), "{said}");
    assert!(fs::read(at("here.fits")).unwrap() == fs::read(at("jobs.fits")).unwrap());
    assert!(!at("jobs.groups").exists());
    for cycle in 0..2 {
        let name = format!("r{cycle}.fits");
        cube(&at(&name), cycle, 1);
        let words = |state: &str| format!("automask {name} --state {state} -o {state}.fits --sidelobe-level 0.1");
        here(folder.path(), &words("one"));
        jobs(folder.path(), &words("many"));
        assert!(bytes(&at("one")) == bytes(&at("many")), "the state after cycle {cycle}");
        assert!(fs::read(at("one.fits")).unwrap() == fs::read(at("many.fits")).unwrap());
    }
}

/// The command that follows its jobs is killed while they wait: the same command finds them, and submits none again.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_killed_command_finds_its_jobs_again_and_a_failure_is_told() {
    let _guard = slurm();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    cube(&at("r.fits"), 0, 1);
    let words = "automask r.fits --state state -o mask.fits --sidelobe-level 0.1";
    let scripts = || {
        let parts = fs::read_dir(at("state/groups")).into_iter().flatten().flatten();
        parts
            .flat_map(|part| fs::read_dir(part.path().join("slurm")).into_iter().flatten().flatten())
            .filter(|e| e.path().extension().is_some_and(|e| e == "sh"))
            .count()
    };
    // The jobs hold until the file is there.
    let held = format!("{words} {JOBS} --setup");
    let hold = format!("while [ ! -e {} ]; do sleep 0.1; done", at("go").display());
    let held: Vec<&str> = held.split_whitespace().chain([hold.as_str()]).collect();
    let first = Running::start(folder.path(), &held);
    wait_for("the submission", || scripts() == 1 && super::queued("R").len() > 1);
    first.kill();
    let second = Running::start(folder.path(), &held);
    std::thread::sleep(std::time::Duration::from_secs(2));
    fs::write(at("go"), "").unwrap();
    let (status, said) = second.finish();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("0 of 5 groups are done, "), "{said}");
    here(folder.path(), "automask r.fits --state alone -o alone.fits --sidelobe-level 0.1");
    assert!(bytes(&at("state")) == bytes(&at("alone")));
    // A job that fails says why.
    let failing = format!("{words} {JOBS} --setup");
    let failing: Vec<&str> = failing.split_whitespace().chain(["echo no such module >&2; exit 7"]).collect();
    let (status, said) = Running::start(folder.path(), &failing).finish();
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("5 of 5 groups failed, the first is group 0: no such module"), "{said}");
    assert_eq!(bytes(&at("state")), bytes(&at("alone")), "the state is the one before");
}
