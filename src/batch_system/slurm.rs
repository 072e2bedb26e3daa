//! Slurm's clients: what is asked of them and how their answers are read. Behaviour as in Slurm 22.05 (sbatch, squeue,
//! sacct, scancel, scontrol manuals).
//!
//! Nothing here decides; whoever submits the jobs does, through the trait [`BatchSystem`].

use super::JobOptions;
use crate::process::{self, ProcessError, Said};
use crate::util::shell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time that a client may take: sbatch itself waits for a controller that is busy.
const CLIENT_LIMIT: Duration = Duration::from_secs(180);
/// `MaxArraySize` where the controller does not tell: Slurm's default.
const DEFAULT_MAX_ARRAY: usize = 1001;
/// Seconds before the time limit at which a job is asked to end, so that it can say so in its journal.
const WARNING_S: u64 = 60;

/// Why Slurm did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlurmError {
    /// A client cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A client refused, or the controller did.
    #[error("{command}: {words}")]
    Refused {
        /// The command line.
        command: String,
        /// Its output.
        words: String,
    },
    /// A client did not come to an end: whether the controller did what it was asked for is not known.
    #[error("{command}: no answer within {} s; Slurm may be busy, try again later", CLIENT_LIMIT.as_secs())]
    NoAnswer {
        /// The command line.
        command: String,
    },
    /// The user may have no more jobs in the queue at present.
    #[error("Slurm takes no more jobs at present: {words}")]
    Full {
        /// sbatch's output.
        words: String,
    },
    /// A job script cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Script {
        /// The script.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
}

impl From<SlurmError> for crate::Error {
    fn from(e: SlurmError) -> Self {
        match e {
            SlurmError::Script { .. } => Self::internal(e),
            _ => Self::external(e),
        }
    }
}

/// A job or an array of jobs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// Its name, by which it is found again when its number was lost.
    pub name: String,
    /// The array's indices; `None`: a single job.
    pub indices: Option<Vec<usize>>,
    /// Most jobs of the array that run at the same time.
    pub at_once: Option<usize>,
    /// Slurm's words, e.g. `aftercorr:12`.
    pub dependency: Option<String>,
    /// Its resources.
    pub resources: JobOptions,
    /// Shell lines before the command.
    pub setup: Vec<String>,
    /// The command; `$SLURM_ARRAY_TASK_ID` is put in by the shell.
    pub words: Vec<String>,
    /// Where the job's words go: a file name in which Slurm fills in `%a`.
    pub log: PathBuf,
    /// The script's file, which is kept for people to look at.
    pub script: PathBuf,
}

/// Where one job of an array stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// Number of the array (or single job).
    pub job: u64,
    /// Its index; `None`: a single job.
    pub index: Option<usize>,
    /// Where it stands.
    pub state: TaskState,
}

/// States of a job, as far as they make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// Waits (for resources, for other jobs, after a requeue).
    Pending,
    /// Runs, or is about to end.
    Running,
    /// Ended with exit status 0.
    Completed,
    /// Ended with another exit status.
    Failed,
    /// Cancelled by somebody.
    Cancelled,
    /// Cancelled because a job that it depends on did not end well.
    NeverRan,
    /// Its node failed.
    NodeFail,
    /// A more urgent job took its place.
    Preempted,
    /// It reached its time limit.
    Timeout,
    /// It took more memory than it had asked for.
    OutOfMemory,
}

impl TaskState {
    /// It is in the queue or runs.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Slurm's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::NeverRan => "CANCELLED (its dependency failed)",
            Self::NodeFail => "NODE_FAIL",
            Self::Preempted => "PREEMPTED",
            Self::Timeout => "TIMEOUT",
            Self::OutOfMemory => "OUT_OF_MEMORY",
        }
    }

    /// From squeue's or sacct's words.
    fn parse(state: &str, reason: &str) -> Self {
        match state.split_whitespace().next().unwrap_or_default() {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => Self::Pending,
            "COMPLETED" => Self::Completed,
            "CANCELLED" if reason.contains("Dependency") => Self::NeverRan,
            "CANCELLED" | "REVOKED" => Self::Cancelled,
            "NODE_FAIL" | "BOOT_FAIL" => Self::NodeFail,
            "PREEMPTED" => Self::Preempted,
            "TIMEOUT" | "DEADLINE" => Self::Timeout,
            "OUT_OF_MEMORY" => Self::OutOfMemory,
            "FAILED" => Self::Failed,
            // COMPLETING, CONFIGURING, SUSPENDED, STAGE_OUT, SIGNALING, STOPPED, ...: not over.
            _ => Self::Running,
        }
    }
}

