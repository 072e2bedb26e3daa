//! DP3: reads and writes measurement sets that are compressed with Dysco, and solves for gains by direction.

use super::casa::{DP3_SCRIPT, source};
use super::setup::{Environment, Kind};
use crate::Result;
use crate::process::{Limits, Program, find_program};
use std::path::Path;

/// Name of the program where an observatory installed it.
const PROGRAM: &str = "DP3";
/// Calls the program of the Python package.
const ENTRY: &str = "import sys, dp3; sys.exit(dp3.entrypoint())";
/// DP3 refuses to run while OpenBLAS has threads of its own.
const ONE_THREAD: (&str, &str) = ("OPENBLAS_NUM_THREADS", "1");

/// How DP3 is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dp3 {
    words: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Dp3 {
    /// That of `cleanloop setup dp3`, or else the program `DP3` on the `PATH`; `None`: neither is there.
    pub(crate) fn find() -> Option<Self> {
        let one_thread = (ONE_THREAD.0.to_owned(), ONE_THREAD.1.to_owned());
        if let Ok(environment) = Environment::ready(Kind::Dp3) {
            let start = environment.python_command();
            let mut words: Vec<String> = start.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            words.extend(["-c".to_owned(), ENTRY.to_owned()]);
            return Some(Self { words, environment: [environment.variables(), vec![one_thread]].concat() });
        }
        find_program(PROGRAM).map(|_| Self { words: vec![PROGRAM.to_owned()], environment: vec![one_thread] })
    }

    /// Runs DP3 with these settings, each `key=value`; its words go to the log.
    ///
    /// # Errors
    /// DP3's failure, with its last words.
    pub(crate) fn run(&self, settings: &[String], log: &Path) -> Result<()> {
        self.run_limited(settings, Limits::default(), log)
    }

    /// As [`Dp3::run`], with limits of time and silence.
    ///
    /// # Errors
    /// DP3's failure, with its last words; a limit.
    pub(crate) fn run_limited(&self, settings: &[String], limits: Limits, log: &Path) -> Result<()> {
        let words = self.words.iter().chain(settings).cloned().collect();
        let mut program = Program::new(words, log);
        program.environment.clone_from(&self.environment);
        program.limits = limits;
        program.run(&mut |_| {})?;
        Ok(())
    }

    /// That of `cleanloop setup dp3`, which can read its solutions, too.
    ///
    /// # Errors
    /// It is not set up.
    pub(crate) fn of_setup() -> Result<Self> {
        Environment::ready(Kind::Dp3)?;
        Self::find().ok_or_else(|| crate::Error::external("DP3 has gone: run `cleanloop setup dp3`"))
    }

    /// Runs the script that reads and edits solutions with these words, in the Python of `cleanloop setup dp3`.
    ///
    /// # Errors
    /// It is not set up; the script's failure.
    pub(crate) fn run_script(&self, arguments: &[String], log: &Path) -> Result<()> {
        let environment = Environment::ready(Kind::Dp3)?;
        let start = environment.python_command();
        let mut words: Vec<String> = start.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        words.push(source(DP3_SCRIPT)?.to_string_lossy().into_owned());
        words.extend_from_slice(arguments);
        let mut program = Program::new(words, log);
        program.environment = environment.variables();
        program.run(&mut |_| {})?;
        Ok(())
    }
}
