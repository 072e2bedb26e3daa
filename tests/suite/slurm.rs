//! Campaigns on a real Slurm of one node, which `make test-slurm` starts and stops (`scripts/test-slurm.sh`). Everywhere
//! else these tests say that they are skipped.

use crate::fake::Fake;
use cleanloop::campaign::record::State;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(240);

/// One test at a time has the cluster: some of them take its node down.
fn slurm() -> Option<std::sync::MutexGuard<'static, ()>> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    if std::env::var_os("CLEANLOOP_TEST_SLURM").is_none() {
        eprintln!("skipped: needs a Slurm of its own; `make test-slurm` starts one");
        return None;
    }
    let guard = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    client(&["scancel", "--me"]);
    wait_for("an empty queue", || client(&["squeue", "-h"]).is_empty());
    Some(guard)
}

fn client(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let waiting = Instant::now();
    while !there() {
        assert!(waiting.elapsed() < PATIENCE, "waited for {what}; the queue: {}", client(&["squeue", "-h"]));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Campaign settings for a quick cluster: jobs of one processor, asked for once a second.
fn fake(sets: usize, last: usize, keys: &str) -> Fake {
    let poll = if keys.contains("poll:") { "" } else { ", poll: 1s" };
    let block = format!("  scheduler: {{engine: slurm, memory_gb: 0.2, time_limit: 30m{poll}{keys}}}");
    Fake::new(sets, last, &block)
}

fn follow(fake: &Fake, words: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_cleanloop"))
        .current_dir(fake.folder.path())
        .args(["run", "campaign.yaml"])
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(child: Child, code: i32) -> String {
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words}");
    words
}

fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

fn begun(fake: &Fake) -> usize {
    fake.ledger().values().map(|(begins, _)| begins).sum()
}

fn submissions(fake: &Fake) -> usize {
    let names = fs::read_dir(fake.path("out/slurm")).unwrap().flatten().map(|e| e.file_name());
    names.filter(|n| n.to_string_lossy().ends_with(".sh")).count()
}

/// The end of a campaign, written by whoever looked last.
fn wait_for_end(fake: &Fake, state: State) {
    wait_for("the end of the campaign", || {
        cleanloop::campaign::record::CampaignRecord::load(&fake.path("out")).is_ok_and(|r| r.state == state)
    });
}

/// A run that ends well. The steward of the run before may be at its last look, and hold the folder for a moment.
fn succeed(fake: &Fake) -> cleanloop::campaign::record::CampaignRecord {
    let waiting = Instant::now();
    loop {
        let output = fake.run();
        if output.status.success() {
            return fake.record();
        }
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("another cleanloop is at work here") && waiting.elapsed() < PATIENCE, "{words}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_campaign_runs_as_arrays_and_a_second_run_submits_nothing() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(5, 2, ", rounds: {2: {cpus: 2, memory_gb: 0.3, arguments: ['--comment=deep']}}");
    let record = succeed(&fake);
    assert_eq!(record.state, State::Done);
    assert!(record.datasets.iter().all(|d| d.state == State::Done && d.rounds.len() == 3), "{:?}", record.datasets[0]);
    fake.assert_each_once(5, 2, &|_, _| None);
    assert!(fake.path("out/report/index.html").is_file() && fake.path("out/b0003/final/image.fits").is_file());
    let script = fs::read_to_string(fake.path("out/slurm/00003.sh")).unwrap();
    for line in ["--array=0-4", "--dependency=aftercorr:", "--cpus-per-task=2", "--mem=300M", "--comment=deep"] {
        assert!(script.contains(line), "{line}: {script}");
    }
    let before = submissions(&fake);
    succeed(&fake);
    assert_eq!(submissions(&fake), before, "what is done is not submitted again");
    let status = fake.command(&["status", "out"]).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("campaign many: done") && status.contains("jobs in Slurm"), "{status}");
    let line = status.lines().find(|l| l.contains("round 2 ") && l.contains("completed")).unwrap_or_default();
    assert!(line.split_whitespace().any(|w| w == "5"), "{status}");
}

#[test]
fn a_failure_leaves_nothing_waiting_and_the_next_run_tries_again() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(4, 2, "");
    fake.order(1, 1, "fail\n");
    let words = finish(follow(&fake, &[]), 3);
    assert!(words.contains("1 of 4 measurement sets failed") && words.contains("told to fail"), "{words}");
    assert_eq!(fake.record().datasets[1].state, State::Failed);
    wait_for("the steward", || client(&["squeue", "-h", "-t", "PD,R"]).is_empty());
    assert!(!fake.ledger().contains_key("b0001 round-02"), "its last round was never begun");
    succeed(&fake);
    fake.assert_each_once(4, 2, &|set, round| ((set, round) == (1, 1)).then_some(2));
}

#[test]
fn on_failure_stop_cancels_the_others() {
    let Some(_guard) = slurm() else { return };
    let block = "  on_failure: stop\n  scheduler: {engine: slurm, poll: 1s, memory_gb: 0.2}";
    let fake = Fake::new(4, 1, block);
    fake.order(0, 0, "fail\n");
    for set in 1..4 {
        fake.order(set, 0, "sleep 120\n");
    }
    let clock = Instant::now();
    let words = finish(follow(&fake, &[]), 3);
    assert!(words.contains("1 of 4 measurement sets failed and 3 were not begun"), "{words}");
    assert!(clock.elapsed() < Duration::from_secs(100));
    assert!(client(&["squeue", "-h", "-t", "PD,R"]).is_empty(), "nothing is left in the queue");
}

/// The login session ends (the run that follows is killed); the jobs, and the steward, do the rest.
#[test]
fn the_jobs_survive_the_run_that_submitted_them() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(4, 2, "");
    fs::write(fake.path("imager/pause"), "2").unwrap();
    let mut child = follow(&fake, &[]);
    wait_for("the first round", || begun(&fake) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let status = fake.command(&["status", "out"]).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("round 2") && status.contains("pending"), "{status}");
    // What would work on the same files is refused.
    for words in
        [vec!["run", "campaign.yaml", "--set", "campaign.scheduler=local"], vec!["run", "campaign.yaml", "--restart"]]
    {
        let output = fake.command(&words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("still in Slurm's queue") && error.contains("cleanloop cancel"), "{error}");
    }
    // A run that finds the jobs in the queue follows them and submits nothing.
    let before = submissions(&fake);
    let mut second = follow(&fake, &[]);
    wait_for("half of the work", || begun(&fake) >= 6);
    assert_eq!(submissions(&fake), before);
    second.kill().unwrap();
    second.wait().unwrap();
    wait_for_end(&fake, State::Done);
    fake.assert_each_once(4, 2, &|_, _| None);
}

