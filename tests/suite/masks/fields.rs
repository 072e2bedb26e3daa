//! Noise maps, and field masks put onto the grid of a beam.

use crate::support::words::dialogue;
use crate::support::words::without_page;
use assert_cmd::Command;
use cleanloop::image::{FitsImage, Header, PixelType, PlaneWriter, write_plane};
use ndarray::{Array2, s};
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn cleanloop(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("cleanloop").unwrap();
    command.current_dir(folder);
    command
}

fn plane(path: impl AsRef<Path>) -> Array2<f32> {
    FitsImage::open(path).unwrap().read_plane(0, 0).unwrap()
}

fn stderr(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    without_page(&String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_field_mask_is_extracted_as_flint_does_it() {
    let folder = tempfile::tempdir().unwrap();
    let golden = data("flint/extract_offset");
    std::fs::copy(golden.join("beam.fits.gz"), folder.path().join("beam.fits.gz")).unwrap();
    cleanloop(folder.path())
        .args(["extractmask", "beam.fits.gz", "--flint-types"])
        .arg(golden.join("mosaic.mask.fits.gz"))
        .assert()
        .success()
        .stdout("beam.mask.fits: 496 of 67600 pixels masked (0.73 %)\n");
    let (ours, theirs) = (folder.path().join("beam.mask.fits"), golden.join("mask.fits.gz"));
    assert_eq!(plane(&ours), plane(&theirs));
    let (ours, theirs) = (FitsImage::open(ours).unwrap(), FitsImage::open(theirs).unwrap());
    assert_eq!((ours.bitpix(), ours.axes()), (theirs.bitpix(), theirs.axes()));
    for key in ["CRPIX1", "CRVAL1", "CRVAL2", "CDELT2", "CTYPE3", "CRVAL3", "BMAJ", "BUNIT"] {
        assert_eq!(ours.header().get(key).is_some(), theirs.header().get(key).is_some(), "{key}");
        assert_eq!(ours.header().get_f64(key), theirs.header().get_f64(key), "{key}");
    }
}

#[test]
#[ignore = "needs a Python with astropy and reproject, which CLEANLOOP_ASTROPY_PYTHON names (`make test` provides one)"]
fn field_masks_agree_with_reproject() {
    let python = std::env::var_os("CLEANLOOP_ASTROPY_PYTHON").expect("CLEANLOOP_ASTROPY_PYTHON names a Python");
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wcs_reference/live.py");
    let made = std::process::Command::new(python)
        .args(["-B", "-W", "ignore"])
        .arg(script)
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut compared = 0;
    for line in String::from_utf8(made.stdout).unwrap().lines() {
        let name = line.split(' ').next().unwrap();
        cleanloop(folder.path())
            .arg("extractmask")
            .args([format!("{name}.beam.fits"), format!("{name}.mosaic.fits")])
            .assert()
            .success();
        let ours = plane(folder.path().join(format!("{name}.beam.mask.fits")));
        let theirs = plane(folder.path().join(format!("{name}.expected.fits")));
        let differing = ours.iter().zip(&theirs).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{name}");
        compared += 1;
    }
    assert!(compared >= 8);
}

#[test]
fn extractmask_explains_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let blank = Array2::<f32>::zeros((4, 5));
    let at = |name: &str| folder.path().join(name);
    write_plane(at("bare.fits"), blank.view(), PixelType::F32, &Header::default(), 2).unwrap();
    let beam = FitsImage::open(data("flint/extract_offset/beam.fits.gz")).unwrap();
    write_plane(at("beam.fits"), blank.view(), PixelType::F32, beam.header(), 4).unwrap();
    std::fs::copy(at("beam.fits"), at("beam.mask.fits")).unwrap();
    drop(PlaneWriter::create(at("cube.fits"), &[5, 4, 3], PixelType::U8, beam.header(), false).unwrap().finish());
    let run = |files: [&str; 2]| stderr(cleanloop(folder.path()).arg("extractmask").args(files));
    insta::assert_snapshot!(run(["beam.fits", "bare.fits"]), @"error: bare.fits: has no CTYPE1 and CTYPE2 in its header, so its pixels have no position on the sky");
    insta::assert_snapshot!(run(["beam.fits", "beam.mask.fits"]), @"error: beam.mask.fits: the output would replace an input; name another file with --output");
    insta::assert_snapshot!(run(["beam.fits", "cube.fits"]), @"error: cube.fits: has 3 channels and 1 polarisations; a mask of one plane was expected");
    insta::assert_snapshot!(run(["beam.fits", "none.fits"]), @"error: none.fits: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn noise_maps_are_those_of_bane_and_named_like_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(data("flint/inputs/sim_a.fits.gz"), folder.path().join("sim_a.fits.gz")).unwrap();
    // How close the numbers are is checked on the pixels.
    let number = regex::Regex::new(r"-?\d\.\d{4}e-\d").unwrap();
    insta::assert_snapshot!(number.replace_all(&dialogue(folder.path(), ["noise sim_a.fits.gz"]), "#"));
    for kind in ["bkg", "rms"] {
        let path = folder.path().join(format!("sim_a_{kind}.fits"));
        let ours = plane(&path);
        let theirs = plane(data(&format!("bane/sim_a_{kind}_every8.fits.gz")));
        // The reference keeps every eighth pixel of BANE's maps, from the fourth on.
        for (a, b) in ours.slice(s![3..;8, 3..;8]).iter().zip(&theirs) {
            assert!(((a - b) / b).abs() < 1e-4, "{kind}: {a}, BANE has {b}");
        }
        let header = FitsImage::open(&path).unwrap().header().clone();
        assert!(header.get_f64("BMAJ").is_some() && header.get("CTYPE1").is_some());
    }
}

#[test]
fn noise_of_a_cube_is_measured_plane_by_plane() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cube.fits");
    let noise = |scale: f32| Array2::from_shape_fn((30, 40), |(y, x)| if (x + y) % 2 == 0 { scale } else { -scale });
    let mut header = Header::default();
    header.set_str("CTYPE3", "FREQ");
    let mut writer = PlaneWriter::create(&path, &[40, 30, 3], PixelType::F32, &header, false).unwrap();
    for (index, image) in [noise(1.0), Array2::from_elem((30, 40), f32::NAN), noise(3.0)].iter().enumerate() {
        writer.write_plane(index, image.view()).unwrap();
    }
    writer.finish().unwrap();
    let run = |more: &[&str]| {
        cleanloop(folder.path()).args(["noise", "cube.fits", "-o", "out"]).args(more).assert().success();
        let mut rms = FitsImage::open(folder.path().join("out_rms.fits")).unwrap();
        [0, 1, 2].map(|channel| rms.read_plane(0, channel).unwrap())
    };
    for options in [&["--method", "bane", "--step", "5"][..], &["--method", "global", "--statistic", "std"]] {
        let [first, blank, third] = run(options);
        assert!(first.iter().all(|v| (v - 1.0).abs() < 1e-2), "{options:?}");
        assert!(blank.iter().all(|v| v.is_nan()));
        assert!(third.iter().all(|v| (v - 3.0).abs() < 3e-2), "{options:?}");
    }
}

#[test]
fn noise_explains_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let blank = Array2::from_elem((3, 4), f32::NAN);
    write_plane(folder.path().join("blank.fits"), blank.view(), PixelType::F32, &Header::default(), 2).unwrap();
    let run = |more: &[&str]| stderr(cleanloop(folder.path()).args(["noise", "blank.fits"]).args(more));
    insta::assert_snapshot!(run(&[]), @"error: blank.fits: the image has no finite pixel, so its noise cannot be estimated");
    insta::assert_snapshot!(run(&["--box", "0"]), @"error: noise.box is 0; expected at least 2 pixels");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

/// Two images of a point source of 1 Jy/beam, 0.3 degrees east and west of it, as dishes of 12 m see it at 1 GHz.
fn two_beams(folder: &Path) -> Header {
    let mut header = Header::default();
    for (key, value) in [("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN"), ("CTYPE3", "FREQ"), ("BUNIT", "Jy/beam")] {
        header.set_str(key, value);
    }
    for (key, value) in [
        ("CRPIX1", 51.0),
        ("CRPIX2", 41.0),
        ("CRVAL2", -45.0),
        ("CDELT1", -0.02),
        ("CDELT2", 0.02),
        ("CRVAL3", 1e9),
        ("BMAJ", 0.06),
        ("BMIN", 0.05),
        ("BPA", 10.0),
    ] {
        header.set_f64(key, value);
    }
    let source = cleanloop::image::SkyPosition { lon_deg: 30.0, lat_deg: -45.0 };
    for (name, offset) in [("east.fits", 0.3), ("west.fits", -0.3)] {
        header.set_f64("CRVAL1", 30.0 + offset);
        let wcs = cleanloop::image::CelestialWcs::from_header(&header).unwrap();
        // A source of several pixels, so that interpolation keeps its peak; noise of 1 and 2 mJy.
        let noise = if offset > 0.0 { 1e-3 } else { 2e-3 };
        let image = Array2::from_shape_fn((81, 101), |(y, x)| {
            let at = wcs.pixel_to_sky(x as f64, y as f64).unwrap();
            let beam = |separation: f64, fwhm: f64| (-4.0 * std::f64::consts::LN_2 * (separation / fwhm).powi(2)).exp();
            let response = beam(at.separation(wcs.reference()), 1.56023);
            // Five levels about 0, alike often: the MAD is one level.
            let ripple = noise * (((7 * x + 13 * y) % 5) as f64 - 2.0);
            (beam(at.separation(source), 0.2) * response + ripple) as f32
        });
        write_plane(folder.join(name), image.view(), PixelType::F32, &header, 4).unwrap();
    }
    header
}

#[test]
fn a_field_is_masked_on_its_mosaic_and_cut_out_for_each_beam() {
    let folder = tempfile::tempdir().unwrap();
    two_beams(folder.path());
    let run = |arguments: &str| cleanloop(folder.path()).args(arguments.split(' ')).assert().success();
    run("mosaic east.fits west.fits --output field.fits --dish 12");
    let mut field = FitsImage::open(folder.path().join("field.fits")).unwrap();
    assert_eq!((field.axes().len(), field.header().get_f64("BMAJ")), (4, Some(0.06)));
    let source = cleanloop::image::SkyPosition { lon_deg: 30.0, lat_deg: -45.0 };
    let (x, y) = field.wcs().unwrap().sky_to_pixel(source).unwrap();
    let at = [y.round() as usize, x.round() as usize];
    let peak = field.read_plane(0, 0).unwrap()[at];
    assert!((peak - 1.0).abs() < 0.02, "the primary beam is taken out: {peak} Jy/beam");
    let weight = plane(folder.path().join("field.weight.fits"))[at];
    // Response at 0.3 degrees in RA, 0.2121 on the sky: 0.9501; weights of 1 mJy (1.4826 MAD of +-1) and twice that.
    let expected = 0.9501f32.powi(2) * (1.0 + 0.25) / 1.4826e-3f32.powi(2);
    assert!((weight / expected - 1.0).abs() < 0.05, "{weight}, {expected} expected");
    // The mask of the mosaic covers the source in the image of each beam.
    run("mask field.fits --base-snr-clip 20 --noise global");
    for beam in ["east", "west"] {
        run(&format!("extractmask {beam}.fits field.mask.fits"));
        let mask = plane(folder.path().join(format!("{beam}.mask.fits")));
        let wcs = FitsImage::open(folder.path().join(format!("{beam}.fits"))).unwrap().wcs().unwrap();
        let (x, y) = wcs.sky_to_pixel(source).unwrap();
        assert_eq!(mask[[y.round() as usize, x.round() as usize]], 1.0, "{beam}");
        let masked = mask.sum();
        assert!((20.0..2000.0).contains(&masked), "{masked} pixels masked");
    }
}

/// Point sources of 1 Jy seen with three beams (one grid is turned, one mirrored): the mosaic has the common beam, in its
/// header and in its pixels, and the peaks stay.
#[test]
fn images_of_different_beams_are_convolved_to_a_common_one() {
    let folder = tempfile::tempdir().unwrap();
    let pixel = 0.0025;
    let beams = [(0.030, 0.020, 30.0), (0.026, 0.024, -60.0), (0.030, 0.020, 30.0)];
    let source = cleanloop::image::SkyPosition { lon_deg: 120.0, lat_deg: -30.0 };
    for (i, (major, minor, pa)) in beams.into_iter().enumerate() {
        let mut header = Header::default();
        header.set_str("CTYPE1", "RA---SIN");
        header.set_str("CTYPE2", "DEC--SIN");
        header.set_str("BUNIT", "Jy/beam");
        let mirror = if i == 2 { -1.0 } else { 1.0 };
        let numbers =
            [("CRPIX1", 101.0), ("CRPIX2", 81.0), ("CRVAL1", 120.0), ("CRVAL2", -30.0), ("CDELT1", -pixel * mirror)];
        for (key, value) in
            numbers.into_iter().chain([("CDELT2", pixel), ("BMAJ", major), ("BMIN", minor), ("BPA", pa)])
        {
            header.set_f64(key, value);
        }
        if i == 1 {
            header.set_f64("CROTA2", 25.0);
        }
        let wcs = cleanloop::image::CelestialWcs::from_header(&header).unwrap();
        let image = Array2::from_shape_fn((161, 201), |(y, x)| {
            let at = wcs.pixel_to_sky(x as f64, y as f64).unwrap();
            let east = (at.lon_deg - source.lon_deg) * source.lat_deg.to_radians().cos();
            let north = at.lat_deg - source.lat_deg;
            let (sin, cos) = f64::to_radians(pa).sin_cos();
            let (along, across) = (east * sin + north * cos, north * sin - east * cos);
            let r2 = (along / major).powi(2) + (across / minor).powi(2);
            let ripple = 1e-5 * (((7 * x + 13 * y) % 5) as f64 - 2.0);
            ((-4.0 * std::f64::consts::LN_2 * r2).exp() + ripple) as f32
        });
        write_plane(folder.path().join(format!("{i}.fits")), image.view(), PixelType::F32, &header, 2).unwrap();
    }
    let run = |arguments: &str| cleanloop(folder.path()).args(arguments.split(' ')).assert().success();
    run("mosaic 0.fits 1.fits 2.fits --like 0.fits --output common.fits");
    run("mosaic 0.fits 1.fits 2.fits --like 0.fits --output kept.fits --keep-beams");
    let beam = |name: &str| FitsImage::open(folder.path().join(name)).unwrap().beam().unwrap();
    let common = beam("common.fits");
    assert_eq!(beam("kept.fits"), beam("0.fits"));
    assert!(common.major_deg >= 0.030 && common.major_deg < 0.0315 && common.minor_deg > 0.020, "{common}");
    let (sky, kept) = (plane(folder.path().join("common.fits")), plane(folder.path().join("kept.fits")));
    assert!((sky[[80, 100]] - 1.0).abs() < 2e-3, "the peak stays: {}", sky[[80, 100]]);
    // The pixels have the beam that the header names.
    let (major, minor) = (common.major_deg / pixel, common.minor_deg / pixel);
    let (sin, cos) = common.pa_deg.to_radians().sin_cos();
    let worst = |plane: &Array2<f32>| {
        let differences = plane.indexed_iter().filter(|(_, v)| v.is_finite()).map(|((y, x), v)| {
            let (east, north) = (100.0 - x as f64, y as f64 - 80.0);
            let (along, across) = (east * sin + north * cos, north * sin - east * cos);
            let r2 = (along / major).powi(2) + (across / minor).powi(2);
            (f64::from(*v) - (-4.0 * std::f64::consts::LN_2 * r2).exp()).abs()
        });
        differences.fold(0.0, f64::max)
    };
    // The turned grid is interpolated linearly, which costs a little.
    assert!(worst(&sky) < 0.01, "{}", worst(&sky));
    assert!(worst(&kept) > 0.03, "without convolution they differ: {}", worst(&kept));
    // Images of one beam are added up as they are.
    run("mosaic 0.fits 2.fits --like 0.fits --output same.fits");
    run("mosaic 0.fits 2.fits --like 0.fits --output same_kept.fits --keep-beams");
    assert_eq!(plane(folder.path().join("same.fits")), plane(folder.path().join("same_kept.fits")));
}

#[test]
fn mosaic_explains_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut header = two_beams(folder.path());
    header.set_str("CTYPE3", "STOKES");
    let flat = Array2::<f32>::ones((4, 5));
    write_plane(folder.path().join("flat.fits"), flat.view(), PixelType::F32, &header, 3).unwrap();
    let run = |arguments: &str| stderr(cleanloop(folder.path()).arg("mosaic").args(arguments.split(' ')));
    insta::assert_snapshot!(run("flat.fits -o o.fits"), @"error: flat.fits: has no noise that could give it a weight (no data, or more than half of its pixels alike)");
    insta::assert_snapshot!(run("east.fits -o east.fits"), @"error: east.fits: the output would replace an input");
    insta::assert_snapshot!(run("east.fits west.fits -o o.fits --pb flat.fits"), @"error: --pb names 1 files for 2 images: one for each image was expected");
    insta::assert_snapshot!(run("east.fits -o o.fits --pb flat.fits"), @"error: east.fits has 101 x 81 pixels, but flat.fits has 5 x 4: both must have the same size");
    insta::assert_snapshot!(run("east.fits -o o.fits --dish 0"), @"error: --dish 0: a diameter in metres was expected");
    assert!(!folder.path().join("o.fits").exists());
}
