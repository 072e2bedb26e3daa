//! The commands of campaigns, one file per subcommand, and the arguments that they share.

pub(super) mod apply;
mod campaign_args;
pub(super) mod cancel;
pub(super) mod demo;
pub(super) mod image;
pub(super) mod init;
pub(super) mod plan;
pub(super) mod report;
pub(super) mod run;
pub(super) mod schema;
pub(super) mod status;
pub(super) mod task;
pub(super) mod validate;
pub(super) mod watch;
