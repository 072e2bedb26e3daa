//! Campaigns: the file, whole runs, faults, many measurement sets.

pub(crate) mod apply;
pub(crate) mod calibrators;
pub(crate) mod chains;
pub(crate) mod confetti_loop;
pub(crate) mod facade;
pub(crate) mod facets;
pub(crate) mod faults;
pub(crate) mod file;
pub(crate) mod final_images;
pub(crate) mod line_cubes;
mod many;
pub(crate) mod no_file;
pub(crate) mod schedule;
pub(crate) mod selection;
pub(crate) mod strategies;
pub(crate) mod surveys;
pub(crate) mod survival;
pub(crate) mod together;
pub(crate) mod whole;
