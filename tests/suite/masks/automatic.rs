//! Automatic masks: the command line makes the pixels that a campaign makes.

use crate::support::words::dialogue;
use assert_cmd::Command;
use cleanloop::campaign::file::{MaskCadence, MaskMethod};
use cleanloop::campaign::plan::MaskPlan;
use cleanloop::campaign::steps::masks::{RoundMasks, from_image};
use cleanloop::image::{FitsImage, Header, PixelType, PlaneWriter, write_plane};
use cleanloop::imager::{Products, Residual};
use cleanloop::major_cycle::{CycleMasks, MaskMoment};
use cleanloop::masking::MaskRecipe;
use ndarray::Array2;
use std::path::{Path, PathBuf};

const SIDE: usize = 240;

fn header() -> Header {
    let mut header = Header::default();
    for (key, value) in [("CDELT1", -1e-3), ("CDELT2", 1e-3), ("BMAJ", 3e-3), ("BMIN", 3e-3), ("BPA", 0.0)] {
        header.set_f64(key, value);
    }
    header
}

/// Noise of unit variance, the same each time.
fn noise(mut state: u64) -> Array2<f32> {
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    Array2::from_shape_simple_fn((SIDE, SIDE), || (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
}

fn add_source(image: &mut Array2<f32>, at: (usize, usize), peak: f32, fwhm: f32) {
    for ((y, x), v) in image.indexed_iter_mut() {
        let squared = (y as f32 - at.0 as f32).powi(2) + (x as f32 - at.1 as f32).powi(2);
        *v += peak * (-4.0 * std::f32::consts::LN_2 * squared / (fwhm * fwhm)).exp();
    }
}

fn write(path: &Path, plane: &Array2<f32>) {
    write_plane(path, plane.view(), PixelType::F32, &header(), 4).unwrap();
}

fn read(path: &Path) -> Array2<f32> {
    FitsImage::open(path).unwrap().read_plane(0, 0).unwrap()
}

/// A bright source of `peak` with an artefact and its negative, a fainter source, and extended emission.
fn field(seed: u64, peak: f32) -> Array2<f32> {
    let mut image = noise(seed);
    add_source(&mut image, (120, 120), peak, 3.0);
    add_source(&mut image, (120, 150), 0.06 * peak, 3.0);
    add_source(&mut image, (120, 90), -0.05 * peak, 3.0);
    add_source(&mut image, (30, 200), 90.0, 3.0);
    add_source(&mut image, (180, 60), 3.5, 40.0);
    image
}

fn plan() -> MaskPlan {
    MaskPlan {
        recipe: MaskRecipe { method: MaskMethod::Auto, ..MaskRecipe::default() },
        cadence: MaskCadence::Cycle,
        image: Default::default(),
        field: Default::default(),
        every: 1,
        include: Vec::new(),
        exclude: Vec::new(),
        freeze_change: 0.01,
        confetti: None,
    }
}

fn products(image: &Path) -> Products {
    let none = || PathBuf::from("/nonexistent");
    Products {
        image: image.to_path_buf(),
        residual: none(),
        model: none(),
        psf: none(),
        dirty: None,
        pb: None,
        pbcor: None,
        channels: Vec::new(),
    }
}

fn mask(folder: &Path, words: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("cleanloop").unwrap();
    command.current_dir(folder).arg("mask").args(words.split_whitespace()).assert()
}

/// Words with `#` for the number of pixels of a mask: the last digits of a Fourier transform differ between machines.
fn without_counts(words: &str) -> String {
    let masked = regex::Regex::new(r"\d+ pixels masked \([\d.]+ %\)").unwrap();
    let of = regex::Regex::new(r"\d+ pixels of ").unwrap();
    of.replace_all(&masked.replace_all(words, "# pixels masked (# %)"), "# pixels of ").into_owned()
}

#[test]
fn a_campaigns_rounds_and_the_command_line_have_the_same_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("one.fits"), &field(7, 1000.0));
    write(&at("two.fits"), &field(8, 1000.0));
    let (first, second) = (at("round1"), at("round2"));
    std::fs::create_dir(&first).unwrap();
    std::fs::create_dir(&second).unwrap();
    let plan = plan();
    let one = from_image(&plan, 1.0, &products(&at("one.fits")), None, &first).unwrap();
    let two = from_image(&plan, 1.3, &products(&at("two.fits")), Some(&one), &second).unwrap();
    assert!(one.pixels > 100 && one.numbers["islands left out"] >= 1.0, "{one:?}");
    insta::assert_snapshot!(without_counts(&dialogue(folder.path(), ["mask one.fits --auto -o a.fits"])));
    assert_eq!(read(&at("a.fits")), read(&one.path));
    mask(folder.path(), "two.fits --auto --caution 1.3 --previous-image one.fits --previous-mask a.fits -o b.fits")
        .success();
    assert_eq!(read(&at("b.fits")), read(&two.path));
    assert_ne!(read(&one.path), read(&two.path));
}

