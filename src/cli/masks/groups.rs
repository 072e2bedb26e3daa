//! The channels of a cube in groups: one after the other here, or as jobs of Slurm. Each group leaves its part in a folder;
//! the same command begins with what is not there yet.

use crate::batch_system::array::{ArrayWork, Progress, follow};
use crate::batch_system::slurm::Slurm;
use crate::batch_system::{JobOptions, job_words};
use crate::campaign::file::SchedulerKind;
use crate::process::own;
use crate::util::duration::TimeLimit;
use crate::util::{digest, fs};
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Threads of a job are its processors: without this it would take all of its node's.
const THREADS: &str = "export RAYON_NUM_THREADS=\"${SLURM_CPUS_PER_TASK:-1}\"";
/// Characters of a key that name a folder and a job.
const SHORT: usize = 8;

/// How a cube is divided, and where the parts are made.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Cubes in groups of channels")]
pub struct GroupArgs {
    /// Mask a cube in groups of so many channels; each group is kept until all are there.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub channels_per_job: Option<u32>,

    /// Where: `local` one after the other, `slurm` as jobs, which the command follows to their end.
    #[arg(long, value_enum, value_name = "ENGINE", requires = "channels_per_job", default_value_t)]
    pub scheduler: SchedulerKind,

    /// Slurm partition.
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,

    /// Slurm account.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,

    /// Time limit of a job, such as 90m or 2h.
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    pub time_limit: Option<TimeLimit>,

    /// Processors of a job; as many threads are used.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub cpus: Option<u32>,

    /// Memory of a job, GB.
    #[arg(long, value_name = "GB", value_parser = positive)]
    pub memory_gb: Option<f64>,

    /// Most jobs that run at the same time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub at_once: Option<u32>,

    /// Number of times that a lost job is submitted again [default: 1].
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,

    /// Interval at which Slurm is asked [default: 15s].
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    pub poll: Option<TimeLimit>,

    /// A further argument of sbatch (`--sbatch-argument=--constraint=avx2`); may be given several times.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub sbatch_argument: Vec<String>,

    /// A shell line at the start of each job, such as `module load cleanloop`; may be given several times.
    #[arg(long, value_name = "LINE")]
    pub setup: Vec<String>,

    /// In a job: the folder of the parts.
    #[arg(long, hide = true, requires = "index")]
    pub parts: Option<PathBuf>,

    /// In a job: number of the group with index 0.
    #[arg(long, hide = true, default_value_t = 0)]
    pub offset: usize,

    /// In a job: index of the group.
    #[arg(long, hide = true, requires = "parts")]
    pub index: Option<usize>,
}

impl GroupArgs {
    /// The group that this process is a job for, and the folder of the parts.
    pub(super) fn of_job(&self) -> Option<(&Path, usize)> {
        Some((self.parts.as_deref()?, self.offset + self.index?))
    }

    /// The channels of a group.
    fn range(&self, group: usize, channels: usize) -> Range<usize> {
        let size = self.size(channels);
        (group * size).min(channels)..((group + 1) * size).min(channels)
    }

    fn size(&self, channels: usize) -> usize {
        self.channels_per_job.map_or(channels, |n| n as usize).max(1)
    }

    fn job(&self) -> JobOptions {
        JobOptions {
            partition: self.partition.clone(),
            account: self.account.clone(),
            time_limit: self.time_limit,
            cpus: self.cpus.map(|n| n as usize),
            memory_gb: self.memory_gb,
            arguments: self.sbatch_argument.clone(),
        }
    }

    /// Refuses options that have no effect.
    ///
    /// # Errors
    /// Names them.
    pub(super) fn check(&self) -> Result<()> {
        let of_slurm = [
            (self.partition.is_some(), "--partition"),
            (self.account.is_some(), "--account"),
            (self.time_limit.is_some(), "--time-limit"),
            (self.cpus.is_some(), "--cpus"),
            (self.memory_gb.is_some(), "--memory-gb"),
            (self.at_once.is_some(), "--at-once"),
            (self.retries.is_some(), "--retries"),
            (self.poll.is_some(), "--poll"),
            (!self.sbatch_argument.is_empty(), "--sbatch-argument"),
            (!self.setup.is_empty(), "--setup"),
        ];
        let given: Vec<&str> = of_slurm.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect();
        if self.scheduler == SchedulerKind::Slurm || given.is_empty() {
            return Ok(());
        }
        Err(Error::bad_input(format!("{}: goes with --channels-per-job N --scheduler slurm", given.join(", "))))
    }
}

