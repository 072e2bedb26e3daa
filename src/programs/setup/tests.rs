use super::*;
use crate::util::testing::words;

fn environment(folder: &tempfile::TempDir) -> Environment {
    let environment = Environment { kind: Kind::Casa, root: folder.path().join("casa-0") };
    let package = environment.root.join("lib/python3.11/site-packages/casatools");
    std::fs::create_dir_all(&package).expect("folders");
    std::fs::create_dir_all(environment.root.join("bin")).expect("folders");
    std::fs::write(package.join("__init__.py"), "version = 1").expect("a file");
    std::fs::write(package.join("table.lock"), "lock").expect("a file");
    std::fs::write(package.join("table.dat"), "data").expect("a file");
    std::fs::write(environment.python(), "").expect("a file");
    environment
}

fn finished(folder: &tempfile::TempDir) -> Environment {
    let environment = environment(folder);
    environment.write_configuration().expect("written");
    environment.write_stamp().expect("written");
    assert_eq!(environment.state(), EnvironmentState::Ready(environment.clone()));
    environment
}

fn why(environment: &Environment) -> String {
    match environment.state() {
        EnvironmentState::Broken(why) => why,
        other => panic!("expected damage, found {other:?}"),
    }
}

#[test]
fn an_unfinished_environment_is_not_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut environment = environment(&folder);
    assert_eq!(why(&environment), "it was not finished");
    environment.root = folder.path().join("elsewhere");
    assert_eq!(environment.state(), EnvironmentState::Absent);
}

#[test]
fn damage_is_noticed_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = finished(&folder);
    let package = environment.root.join("lib/python3.11/site-packages/casatools");

    std::fs::write(package.join("table.dat"), "more data").expect("written");
    std::fs::remove_file(package.join("table.lock")).expect("removed");
    assert!(matches!(environment.state(), EnvironmentState::Ready(_)), "data tables and their locks may change");

    std::fs::write(package.join("__init__.py"), "v").expect("written");
    insta::assert_snapshot!(words(why(&environment), folder.path()), @"<folder>/casa-0/lib/python3.11/site-packages/casatools/__init__.py has 1 bytes, expected 11");
    std::fs::remove_dir_all(&package).expect("removed");
    insta::assert_snapshot!(words(why(&environment), folder.path()), @"<folder>/casa-0/lib/python3.11/site-packages/casatools/table.dat is gone");
}

#[test]
fn a_removed_python_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = finished(&folder);
    std::fs::remove_file(environment.python()).expect("removed");
    std::os::unix::fs::symlink("/nonexistent/python3", environment.python()).expect("linked");
    insta::assert_snapshot!(words(why(&environment), folder.path()), @"<folder>/casa-0/bin/python is gone, or the Python that it links to");
}

#[test]
fn a_stamp_of_other_versions_or_another_place_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut environment = finished(&folder);
    let moved = folder.path().join("casa-moved");
    std::fs::rename(&environment.root, &moved).expect("moved");
    environment.root = moved;
    assert_eq!(why(&environment), "it was made for other versions");
}

#[test]
fn every_requirement_is_pinned() {
    for kind in Kind::ALL {
        assert!(kind.version().starts_with(|c: char| c.is_ascii_digit()), "{kind:?}");
        for line in kind.requirements().lines() {
            let (name, version) = line.split_once("==").expect("name==version");
            assert!(!name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit()), "{line}");
        }
    }
}

#[test]
fn messages_say_what_to_do() {
    let absent = SetupError::NotReady { kind: "casa", state: "not set up".into() };
    insta::assert_snapshot!(absent, @"casa is not set up: run `cleanloop setup casa` (it needs Python 3.10 to 3.12 and a package index)");
    let python = SetupError::NoPython { kind: "casa", range: 10..=12, tried: vec!["  python3 is Python 3.13".into()] };
    insta::assert_snapshot!(python, @"
    no Python for casa: its packages need Python 3.10 to 3.12
      python3 is Python 3.13
      install one (Debian: `apt install python3 python3-venv`), or name one with CLEANLOOP_PYTHON
    ");
}
