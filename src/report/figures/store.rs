//! Finished figures, kept beside the report until their files change.

use crate::util::fs::write_atomically;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Changes whenever figures are drawn differently, so that kept ones are drawn again.
const DRAWING: u32 = 4;

/// Keeps finished figures under names.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    force: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    key: String,
    made: T,
}

impl Store {
    /// In `folder`, which is made when needed; `force` draws everything again.
    pub(crate) fn new(folder: PathBuf, force: bool) -> Self {
        Self { folder, force }
    }

    /// The figure kept under `name`, if it was made from the same `files` (size and time of change) and `parameters`,
    /// or if files are gone; else the one that `make` returns, which is then kept.
    pub(crate) fn get<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        files: &[Option<&Path>],
        parameters: &impl Serialize,
        make: impl FnOnce() -> T,
    ) -> T {
        let path = self.folder.join(format!("{name}.json"));
        let key = key(files, parameters);
        let kept = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Kept<T>>(&text).ok());
        if let Some(kept) = kept.filter(|k| !key.complete || (k.key == key.digest && !self.force)) {
            return kept.made;
        }
        let kept = Kept { key: key.digest, made: make() };
        // A figure that cannot be kept is drawn again next time: no reason to fail.
        if let Ok(text) = serde_json::to_vec(&kept)
            && std::fs::create_dir_all(&self.folder).is_ok()
            && let Err(e) = write_atomically(&path, &text)
        {
            tracing::debug!("figure not kept: {e}");
        }
        kept.made
    }
}

/// A digest of the files and parameters that a figure depends on.
struct Key {
    digest: String,
    /// All files are there.
    complete: bool,
}

fn key(files: &[Option<&Path>], parameters: &impl Serialize) -> Key {
    let mut digest = Sha256::new();
    digest.update(DRAWING.to_le_bytes());
    digest.update(serde_json::to_vec(parameters).unwrap_or_default());
    let mut complete = true;
    for path in files.iter().flatten() {
        digest.update(path.as_os_str().as_encoded_bytes());
        match std::fs::metadata(path) {
            Ok(m) => {
                let time =
                    m.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
                digest.update(m.len().to_le_bytes());
                digest.update(time.to_le_bytes());
            }
            Err(_) => complete = false,
        }
    }
    Key { digest: digest.finalize().iter().map(|b| format!("{b:02x}")).collect(), complete }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_kept_until_their_files_change_and_outlive_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.fits");
        std::fs::write(&file, "one").unwrap();
        let get = |store: &Store, made: &str| store.get("name", &[Some(file.as_path()), None], &1, || made.to_string());
        let store = Store::new(folder.path().join("kept"), false);
        assert_eq!(get(&store, "first"), "first");
        assert_eq!(get(&store, "second"), "first");
        std::fs::write(&file, "another").unwrap();
        assert_eq!(get(&store, "third"), "third");
        let forced = Store::new(folder.path().join("kept"), true);
        assert_eq!(get(&forced, "fourth"), "fourth");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(get(&forced, "fifth"), "fourth", "the file is gone: the kept figure is all there is");
    }
}
