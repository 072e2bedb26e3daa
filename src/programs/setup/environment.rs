//! Where an environment stands, whether it is whole, and how programs in it are started.

use super::{Kind, SetupError, home};
use crate::util::fs::{FileError, write_atomically};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Written last: the environment is whole.
const STAMP: &str = "cleanloop-stamp";
/// `SIZE PATH` of each installed file, paths relative to the environment; size `-` where it may change.
const MANIFEST: &str = "cleanloop-files";
/// In environments on top of CASA's: leads to CASA's packages. Python reads it when it starts.
const CASA_PATH: &str = "cleanloop-casa.pth";
/// Tables of telescopes and time scales among CASA's packages.
const CASA_DATA: &str = "casadata/__data__";
/// casacore's configuration, in the private home.
const CASACORE_CONFIG: &str = ".casarc";
/// CASA's site configuration; it is Python.
const SITE_CONFIG: &str = "casasiteconfig.py";
/// Raised whenever the layout of an environment changes in a way that the pins do not show.
const LAYOUT: u32 = 1;

/// Settings of CASA: data from the pinned wheel only, nothing is updated, no window, no log file of its own choice.
const SITE_CONFIG_TEXT: &str = "\
import casadata
measurespath = casadata.datapath
datapath = [casadata.datapath]
measures_auto_update = False
data_auto_update = False
nologger = True
logfile = '/dev/null'
log2term = False
nogui = True
agg = True
iplog = False
telemetry_enabled = False
crashreporter_enabled = False
";

/// Variables of a user's Python that must not reach ours.
pub(crate) const FOREIGN_VARIABLES: [&str; 6] =
    ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CASAPATH", "MPLBACKEND"];

/// Whether an environment can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentState {
    /// Never made.
    Absent,
    /// Begun and not finished, or damaged; the words say how.
    Broken(String),
    /// Whole.
    Ready(Environment),
}

/// A virtual environment made by cleanloop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Kind of the environment.
    pub kind: Kind,
    /// Its folder, absolute.
    pub root: PathBuf,
}

impl Environment {
    /// Where the environment of this kind and its pinned version stands, whether or not it is there.
    ///
    /// # Errors
    /// See [`home`].
    pub fn at_home(kind: Kind) -> Result<Self, SetupError> {
        Ok(Self { kind, root: home()?.join(format!("{}-{}", kind.name(), kind.version())) })
    }

    /// The environment if it is whole.
    ///
    /// # Errors
    /// [`SetupError::NotReady`] says what is amiss and what to type.
    pub fn ready(kind: Kind) -> Result<Self, SetupError> {
        let not_ready = |state| SetupError::NotReady { kind: kind.name(), state };
        match Self::at_home(kind)?.state() {
            EnvironmentState::Ready(environment) => Ok(environment),
            EnvironmentState::Absent => Err(not_ready("not set up".into())),
            EnvironmentState::Broken(why) => Err(not_ready(format!("damaged ({why})"))),
        }
    }

    /// Its Python.
    pub fn python(&self) -> PathBuf {
        self.root.join("bin/python")
    }

    /// Variables that a program in it needs on top of ours.
    pub fn variables(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let private = self.root.join("home");
        vec![
            ("HOME".into(), text(private.clone())),
            ("XDG_CACHE_HOME".into(), text(private.join(".cache"))),
            ("XDG_CONFIG_HOME".into(), text(private.join(".config"))),
            ("XDG_DATA_HOME".into(), text(private.join(".local/share"))),
            ("MPLCONFIGDIR".into(), text(private.join(".config/matplotlib"))),
            ("CASASITECONFIG".into(), text(self.root.join(SITE_CONFIG))),
            ("PYTHONNOUSERSITE".into(), "1".into()),
            ("PYTHONUNBUFFERED".into(), "1".into()),
        ]
    }

    /// The start of a command that runs the environment's Python untouched by a user's Python settings.
    pub fn python_command(&self) -> Vec<OsString> {
        // -I: no PYTHON* variables, no user packages, no working folder on the path.
        vec![self.python().into(), "-I".into(), "-u".into()]
    }

    /// Looks at the stamp, the Python and the installed files; takes milliseconds.
    pub fn state(&self) -> EnvironmentState {
        if !self.root.exists() {
            return EnvironmentState::Absent;
        }
        match self.damage() {
            None => EnvironmentState::Ready(self.clone()),
            Some(why) => EnvironmentState::Broken(why),
        }
    }

