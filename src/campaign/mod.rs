//! When things happen: campaign file, plan, driver, journal.

pub mod acceptance;
pub mod events;
pub mod folder;
pub mod journal;
pub mod record;