#[test]
fn detached_the_steward_submits_lost_jobs_again_and_ends_the_campaign() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(3, 1, ", arguments: ['--no-requeue'], retries: 2");
    fake.order(1, 0, "sleep 20\n");
    let output = fake.command(&["run", "campaign.yaml", "--detach"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_for("the long job alone", || begun(&fake) == 5 && client(&["squeue", "-h", "-t", "R"]).lines().count() == 1);
    node_dies();
    wait_for_end(&fake, State::Done);
    fake.assert_each_once(3, 1, &|set, round| ((set, round) == (1, 0)).then_some(2));
}

/// The node is taken down in mid-run: Slurm ends the jobs as NODE_FAIL (or brings them back, if it may).
fn node_dies() {
    let node = client(&["sinfo", "-h", "-o", "%n"]);
    client(&["scontrol", "update", &format!("nodename={node}"), "state=down", "reason=test"]);
    std::thread::sleep(Duration::from_secs(2));
    client(&["scontrol", "update", &format!("nodename={node}"), "state=resume"]);
    // Jobs may be on it again already.
    wait_for("the node", || ["idle", "mixed", "allocated"].contains(&client(&["sinfo", "-h", "-o", "%T"]).as_str()));
}

#[test]
fn a_node_s_death_is_survived_by_slurm_s_own_requeue() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(3, 1, "");
    fake.order(1, 0, "sleep 60\n");
    let child = follow(&fake, &[]);
    wait_for("the long job alone", || begun(&fake) == 5 && client(&["squeue", "-h", "-t", "R"]).lines().count() == 1);
    node_dies();
    // Slurm holds a requeued job back for two minutes; nobody needs to wait for that here.
    wait_for("the second start", || {
        for job in client(&["squeue", "-h", "-r", "-t", "PD", "-o", "%i|%r"]).lines() {
            if let Some((id, "BeginTime")) = job.split_once('|') {
                client(&["scontrol", "update", &format!("jobid={id}"), "StartTime=now"]);
            }
        }
        fake.ledger().get("b0001 round-00").is_some_and(|(begins, _)| *begins == 2)
    });
    finish(child, 0);
    assert_eq!(fake.record().state, State::Done);
    fake.assert_each_once(3, 1, &|set, round| ((set, round) == (1, 0)).then_some(2));
}

#[test]
fn a_job_that_is_lost_each_time_is_given_up() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(2, 0, ", arguments: ['--no-requeue'], retries: 1");
    fake.order(1, 0, "sleep 60\nsleep 60\n");
    let child = follow(&fake, &[]);
    for tries in 1..=2 {
        wait_for("the long job", || fake.ledger().get("b0001 round-00").is_some_and(|(begins, _)| *begins == tries));
        // A job is busy for a while after its imager has ended: it must not be lost with the long one.
        wait_for("the short job's end", || {
            fake.ledger().get("b0000 round-00").is_some_and(|(_, ends)| *ends == 1)
                && client(&["squeue", "-h", "-t", "R,CG"]).lines().count() == 1
        });
        node_dies();
    }
    let words = finish(child, 3);
    assert!(words.contains("the job of round 0 was lost 2 time(s): its node failed"), "{words}");
    succeed(&fake);
    assert_eq!(fake.ledger()["b0000 round-00"], (1, 1));
}