#[test]
fn a_campaigns_cycles_and_the_command_line_have_the_same_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut psf = Array2::zeros((SIDE, SIDE));
    add_source(&mut psf, (120, 120), 1.0, 3.0);
    add_source(&mut psf, (60, 60), 0.02, 3.0);
    write(&at("psf.fits"), &psf);
    write(&at("dirty.fits"), &field(7, 1000.0));
    write(&at("residual.fits"), &field(7, 60.0));
    let residual =
        |name: &str| Residual { residual: at(name), pixel_mask: None, pb: None, psf: at("psf.fits"), model: None };
    let plan = plan();
    let mut masks = RoundMasks::new(&plan, 1.0, None, at("masks"));
    let first = MaskMoment { cycle: 0, masks: 0, iterations: 0, last: None, previous: None, channels: &[] };
    let first = masks.make(&residual("dirty.fits"), &first).unwrap();
    let second = MaskMoment { cycle: 1, masks: 1, iterations: 100, last: None, previous: Some(&first), channels: &[] };
    let second = masks.make(&residual("residual.fits"), &second).unwrap();
    mask(folder.path(), "dirty.fits --auto --psf psf.fits -o a.fits").success();
    mask(folder.path(), "residual.fits --auto --psf psf.fits --dirty dirty.fits -o b.fits").success();
    let (a, b) = (read(&at("a.fits")), read(&at("b.fits")));
    assert!(a.sum() > 0.0 && b.sum() > 0.0);
    assert_eq!(a, read(&first.path));
    let mut both = a;
    both.zip_mut_with(&b, |a, &b| *a = a.max(b));
    assert_eq!(both, read(&second.path), "masks of a round only grow");
}

#[test]
fn limits_are_options_and_change_the_mask() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("i.fits"), &field(7, 1000.0));
    mask(folder.path(), "i.fits --auto -o a.fits").success();
    mask(folder.path(), "i.fits --auto --extended-scales -o b.fits").success();
    mask(folder.path(), "i.fits --auto --margin-beams 0 --artefact-ratio 0 -o c.fits").success();
    let (a, b, c) = (read(&at("a.fits")), read(&at("b.fits")), read(&at("c.fits")));
    assert!(a[(180, 60)] == 1.0 && b[(180, 60)] == 0.0, "extended emission");
    assert!(a[(120, 150)] == 0.0 && c[(120, 150)] == 1.0, "an artefact");
}

#[test]
fn channels_of_zeros_or_nan_have_an_empty_mask() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let plane = field(7, 1000.0);
    let (ny, nx) = plane.dim();
    let mut writer = PlaneWriter::create(at("cube.fits"), &[nx, ny, 3, 1], PixelType::F32, &header(), false).unwrap();
    for (channel, factor) in [1.0, 0.0, f32::NAN].into_iter().enumerate() {
        writer.write_plane(channel, plane.mapv(|v| v * factor).view()).unwrap();
    }
    writer.finish().unwrap();
    insta::assert_snapshot!(without_counts(&dialogue(folder.path(), ["mask cube.fits --auto -o out.fits"])));
    let mut out = FitsImage::open(at("out.fits")).unwrap();
    let masked = [0, 1, 2].map(|channel| out.read_plane(0, channel).unwrap().sum() > 0.0);
    assert_eq!(masked, [true, false, false]);
}

#[test]
fn conflicting_options_give_one_clear_message() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("i.fits"), &field(7, 1000.0));
    write(&folder.path().join("small.fits"), &Array2::ones((1, 2)));
    let options = [
        "--auto --flood-fill --base-snr-clip 3",
        "--prominent-seed 5",
        "--auto --caution 0",
        "--auto --rms-fits i.fits",
        "--psf i.fits",
        "--auto --previous-image i.fits",
        "--auto --caution -1",
        "--auto --negative-ratio 1",
        "--auto --previous-image small.fits --previous-mask i.fits",
        "--auto --psf i.fits --dirty small.fits",
        "--auto --psf small.fits --output small.fits",
    ];
    insta::assert_snapshot!(dialogue(folder.path(), options.map(|words| format!("mask i.fits {words}"))));
    assert!(!folder.path().join("i.mask.fits").exists());
}
