//! Campaigns on a real Slurm of one node, which `make test-slurm` starts and stops (`scripts/test-slurm.sh`);
//! ignored everywhere else.

mod facets;
mod masks;

use crate::support::fake::Fake;
use crate::support::running::{PATIENCE, Running, wait_until};
use cleanloop::campaign::record::State;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time between two questions to Slurm.
const PAUSE: Duration = Duration::from_millis(200);

/// One test at a time has the cluster: some of them take its node down.
fn slurm() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let own = std::env::var_os("CLEANLOOP_TEST_SLURM");
    assert!(own.is_some(), "this test needs a Slurm of its own; `make test-slurm` starts one");
    let guard = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    client(&["scancel", "--me"]);
    // A test that failed may have left it down.
    if client(&["sinfo", "-h", "-p", "main", "-o", "%T"]).contains("down") {
        set_node("resume");
    }
    wait_for_empty_queue();
    guard
}

fn client(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// Asks Slurm no more often than a few times a second.
fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let mut asked = Instant::now() - PAUSE;
    wait_until(what, PATIENCE, || {
        let due = asked.elapsed() >= PAUSE;
        if due {
            asked = Instant::now();
        }
        due && there()
    });
}

/// Nothing waits, runs, or is about to end.
fn wait_for_empty_queue() {
    wait_for("an empty queue", || client(&["squeue", "-h"]).is_empty());
}

/// Jobs in the queue with one of these states (Slurm's short names), an index of an array a line.
fn queued(states: &str) -> Vec<String> {
    client(&["squeue", "-h", "-r", "-t", states, "-o", "%F_%K"]).lines().map(String::from).collect()
}

/// The job that holds this round of this set back runs, and no other job runs or is about to end: a job is busy for a
/// while after its imager has written its last word, and must not be lost with the one that is meant.
fn wait_until_alone(fake: &Fake, place: &str, begins: usize) {
    wait_for(place, || fake.ledger().get(place) == Some(&(begins, 0)) && queued("R,CG,CF,S").len() == 1);
}

/// Campaign settings for a quick cluster: jobs of one processor, asked for once a second.
fn fake(sets: usize, last: usize, keys: &str) -> Fake {
    let poll = if keys.contains("poll:") { "" } else { ", poll: 1s" };
    let block = format!("  scheduler: {{engine: slurm, memory_gb: 0.2, time_limit: 30m{poll}{keys}}}");
    Fake::new(sets, last, &block)
}

fn follow(fake: &Fake, words: &[&str]) -> Running {
    Running::start(fake.folder.path(), &[&["run", "campaign.yaml"], words].concat())
}

fn finish(run: Running, code: i32) -> String {
    let (status, words) = run.finish();
    assert_eq!(status, Some(code), "{words}");
    words
}

fn begun(fake: &Fake) -> usize {
    fake.ledger().values().map(|(begins, _)| begins).sum()
}

fn submissions(fake: &Fake) -> usize {
    let names = fs::read_dir(fake.path("out/slurm")).unwrap().flatten().map(|e| e.file_name());
    names.filter(|n| n.to_string_lossy().ends_with(".sh")).count()
}

/// That many submissions are written down with Slurm's number: a run that is killed before would submit no more.
fn wait_for_submissions(fake: &Fake, count: usize) {
    let with_number = || {
        let files = fs::read_dir(fake.path("out/slurm")).into_iter().flatten().flatten().map(|e| e.path());
        let of_a_job = |path: &std::path::PathBuf| {
            let text = fs::read(path).unwrap_or_default();
            serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|v| v["job"].is_u64())
        };
        files.filter(|p| p.extension().is_some_and(|e| e == "json")).filter(of_a_job).count()
    };
    wait_for("the submissions", || with_number() >= count);
}

