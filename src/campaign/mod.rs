//! When things happen: campaign file, plan, driver, journal.

pub mod acceptance;
pub mod adapters;
pub mod archive;
pub mod batch;
pub mod budget;
pub mod config;
pub mod containers;
pub mod cycle;
pub mod dataset;
pub mod events;
pub mod field;
pub mod folder;
pub mod journal;
pub mod moved;
pub mod plan;
pub mod preview;
pub mod record;
pub mod round_masks;
pub mod run;
pub mod showing;
pub mod solint;
pub mod stages;
pub mod strategy;
pub mod workshop;

#[cfg(test)]
mod dataset_tests;
