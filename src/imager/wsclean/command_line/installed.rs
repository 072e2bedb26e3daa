//! The installed wsclean: its version and the options that it knows, from its own help.

use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::version::Version;
use crate::process::{Limits, Output, ProcessError, Program};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How people get wsclean.
pub const INSTALL_HINT: &str = "install wsclean (Debian and Ubuntu: `apt install wsclean`), or name another executable \
                                under campaign.executables.wsclean, e.g. [apptainer, exec, wsclean.sif, wsclean]";
/// The help must come within this time (a container may have to be unpacked).
const HELP_TIME: Duration = Duration::from_secs(300);
/// Names less similar than this (Jaro-Winkler) are not offered as the nearest.
const SIMILAR: f64 = 0.8;

/// An executable wsclean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The executable as a list of words.
    pub executable: Vec<String>,
    /// Its version.
    pub version: Version,
    options: BTreeSet<String>,
}

impl Installed {
    /// Asks the executable, once in the life of the program.
    ///
    /// # Errors
    /// It is absent, fails, or is not wsclean.
    pub fn probe(executable: &[String]) -> Result<Arc<Self>, WscleanError> {
        static KNOWN: Mutex<Option<HashMap<Vec<String>, Arc<Installed>>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(found) = known.get(executable) {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(Self::ask(executable)?);
        known.insert(executable.to_vec(), Arc::clone(&found));
        Ok(found)
    }

    fn ask(executable: &[String]) -> Result<Self, WscleanError> {
        let mut program = Program::new(executable.to_vec(), "/dev/null");
        program.install_hint = INSTALL_HINT.into();
        program.limits = Limits { time: Some(HELP_TIME), ..Limits::default() };
        let mut help = String::new();
        let result = program.run(&mut |piece| {
            if let Output::Line(line) = piece {
                help.push_str(line);
                help.push('\n');
            }
        });
        match result {
            // Some versions may end their help with a failure: the text decides.
            Ok(_) | Err(ProcessError::Failed { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        Self::from_help(executable, &help).ok_or_else(|| WscleanError::NotWsclean {
            executable: executable.join(" "),
            said: help.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().to_owned(),
        })
    }

    /// Reads the help text: each option begins a line.
    pub fn from_help(executable: &[String], help: &str) -> Option<Self> {
        let version = help.lines().find_map(|l| l.trim().strip_prefix("WSClean version "))?;
        let version = Version::parse(version)?;
        let mut options = BTreeSet::new();
        for line in help.lines().filter(|l| l.starts_with('-')) {
            // "-no-small-inversion and -small-inversion", "-verbose (or -v)": all of them, up to the first value.
            for word in line.split_whitespace().take_while(|w| !w.starts_with(['<', '['])) {
                let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                if let Some(name) = word.strip_prefix('-').filter(|n| n.starts_with(|c: char| c.is_ascii_alphabetic()))
                {
                    options.insert(name.to_owned());
                }
            }
        }
        // A help without options is the help of something else.
        (!options.is_empty()).then(|| Self { executable: executable.to_vec(), version, options })
    }

    /// Whether it knows the option (`auto-mask`, without the first dash).
    pub fn knows(&self, option: &str) -> bool {
        self.options.contains(option)
    }

    /// The known option with the most similar name.
    pub fn nearest(&self, option: &str) -> Option<&str> {
        let scored = self.options.iter().map(|o| (strsim::jaro_winkler(o, option), o));
        scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > SIMILAR).map(|(_, o)| o.as_str())
    }

    /// Whether a mask cube is used channel by channel.
    ///
    /// 3.1 and 3.2 use its first plane for all channels (seen with 3.1.0; caracal issue 1462 has 3.0 as right and
    /// announces the cure for 3.3).
    pub fn mask_cube_per_channel(&self) -> bool {
        self.version < Version::new(3, 1, 0) || self.version >= Version::new(3, 3, 0)
    }

    /// Whether it reads a bit mask with one bit per scale.
    pub fn multiscale_bit_masks(&self) -> bool {
        self.knows("multiscale-fits-mask")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = include_str!("../../../../tests/data/wsclean/help-3.1.0.txt");

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn version_and_options_come_from_the_help() {
        let wsclean = Installed::from_help(&words("wsclean"), HELP).expect("wsclean's help");
        assert_eq!(wsclean.version, Version::new(3, 1, 0));
        for option in [
            "j",
            "abs-mem",
            "fits-mask",
            "use-wgridder",
            "no-small-inversion",
            "small-inversion",
            "v",
            "verbose",
            "no-reorder",
            "reorder",
            "no-iuwt-snr-test",
            "no-update-model-required",
            "channel-range",
        ] {
            assert!(wsclean.knows(option), "{option}");
        }
        for option in ["gridder", "multiscale-fits-mask", "", "or", "width", "idg"] {
            assert!(!wsclean.knows(option), "{option}");
        }
        assert_eq!(wsclean.nearest("auto-msk"), Some("auto-mask"));
        assert_eq!(wsclean.nearest("qqqq"), None);
        assert!(!wsclean.mask_cube_per_channel() && !wsclean.multiscale_bit_masks());
    }

    #[test]
    fn versions_that_use_mask_cubes_by_channel() {
        for (version, expected) in [("3.0.1", true), ("3.2.0", false), ("3.3", true), ("4.0.0", true)] {
            let help = format!("WSClean version {version} (2099-01-01)\n-size <w> <h>\n");
            assert_eq!(Installed::from_help(&[], &help).expect(version).mask_cube_per_channel(), expected, "{version}");
        }
    }

    #[test]
    fn something_else_is_not_taken_for_wsclean() {
        assert_eq!(Installed::from_help(&[], "usage: echo [words]"), None);
        let error = Installed::probe(&words("echo hello")).expect_err("echo is not wsclean");
        let WscleanError::NotWsclean { executable, said } = error else { panic!("{error:?}") };
        assert_eq!((executable.as_str(), said.as_str()), ("echo hello", "hello"));
        let error = Installed::probe(&words("no-such-wsclean")).expect_err("absent");
        assert!(matches!(error, WscleanError::Process(ProcessError::NotFound { .. })), "{error:?}");
        insta::assert_snapshot!(error, @"no-such-wsclean: program not found: install wsclean (Debian and Ubuntu: `apt install wsclean`), or name another executable under campaign.executables.wsclean, e.g. [apptainer, exec, wsclean.sif, wsclean]");
    }
}
