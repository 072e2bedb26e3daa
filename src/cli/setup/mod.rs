//! The commands of the installation, one file per subcommand: environments, their trial, simulated data, completions, manual pages.

pub(super) mod completions;
pub(super) mod doctor;
pub(super) mod environments;
pub(super) mod man;
pub(super) mod simulate;
