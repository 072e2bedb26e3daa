//! What commands say, in a form that is the same on every machine: for snapshots.

use cleanloop::Error;
use std::path::Path;
use std::process::Output;

/// Standard output, standard error and the exit code of a command; the folder's path becomes `DIR`.
pub(crate) fn said(output: &Output, folder: &Path) -> String {
    let code = output.status.code().expect("it was not killed");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let words = text(&output.stdout) + &text(&output.stderr);
    format!("{}exit code {code}\n", without_folder(&words, folder))
}

/// What an error said, without its last line: the page of the documentation that explains it, which must be there.
pub(crate) fn without_page(words: &str) -> String {
    let (error, page) = words.trim_end().rsplit_once('\n').unwrap_or_else(|| panic!("no page: {words}"));
    assert!(page.starts_with("  see docs/"), "{words}");
    format!("{error}\n")
}

/// Words with `DIR` for the folder's path, also where its symbolic links are resolved.
pub(crate) fn without_folder(words: &str, folder: &Path) -> String {
    let resolved = folder.canonicalize().expect("a folder");
    words.replace(&resolved.display().to_string(), "DIR").replace(&folder.display().to_string(), "DIR")
}

/// Runs `cleanloop` in a folder, once for each command line: the command lines, each with what [`said`] returns.
pub(crate) fn dialogue<W: AsRef<str>>(folder: &Path, lines: impl IntoIterator<Item = W>) -> String {
    let mut all = String::new();
    for line in lines {
        let line = line.as_ref();
        let mut command = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
        // The help is as wide as the terminal.
        command.current_dir(folder).env_remove("COLUMNS").args(line.split_whitespace());
        all += &format!("$ cleanloop {line}\n{}\n", said(&command.output().expect("it runs"), folder));
    }
    all
}

/// The module's own error inside `error`; fails the test if it is of another type.
pub(crate) fn inner<E: std::error::Error + 'static>(error: &Error) -> &E {
    let (Error::BadInput(boxed) | Error::External(boxed) | Error::Internal(boxed)) = error else { panic!("{error:?}") };
    boxed.downcast_ref().unwrap_or_else(|| panic!("{boxed:?}"))
}
