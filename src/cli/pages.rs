//! The page of the documentation that explains an error: by its kind, or else by the command.

use super::Command;
use crate::batch_system::ledger::LedgerError;
use crate::batch_system::slurm::SlurmError;
use crate::calibrator::facets::FacetError;
use crate::calibrator::{CalibratorCommandError, QuarticalError};
use crate::campaign::file::{ConfigError, LoadError};
use crate::campaign::journal::JournalError;
use crate::campaign::plan::PlanError;
use crate::campaign::record::RecordError;
use crate::image::ImageError;
use crate::image::wcs::WcsError;
use crate::imager::command::ImagerCommandError;
use crate::imager::wsclean::WscleanError;
use crate::masking::MaskingError;
use crate::masking::auto::AutoMaskError;
use crate::masking::multithresh::MultithreshError;
use crate::masking::regions::RegionError;
use crate::noise::NoiseError;
use crate::process::ProcessError;
use crate::process::worker::WorkerError;
use crate::programs::setup::SetupError;
use crate::quality::confetti::ConfettiError;
use crate::report::pack::PackError;
use crate::util::disk::DiskError;
use crate::util::fs::FileError;
use crate::util::lock::LockError;
use std::error::Error as StdError;

type Fault = dyn StdError + 'static;

/// A kind of fault, told by a test, and the page that explains it.
type PageOf = (fn(&Fault) -> bool, &'static str);

/// Kinds of errors and their pages.
const PAGES: [PageOf; 26] = [
    (<Fault>::is::<LoadError>, "docs/campaign.md#how-it-is-read"),
    (<Fault>::is::<ConfigError>, "docs/campaign.md#how-it-is-read"),
    (<Fault>::is::<PlanError>, "docs/campaign.md#campaign"),
    (<Fault>::is::<JournalError>, "docs/troubleshooting.md#the-campaigns-folder"),
    (<Fault>::is::<RecordError>, "docs/troubleshooting.md#the-campaigns-folder"),
    (<Fault>::is::<LockError>, "docs/troubleshooting.md#the-campaigns-folder"),
    (<Fault>::is::<SlurmError>, "docs/slurm.md#when-a-job-is-lost"),
    (<Fault>::is::<LedgerError>, "docs/slurm.md#the-jobs"),
    (<Fault>::is::<SetupError>, "docs/troubleshooting.md#programs-that-are-missing"),
    (<Fault>::is::<DiskError>, "docs/troubleshooting.md#disk-and-memory"),
    (<Fault>::is::<FacetError>, "docs/direction-dependent.md"),
    (<Fault>::is::<CalibratorCommandError>, "docs/calibration.md"),
    (<Fault>::is::<QuarticalError>, "docs/calibration.md"),
    (<Fault>::is::<ImagerCommandError>, "docs/imagers.md"),
    (<Fault>::is::<WscleanError>, "docs/imagers.md"),
    (<Fault>::is::<MultithreshError>, "docs/automask.md"),
    (<Fault>::is::<AutoMaskError>, "docs/masking.md#automatic"),
    (<Fault>::is::<MaskingError>, "docs/masking.md"),
    (<Fault>::is::<RegionError>, "docs/combine.md"),
    (<Fault>::is::<NoiseError>, "docs/noise.md"),
    (<Fault>::is::<ConfettiError>, "docs/confetti.md"),
    (<Fault>::is::<WcsError>, "docs/masking.md#what-counts-as-data"),
    (<Fault>::is::<ImageError>, "docs/masking.md#what-counts-as-data"),
    (<Fault>::is::<PackError>, "docs/troubleshooting.md#reporting-a-fault"),
    (<Fault>::is::<WorkerError>, "docs/troubleshooting.md#a-program-that-failed"),
    (<Fault>::is::<FileError>, "docs/troubleshooting.md#disk-and-memory"),
];
/// A program that is not there, and one that failed.
const NOT_FOUND: &str = "docs/troubleshooting.md#programs-that-are-missing";
const FAILED: &str = "docs/troubleshooting.md#a-program-that-failed";
/// cleanloop's own faults.
const INTERNAL: &str = "docs/troubleshooting.md#reporting-a-fault";
/// Campaigns that were stopped as diverged.
const DIVERGED: &str = "docs/acceptance.md";

/// The page of a command, for errors whose kind has none.
pub(super) fn of_command(command: &Command) -> &'static str {
    match command {
        Command::Init(_) | Command::Validate(_) | Command::Plan(_) | Command::Run(_) => "docs/campaign.md",
        Command::Schema(_) => "docs/formats.md",
        Command::Status(_) | Command::Watch(_) | Command::Report(_) | Command::Demo(_) => "docs/report.md",
        Command::Cancel(_) | Command::Task(_) => "docs/slurm.md",
        Command::Apply(_) => "docs/data.md#solutions-on-the-original-data",
        Command::Image(_) => "docs/imagers.md#one-imaging-alone",
        Command::Mask(_) => "docs/masking.md",
        Command::Automask(_) => "docs/automask.md",
        Command::Combine(_) => "docs/combine.md",
        Command::Extractmask(_) | Command::Mosaic(_) => "docs/surveys.md#field-masks",
        Command::Kernel(_) => "docs/masking.md",
        Command::Deconvolve(_) => "docs/imagers.md",
        Command::Inspect(_) => "docs/data.md#problems",
        Command::Noise(_) => "docs/noise.md",
        Command::Metrics(_) => "docs/acceptance.md",
        Command::Confetti(_) => "docs/confetti.md",
        Command::Setup(_) | Command::Doctor(_) => "docs/troubleshooting.md#programs-that-are-missing",
        Command::Simulate(_) | Command::Completions(_) | Command::Man(_) => "docs/troubleshooting.md",
    }
}