/// A batch system: jobs are submitted, looked at and cancelled.
pub(crate) trait BatchSystem {
    /// Submits and returns the job's number.
    ///
    /// # Errors
    /// [`SlurmError::Full`] when there is no room in the queue; any other refusal.
    fn submit(&self, job: &Job) -> Result<u64, SlurmError>;

    /// Where the jobs stand, an entry for each index; jobs that are no longer known are missing.
    ///
    /// # Errors
    /// The controller does not answer.
    fn tasks(&self, jobs: &[u64]) -> Result<Vec<Task>, SlurmError>;

    /// The number of the job with this name, if it is still known.
    ///
    /// # Errors
    /// The controller does not answer.
    fn job_named(&self, name: &str) -> Result<Option<u64>, SlurmError>;

    /// Cancels jobs; those that have ended are no error.
    ///
    /// # Errors
    /// The controller does not answer.
    fn cancel(&self, jobs: &[u64]) -> Result<(), SlurmError>;

    /// Slurm's `MaxArraySize`: indices are below it.
    fn max_array_size(&self) -> usize;
}

/// The real clients.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slurm;

const HINT: &str = "it is a client of Slurm; run cleanloop where jobs are submitted, or leave out `scheduler: slurm`";

fn client(words: &[&str]) -> Result<Said, SlurmError> {
    let words: Vec<String> = words.iter().map(|w| (*w).to_string()).collect();
    Ok(process::capture(&words, CLIENT_LIMIT, HINT)?)
}

fn refused(words: &[&str], said: &Said) -> SlurmError {
    if said.status.is_none() {
        return SlurmError::NoAnswer { command: shell::line(words) };
    }
    let answer = if said.err.trim().is_empty() { said.out.trim() } else { said.err.trim() };
    let answer = if answer.is_empty() { "no answer" } else { answer };
    SlurmError::Refused { command: shell::line(words), words: answer.to_string() }
}

impl BatchSystem for Slurm {
    fn submit(&self, job: &Job) -> Result<u64, SlurmError> {
        let unwritten = |source| SlurmError::Script { path: job.script.clone(), source };
        std::fs::write(&job.script, script(job)).map_err(unwritten)?;
        let path = job.script.to_string_lossy();
        let words = ["sbatch", "--parsable", &path];
        let said = client(&words)?;
        if said.status == Some(0) {
            let number = said.out.trim().lines().last().and_then(|l| l.split(';').next()).and_then(|n| n.parse().ok());
            return number.ok_or_else(|| refused(&words, &said));
        }
        if said.status.is_some() && is_full(&said.err) {
            return Err(SlurmError::Full { words: said.err.trim().to_string() });
        }
        Err(refused(&words, &said))
    }

    fn tasks(&self, jobs: &[u64]) -> Result<Vec<Task>, SlurmError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let list = joined(jobs);
        let words = ["squeue", "--noheader", "--array", "--states=all", "--format=%F|%K|%T|%r", "--jobs", &list];
        let said = client(&words)?;
        // With a single job that is no longer known, squeue fails; with several it leaves it out.
        if said.status != Some(0) && !said.err.contains("Invalid job id") {
            return Err(refused(&words, &said));
        }
        let mut tasks = parse_squeue(&said.out);
        let known: HashSet<u64> = tasks.iter().map(|t| t.job).collect();
        let forgotten: Vec<u64> = jobs.iter().copied().filter(|j| !known.contains(j)).collect();
        if !forgotten.is_empty() {
            // The controller forgets jobs after MinJobAge; accounting, where there is any, does not.
            let list = joined(&forgotten);
            let words =
                ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State", "--jobs", &list];
            if let Ok(said) = client(&words)
                && said.status == Some(0)
            {
                tasks.extend(parse_sacct(&said.out));
            }
        }
        Ok(tasks)
    }

    fn job_named(&self, name: &str) -> Result<Option<u64>, SlurmError> {
        let words = ["squeue", "--noheader", "--me", "--states=all", "--format=%F", "--name", name];
        let said = client(&words)?;
        if said.status != Some(0) {
            return Err(refused(&words, &said));
        }
        Ok(said.out.lines().find_map(|l| l.trim().parse().ok()))
    }

    fn cancel(&self, jobs: &[u64]) -> Result<(), SlurmError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let numbers: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        let mut words = vec!["scancel"];
        words.extend(numbers.iter().map(String::as_str));
        let said = client(&words)?;
        let gone = said.err.lines().all(|l| l.contains("Invalid job id") || l.contains("already completing"));
        if said.status == Some(0) || gone { Ok(()) } else { Err(refused(&words, &said)) }
    }

    fn max_array_size(&self) -> usize {
        let said = client(&["scontrol", "show", "config"]).map(|s| s.out).unwrap_or_default();
        let value = said.lines().find_map(|l| l.strip_prefix("MaxArraySize")?.split('=').nth(1)?.trim().parse().ok());
        value.filter(|n| *n > 1).unwrap_or(DEFAULT_MAX_ARRAY)
    }
}

