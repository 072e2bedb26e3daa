//! Making an environment: find a Python, make a virtual environment, install the pinned wheels, try them, stamp.

use super::environment::FOREIGN_VARIABLES;
use super::{Environment, EnvironmentState, Kind, PYTHON_VARIABLE, SetupError, home};
use crate::process::{Output, ProcessError, Program, find_program};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Remedy for a disk that is too small.
const ELSEWHERE: &str = "set CLEANLOOP_HOME to a folder elsewhere";
/// Prints `MAJOR MINOR` of a Python.
const VERSION_STATEMENT: &str = "import sys; print(sys.version_info[0], sys.version_info[1])";

impl Environment {
    /// The environment of this kind; made, or made again, if it is absent or damaged.
    ///
    /// Safe to call from several processes at once: one makes it, the others wait. `say` gets a line for each step.
    ///
    /// # Errors
    /// No suitable Python, no virtual environments, pip's failure (in its own words), too small a disk.
    pub fn ensure(kind: Kind, say: &mut dyn FnMut(&str)) -> Result<Self, SetupError> {
        if kind.builds_on_casa() {
            Self::ensure(Kind::Casa, say)?;
        }
        let environment = Self::at_home(kind)?;
        if let EnvironmentState::Ready(environment) = environment.state() {
            return Ok(environment);
        }
        let home = home()?;
        std::fs::create_dir_all(&home).map_err(|reason| SetupError::Io { path: home.clone(), reason })?;
        let _lock = lock(&home.join(format!("{}.lock", kind.name())), say)?;
        // Another process may have made it while we waited.
        match environment.state() {
            EnvironmentState::Ready(environment) => return Ok(environment),
            EnvironmentState::Absent => {}
            EnvironmentState::Broken(why) => {
                say(&format!("{} is damaged ({why}): making it again", environment.root.display()));
                std::fs::remove_dir_all(&environment.root)
                    .map_err(|reason| SetupError::Io { path: environment.root.clone(), reason })?;
            }
        }
        environment.make(&home, say)?;
        Ok(environment)
    }

    fn make(&self, home: &Path, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
        let kind = self.kind.name();
        let needed = self.kind.disk_needed();
        crate::util::disk::check_room(home, needed, kind, ELSEWHERE)?;
        let log = home.join(format!("setup-{kind}.log"));
        let casa = if self.kind.builds_on_casa() { Some(Self::ready(Kind::Casa)?) } else { None };
        let python = match &casa {
            // Compiled packages of one are used by the other.
            Some(casa) => casa.python().to_string_lossy().into_owned(),
            None => find_python(self.kind, &log)?,
        };
        let root = self.root.to_string_lossy().into_owned();
        say(&format!("making {root} with {python}"));
        let pip = self.make_venv(&python, &root, &log)?;

        let requirements = self.root.join("requirements.txt");
        super::environment::write_text(&requirements, self.kind.requirements())?;
        let mut words = pip;
        words.extend(
            // Every package is pinned, so pip has nothing to resolve.
            ["install", "--no-deps", "--no-compile", "--no-input", "--progress-bar", "off", "--prefer-binary"]
                .map(str::to_owned),
        );
        words.extend(["--requirement".to_owned(), requirements.to_string_lossy().into_owned()]);
        let count = self.kind.requirements().lines().count();
        say(&format!("installing {count} packages, {:.2} GB on disk", needed as f64 / 1e9));
        let mut errors = Vec::new();
        let result = program(words, &log).run(&mut |piece| {
            if let Output::Line(line) = piece {
                if line.starts_with("Collecting") || line.starts_with("Installing") {
                    say(line.split(" (from").next().unwrap_or(line));
                } else if line.starts_with("ERROR") || line.starts_with("WARNING: Retrying") {
                    errors.push(line.to_owned());
                }
            }
        });
        match result {
            Err(ProcessError::Failed { last_lines, .. }) => {
                // Retries repeat themselves: the last few tell enough.
                let words = if errors.is_empty() { last_lines } else { errors };
                let words = words[words.len().saturating_sub(3)..].join("\n    ");
                return Err(SetupError::Pip { kind, words, log });
            }
            other => other?,
        };
        self.write_configuration()?;
        casa.iter().try_for_each(|casa| self.build_on(casa))?;
        say("trying it");
        self.probe(&log)?;
        self.write_stamp()
    }