/// The page of an error, if there is something to explain; `other`: the page for a kind that has none of its own.
pub(super) fn of_error(error: &crate::Error, other: &'static str) -> Option<&'static str> {
    match error {
        crate::Error::Interrupted => None,
        crate::Error::Internal(_) => Some(INTERNAL),
        crate::Error::Diverged(_) => Some(DIVERGED),
        crate::Error::BadInput(inner) | crate::Error::External(inner) => Some(of_fault(&**inner).unwrap_or(other)),
    }
}

fn of_fault(fault: &Fault) -> Option<&'static str> {
    let causes = std::iter::successors(Some(fault), |fault: &&Fault| (*fault).source());
    causes.into_iter().find_map(|fault| match fault.downcast_ref() {
        Some(ProcessError::NotFound { .. }) => Some(NOT_FOUND),
        Some(_) => Some(FAILED),
        None => PAGES.iter().find(|(is, _)| is(fault)).map(|(_, page)| *page),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, FromArgMatches};
    use std::path::Path;

    /// The anchor that a heading gets in the documentation's site and on code hosts.
    fn anchor(heading: &str) -> String {
        let plain = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = plain.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    }

    fn assert_is_there(page: &str) {
        let (file, part) = page.split_once('#').unwrap_or((page, ""));
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(page);
        let found = part.is_empty() || text.lines().any(|line| line.starts_with('#') && anchor(line) == part);
        assert!(found, "{page}: no such heading");
    }

    #[test]
    fn every_page_and_heading_is_there() {
        for page in PAGES.iter().map(|(_, page)| *page).chain([NOT_FOUND, FAILED, INTERNAL, DIVERGED]) {
            assert_is_there(page);
        }
        let help = crate::cli::help::command();
        for (name, words) in [("run", "a.yaml"), ("inspect", "a.ms"), ("image", "a.yaml --round 1"), ("setup", "casa")]
        {
            let line = ["cleanloop", name].into_iter().chain(words.split(' '));
            let cli = crate::cli::Cli::from_arg_matches(&help.clone().get_matches_from(line)).unwrap();
            assert_is_there(of_command(&cli.command));
        }
        assert!(crate::cli::Cli::command().get_subcommands().count() > 20);
    }

    #[test]
    fn an_error_ends_with_its_page() {
        let told = |error: &crate::Error| of_error(error, "docs/campaign.md");
        let lock = LockError::Held { folder: "field".into(), holder: "another".into() };
        assert_eq!(told(&lock.into()), Some("docs/troubleshooting.md#the-campaigns-folder"));
        assert_eq!(told(&crate::Error::bad_input("words")), Some("docs/campaign.md"));
        assert_eq!(told(&crate::Error::Interrupted), None);
        let missing = ProcessError::NotFound { program: "wsclean".into(), hint: String::new() };
        assert_eq!(told(&missing.into()), Some("docs/troubleshooting.md#programs-that-are-missing"));
    }
}
