//! Collecting the files that are to be kept: some copied, others packed into one compressed tar file.
//!
//! Everything appears whole or not at all: files are written under another name and renamed. A campaign that is killed
//! while it collects does it again.

mod patterns;
#[cfg(test)]
mod tests;

pub(crate) use patterns::{ArchivePart, Wanted, is_of_the_campaign};

use crate::campaign::file::ArchiveOptions;
use crate::process::interrupt;
use crate::util::fs;
use crate::{Error, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use patterns::{Expressions, matches};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Folder of the archive inside a measurement set's folder, where no other is named.
const FOLDER: &str = "archive";

/// A finished archive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Archived {
    /// The copies.
    pub(crate) copied: Vec<PathBuf>,
    /// The tar file; `None`: nothing to pack.
    pub(crate) packed: Option<PathBuf>,
    /// Files and tables in it.
    pub(crate) packed_files: usize,
    /// Patterns that matched nothing.
    pub(crate) unmatched: Vec<String>,
}

impl Archived {
    /// Whether all of it is still there.
    pub(crate) fn is_there(&self) -> bool {
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

/// Collects the files of one part of `root`, the folder of `name`, that the patterns name: copies with their folders,
/// the rest into `NAME.tar.gz`.
///
/// # Errors
/// Files that cannot be read or written, an interruption.
pub(crate) fn collect(options: &ArchiveOptions, root: &Path, part: ArchivePart, name: &str) -> Result<Archived> {
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
