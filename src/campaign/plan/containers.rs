//! Programs in containers: the folders that they must see are bound into them.
//!
//! A list of words such as `[apptainer, exec, wsclean.sif, wsclean]` gets the bind mounts of a target after the word
//! `exec`. Which folders those are follows from the plan: the campaign's part for this target, the folders of its
//! measurement sets, and files and temporary folders that the options name.

use super::{Plan, TargetPlan};
use crate::campaign::file::{ApplyTo, Executables};
use crate::programs::setup;
use std::path::{Path, PathBuf};

/// Runtimes that take `--bind A,B` after `exec`, `run` or `shell`.
const BIND_RUNTIMES: [&str; 2] = ["apptainer", "singularity"];
/// Runtimes that take `--volume A:A` after `run` or `exec`.
const VOLUME_RUNTIMES: [&str; 2] = ["docker", "podman"];
/// Words after which a runtime's options stand.
const ACTIONS: [&str; 3] = ["exec", "run", "shell"];

/// Programs that start others under MPI, and how many of them.
const LAUNCHERS: [&str; 3] = ["mpirun", "mpiexec", "orterun"];
const COUNT_OPTIONS: [&str; 3] = ["-n", "-np", "-c"];
/// Options that name further machines, each with resources of its own.
const HOST_OPTIONS: [&str; 6] = ["-H", "-host", "--host", "-hostfile", "--hostfile", "-machinefile"];

/// Folders that the programs of one target must see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    folders: Vec<PathBuf>,
}

impl Mounts {
    /// The folders of one target, each once, none below another.
    pub(crate) fn of(plan: &Plan, target: &TargetPlan) -> Self {
        let layout = plan.layout_of(target);
        let mut paths = vec![layout.root().to_path_buf()];
        // The folder that holds it: a measurement set that is there no longer could not be bound.
        paths.extend(target.members.iter().filter_map(|set| set.path.parent().map(Path::to_path_buf)));
        if let Some(ApplyTo::File(to)) = &plan.apply_to {
            paths.extend(to.parent().map(Path::to_path_buf));
        }
        for round in &plan.rounds {
            paths.extend(round.imaging.folders());
        }
        // The CASA worker's sources, and the folder of temporary files.
        paths.extend(setup::home());
        paths.push(std::env::temp_dir());
        Self::from_paths(paths)
    }

    fn from_paths(mut paths: Vec<PathBuf>) -> Self {
        paths.retain(|path| path.is_absolute() && path.parent().is_some());
        paths.sort();
        let mut folders: Vec<PathBuf> = Vec::new();
        for path in paths {
            if !folders.iter().any(|above| path.starts_with(above)) {
                folders.push(path);
            }
        }
        Self { folders }
    }

    /// The folders.
    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The words of a program with the mounts put in; without a container runtime in them they stay as they are.
    ///
    /// Binds that the words have already are kept. The runtime may stand behind others (`mpirun -n 4 apptainer exec`).
    pub(crate) fn put_into(&self, words: &[String]) -> Vec<String> {
        let name = |word: &String| Path::new(word).file_name().map(|n| n.to_string_lossy().into_owned());
        let is_one_of = |word: &String, known: &[&str]| name(word).is_some_and(|n| known.contains(&n.as_str()));
        let runtime = words.iter().position(|w| is_one_of(w, &BIND_RUNTIMES) || is_one_of(w, &VOLUME_RUNTIMES));
        let Some(runtime) = runtime else { return words.to_vec() };
        let action = words[runtime..].iter().position(|word| ACTIONS.contains(&word.as_str()));
        let Some(action) = action.map(|offset| runtime + offset) else { return words.to_vec() };
        let mut bound = words[..=action].to_vec();
        if is_one_of(&words[runtime], &BIND_RUNTIMES) {
            let folders: Vec<String> = self.bindable().map(|f| f.to_string_lossy().into_owned()).collect();
            if !folders.is_empty() {
                bound.extend(["--bind".to_owned(), folders.join(",")]);
            }
        } else {
            for folder in self.bindable() {
                bound.extend(["--volume".to_owned(), format!("{0}:{0}", folder.display())]);
            }
        }
        bound.extend_from_slice(&words[action + 1..]);
        bound
    }

    /// All executables with the mounts put in, as [`Mounts::put_into`] does it.
    pub(crate) fn put_into_all(&self, executables: &Executables) -> Executables {
        let mut bound = executables.clone();
        for words in
            [&mut bound.wsclean, &mut bound.casa, &mut bound.quartical, &mut bound.imager, &mut bound.calibrator]
        {
            *words = self.put_into(words);
        }
        bound
    }

