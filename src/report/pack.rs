//! What a report of a fault needs, in one archive: records, plans, journals and logs, with paths shortened and without
//! anything that was measured on the sky: no images, no gain series, no visibilities.

use crate::campaign::record::CampaignRecord;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

/// Most bytes of one log: its first and its last half of this.
const LOG_BYTES: u64 = 400_000;
/// Files of the campaign folder, or of a measurement set's, that are packed.
const NAMES: [&str; 6] = ["campaign.yaml", "plan.json", "record.json", "dataset.json", "journal.jsonl", "summary.json"];
/// Ends of the names of logs and job scripts.
const LOGS: [&str; 4] = ["log", "out", "err", "sh"];
/// Folders that hold data or images, or what an earlier run left.
const LEFT_OUT: [&str; 4] = ["data", "final", ".figures", "image"];
/// Keys of JSON objects whose values were measured sample by sample.
const SERIES: [&str; 2] = ["series", "antennas"];
/// What stands for a list that was left out.
const OMITTED: &str = "left out";

/// Why an archive cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The archive cannot be written.
    #[error("{}: cannot be written: {reason}", path.display())]
    Unwritable {
        /// The archive.
        path: PathBuf,
        /// The operating system's words.
        reason: std::io::Error,
    },
}

impl From<PackError> for crate::Error {
    fn from(e: PackError) -> Self {
        Self::bad_input(e)
    }
}

/// Packs the campaign in `folder` into a zip archive at `path` and returns the names of the files in it; `more` are further
/// texts, each with its name.
///
/// # Errors
/// The archive cannot be written. Files that cannot be read are left out.
pub(crate) fn pack(
    record: &CampaignRecord,
    folder: &Path,
    path: &Path,
    more: &[(&str, String)],
) -> Result<Vec<String>, PackError> {
    let unwritable = |reason| PackError::Unwritable { path: path.to_path_buf(), reason };
    let shortened = Shortened::new(record, folder);
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut archive = zip::ZipWriter::new(&mut bytes);
    let mut names = Vec::new();
    let mut add = |name: String, text: &str| -> std::io::Result<()> {
        archive.start_file(&name, SimpleFileOptions::default())?;
        archive.write_all(shortened.apply(text).as_bytes())?;
        names.push(shortened.apply(&name));
        Ok(())
    };
    for file in files(folder) {
        let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned();
        if let Some(text) = text_of(&file) {
            add(name, &text).map_err(unwritable)?;
        }
    }
    for (name, text) in more {
        add((*name).to_owned(), text).map_err(unwritable)?;
    }
    archive.finish().map_err(|e| unwritable(e.into()))?;
    crate::util::fs::write_atomically(path, bytes.get_ref()).map_err(|e| unwritable(e.source))?;
    Ok(names)
}

/// The files to pack, in the order of their names.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // Links are not followed.
            let Ok(kind) = entry.file_type() else { continue };
            let is_set = path.join("table.dat").exists();
            if kind.is_dir() && !is_set && !LEFT_OUT.contains(&name.as_str()) && !name.starts_with("discarded-") {
                folders.push(path);
            } else if kind.is_file() && is_wanted(&path, &name) {
                found.insert(path);
            }
        }
    }
    found
}

fn is_wanted(path: &Path, name: &str) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    NAMES.contains(&name) || LOGS.contains(&end)
}

/// A file's text, long logs in part, JSON without series.
fn text_of(path: &Path) -> Option<String> {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    if LOGS.contains(&end) {
        return ends_of(path, LOG_BYTES).ok();
    }
    let text = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
    Some(match end {
        "json" => without_series(&text).unwrap_or(text),
        "jsonl" => text.lines().map(|line| without_series(line).unwrap_or_else(|| line.to_owned()) + "\n").collect(),
        _ => text,
    })
}

