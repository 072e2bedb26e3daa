//! Collecting what is to be kept: chosen files copied, others packed into one compressed tar file.
//!
//! Everything appears whole or not at all: files are written under another name and renamed. A campaign that is killed
//! while it collects does it again.

use crate::campaign::file::ArchiveOptions;
use crate::process::interrupt;
use crate::util::fs;
use crate::{Error, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Component, Path, PathBuf};

/// Folder of the archive inside a measurement set's folder, where no other is named.
pub const FOLDER: &str = "archive";
/// Names in a campaign's folder that belong to the campaign as a whole, not to a measurement set.
const OF_THE_CAMPAIGN: [&str; 5] = ["report", "field", "campaign.yaml", "plan.json", "record.json"];
/// Names that are nobody's product.
const NEVER: [&str; 4] = [FOLDER, "lock", "dataset.lock", "discarded-*"];

/// Which part of a folder is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Rounds, logs, final products: what belongs to one measurement set.
    MeasurementSet,
    /// Report, field images, campaign file, record.
    Campaign,
}

impl Part {
    fn takes(self, relative: &Path) -> bool {
        let Some(Component::Normal(first)) = relative.components().next() else { return false };
        let first = first.to_string_lossy();
        let never = NEVER.iter().any(|name| glob::Pattern::new(name).is_ok_and(|p| p.matches(&first)));
        !never && (OF_THE_CAMPAIGN.contains(&first.as_ref()) == (self == Self::Campaign))
    }
}

/// Whether a pattern names things of the campaign as a whole: report, field images, campaign file, record.
pub fn is_of_the_campaign(pattern: &str) -> bool {
    let first = pattern.split('/').next().unwrap_or_default();
    glob::Pattern::new(first).is_ok_and(|p| OF_THE_CAMPAIGN.iter().any(|name| p.matches(name)))
}

/// What was collected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Archived {
    /// The copies.
    pub copied: Vec<PathBuf>,
    /// The tar file; `None`: nothing to pack.
    pub packed: Option<PathBuf>,
    /// Files and tables in it.
    pub packed_files: usize,
    /// Patterns that matched nothing.
    pub unmatched: Vec<String>,
}

impl Archived {
    /// Whether all of it is still there.
    pub fn is_there(&self) -> bool {
        self.copied.iter().chain(&self.packed).all(|path| path.exists())
    }
}

/// Where things of a measurement set (or of the campaign) called `name` go, whose own folder is `root`.
struct Targets {
    copies: PathBuf,
    tar: PathBuf,
}

impl Targets {
    fn of(options: &ArchiveOptions, root: &Path, name: &str) -> Self {
        let place = |folder: Option<&PathBuf>| folder.map_or_else(|| root.join(FOLDER), |folder| folder.join(name));
        let tar = place(options.to.as_ref());
        Self { copies: options.copy_to.as_ref().map_or_else(|| tar.clone(), |_| place(options.copy_to.as_ref())), tar }
    }

    fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.copies) || path.starts_with(&self.tar)
    }
}

/// Whether a file below `root`, the folder of the measurement set `name`, is wanted by any pattern.
pub fn wants(options: &ArchiveOptions, root: &Path, name: &str, path: &Path) -> bool {
    let Ok(relative) = path.strip_prefix(root) else { return false };
    let wanted = |pattern: &String| {
        let Ok(pattern) = glob::Pattern::new(pattern) else { return false };
        // A pattern that names a folder wants all that is in it.
        relative.ancestors().any(|part| !part.as_os_str().is_empty() && pattern.matches_path_with(part, MATCHING))
    };
    let expressions = Expressions::of(options.copy_file_re_patterns.iter().chain(&options.tar_file_re_patterns));
    options.copy.iter().chain(&options.compress).any(wanted)
        || relative.ancestors().any(|part| expressions.match_name(&flint_name(Part::MeasurementSet, name, part)))
}

/// Regular expressions, each looked for anywhere in a name, as flint does it.
struct Expressions(Vec<regex::Regex>);

