//! Options together with the names of those that were typed, so that options that do not fit each other are refused.

use crate::{Error, Result};
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

/// Options and which of them stand on the command line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given<T> {
    /// The options, with defaults for what was not typed.
    pub options: T,
    /// Names of those that were typed, with dashes, as in `--flood-fill`.
    pub typed: Vec<String>,
}

impl<T> Given<T> {
    /// Refuses options that were typed though they have no effect; `fits` says which ones have.
    ///
    /// # Errors
    /// Names them all, and says `why`.
    pub fn refuse_typed(&self, fits: impl Fn(&str) -> bool, why: &str) -> Result<()> {
        let wrong: Vec<&str> = self.typed.iter().map(String::as_str).filter(|name| !fits(name)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::bad_input(format!("{}: {why}", wrong.join(", ")))) }
    }
}

impl<T: clap::Args> clap::Args for Given<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        T::augment_args_for_update(command)
    }
}

impl<T: clap::Args> FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = T::from_arg_matches(matches)?;
        let own = T::augment_args(clap::Command::new("own"));
        let typed = own
            .get_arguments()
            .filter(|arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
            .map(|arg| format!("--{}", arg.get_long().unwrap_or(arg.get_id().as_str())))
            .collect();
        Ok(Self { options, typed })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Args)]
    struct Own {
        #[arg(long, default_value_t = 1)]
        first: u32,
        #[arg(long)]
        second_one: bool,
    }

    #[derive(Debug, Parser)]
    struct Line {
        #[arg(long)]
        other: bool,
        #[command(flatten)]
        own: Given<Own>,
    }

    #[test]
    fn what_was_typed_is_known_and_can_be_refused() {
        let line = Line::parse_from(["x", "--other", "--second-one"]);
        assert!(line.other && line.own.options.second_one && line.own.options.first == 1);
        assert_eq!(line.own.typed, ["--second-one"]);
        assert!(line.own.refuse_typed(|_| true, "").is_ok());
        let error = line.own.refuse_typed(|name| name == "--first", "goes with --other only").unwrap_err();
        assert!(matches!(error, Error::BadInput(_)), "{error:?}");
        insta::assert_snapshot!(error, @"--second-one: goes with --other only");
    }
}
