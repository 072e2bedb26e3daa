//! The frequencies of a cube that is imaged in groups, worked out once for the whole of it.

use super::Tell;
use crate::campaign::plan::{Plan, Share};
use crate::campaign::record::Level;
use crate::campaign::steps::programs::Programs;
use crate::imager::CubeGrid;
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The grid, and what it was worked out for.
#[derive(Debug, Serialize, Deserialize)]
struct GridFile {
    key: String,
    grid: CubeGrid,
}

/// All groups of one target lie on one grid, and so do those of all targets with the same data.
fn file(output: &Path, target: &str) -> PathBuf {
    output.join(format!(".grid-{target}.json"))
}

/// The grid of a target's cube.
///
/// # Errors
/// It was not worked out.
pub(crate) fn load(output: &Path, target: &str) -> Result<CubeGrid> {
    let path = file(output, target);
    let failed = |error: &dyn std::fmt::Display| {
        Error::internal(format!("{}: the cube's frequencies cannot be read: {error}; run again", path.display()))
    };
    let bytes = std::fs::read(&path).map_err(|error| failed(&error))?;
    Ok(serde_json::from_slice::<GridFile>(&bytes).map_err(|error| failed(&error))?.grid)
}

/// Works the grids out, unless that is done for the same options and data.
///
/// # Errors
/// CASA's failure.
pub(crate) fn make(plan: &Plan, tell: Tell<'_>) -> Result<()> {
    for (name, target) in plan.cubes() {
        let path = file(&plan.output, name);
        let mut programs = Programs::new(plan, target, Share::of(plan));
        let key = crate::campaign::plan::hash(&(&plan.rounds[0].imaging, programs.identity()?));
        let known = std::fs::read(&path).ok().and_then(|b| serde_json::from_slice::<GridFile>(&b).ok());
        if known.is_some_and(|known| known.key == key) {
            continue;
        }
        let grid = programs.cube_grid(&plan.output)?;
        let json = serde_json::to_vec(&GridFile { key, grid }).map_err(Error::internal)?;
        fs::write_atomically(&path, &json)?;
        let text = format!("channels from {:.6} MHz, {:.3} kHz apart", grid.first_hz / 1e6, grid.width_hz / 1e3);
        tell(Level::Info, text);
    }
    Ok(())
}
