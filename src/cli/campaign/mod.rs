//! The commands of campaigns, one file per subcommand, and the arguments that they share.

mod campaign_args;
pub mod cancel;
pub mod demo;
pub mod image;
pub mod init;
pub mod plan;
pub mod report;
pub mod run;
pub mod schema;
pub mod status;
pub mod task;
pub mod validate;
