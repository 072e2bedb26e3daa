//! Measurement sets in place of a campaign file: one is written that says what was chosen, and why.

use super::logging;
use crate::campaign::{self, Campaign, ChoiceRequest};
use crate::programs::setup::{Environment, Kind};
use crate::util::fs;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Whether the path is a measurement set, or should be one.
pub(in crate::cli) fn is_measurement_set(path: &Path) -> bool {
    path.join("table.dat").is_file() || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("ms"))
}

/// The folder of results where none is named: beside the working directory's files, named after the first set.
pub(in crate::cli) fn output_of(measurement_sets: &[PathBuf]) -> PathBuf {
    let stem = measurement_sets.first().and_then(|set| set.file_stem()).unwrap_or_default();
    PathBuf::from(format!("{}-selfcal", stem.to_string_lossy()))
}

/// Chooses a campaign for the measurement sets; `file` is where it will be.
///
/// # Errors
/// Data that cannot be worked with; the failure of a program.
pub(in crate::cli) fn chosen(
    measurement_sets: &[PathBuf],
    field: Option<&str>,
    file: &Path,
    output: &Path,
) -> Result<String> {
    if let Some(missing) = measurement_sets.iter().find(|set| !set.exists()) {
        return Err(Error::bad_input(format!("{}: there is no such measurement set", missing.display())));
    }
    Environment::ensure(Kind::Casa, &mut |words| logging::say(words))?;
    let request = ChoiceRequest { measurement_sets, field, file, say: &|words| logging::say(words) };
    campaign::choose(&request, output)
}

/// The campaign file for these measurement sets: written beside the folder of results, unless it is there already.
///
/// # Errors
/// As [`chosen`]; a file of that name about other data.
pub(in crate::cli) fn campaign_file(
    measurement_sets: &[PathBuf],
    field: Option<&str>,
    output: Option<&Path>,
) -> Result<PathBuf> {
    let output = output.map_or_else(|| output_of(measurement_sets), Path::to_path_buf);
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".yaml");
    let file = output.with_file_name(name);
    if file.exists() {
        check_same(&file, measurement_sets)?;
        logging::say(format_args!("{} is there: going on with it", file.display()));
        return Ok(file);
    }
    if let Some(folder) = file.parent() {
        fs::make(folder)?;
    }
    let text = chosen(measurement_sets, field, &file, &output)?;
    fs::write_atomically(&file, text.as_bytes())?;
    logging::say(format_args!("{}: written, with all choices and their reasons", file.display()));
    Ok(file)
}

/// An earlier file is about the same data.
fn check_same(file: &Path, measurement_sets: &[PathBuf]) -> Result<()> {
    let plan = Campaign::load(file)?.plan()?;
    let absolute = |path: &PathBuf| std::path::absolute(path).map(|p| p.components().collect::<PathBuf>());
    let mut asked =
        measurement_sets.iter().map(absolute).collect::<std::io::Result<Vec<_>>>().map_err(Error::internal)?;
    let mut there: Vec<PathBuf> = plan.targets.iter().flat_map(|target| target.paths()).collect();
    for sets in [&mut asked, &mut there] {
        sets.sort();
        sets.dedup();
    }
    if asked == there {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "{}: is there, but for other measurement sets. Run that file, or name another folder with --output",
        file.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_the_first_set() {
        let sets = [PathBuf::from("/data/night1.ms"), PathBuf::from("night2.ms")];
        assert_eq!(output_of(&sets), PathBuf::from("night1-selfcal"));
        assert!(is_measurement_set(&sets[0]) && !is_measurement_set(Path::new("campaign.yaml")));
    }
}
