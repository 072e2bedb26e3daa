//! When things happen: campaign file, plan, driver, journal.
