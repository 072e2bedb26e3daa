use super::*;
use crate::util::testing::words;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

fn shell(script: &str, folder: &tempfile::TempDir) -> Program {
    let words = ["sh", "-c", script].map(str::to_owned).to_vec();
    let mut program = Program::new(words, folder.path().join("a.log"));
    program.limits.grace = Duration::from_millis(300);
    program
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Lines of a run, and its result.
fn lines(program: &Program) -> (Vec<String>, Result<ProgramEnd, ProcessError>) {
    let mut lines = Vec::new();
    let result = program.run(&mut |piece| {
        if let Output::Line(line) = piece {
            lines.push(line.to_owned());
        }
    });
    (lines, result)
}

/// Whether a process with this text in its command line is alive.
fn alive(text: &str) -> bool {
    std::fs::read_dir("/proc").expect("/proc").flatten().any(|e| {
        let line = std::fs::read(e.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
}

#[test]
fn both_outputs_come_in_order_and_go_to_the_log() {
    let folder = folder();
    let program = shell("echo one; echo two >&2; printf 'thr'; printf 'ee\\rfour'", &folder);
    let (lines, result) = lines(&program);
    result.expect("it succeeds");
    assert_eq!(lines, ["one", "two", "three", "four"]);
    program.run(&mut |_| {}).expect("again");
    let log = std::fs::read_to_string(&program.log).expect("the log");
    assert_eq!(log.matches("$ sh -c 'echo one;").count(), 2, "{log}");
    assert_eq!(log.matches("# exit status 0 after").count(), 2, "{log}");
    assert!(log.contains("one\ntwo\nthree\rfour"), "{log}");
}

#[test]
fn the_locale_is_c() {
    let folder = folder();
    let (lines, _) = lines(&shell("echo $LC_ALL", &folder));
    assert_eq!(lines, ["C"]);
    let said =
        capture(&["sh".into(), "-c".into(), "echo $LC_ALL".into()], Duration::from_secs(60), "").expect("it runs");
    assert_eq!(said.out, "C\n");
}

#[test]
fn partial_lines_come_before_their_end() {
    let folder = folder();
    let mut partial = Vec::new();
    shell("printf '0%%..'; sleep 0.3; printf '10%%..'; sleep 0.3; echo done", &folder)
        .run(&mut |piece| {
            if let Output::Partial(text) = piece {
                partial.push(text.to_owned());
            }
        })
        .expect("it succeeds");
    assert_eq!(partial, ["0%..", "0%..10%.."]);
}

#[test]
fn failure_tells_status_command_log_and_last_words() {
    let folder = folder();
    let program = shell("seq 1 30; exit 3", &folder);
    let error = program.run(&mut |_| {}).expect_err("it fails");
    let ProcessError::Failed { status, ref last_lines, .. } = error else { panic!("{error}") };
    assert_eq!((status, last_lines.len(), last_lines[0].as_str()), (3, LAST_LINES, "11"));
    insta::assert_snapshot!(words(&error, folder.path()), @"
    sh failed with exit status 3
      command: sh -c 'seq 1 30; exit 3'
      log: <folder>/a.log
      its last words:
        11
        12
        13
        14
        15
        16
        17
        18
        19
        20
        21
        22
        23
        24
        25
        26
        27
        28
        29
        30
    ");
}

#[test]
fn a_missing_program_is_named_with_the_way_to_install_it() {
    let folder = folder();
    let mut program = Program::new(vec!["no-such-imager".into()], folder.path().join("a.log"));
    program.install_hint = "apt install it".into();
    let error = program.run(&mut |_| {}).expect_err("it is absent");
    assert!(matches!(error, ProcessError::NotFound { .. }), "{error:?}");
    insta::assert_snapshot!(error, @"no-such-imager: program not found: apt install it");
    assert!(!program.log.exists(), "no log of what never ran");
}

#[test]
fn a_missing_working_folder_is_not_taken_for_a_missing_program() {
    let folder = folder();
    let mut program = shell("true", &folder);
    program.folder = Some(folder.path().join("absent"));
    assert!(matches!(program.run(&mut |_| {}), Err(ProcessError::NotStarted { .. })));
}

#[test]
fn a_signal_of_another_hand_is_told() {
    let folder = folder();
    let error = shell("kill -KILL $$", &folder).run(&mut |_| {}).expect_err("killed");
    assert!(matches!(&error, ProcessError::Killed { signal, .. } if signal == "SIGKILL"), "{error:?}");
    insta::assert_snapshot!(words(error, folder.path()), @"
    sh was ended by SIGKILL (often the kernel's answer to a lack of memory: see `dmesg`)
      command: sh -c 'kill -KILL $$'
      log: <folder>/a.log
      its last words:
        (none)
    ");
}

#[test]
fn limits_of_time_and_silence_stop_the_whole_group() {
    let folder = folder();
    let mut program = shell("sleep 61.25 & while true; do echo x; sleep 0.05; done", &folder);
    program.limits.time = Some(Duration::from_millis(400));
    program.limits.silence = Some(Duration::from_millis(300));
    assert!(matches!(program.run(&mut |_| {}), Err(ProcessError::TimedOut { .. })));
    assert!(!alive("sleep\x0061.25"), "the group is gone");

    let mut program = shell("echo hello; sleep 62.25", &folder);
    program.limits.silence = Some(Duration::from_millis(300));
    let error = program.run(&mut |_| {}).expect_err("it is silent");
    assert!(matches!(error, ProcessError::Stalled { .. }), "{error:?}");
    insta::assert_snapshot!(words(error, folder.path()), @"
    sh was stopped: no output for 0.3 s (the limit of silence)
      command: sh -c 'echo hello; sleep 62.25'
      log: <folder>/a.log
      its last words:
        hello
    ");
    assert!(!alive("sleep\x0062.25"));
}

#[test]
fn a_group_that_ignores_sigterm_is_killed_after_the_grace() {
    let folder = folder();
    let mut program = shell("trap '' TERM; sleep 63.25; sleep 63.25", &folder);
    program.limits.time = Some(Duration::from_millis(200));
    let started = Instant::now();
    assert!(matches!(program.run(&mut |_| {}), Err(ProcessError::TimedOut { .. })));
    assert!(started.elapsed() > program.limits.grace, "the grace was given");
    assert!(!alive("sleep\x0063.25"));
}

#[test]
fn the_callers_token_interrupts() {
    let folder = folder();
    let token = Arc::new(AtomicBool::new(false));
    let mut program = shell("echo up; sleep 64.25", &folder);
    program.cancel = Some(Arc::clone(&token));
    let error = program.run(&mut |_| token.store(true, Ordering::Relaxed)).expect_err("interrupted");
    assert!(matches!(crate::Error::from(error), crate::Error::Interrupted));
    assert!(!alive("sleep\x0064.25"));
}

#[test]
fn a_panic_in_the_callback_leaves_nothing_running() {
    let folder = folder();
    let program = shell("echo up; sleep 65.25", &folder);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.run(&mut |_| panic!("on purpose"))));
    assert!(result.is_err());
    assert!(!alive("sleep\x0065.25"));
}

#[test]
fn those_left_behind_end_with_the_leader() {
    let folder = folder();
    let started = Instant::now();
    shell("sleep 66.25 & echo leader done", &folder).run(&mut |_| {}).expect("the leader succeeded");
    assert!(started.elapsed() < Duration::from_secs(30), "the pipe that the orphan holds does not keep us");
    assert!(!alive("sleep\x0066.25"));
}

#[test]
fn programs_are_found_like_a_shell_does() {
    assert!(find_program("sh").is_some_and(|p| p.is_absolute()));
    assert!(find_program("/bin/sh").is_some());
    assert!(find_program("no-such-program").is_none());
    assert!(find_program("/etc/passwd").is_none(), "not executable");
}