/// The end of a campaign, written by whoever looked last.
fn wait_for_end(fake: &Fake, state: State) {
    wait_for("the end of the campaign", || {
        cleanloop::campaign::record::CampaignRecord::load(&fake.path("out")).is_ok_and(|r| r.state == state)
    });
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_campaign_runs_as_arrays_and_a_second_run_submits_nothing() {
    let _guard = slurm();
    let fake = fake(5, 2, ", rounds: {2: {cpus: 2, memory_gb: 0.3, arguments: ['--comment=deep']}}");
    let record = fake.succeed();
    assert_eq!(record.state, State::Done);
    assert!(record.datasets.iter().all(|d| d.state == State::Done && d.rounds.len() == 3), "{:?}", record.datasets[0]);
    fake.assert_each_once(5, 2, &|_, _| None);
    assert!(fake.path("out/report/index.html").is_file() && fake.path("out/b0003/final/image.fits").is_file());
    let script = fs::read_to_string(fake.path("out/slurm/00003.sh")).unwrap();
    for line in ["--array=0-4", "--dependency=aftercorr:", "--cpus-per-task=2", "--mem=300M", "--comment=deep"] {
        assert!(script.contains(line), "{line}: {script}");
    }
    let before = submissions(&fake);
    fake.succeed();
    assert_eq!(submissions(&fake), before, "what is done is not submitted again");
    let status = fake.command(&["status", "out"]).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("campaign many: done") && status.contains("jobs in Slurm"), "{status}");
    let line = status.lines().find(|l| l.contains("round 2 ") && l.contains("completed")).unwrap_or_default();
    assert!(line.split_whitespace().any(|w| w == "5"), "{status}");
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_failure_leaves_nothing_waiting_and_the_next_run_tries_again() {
    let _guard = slurm();
    let fake = fake(4, 2, "");
    fake.order(1, 1, "fail\n");
    let words = finish(follow(&fake, &[]), 3);
    assert!(words.contains("1 of 4 measurement sets failed") && words.contains("told to fail"), "{words}");
    assert_eq!(fake.record().datasets[1].state, State::Failed);
    wait_for_empty_queue();
    assert!(!fake.ledger().contains_key("b0001 round-02"), "its last round was never begun");
    fake.succeed();
    fake.assert_each_once(4, 2, &|set, round| ((set, round) == (1, 1)).then_some(2));
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn on_failure_stop_cancels_the_others() {
    let _guard = slurm();
    let block = "  on_failure: stop\n  scheduler: {engine: slurm, poll: 1s, memory_gb: 0.2}";
    let fake = Fake::new(4, 1, block);
    fake.order(0, 0, "fail\n");
    for set in 1..4 {
        fake.hold(set, 0, 1);
    }
    let words = finish(follow(&fake, &[]), 3);
    assert!(words.contains("1 of 4 measurement sets failed and 3 were not begun"), "{words}");
    wait_for_empty_queue();
    assert!(fake.ledger().values().all(|(_, ends)| *ends == 0), "none of the others came to its end");
}

/// The login session ends (the run that follows is killed); the jobs, and the steward, do the rest.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn the_jobs_survive_the_run_that_submitted_them() {
    let _guard = slurm();
    let fake = fake(4, 2, "");
    fake.close(0);
    fake.close(2);
    let child = follow(&fake, &[]);
    // Three rounds and the steward.
    wait_for_submissions(&fake, 4);
    wait_for("the first round", || begun(&fake) == 4);
    child.kill();
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
    let second = follow(&fake, &[]);
    fake.open(0);
    wait_for("the last round", || begun(&fake) == 12);
    assert_eq!(submissions(&fake), before);
    second.kill();
    fake.open(2);
    wait_for_end(&fake, State::Done);
    fake.assert_each_once(4, 2, &|_, _| None);
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn detached_the_steward_submits_lost_jobs_again_and_ends_the_campaign() {
    let _guard = slurm();
    let fake = fake(3, 1, ", arguments: ['--no-requeue'], retries: 2");
    fake.hold(1, 0, 1);
    detach(&fake);
    wait_for("the other sets' ends", || begun(&fake) == 5);
    wait_until_alone(&fake, "b0001 round-00", 1);
    node_dies();
    wait_for_end(&fake, State::Done);
    fake.assert_each_once(3, 1, &|set, round| ((set, round) == (1, 0)).then_some(2));
}

fn detach(fake: &Fake) {
    let output = fake.command(&["run", "campaign.yaml", "--detach"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn set_node(state: &str) {
    let node = client(&["sinfo", "-h", "-p", "main", "-o", "%n"]);
    let node = node.lines().next().unwrap_or_default();
    client(&["scontrol", "update", &format!("nodename={node}"), &format!("state={state}"), "reason=test"]);
}

/// The node is taken down in mid-run: Slurm ends the jobs as NODE_FAIL (or brings them back, if it may).
fn node_dies() {
    set_node("down");
    wait_for("the end of its jobs", || queued("R,CG,CF,S").is_empty());
    set_node("resume");
    // Jobs may be on it again already.
    wait_for("the node", || {
        ["idle", "mixed", "allocated"].contains(&client(&["sinfo", "-h", "-p", "main", "-o", "%T"]).as_str())
    });
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_node_s_death_is_survived_by_slurm_s_own_requeue() {
    let _guard = slurm();
    let fake = fake(3, 1, "");
    fake.hold(1, 0, 1);
    let child = follow(&fake, &[]);
    wait_for("the other sets' ends", || begun(&fake) == 5);
    wait_until_alone(&fake, "b0001 round-00", 1);
    node_dies();
    wait_for_start(&fake, "b0001 round-00", 2);
    finish(child, 0);
    assert_eq!(fake.record().state, State::Done);
    fake.assert_each_once(3, 1, &|set, round| ((set, round) == (1, 0)).then_some(2));
}

/// Slurm holds a requeued job back for two minutes; nobody needs to wait for that here.
fn wait_for_start(fake: &Fake, place: &str, begins: usize) {
    wait_for("the next start", || {
        start_requeued();
        fake.ledger().get(place).is_some_and(|(b, _)| *b == begins)
    });
}

fn start_requeued() {
    for job in client(&["squeue", "-h", "-r", "-t", "PD", "-o", "%i|%r"]).lines() {
        if let Some((id, "BeginTime")) = job.split_once('|') {
            client(&["scontrol", "update", &format!("jobid={id}"), "StartTime=now"]);
        }
    }
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_job_that_is_lost_each_time_is_given_up() {
    let _guard = slurm();
    let fake = fake(2, 0, ", arguments: ['--no-requeue'], retries: 1");
    fake.hold(1, 0, 2);
    let child = follow(&fake, &[]);
    for tries in 1..=2 {
        wait_for("the short job's end", || fake.ledger().get("b0000 round-00") == Some(&(1, 1)));
        wait_until_alone(&fake, "b0001 round-00", tries);
        node_dies();
    }
    let words = finish(child, 3);
    assert!(words.contains("the job of round 0 was lost 2 time(s): its node failed (NODE_FAIL)"), "{words}");
    fake.succeed();
    assert_eq!(fake.ledger()["b0000 round-00"], (1, 1));
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_campaign_is_cancelled_and_goes_on_later() {
    let _guard = slurm();
    let fake = fake(3, 1, "");
    fake.close(0);
    let child = follow(&fake, &[]);
    wait_for("the first round", || begun(&fake) == 3);
    let output = fake.command(&["cancel", "out"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && words.contains("cancelled"), "{words}");
    wait_for_empty_queue();
    finish(child, 130);
    let record = fake.record();
    assert_eq!(record.state, State::Interrupted);
    assert!(record.datasets.iter().all(|d| d.state == State::Interrupted));
    let journal = fs::read_to_string(fake.path("out/b0001/journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"interrupted""#), "the job had the time to say so: {journal}");
    fake.open(0);
    fake.succeed();
    fake.assert_each_once(3, 1, &|_, round| (round == 0).then_some(2));
}

#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn an_interruption_leaves_the_jobs_alone_or_cancels_them() {
    let _guard = slurm();
    let fake = fake(2, 0, "");
    fake.close(0);
    let child = follow(&fake, &[]);
    wait_for_submissions(&fake, 2);
    wait_for("the jobs", || begun(&fake) == 2);
    child.signal(nix::sys::signal::Signal::SIGINT);
    let words = finish(child, 130);
    assert!(words.contains("the jobs go on"), "{words}");
    fake.open(0);
    fake.succeed();
    fake.assert_each_once(2, 0, &|_, _| None);
    let fake = self::fake(2, 0, "");
    fake.close(0);
    let child = follow(&fake, &["--cancel-on-interrupt"]);
    wait_for_submissions(&fake, 2);
    wait_for("the jobs", || begun(&fake) == 2);
    child.signal(nix::sys::signal::Signal::SIGINT);
    finish(child, 130);
    wait_for_empty_queue();
    assert_eq!(fake.record().state, State::Interrupted);
}

/// A job reaches its time limit. Slurm warns it before, and it goes on in its second try; without the warning Slurm ends
/// it (TIMEOUT), and without tries left it is given up, with the way out.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_time_limit_costs_a_step_or_is_named() {
    let _guard = slurm();
    let block = |more: &str| format!("  scheduler: {{engine: slurm, poll: 1s, memory_gb: 0.2, time_limit: 1m{more}}}");
    let warned = Fake::new(2, 1, &block(""));
    let ended = Fake::new(2, 1, &block(", retries: 0, arguments: ['--signal=B:URG@1']"));
    let children = [&warned, &ended].map(|fake| {
        fake.hold(1, 0, 1);
        follow(fake, &[])
    });
    let [first, second] = children;
    let words = finish(second, 3);
    assert!(words.contains("the job of round 0 was lost 1 time(s): it reached its time limit (TIMEOUT)"), "{words}");
    assert!(words.contains("raise `scheduler.time_limit`"), "{words}");
    ended.release();
    assert_eq!(ended.record().datasets[1].state, State::Failed);
    let states = client(&["squeue", "-h", "-r", "-t", "all", "-o", "%T"]);
    assert!(states.lines().any(|s| s == "TIMEOUT"), "{states}");
    finish(first, 0);
    warned.release();
    assert!(warned.record().datasets.iter().all(|d| d.state == State::Done));
    warned.assert_each_once(2, 1, &|set, round| ((set, round) == (1, 0)).then_some(2));
    let journal = fs::read_to_string(warned.path("out/b0001/journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"interrupted""#), "the job had the time to say so: {journal}");
    ended.succeed();
    ended.assert_each_once(2, 1, &|set, round| ((set, round) == (1, 0)).then_some(2));
}

/// Somebody requeues a job: it goes on; done to it more often than `retries`, it is given up.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_requeued_job_goes_on_and_too_often_is_given_up() {
    let _guard = slurm();
    let fake = fake(2, 1, ", retries: 1");
    fake.hold(0, 0, 1);
    fake.hold(1, 0, 2);
    let child = follow(&fake, &[]);
    let requeue = |place: &str, index: usize, begins: usize| {
        wait_for("the start", || {
            start_requeued();
            fake.ledger().get(place) == Some(&(begins, 0))
        });
        let job = fs::read(fake.path("out/slurm/00001.json")).unwrap();
        let job = serde_json::from_slice::<serde_json::Value>(&job).unwrap()["job"].as_u64().unwrap();
        let task = format!("{job}_{index}");
        wait_for("the requeue", || {
            client(&["scontrol", "requeue", &task]);
            // Neither a job that is still being set up nor no answer at all is a job that was taken back.
            ["PENDING", "COMPLETING"].contains(&client(&["squeue", "-h", "-r", "-j", &task, "-o", "%T"]).as_str())
        });
    };
    requeue("b0000 round-00", 0, 1);
    requeue("b0001 round-00", 1, 1);
    requeue("b0001 round-00", 1, 2);
    wait_for("the first set's end", || {
        start_requeued();
        fake.ledger().get("b0000 round-01") == Some(&(1, 1))
    });
    let words = std::thread::scope(|scope| {
        let end = scope.spawn(|| finish(child, 3));
        wait_for("the third start", || {
            start_requeued();
            end.is_finished()
        });
        end.join().unwrap()
    });
    assert!(words.contains("the job of round 0 was brought back by Slurm 2 times"), "{words}");
    assert!(words.contains("`scheduler.retries` is 1"), "{words}");
    fake.release();
    fake.succeed();
    fake.assert_each_once(2, 1, &|set, round| match (set, round) {
        (0, 0) => Some(2),
        (1, 0) => Some(3),
        _ => None,
    });
}

/// Slurm's memory of jobs that have ended, as short as it can be; as before when dropped.
struct ShortMemory(std::path::PathBuf, String);

impl ShortMemory {
    fn new() -> Self {
        let path = std::path::PathBuf::from(std::env::var_os("SLURM_CONF").unwrap());
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|l| l.starts_with("MinJobAge=")).unwrap();
        fs::write(&path, text.replace(line, "MinJobAge=2")).unwrap();
        client(&["scontrol", "reconfigure"]);
        Self(path, text)
    }
}

impl Drop for ShortMemory {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, &self.1);
        client(&["scontrol", "reconfigure"]);
    }
}

/// No accounting, and Slurm has forgotten all jobs: what is done is known from the journals, and a job that was lost
/// without anybody looking is submitted again.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn jobs_that_slurm_has_forgotten() {
    let _guard = slurm();
    let words = client(&["sacct", "-n"]);
    assert!(words.is_empty(), "this Slurm has no accounting: {words}");
    let _memory = ShortMemory::new();
    let done = fake(2, 1, "");
    let lost = fake(2, 1, ", arguments: ['--no-requeue']");
    done.succeed();
    lost.hold(1, 0, 1);
    detach(&lost);
    // The steward must not look: two rounds and itself.
    wait_for_submissions(&lost, 3);
    let steward = fs::read(lost.path("out/slurm/00003.json")).unwrap();
    let steward = serde_json::from_slice::<serde_json::Value>(&steward).unwrap()["job"].as_u64().unwrap();
    client(&["scancel", &steward.to_string()]);
    wait_for("the other set's end", || lost.ledger().get("b0000 round-01") == Some(&(1, 1)));
    wait_until_alone(&lost, "b0001 round-00", 1);
    node_dies();
    lost.release();
    wait_for("oblivion", || client(&["squeue", "-h", "-t", "all"]).is_empty());
    let before = submissions(&done);
    done.succeed();
    assert_eq!(submissions(&done), before, "what is done is not submitted again");
    done.assert_each_once(2, 1, &|_, _| None);
    let record = lost.succeed();
    assert!(record.datasets.iter().all(|d| d.state == State::Done));
    lost.assert_each_once(2, 1, &|set, round| ((set, round) == (1, 0)).then_some(2));
}

/// A more urgent job takes the place of one, which is submitted again.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_preempted_job_is_submitted_again() {
    let _guard = slurm();
    let fake = fake(2, 0, ", arguments: ['--no-requeue']");
    fake.hold(1, 0, 1);
    let child = follow(&fake, &[]);
    wait_for("the other set's end", || fake.ledger().get("b0000 round-00") == Some(&(1, 1)));
    wait_until_alone(&fake, "b0001 round-00", 1);
    let urgent = ["sbatch", "--parsable", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"];
    let urgent = client(&urgent);
    assert!(urgent.parse::<u64>().is_ok(), "{urgent}");
    finish(child, 0);
    let states = client(&["squeue", "-h", "-r", "-t", "all", "-o", "%T"]);
    assert!(states.lines().any(|s| s == "PREEMPTED"), "{states}");
    fake.assert_each_once(2, 0, &|set, _| (set == 1).then_some(2));
}

/// Three overlapping beams and one that fails: each round waits for all, a job makes the field's image and mask, each
/// beam's mask is cut from it, and the archive is collected. Nobody is logged in: stewards do it all.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn field_masks_and_the_archive_as_jobs() {
    let _guard = slurm();
    let fake = fake(4, 2, "");
    let text = fs::read_to_string(fake.path("campaign.yaml")).unwrap();
    let archive = "archive: {copy: [final/image.fits, report/index.html], compress: ['round-*/mask/*.fits', 'field/**/*.fits'], to: kept}";
    let text = text
        .replace(
            "  mask: none\n",
            &format!("  mask: {{image: field, noise: {{method: global}}, field: {{dish: 0}}}}\n  {archive}\n"),
        )
        .replace("'{folder}']", "'{folder}', '{mask}']")
        .replace("selfcal:", "defaults: {masking: {base_snr_clip: 20}}\nselfcal:");
    fs::write(fake.path("campaign.yaml"), text).unwrap();
    let source = crate::support::fake::beams(&fake, 4);
    fake.order(3, 0, "fail\n");
    detach(&fake);
    wait_for_end(&fake, State::Failed);
    wait_for_empty_queue();
    let record = fake.record();
    let states: Vec<State> = record.datasets.iter().map(|d| d.state).collect();
    assert_eq!(states, [State::Done, State::Done, State::Done, State::Failed], "{:?}", record.messages);
    // No round begins before all have ended the one before.
    let lines = fs::read_to_string(fake.path("imager/ledger")).unwrap();
    let place = |what: &str| lines.lines().position(|l| l.starts_with("begin") && l.ends_with(what)).unwrap();
    let numbered = || lines.lines().enumerate();
    let end = |what: &str| numbered().filter(|(_, l)| l.starts_with("end") && l.ends_with(what)).last().unwrap().0;
    assert!(end("round-00") < place("round-01") && end("round-01") < place("round-02"), "{lines}");
    for round in 1..=2 {
        let folder = fake.path(&format!("out/field/round-{round:02}"));
        let about: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("field.json")).unwrap()).unwrap();
        assert_eq!(about["beams"], serde_json::json!(["b0000", "b0001", "b0002"]));
        assert_eq!(about["left_out"][0][0], "b0003");
        let mut field = cleanloop::image::FitsImage::open(folder.join("image.fits")).unwrap();
        let (x, y) = field.wcs().unwrap().sky_to_pixel(source).unwrap();
        let peak = field.read_plane(0, 0).unwrap()[[y.round() as usize, x.round() as usize]];
        // Interpolated between pixels, four to a beam.
        assert!((0.8..1.01).contains(&peak), "{peak}");
        for set in 0..3 {
            let mut mask =
                cleanloop::image::FitsImage::open(fake.path(&format!("out/b{set:04}/round-{round:02}/mask/mask.fits")))
                    .unwrap();
            let (x, y) = mask.wcs().unwrap().sky_to_pixel(source).unwrap();
            let plane = mask.read_plane(0, 0).unwrap();
            assert_eq!(plane[[y.round() as usize, x.round() as usize]], 1.0, "set {set}, round {round}");
            assert!(plane.sum() < 100.0, "the source and no more: {} pixels", plane.sum());
        }
    }
    for file in
        ["b0000/final/image.fits", "b0002/b0002.tar.gz", "campaign/report/index.html", "campaign/campaign.tar.gz"]
    {
        assert!(fake.path("kept").join(file).is_file(), "{file} is in the archive");
    }
    assert!(!fake.path("kept/b0003").exists());
    let status = fake.command(&["status", "out"]).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("before round 1") && status.contains("before round 2"), "{status}");
    // The next run takes the fourth beam in; the others are through.
    fake.succeed();
    let about = fs::read(fake.path("out/field/round-02/field.json")).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    assert_eq!(about["beams"].as_array().unwrap().len(), 4);
    assert!(fake.path("kept/b0003/final/image.fits").is_file());
}

/// A campaign of the real programs with one calibrated round, each step a small job.
fn one_round() -> String {
    crate::campaign::whole::CAMPAIGN
        .replace("rounds: 2,", "rounds: 1, scheduler: {engine: slurm, poll: 2s, memory_gb: 3, cpus: 1},")
}

/// The real programs as jobs: wsclean images, CASA calibrates, and the second round is better than the first.
#[test]
#[ignore = "needs wsclean, CASA and a Slurm of its own, which `make test-slurm` starts"]
fn wsclean_and_casa_as_jobs() {
    let _guard = slurm();
    let casa = crate::support::real::casa();
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        crate::support::real::field(&casa, folder.path(), &serde_json::json!({"antennas": 15, "duration_s": 1200}));
        fs::rename(folder.path().join("field.ms"), folder.path().join(format!("{name}.ms"))).unwrap();
    }
    drop(casa);
    let campaign = one_round().replace("[field.ms]", "[one.ms, two.ms]");
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

/// Damaged data are refused as elsewhere, and no job is submitted.
#[test]
#[ignore = "needs wsclean, CASA and a Slurm of its own, which `make test-slurm` starts"]
fn data_that_cannot_be_worked_with_are_refused_before_anything_is_queued() {
    let _guard = slurm();
    let casa = crate::support::real::casa();
    let folder = tempfile::tempdir().unwrap();
    let field =
        crate::support::real::field(&casa, folder.path(), &serde_json::json!({"antennas": 6, "duration_s": 300}));
    crate::support::real::python(&field.ms, crate::data::damage::FLAGGED);
    fs::write(folder.path().join("campaign.yaml"), one_round()).unwrap();
    for words in [["run", "campaign.yaml", "-q"], ["run", "campaign.yaml", "--detach"]] {
        let mut command = assert_cmd::Command::cargo_bin("cleanloop").unwrap();
        let output = command.current_dir(folder.path()).args(words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("field.ms: all its data are flagged"), "{error}");
    }
    let submitted = fs::read_dir(folder.path().join("out/slurm")).map_or(0, |entries| {
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "sh")).count()
    });
    assert!(submitted == 0 && client(&["squeue", "-h"]).is_empty(), "{submitted} jobs were submitted");
}

