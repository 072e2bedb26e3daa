//! The part of the machine that each target and each of its programs may use.

use super::{Plan, containers};
use crate::imager::ImagerOptions;
use crate::process::own;

/// The part of the machine that one target may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Threads.
    pub threads: usize,
    /// Memory, GB; `None`: each program's own limit.
    pub memory_gb: Option<f64>,
}

/// The part of the machine's memory that programs may take together, where no limit is given.
const MEMORY_PART: f64 = 0.9;

impl Share {
    /// The part of each of some processes that share it.
    pub fn divided(self, processes: usize) -> Self {
        let parts = processes.max(1);
        Self { threads: (self.threads / parts).max(1), memory_gb: self.memory_gb.map(|gb| gb / parts as f64) }
    }

    /// Threads and memory divided among the targets that are worked on at the same time.
    pub fn of(plan: &Plan) -> Self {
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = plan.resources.concurrent.clamp(1, plan.targets.len().max(1));
        Self {
            threads: (plan.resources.threads.unwrap_or(machine) / at_once).max(1),
            memory_gb: plan.resources.memory_gb.map(|gb| gb / at_once as f64),
        }
    }

    /// An imager's share with `executable`: MPI processes share it, and the program may have its own limit of memory.
    ///
    /// Without `resources.memory_gb`, one target at a time has the program's own limit; of several each gets at
    /// most its part of the machine: together they must fit.
    pub fn of_imager(self, plan: &Plan, imaging: &ImagerOptions, executable: &[String]) -> Self {
        let Some(own_limit) = imaging.memory_gb() else { return self };
        let at_once = plan.resources.concurrent.clamp(1, plan.targets.len().max(1));
        let memory_gb = self.memory_gb.or_else(|| {
            let part = own::memory_gb()? * MEMORY_PART / at_once as f64;
            (at_once > 1 && part < own_limit as f64).then(|| (part * 10.0).floor() / 10.0)
        });
        Self { memory_gb, ..self }.divided(containers::processes(executable))
    }
}

/// Processes of CASA's parallel imager, where a round asks for it and cleanloop starts it.
pub(crate) fn mpi_processes(plan: &Plan, share: Share) -> Option<usize> {
    let casa = &plan.executables.casa;
    plan.rounds_to_run().iter().find_map(|round| round.imaging.mpi_processes(share.threads, casa))
}
