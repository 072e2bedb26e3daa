//! `cleanloop init`: a commented campaign to start from.

use crate::{Error, ExitStatus, Result};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Campaigns to start from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum InitPreset {
    /// Data and image alone: the program chooses the rest.
    #[default]
    Plain,
    /// Rounds set by hand: wsclean and CASA, one mask per round.
    Selfcal,
    /// The same with a fresh mask before each major cycle.
    Cycle,
    /// Many beams of a field with a flint strategy: minimum absolute clip, deeper from round to round.
    Survey,
}

impl InitPreset {
    /// The campaign file.
    pub fn text(self) -> &'static str {
        match self {
            Self::Plain => include_str!("../../../config/plain.yaml"),
            Self::Selfcal => include_str!("../../../config/selfcal.yaml"),
            Self::Cycle => include_str!("../../../config/cycle.yaml"),
            Self::Survey => include_str!("../../../config/survey.yaml"),
        }
    }
}

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write; - is standard output.
    #[arg(default_value = "campaign.yaml")]
    pub file: PathBuf,

    /// The kind of campaign.
    #[arg(long, value_enum, default_value_t)]
    pub preset: InitPreset,

    /// Overwrite a file that exists.
    #[arg(long)]
    pub force: bool,
}

/// Writes the file.
///
/// # Errors
/// It exists already, or cannot be written.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let text = args.preset.text();
    if args.file.as_os_str() == "-" {
        print!("{text}");
        return Ok(ExitStatus::Done);
    }
    let name = args.file.display();
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(&args.file).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            println!("{name}: written. Name your data in it, then: cleanloop plan {name}");
            Ok(ExitStatus::Done)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::bad_input(format!("{name}: exists; choose another name, or overwrite it with --force")))
        }
        Err(error) => Err(Error::bad_input(format!("{name}: cannot be written: {error}"))),
    }
}