    fn bindable(&self) -> impl Iterator<Item = &PathBuf> {
        self.folders.iter().filter(|folder| !has_separators(folder))
    }
}

/// Commas and colons separate mounts: a path that holds them cannot be named.
fn has_separators(path: &Path) -> bool {
    path.to_string_lossy().contains([',', ':'])
}

/// The plan with the mounts of `target` in all its executables.
pub(crate) fn bound(plan: &Plan, target: &TargetPlan) -> Plan {
    Plan { executables: Mounts::of(plan, target).put_into_all(&plan.executables), ..plan.clone() }
}

/// Processes that an MPI launcher among the words starts on this machine; 1 without one, or where it names other hosts.
///
/// wsclean-mp takes threads and memory for each process: they share what a measurement set may use.
pub(crate) fn processes(words: &[String]) -> usize {
    let is_launcher = |word: &String| {
        Path::new(word).file_name().is_some_and(|name| LAUNCHERS.iter().any(|launcher| name == *launcher))
    };
    let Some(start) = words.iter().position(is_launcher) else { return 1 };
    if words.iter().any(|word| HOST_OPTIONS.contains(&word.as_str())) {
        return 1;
    }
    let count = words[start..].windows(2).find(|pair| COUNT_OPTIONS.contains(&pair[0].as_str()));
    count.and_then(|pair| pair[1].parse().ok()).filter(|n| *n > 0).unwrap_or(1)
}

/// Whether a program of the plan runs in a container.
pub(crate) fn in_use(plan: &Plan) -> bool {
    let e = &plan.executables;
    let mounts = Mounts { folders: vec![PathBuf::from("/x")] };
    [&e.wsclean, &e.casa, &e.quartical, &e.imager, &e.calibrator].iter().any(|words| mounts.put_into(words) != **words)
}

/// Warnings of paths that cannot be bound.
pub(crate) fn warnings(plan: &Plan) -> Vec<String> {
    if !in_use(plan) {
        return Vec::new();
    }
    let mut warnings: Vec<String> = Vec::new();
    for target in &plan.targets {
        for folder in Mounts::of(plan, target).folders.iter().filter(|folder| has_separators(folder)) {
            let text = format!(
                "{}: cannot be bound into a container, as its name holds a comma or colon; rename it",
                folder.display()
            );
            if !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[rstest]
    #[case("wsclean", "wsclean")]
    #[case("mpirun -n 4 wsclean-mp", "mpirun -n 4 wsclean-mp")]
    #[case("apptainer exec w.sif wsclean", "apptainer exec --bind /data,/out w.sif wsclean")]
    #[case(
        "/usr/bin/singularity -s exec --cleanenv w.sif wsclean",
        "/usr/bin/singularity -s exec --bind /data,/out --cleanenv w.sif wsclean"
    )]
    #[case(
        "mpirun -n 4 apptainer exec --bind /more w.sif wsclean-mp",
        "mpirun -n 4 apptainer exec --bind /data,/out --bind /more w.sif wsclean-mp"
    )]
    #[case("podman run --rm image wsclean", "podman run --volume /data:/data --volume /out:/out --rm image wsclean")]
    #[case("apptainer w.sif", "apptainer w.sif")]
    fn binds_stand_after_the_action(#[case] before: &str, #[case] after: &str) {
        let mounts = Mounts::from_paths(vec!["/out".into(), "/data".into()]);
        assert_eq!(mounts.put_into(&words(before)), words(after));
    }

    #[rstest]
    #[case("wsclean", 1)]
    #[case("mpirun -n 4 wsclean-mp", 4)]
    #[case("/usr/bin/mpiexec --bind-to none -np 2 apptainer exec w.sif wsclean-mp", 2)]
    #[case("mpirun -n 4 --hostfile nodes wsclean-mp", 1)]
    #[case("mpirun wsclean-mp", 1)]
    fn processes_of_a_launcher_are_counted(#[case] line: &str, #[case] count: usize) {
        assert_eq!(processes(&words(line)), count);
    }

    #[test]
    fn folders_are_bound_once_and_never_the_whole_file_system() {
        let paths = ["/data/field", "/data", "/", "/database", "relative", "/data/field/out"].map(PathBuf::from);
        let mounts = Mounts::from_paths(paths.to_vec());
        assert_eq!(mounts.folders(), [PathBuf::from("/data"), PathBuf::from("/database")]);
    }

    #[test]
    fn a_name_that_cannot_be_written_is_left_out() {
        let mounts = Mounts::from_paths(vec!["/a,b".into(), "/c".into()]);
        assert_eq!(mounts.put_into(&words("apptainer exec x y")), words("apptainer exec --bind /c x y"));
    }
}
