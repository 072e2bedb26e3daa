//! `cleanloop deconvolve` on the real CASA: the same as the minor cycle of tclean on the same images.

use crate::support::real;
use assert_cmd::Command;
use cleanloop::image::{FitsImage, Header, PixelType, write_plane};
use cleanloop::imager::tclean::{TcleanImager, TcleanOptions};
use cleanloop::imager::{CycleImager, Imager, ImagerContext, MinorControls};
use cleanloop::programs::casa::Casa;
use cleanloop::programs::casa::requests::ExportImage;
use rstest::rstest;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SIDE: usize = 96;

fn cleanloop(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleanloop"));
    command.current_dir(folder).arg("deconvolve");
    command
}

fn pixels(path: &Path) -> Vec<f32> {
    let mut image = FitsImage::open(path).unwrap();
    let channels = image.channels();
    (0..channels).flat_map(|k| image.read_plane(0, k).unwrap().iter().copied().collect::<Vec<_>>()).collect()
}

fn exported(casa: &Casa, image: &Path) -> Vec<f32> {
    let path = PathBuf::from(format!("{}.fits", image.display()));
    casa.ask(&ExportImage { image: image.to_owned(), path: path.clone() }, None).unwrap();
    pixels(&path)
}

/// The dirty images of a small field in `folder`.
fn dirty(casa: &Casa, ms: &Path, folder: &Path, changes: &Value) -> TcleanImager {
    let mut options = json!({"imsize": SIDE, "cell": "2arcsec", "niter": 30, "weighting": "briggs"});
    options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let options: TcleanOptions = serde_json::from_value(options).unwrap();
    let job = crate::imaging::tclean::job(ms, folder, false);
    let mut imager = TcleanImager::new(job, options, casa.clone(), ImagerContext::default()).unwrap();
    imager.setup().unwrap();
    imager.make_psf().unwrap();
    imager.make_pb().unwrap();
    imager.residual().unwrap();
    imager
}

fn box_mask(path: &Path, side: usize, inside: std::ops::Range<usize>) {
    let plane =
        ndarray::Array2::from_shape_fn((side, side), |(y, x)| u8::from(inside.contains(&y) && inside.contains(&x)));
    write_plane(path, plane.view(), PixelType::U8, &Header::default(), 4).unwrap();
}

/// CASA images and FITS files in, CASA images and FITS files out.
#[rstest]
#[case::continuum(json!({}), &[])]
#[case::cube(json!({"specmode": "cube"}), &[])]
#[case::taylor_terms(json!({"deconvolver": "mtmfs"}), &["--deconvolver", "mtmfs"])]
#[ignore = "needs CASA"]
fn it_is_the_minor_cycle_of_tclean(#[case] changes: Value, #[case] words: &[&str]) {
    let casa = real::casa();
    let folder = tempfile::tempdir().unwrap();
    let field = real::tiny(&casa, folder.path());
    dirty(&casa, &field.ms, &folder.path().join("before"), &changes).teardown();
    let mask = folder.path().join("mask.fits");
    box_mask(&mask, SIDE, 30..70);

    let mut theirs = dirty(&casa, &field.ms, &folder.path().join("theirs"), &changes);
    let controls = MinorControls {
        iterations_left: 30,
        threshold_jy: 0.0,
        follows_noise: None,
        major_iterations: 1,
        last: false,
        channels: Vec::new(),
    };
    let minor = theirs.clean(Some(&mask), &controls).unwrap();
    assert!(minor.iterations > 0);

    let terms = !words.is_empty();
    let named = |kind: &str, n: usize| -> Vec<String> {
        let of = |end: String| format!("before/casa/im.{kind}{end}");
        if terms { (0..n).map(|k| of(format!(".tt{k}"))).collect() } else { vec![of(String::new())] }
    };
    cleanloop(folder.path())
        .args(named("residual", 2))
        .arg("--psf")
        .args(named("psf", 3))
        .args(["--mask", "mask.fits", "--one-cycle", "--niter", "30", "--output", "ours", "--casa"])
        .args(words)
        .assert()
        .success();
    for kind in ["model", "residual"] {
        let end = if terms { ".tt0" } else { "" };
        let ours = exported(&casa, &folder.path().join(format!("ours.{kind}{end}")));
        let expected = exported(&casa, &folder.path().join(format!("theirs/casa/im.{kind}{end}")));
        assert!(ours.iter().map(|v| v.to_bits()).eq(expected.iter().map(|v| v.to_bits())), "{kind}");
        assert!(ours.iter().any(|&v| v != 0.0));
    }
    assert!(folder.path().join(if terms { "ours.image.tt0" } else { "ours.image" }).is_dir());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with('.')), "{left:?}");
    theirs.teardown();
}