fn joined(jobs: &[u64]) -> String {
    jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// sbatch's ways to say that there are too many jobs, of the user or of all.
fn is_full(words: &str) -> bool {
    ["SubmitJob", "submit limit", "temporarily unable to accept job", "Job limit", "MaxJobCount"]
        .iter()
        .any(|w| words.contains(w))
}

fn parse_squeue(out: &str) -> Vec<Task> {
    let task = |line: &str| {
        let mut fields = line.trim().split('|');
        let job = fields.next()?.parse().ok()?;
        let index = fields.next()?.parse().ok();
        let state = fields.next()?;
        Some(Task { job, index, state: TaskState::parse(state, fields.next().unwrap_or_default()) })
    };
    out.lines().filter_map(task).collect()
}

fn parse_sacct(out: &str) -> Vec<Task> {
    let mut tasks = Vec::new();
    for line in out.lines() {
        let Some((id, state)) = line.trim().split_once('|') else { continue };
        let state = TaskState::parse(state, "");
        match id.split_once('_') {
            None => tasks.extend(id.parse().ok().map(|job| Task { job, index: None, state })),
            Some((job, index)) => {
                let Ok(job) = job.parse() else { continue };
                let indices = match index.parse() {
                    Ok(index) => vec![index],
                    // Jobs of an array that never began share a line: 12_[3-5,9%2].
                    Err(_) => expand(index.trim_matches(['[', ']'])),
                };
                tasks.extend(indices.into_iter().map(|i| Task { job, index: Some(i), state }));
            }
        }
    }
    tasks
}

/// `0-3,7` with an optional `%limit` at the end.
fn expand(list: &str) -> Vec<usize> {
    let list = list.split('%').next().unwrap_or_default();
    list.split(',')
        .filter_map(|part| match part.split_once('-') {
            None => part.parse().ok().map(|n| n..=n),
            Some((first, last)) => Some(first.parse().ok()?..=last.parse().ok()?),
        })
        .flatten()
        .collect()
}

/// Ascending numbers as Slurm writes them: `0-3,7`.
fn contracted(indices: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => parts.push((index, index)),
        }
    }
    let text =
        |(first, last): (usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    parts.into_iter().map(text).collect::<Vec<_>>().join(",")
}

/// The job script: what the job asks for, people's own lines, and cleanloop in place of the shell, so that Slurm's
/// signals reach it.
fn script(job: &Job) -> String {
    let mut lines = vec![format!("--job-name={}", job.name), format!("--output={}", directive(&job.log))];
    if let Some(indices) = &job.indices {
        let limit = job.at_once.map(|n| format!("%{n}")).unwrap_or_default();
        lines.push(format!("--array={}{limit}", contracted(indices)));
    }
    // A job whose dependency can never be met would wait for ever.
    lines.extend(job.dependency.iter().flat_map(|d| [format!("--dependency={d}"), "--kill-on-invalid-dep=yes".into()]));
    // Slurm itself brings back what a node's death or a more urgent job ended; the log of the first try is kept.
    lines.extend(["--requeue".to_string(), "--open-mode=append".into(), "--nodes=1".into(), "--ntasks=1".into()]);
    let r = &job.resources;
    lines.extend(r.partition.iter().map(|p| format!("--partition={p}")));
    lines.extend(r.account.iter().map(|a| format!("--account={a}")));
    lines.extend(r.cpus.iter().map(|n| format!("--cpus-per-task={n}")));
    lines.extend(r.memory_gb.iter().map(|gb| format!("--mem={}M", (gb * 1000.0).ceil().max(1.0))));
    if let Some(limit) = r.time_limit {
        let seconds = limit.0.as_secs().max(60);
        let (minutes, seconds) = (seconds.div_ceil(60), seconds);
        lines.push(format!("--time={minutes}"));
        lines.push(format!("--signal=B:TERM@{}", WARNING_S.min(seconds / 4)));
    }
    lines.extend(r.arguments.iter().cloned());
    let mut text = String::from("#!/bin/bash\n");
    for line in lines {
        text.push_str(&format!("#SBATCH {line}\n"));
    }
    for line in &job.setup {
        text.push_str(&format!("{line}\n"));
    }
    let words: Vec<String> = job
        .words
        .iter()
        .map(|w| if w == "$SLURM_ARRAY_TASK_ID" { format!("\"{w}\"") } else { shell::quote(w).into_owned() })
        .collect();
    text.push_str(&format!("exec {}\n", words.join(" ")));
    text
}

