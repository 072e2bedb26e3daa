//! `campaign.resources`: what the machine may give.

use crate::util::duration::TimeLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Threads, memory, time and disk of a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Threads of all programs together. Default: all of the machine's.
    #[schemars(range(min = 1))]
    pub threads: Option<usize>,
    /// Memory of all programs together, GB. Default: each program's own limit.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory_gb: Option<f64>,
    /// Measurement sets that are worked on at the same time; they share threads and memory.
    #[schemars(range(min = 1))]
    pub concurrent: usize,
    /// Time limit of one call of the imager (`12h`, `90m`, or seconds). Default: none.
    pub imager_time_limit: Option<TimeLimit>,
    /// Time limit of one call of the calibrator (`12h`, `90m`, or seconds). Default: none.
    pub calibrator_time_limit: Option<TimeLimit>,
    /// A program without output for this long counts as stalled and is stopped (`12h`, `90m`, or seconds). Default: no
    /// limit.
    pub stall_limit: Option<TimeLimit>,
    /// Disk space that the campaign folder may take, GB: old files are removed to stay below it, but never any that a
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
