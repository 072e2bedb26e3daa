//! The commands of the installation, one file per subcommand: environments, simulated data, completions, manual pages.

pub mod completions;
pub mod environments;
pub mod man;
pub mod simulate;
