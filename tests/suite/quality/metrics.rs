//! `cleanloop metrics` on files.

use assert_cmd::Command;
use cleanloop::image::{Header, PixelType, write_plane};
use ndarray::Array2;

fn write(path: &std::path::Path, plane: &Array2<f32>) {
    let mut header = Header::default();
    for (key, value) in [("CDELT1", -1e-3), ("CDELT2", 1e-3), ("BMAJ", 4e-3), ("BMIN", 3e-3)] {
        header.set_f64(key, value);
    }
    write_plane(path, plane.view(), PixelType::F32, &header, 4).unwrap();
}

#[test]
fn table_and_json_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A checkerboard of +-1 mJy has a MAD of 1 mJy.
    let noise = Array2::from_shape_fn((40, 50), |(y, x)| if (x + y) % 2 == 0 { 1e-3 } else { -1e-3 });
    let mut image = noise.clone();
    image[(20, 30)] = 1.4826022;
    let mut model = Array2::zeros((40, 50));
    model[(20, 30)] = 1.5f32;
    write(&path("image.fits"), &image);
    write(&path("residual.fits"), &noise);
    write(&path("model.fits"), &model);
    let run = |more: &[&str]| {
        let mut command = Command::cargo_bin("cleanloop").unwrap();
        command.current_dir(folder.path()).arg("metrics").arg("image.fits").args(more);
        command.assert()
    };
    let files = ["--residual", "residual.fits", "--model", "model.fits", "--islands", "model.fits"];
    let json = run(&[&files[..], &["--json"]].concat()).success().get_output().stdout.clone();
    let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let metrics = &value[0]["metrics"];
    assert!((metrics["snr"].as_f64().unwrap() - 1000.0).abs() < 1e-2);
    // Its standard deviation is 1 mJy as well.
    assert!((metrics["dynamic_range"].as_f64().unwrap() - 1482.6).abs() < 1e-1);
    assert_eq!(metrics["model"]["inside_flux"].as_f64().unwrap(), 1.5);
    assert_eq!(metrics["model"]["outside_flux"].as_f64().unwrap(), 0.0);
    assert_eq!(metrics["peak_pixel"], serde_json::json!([30, 20]));
    let table = run(&files).success().get_output().stdout.clone();
    insta::assert_snapshot!(String::from_utf8(table).unwrap());
    write(&path("small.fits"), &Array2::zeros((3, 4)));
    let error = run(&["--mask", "small.fits"]).code(2).get_output().stderr.clone();
    insta::assert_snapshot!(String::from_utf8(error).unwrap());
}