impl Expressions {
    /// Those that cannot be read were refused with the campaign file.
    fn of<'a>(patterns: impl IntoIterator<Item = &'a String>) -> Self {
        Self(patterns.into_iter().filter_map(|p| regex::Regex::new(p).ok()).collect())
    }

    fn match_name(&self, name: &str) -> bool {
        self.0.iter().any(|expression| expression.is_match(name))
    }

    /// Files and CASA tables below `root` whose names match; other folders are looked into.
    fn find(&self, root: &Path, part: Part, name: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if !self.0.is_empty() {
            self.look_into(root, Path::new(""), part, name, &mut found);
        }
        found
    }

    fn look_into(&self, root: &Path, folder: &Path, part: Part, name: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
        for entry in entries.flatten() {
            let relative = folder.join(entry.file_name());
            if !part.takes(&relative) {
                continue;
            }
            let path = entry.path();
            let whole = !path.is_dir() || path.join(TABLE_MARK).exists();
            if whole && self.match_name(&flint_name(part, name, &relative)) {
                found.push(relative);
            } else if entry.file_type().is_ok_and(|t| t.is_dir()) && !whole {
                self.look_into(root, &relative, part, name, found);
            }
        }
    }
}

/// A folder with this file is a CASA table.
const TABLE_MARK: &str = "table.dat";

/// The name under which flint's patterns look for a file: its path with the measurement set's name before it, rounds
/// (`round-04`), field images (`field`) and tables (`.cal`) called as flint calls them (`round4`, `linmos`, `.caltable`).
///
/// ```text
/// beam03, round-04/image/image-MFS-image.fits -> beam03/round4/image/image-MFS-image.fits
/// field/round-01/image.fits                   -> linmos/round1/image.fits
/// ```
fn flint_name(part: Part, name: &str, relative: &Path) -> String {
    let mut words: Vec<String> = if part == Part::MeasurementSet { vec![name.to_owned()] } else { Vec::new() };
    for component in relative.components() {
        let word = component.as_os_str().to_string_lossy();
        words.push(match word.strip_prefix("round-") {
            Some(number) if number.starts_with(|c: char| c.is_ascii_digit()) => {
                let digits = number.len() - number.trim_start_matches('0').len();
                // One zero stays of round 0.
                let digits =
                    if number[digits..].starts_with(|c: char| c.is_ascii_digit()) { digits } else { digits - 1 };
                format!("round{}", &number[digits..])
            }
            _ if part == Part::Campaign && words.is_empty() && word == "field" => "linmos".to_owned(),
            _ => match word.strip_suffix(".cal") {
                Some(table) => format!("{table}.caltable"),
                None => word.into_owned(),
            },
        });
    }
    words.join("/")
}

/// As a shell does it: `*` stops at a slash, `**` does not.
const MATCHING: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Collects the files of one part of `root`, the folder of `name`, that the patterns name: copies with their folders,
/// the rest into `NAME.tar.gz`.
///
/// # Errors
/// Files that cannot be read or written, an interruption.
pub fn collect(options: &ArchiveOptions, root: &Path, part: Part, name: &str) -> Result<Archived> {
    let mut archived = Archived::default();
    let targets = Targets::of(options, root, name);
    let mut all = |patterns: &[String], expressions: &[String]| {
        let mut found = matches(patterns, root, part, &mut archived.unmatched);
        found.extend(Expressions::of(expressions).find(root, part, name));
        found.retain(|relative| !targets.holds(&root.join(relative)) && !is_unfinished(relative));
        without_nested(found)
    };
    let copy = all(&options.copy, &options.copy_file_re_patterns);
    let pack = all(&options.compress, &options.tar_file_re_patterns);
    for relative in copy {
        interrupt::check()?;
        let to = targets.copies.join(&relative);
        copy_whole(&root.join(&relative), &to)?;
        archived.copied.push(to);
    }
    if !pack.is_empty() {
        fs::make(&targets.tar)?;
        let to = targets.tar.join(format!("{name}.tar.gz"));
        archived.packed_files = pack.len();
        write_tar(root, &pack, &to)?;
        archived.packed = Some(to);
    }
    Ok(archived)
}