/// The beginning and the end of a file, together at most `most` bytes.
fn ends_of(path: &Path, most: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    if size <= most {
        file.read_to_end(&mut bytes)?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    (&mut file).take(most / 2).read_to_end(&mut bytes)?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.push_str(&format!("\n[... {} bytes are left out ...]\n", size - most));
    file.seek(SeekFrom::End(-i64::try_from(most / 2).unwrap_or(0)))?;
    bytes.clear();
    file.read_to_end(&mut bytes)?;
    text.push_str(&String::from_utf8_lossy(&bytes));
    Ok(text)
}

fn without_series(text: &str) -> Option<String> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    if SERIES.contains(&key.as_str()) && value.is_array() {
                        *value = OMITTED.into();
                    } else {
                        strip(value);
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).ok()?;
    strip(&mut value);
    Some(value.to_string())
}

/// Texts that are replaced by short ones, the longest first.
struct Shortened(Vec<(String, String)>);

impl Shortened {
    fn new(record: &CampaignRecord, folder: &Path) -> Self {
        let mut pairs = Vec::new();
        let mut add = |path: &Path, short: String| {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
            let resolved = path.canonicalize().ok();
            for place in [Some(absolute), resolved].into_iter().flatten().filter(|p| p.parent().is_some()) {
                pairs.push((place.to_string_lossy().into_owned(), short.clone()));
            }
        };
        add(folder, "CAMPAIGN".into());
        let sources = record.datasets.iter().flat_map(|dataset| &dataset.sources);
        let folders: BTreeSet<&Path> = sources.filter_map(|source| source.parent()).collect();
        for (index, place) in folders.iter().filter(|place| place.is_absolute()).enumerate() {
            add(place, format!("DATA{}", index + 1));
        }
        if let Some(place) = record.config_path.as_deref().and_then(Path::parent).filter(|p| p.is_absolute()) {
            add(place, "HERE".into());
        }
        if let Ok(place) = std::env::current_dir() {
            add(&place, "HERE".into());
        }
        if let Some(home) = std::env::var_os("HOME") {
            add(Path::new(&home), "HOME".into());
        }
        pairs.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        pairs.dedup_by(|a, b| a.0 == b.0);
        Self(pairs)
    }

    fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (long, short) in &self.0 {
            text = text.replace(long, short);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::DatasetRecord;
    use std::collections::BTreeMap;

    fn unpacked(path: &Path) -> BTreeMap<String, String> {
        let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
        let count = archive.len();
        let read = |index| {
            let mut file = archive.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        };
        (0..count).map(read).collect()
    }

    #[test]
    fn the_archive_has_words_and_no_data() {
        let folder = tempfile::tempdir().unwrap();
        let campaign = folder.path().join("campaign");
        let write = |name: &str, text: &str| {
            let path = campaign.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let source = "/archive/of/mine/field.ms";
        let dataset = DatasetRecord { sources: vec![source.into()], ..Default::default() };
        let record = CampaignRecord { datasets: vec![dataset], ..CampaignRecord::new("field") };
        std::fs::create_dir_all(&campaign).unwrap();
        record.save(&campaign).unwrap();
        let line = r#"{"seq":1,"result":{"solutions":{"median_snr":5,"series":[{"phase":[1,2]}]}}}"#;
        write("journal.jsonl", &format!("{line}\n"));
        write("round-00/logs/wsclean.log", &format!("imaging {source} in {}\n", campaign.display()));
        write("round-00/logs/long.log", &"x".repeat(1_000_000));
        write("round-00/image/image.fits", "SIMPLE");
        write("final/notes.log", "no");
        write("data/field.ms/table.dat", "no");
        write("report/index.html", "a picture");
        let path = folder.path().join("bug.zip");
        pack(&record, &campaign, &path, &[("doctor.json", "{}".into())]).unwrap();

        let files = unpacked(&path);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let logs = ["round-00/logs/long.log", "round-00/logs/wsclean.log"];
        assert_eq!(names, ["doctor.json", "journal.jsonl", "record.json", logs[0], logs[1]]);
        assert_eq!(files[logs[1]], "imaging DATA1/field.ms in CAMPAIGN\n");
        assert!(files[logs[0]].len() < 500_000 && files[logs[0]].contains("600000 bytes are left out"));
        assert!(files["record.json"].contains("DATA1/field.ms") && !files["record.json"].contains("/archive"));
        assert!(files["journal.jsonl"].contains("median_snr") && !files["journal.jsonl"].contains("phase"));
    }
}
