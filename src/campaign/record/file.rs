//! The file of a record.

use super::FORMAT;
use super::dataset::CampaignRecord;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Name of the file inside a campaign folder.
pub const FILE_NAME: &str = "record.json";

/// Errors of a record file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}; is this the folder of a campaign that has run?", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// It is not a record.
    #[error("{}: is not a campaign record: {source}; run the campaign again to write it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The parser's error, with line and column.
        source: serde_json::Error,
    },
    /// An earlier version of the program wrote it.
    #[error(
        "{}: was written by an earlier version of cleanloop, whose campaigns this version cannot read or resume. Run \
         with another output, or put the old campaign aside with --restart",
        path.display()
    )]
    EarlierVersion {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// The file system refused.
    #[error(transparent)]
    Folder(crate::util::fs::FileError),
}

impl From<RecordError> for crate::Error {
    fn from(e: RecordError) -> Self {
        match e {
            RecordError::Unwritable { .. } | RecordError::Folder(_) => Self::internal(e),
            _ => Self::bad_input(e),
        }
    }
}

/// The version of a record's format; those of the first version may lack it.
#[derive(Deserialize)]
struct RecordVersion {
    #[serde(default)]
    format: u32,
}

impl CampaignRecord {
    /// Reads `folder/record.json`.
    ///
    /// # Errors
    /// A file that is absent, unreadable or not a record.
    pub fn load(folder: &Path) -> Result<Self, RecordError> {
        let path = folder.join(FILE_NAME);
        let text = std::fs::read(&path).map_err(|source| RecordError::Unreadable { path: path.clone(), source })?;
        let malformed = |source| RecordError::Malformed { path: path.clone(), source };
        let RecordVersion { format } = serde_json::from_slice(&text).map_err(malformed)?;
        if format < FORMAT {
            return Err(RecordError::EarlierVersion { path });
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    /// As [`CampaignRecord::load`]; `None` where there is no record yet, or none that can be read: it is then written
    /// again from the journals.
    ///
    /// # Errors
    /// A record of an earlier version, whose journals cannot be read either.
    pub(crate) fn load_earlier(folder: &Path) -> Result<Option<Self>, RecordError> {
        match Self::load(folder) {
            Ok(record) => Ok(Some(record)),
            Err(error @ RecordError::EarlierVersion { .. }) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Writes `folder/record.json`, by atomic rename.
    ///
    /// # Errors
    /// The folder cannot be written, or the disk is full; an earlier record then stays as it was.
    pub fn save(&self, folder: &Path) -> Result<(), RecordError> {
        let path = folder.join(FILE_NAME);
        let mut text =
            serde_json::to_vec(self).map_err(|e| RecordError::Unwritable { path: path.clone(), source: e.into() })?;
        text.push(b'\n');
        crate::util::fs::write_atomically(&path, &text).map_err(RecordError::Folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::{CycleRecord, DatasetRecord, DecisionRecord, RoundRecord, Verdict};
    use crate::imager::StopReason;
    use crate::util::testing::words;

    #[test]
    fn a_record_survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = CampaignRecord::new("field");
        record.started = Some("2026-01-02T03:04:05Z".parse().unwrap());
        record.datasets.push(DatasetRecord {
            name: "beam00".into(),
            best: Some(0),
            rounds: vec![RoundRecord {
                round: 1,
                attempt: 2,
                decision: Some(DecisionRecord { verdict: Verdict::Rejected, ..Default::default() }),
                cycles: vec![CycleRecord { peak: Some(0.25), stopped: Some(StopReason::NSigma), ..Default::default() }],
                ..Default::default()
            }],
            ..Default::default()
        });
        record.save(folder.path()).unwrap();
        assert_eq!(CampaignRecord::load(folder.path()).unwrap(), record);
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [FILE_NAME], "no temporary file is left");
    }

    #[test]
    fn later_records_load_and_earlier_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |format: &str| {
            let rest = r#""name": "f", "from_the_future": [1], "datasets": [{"rounds": [{"round": 3}]}]}"#;
            std::fs::write(folder.path().join(FILE_NAME), format!("{{{format}{rest}")).unwrap();
        };
        write(r#""format": 3, "#);
        let record = CampaignRecord::load(folder.path()).unwrap();
        assert_eq!((record.name.as_str(), record.datasets[0].rounds[0].round, record.format), ("f", 3, 3));
        for earlier in ["", r#""format": 1, "#] {
            write(earlier);
            let error = CampaignRecord::load(folder.path()).unwrap_err();
            assert!(matches!(error, RecordError::EarlierVersion { .. }), "{error}");
            assert!(CampaignRecord::load_earlier(folder.path()).is_err());
            assert_eq!(crate::Error::from(error).exit_status(), crate::ExitStatus::BadInput);
        }
        std::fs::write(folder.path().join(FILE_NAME), "{").unwrap();
        assert!(CampaignRecord::load_earlier(folder.path()).unwrap().is_none());
    }

    #[test]
    fn not_a_number_becomes_unknown() {
        let cycle = CycleRecord { peak: Some(f64::NAN), ..Default::default() };
        let text = serde_json::to_string(&cycle).unwrap();
        assert_eq!(serde_json::from_str::<CycleRecord>(&text).unwrap().peak, None);
    }

    #[test]
    fn a_missing_or_broken_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = CampaignRecord::load(folder.path()).unwrap_err();
        assert!(matches!(missing, RecordError::Unreadable { .. }), "{missing:?}");
        insta::assert_snapshot!(words(missing, folder.path()), @"<folder>/record.json: cannot be read: No such file or directory (os error 2); is this the folder of a campaign that has run?");
        std::fs::write(folder.path().join(FILE_NAME), "{\"name\": ").unwrap();
        let broken = CampaignRecord::load(folder.path()).unwrap_err();
        let RecordError::Malformed { path, source } = broken else { panic!("{broken:?}") };
        assert_eq!((path, source.line()), (folder.path().join(FILE_NAME), 1));
    }

    proptest::proptest! {
        #[test]
        #[ignore = "long; in `make test` and `make fuzz`"]
        fn no_record_does_harm(bytes in crate::util::testing::damaged(
            serde_json::to_vec(&CampaignRecord::new("field")).unwrap()
        )) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(FILE_NAME), bytes).unwrap();
            let _ = CampaignRecord::load(folder.path());
        }
    }
}
