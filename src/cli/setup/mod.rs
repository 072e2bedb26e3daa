//! The commands of the installation, one file per subcommand: environments, simulated data, completions, manual pages.

pub(super) mod completions;
pub(super) mod environments;
pub(super) mod man;
pub(super) mod simulate;
