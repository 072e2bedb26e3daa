//! Images as they are: small inputs that showed defects of version 0.1, and their right answers.
//!
//! They are in `../shared/inputs`, where that is at hand. The defects themselves have tests in the modules that they were in.

use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "starts a hundred commands"]
fn inputs_that_showed_defects_are_right() {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/inputs/check.py");
    if !check.is_file() {
        return;
    }
    let output = Command::new("python3").arg(check).arg(env!("CARGO_BIN_EXE_cleanloop")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A mask of 10 x 10 pixels of 0.001 degrees about (`ra`, -30), its left half masked.
fn mask(path: &Path, ra: f64) {
    use cleanloop::image::{Header, PixelType, write_plane};
    let mut header = Header::default();
    header.set_str("CTYPE1", "RA---SIN");
    header.set_str("CTYPE2", "DEC--SIN");
    for (key, value) in
        [("CRPIX1", 5.5), ("CRPIX2", 5.5), ("CRVAL1", ra), ("CRVAL2", 0.0), ("CDELT1", -1e-3), ("CDELT2", 1e-3)]
    {
        header.set_f64(key, value);
    }
    let plane = ndarray::Array2::from_shape_fn((10, 10), |(_, x)| u8::from(x < 5));
    write_plane(path, plane.view(), PixelType::U8, &header, 2).unwrap();
}

#[test]
fn masks_of_another_grid_are_refused_or_put_onto_it() {
    let folder = tempfile::tempdir().unwrap();
    mask(&folder.path().join("a.fits"), 10.0);
    // Three pixels further west: to the right.
    mask(&folder.path().join("b.fits"), 9.997);
    let combine = |more: &[&str]| {
        let arguments = ["combine", "a.fits", "b.fits", "-o", "o.fits"].iter().chain(more);
        Command::new(env!("CARGO_BIN_EXE_cleanloop")).current_dir(&folder).args(arguments).output().unwrap()
    };
    let refused = combine(&[]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("b.fits is not on the grid of a.fits") && words.contains("3.0 pixels"), "{words}");
    let made = combine(&["--reproject"]);
    assert!(made.status.success(), "{made:?}");
    let plane = cleanloop::image::FitsImage::open(folder.path().join("o.fits")).unwrap().read_plane(0, 0).unwrap();
    assert!(plane.indexed_iter().all(|((_, x), &v)| (v == 1.0) == (x < 8)), "{plane}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_that_is_ended_leaves_no_temporary_file() {
    use cleanloop::image::{Header, PixelType, write_plane};
    let folder = tempfile::tempdir().unwrap();
    let plane = ndarray::Array2::from_shape_fn((1500, 1500), |(y, x)| ((x * 7919 + y * 104_729) % 1013) as f32 - 506.0);
    write_plane(folder.path().join("a.fits"), plane.view(), PixelType::F32, &Header::default(), 2).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cleanloop"))
        .current_dir(&folder)
        .args(["noise", "a.fits", "--method", "box", "--exact", "--box", "301"])
        .spawn()
        .unwrap();
    let hidden = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|n| n.starts_with('.')).count()
    };
    let begun = std::time::Instant::now();
    while hidden() < 2 {
        assert!(begun.elapsed().as_secs() < 60 && child.try_wait().unwrap().is_none(), "the maps are being written");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
    assert_eq!(hidden(), 0);
}