/// Paths relative to `root` that the patterns name.
fn matches(patterns: &[String], root: &Path, part: Part, unmatched: &mut Vec<String>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let full = format!("{}/{pattern}", glob::Pattern::escape(&root.to_string_lossy()));
        let before = found.len();
        let paths = glob::glob_with(&full, MATCHING).into_iter().flatten().flatten();
        let relative = paths.filter_map(|path| path.strip_prefix(root).map(Path::to_path_buf).ok());
        found.extend(relative.filter(|relative| part.takes(relative) && !is_unfinished(relative)));
        if found.len() == before {
            unmatched.push(pattern.clone());
        }
    }
    found
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().ends_with(".part"))
}

/// Sorted, each once, none below another.
fn without_nested(mut found: Vec<PathBuf>) -> Vec<PathBuf> {
    found.sort();
    found.dedup();
    let mut top: Vec<PathBuf> = Vec::new();
    for path in found {
        // Sorted: what is below a folder follows it at once, or after others that are below it.
        if !top.last().is_some_and(|above| path.starts_with(above)) {
            top.push(path);
        }
    }
    top
}

fn io(path: &Path, action: &str) -> impl FnOnce(std::io::Error) -> Error {
    let words = format!("{}: cannot be {action}", path.display());
    move |error| Error::internal(format!("{words}: {error}"))
}

