//! Putting aside what earlier runs left.

use crate::campaign::events::Emitter;
use crate::campaign::plan::Plan;
use crate::campaign::record::Level;
use crate::util::fs;
use crate::{Error, Result};
use std::path::PathBuf;

/// Moves everything but the lock into `discarded-N`: a slip of the finger loses nothing.
pub(super) fn put_aside(plan: &Plan, events: &Emitter) -> Result<()> {
    let entries: Vec<PathBuf> = std::fs::read_dir(&plan.output)
        .map_err(Error::internal)?
        .flatten()
        .map(|e| e.path())
        .filter(|p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name != "lock" && !name.starts_with("discarded-")
        })
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let target = (1..)
        .map(|n| plan.output.join(format!("discarded-{n}")))
        .find(|p| !p.exists())
        .expect("there is always a free number");
    fs::make(&target)?;
    for entry in entries {
        let to = target.join(entry.file_name().unwrap_or_default());
        std::fs::rename(&entry, &to).map_err(Error::internal)?;
    }
    let text = format!("what earlier runs left is now in {}; delete it when it is not needed", target.display());
    events.message(None, Level::Info, text);
    Ok(())
}
