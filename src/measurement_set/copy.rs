//! Copies of measurement sets, which are folders of large files.

use std::fs;
use std::io;
use std::path::Path;

/// Copies the folder `from` to `to`, which appears by rename once the copy is whole.
///
/// Where the file system can (XFS, Btrfs), the copy shares its blocks with the original until one of them is written:
/// `std::fs::copy` asks the kernel for that first. A half copy that was left behind is replaced.
///
/// # Errors
/// The system's own; an existing `to` is an error.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is already a file or folder of that name"));
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = to.with_file_name(name);
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    copy_folder(from, &partial)?;
    fs::rename(&partial, to)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        // Links are followed: a copy must not share files with the original.
        if source.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
            make_writable(&target)?;
        }
    }
    Ok(())
}

/// A copy of a read-only archive must be writable: CORRECTED_DATA is added to it.
fn make_writable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o200 == 0 {
        permissions.set_mode(permissions.mode() | 0o200);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_writable_and_independent() {
        let folder = tempfile::tempdir().expect("a folder");
        let from = folder.path().join("a.ms");
        fs::create_dir_all(from.join("ANTENNA")).expect("made");
        fs::write(from.join("table.dat"), "12345").expect("written");
        fs::write(from.join("ANTENNA/table.f0"), "678").expect("written");
        let mut read_only = fs::metadata(from.join("table.dat")).expect("there").permissions();
        read_only.set_readonly(true);
        fs::set_permissions(from.join("table.dat"), read_only).expect("set");

        let to = folder.path().join("b.ms");
        fs::create_dir_all(folder.path().join("b.ms.partial/LEFT")).expect("a half copy of an earlier run");
        copy(&from, &to).expect("copied");
        assert_eq!(fs::read_to_string(to.join("ANTENNA/table.f0")).expect("read"), "678");
        assert!(!to.join("LEFT").exists() && !folder.path().join("b.ms.partial").exists());
        fs::write(to.join("table.dat"), "x").expect("the copy is writable");
        assert_eq!(fs::read_to_string(from.join("table.dat")).expect("read"), "12345");
        assert_eq!(copy(&from, &to).expect_err("exists").kind(), io::ErrorKind::AlreadyExists);
    }
}
