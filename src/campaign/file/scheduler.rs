//! `campaign.scheduler`: where the work of the measurement sets runs.

use crate::batch_system::JobOptions;
use crate::util::duration::TimeLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

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

/// The loss of a job through no fault of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Its node died or was taken out of service.
    NodeFail,
    /// A more urgent job took its place.
    Preempted,
    /// It reached its time limit: a resumed job goes on with the next step that is not done.
    Timeout,
}

/// Where the work runs. A single word stands for the engine. All keys but `engine` are for Slurm; docs/slurm.md says how
/// they work together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerOptions {
    /// The engine: `local` or `slurm`.
    pub engine: SchedulerKind,
    /// Slurm partition. Default: the cluster's own.
    pub partition: Option<String>,
    /// Slurm account. Default: the user's own.
    pub account: Option<String>,
    /// Time limit of one job (a round of one measurement set). Default: the partition's own.
    pub time_limit: Option<TimeLimit>,
    /// Processors of one job, all on one node; its programs use as many threads. Default: `resources.threads`, else 1.
    #[schemars(range(min = 1))]
    pub cpus: Option<usize>,
    /// Memory of one job, GB. Default: `resources.memory_gb`, else the partition's own.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory_gb: Option<f64>,
    /// Further arguments of sbatch, one word each (`--constraint=avx2`).
    pub arguments: Vec<String>,
    /// Shell lines at the start of each job, e.g. `module load wsclean`.
    pub setup: Vec<String>,
    /// Settings of a round's jobs, by round.
    pub rounds: BTreeMap<usize, JobOptions>,
    /// Settings of the job between two rounds that makes something from all measurement sets (a field mask).
    pub barrier: JobOptions,
    /// Settings of the small job that checks the others when they have ended.
    pub steward: JobOptions,
    /// Number of times that a lost job is submitted again.
    pub retries: u32,
    /// Kinds of loss after which a job is submitted again.
    pub resubmit: Vec<Loss>,
    /// Most jobs of one array that run at the same time. Default: Slurm's own limit.
    #[schemars(range(min = 1))]
    pub at_once: Option<usize>,
    /// Most jobs in the queue; the rest are submitted as these end. Default: Slurm's own limit.
    #[schemars(range(min = 1))]
    pub max_queued: Option<usize>,
    /// Interval at which a run that follows its jobs asks Slurm (`15s`, `1m`, or seconds).
    pub poll: TimeLimit,
}

/// Once covers a node that died; more often it is the job's own fault.
const DEFAULT_RETRIES: u32 = 1;
/// Slurm's administrators ask people not to poll faster than a few times a minute, seconds.
const DEFAULT_POLL_S: u64 = 15;
/// The steward reads journals and submits jobs, on one processor.
const STEWARD_CPUS: usize = 1;

impl Default for SchedulerOptions {
    fn default() -> Self {
        Self {
            engine: SchedulerKind::Local,
            partition: None,
            account: None,
            time_limit: None,
            cpus: None,
            memory_gb: None,
            arguments: Vec::new(),
            setup: Vec::new(),
            rounds: BTreeMap::new(),
            barrier: JobOptions::default(),
            steward: JobOptions::default(),
            retries: DEFAULT_RETRIES,
            resubmit: vec![Loss::NodeFail, Loss::Preempted, Loss::Timeout],
            at_once: None,
            max_queued: None,
            poll: TimeLimit(std::time::Duration::from_secs(DEFAULT_POLL_S)),
        }
    }
}

impl SchedulerOptions {
    /// Settings of a round's jobs.
    pub fn of_round(&self, round: usize) -> JobOptions {
        self.merged(self.rounds.get(&round).unwrap_or(&JobOptions::default()))
    }

    /// Settings of the job at a barrier.
    pub fn of_barrier(&self) -> JobOptions {
        self.merged(&self.barrier)
    }

    /// Settings of the steward's job: not the processors and memory of a round.
    pub fn of_steward(&self) -> JobOptions {
        let mut job = self.merged(&self.steward);
        job.cpus = self.steward.cpus.or(Some(STEWARD_CPUS));
        job.memory_gb = self.steward.memory_gb;
        job
    }

    fn merged(&self, own: &JobOptions) -> JobOptions {
        JobOptions {
            partition: own.partition.clone().or_else(|| self.partition.clone()),
            account: own.account.clone().or_else(|| self.account.clone()),
            time_limit: own.time_limit.or(self.time_limit),
            cpus: own.cpus.or(self.cpus),
            memory_gb: own.memory_gb.or(self.memory_gb),
            arguments: self.arguments.iter().chain(&own.arguments).cloned().collect(),
        }
    }
}

/// As written in the file: a word or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, clippy::large_enum_variant)] // Stands for both in the schema; `read` tells them apart.
pub(crate) enum SchedulerInput {
    Engine(SchedulerKind),
    Options(SchedulerOptions),
}

pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SchedulerOptions, D::Error> {
    use serde::de::Error;
    // Not an untagged enum: those cannot hold maps whose keys are numbers.
    let value = serde_json::Value::deserialize(deserializer)?;
    if value.is_string() {
        let engine = serde_json::from_value(value).map_err(D::Error::custom)?;
        return Ok(SchedulerOptions { engine, ..SchedulerOptions::default() });
    }
    serde_json::from_value(value).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_or_a_map() {
        let read = |value: serde_json::Value| super::read(value).map_err(|e| e.to_string());
        assert_eq!(read("slurm".into()).unwrap().engine, SchedulerKind::Slurm);
        let map = read(serde_json::json!({"engine": "slurm", "rounds": {"3": {"cpus": 4}}})).unwrap();
        assert_eq!(map.of_round(3).cpus, Some(4));
        assert!(read(serde_json::json!({"engine": "slurm", "rounds": {"x": {}}})).is_err());
        let plan = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<SchedulerOptions>(&plan).unwrap(), map);
    }

    #[test]
    fn a_round_takes_what_it_does_not_say_from_all_rounds() {
        let options: SchedulerOptions = serde_json::from_value(serde_json::json!({
            "engine": "slurm", "partition": "work", "time_limit": "2h", "cpus": 16, "memory_gb": 60, "arguments": ["-A"],
            "rounds": {"2": {"time_limit": "8h", "arguments": ["-B"]}}, "steward": {"partition": "copy"},
        }))
        .unwrap();
        let (first, second, steward) = (options.of_round(1), options.of_round(2), options.of_steward());
        assert_eq!((first.cpus, first.time_limit.unwrap().0.as_secs()), (Some(16), 7200));
        assert_eq!((second.cpus, second.time_limit.unwrap().0.as_secs()), (Some(16), 28_800));
        assert_eq!(second.arguments, ["-A", "-B"]);
        assert_eq!((steward.partition.as_deref(), steward.cpus, steward.memory_gb), (Some("copy"), Some(1), None));
    }
}
