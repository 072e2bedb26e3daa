//! `campaign.resources`: what the machine may give.

use crate::util::duration::TimeLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Threads, memory, time and disk of a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Threads of all programs together. Default: all that the machine has.
    #[schemars(range(min = 1))]
    pub threads: Option<usize>,
    /// Memory of all programs together, GB. Default: each program's own limit.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory_gb: Option<f64>,
    /// Measurement sets that are worked on at the same time; they share threads and memory.
    #[schemars(range(min = 1))]
    pub concurrent: usize,
    /// Longest time that one call of the imager may take (`12h`, `90m`, or seconds). Default: no limit.
    pub imager_time_limit: Option<TimeLimit>,
    /// Longest time that one call of the calibrator may take. Default: no limit.
    pub calibrator_time_limit: Option<TimeLimit>,
    /// A program that says nothing for so long is taken for stalled and ended. Default: no limit.
    pub stall_limit: Option<TimeLimit>,
    /// Disk space that the campaign folder may take, GB: files of old cycles are removed to keep it, but never what a
    /// resumed campaign needs. Default: no limit.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub disk_budget_gb: Option<f64>,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            threads: None,
            memory_gb: None,
            concurrent: 1,
            imager_time_limit: None,
            calibrator_time_limit: None,
            stall_limit: None,
            disk_budget_gb: None,
        }
    }
}
