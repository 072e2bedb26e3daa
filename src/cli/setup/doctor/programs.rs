//! The programs that campaigns call, and their versions.

use super::check::{Check, Health};
use crate::imager::wsclean::{INSTALL_HINT, Installed};
use crate::process::find_program;
use crate::programs::setup::{Environment, EnvironmentState, Kind};

pub(super) const AREA: &str = "programs";
pub(super) const WSCLEAN: &str = "wsclean";
/// The wsclean of the tests (Debian 12).
const WSCLEAN_TRIED: &str = "3.1.0";

/// wsclean on the `PATH`.
pub(super) fn wsclean() -> Check {
    let absent = || Check {
        about: "images faster than CASA's tclean, which campaigns use without it".into(),
        remedy: Some(INSTALL_HINT.into()),
        ..Check::new(AREA, WSCLEAN, Health::Absent)
    };
    let Some(place) = find_program(WSCLEAN) else { return absent() };
    let (health, found) = match Installed::probe(&[WSCLEAN.to_owned()]) {
        Ok(installed) => (Health::Good, installed.version.to_string()),
        Err(error) => (Health::Failed, error.to_string()),
    };
    Check {
        found,
        tried: Some(WSCLEAN_TRIED),
        about: place.display().to_string(),
        remedy: (health == Health::Failed).then(|| INSTALL_HINT.into()),
        ..Check::new(AREA, WSCLEAN, health)
    }
}

/// An environment of `cleanloop setup`.
pub(super) fn environment(kind: Kind) -> Check {
    let command = format!("cleanloop setup {}", kind.name());
    let purpose = match kind {
        Kind::Casa => "simulates, calibrates, images, reads measurement sets",
        Kind::Quartical => "another calibrator",
        Kind::Dp3 => "rounds by direction, and data compressed with Dysco",
        Kind::Mpi => "tclean with `parallel: true`",
    };
    let check = |health| Check { tried: Some(kind.version()), ..Check::new(AREA, kind.name(), health) };
    match Environment::at_home(kind).map(|place| place.state()) {
        Ok(EnvironmentState::Ready(environment)) => {
            Check { found: kind.version().into(), about: environment.root.display().to_string(), ..check(Health::Good) }
        }
        Ok(EnvironmentState::Absent) => Check {
            about: purpose.into(),
            remedy: Some(format!("{command} (version {})", kind.version())),
            ..check(Health::Absent)
        },
        Ok(EnvironmentState::Broken(why)) => Check {
            found: format!("damaged: {why}"),
            about: purpose.into(),
            remedy: Some(format!("{command} repairs it")),
            ..check(Health::Failed)
        },
        Err(error) => Check { found: error.to_string(), about: purpose.into(), ..check(Health::Failed) },
    }
}
