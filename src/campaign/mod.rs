//! When things happen: campaign file, plan, driver, journal.

pub mod events;
pub mod folder;
pub mod journal;
pub mod record;
pub mod acceptance;
