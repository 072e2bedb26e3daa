//! `cleanloop mask` and `cleanloop kernel` on files.

use crate::masks::flint_masks::golden_folders;
use crate::support::words::dialogue;
use assert_cmd::Command;
use cleanloop::image::{FitsImage, Header, PixelType, PlaneWriter, write_plane};
use ndarray::{Array2, array};
use std::path::Path;

fn cleanloop(folder: &Path, words: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("cleanloop").unwrap();
    command.current_dir(folder).args(words.split_whitespace()).assert()
}

fn header() -> Header {
    let mut header = Header::default();
    header.set_str("CTYPE1", "RA---SIN");
    header.set_str("CTYPE2", "DEC--SIN");
    header.set_str("CTYPE3", "FREQ");
    header.set_str("CTYPE4", "STOKES");
    for (key, value) in [("CDELT1", -1e-3), ("CDELT2", 1e-3), ("CRVAL1", 40.0), ("BMAJ", 4e-3), ("BMIN", 3e-3)] {
        header.set_f64(key, value);
    }
    header
}

/// A source on a checkerboard of +-1.
fn source() -> Array2<f32> {
    Array2::from_shape_fn((30, 40), |(y, x)| {
        let distance = (y as f32 - 12.0).hypot(x as f32 - 20.0);
        let sign = if (x + y) % 2 == 0 { 1.0 } else { -1.0 };
        sign + 50.0 * (-0.5 * (distance / 3.0).powi(2)).exp()
    })
}

fn write(path: &Path, plane: &Array2<f32>) {
    write_plane(path, plane.view(), PixelType::F32, &header(), 4).unwrap();
}

fn read(path: &Path) -> Array2<f32> {
    FitsImage::open(path).unwrap().read_plane(0, 0).unwrap()
}

#[test]
fn golden_files_give_golden_files() {
    let golden = golden_folders().remove(0);
    let folder = tempfile::tempdir().unwrap();
    for (image, flags, case, suffix, bitpix) in [
        ("sim_a", "--flood-fill --rms-fits rms.fits.gz --bkg-fits bkg.fits.gz --save-signal", "snr_flood", "mask", 32),
        (
            "sim_b",
            "--flood-fill --flood-fill-use-mac --flood-fill-positive-seed-clip 1.2 \
             --flood-fill-positive-flood-clip 0.6 --beam-shape-erode --beam-shape-erode-scales 0 8 16 32",
            "erode_scales",
            "mask",
            -64,
        ),
        (
            "sim_b",
            "--flood-fill --flood-fill-use-mac --convolve-first --flood-fill-positive-seed-clip 1.02 \
             --flood-fill-positive-flood-clip 0.15 --beam-shape-erode-scales 0,8,16,32",
            "convolve_first",
            "scalemask",
            -32,
        ),
    ] {
        let copy = |from: String, to: &str| {
            let _ = std::fs::remove_file(folder.path().join(to));
            std::fs::copy(golden.join("inputs").join(from), folder.path().join(to)).unwrap()
        };
        copy(format!("{image}.fits.gz"), "image.fits.gz");
        if case == "snr_flood" {
            copy("sim_a_rms.fits.gz".into(), "rms.fits.gz");
            copy("sim_a_bkg.fits.gz".into(), "bkg.fits.gz");
        }
        let expected = FitsImage::open(golden.join(case).join("mask.fits.gz")).unwrap();
        let pixels = read(expected.path());
        let output = folder.path().join(format!("image.{suffix}.fits"));
        for (types, bitpix) in [("", 8), ("--flint-types", bitpix)] {
            cleanloop(folder.path(), &format!("mask image.fits.gz {flags} {types}")).success();
            let mask = FitsImage::open(&output).unwrap();
            assert_eq!(mask.bitpix(), bitpix, "{case} {types}");
            assert_eq!(mask.axes(), expected.axes(), "{case}");
            assert_eq!(mask.header().get("CRVAL1"), expected.header().get("CRVAL1"));
            assert_eq!(read(&output), pixels, "{case}");
        }
    }
    let signal = read(&folder.path().join("image.signal.fits"));
    let [image, background, rms] =
        ["sim_a", "sim_a_bkg", "sim_a_rms"].map(|name| read(&golden.join("inputs").join(format!("{name}.fits.gz"))));
    assert_eq!(signal, (image - background) / rms);
}