#[test]
#[ignore = "needs CASA"]
fn fits_files_with_a_mask_of_ours_and_a_model_to_go_on_from() {
    let casa = real::casa();
    let folder = tempfile::tempdir().unwrap();
    let field = real::tiny(&casa, folder.path());
    dirty(&casa, &field.ms, &folder.path().join("before"), &json!({})).teardown();
    let at = |name: &str| folder.path().join(name);
    let run = |words: &[&str]| -> Value {
        let output = cleanloop(folder.path()).args(words).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = run(&[
        "before/dirty.fits",
        "--psf",
        "before/psf.fits",
        "--pb",
        "before/pb.fits",
        "--method",
        "multithresh",
        "--sidelobethreshold",
        "1",
        "--noisethreshold",
        "4",
        "--threshold",
        "0.6Jy",
        "--output",
        "a",
    ]);
    assert_eq!(first["stopped"], "threshold", "{first}");
    let after = first["peak_after_jy"].as_f64().unwrap();
    assert!(first["peak_before_jy"].as_f64().unwrap() > 1.0 && after <= 0.6 && after > 0.4, "{first}");
    let (model, mask) = (pixels(&at("a.model.fits")), pixels(&at("a.mask.fits")));
    assert!(mask.contains(&0.0) && model.iter().zip(&mask).all(|(m, inside)| *m == 0.0 || *inside != 0.0));
    assert!(at("a.image.fits").exists() && at("a.image.pbcor.fits").exists());
    // Residual and model belong together: what is gone from one, times the PSF, is in the other. At the brightest
    // pixel, the first component alone took a tenth of the peak away.
    let (dirty, residual) = (pixels(&at("before/dirty.fits")), pixels(&at("a.residual.fits")));
    let brightest = (0..dirty.len()).max_by(|&a, &b| dirty[a].total_cmp(&dirty[b])).unwrap();
    assert!(residual[brightest] < 0.7 * dirty[brightest] && model[brightest] > 0.1 * dirty[brightest]);

    // From there on with a lower level and flint's mask; the model grows.
    let second = run(&[
        "a.residual.fits",
        "--psf",
        "before/psf.fits",
        "--model",
        "a.model.fits",
        "--method",
        "flint",
        "--flood-fill",
        "--flood-fill-use-mac",
        "--flood-fill-use-mac-box-size",
        "50",
        "--flood-fill-positive-seed-clip",
        "0.5",
        "--flood-fill-positive-flood-clip",
        "0.3",
        "--threshold",
        "0.4",
        "--output",
        "b",
    ]);
    assert_eq!(second["stopped"], "threshold", "{second}");
    // And with levels from the residual: the pixels that `cleanloop mask --auto` masks.
    run(&["before/dirty.fits", "--psf", "before/psf.fits", "--method", "auto", "--niter", "5", "--output", "d"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleanloop"));
    command.current_dir(folder.path());
    command.args(["mask", "before/dirty.fits", "--auto", "--psf", "before/psf.fits", "-o", "auto.fits"]);
    command.assert().success();
    let automatic = pixels(&at("auto.fits"));
    assert!(automatic.contains(&1.0) && automatic.contains(&0.0));
    assert_eq!(pixels(&at("d.mask.fits")), automatic);
    let sum = |path: &Path| pixels(path).iter().map(|&v| f64::from(v)).sum::<f64>();
    assert!(sum(&at("b.model.fits")) > sum(&at("a.model.fits")));
    let few = run(&["a.residual.fits", "--psf", "before/psf.fits", "--niter", "5", "--output", "c"]);
    assert_eq!((few["iterations"].as_u64(), &few["stopped"]), (Some(5), &json!("iterations")));
}

#[test]
#[ignore = "needs CASA"]
fn mistakes_are_told_in_one_message() {
    let casa = real::casa();
    let folder = tempfile::tempdir().unwrap();
    let field = real::tiny(&casa, folder.path());
    dirty(&casa, &field.ms, &folder.path().join("x"), &json!({"imsize": 64})).teardown();
    dirty(&casa, &field.ms, &folder.path().join("y"), &json!({"imsize": 48})).teardown();
    box_mask(&folder.path().join("mask.fits"), 32, 0..10);
    std::fs::write(folder.path().join("text.fits"), "no image").unwrap();
    std::fs::copy(folder.path().join("x/dirty.fits"), folder.path().join("r.residual.fits")).unwrap();
    let images = ["x/dirty.fits", "--psf", "x/psf.fits", "--output", "out"];
    let cases: &[(&[&str], &[&str])] = &[
        (&["none.fits", "--psf", "x/psf.fits", "--output", "out"], &["none.fits: no such image"]),
        (&["text.fits", "--psf", "x/psf.fits", "--output", "out"], &["text.fits"]),
        (&["x/dirty.fits", "--psf", "y/psf.fits", "--output", "out"], &["y/psf.fits has 48 x 48", "has 64 x 64"]),
        (&[&images[..], &["--mask", "mask.fits"]].concat(), &["mask.fits has 32 x 32", "the image has 64 x 64"]),
        (&[&images[..], &["--deconvolver", "mtmfs"]].concat(), &["1 residual images", "2 Taylor terms needs 2"]),
        (&[&images[..], &["--nsigma", "3"]].concat(), &["nsigma needs a primary beam"]),
        (&[&images[..], &["--threshold", "3sigma"]].concat(), &["deconvolve.threshold is 3sigma"]),
        (
            &[&images[..], &["--method", "multithresh", "--noisethreshold", "1e5"]].concat(),
            &["the mask is empty", "x/dirty.fits"],
        ),
        (
            &[&images[..], &["--method", "auto", "--dirty", "y/dirty.fits"]].concat(),
            &["y/dirty.fits has 48 x 48 pixels; the residual has 64 x 64"],
        ),
        (&["r.residual.fits", "--psf", "x/psf.fits", "--output", "r"], &["would replace an input"]),
        (&["x/dirty.fits", "--psf", "x/psf.fits", "--output", "nowhere/out"], &["nowhere does not exist"]),
    ];
    for (words, expected) in cases {
        let output = cleanloop(folder.path()).args(*words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {error}");
        assert!(expected.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with("out")), "{left:?}");
}