fn time_limit(text: &str) -> Result<TimeLimit, String> {
    let value = text.parse::<f64>().map_or_else(|_| text.into(), serde_json::Value::from);
    serde_json::from_value(value).map_err(|e| e.to_string())
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("expected more than 0".into()) }
}

/// What a group found, as its file says.
#[derive(Debug, Serialize, Deserialize)]
struct Part<T> {
    channels: Range<usize>,
    found: T,
}

/// A group of channels of which a part is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// The channels, counted from 0.
    pub channels: Range<usize>,
    /// Its FITS file.
    pub path: PathBuf,
}

/// A cube in groups.
#[derive(Debug)]
pub(super) struct Grouped<'a> {
    args: &'a GroupArgs,
    /// The folder of all that this command's runs have left.
    root: PathBuf,
    /// The folder of the parts of this very run: of the same inputs and options.
    folder: PathBuf,
    channels: usize,
}

impl<'a> Grouped<'a> {
    /// The groups of a run whose parts are kept in `root`. `work` is everything but files that decides the result, and
    /// `files` are those that do.
    ///
    /// # Errors
    /// Options that do not go together; files that cannot be looked at.
    pub(super) fn of(args: &'a GroupArgs, root: PathBuf, channels: usize, work: &str, files: &[&Path]) -> Result<Self> {
        let key = key(args, work, files)?;
        let folder = root.join(&key[..SHORT]);
        Ok(Self { args, root, folder, channels })
    }

    fn count(&self) -> usize {
        self.channels.div_ceil(self.args.size(self.channels))
    }

    /// Makes what is not there yet, here with `make` or in jobs that are called with the words of this command and `extra`
    /// ones, and returns all groups with what they found.
    ///
    /// # Errors
    /// As `make`; jobs that failed; files that cannot be written.
    pub(super) fn run<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        extra: &[String],
        make: &dyn Fn(&Group) -> Result<T>,
    ) -> Result<Vec<(Group, T)>> {
        fs::make(&self.folder)?;
        let is_done = |group: usize| read::<serde::de::IgnoredAny>(&self.folder, group).is_some();
        match self.args.scheduler {
            SchedulerKind::Local => {
                for number in (0..self.count()).filter(|number| !is_done(*number)) {
                    let group = group_of(self.args, &self.folder, number, self.channels);
                    make_part(&self.folder, number, &group, make)?;
                    let Range { start, end } = group.channels;
                    tracing::info!("group {} of {}: channels {start} to {}", number + 1, self.count(), end - 1);
                }
            }
            SchedulerKind::Slurm => self.follow_jobs(name, extra, &is_done)?,
        }
        let part = |number: usize| {
            let group = group_of(self.args, &self.folder, number, self.channels);
            let part = read::<T>(&self.folder, number).filter(|part| part.channels == group.channels);
            let part = part.ok_or_else(|| {
                Error::internal(format!("{}: the part of group {number} is damaged; remove it", self.folder.display()))
            })?;
            Ok((group, part.found))
        };
        (0..self.count()).map(part).collect()
    }

    fn follow_jobs(&self, name: &str, extra: &[String], is_done: &dyn Fn(usize) -> bool) -> Result<()> {
        let program = own::executable().map_err(Error::internal)?;
        let folder = std::path::absolute(&self.folder).map_err(Error::internal)?;
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(own::words().into_iter().skip(1));
        words.extend(extra.iter().cloned());
        words.extend(["--parts".to_string(), folder.to_string_lossy().into_owned()]);
        let key = self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let work = ArrayWork {
            folder: &folder,
            name: &job_words(name),
            key: &key,
            at_once: self.args.at_once.map(|n| n as usize),
            retries: self.args.retries.unwrap_or(1),
            resources: self.args.job(),
            setup: self.args.setup.iter().cloned().chain([THREADS.to_string()]).collect(),
            words,
            poll: self.args.poll.map_or(std::time::Duration::from_secs(15), |TimeLimit(poll)| poll),
        };
        let mut last = None;
        let mut told = |progress: Progress| {
            if last == Some(progress) {
                return;
            }
            let Progress { done, all, running, pending } = progress;
            tracing::info!("{done} of {all} groups are done, {running} at work, {pending} waiting");
            if last.is_none() && done < all {
                tracing::info!(
                    "logs and scripts: {}; where this command is interrupted the jobs go on, and the same command follows \
                     them again",
                    folder.join("slurm").display()
                );
            }
            last = Some(progress);
        };
        follow(&Slurm, &work, self.count(), is_done, &mut told)
    }

    /// Removes the parts, once they are put together.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove(&self.root) {
            tracing::warn!("the groups' parts could not be removed: {error}");
        }
    }
}

