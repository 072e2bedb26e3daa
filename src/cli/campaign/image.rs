//! `cleanloop image`: one round's imaging alone, its masks included, without calibration.

use super::campaign_args::CampaignArgs;
use super::run::{Terminal, run_plan, run_to_end};
use crate::campaign::RunOptions;
use crate::campaign::file::StartColumn;
use crate::{ExitStatus, Result};

const ABOUT: &str = "\
Image one round of a campaign, without calibrating.

The round's imaging options and masks are those of the campaign file: with `mask: {cadence: cycle}` a fresh mask is made \
before each major cycle. Nothing is solved for or applied, whatever the file says. The measurement sets are imaged as they \
are: DATA, or CORRECTED_DATA if the round follows a calibration (or the column named by --column).

Everything goes into the folder imaging-NN inside the campaign's output: a journal, the round, a report, and the images in \
final/. The results of `cleanloop run` in the output are not touched. The same command resumes an interrupted imaging \
from its last complete major cycle; once all is done, it repeats nothing. After an option has changed, only the steps that \
depend on it are repeated.

A mask that is made once, before imaging (`mask: {cadence: round}`), needs an image: the last accepted one of an earlier \
round, if the campaign has one.

With --final NAME it makes one of the images of `campaign: final_imaging` instead, in final/NAME, from the best round of a \
campaign that has ended, as `cleanloop run` does after the last round.

The measurement set is copied only if something must be written to it (wsclean needs a column MODEL_DATA for \
`cadence: cycle`) and the campaign file does not say `work_on: original`. With wsclean this needs no CASA.";

const EXAMPLES: &str = "\
Exit codes: 0 done; 2 a mistake in the file, the options or the data; 3 the imager failed; 130 interrupted.

Examples:
  # The deep image, once the gains are good, with a fresh mask before each major cycle
  cleanloop image campaign.yaml --round 3 --ms calibrated.ms
  # A campaign that only images: its round 0
  cleanloop image examples/line_cube_wsclean.yaml --ms line.ms --output cube
  # One of the images and cubes that the file asks for after the best round
  cleanloop image campaign.yaml --final line
  # Data calibrated elsewhere
  cleanloop image campaign.yaml --column CORRECTED_DATA --set wsclean.niter=100000";

/// Arguments of `image`.
#[derive(Debug, clap::Args)]
#[command(about = "Image one round of a campaign, without calibrating", long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub campaign: CampaignArgs,

    /// The round whose imaging options and masks are used.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub round: usize,

    /// The column to image [default: the one that the round images].
    #[arg(long, value_enum)]
    pub column: Option<StartColumn>,

    /// One of the file's final imagings in place of a round: it is made from the best round of the campaign, which must
    /// have ended.
    #[arg(long = "final", value_name = "NAME", conflicts_with_all = ["round", "column"])]
    pub final_imaging: Option<String>,

    /// Put the results of earlier runs of this command for this round aside, and start from the beginning.
    #[arg(long)]
    pub restart: bool,
}

/// Images the round; the same command goes on after an interruption.
///
/// # Errors
/// Bad input, the failure of the imager, an interruption.
pub(crate) fn run(args: Args, terminal: Terminal) -> Result<ExitStatus> {
    let plan = args.campaign.load()?.plan()?;
    let options = RunOptions { restart: args.restart, ..terminal.run_options() };
    let outcome = match &args.final_imaging {
        Some(name) => run_to_end(options, |options| plan.run_final(name, options))?,
        None => run_plan(plan.imaging_alone(args.round, args.column)?, options)?,
    };
    Ok(outcome.exit_status())
}