    /// Makes the empty virtual environment and returns the command of a pip that installs into it.
    fn make_venv(&self, python: &str, root: &str, log: &Path) -> Result<Vec<String>, SetupError> {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        match program(words(&[python, "-m", "venv", root]), log).run(&mut |_| {}) {
            Ok(_) => Ok(vec![self.python().to_string_lossy().into_owned(), "-m".into(), "pip".into()]),
            Err(ProcessError::Failed { last_lines, .. }) => {
                // Debian splits ensurepip off; a pip of the outer Python can fill an environment without one.
                let _ = std::fs::remove_dir_all(&self.root);
                let bare = program(words(&[python, "-m", "venv", "--without-pip", root]), log).run(&mut |_| {});
                let outer = words(&[python, "-m", "pip", "--python", &self.python().to_string_lossy()]);
                let mut version = outer.clone();
                version.push("--version".into());
                if bare.is_ok() && program(version, log).run(&mut |_| {}).is_ok() {
                    return Ok(outer);
                }
                let _ = std::fs::remove_dir_all(&self.root);
                let words = last_lines.into_iter().find(|l| !l.trim().is_empty()).unwrap_or_default();
                Err(SetupError::NoVenv { python: python.to_owned(), words })
            }
            Err(e) => Err(e.into()),
        }
    }

    fn probe(&self, log: &Path) -> Result<(), SetupError> {
        let mut words: Vec<String> = self.python_command().iter().map(|w| w.to_string_lossy().into_owned()).collect();
        words.extend(["-c".into(), self.kind.probe().into()]);
        let mut program = program(words, log);
        program.environment = self.variables();
        match program.run(&mut |_| {}) {
            Err(ProcessError::Failed { last_lines, .. }) => Err(SetupError::Probe {
                kind: self.kind.name(),
                words: last_lines.last().cloned().unwrap_or_default(),
                log: log.to_owned(),
            }),
            Err(e) => Err(e.into()),
            Ok(_) => Ok(()),
        }
    }
}

fn program(words: Vec<String>, log: &Path) -> Program {
    // `env -u`: a user's Python settings would leak into the new environment.
    let mut all = vec!["env".to_owned()];
    all.extend(FOREIGN_VARIABLES.iter().flat_map(|v| ["-u".to_owned(), (*v).to_owned()]));
    all.extend(words);
    Program::new(all, log)
}

/// Takes the lock of one kind of environment; waits for its holder, and says so.
fn lock(path: &PathBuf, say: &mut dyn FnMut(&str)) -> Result<File, SetupError> {
    let io = |reason| SetupError::Io { path: path.clone(), reason };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(io)?;
    if file.try_lock().is_err() {
        say("another cleanloop is setting this up: waiting for it");
        file.lock().map_err(io)?;
    }
    Ok(file)
}

/// The first Python of a version for which the packages exist.
fn find_python(kind: Kind, log: &Path) -> Result<String, SetupError> {
    let range = kind.python_minors();
    let candidates: Vec<String> = match std::env::var(PYTHON_VARIABLE) {
        Ok(named) if !named.is_empty() => vec![named],
        _ => {
            let versions = range.clone().rev().map(|minor| format!("python3.{minor}"));
            std::iter::once("python3".to_owned()).chain(versions).collect()
        }
    };
    let mut tried = Vec::new();
    for candidate in candidates {
        match python_version(&candidate, log)? {
            Some((3, minor)) if range.contains(&minor) => return Ok(candidate),
            Some((major, minor)) => tried.push(format!("  {candidate} is Python {major}.{minor}")),
            None => tried.push(format!("  {candidate}: not found, or does not run")),
        }
    }
    Err(SetupError::NoPython { kind: kind.name(), range, tried })
}

/// Major and minor version; `None` where there is no such Python, or one that does not run (a stub of a version manager).
fn python_version(python: &str, log: &Path) -> Result<Option<(u32, u32)>, SetupError> {
    if find_program(python).is_none() {
        return Ok(None);
    }
    let mut version = None;
    let words = [python, "-I", "-c", VERSION_STATEMENT].map(str::to_owned).to_vec();
    let result = Program::new(words, log).run(&mut |piece| {
        if let Output::Line(line) = piece {
            version = line.split_once(' ').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        }
    });
    match result {
        Ok(_) => Ok(version),
        Err(ProcessError::Interrupted { program }) => Err(ProcessError::Interrupted { program }.into()),
        Err(_) => Ok(None),
    }
}
