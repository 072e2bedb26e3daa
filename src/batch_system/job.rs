//! Resources of one job.

use crate::util::duration::TimeLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of one job; those that are not set here come from `scheduler`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobOptions {
    /// Slurm partition.
    pub partition: Option<String>,
    /// Slurm account.
    pub account: Option<String>,
    /// Time limit of the job.
    pub time_limit: Option<TimeLimit>,
    /// Processors of the job, all on one node.
    #[schemars(range(min = 1))]
    pub cpus: Option<usize>,
    /// Memory of the job, GB.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory_gb: Option<f64>,
    /// Further arguments of sbatch, after those of `scheduler.arguments`.
    pub arguments: Vec<String>,
}

/// A name as part of a job's: sbatch ends a directive at a space, squeue a name at a comma.
pub(crate) fn job_words(name: &str) -> String {
    let words = name.split(|c: char| !(c.is_alphanumeric() || "._+-".contains(c))).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::job_words;

    #[test]
    fn names_of_jobs_are_one_word() {
        assert_eq!(job_words("NGC 253, final imaging line"), "NGC-253-final-imaging-line");
        assert_eq!(job_words("beam_01+2.a-b"), "beam_01+2.a-b");
    }
}