    fn damage(&self) -> Option<String> {
        let Ok(stamp) = std::fs::read_to_string(self.root.join(STAMP)) else {
            return Some("it was not finished".into());
        };
        if stamp.trim() != self.fingerprint() {
            return Some("it was made for other versions".into());
        }
        // A link to a Python that was since removed does not exist.
        if !self.python().exists() {
            return Some(format!("{} is gone, or the Python that it links to", self.python().display()));
        }
        if !self.root.join(SITE_CONFIG).is_file() {
            return Some(format!("{SITE_CONFIG} is gone"));
        }
        let Ok(manifest) = std::fs::read_to_string(self.root.join(MANIFEST)) else {
            return Some(format!("{MANIFEST} is gone"));
        };
        if self.kind.builds_on_casa()
            && let Ok(EnvironmentState::Absent | EnvironmentState::Broken(_)) =
                Self::at_home(Kind::Casa).map(|casa| casa.state())
        {
            return Some("CASA, which it builds on, is not whole".into());
        }
        manifest.lines().find_map(|line| self.file_damage(line))
    }

    /// Folder of the installed packages.
    fn packages(&self) -> Result<PathBuf, SetupError> {
        let library = self.root.join("lib");
        let io = |reason| SetupError::Io { path: library.clone(), reason };
        for entry in std::fs::read_dir(&library).map_err(io)? {
            let packages = entry.map_err(io)?.path().join("site-packages");
            if packages.is_dir() {
                return Ok(packages);
            }
        }
        Err(io(std::io::Error::new(std::io::ErrorKind::NotFound, "no folder site-packages in it")))
    }

    /// Lets its Python see the packages of CASA's environment, and casacore its tables of telescopes and time scales.
    pub(super) fn build_on(&self, casa: &Self) -> Result<(), SetupError> {
        let packages = casa.packages()?;
        let measures = packages.join(CASA_DATA);
        write_text(
            &self.root.join("home").join(CASACORE_CONFIG),
            &format!("measures.directory: {}\n", measures.display()),
        )?;
        write_text(&self.packages()?.join(CASA_PATH), &format!("{}\n", packages.display()))
    }

    fn file_damage(&self, line: &str) -> Option<String> {
        let (size, path) = line.split_once(' ')?;
        let file = self.root.join(path);
        match (std::fs::metadata(&file), size.parse::<u64>()) {
            (Err(_), _) => Some(format!("{} is gone", file.display())),
            (Ok(found), Ok(size)) if found.len() != size => {
                Some(format!("{} has {} bytes, expected {size}", file.display(), found.len()))
            }
            _ => None,
        }
    }

    /// Hash of everything that decides what is in the environment.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let below = if self.kind.builds_on_casa() { Kind::Casa.requirements() } else { "" };
        let parts =
            [&LAYOUT.to_string(), self.kind.requirements(), SITE_CONFIG_TEXT, &self.root.to_string_lossy(), below];
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn write_configuration(&self) -> Result<(), SetupError> {
        let private = self.root.join("home");
        std::fs::create_dir_all(&private).map_err(|reason| SetupError::Io { path: private, reason })?;
        write_text(&self.root.join(SITE_CONFIG), SITE_CONFIG_TEXT)
    }

    /// Records the installed files, then the stamp.
    pub(super) fn write_stamp(&self) -> Result<(), SetupError> {
        let mut lines = Vec::new();
        let library = self.root.join("lib");
        collect_files(&library, &mut |path, size| {
            let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
            // CASA's own tables touch their lock files and notes; code never changes.
            let is_code = path.extension().is_some_and(|e| e == "py" || e == "so");
            lines.push(if is_code { format!("{size} {name}") } else { format!("- {name}") });
        })
        .map_err(|reason| SetupError::Io { path: library, reason })?;
        lines.sort_unstable();
        write_text(&self.root.join(MANIFEST), &lines.join("\n"))?;
        write_text(&self.root.join(STAMP), &self.fingerprint())
    }
}

/// Calls `each` with every regular file below `folder`, compiled Python left out, and its size.
fn collect_files(folder: &Path, each: &mut dyn FnMut(&Path, u64)) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if entry.file_name() != "__pycache__" {
                collect_files(&path, each)?;
            }
        } else if kind.is_file() && entry.file_name() != "table.lock" {
            each(&path, entry.metadata()?.len());
        }
    }
    Ok(())
}

/// Writes a small text file that is either old or new, never half.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), SetupError> {
    let refused = |e: FileError| SetupError::Io { path: e.path, reason: e.source };
    write_atomically(path, text.as_bytes()).map_err(refused)
}