/// A path in a directive, which sbatch ends at a space.
fn directive(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.contains(char::is_whitespace) { format!("\"{path}\"") } else { path.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::duration::TimeLimit;
    use rstest::rstest;

    #[test]
    fn the_script_of_an_array() {
        let job = Job {
            name: "cl-1".into(),
            indices: Some(vec![0, 1, 2, 7]),
            at_once: Some(5),
            dependency: Some("aftercorr:12".into()),
            resources: JobOptions {
                partition: Some("work".into()),
                account: Some("as1".into()),
                time_limit: Some(TimeLimit(Duration::from_secs(5400))),
                cpus: Some(8),
                memory_gb: Some(0.5),
                arguments: vec!["--constraint=avx2".into()],
            },
            setup: vec!["module load wsclean".into()],
            words: ["/opt/my bin/cleanloop", "task", "--index", "$SLURM_ARRAY_TASK_ID"].map(String::from).to_vec(),
            log: "/out/slurm/logs/1-%a.log".into(),
            script: "/out/slurm/1.sh".into(),
        };
        insta::assert_snapshot!(script(&job), @r###"
        #!/bin/bash
        #SBATCH --job-name=cl-1
        #SBATCH --output=/out/slurm/logs/1-%a.log
        #SBATCH --array=0-2,7%5
        #SBATCH --dependency=aftercorr:12
        #SBATCH --kill-on-invalid-dep=yes
        #SBATCH --requeue
        #SBATCH --open-mode=append
        #SBATCH --nodes=1
        #SBATCH --ntasks=1
        #SBATCH --partition=work
        #SBATCH --account=as1
        #SBATCH --cpus-per-task=8
        #SBATCH --mem=500M
        #SBATCH --time=90
        #SBATCH --signal=B:TERM@60
        #SBATCH --constraint=avx2
        module load wsclean
        exec '/opt/my bin/cleanloop' task --index "$SLURM_ARRAY_TASK_ID"
        "###);
    }

    #[test]
    fn answers_of_squeue_and_sacct() {
        let out = "14|3|PENDING|Dependency\n14|0|RUNNING|None\n14|1|COMPLETING|None\n14|2|CANCELLED|DependencyNeverSatisfied\n\
                   15|N/A|NODE_FAIL|NodeDown\nnonsense\n";
        let states: Vec<_> = parse_squeue(out).into_iter().map(|t| (t.job, t.index, t.state)).collect();
        assert_eq!(
            states,
            [
                (14, Some(3), TaskState::Pending),
                (14, Some(0), TaskState::Running),
                (14, Some(1), TaskState::Running),
                (14, Some(2), TaskState::NeverRan),
                (15, None, TaskState::NodeFail),
            ]
        );
        let out = "14_3|COMPLETED\n14_[5-6,9%2]|CANCELLED by 0\n16|OUT_OF_MEMORY\n";
        let states: Vec<_> = parse_sacct(out).into_iter().map(|t| (t.job, t.index, t.state)).collect();
        assert_eq!(
            states,
            [
                (14, Some(3), TaskState::Completed),
                (14, Some(5), TaskState::Cancelled),
                (14, Some(6), TaskState::Cancelled),
                (14, Some(9), TaskState::Cancelled),
                (16, None, TaskState::OutOfMemory),
            ]
        );
    }

    #[rstest]
    #[case(&[0], "0")]
    #[case(&[0, 1, 2, 4, 6, 7], "0-2,4,6-7")]
    fn lists_of_indices(#[case] indices: &[usize], #[case] text: &str) {
        assert_eq!(contracted(indices), text);
        assert_eq!(expand(text), indices);
    }

    #[rstest]
    #[case("sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: ...", true)]
    #[case("sbatch: error: QOSMaxSubmitJobPerUserLimit", true)]
    #[case("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", true)]
    #[case("sbatch: error: invalid partition specified: nowhere", false)]
    fn a_full_queue_is_no_mistake(#[case] words: &str, #[case] full: bool) {
        assert_eq!(is_full(words), full);
    }
}
