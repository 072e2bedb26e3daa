//! Measurement sets for tests on the real programs, simulated once for each state of the program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A small field: 27 antennas, 30 integrations, 4 channels, 10,530 rows. Never written to: tests copy it.
pub(crate) fn field() -> &'static Path {
    static FIELD: OnceLock<PathBuf> = OnceLock::new();
    FIELD.get_or_init(|| {
        simulated("small", &["--duration", "1800", "--integration", "60", "--phase-rms", "0", "--amp-rms", "0"])
    })
}

/// A small line cube of ALMA: 8 channels, emission in the middle ones, empty ends.
pub(crate) fn line_cube() -> &'static Path {
    static CUBE: OnceLock<PathBuf> = OnceLock::new();
    CUBE.get_or_init(|| {
        let size = ["--channels", "8", "--antennas", "30", "--duration", "600"];
        simulated("line-cube", &[&["--preset", "line-cube"][..], &size].concat())
    })
}

/// A tiny line cube of 26 channels, which no group of channels divides evenly.
pub(crate) fn wide_line_cube() -> &'static Path {
    static CUBE: OnceLock<PathBuf> = OnceLock::new();
    CUBE.get_or_init(|| {
        let size = ["--channels", "26", "--antennas", "12", "--duration", "180", "--noise", "0.002"];
        simulated("wide-line-cube-of-little-noise", &[&["--preset", "line-cube"][..], &size].concat())
    })
}

fn simulated(name: &str, arguments: &[&str]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("simulated");
    let done = folder.join(name);
    let data = done.join("field.ms");
    if data.is_dir() {
        return data;
    }
    // Several test binaries may do this at once: each works aside, and the first to finish gives the name.
    std::fs::create_dir_all(&folder).expect("a folder for simulated data");
    let aside = tempfile::tempdir_in(&folder).expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_cleanloop"))
        .args(["simulate", "--output"])
        .arg(aside.path().join("new"))
        .args(arguments)
        .output()
        .expect("cleanloop itself starts");
    assert!(output.status.success(), "this test needs CASA: {}", String::from_utf8_lossy(&output.stderr));
    if std::fs::rename(aside.path().join("new"), &done).is_err() {
        assert!(data.is_dir(), "another process made it");
    }
    data
}