/// Makes the part of the group that this process is a job for.
///
/// # Errors
/// As `make`; the run that it was submitted for has ended, or its files cannot be written.
pub(super) fn run_job<T: Serialize + DeserializeOwned>(
    args: &GroupArgs,
    (folder, number): (&Path, usize),
    channels: usize,
    make: &dyn Fn(&Group) -> Result<T>,
) -> Result<()> {
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(Error::bad_input(format!("{folder}: is not there: what this job was submitted for has ended")));
    }
    // A job that Slurm started twice finds its part done.
    if read::<T>(folder, number).is_some() {
        return Ok(());
    }
    make_part(folder, number, &group_of(args, folder, number, channels), make)
}

fn group_of(args: &GroupArgs, folder: &Path, number: usize, channels: usize) -> Group {
    Group { channels: args.range(number, channels), path: folder.join(format!("{number:05}.fits")) }
}

fn make_part<T: Serialize>(
    folder: &Path,
    number: usize,
    group: &Group,
    make: &dyn Fn(&Group) -> Result<T>,
) -> Result<()> {
    let part = Part { channels: group.channels.clone(), found: make(group)? };
    Ok(fs::write_atomically(&facts(folder, number), &serde_json::to_vec(&part).map_err(Error::internal)?)?)
}

fn facts(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number:05}.json"))
}

/// What a group found, if its part is done.
fn read<T: DeserializeOwned>(folder: &Path, number: usize) -> Option<Part<T>> {
    serde_json::from_slice(&std::fs::read(facts(folder, number)).ok()?).ok()
}

/// What decides the parts: program, options, division, and the files, by name, size and time of change.
fn key(args: &GroupArgs, work: &str, files: &[&Path]) -> Result<String> {
    args.check()?;
    let identity = |path: &&Path| {
        let fail = |e: std::io::Error| Error::bad_input(format!("{}: cannot be opened: {e}", path.display()));
        let path = std::path::absolute(path).map_err(fail)?;
        let about = path.metadata().map_err(fail)?;
        let changed = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok((path, about.len(), changed.map(|time| time.as_nanos().to_string())))
    };
    let files = files.iter().map(identity).collect::<Result<Vec<_>>>()?;
    Ok(digest::of_value(&(env!("CARGO_PKG_VERSION"), work, args.channels_per_job, files)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: GroupArgs,
    }

    fn args(words: &[&str]) -> GroupArgs {
        Line::try_parse_from(["mask"].iter().chain(words)).unwrap().args
    }

    #[test]
    fn groups_are_all_channels_each_once() {
        for (channels, size, count) in [(24, 1, 24), (24, 5, 5), (24, 24, 1), (7, 3, 3), (2, 10, 1)] {
            let args = args(&["--channels-per-job", &size.to_string()]);
            let grouped = Grouped::of(&args, "parts".into(), channels, "", &[]).unwrap();
            assert_eq!(grouped.count(), count);
            let all: Vec<usize> = (0..count).flat_map(|group| args.range(group, channels)).collect();
            assert_eq!(all, (0..channels).collect::<Vec<_>>());
        }
    }

    #[test]
    fn parts_are_made_once_and_those_of_other_options_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(&["--channels-per-job", "2"]);
        let made = std::cell::RefCell::new(Vec::new());
        let make = |group: &Group| {
            made.borrow_mut().push(group.channels.start);
            if group.channels.start == 4 && made.borrow().len() == 3 {
                return Err(Error::external("it failed"));
            }
            Ok(group.channels.len())
        };
        let of = |work: &str| Grouped::of(&args, folder.path().join("parts"), 5, work, &[]).unwrap();
        assert!(of("a").run("n", &[], &make).is_err());
        let parts = of("a").run("n", &[], &make).unwrap();
        assert_eq!(parts.iter().map(|(_, found)| *found).collect::<Vec<usize>>(), [2, 2, 1]);
        assert_eq!(*made.borrow(), [0, 2, 4, 4]);
        of("b").run("n", &[], &make).unwrap();
        assert_eq!(made.borrow().len(), 7);
        of("b").remove();
        assert!(!folder.path().join("parts").exists());
    }

    #[test]
    fn options_of_slurm_need_slurm() {
        let error = Grouped::of(&args(&["--cpus", "4", "--setup", "x"]), "p".into(), 5, "", &[]).unwrap_err();
        assert_eq!(error.to_string(), "--cpus, --setup: goes with --channels-per-job N --scheduler slurm");
        let limit = args(&["--channels-per-job", "2", "--scheduler", "slurm", "--time-limit", "1h 30m"]).time_limit;
        assert_eq!(limit.unwrap().0.as_secs(), 5400);
    }
}
