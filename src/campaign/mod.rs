//! When things happen: campaign file, plan, driver, journal.

pub mod events;
pub mod file;
pub mod journal;
pub mod layout;
pub mod plan;
pub mod record;
pub mod rounds;
pub mod rules;
pub mod run;
pub mod steps;