#[test]
fn a_campaign_is_cancelled_and_goes_on_later() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(3, 1, "");
    fs::write(fake.path("imager/pause"), "30").unwrap();
    let child = follow(&fake, &[]);
    wait_for("the first round", || begun(&fake) == 3);
    let output = fake.command(&["cancel", "out"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && words.contains("cancelled"), "{words}");
    assert!(client(&["squeue", "-h", "-t", "PD,R"]).is_empty(), "nothing is left in the queue");
    finish(child, 130);
    let record = fake.record();
    assert_eq!(record.state, State::Interrupted);
    assert!(record.datasets.iter().all(|d| d.state == State::Interrupted));
    let journal = fs::read_to_string(fake.path("out/b0001/journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"interrupted""#), "the job had the time to say so: {journal}");
    fs::remove_file(fake.path("imager/pause")).unwrap();
    succeed(&fake);
    fake.assert_each_once(3, 1, &|_, round| (round == 0).then_some(2));
}

#[test]
fn an_interruption_leaves_the_jobs_alone_or_cancels_them() {
    let Some(_guard) = slurm() else { return };
    let fake = fake(2, 0, "");
    fs::write(fake.path("imager/pause"), "3").unwrap();
    let child = follow(&fake, &[]);
    wait_for("the jobs", || begun(&fake) == 2);
    signal(&child, nix::sys::signal::Signal::SIGINT);
    let words = finish(child, 130);
    assert!(words.contains("the jobs go on"), "{words}");
    succeed(&fake);
    fake.assert_each_once(2, 0, &|_, _| None);
    let fake = self::fake(2, 0, "");
    fs::write(fake.path("imager/pause"), "60").unwrap();
    let child = follow(&fake, &["--cancel-on-interrupt"]);
    wait_for("the jobs", || begun(&fake) == 2);
    signal(&child, nix::sys::signal::Signal::SIGINT);
    finish(child, 130);
    assert!(client(&["squeue", "-h", "-t", "PD,R"]).is_empty(), "nothing is left in the queue");
    assert_eq!(fake.record().state, State::Interrupted);
}

/// The real programs as jobs: wsclean images, CASA calibrates, and the second round is better than the first.
#[test]
fn wsclean_and_casa_as_jobs() {
    let Some(_guard) = slurm() else { return };
    let Some(casa) = crate::real::casa() else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        crate::real::field(&casa, folder.path(), &serde_json::json!({"antennas": 15, "duration_s": 1200}));
        fs::rename(folder.path().join("field.ms"), folder.path().join(format!("{name}.ms"))).unwrap();
    }
    drop(casa);
    let campaign = crate::campaign::CAMPAIGN
        .replace("[field.ms]", "[one.ms, two.ms]")
        .replace("rounds: 2,", "rounds: 1, scheduler: {engine: slurm, poll: 2s, memory_gb: 3, cpus: 1},");
    fs::write(folder.path().join("campaign.yaml"), campaign).unwrap();
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").unwrap();
    let output = command.current_dir(folder.path()).args(["run", "campaign.yaml", "-q"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = cleanloop::campaign::record::CampaignRecord::load(&folder.path().join("out")).unwrap();
    for dataset in &record.datasets {
        let ranges: Vec<f64> = dataset.rounds.iter().map(|r| r.metrics.as_ref().unwrap().dynamic_range).collect();
        assert!(ranges.len() == 2 && ranges[1] > ranges[0], "{}: {ranges:?}", dataset.name);
    }
    assert!(record.tools.iter().any(|t| t.name == "casa"));
}

/// Slurm's `MaxArraySize` is smaller than the campaign, some sets fail, some jobs die: nothing is lost, nothing is done
/// twice. CLEANLOOP_TEST_SLURM_SETS sets the number; `make test-slurm-full` runs the 2,000.
#[test]
fn many_sets_with_failures_nothing_lost_and_nothing_twice() {
    let Some(_guard) = slurm() else { return };
    let sets: usize = std::env::var("CLEANLOOP_TEST_SLURM_SETS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let fake = fake(sets, 1, ", poll: 2s");
    let fails = |set: usize, round: usize| (round == 0 && set % 20 == 7) || (round == 1 && set % 25 == 11);
    for set in 0..sets {
        for round in 0..2 {
            if fails(set, round) {
                fake.order(set, round, if set % 2 == 1 { "kill\n" } else { "fail\n" });
            }
        }
    }
    let failing = (0..sets).filter(|s| fails(*s, 0) || fails(*s, 1)).count();
    let clock = Instant::now();
    let words = finish(follow(&fake, &["-q"]), 3);
    assert!(words.contains(&format!("{failing} of {sets} measurement sets failed")), "{words}");
    let first = clock.elapsed();
    let record = succeed(&fake);
    println!(
        "{sets} sets: {:.0} s, then {:.0} s for those that failed",
        first.as_secs_f64(),
        (clock.elapsed() - first).as_secs_f64()
    );
    assert!(record.datasets.iter().all(|d| d.state == State::Done));
    fake.assert_each_once(sets, 1, &|set, round| fails(set, round).then_some(2));
}
