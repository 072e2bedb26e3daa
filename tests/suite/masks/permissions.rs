//! The umask decides the permissions of every file that a command writes.

use cleanloop::image::{Header, PixelType, PlaneWriter};
use ndarray::Array2;
use rstest::rstest;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Two channels of a source on a checkerboard of +-1.
fn write_cube(path: &Path) {
    let mut header = Header::default();
    header.set_str("CTYPE3", "FREQ");
    for (key, value) in [("CDELT1", -1e-3), ("CDELT2", 1e-3), ("BMAJ", 4e-3), ("BMIN", 3e-3)] {
        header.set_f64(key, value);
    }
    let plane = Array2::from_shape_fn((40, 40), |(y, x)| {
        let sign = if (x + y) % 2 == 0 { 1.0f32 } else { -1.0 };
        if (y, x) == (20, 20) { 100.0 } else { sign }
    });
    let mut writer = PlaneWriter::create(path, &[40, 40, 2], PixelType::F32, &header, false).unwrap();
    writer.write_plane(0, plane.view()).unwrap();
    writer.write_plane(1, plane.view()).unwrap();
    writer.finish().unwrap();
}

#[rstest]
#[case::mask("mask a.fits --flood-fill --flood-fill-use-mac --output out", "out")]
#[case::noise("noise a.fits --noise-method global --output out", "out_rms.fits")]
#[case::combine("combine a.fits a.fits --output out", "out")]
#[case::confetti("confetti a.fits --noise 1 --beam 4 --regions out", "out")]
fn files_have_the_mode_of_the_umask(
    #[case] words: &str,
    #[case] output: &str,
    #[values(("022", 0o644), ("007", 0o660))] (umask, mode): (&str, u32),
) {
    let folder = tempfile::tempdir().unwrap();
    write_cube(&folder.path().join("a.fits"));
    let program = env!("CARGO_BIN_EXE_cleanloop");
    let script = format!("umask {umask}; exec {program} {words}");
    let run = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let found = folder.path().join(output).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(found, mode, "{found:o}");
}