/// The name of a file that is being written.
fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// A copy of a file or folder (a CASA table), which appears whole.
fn copy_whole(from: &Path, to: &Path) -> Result<()> {
    let part = unfinished(to);
    if let Some(parent) = to.parent() {
        fs::make(parent)?;
    }
    fs::remove(&part)?;
    copy(from, &part)?;
    if from.is_dir() {
        return Ok(fs::swap_in(&part, to)?);
    }
    std::fs::rename(&part, to).map_err(io(to, "written"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        std::fs::copy(from, to).map_err(io(to, "written"))?;
        return File::open(to).and_then(|file| file.sync_all()).map_err(io(to, "written"));
    }
    fs::make(to)?;
    for entry in std::fs::read_dir(from).map_err(io(from, "read"))? {
        let entry = entry.map_err(io(from, "read"))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn write_tar(root: &Path, files: &[PathBuf], to: &Path) -> Result<()> {
    let part = unfinished(to);
    let file = File::create(&part).map_err(io(&part, "written"))?;
    let mut tar = tar::Builder::new(GzEncoder::new(BufWriter::new(file), Compression::default()));
    tar.follow_symlinks(false);
    for relative in files {
        interrupt::check()?;
        add(&mut tar, root, relative)?;
    }
    let file = tar
        .into_inner()
        .and_then(GzEncoder::finish)
        .and_then(|buffer| buffer.into_inner().map_err(std::io::IntoInnerError::into_error))
        .map_err(io(&part, "written"))?;
    file.sync_all().map_err(io(&part, "written"))?;
    std::fs::rename(&part, to).map_err(io(to, "written"))
}

/// Adds a file, or a folder with all that is in it, in the order of names: the same files give the same archive.
fn add<W: std::io::Write>(tar: &mut tar::Builder<W>, root: &Path, relative: &Path) -> Result<()> {
    let path = root.join(relative);
    if !path.is_dir() {
        return tar.append_path_with_name(&path, relative).map_err(io(&path, "packed"));
    }
    tar.append_dir(relative, &path).map_err(io(&path, "packed"))?;
    let entries = std::fs::read_dir(&path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut names: Vec<_> = entries.map_err(io(&path, "read"))?.iter().map(std::fs::DirEntry::file_name).collect();
    names.sort();
    names.iter().try_for_each(|name| add(tar, root, &relative.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, file).unwrap();
        }
        folder
    }

    const FILES: [&str; 7] = [
        "final/image.fits",
        "final/gains.cal/table.dat",
        "round-01/calibration/gains.cal/table.dat",
        "round-01/logs/solve.log",
        "report/index.html",
        "record.json",
        "lock",
    ];

    fn options(copy: &[&str], compress: &[&str]) -> ArchiveOptions {
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        ArchiveOptions { copy: list(copy), compress: list(compress), ..ArchiveOptions::default() }
    }

    fn packed(path: &Path) -> Vec<(String, String)> {
        let mut tar = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
        let mut files = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.push((name, text));
        }
        files
    }

    #[test]
    fn chosen_files_are_copied_and_packed_with_their_paths() {
        let root = folder_with(&FILES);
        let options = options(&["final/*.fits"], &["**/*.cal", "**/logs", "nothing*"]);
        let target = root.path().join("archive");
        let made = collect(&options, root.path(), Part::MeasurementSet, "beam").unwrap();
        assert_eq!(made.copied, [target.join("final/image.fits")]);
        assert_eq!(made.unmatched, ["nothing*"]);
        assert!(made.is_there());
        let inside: Vec<(String, String)> =
            packed(&made.packed.clone().unwrap()).into_iter().filter(|(_, text)| !text.is_empty()).collect();
        let expected =
            ["final/gains.cal/table.dat", "round-01/calibration/gains.cal/table.dat", "round-01/logs/solve.log"];
        assert_eq!(inside, expected.map(|name| (name.to_owned(), name.to_owned())));
        std::fs::remove_file(target.join("final/image.fits")).unwrap();
        assert!(!made.is_there());
    }

    #[test]
    fn each_part_is_collected_by_itself_and_locks_never() {
        let root = folder_with(&FILES);
        let options = options(&["*", "**/*"], &[]);
        let collect = |part, name: &str| collect(&options, root.path(), part, name);
        let made = collect(Part::MeasurementSet, "beam").unwrap();
        let names = |made: &Archived| -> Vec<String> {
            let archive = root.path().join("archive");
            made.copied.iter().map(|p| p.strip_prefix(&archive).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(&made), ["final", "round-01"]);
        let made = collect(Part::Campaign, "campaign").unwrap();
        assert_eq!(names(&made), ["record.json", "report"]);
        assert_eq!(
            std::fs::read_to_string(root.path().join("archive/report/index.html")).unwrap(),
            "report/index.html"
        );
    }

    #[test]
    fn what_a_killed_run_left_does_no_harm() {
        let root = folder_with(&FILES);
        let options = options(&["final/image.fits", "final/gains.cal"], &["final"]);
        let target = root.path().join("archive");
        // Half a copy, half a table, half a tar file, and a table of an earlier time.
        std::fs::create_dir_all(target.join("final/.gains.cal.part")).unwrap();
        std::fs::write(target.join("final/.gains.cal.part/stale"), "x").unwrap();
        std::fs::write(target.join("final/.image.fits.part"), "half").unwrap();
        std::fs::write(target.join(".beam.tar.gz.part"), "half").unwrap();
        std::fs::create_dir_all(target.join("final/gains.cal")).unwrap();
        std::fs::write(target.join("final/gains.cal/old"), "x").unwrap();
        let made = collect(&options, root.path(), Part::MeasurementSet, "beam").unwrap();
        assert!(made.is_there());
        let mut left: Vec<String> = std::fs::read_dir(target.join("final"))
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["gains.cal", "image.fits"]);
        assert_eq!(std::fs::read_dir(target.join("final/gains.cal")).unwrap().count(), 1, "the table is the new one");
        assert_eq!(packed(&target.join("beam.tar.gz")).last().unwrap().1, "final/image.fits");
        assert!(!target.join(".beam.tar.gz.part").exists());
    }

    #[test]
    fn what_patterns_want_is_known_beforehand() {
        let options = options(&["final/*.fits"], &["**/*.cal", "round-01/image"]);
        let root = Path::new("/out");
        for (path, wanted) in [
            ("/out/final/image.fits", true),
            ("/out/final/deeper/image.fits", false),
            ("/out/round-00/calibration/g.cal/table.dat", true),
            ("/out/round-01/image/residual.fits", true),
            ("/out/round-02/image/residual.fits", false),
            ("/elsewhere/final/image.fits", false),
        ] {
            assert_eq!(wants(&options, root, "beam", Path::new(path)), wanted, "{path}");
        }
    }

    #[test]
    fn flint_s_patterns_find_what_flint_would_call_so() {
        let root = folder_with(&[
            "data/beam03.ms/table.dat",
            "data/beam03.ms/ANTENNA/table.dat",
            "round-04/image/image-MFS-image.fits",
            "round-04/image/image-MFS-residual.fits",
            "round-03/image/image-MFS-image.fits",
            "round-00/image/image-0000-image.fits",
            "round-04/calibration/gains.cal/table.dat",
            "final/apply-solutions.txt",
            "report/plot.png",
            "field/round-04/image.fits",
            "field/round-04/image.weight.fits",
            "record.json",
        ]);
        let re = |copy: &[&str], tar: &[&str]| ArchiveOptions {
            copy_file_re_patterns: copy.iter().map(ToString::to_string).collect(),
            tar_file_re_patterns: tar.iter().map(ToString::to_string).collect(),
            copy_to: Some(root.path().join("archive/copies")),
            ..ArchiveOptions::default()
        };
        let names = |made: &Archived| -> (Vec<String>, Vec<String>) {
            let copies = |p: &PathBuf| {
                let parts: Vec<_> = p.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
                parts[parts.iter().position(|c| c == "copies").unwrap() + 2..].join("/")
            };
            let inside = made.packed.iter().flat_map(|tar| packed(tar)).filter(|(_, text)| !text.is_empty());
            (made.copied.iter().map(copies).collect(), inside.map(|(name, _)| name).collect())
        };
        let options = re(
            &[r".*linmos.*fits", r".*png", r"round4.*MFS.*(image|model)\.fits"],
            &[r".*beam[0-9]+\.ms", r".*\.caltable$", r"^beam0[0-3].*round3.*image\.fits$", "txt"],
        );
        let (copied, tar) = names(&collect(&options, root.path(), Part::MeasurementSet, "beam03").unwrap());
        assert_eq!(copied, ["round-04/image/image-MFS-image.fits"]);
        let expected = [
            "data/beam03.ms/ANTENNA/table.dat",
            "data/beam03.ms/table.dat",
            "final/apply-solutions.txt",
            "round-03/image/image-MFS-image.fits",
            "round-04/calibration/gains.cal/table.dat",
        ];
        assert_eq!(tar, expected);
        let (copied, tar) = names(&collect(&options, root.path(), Part::Campaign, "campaign").unwrap());
        assert_eq!(copied, ["field/round-04/image.fits", "field/round-04/image.weight.fits", "report/plot.png"]);
        assert!(tar.is_empty(), "{tar:?}");
        // Once more: what the archive holds is not collected itself.
        let again = collect(&re(&[], &[".*fits"]), root.path(), Part::MeasurementSet, "beam03").unwrap();
        assert_eq!(again.packed_files, 4);
        let wanted = |path: &str| wants(&options, root.path(), "beam03", &root.path().join(path));
        assert!(wanted("round-04/image/image-MFS-image.fits") && !wanted("round-04/image/image-MFS-residual.fits"));
        assert!(wanted("data/beam03.ms/ANTENNA/table.dat") && !wanted("round-00/image/image-0000-image.fits"));
    }

    #[test]
    fn names_are_told_in_flint_s_way() {
        let name = |part, path: &str| flint_name(part, "b1", Path::new(path));
        assert_eq!(name(Part::MeasurementSet, "round-00/a.cal"), "b1/round0/a.caltable");
        assert_eq!(name(Part::MeasurementSet, "round-12-retry/field/x"), "b1/round12-retry/field/x");
        assert_eq!(name(Part::Campaign, "field/round-10/image.fits"), "linmos/round10/image.fits");
    }
}
