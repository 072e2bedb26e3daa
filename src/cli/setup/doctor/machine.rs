//! Processors, memory and disks.

use super::check::{Check, Health};
use crate::programs::setup::{self, Environment, EnvironmentState, Kind};
use crate::util::{disk, memory};
use std::path::Path;

const AREA: &str = "machine";
const GB: f64 = 1e9;
/// What the demonstration's folder takes at its end, with the room for one more image: it was 0.6 GB.
const DEMONSTRATION: u64 = 1_000_000_000;
/// What CASA and wsclean of the demonstration took at most, both measured together: 1.3 GB.
const MEMORY: u64 = 2_000_000_000;

/// The machine's checks; campaigns will run in `folder`.
pub(super) fn checks(folder: &Path) -> Vec<Check> {
    vec![processors(), memory_check(), disk_of_campaigns(folder), disk_of_environments()]
}

fn processors() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let found = if cores == 1 { "1 core".into() } else { format!("{cores} cores") };
    Check { found, ..Check::new(AREA, "processors", Health::Good) }
}

fn memory_check() -> Check {
    let limit = memory::limit();
    let available = memory::available().unwrap_or(limit).min(limit);
    let health = if available < MEMORY { Health::Warning } else { Health::Good };
    let remedy = (health == Health::Warning).then(|| {
        "a small campaign takes about 2 GB: end other programs, or run where there is more memory; \
         `resources: memory_gb` limits what imagers take"
            .to_owned()
    });
    let found = format!("{:.1} GB, {:.1} GB of it free", limit as f64 / GB, available as f64 / GB);
    Check { found, remedy, ..Check::new(AREA, "memory", health) }
}

fn disk_of_campaigns(folder: &Path) -> Check {
    let remedy = "a campaign takes the size of its data (twice where they are compressed), and each round its images: \
                  run in a folder on a larger disk";
    disk_check("disk", folder, DEMONSTRATION, remedy)
}

/// The disk of the environments; what is not made yet needs room.
fn disk_of_environments() -> Check {
    let folder = match setup::home() {
        Ok(folder) => folder,
        Err(error) => {
            return Check { found: error.to_string(), ..Check::new(AREA, "environments", Health::Failed) };
        }
    };
    let casa = Environment::at_home(Kind::Casa).map(|place| place.state());
    let needed = if matches!(casa, Ok(EnvironmentState::Ready(_))) { 0 } else { Kind::Casa.disk_needed() };
    disk_check("environments", &folder, needed, "CASA takes 2.8 GB: set CLEANLOOP_HOME to a folder on a larger disk")
}

/// `needed` bytes should be free where `folder` is, or will be.
fn disk_check(name: &str, folder: &Path, needed: u64, remedy: &str) -> Check {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let existing = absolute.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
    let about = absolute.display().to_string();
    match disk::available(existing) {
        Ok(free) => {
            let enough = free >= needed;
            let health = if enough { Health::Good } else { Health::Warning };
            let found = format!("{:.1} GB free", free as f64 / GB);
            let remedy = (!enough).then(|| remedy.to_owned());
            Check { found, about, remedy, ..Check::new(AREA, name, health) }
        }
        Err(error) => Check { found: error.to_string(), about, ..Check::new(AREA, name, Health::Failed) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let check = disk_check("disk", &folder.path().join("not/made/yet"), u64::MAX, "elsewhere");
        assert_eq!((check.health, check.remedy.as_deref()), (Health::Warning, Some("elsewhere")));
        assert_eq!(disk_check("disk", folder.path(), 0, "").health, Health::Good);
    }
}
