//! Masks of cubes in groups of channels: the bytes of a mask that was made at once.

use assert_cmd::Command;
use cleanloop::image::{Header, PixelType, PlaneWriter};
use ndarray::Array2;
use std::fs;
use std::path::{Path, PathBuf};

/// Channels of the cubes; groups of 5 do not divide them evenly.
const CHANNELS: usize = 24;
const SIDE: usize = 64;

fn header() -> Header {
    let mut header = Header::default();
    let axes = [("RA---SIN", -1.0 / 3600.0), ("DEC--SIN", 1.0 / 3600.0), ("FREQ", 1e6), ("STOKES", 1.0)];
    for (axis, (kind, step)) in axes.iter().enumerate() {
        header.set_str(&format!("CTYPE{}", axis + 1), kind);
        header.set_f64(&format!("CRVAL{}", axis + 1), 1.0);
        header.set_f64(&format!("CRPIX{}", axis + 1), 1.0);
        header.set_f64(&format!("CDELT{}", axis + 1), *step);
    }
    for (key, value) in [("BMAJ", 5.0 / 3600.0), ("BMIN", 3.5 / 3600.0), ("BPA", 25.0)] {
        header.set_f64(key, value);
    }
    header
}

/// A cube of noise with a source that moves from channel to channel, and a channel without data.
pub(crate) fn cube(path: &Path, cycle: usize, polarisations: usize) {
    let axes = [SIDE, SIDE, CHANNELS, polarisations];
    let mut writer = PlaneWriter::create(path, &axes, PixelType::F32, &header(), false).unwrap();
    for plane in 0..CHANNELS * polarisations {
        let (channel, mut state) = (plane % CHANNELS, (plane * 100 + cycle) as u64 | 1);
        let mut uniform = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let pixels = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
            let noise = (0..6).map(|_| uniform()).sum::<f32>() - 3.0;
            let source = |cy: f32, cx: f32| (-((y as f32 - cy).powi(2) + (x as f32 - cx).powi(2)) / 12.0).exp();
            let signal = 40.0 / (1.0 + cycle as f32) * (source(20.0, 15.0 + channel as f32) - 0.6 * source(45.0, 40.0));
            if channel == 7 { f32::NAN } else { 0.5 * noise + signal }
        });
        writer.write_plane(plane, pixels.view()).unwrap();
    }
    writer.finish().unwrap();
}

/// A cube of a PSF.
fn psf(path: &Path) {
    let mut writer = PlaneWriter::create(path, &[SIDE, SIDE, CHANNELS, 1], PixelType::F32, &header(), false).unwrap();
    for channel in 0..CHANNELS {
        let pixels = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
            let r = (y as f32 - 32.0).hypot(x as f32 - 32.0);
            (-r * r / 8.0).exp() + 0.002 * channel as f32 * (r * 0.7).cos() / (1.0 + 0.2 * r)
        });
        writer.write_plane(channel, pixels.view()).unwrap();
    }
    writer.finish().unwrap();
}

fn run(folder: &Path, words: &str) -> (String, String) {
    let mut command = Command::cargo_bin("cleanloop").unwrap();
    let made = command.current_dir(folder).args(words.split_whitespace()).assert().success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&made.get_output().stdout), text(&made.get_output().stderr))
}

