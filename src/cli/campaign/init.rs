//! `cleanloop init`: a commented campaign to start from.

use crate::cli::no_file;
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

    /// Measurement sets: everything is chosen from them, each choice with its reason in the file.
    #[arg(long, value_name = "MS", num_args = 1.., conflicts_with = "preset")]
    pub from: Vec<PathBuf>,

    /// With --from: the field, by name or number, where the data have several.
    #[arg(long, value_name = "FIELD", requires = "from")]
    pub field: Option<String>,

    /// Overwrite a file that exists.
    #[arg(long)]
    pub force: bool,
}

/// Writes the file.
///
/// # Errors
/// It exists already, or cannot be written.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let text = if args.from.is_empty() {
        args.preset.text().to_owned()
    } else {
        no_file::chosen(
            &args.from,
            args.field.as_deref(),
            &args.file,
            &args.file.with_file_name(no_file::output_of(&args.from)),
        )?
    };
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
            let next = if args.from.is_empty() { "Name your data in it, then" } else { "Look at it, then" };
            println!("{name}: written. {next}: cleanloop plan {name}");
            Ok(ExitStatus::Done)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::bad_input(format!("{name}: exists; choose another name, or overwrite it with --force")))
        }
        Err(error) => Err(Error::bad_input(format!("{name}: cannot be written: {error}"))),
    }
}
