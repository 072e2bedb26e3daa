//! When things happen: campaign file, plan, driver, journal.

pub mod events;
pub mod record;
pub mod folder;
pub mod journal;