#[test]
fn pixel_types_and_axes_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let whole = source().mapv(f32::round);
    let flags = "--flood-fill --flood-fill-use-mac --flood-fill-positive-seed-clip 5 --flood-fill-positive-flood-clip 2 \
                 --flood-fill-use-mac-box-size 9";
    let mut first: Option<Array2<f32>> = None;
    let mut said = String::new();
    for (name, kind, axes) in [
        ("float.fits", PixelType::F32, 2),
        ("double.fits", PixelType::F64, 3),
        ("short.fits.gz", PixelType::I16, 4),
        ("packed.fits.fz", PixelType::F32, 2),
    ] {
        let mut lengths = vec![40, 30];
        lengths.resize(axes, 1);
        let path = folder.path().join(name);
        let mut writer = PlaneWriter::create(&path, &lengths, kind, &header(), name.ends_with("fz")).unwrap();
        writer.write_plane(0, whole.view()).unwrap();
        writer.finish().unwrap();
        said += &dialogue(folder.path(), [format!("mask {name} {flags}")]);
        let stem = name.split('.').next().unwrap();
        let mask = FitsImage::open(folder.path().join(format!("{stem}.mask.fits"))).unwrap();
        assert_eq!((mask.axes(), mask.bitpix()), (&lengths[..], 8), "{name}");
        let pixels = read(mask.path());
        assert_eq!((pixels[[12, 20]], pixels[[0, 0]]), (1.0, 0.0), "{name}");
        assert_eq!(first.get_or_insert_with(|| pixels.clone()), &pixels, "{name}");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn each_plane_of_a_cube_is_masked_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cube.fits");
    let mut writer = PlaneWriter::create(&path, &[40, 30, 3, 1], PixelType::F32, &header(), false).unwrap();
    writer.write_plane(0, source().view()).unwrap();
    writer.write_plane(1, Array2::from_elem((30, 40), f32::NAN).view()).unwrap();
    writer.write_plane(2, source().mapv(|v| v / 10.0).view()).unwrap();
    writer.finish().unwrap();
    // The source of the third plane reaches 5 sigma only where noise helps: one map for all planes.
    write(&folder.path().join("one.fits"), &Array2::ones((30, 40)));
    write(&folder.path().join("zero.fits"), &Array2::zeros((30, 40)));
    let line = "mask cube.fits --flood-fill --rms-fits one.fits --bkg-fits zero.fits --output out.fits";
    insta::assert_snapshot!(dialogue(folder.path(), [line]));
    let mut mask = FitsImage::open(folder.path().join("out.fits")).unwrap();
    let counts = [0, 1, 2].map(|c| mask.read_plane(0, c).unwrap().sum());
    assert!(counts[0] > counts[2] && counts[2] > 0.0 && counts[1] == 0.0, "{counts:?}");
    let lone = source().mapv(|v| v / 10.0);
    write(&folder.path().join("lone.fits"), &lone);
    cleanloop(folder.path(), "mask lone.fits --flood-fill --rms-fits one.fits --bkg-fits zero.fits").success();
    assert_eq!(read(&folder.path().join("lone.mask.fits")), mask.read_plane(0, 2).unwrap());
}

#[test]
fn noise_is_estimated_when_no_maps_are_given() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.fits"), &source());
    for method in ["global", "box", "bane"] {
        cleanloop(folder.path(), &format!("mask a.fits --flood-fill --noise {method}")).success();
        let mask = read(&folder.path().join("a.mask.fits"));
        assert_eq!((mask[[12, 20]], mask[[28, 2]]), (1.0, 0.0), "{method}");
    }
}

#[test]
fn bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("a.fits"), &source());
    write(&path("small.fits"), &array![[1f32, 2.0]]);
    write(&path("blank.fits"), &Array2::from_elem((30, 40), f32::NAN));
    let mut oblong = header();
    oblong.set_f64("CDELT2", 2e-3);
    write_plane(path("oblong.fits"), source().view(), PixelType::F32, &oblong, 2).unwrap();
    let mac = "--flood-fill --flood-fill-use-mac";
    let lines = [
        "none.fits".into(),
        "a.fits --rms-fits small.fits --bkg-fits a.fits".into(),
        "a.fits --rms-fits a.fits".into(),
        "blank.fits --noise global".into(),
        format!("blank.fits {mac}"),
        format!("a.fits {mac} --flood-fill-use-mac-box-size 0"),
        "a.fits --base-snr-clip -2".into(),
        format!("a.fits {mac} --output a.fits"),
        format!("oblong.fits {mac} --beam-shape-erode"),
        format!("a.fits {mac} --output none/x.fits"),
    ];
    insta::assert_snapshot!(dialogue(folder.path(), lines.map(|words: String| format!("mask {words}"))));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing is left behind: {left:?}");
}

#[test]
fn what_should_be_known_is_said_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let mut beamless = header();
    beamless.remove("BMAJ");
    write_plane(folder.path().join("a.fits"), source().view(), PixelType::F32, &beamless, 2).unwrap();
    let mac = "--flood-fill --flood-fill-use-mac --flood-fill-positive-seed-clip 5";
    let beamless = dialogue(folder.path(), [format!("mask a.fits {mac} --beam-shape-erode")]);
    let high = "mask a.fits --flood-fill --flood-fill-positive-seed-clip 1e6 --noise global";
    let high = dialogue(folder.path(), [high]);
    assert!(read(&folder.path().join("a.mask.fits")).sum() > 0.0);
    let no_signal = dialogue(folder.path(), [format!("mask a.fits {mac} --save-signal")]);
    insta::assert_snapshot!(beamless + &high + &no_signal);
}

#[test]
fn help_reads_like_a_manual() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(dialogue(folder.path(), ["mask --help"]));
}

#[test]
fn the_footprint_is_drawn_or_saved() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.fits"), &source());
    // 4 x 3 pixels, position angle 0: higher than wide.
    insta::assert_snapshot!(dialogue(folder.path(), ["kernel a.fits", "kernel a.fits --response 1.5"]));
    cleanloop(folder.path(), "kernel a.fits --scale 20 --output k.fits").success();
    let kernel = read(&folder.path().join("k.fits"));
    assert_eq!(kernel.dim(), (23, 23));
    assert_eq!((kernel[[11, 11]], kernel[[0, 0]]), (1.0, 0.0));
}