/// Slurm's `MaxArraySize` is smaller than the campaign, some sets fail, some jobs die: nothing is lost, nothing is done
/// twice. CLEANLOOP_TEST_SLURM_SETS sets the number; `make test-slurm-full` runs the 2,000.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn many_sets_with_failures_nothing_lost_and_nothing_twice() {
    let _guard = slurm();
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
    let record = fake.succeed();
    println!(
        "{sets} sets: {:.0} s, then {:.0} s for those that failed",
        first.as_secs_f64(),
        (clock.elapsed() - first).as_secs_f64()
    );
    assert!(record.datasets.iter().all(|d| d.state == State::Done));
    fake.assert_each_once(sets, 1, &|set, round| fails(set, round).then_some(2));
}

/// Nobody is logged in: the steward of the campaign submits the final imagings one after the other, also after one that
/// failed. A group whose job was cancelled is submitted again by the next run, alone, and the cube is that of one job.
#[test]
#[ignore = "needs a Slurm of its own, which `make test-slurm` starts"]
fn a_cube_in_groups_is_an_array_that_follows_the_campaign() {
    use crate::campaign::final_images;
    let _guard = slurm();
    let block = "  scheduler: {engine: slurm, memory_gb: 0.2, time_limit: 30m, poll: 1s}";
    let fake = final_images::campaign("    deep: {}\n    line: {channels: 13, channels_per_job: 5}\n", block);
    for (first, count) in [(0, 5), (5, 5), (10, 3)] {
        final_images::write_cubes(&fake.path(&format!("imager/cubes/{first}")), (first, count), 12);
    }
    fs::write(fake.path("imager/hold"), "").unwrap();
    final_images::order(&fake, "deep", "fail");
    final_images::order(&fake, "channels-00005-00009", "hold");
    finish(follow(&fake, &["--detach"]), 0);
    let state = |name: &str| {
        let folder = fake.path("out/final").join(name);
        cleanloop::campaign::record::CampaignRecord::load(&folder).map(|record| record.state).ok()
    };
    let ledger = || final_images::ledger(&fake);
    let ends = |name: &str| ledger().get(name).map_or(0, |(_, ends)| *ends);
    wait_for("the other groups' ends", || ends("channels-00000-00004") + ends("channels-00010-00012") == 2);
    wait_for("the group that is held", || ledger().contains_key("channels-00005-00009"));
    assert_eq!(state("deep"), Some(State::Failed), "the next one is made all the same");
    // The others' jobs are busy for a while after their imagers have written their last words.
    let mut running = Vec::new();
    wait_for("the job that is held, alone", || {
        running = queued("R,CG,CF,S");
        running.len() == 1
    });
    assert!(running[0].ends_with("_1"), "{running:?}");
    client(&["scancel", &running[0]]);
    wait_for("the word of the steward", || state("line") == Some(State::Interrupted));
    assert!(!fake.path("out/final/line/image.fits").exists(), "no cube with a hole in it");
    let arrays = || {
        let files = fs::read_dir(fake.path("out/final/line/slurm")).unwrap().flatten();
        let texts = files.map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "sh"));
        texts.filter(|p| fs::read_to_string(p).unwrap().contains("--array=")).count()
    };
    assert_eq!(arrays(), 1, "one array for all groups");
    wait_for_empty_queue();
    finish(follow(&fake, &[]), 0);
    let groups = ["channels-00000-00004", "channels-00005-00009", "channels-00010-00012"].map(|name| ledger()[name]);
    assert_eq!((groups, ledger()["deep"], arrays()), ([(1, 1), (2, 1), (1, 1)], (2, 1), 2));
    final_images::write_cubes(&fake.path("whole"), (0, 13), 12);
    let pixels = |path: &str| {
        let mut cube = cleanloop::image::FitsImage::open(fake.path(path)).unwrap();
        (0..13).map(|channel| cube.read_plane(0, channel).unwrap()).collect::<Vec<_>>()
    };
    for product in ["image", "residual", "model", "psf"] {
        let cube = pixels(&format!("out/final/line/{product}.fits"));
        assert!(cube == pixels(&format!("whole/{product}.fits")), "{product}");
    }
}