/// Names and bytes of a folder's files.
pub(crate) fn bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file());
    let mut files: Vec<_> = files.map(|p| (p.file_name().unwrap().into(), fs::read(&p).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn the_mask_of_a_cube_in_groups_is_that_of_the_cube() {
    let folder = tempfile::tempdir().unwrap();
    cube(&folder.path().join("x.fits"), 0, 2);
    cube(&folder.path().join("mono.fits"), 0, 1);
    cube(&folder.path().join("dirty.fits"), 1, 1);
    psf(&folder.path().join("psf.fits"));
    let scales: Vec<String> = (0..20).map(|n| (4 * n).to_string()).collect();
    let many = format!(
        "mask x.fits --flood-fill --flood-fill-use-mac --flood-fill-use-mac-box-size 9 --beam-shape-erode \
         --beam-shape-erode-scales {}",
        scales.join(" ")
    );
    for words in [
        "mask x.fits --flood-fill --noise box --save-signal",
        "mask x.fits --flood-fill --flood-fill-use-mac --flood-fill-use-mac-box-size 9 --flint-types",
        "mask mono.fits --auto",
        "mask mono.fits --auto --psf psf.fits --dirty dirty.fits",
        many.as_str(),
    ] {
        let (said, _) = run(folder.path(), &format!("{words} -o m.fits"));
        let whole = bytes(folder.path());
        for size in [1, 5, 24] {
            fs::remove_file(folder.path().join("m.fits")).unwrap();
            let (again, log) = run(folder.path(), &format!("{words} -o m.fits --channels-per-job {size}"));
            assert_eq!(said, again, "{words} in groups of {size}");
            assert!(bytes(folder.path()) == whole, "{words} in groups of {size}");
            assert!(log.contains(&format!("group {0} of {0}", CHANNELS.div_ceil(size))), "{log}");
            assert!(!folder.path().join("m.groups").exists(), "the parts are removed");
        }
    }
}

#[test]
fn the_state_of_a_cube_in_groups_is_that_of_the_cube() {
    let folder = tempfile::tempdir().unwrap();
    psf(&folder.path().join("psf.fits"));
    let words = |cycle: usize, state: &str| {
        let psf = if cycle == 0 { "--psf psf.fits" } else { "--threshold-reached" };
        format!(
            "automask r{cycle}.fits --state {state} -o {state}.fits {psf} --json --noisethreshold 4.25 \
             --negativethreshold 5 --minpercentchange 1"
        )
    };
    for cycle in 0..3 {
        cube(&folder.path().join(format!("r{cycle}.fits")), cycle, 2);
        let (said, warned) = run(folder.path(), &words(cycle, "whole"));
        for size in [1, 5, 24] {
            let state = format!("by{size}");
            let words = format!("{} --channels-per-job {size}", words(cycle, &state));
            let (again, log) = run(folder.path(), &words);
            assert_eq!(said, again, "cycle {cycle} in groups of {size}");
            assert!(warned.lines().all(|line| log.contains(line)), "{warned}\n{log}");
            let of = |name: &str| bytes(&folder.path().join(name));
            assert!(of("whole") == of(&state), "the state after cycle {cycle} in groups of {size}");
            let mask = |name: &str| fs::read(folder.path().join(format!("{name}.fits"))).unwrap();
            assert!(mask("whole") == mask(&state), "the mask of cycle {cycle} in groups of {size}");
        }
    }
}

/// A group that cannot be made ends the run; the groups before it are not made again.
#[test]
fn the_same_command_begins_with_the_groups_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    cube(&folder.path().join("x.fits"), 0, 1);
    let words = "mask x.fits --flood-fill --noise box -o m.fits --channels-per-job 5";
    run(folder.path(), "mask x.fits --flood-fill --noise box -o whole.fits");
    // In the place of the third group's file stands a folder.
    let mut command = Command::cargo_bin("cleanloop").unwrap();
    command.current_dir(folder.path()).args(words.split_whitespace()).assert().success();
    let first = fs::read(folder.path().join("m.fits")).unwrap();
    assert!(first == fs::read(folder.path().join("whole.fits")).unwrap());
    fs::remove_file(folder.path().join("m.fits")).unwrap();
    fs::create_dir(folder.path().join("m.fits")).unwrap();
    // The mask itself cannot be written: all groups are kept.
    let mut command = Command::cargo_bin("cleanloop").unwrap();
    let failed = command.current_dir(folder.path()).args(words.split_whitespace()).assert().failure();
    let log = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    assert!(log.contains("group 5 of 5") && log.contains("m.fits"), "{log}");
    fs::remove_dir(folder.path().join("m.fits")).unwrap();
    // One of them is lost.
    let parts = fs::read_dir(folder.path().join("m.groups")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(parts.join("00002.json")).unwrap();
    let (_, log) = run(folder.path(), words);
    assert!(log.contains("group 3 of 5") && !log.contains("group 1 of 5") && !log.contains("group 5 of 5"), "{log}");
    assert!(first == fs::read(folder.path().join("m.fits")).unwrap());
}
