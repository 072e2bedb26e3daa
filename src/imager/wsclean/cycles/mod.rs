//! An imaging cycle by cycle: a chain of calls of wsclean, with a fresh mask for each.
//!
//! Everything happens in the folder `.wsclean` inside the job's folder: `start` holds PSF and dirty image, `cycle-0001`
//! and so on the state after each call. Each is made under another name and renamed when complete, so whatever is there
//! is whole, and an interrupted chain goes on from the last one.

mod channel_runs;
mod finish;
mod minor;
mod repair;
mod revert;
mod start;
mod state;

pub(super) use channel_runs::resources_of_each;
pub(super) use finish::finish;
pub(super) use minor::{begin_inside, clean};
pub(super) use repair::repair;
pub(super) use revert::revert;
pub(super) use start::make_start;
pub(super) use state::{WscleanState, cycle_under_way, start_folder, start_under_way};
