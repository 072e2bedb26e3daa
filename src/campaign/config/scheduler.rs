//! `campaign.scheduler`: where the work of the measurement sets runs.

use super::duration::TimeLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulerKind {
    /// Processes of this machine.
    #[default]
    Local,
    /// Jobs of a Slurm cluster.
    Slurm,
}

/// Where the work runs. A single word stands for the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerOptions {
    /// The engine: `local` or `slurm`.
    pub engine: SchedulerKind,
    /// Slurm partition. Default: the cluster's own.
    pub partition: Option<String>,
    /// Slurm account. Default: the user's own.
    pub account: Option<String>,
    /// Time limit of one job. Default: the partition's own.
    pub time_limit: Option<TimeLimit>,
    /// Further arguments of sbatch, one a word (`--constraint=avx2`).
    pub arguments: Vec<String>,
    /// Shell lines at the start of each job, e.g. `module load wsclean`.
    pub setup: Vec<String>,
    /// How often a failed job is submitted again.
    pub retries: u32,
}

/// Once covers a node that died; more often it is the job's own fault.
const DEFAULT_RETRIES: u32 = 1;

impl Default for SchedulerOptions {
    fn default() -> Self {
        Self {
            engine: SchedulerKind::Local,
            partition: None,
            account: None,
            time_limit: None,
            arguments: Vec::new(),
            setup: Vec::new(),
            retries: DEFAULT_RETRIES,
        }
    }
}

/// As written in the file: a word or a map.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum SchedulerInput {
    Engine(SchedulerKind),
    Options(SchedulerOptions),
}

pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SchedulerOptions, D::Error> {
    Ok(match SchedulerInput::deserialize(deserializer)? {
        SchedulerInput::Engine(engine) => SchedulerOptions { engine, ..SchedulerOptions::default() },
        SchedulerInput::Options(options) => options,
    })
}
